/* SPDX-License-Identifier: MIT */
/*
 * Owns what a sequence does. From a seed alone: nothing here knows what came of an operation, so a
 * part of a sequence is the same operations on both sides, too.
 *
 * Pages have roles (data, tables of level 1 to 4), which most operations respect: a sequence opens
 * with tables that are filled from the bottom up, made read-only and pinned, and goes on with
 * changes to them. How many operations break the rules is another choice of the seed's, so that
 * some sequences are valid nearly throughout and others wild.
 */
#include <pvmm/xen.h>
#include <xen/grant_table.h>
#include "generate.h"

static struct diff_op *ops_made;
static unsigned int nr_ops;

static struct diff_op *new_op(enum diff_kind kind)
{
	static struct diff_op behind_the_end;
	struct diff_op *op = nr_ops < DIFF_OPS ? &ops_made[nr_ops++] : &behind_the_end;

	*op = (struct diff_op){.kind = (uint8_t)kind, .foreign = DOMID_SELF};
	return op;
}

static struct diff_item *new_item(struct diff_op *op)
{
	static struct diff_item behind_the_end;
	struct diff_item *item = op->nr < DIFF_ITEMS ? &op->item[op->nr++] : &behind_the_end;

	*item = (struct diff_item){.kind = op->kind};
	return item;
}

static void make_store(struct diff_item *item, unsigned int page)
{
	item->page = (uint8_t)page;
	item->slot = (uint16_t)choose_slot(choose_level_of(page));
	choose_entry(item, choose_level_of(page));
	if (page < PAGE_L1 && choose_chance(15)) {
		item->frame = FRAME_NONE;
		item->flags = choose_descriptor();
	}
}

/* An entry for a table of the same level, or the table itself, as Xen accepts it (rule 14). */
static void make_linear(struct diff_item *item)
{
	item->frame = (uint8_t)choose_page(choose_level_of(item->page));
	item->flags = PVMM_PROT_TABLE & ~PVMM_PTE_RW;
}

static void make_update(struct diff_item *item)
{
	item->kind = DIFF_UPDATE;
	item->cmd = choose_chance(20) ? MMU_PT_UPDATE_PRESERVE_AD : MMU_NORMAL_PT_UPDATE;
	make_store(item, choose_table());
	if (choose_level_of(item->page) > 1 && choose_chance(15))
		make_linear(item);
	if (choose_chance(8))
		item->cmd = MMU_PT_UPDATE_NO_TRANSLATE;
	if (choose_wild())
		item->cmd = (uint8_t)choose_below(8);
	if (choose_chance(4))
		item->cmd = MMU_MACHPHYS_UPDATE;
	if (choose_wild())
		item->page =
			(uint8_t)(choose_chance(50) ? choose_below(DIFF_PAGES) : choose_special());
	if (item->page == FRAME_KERNEL_ROOT)
		item->page = FRAME_FOREIGN;
	/* The right value: what a wrong one does is the domain's own trouble. */
	if (item->cmd == MMU_MACHPHYS_UPDATE)
		item->frame = item->page;
}

static void make_map(struct diff_item *item, enum diff_place place, unsigned int number)
{
	item->kind = DIFF_MAP;
	item->place = (uint8_t)place;
	item->number = (uint16_t)number;
	item->flush = (uint8_t)(choose_wild()	    ? choose_below(4)
				: choose_chance(50) ? UVMF_INVLPG
						    : UVMF_TLB_FLUSH);
	item->mask = (uint8_t)(choose_wild() ? choose_below(4) : choose_below(3));
	choose_entry(item, 1);
}

/* The direct-map entry of a page: read-only before it can be a table, and back. */
static void make_protect(struct diff_item *item, unsigned int page, bool readonly)
{
	make_map(item, PLACE_DIRECT_MAP, page);
	item->frame = (uint8_t)page;
	item->flags = readonly ? PVMM_PROT_RO : PVMM_PROT_RW;
}

static void make_any_map(struct diff_item *item)
{
	/* One choice a statement: in which order a call's arguments are worked out is open. */
	unsigned int choice = choose_below(100);
	bool readonly = choose_chance(75);

	if (choice < 45)
		make_protect(item, choose_wild() ? choose_below(DIFF_PAGES) : choose_table(),
			     readonly);
	else if (choice < 80)
		make_map(item, PLACE_WINDOW, choose_below(DIFF_WINDOW));
	else if (choice < 85)
		make_map(item, PLACE_DIRECT_MAP, choose_below(DIFF_PAGES));
	else if (choice < 96)
		make_map(item, PLACE_LOW, choose_below(256) & 0x5f);
	else
		make_map(item, readonly ? PLACE_XEN : PLACE_WILD, choose_below(16));
}

static void make_pin(struct diff_item *item, unsigned int page)
{
	unsigned int level = choose_level_of(page);

	item->kind = DIFF_EXT;
	item->page = (uint8_t)page;
	if (choose_wild() || !level)
		level = 1 + choose_below(4);
	item->cmd = (uint8_t)(MMUEXT_PIN_L1_TABLE + level - 1);
}

static void make_ext(struct diff_item *item)
{
	static const uint8_t others[] = {
		MMUEXT_TLB_FLUSH_LOCAL,
		MMUEXT_INVLPG_LOCAL,
		MMUEXT_TLB_FLUSH_MULTI,
		MMUEXT_INVLPG_MULTI,
		MMUEXT_TLB_FLUSH_ALL,
		MMUEXT_INVLPG_ALL,
		MMUEXT_FLUSH_CACHE,
		MMUEXT_FLUSH_CACHE_GLOBAL,
		MMUEXT_SET_LDT,
		MMUEXT_MARK_SUPER,
		MMUEXT_UNMARK_SUPER,
		14,
		21,
		99,
	};
	unsigned int choice = choose_below(100);

	item->kind = DIFF_EXT;
	item->page = (uint8_t)choose_table();
	item->frame = (uint8_t)choose_below(DIFF_PAGES);
	item->mask = (uint8_t)(choose_wild() ? MASK_BAD : MASK_GOOD);
	item->number = (uint16_t)choose_below(3);
	if (choice < 40) {
		make_pin(item, item->page);
	} else if (choice < 62) {
		item->cmd = MMUEXT_UNPIN_TABLE;
	} else if (choice < 72) {
		item->cmd = MMUEXT_NEW_USER_BASEPTR;
		item->page = (uint8_t)(choose_chance(60) ? choose_page(4) : FRAME_NONE);
	} else if (choice < 79) {
		item->cmd = MMUEXT_CLEAR_PAGE;
		item->page = (uint8_t)choose_below(DIFF_PAGES);
	} else if (choice < 85) {
		item->cmd = MMUEXT_COPY_PAGE;
		item->page = (uint8_t)choose_below(DIFF_PAGES);
		if (choose_wild())
			item->frame = FRAME_FOREIGN + choose_below(FRAME_NONE - FRAME_FOREIGN);
	} else {
		item->cmd = others[choose_below(PVMM_ARRAY_SIZE(others) - (choose_wild() ? 0 : 8))];
	}
	if (choose_wild() && choose_chance(40))
		item->page = (uint8_t)choose_special();
	if (item->cmd == MMUEXT_UNPIN_TABLE && item->page == FRAME_KERNEL_ROOT)
		item->page = FRAME_XEN;
}

static void op_protect(unsigned int first, unsigned int end)
{
	while (first < end) {
		struct diff_op *op = new_op(DIFF_MULTICALL);

		for (; first < end && op->nr < DIFF_ITEMS; first++)
			if (!choose_wild() || choose_chance(70))
				make_protect(new_item(op), first, true);
	}
}

static void op_fill(unsigned int level)
{
	struct diff_op *op = new_op(DIFF_STORE);

	while (op->nr < DIFF_ITEMS)
		make_store(new_item(op), choose_page(level));
}

/* An opening: tables from the bottom up, as far as the seed says, pinned or at least ready. */
static void open_sequence(void)
{
	unsigned int top = choose_chance(70) ? 4 : 1 + choose_below(4);

	for (unsigned int level = 1; level <= top; level++) {
		op_fill(level);
		if (choose_chance(30))
			op_fill(level);
	}
	for (unsigned int i = choose_below(3); i && top == 4; i--) {
		struct diff_op *op = new_op(DIFF_KERNEL_HALF);

		op->item[op->nr++] = (struct diff_item){.page = (uint8_t)choose_page(4)};
	}
	op_protect(choose_first(1), choose_first(top + 1));
	for (unsigned int i = 1 + choose_below(3); i; i--) {
		struct diff_op *op = new_op(DIFF_EXT);

		make_pin(new_item(op), choose_page(choose_wild() ? 1 + choose_below(4) : top));
	}
}

static void op_multicall(void)
{
	struct diff_op *op = new_op(DIFF_MULTICALL);

	for (unsigned int n = 2 + choose_below(DIFF_ITEMS - 1); n; n--) {
		struct diff_item *item = new_item(op);
		unsigned int choice = choose_below(100);

		if (choice < 35)
			make_any_map(item);
		else if (choice < 65)
			make_update(item);
		else if (choice < 97)
			make_ext(item);
		else
			*item = (struct diff_item){.kind = DIFF_KINDS,
						   .cmd = (uint8_t)choose_below(2)};
	}
}

static void op_many(void)
{
	struct diff_op *op = new_op(DIFF_MANY);
	struct diff_item *item = new_item(op);

	make_store(item, choose_chance(70) ? choose_page(1) : choose_table());
	item->slot = (uint16_t)(1 + choose_below(7));
	item->cmd = (uint8_t)choose_below(2); /* one slot again and again, or one after the other */
	op->count = (uint16_t)(32 + choose_below(PVMM_PT_ENTRIES - 40));
}

static void op_huge(void)
{
	struct diff_op *op = new_op(DIFF_HUGE);
	struct diff_item *item = new_item(op);

	item->cmd = (uint8_t)choose_below(2);
	item->mask = (uint8_t)choose_below(4);
	op->count = (uint16_t)choose_below(4);
}

static void op_load(void)
{
	struct diff_op *op = new_op(DIFF_LOAD);

	new_item(op)->page = (uint8_t)(choose_chance(65) ? choose_page(4)
				       : choose_wild()	 ? choose_below(FRAME_NONE)
							 : FRAME_KERNEL_ROOT);
}

/* Whose: mostly our own; what is not allowed, what does not exist. */
static void choose_owner(struct diff_op *op)
{
	static const uint32_t owners[] = {
		0,
		DOMID_IO,
		DOMID_XEN,
		DOMID_COW,
		DOMID_INVALID,
		1234,
		1u << 16,
		1235u << 16 | DOMID_SELF,
		(DOMID_IO + 1u) << 16 | DOMID_SELF,
		DOMID_IO,
	};

	if (choose_wild() && choose_chance(30))
		op->foreign = owners[choose_below(PVMM_ARRAY_SIZE(owners))];
}

/* Whose memory: another number space, without M2P and page-table owners. */
static void choose_domid(struct diff_op *op)
{
	static const uint32_t domids[] = {0, DOMID_IO, DOMID_XEN, DOMID_INVALID, 0x7000};

	if (choose_wild() && choose_chance(20))
		op->foreign = domids[choose_below(PVMM_ARRAY_SIZE(domids))];
}

/*
 * Pages whose frames are to go. One that is to be exchanged twice in a call would have its old
 * frame looked at when that may be another page's new one.
 */
static bool is_named(const struct diff_op *op, unsigned int page)
{
	for (unsigned int i = 0; i + 1 < op->nr; i++)
		if (op->item[i].page == page)
			return true;
	return false;
}

/* Data rather than tables, which are mostly in use. */
static void op_frames(enum diff_kind kind)
{
	struct diff_op *op = new_op(kind);

	for (unsigned int n = choose_chance(60) ? 1 : 2 + choose_below(3); n; n--) {
		struct diff_item *item = new_item(op);

		item->page =
			(uint8_t)(choose_chance(40) ? choose_page(0) : choose_below(DIFF_PAGES));
		item->prepare = choose_chance(80) ? PREPARE_ALL : PREPARE_NOT;
		if (choose_wild() && choose_chance(40))
			item->page =
				(uint8_t)(FRAME_FOREIGN + choose_below(FRAME_NONE - FRAME_FOREIGN));
		if (kind == DIFF_EXCHANGE && is_named(op, item->page))
			op->nr--;
	}
	if (choose_wild() && choose_chance(40))
		op->item[0].number = (uint16_t)choose_below(EXCHANGE_LIST + 1);
	choose_domid(op);
}

static void op_grant(void)
{
	struct diff_item *item = new_item(new_op(DIFF_GRANT));

	item->page = (uint8_t)choose_below(DIFF_PAGES);
	item->place = (uint8_t)choose_below(GRANT_ENTRY + 1);
	if (choose_wild())
		item->place = (uint8_t)choose_below(GRANT_NOWHERE + 1);
	item->number = (uint16_t)choose_below(
		item->place == GRANT_PLACE || item->place == GRANT_DEVICE ? DIFF_GRANTS
									  : DIFF_WINDOW);
	item->frame = (uint8_t)(choose_wild() ? choose_below(DIFF_PAGES) : choose_page(1));
	item->slot = (uint16_t)choose_slot(1);
	item->flags = choose_chance(40) ? 0 : GNTMAP_readonly;
	if (choose_chance(30))
		item->flags |= GNTMAP_application_map;
	if (choose_chance(10))
		item->flags |= 3u << _GNTMAP_guest_avail0;
	if (choose_wild() && choose_chance(30))
		item->page = (uint8_t)choose_special();
}

static void op_gdt(void)
{
	struct diff_op *op = new_op(DIFF_GDT);

	for (unsigned int n = choose_below(4); n; n--)
		new_item(op)->page = (uint8_t)(choose_wild()	   ? choose_below(FRAME_NONE)
					       : choose_chance(80) ? choose_page(0)
								   : choose_table());
	op->count = (uint16_t)(op->nr * 512u - (op->nr ? choose_below(512) : 0));
	if (choose_wild() && choose_chance(20))
		op->count = FIRST_RESERVED_GDT_ENTRY + 1;
	if (!op->nr)
		op->item[0].page = FRAME_NONE;
	op->item[0].mask = (uint8_t)(choose_wild() && choose_chance(20) ? MASK_BAD : MASK_GOOD);
}

static void op_descriptor(void)
{
	struct diff_item *item = new_item(new_op(DIFF_DESCRIPTOR));

	item->page = (uint8_t)(choose_chance(70) ? choose_page(0) : choose_below(DIFF_PAGES));
	item->slot = (uint16_t)choose_below(6);
	item->flags = choose_descriptor();
	if (choose_wild() && choose_chance(20))
		item->cmd = 4;
	if (choose_wild() && choose_chance(30))
		item->page = (uint8_t)(FRAME_FOREIGN + choose_below(FRAME_NONE - FRAME_FOREIGN));
}

/* What makes pages come and go, or be something else than tables. */
static void owned_op(void)
{
	unsigned int choice = choose_below(100);

	if (choice < 28)
		op_frames(DIFF_EXCHANGE);
	else if (choice < 52)
		op_frames(DIFF_BALLOON);
	else if (choice < 56)
		op_frames(DIFF_INCREASE);
	else if (choice < 82)
		op_grant();
	else if (choice < 92)
		op_gdt();
	else
		op_descriptor();
}

static void some_op(void)
{
	unsigned int choice = choose_below(115), n;
	struct diff_op *op;

	if (choice < 12) {
		op = new_op(DIFF_STORE);
		for (n = 1 + choose_below(4); n; n--)
			make_store(new_item(op),
				   choose_wild() ? choose_below(DIFF_PAGES) : choose_table());
	} else if (choice < 15) {
		op = new_op(DIFF_KERNEL_HALF);
		op->item[op->nr++] = (struct diff_item){.page = (uint8_t)choose_page(4)};
	} else if (choice < 40) {
		op = new_op(DIFF_UPDATE);
		for (n = choose_chance(60) ? 1 : 2 + choose_below(DIFF_ITEMS - 1); n; n--)
			make_update(new_item(op));
		choose_owner(op);
	} else if (choice < 64) {
		op = new_op(DIFF_EXT);
		for (n = choose_chance(70) ? 1 : 2 + choose_below(DIFF_ITEMS - 1); n; n--)
			make_ext(new_item(op));
		choose_owner(op);
	} else if (choice < 84) {
		make_any_map(new_item(new_op(DIFF_MAP)));
	} else if (choice < 90) {
		op_load();
	} else if (choice < 96) {
		op_multicall();
	} else if (choice < 99) {
		op_many();
	} else if (choice < 100) {
		op_huge();
	} else {
		owned_op();
	}
}

void diff_generate(uint64_t seed, struct diff_op ops[DIFF_OPS])
{
	choose_start(seed);
	nr_ops = 0;
	ops_made = ops;
	if (choose_chance(80))
		open_sequence();
	while (nr_ops < DIFF_OPS)
		some_op();
}
