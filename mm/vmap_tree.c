/* SPDX-License-Identifier: MIT */
/*
 * Owns the tree of taken ranges of the vmap region: an AVL tree by address, in which each node
 * knows the largest gap between two ranges below it, counted in pages and in whole chunks. So the
 * lowest gap that is large enough is found on one way down, for any number of ranges (R11).
 *
 * Invariant, under the lock: ranges are disjoint; the heights of a node's subtrees differ by at
 * most 1; first, last, gap and chunk_gap say what is below.
 */
#include <pvmm/log.h>
#include <pvmm/spinlock.h>
#include "vmap_tree.h"

/* Guards the tree. Inside a vmap pool's lock; nothing is locked inside it. */
static struct pvmm_spinlock lock = PVMM_SPINLOCK_INIT;
struct vmap_range *vmap_tree_root;
static uint64_t nr_ranges, nr_steps;

void vmap_tree_init(void)
{
	vmap_tree_root = NULL;
	nr_ranges = nr_steps = 0;
}

static uint64_t read_locked(const uint64_t *number)
{
	uint64_t now;

	pvmm_spin_lock(&lock);
	now = *number;
	pvmm_spin_unlock(&lock);
	return now;
}

uint64_t vmap_tree_nr(void)
{
	return read_locked(&nr_ranges);
}

uint64_t vmap_tree_steps(void)
{
	return read_locked(&nr_steps);
}

/* --- what a node knows of its subtree --- */

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint8_t height_of(const struct vmap_range *n)
{
	return n ? n->height : 0;
}

/* Aligned chunks in the gap [low, high). */
static uint64_t chunks_in(uint64_t low, uint64_t high)
{
	uint64_t first = (low + CHUNK_SLOTS - 1) / CHUNK_SLOTS, end = high / CHUNK_SLOTS;

	return end > first ? end - first : 0;
}

static void update(struct vmap_range *n)
{
	const struct vmap_range *l = n->left, *r = n->right;

	n->height = (uint8_t)(1 + max(height_of(l), height_of(r)));
	n->first = l ? l->first : n->start;
	n->last = r ? r->last : n->end;
	n->gap = n->chunk_gap = 0;
	if (l) {
		n->gap = max(l->gap, n->start - l->last);
		n->chunk_gap = max(l->chunk_gap, chunks_in(l->last, n->start));
	}
	if (r) {
		n->gap = max(n->gap, max(r->gap, r->first - n->end));
		n->chunk_gap = max(n->chunk_gap, max(r->chunk_gap, chunks_in(n->end, r->first)));
	}
}

/* --- balance --- */

/* A subtree leans on a child; if it is not there the heights are wrong, and so is all else. */
static struct vmap_range *require(struct vmap_range *child)
{
	if (!child)
		pvmm_panic("the vmap tree leans on a node that is not there");
	return child;
}

static struct vmap_range *rotate_right(struct vmap_range *n)
{
	struct vmap_range *up = require(n->left);

	n->left = up->right;
	up->right = n;
	update(n);
	return up;
}

static struct vmap_range *rotate_left(struct vmap_range *n)
{
	struct vmap_range *up = require(n->right);

	n->right = up->left;
	up->left = n;
	update(n);
	return up;
}

/* Brings a node whose subtrees are right up to date; returns what stands in its place. */
static struct vmap_range *balance(struct vmap_range *n)
{
	int lean = height_of(n->left) - height_of(n->right);

	nr_steps++;
	if (lean > 1) {
		if (height_of(n->left->left) < height_of(n->left->right))
			n->left = rotate_left(n->left);
		update(n->left);
		n = rotate_right(n);
	} else if (lean < -1) {
		if (height_of(n->right->right) < height_of(n->right->left))
			n->right = rotate_right(n->right);
		update(n->right);
		n = rotate_left(n);
	}
	update(n);
	return n;
}

static struct vmap_range *insert(struct vmap_range *n, struct vmap_range *range)
{
	if (!n)
		return range;
	if (range->start < n->start)
		n->left = insert(n->left, range);
	else
		n->right = insert(n->right, range);
	return balance(n);
}

/* Takes the lowest node out of a subtree. */
static struct vmap_range *take_lowest(struct vmap_range *n, struct vmap_range **lowest)
{
	if (!n->left) {
		*lowest = n;
		return n->right;
	}
	n->left = take_lowest(n->left, lowest);
	return balance(n);
}

static struct vmap_range *remove(struct vmap_range *n, struct vmap_range *range)
{
	struct vmap_range *successor;

	if (!n)
		pvmm_panic("vmap pages 0x%llx to 0x%llx are given back but were not taken",
			   (unsigned long long)range->start, (unsigned long long)range->end);
	if (n != range) {
		if (range->start < n->start)
			n->left = remove(n->left, range);
		else
			n->right = remove(n->right, range);
		return balance(n);
	}
	if (!n->left || !n->right)
		return n->left ? n->left : n->right;
	n->right = take_lowest(n->right, &successor);
	successor->left = n->left;
	successor->right = n->right;
	return balance(successor);
}

/* --- finding a gap --- */

/* The first page in [low, high) at which the wish fits, or UINT64_MAX. */
static uint64_t place_in(const struct vmap_wish *w, uint64_t low, uint64_t high)
{
	uint64_t start = (low + w->align - 1) & ~(w->align - 1);

	return start >= low && start < high && high - start >= w->nr_pages ? start : UINT64_MAX;
}

/* Whether some gap inside the subtree may do: never no by mistake, and seldom yes by mistake. */
static bool may_fit_inside(const struct vmap_range *n, const struct vmap_wish *w)
{
	if (w->align == CHUNK_SLOTS)
		return n->chunk_gap * CHUNK_SLOTS >= w->nr_pages;
	return n->gap >= w->nr_pages;
}

/*
 * The lowest place in [low, high), which no range outside the subtree reaches into. Only at the
 * ends of the window, and for alignments other than a page's and a chunk's, can a way down be
 * wrong.
 */
static uint64_t find_gap(const struct vmap_range *n, const struct vmap_wish *w, uint64_t low,
			 uint64_t high)
{
	uint64_t start = UINT64_MAX;

	nr_steps++;
	if (low >= high)
		return UINT64_MAX;
	if (!n)
		return place_in(w, low, high);
	if (!may_fit_inside(n, w) && place_in(w, low, n->first) == UINT64_MAX &&
	    place_in(w, max(low, n->last), high) == UINT64_MAX)
		return UINT64_MAX;
	if (low < n->start)
		start = find_gap(n->left, w, low, n->start < high ? n->start : high);
	if (start == UINT64_MAX && high > n->end)
		start = find_gap(n->right, w, max(low, n->end), high);
	return start;
}

bool vmap_tree_take(struct vmap_range *range, const struct vmap_wish *wish)
{
	/* Padded so that any gap that is large enough is aligned enough: the search goes one way.
	 */
	const bool odd_align = wish->align != 1 && wish->align != CHUNK_SLOTS;
	struct vmap_wish padded = *wish;
	uint64_t start;

	padded.nr_pages += odd_align ? wish->align - 1 : 0;
	pvmm_spin_lock(&lock);
	start = find_gap(vmap_tree_root, &padded, wish->low, wish->high);
	if (start == UINT64_MAX && odd_align)
		start = find_gap(vmap_tree_root, wish, wish->low, wish->high);
	if (start != UINT64_MAX) {
		range->start = start;
		range->end = start + wish->nr_pages;
		range->left = range->right = NULL;
		update(range);
		vmap_tree_root = insert(vmap_tree_root, range);
		nr_ranges++;
	}
	pvmm_spin_unlock(&lock);
	return start != UINT64_MAX;
}

void vmap_tree_give(struct vmap_range *range)
{
	pvmm_spin_lock(&lock);
	vmap_tree_root = remove(vmap_tree_root, range);
	nr_ranges--;
	pvmm_spin_unlock(&lock);
}

struct vmap_range *vmap_tree_find(uint64_t page)
{
	struct vmap_range *n;

	pvmm_spin_lock(&lock);
	for (n = vmap_tree_root; n && (page < n->start || page >= n->end);)
		n = page < n->start ? n->left : n->right;
	pvmm_spin_unlock(&lock);
	return n;
}

bool vmap_tree_next(uint64_t page, struct vmap_place *place)
{
	const struct vmap_range *best = NULL;

	pvmm_spin_lock(&lock);
	for (const struct vmap_range *n = vmap_tree_root; n;) {
		if (page < n->end)
			best = n;
		n = page < n->end ? n->left : n->right;
	}
	if (best)
		*place = (struct vmap_place){best->start, best->end, best->is_chunk};
	pvmm_spin_unlock(&lock);
	return best;
}

static void visit_below(const struct vmap_range *n,
			void (*visit)(const struct vmap_range *range, void *ctx), void *ctx)
{
	if (!n)
		return;
	visit_below(n->left, visit, ctx);
	visit(n, ctx);
	visit_below(n->right, visit, ctx);
}

void vmap_tree_visit(void (*visit)(const struct vmap_range *range, void *ctx), void *ctx)
{
	pvmm_spin_lock(&lock);
	visit_below(vmap_tree_root, visit, ctx);
	pvmm_spin_unlock(&lock);
}

/* --- audit --- */

static bool node_is_right(const struct vmap_range *n)
{
	struct vmap_range is = *n;
	int lean = height_of(n->left) - height_of(n->right);

	update(&is);
	return n->start < n->end && lean >= -1 && lean <= 1 && is.height == n->height &&
	       is.first == n->first && is.last == n->last && is.gap == n->gap &&
	       is.chunk_gap == n->chunk_gap && (!n->left || n->left->last <= n->start) &&
	       (!n->right || n->right->first >= n->end);
}

static unsigned int audit(const struct vmap_range *n, uint64_t *nr)
{
	unsigned int problems;

	if (!n)
		return 0;
	problems = audit(n->left, nr) + audit(n->right, nr);
	++*nr;
	if (node_is_right(n))
		return problems;
	pvmm_log(PVMM_ERROR,
		 "audit: vmap range 0x%llx to 0x%llx, height %u, does not know its subtree",
		 (unsigned long long)n->start, (unsigned long long)n->end, n->height);
	return problems + 1;
}

unsigned int vmap_tree_audit(void)
{
	unsigned int problems;
	uint64_t nr = 0;

	pvmm_spin_lock(&lock);
	problems = audit(vmap_tree_root, &nr);
	if (nr != nr_ranges) {
		pvmm_log(PVMM_ERROR, "audit: the vmap tree has %llu ranges, counted as %llu",
			 (unsigned long long)nr, (unsigned long long)nr_ranges);
		problems++;
	}
	pvmm_spin_unlock(&lock);
	return problems;
}
