/* SPDX-License-Identifier: MIT */
/*
 * See xfs.h. Owns the buffers.
 *
 * Invariant, under the cache's lock: a header is in the free list, or in the list of unused buffers
 * (oldest first), or it has users, or somebody is moving it from the second to the first; a block's
 * record names the header that has it. No memory is allocated under the lock, since the page
 * allocator asks for buffers with whatever locks its caller holds (evict_some).
 */
#include <pvmm/alloc.h>
#include <pvmm/ledger.h>
#include <pvmm/log.h>
#include "thread.h"
#include "xfs.h"

#define WORDS_CHECKED 4 /* of each page */
#define PAGE_WORDS    (PVMM_PAGE_SIZE / sizeof(uint64_t))

/* Given up at once when the page allocator has nothing left. */
#define EVICT_AT_ONCE 8

/* How often a walker waits for others to give memory back. */
#define PATIENCE 1000

#define NO_BUF UINT32_MAX

/* What there is on the disk, and whether it is cached. */
struct xfs_block {
	uint32_t version; /* how often it was written */
	uint32_t buf;	  /* NO_BUF, or its header's number */
};

struct buf {
	struct pvmm_page *pages[XFS_BUF_PAGES];
	void *addr;
	struct xfs *fs;
	uint32_t block;
	uint32_t version;
	uint32_t users;
	uint32_t prev, next; /* headers, in the list that it is in */
};

struct buf_list {
	uint32_t first, last;
};

static struct {
	struct pvmm_spinlock lock;
	struct buf *bufs;
	uint32_t nr_bufs;
	struct buf_list free, unused;
	struct pvmm_vmap_how how;
	uint64_t reserve_pages;
	struct xfs_cache_stats stats;
} cache = {.lock = PVMM_SPINLOCK_INIT};

/* --- lists --- */

static uint32_t number_of(const struct buf *buf)
{
	return (uint32_t)(buf - cache.bufs);
}

static void list_append(struct buf_list *list, struct buf *buf)
{
	buf->prev = list->last;
	buf->next = NO_BUF;
	if (list->last == NO_BUF)
		list->first = number_of(buf);
	else
		cache.bufs[list->last].next = number_of(buf);
	list->last = number_of(buf);
}

static void list_remove(struct buf_list *list, struct buf *buf)
{
	if (buf->prev == NO_BUF)
		list->first = buf->next;
	else
		cache.bufs[buf->prev].next = buf->next;
	if (buf->next == NO_BUF)
		list->last = buf->prev;
	else
		cache.bufs[buf->next].prev = buf->prev;
}

static struct buf *list_take_first(struct buf_list *list)
{
	struct buf *buf;

	if (list->first == NO_BUF)
		return NULL;
	buf = &cache.bufs[list->first];
	list_remove(list, buf);
	return buf;
}

/* --- contents --- */

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15ULL;
	return x ^ x >> 29;
}

/* Words spread over the page, at other places in each block. */
static unsigned int place_of(const struct buf *buf, unsigned int i)
{
	return (unsigned int)((buf->block + i * (PAGE_WORDS / WORDS_CHECKED)) % PAGE_WORDS);
}

static uint64_t word_of(const struct buf *buf, unsigned int page, unsigned int i)
{
	return mix(buf->fs->seed + ((uint64_t)buf->block << 32) + ((uint64_t)buf->version << 12) +
		   page * WORDS_CHECKED + i);
}

static void fill_page(const struct buf *buf, unsigned int page, void *addr)
{
	volatile uint64_t *words = addr;

	for (unsigned int i = 0; i < WORDS_CHECKED; i++)
		words[place_of(buf, i)] = word_of(buf, page, i);
}

static void check_page(const struct buf *buf, unsigned int page, const void *addr, const char *how)
{
	const volatile uint64_t *words = addr;
	uint64_t word, wanted;

	for (unsigned int i = 0; i < WORDS_CHECKED; i++) {
		word = words[place_of(buf, i)];
		wanted = word_of(buf, page, i);
		if (word == wanted)
			continue;
		pvmm_print("xfs: block %u page %u (pfn 0x%llx) through %s: 0x%llx, not 0x%llx\n",
			   buf->block, page,
			   (unsigned long long)pfn_x(pvmm_page_pfn(buf->pages[page])), how,
			   (unsigned long long)word, (unsigned long long)wanted);
		__atomic_fetch_add(&cache.stats.wrong, 1, __ATOMIC_RELAXED);
		return;
	}
}

static void *mapped(const struct buf *buf, unsigned int page)
{
	return (char *)buf->addr + page * PVMM_PAGE_SIZE;
}

static void check_mapped(const struct buf *buf)
{
	for (unsigned int i = 0; i < XFS_BUF_PAGES; i++)
		check_page(buf, i, mapped(buf, i), "its mapping");
}

/* --- giving up --- */

static void pages_put(struct buf *buf)
{
	for (unsigned int i = 0; i < XFS_BUF_PAGES; i++) {
		if (buf->pages[i])
			pvmm_page_put(buf->pages[i]);
		buf->pages[i] = NULL;
	}
}

/* Under the lock: writes the block back, so that it can be read again, into another buffer. */
static void retire(struct buf *buf)
{
	struct xfs_block *block = &buf->fs->blocks[buf->block];

	list_remove(&cache.unused, buf);
	for (unsigned int i = 0; i < XFS_BUF_PAGES; i++)
		check_page(buf, i, pvmm_page_virt(buf->pages[i]), "the direct map");
	block->version = buf->version;
	block->buf = NO_BUF;
	cache.stats.evictions++;
	cache.stats.cached--;
}

/* Mapping and pages of a retired buffer go: without the lock, since others need not wait for it. */
static void xfs_buf_free(struct buf *buf)
{
	if (pvmm_vunmap(buf->addr))
		pvmm_panic("the buffer of block %u is not mapped", buf->block);
	pages_put(buf);
	pvmm_spin_lock(&cache.lock);
	list_append(&cache.free, buf);
	pvmm_spin_unlock(&cache.lock);
}

/* The buffer that was not used for longest, or NULL. */
static struct buf *retire_oldest(void)
{
	struct buf *buf = NULL;

	pvmm_spin_lock(&cache.lock);
	if (cache.unused.first != NO_BUF) {
		buf = &cache.bufs[cache.unused.first];
		retire(buf);
	}
	pvmm_spin_unlock(&cache.lock);
	return buf;
}

static void evict(unsigned int nr)
{
	struct buf *buf;

	while (nr-- && (buf = retire_oldest()))
		xfs_buf_free(buf);
}

/* A page that is to be a page table is not a buffer's: those are in use until they are free. */
static unsigned int evict_some(struct pvmm_page *page, void *ctx)
{
	(void)ctx;
	if (!page)
		evict(EVICT_AT_ONCE);
	return 0;
}

static struct pvmm_notifier notifier = {.name = "xfs buffers", .give_up = evict_some};

/* --- buffers --- */

/* The block's buffer, in use from now on, if it is cached. */
static struct buf *find(const struct xfs *fs, uint32_t block)
{
	struct buf *buf = NULL;

	pvmm_spin_lock(&cache.lock);
	cache.stats.gets++;
	if (fs->blocks[block].buf != NO_BUF) {
		buf = &cache.bufs[fs->blocks[block].buf];
		if (!buf->users++)
			list_remove(&cache.unused, buf);
		cache.stats.hits++;
	}
	pvmm_spin_unlock(&cache.lock);
	return buf;
}

static struct buf *take_header(void)
{
	struct buf *buf;

	pvmm_spin_lock(&cache.lock);
	buf = list_take_first(&cache.free);
	pvmm_spin_unlock(&cache.lock);
	return buf;
}

static void give_header_back(struct buf *buf)
{
	pages_put(buf);
	pvmm_spin_lock(&cache.lock);
	list_append(&cache.free, buf);
	cache.stats.short_of_memory++;
	pvmm_spin_unlock(&cache.lock);
}

/* Memory for the block's contents, read into it, and mapped. */
static int xfs_buf_map(struct buf *buf)
{
	for (unsigned int i = 0; i < XFS_BUF_PAGES; i++) {
		buf->pages[i] = pvmm_page_alloc(0, PVMM_PAGE_KERNEL);
		if (!buf->pages[i])
			return -XEN_ENOMEM;
		fill_page(buf, i, pvmm_page_virt(buf->pages[i]));
	}
	return pvmm_vmap(buf->pages, XFS_BUF_PAGES, PVMM_PROT_RW, &cache.how, &buf->addr);
}

/* Reads a block that is not cached. Only the one thread that uses the file system asks for it. */
static int xfs_buf_read(struct xfs *fs, uint32_t block, struct buf **bufp)
{
	struct buf *buf = pvmm_free_pages() < cache.reserve_pages ? NULL : take_header();
	int err;

	if (!buf) {
		evict(1);
		buf = take_header();
	}
	if (!buf)
		return -XEN_ENOMEM;
	buf->fs = fs;
	buf->block = block;
	buf->version = fs->blocks[block].version;
	buf->users = 1;
	err = xfs_buf_map(buf);
	if (err) {
		give_header_back(buf);
		return err;
	}
	pvmm_spin_lock(&cache.lock);
	fs->blocks[block].buf = number_of(buf);
	cache.stats.cached++;
	pvmm_spin_unlock(&cache.lock);
	*bufp = buf;
	return 0;
}

static int xfs_buf_get(struct xfs *fs, uint32_t block, struct buf **buf)
{
	int err = 0;

	*buf = find(fs, block);
	for (unsigned int i = 0; !*buf && i < PATIENCE; i++) {
		err = xfs_buf_read(fs, block, buf);
		if (err && err != -XEN_ENOMEM)
			return err;
		if (err)
			thread_sleep(1000000);
	}
	if (*buf)
		check_mapped(*buf);
	return err;
}

static void xfs_buf_put(struct buf *buf)
{
	pvmm_spin_lock(&cache.lock);
	if (!--buf->users)
		list_append(&cache.unused, buf);
	pvmm_spin_unlock(&cache.lock);
}

static void xfs_buf_write(struct buf *buf)
{
	buf->version++;
	for (unsigned int i = 0; i < XFS_BUF_PAGES; i++)
		fill_page(buf, i, mapped(buf, i));
	__atomic_fetch_add(&cache.stats.writes, 1, __ATOMIC_RELAXED);
}

/* --- the tree --- */

static bool is_stopped(const struct xfs *fs)
{
	return fs->stop && __atomic_load_n(fs->stop, __ATOMIC_RELAXED);
}

static uint32_t child_of(uint32_t block, unsigned int i)
{
	return block * XFS_FANOUT + 1 + i;
}

/* What is in a directory is looked at, and one of it written. */
static int list_directory(struct xfs *fs, uint32_t block)
{
	struct buf *buf;

	for (unsigned int i = 0; i < XFS_FANOUT && !is_stopped(fs); i++) {
		int err = xfs_buf_get(fs, child_of(block, i), &buf);

		if (err)
			return err;
		if (i == block % XFS_FANOUT)
			xfs_buf_write(buf);
		xfs_buf_put(buf);
	}
	if (fs->between)
		fs->between();
	else
		thread_yield();
	return 0;
}

/* The directory's own buffer stays in use as long as somebody is in it. */
static int walk(struct xfs *fs, uint32_t block)
{
	struct buf *buf;
	int err = xfs_buf_get(fs, block, &buf);

	if (err)
		return err;
	if (block < fs->nr_inner)
		err = list_directory(fs, block);
	for (unsigned int i = 0; !err && i < XFS_FANOUT && !is_stopped(fs); i++)
		if (child_of(block, i) < fs->nr_inner)
			err = walk(fs, child_of(block, i));
	check_mapped(buf);
	xfs_buf_put(buf);
	return err;
}

int xfs_walk(struct xfs *fs)
{
	return walk(fs, 0);
}

/* --- beginning and end --- */

int xfs_mount(struct xfs *fs, unsigned int levels, uint64_t seed)
{
	static const struct pvmm_vmap_how how = {.name = "xfs_blocks"};
	void *addr;
	int err;

	*fs = (struct xfs){.seed = mix(seed)};
	for (; levels; levels--) {
		fs->nr_inner = fs->nr_blocks;
		fs->nr_blocks = fs->nr_blocks * XFS_FANOUT + 1;
	}
	err = pvmm_vmalloc(fs->nr_blocks * sizeof(*fs->blocks), &how, &addr);
	if (err)
		return err;
	fs->blocks = addr;
	for (uint32_t i = 0; i < fs->nr_blocks; i++)
		fs->blocks[i] = (struct xfs_block){0, NO_BUF};
	return 0;
}

/* The block's buffer, retired; or NULL. */
static struct buf *retire_block(const struct xfs *fs, uint32_t block)
{
	struct buf *buf = NULL;

	pvmm_spin_lock(&cache.lock);
	if (fs->blocks[block].buf != NO_BUF) {
		buf = &cache.bufs[fs->blocks[block].buf];
		retire(buf);
	}
	pvmm_spin_unlock(&cache.lock);
	return buf;
}

void xfs_unmount(struct xfs *fs)
{
	for (uint32_t i = 0; i < fs->nr_blocks; i++) {
		struct buf *buf = retire_block(fs, i);

		if (buf)
			xfs_buf_free(buf);
	}
	if (pvmm_vfree(fs->blocks))
		pvmm_panic("a file system is unmounted twice");
}

int xfs_cache_start(enum pvmm_vmap_policy policy, uint64_t reserve_pages)
{
	static const struct pvmm_vmap_how how = {.name = "xfs_headers"};
	void *addr;
	int err;

	cache.nr_bufs = (uint32_t)(pvmm_free_pages() / XFS_BUF_PAGES);
	err = pvmm_vmalloc(cache.nr_bufs * sizeof(*cache.bufs), &how, &addr);
	if (err)
		return err;
	cache.bufs = addr;
	cache.how = (struct pvmm_vmap_how){.name = "xfs_buf", .policy = policy};
	cache.reserve_pages = reserve_pages;
	cache.stats = (struct xfs_cache_stats){0};
	cache.free = cache.unused = (struct buf_list){NO_BUF, NO_BUF};
	for (uint32_t i = 0; i < cache.nr_bufs; i++) {
		cache.bufs[i] = (struct buf){0};
		list_append(&cache.free, &cache.bufs[i]);
	}
	pvmm_notifier_add(&notifier);
	return 0;
}

void xfs_cache_stop(void)
{
	pvmm_notifier_remove(&notifier);
	if (pvmm_vfree(cache.bufs))
		pvmm_panic("the buffer cache is stopped twice");
	cache.bufs = NULL;
}

struct xfs_cache_stats xfs_cache_stats(void)
{
	struct xfs_cache_stats now;

	pvmm_spin_lock(&cache.lock);
	now = cache.stats;
	pvmm_spin_unlock(&cache.lock);
	return now;
}
