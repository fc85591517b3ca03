/* SPDX-License-Identifier: MIT */
/*
 * A hostile domain under dom0's tools: an image of 96 frames with a kernel of this library or a
 * Linux in it, of which the input changes what it likes: entries, types, the p2m, the guest's
 * records, registers, what Xen's m2p says.
 *
 *	nothing is read but the domain's own memory
 *	no page is read more often than so many times, and nothing goes on for ever
 *	what is printed are printable characters, whatever the guest calls its areas
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/fuzz/fuzz.h"
#include "tests/tools/guests.h"
#include "tests/tools/symbols_fake.h"
#include "tools/census.h"
#include "tools/report.h"

#define NR_FRAMES 96u

/* Each search reads each table six times at most; records and areas are read for each finding. */
#define MOST_READS 60000u

static struct image image;
static uint64_t root;

static const uint64_t places[] = {
	GUEST_SMALL, GUEST_LARGE, GUEST_DIRECT + 0x7000, GUEST_KMAP, 0x400000, GUEST_IMAGE + 0x1000,
};

static void build(uint8_t how)
{
	unsigned int width = how & 1 ? 4 : 8;

	image_init(&image, NR_FRAMES, width);
	root = image_frame(&image, (width == 4 ? FRAME_L3 : FRAME_L4) | FRAME_PINNED);
	image.vcpus[0].root = root;
	memset(fake_symbols, 0, sizeof(fake_symbols));
	if (width == 8 && how & 2) {
		guest_pvmm(&image, root);
	} else if (width == 8) {
		guest_linux(&image, root, GUEST_SMALL, 4);
		fake_symbols[0] = (struct fake_symbol){"vmap_area_root", GUEST_LINUX_TREE};
		fake_symbols[1] = (struct fake_symbol){"init_task", GUEST_LINUX_TREE};
		fake_symbols[2] = (struct fake_symbol){"page_offset_base", GUEST_LINUX_TREE + 8};
	}
	for (unsigned int i = 0; i < TOOL_ARRAY_SIZE(places); i++)
		image_map(&image, root, width == 4 ? (uint32_t)places[i] : places[i],
			  IMAGE_BASE + 60 + i, ENTRY_RW);
	if (how & 4)
		image_publish_tree(&image);
	else if (how & 8)
		image_publish_list(&image, root, width == 4 ? 0xd0000000 : 0xffffe90000000000ULL);
}

/* A value: small, an entry for one of the frames, or anything. */
static uint64_t value(struct fuzz_input *in)
{
	uint8_t kind = fuzz_byte(in);

	switch (kind % 4) {
	case 0:
		return fuzz_byte(in);
	case 1:
		return (IMAGE_BASE + fuzz_byte(in) % (NR_FRAMES + 8)) << 12 | (kind >> 2) |
		       ENTRY_PRESENT;
	case 2:
		return IMAGE_BASE + fuzz_byte(in) % (NR_FRAMES + 8);
	default:
		return fuzz_bytes(in, 8);
	}
}

static void change_vcpu(struct fuzz_input *in)
{
	struct dom_vcpu *v = &image.vcpus[fuzz_byte(in) % 2];

	image.vcpu_is_down[1] = false;
	v->root = value(in);
	v->user_root = value(in);
	v->nr_gdt = fuzz_byte(in) % (DOM_GDT_FRAMES + 1);
	v->gdt[0] = value(in);
	v->ldt_va = value(in);
	v->ldt_entries = fuzz_byte(in) * 32u;
}

static void change(struct fuzz_input *in)
{
	unsigned int frame = fuzz_byte(in) % NR_FRAMES, slot;

	switch (fuzz_byte(in) % 8) {
	case 0:
		image.types[frame] = fuzz_byte(in) & (FRAME_TYPE | FRAME_PINNED);
		return;
	case 1:
		image.pfns[frame] = value(in);
		return;
	case 2:
		image.unreadable[frame] = true;
		return;
	case 3:
		change_vcpu(in);
		return;
	case 4:
		image_publish_word(&image, fuzz_byte(in) % 5, value(in));
		return;
	case 5:
		image.grants[0].mfn = value(in);
		image.nr_grants = 1;
		return;
	default:
		slot = fuzz_byte(in) * 2u + (fuzz_byte(in) & 1u);
		image_page(&image, IMAGE_BASE + frame)[slot] = value(in);
		return;
	}
}

static void must_be_printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		fuzz_must((text[i] >= ' ' && text[i] < 0x7f) || text[i] == '\n');
}

static void tell(const struct report *report, const uint64_t *mfns, unsigned int nr)
{
	struct json j = {0};
	size_t len = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);

	fuzz_must(out);
	j.out = out;
	report_domain_text(report, out);
	json_object(&j, NULL);
	report_domain_json(report, &j);
	json_array(&j, "frames");
	for (unsigned int i = 0; i < nr; i++) {
		report_json(report, &j, mfns[i]);
	}
	json_end_array(&j);
	json_end_object(&j);
	for (unsigned int i = 0; i < nr; i++)
		report_text(report, out, mfns[i]);
	report_notes_text(report, out);
	fclose(out);
	must_be_printable(text, len);
	free(text);
}

static void look(void)
{
	static struct naming naming;
	static struct reader reader;
	uint64_t mfns[TOOL_ARRAY_SIZE(places) + 2] = {root, IMAGE_BASE + 3};
	const struct search_request request = {
		.mfns = mfns, .nr_mfns = TOOL_ARRAY_SIZE(mfns), .max_findings = 200};
	struct search_result result;
	struct census census;

	for (unsigned int i = 0; i < TOOL_ARRAY_SIZE(places); i++)
		mfns[i + 2] = IMAGE_BASE + 60 + i;
	fuzz_must(!reader_open(&reader, &image.dom, NULL));
	fuzz_must(!naming_open(&naming, &reader, FAKE_LIST));
	fuzz_must(!inspect_add_tables(&naming.inspect, &reader));
	fuzz_must(!search(&reader, &request, &result));
	tell(&(struct report){.reader = &reader,
			      .naming = &naming,
			      .result = &result,
			      .shows_paths = true},
	     mfns, request.nr_mfns);
	fuzz_must(!census_take(&reader, &census));
	fuzz_must(!inspect_mark_free(&naming.inspect, &census));
	fuzz_must(!census_mark_strays(&reader, &census, naming_direct_map(&naming), root));
	census_free(&census);
	search_free(&result);
	reader_close(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, data + size};

	build(fuzz_byte(&in));
	while (fuzz_more(&in))
		change(&in);
	look();
	fuzz_must(!image.nr_foreign_reads);
	fuzz_must(image.nr_reads < MOST_READS);
	image_free(&image);
	return 0;
}
