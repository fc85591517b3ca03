/* SPDX-License-Identifier: MIT */
/* Says in words what an operation is, what came of it, and what a sequence has left behind. */
#include <pvmm/batch.h>
#include <pvmm/log.h>
#include <pvmm/xen.h>
#include "sequence.h"

#define ENTRIES_SHOWN 40u

struct text {
	char *buf;
	size_t len_bytes, at;
};

static void add(struct text *t, const char *fmt, ...) PVMM_PRINTF(2, 3);

static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	if (t->at >= t->len_bytes)
		return;
	va_start(ap, fmt);
	t->at += (size_t)pvmm_vsnprintf(t->buf + t->at, t->len_bytes - t->at, fmt, ap);
	va_end(ap);
}

static void add_frame(struct text *t, unsigned int frame)
{
	static const char *const names[] = {"the kernel's root", "a foreign frame",
					    "a frame of Xen",	 "an MMIO frame",
					    "a frame outside",	 "frame all ones",
					    "no frame",		 "a kernel L3",
					    "another frame"};

	if (frame < DIFF_PAGES)
		add(t, "page %u", frame);
	else if (frame - DIFF_PAGES < PVMM_ARRAY_SIZE(names))
		add(t, "%s", names[frame - DIFF_PAGES]);
	else
		add(t, "no frame but 0x%x", frame);
}

static void add_flags(struct text *t, uint64_t flags)
{
	static const char *const names[] = {" P", " RW", " US",	 " PWT", " PCD",
					    " A", " D",	 " PAT", " G"};

	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(names); i++)
		if (flags >> i & 1)
			add(t, "%s", names[i]);
	for (unsigned int i = 9; i < 63; i++)
		if ((flags & ~PVMM_PTE_FRAME_MASK) >> i & 1)
			add(t, " bit%u", i);
	if (flags & PVMM_PTE_NX)
		add(t, " NX");
}

static void add_entry(struct text *t, unsigned int frame, uint64_t flags)
{
	if (frame == FRAME_NONE && !flags) {
		add(t, "0");
		return;
	}
	add_frame(t, frame);
	add_flags(t, flags);
}

static void add_slot(struct text *t, const struct diff_item *item)
{
	add_frame(t, item->page);
	add(t, "[%u] := ", item->slot);
	add_entry(t, item->frame, item->flags);
}

static void add_map(struct text *t, const struct diff_item *item)
{
	static const char *const places[] = {"window", "direct map of page", "low address",
					     "Xen's address", "no address"};
	static const char *const flushes[] = {"", ", flush", ", invlpg", ", flush type 3"};
	static const char *const masks[] = {" here", " on all", " by mask", " by a bad mask"};

	add(t, "update_va_mapping %s %u := ", places[item->place], item->number);
	add_entry(t, item->frame, item->flags);
	add(t, "%s%s", flushes[item->flush], item->flush ? masks[item->mask] : "");
}

static void add_ext(struct text *t, const struct diff_item *item)
{
	static const char *const names[] = {
		"pin L1",	"pin L2",     "pin L3",	     "pin L4",		 "unpin",
		"base pointer", "flush",      "invlpg",	     "flush by mask",	 "invlpg by mask",
		"flush all",	"invlpg all", "flush cache", "set LDT",		 "unknown 14",
		"user root",	"clear page", "copy page",   "flush all caches", "mark super",
		"unmark super",
	};

	add(t, "mmuext_op ");
	if (item->cmd < PVMM_ARRAY_SIZE(names))
		add(t, "%s: ", names[item->cmd]);
	else
		add(t, "unknown %u: ", item->cmd);
	add_frame(t, item->page);
	if (item->cmd == MMUEXT_COPY_PAGE) {
		add(t, " from ");
		add_frame(t, item->frame);
	} else if (item->cmd == MMUEXT_SET_LDT) {
		add(t, " number %u", item->number);
	} else if (item->cmd == MMUEXT_TLB_FLUSH_MULTI || item->cmd == MMUEXT_INVLPG_MULTI) {
		add(t, item->mask == MASK_BAD ? " (bad mask)" : " (good mask)");
	}
}

static void add_call(struct text *t, const struct diff_item *item)
{
	static const char *const commands[] = {"normal",       "M2P",	    "preserve A/D",
					       "no translate", "command 4", "command 5",
					       "command 6",    "command 7"};

	switch (item->kind) {
	case DIFF_UPDATE:
		add(t, "mmu_update %s ", commands[item->cmd & 7]);
		add_slot(t, item);
		break;
	case DIFF_EXT:
		add_ext(t, item);
		break;
	case DIFF_MAP:
		add_map(t, item);
		break;
	default:
		add(t, item->cmd ? "hypercall 63" : "a multicall in the multicall");
		break;
	}
}

static void add_grant(struct text *t, const struct diff_item *item)
{
	static const char *const places[] = {
		"at place",
		"at place, for a device too,",
		"at once, window",
		"at once, an entry's, number",
		"at once, though read-only, window",
		"though another's, window",
		"by no domain, window",
		"with no reference, window",
		"for nobody, window",
		"at no address",
	};

	add(t, "grant ");
	add_frame(t, item->page);
	add(t, " %s %u, flags 0x%x", places[item->place], item->number, (unsigned int)item->flags);
	if (item->place == GRANT_ENTRY) {
		add(t, ", ");
		add_frame(t, item->frame);
		add(t, "[%u]", item->slot);
	}
}

/* The operations behind DIFF_HUGE. */
static void add_owned(struct text *t, const struct diff_op *op, const struct diff_item *item)
{
	static const char *const names[] = {"exchange", "give up", "increase"};

	switch (op->kind) {
	case DIFF_GRANT:
		add_grant(t, item);
		break;
	case DIFF_GDT:
		add(t, "GDT of %u entries%s: ", op->count,
		    op->item[0].mask == MASK_BAD ? " at no address" : "");
		add_frame(t, item->page);
		break;
	case DIFF_DESCRIPTOR:
		add(t, "descriptor %llx into ", (unsigned long long)item->flags);
		add_frame(t, item->page);
		add(t, "[%u]%s", item->slot, item->cmd ? " not aligned" : "");
		break;
	default:
		add(t, "%s%s ", names[op->kind - DIFF_EXCHANGE],
		    item->prepare == PREPARE_ALL ? " unmapped" : "");
		add_frame(t, item->page);
		if (op->item[0].number)
			add(t, " (wrong %u)", op->item[0].number);
		break;
	}
}

void diff_describe(const struct diff_op *op, unsigned int i, char *buf, size_t len_bytes)
{
	struct text t = {buf, len_bytes, 0};
	const struct diff_item *item = &op->item[i];

	buf[0] = '\0';
	switch (op->kind) {
	case DIFF_STORE:
		add(&t, "store ");
		add_slot(&t, item);
		break;
	case DIFF_KERNEL_HALF:
		add(&t, "store the kernel's half into page %u", item->page);
		break;
	case DIFF_LOAD:
		add(&t, "load ");
		add_frame(&t, item->page);
		break;
	case DIFF_MULTICALL:
		add(&t, "in a multicall: ");
		add_call(&t, item);
		break;
	case DIFF_MANY:
		add(&t, "%u updates, %s: ", op->count,
		    item->cmd ? "slot by slot" : "set and cleared in turn");
		add_slot(&t, item);
		break;
	case DIFF_HUGE:
		add(&t, "%s with huge count %u%s", item->cmd ? "mmuext_op" : "mmu_update",
		    op->count, item->mask == MASK_BAD ? " at no address" : "");
		break;
	case DIFF_EXCHANGE:
	case DIFF_BALLOON:
	case DIFF_INCREASE:
	case DIFF_GRANT:
	case DIFF_GDT:
	case DIFF_DESCRIPTOR:
		add_owned(&t, op, item);
		break;
	default:
		add_call(&t, item);
		break;
	}
	if (op->foreign != DOMID_SELF)
		add(&t, " (domain 0x%x)", op->foreign);
}

static void add_error(struct text *t, int64_t ret)
{
	if (ret == DIFF_GUARDED)
		add(t, "not done");
	else if (ret < 0)
		add(t, "-%s (%lld)", pvmm_errno_name((int)ret), (long long)ret);
	else
		add(t, "%lld", (long long)ret);
}

void diff_describe_result(const struct diff_op *op, const struct diff_result *r, char *buf,
			  size_t len_bytes)
{
	struct text t = {buf, len_bytes, 0};

	buf[0] = '\0';
	if (op->kind != DIFF_STORE && op->kind != DIFF_KERNEL_HALF)
		add_error(&t, r->ret);
	if (r->done != DIFF_NOT_DONE)
		add(&t, ", done %u", r->done);
	for (unsigned int i = 0; op->kind > DIFF_HUGE && i < DIFF_ITEMS; i++)
		if (r->item[i])
			add(&t, "; [%u] %lld", i, (long long)r->item[i]);
	for (unsigned int i = 0; i < op->nr; i++) {
		if (op->kind == DIFF_STORE || op->kind == DIFF_KERNEL_HALF)
			add(&t, r->item[i] ? "stored " : "not writable ");
		if (op->kind != DIFF_MULTICALL)
			continue;
		add(&t, "; ");
		add_error(&t, (int32_t)r->item[i]);
		if (((uint64_t)r->item[i] >> 32) != DIFF_NOT_DONE)
			add(&t, " done %u", (uint32_t)((uint64_t)r->item[i] >> 32));
	}
}

static void say_page(const struct diff_state *s, unsigned int page, void (*say)(const char *line))
{
	char line[256];
	struct text t = {line, sizeof(line), 0};

	add(&t, "  page %u: content %016llx, direct map ", page,
	    (unsigned long long)s->content[page]);
	add_entry(&t, (unsigned int)((s->direct[page] & PVMM_PTE_FRAME_MASK) >> PVMM_PAGE_SHIFT),
		  s->direct[page]);
	add(&t, ", map writable %d, pin L1 %d L2 %d L3 %d L4 %d, unpin %d", s->writable[page],
	    s->pin[page][0], s->pin[page][1], s->pin[page][2], s->pin[page][3],
	    diff_arena.unpin[page]);
	say(line);
}

/* The entries of the arena's pages, before the questions change them. */
void diff_describe_contents(void (*say)(const char *line))
{
	for (unsigned int page = 0; page < DIFF_PAGES; page++) {
		unsigned int nr = 0;

		for (unsigned int slot = 0; slot < PVMM_PT_ENTRIES && nr < ENTRIES_SHOWN; slot++) {
			pvmm_pte_t entry = diff_symbolic(diff_view(page)[slot]);
			char line[128];
			struct text t = {line, sizeof(line), 0};

			if (!diff_view(page)[slot])
				continue;
			nr++;
			add(&t, "  page %u[%u]: ", page, slot);
			add_entry(&t,
				  (unsigned int)((entry & PVMM_PTE_FRAME_MASK) >> PVMM_PAGE_SHIFT),
				  entry);
			say(line);
		}
	}
}

void diff_describe_state(const struct diff_state *s, void (*say)(const char *line))
{
	char line[128];

	for (unsigned int i = 0; i < DIFF_PAGES; i++)
		say_page(s, i, say);
	for (unsigned int i = 0; i < DIFF_WINDOW; i++) {
		struct text t = {line, sizeof(line), 0};

		if ((s->window[i] & PVMM_PTE_FRAME_MASK) >> PVMM_PAGE_SHIFT == FRAME_NONE)
			continue;
		add(&t, "  window %u: ", i);
		add_entry(&t,
			  (unsigned int)((s->window[i] & PVMM_PTE_FRAME_MASK) >> PVMM_PAGE_SHIFT),
			  s->window[i]);
		say(line);
	}
}
