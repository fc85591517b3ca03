/* SPDX-License-Identifier: MIT */
/* See image.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "image.h"

static struct image *image_of(struct dom *dom)
{
	return dom->ctx;
}

static bool is_here(const struct image *image, uint64_t mfn)
{
	return mfn >= IMAGE_BASE && mfn - IMAGE_BASE < image->nr;
}

uint64_t *image_page(struct image *image, uint64_t mfn)
{
	assert(is_here(image, mfn));
	return image->pages + (mfn - IMAGE_BASE) * TABLE_SLOTS;
}

uint64_t image_pfn(const struct image *image, uint64_t mfn)
{
	return image->pfns[mfn - IMAGE_BASE];
}

/* --- the seam --- */

static int refresh(struct dom *dom)
{
	(void)dom;
	return 0;
}

static int vcpu(struct dom *dom, unsigned int id, struct dom_vcpu *v)
{
	struct image *image = image_of(dom);

	if (id >= TOOL_ARRAY_SIZE(image->vcpus) || image->vcpu_is_down[id])
		return -ENODATA;
	*v = image->vcpus[id];
	return 0;
}

static int types(struct dom *dom, const uint64_t *mfns, unsigned int nr, uint8_t *answers)
{
	struct image *image = image_of(dom);

	assert(nr && nr <= DOM_BATCH);
	image->nr_type_calls++;
	for (unsigned int i = 0; i < nr; i++) {
		answers[i] = FRAME_NOT_ITS;
		if (is_here(image, mfns[i]))
			answers[i] = image->types[mfns[i] - IMAGE_BASE];
		image->nr_foreign_types += answers[i] == FRAME_NOT_ITS;
	}
	return 0;
}

static int read_pages(struct dom *dom, const uint64_t *mfns, unsigned int nr, void *pages, bool *ok)
{
	struct image *image = image_of(dom);

	assert(nr && nr <= DOM_BATCH);
	for (unsigned int i = 0; i < nr; i++) {
		uint8_t *to = (uint8_t *)pages + (size_t)i * TOOL_PAGE_SIZE;

		image->nr_reads++;
		ok[i] = is_here(image, mfns[i]) && !image->unreadable[mfns[i] - IMAGE_BASE];
		if (!is_here(image, mfns[i]) ||
		    (image->types[mfns[i] - IMAGE_BASE] == FRAME_NOT_ITS &&
		     mfns[i] != dom->info.shared_info)) {
			image->nr_foreign_reads++;
			ok[i] = false;
		}
		if (!ok[i])
			continue;
		if (image->before_read)
			image->before_read(image, mfns[i]);
		if (++image->reads_of[mfns[i] - IMAGE_BASE] > image->most_reads_of_a_page)
			image->most_reads_of_a_page = image->reads_of[mfns[i] - IMAGE_BASE];
		memcpy(to, image_page(image, mfns[i]), TOOL_PAGE_SIZE);
	}
	return 0;
}

static int m2p(struct dom *dom, const uint64_t *mfns, unsigned int nr, uint64_t *pfns)
{
	struct image *image = image_of(dom);

	for (unsigned int i = 0; i < nr; i++)
		pfns[i] = is_here(image, mfns[i]) ? image_pfn(image, mfns[i]) : TOOL_NO_FRAME;
	return 0;
}

static int grants(struct dom *dom, struct dom_grant **list, size_t *nr)
{
	struct image *image = image_of(dom);

	*nr = image->nr_grants;
	*list = malloc(sizeof(image->grants));
	if (!*list)
		return -ENOMEM;
	memcpy(*list, image->grants, sizeof(image->grants));
	return 0;
}

static int pause_domain(struct dom *dom)
{
	image_of(dom)->nr_pauses++;
	image_of(dom)->paused++;
	dom->info.is_paused = true;
	return 0;
}

static int unpause_domain(struct dom *dom)
{
	image_of(dom)->paused--;
	dom->info.is_paused = false;
	return 0;
}

static void close_domain(struct dom *dom)
{
	(void)dom;
}

/* --- making one --- */

/* Neighbours in pfns are none in machine frames; 7919 is a prime that is no divisor of nr. */
static uint64_t pfn_for(unsigned int frame, unsigned int nr)
{
	return (uint64_t)frame * 7919 % nr;
}

void image_init(struct image *image, unsigned int nr, unsigned int width)
{
	*image = (struct image){.nr = nr};
	image->pages = calloc(nr, TOOL_PAGE_SIZE);
	image->types = calloc(nr, 1);
	image->pfns = calloc(nr, sizeof(*image->pfns));
	image->unreadable = calloc(nr, sizeof(*image->unreadable));
	image->reads_of = calloc(nr, sizeof(*image->reads_of));
	assert(image->pages && image->types && image->pfns && image->unreadable && image->reads_of);
	for (unsigned int i = 0; i < nr; i++)
		image->pfns[i] = pfn_for(i, nr);
	for (unsigned int i = 0; i < TOOL_ARRAY_SIZE(image->vcpus); i++) {
		image->vcpus[i] =
			(struct dom_vcpu){.root = TOOL_NO_FRAME, .user_root = TOOL_NO_FRAME};
		image->vcpu_is_down[i] = i > 0;
	}
	image->dom = (struct dom){
		.info = {.domid = 7,
			 .name = "image",
			 .width = width,
			 .nr_vcpus = TOOL_ARRAY_SIZE(image->vcpus),
			 .nr_pages = nr,
			 .max_pages = nr,
			 .shared_info = TOOL_NO_FRAME,
			 .max_mfn = IMAGE_BASE + 2 * (uint64_t)nr},
		.ctx = image,
		.refresh = refresh,
		.vcpu = vcpu,
		.types = types,
		.read = read_pages,
		.m2p = m2p,
		.grants = grants,
		.pause = pause_domain,
		.unpause = unpause_domain,
		.close = close_domain,
	};
}

void image_free(struct image *image)
{
	free(image->pages);
	free(image->types);
	free(image->pfns);
	free(image->unreadable);
	free(image->reads_of);
}

uint64_t image_frame(struct image *image, uint8_t type)
{
	assert(image->next < image->nr);
	image->types[image->next] = type;
	return IMAGE_BASE + image->next++;
}

void image_map(struct image *image, uint64_t root, uint64_t va, uint64_t mfn, uint64_t bits)
{
	const struct layout *layout = layout_of(image->dom.info.width);
	uint64_t at = root;

	for (unsigned int level = layout->levels; level > 1; level--) {
		uint64_t *entry = &image_page(image, at)[layout_slot(layout, level, va)];

		if (!entry_present(*entry))
			*entry = image_frame(image, (uint8_t)(level - 1)) << 12 | ENTRY_PRESENT |
				 ENTRY_RW | ENTRY_USER;
		at = entry_frame(*entry);
	}
	image_page(image, at)[layout_slot(layout, 1, va)] = mfn << 12 | ENTRY_PRESENT | bits;
}

uint64_t image_table(struct image *image, uint64_t root, uint64_t va, unsigned int level)
{
	const struct layout *layout = layout_of(image->dom.info.width);
	uint64_t at = root;

	for (unsigned int l = layout->levels; l > level; l--)
		at = entry_frame(image_page(image, at)[layout_slot(layout, l, va)]);
	return at;
}

/* --- what it publishes --- */

static void put_word(struct image *image, void *page, unsigned int n, uint64_t value)
{
	unsigned int word = image->dom.info.width;
	uint32_t value4 = (uint32_t)value;

	memcpy((uint8_t *)page + (size_t)n * word, word == 4 ? (void *)&value4 : (void *)&value,
	       word);
}

/* Xen's page, and not counted among the domain's. */
static uint8_t *shared_info(struct image *image)
{
	if (image->dom.info.shared_info == TOOL_NO_FRAME) {
		image->dom.info.shared_info = image_frame(image, FRAME_NOT_ITS);
		image->dom.info.nr_pages--;
	}
	return (uint8_t *)image_page(image, image->dom.info.shared_info);
}

void image_publish_word(struct image *image, unsigned int n, uint64_t value)
{
	uint8_t *page = shared_info(image);

	put_word(image,
		 page + (image->dom.info.width == 4 ? SHARED_INFO_ARCH_32 : SHARED_INFO_ARCH_64), n,
		 value);
}

static uint64_t mfn_of(const struct image *image, uint64_t pfn)
{
	for (unsigned int i = 0; i < image->nr; i++)
		if (image->pfns[i] == pfn && image->types[i] != FRAME_NOT_ITS)
			return IMAGE_BASE + i;
	return TOOL_NO_FRAME;
}

void image_publish_tree(struct image *image)
{
	unsigned int per_page = TOOL_PAGE_SIZE / image->dom.info.width;
	uint64_t top, middle, leaf = 0;

	shared_info(image);
	top = image_frame(image, FRAME_PLAIN);
	middle = image_frame(image, FRAME_PLAIN);
	put_word(image, image_page(image, top), 0, middle);
	for (unsigned int pfn = 0; pfn < image->nr; pfn++) {
		if (pfn % per_page == 0) {
			leaf = image_frame(image, FRAME_PLAIN);
			put_word(image, image_page(image, middle), pfn / per_page, leaf);
		}
		put_word(image, image_page(image, leaf), pfn % per_page, mfn_of(image, pfn));
	}
	image_publish_word(image, 0, image->nr);
	image_publish_word(image, 1, top);
}

void image_publish_list(struct image *image, uint64_t root, uint64_t va)
{
	unsigned int per_page = TOOL_PAGE_SIZE / image->dom.info.width;
	uint64_t cr3 =
		image->dom.info.width == 4 ? (uint32_t)(root << 12 | root >> 20) : root << 12;
	uint64_t leaf = 0;

	shared_info(image);
	for (unsigned int pfn = 0; pfn < image->nr; pfn++) {
		if (pfn % per_page == 0) {
			leaf = image_frame(image, FRAME_PLAIN);
			image_map(image, root, va + pfn / per_page * TOOL_PAGE_SIZE, leaf,
				  ENTRY_RW);
		}
		put_word(image, image_page(image, leaf), pfn % per_page, mfn_of(image, pfn));
	}
	image_publish_word(image, 0, image->nr);
	image_publish_word(image, 1, image->dom.info.width == 4 ? UINT32_MAX : TOOL_NO_FRAME);
	image_publish_word(image, 3, cr3);
	image_publish_word(image, 4, va);
}
