/* SPDX-License-Identifier: MIT */
/*
 * Owns the two counts and the type of every frame. Rules 1 to 6, 9, 10, 13 and 16 of
 * docs/XEN-RULES.md.
 *
 * Invariant: a frame's type changes only while its type count is 0; a table type is validated
 * exactly while the count is above 0, but for the frame that is being validated right now.
 */
#include <string.h>
#include <pvmm/log.h>
#include <pvmm/xen.h>
#include "tests/model/state.h"

/* 55 bits of the word are the count (rules 1 and 9). */
#define TYPE_COUNT_MAX ((1ULL << 55) - 1)

static unsigned long long ull(uint64_t v)
{
	return v;
}

/* A general reference, for the domain. */
bool frame_get(uint64_t mfn)
{
	if (!frame_exists(mfn) || frame_at(mfn)->s.owner != MODEL_GUEST)
		return false;
	frame_at(mfn)->s.refs++;
	return true;
}

void frame_put(uint64_t mfn)
{
	struct frame *f = frame_at(mfn);

	if (!f->s.refs)
		pvmm_panic("model: general count of mfn 0x%llx falls below 0", ull(mfn));
	if (--f->s.refs)
		return;

	/* The last reference of a page that the domain had given up. One of Xen's stays Xen's. */
	if (f->xen_heap) {
		f->s.owner = MODEL_XEN;
		return;
	}
	if (f->s.type_count)
		pvmm_panic("model: mfn 0x%llx freed with a type", ull(mfn));
	frame_free(mfn);
	model.owned--;
}

/*
 * Rule 16: what Xen puts into its own slots of a root. The m2p's, the first, stays empty until the
 * root is loaded; what of the last ones is used depends on the machine's memory.
 */
static void fill_xen_slots(uint64_t mfn)
{
	const uint64_t table = PVMM_PROT_RW & ~PVMM_PTE_NX;
	uint64_t *e = frame_entries(mfn) + XEN_SLOT_FIRST;

	for (unsigned int i = 0; i <= XEN_SLOT_LAST - XEN_SLOT_FIRST; i++)
		e[i] = 0;
	e[1] = pvmm_pte(_mfn(frame_of_xen(1)), table);	      /* PCI configuration space */
	e[2] = pvmm_pte(_mfn(mfn), PVMM_PROT_RW);	      /* the root itself: linear */
	e[4] = pvmm_pte(_mfn(frame_of_xen(4)), PVMM_PROT_RW); /* the domain's own mappings */
	e[5] = pvmm_pte(_mfn(frame_of_xen(5)), table);	      /* Xen */
	e[6] = pvmm_pte(_mfn(frame_of_xen(6)), PVMM_PROT_RW); /* memory */
}

/* Rule 16 for a PAE domain: its last L2 table has Xen's m2p from PAE_XEN_VA on. */
static void fill_pae_xen_slots(uint64_t mfn)
{
	uint64_t *e = frame_entries(mfn);

	for (unsigned int slot = PAE_L2_SLOT_XEN; slot < PVMM_PT_ENTRIES; slot++)
		e[slot] = pvmm_pte(_mfn(frame_of_xen(0)), PVMM_PROT_RX);
}

/* The m2p's slot of a root that is loaded for the kernel. */
void fill_m2p_slot(uint64_t mfn)
{
	uint64_t *e = &frame_entries(mfn)[XEN_SLOT_FIRST];

	if (!*e)
		*e = pvmm_pte(_mfn(frame_of_xen(0)), PVMM_PROT_RO | PVMM_PTE_USER);
}

static bool is_pae_root(unsigned int level)
{
	return model.options.pae && level == 3;
}

/*
 * Rule 18: the last L2 of a PAE root must be there, and no other root's. Where it is, Xen forgets
 * to give its references back.
 */
static int get_pae_xen_l2(pvmm_pte_t pte)
{
	int err;

	if (!pvmm_pte_present(pte) || !entry_flags_allowed(pte, 3))
		return -XEN_EINVAL;
	err = frame_get_pae_xen_l2(entry_mfn(pte));
	if (!err && frame_at(entry_mfn(pte))->s.type_count != 1) {
		frame_at(entry_mfn(pte))->leaked++;
		err = -XEN_EINVAL;
	}
	return err;
}

static int promote_entry(uint64_t mfn, unsigned int level, unsigned int slot)
{
	pvmm_pte_t pte = frame_entries(mfn)[slot];

	if (is_pae_root(level) && slot == PAE_ROOT_ENTRIES - 1)
		return get_pae_xen_l2(pte);
	if (pvmm_pte_present(pte))
		return entry_get(pte, level, mfn, false);
	entry_check_l1tf(pte);
	return 0;
}

/* Gives back what the slots below this one hold. */
static void demote_below(uint64_t mfn, unsigned int level, unsigned int slot)
{
	uint64_t *e = frame_entries(mfn);

	while (slot--) {
		if (!slot_is_guests(mfn, level, slot))
			continue;
		entry_put(e[slot], level, mfn);
		e[slot] = entry_restored(e[slot], level);
	}
}

/* Rules 10, 13, 15, 16, 18. *first tells whether the very first slot was refused. */
static int promote(uint64_t mfn, unsigned int level, bool *first)
{
	uint64_t *e = frame_entries(mfn);
	unsigned int slot;

	model.count.validations++;
	if (is_pae_root(level))
		memset(e + PAE_ROOT_ENTRIES, 0, PVMM_PAGE_SIZE - PAE_ROOT_ENTRIES * sizeof(*e));
	for (slot = 0; slot < PVMM_PT_ENTRIES; slot++) {
		int rc;

		if (!slot_is_guests(mfn, level, slot))
			continue;
		rc = promote_entry(mfn, level, slot);
		if (rc < 0) {
			*first = !slot;
			demote_below(mfn, level, slot);
			return rc;
		}
		/* Entries already done keep Xen's bits, whatever happens later. */
		e[slot] = entry_adjusted(e[slot] ^ (uint64_t)rc, level);
	}

	if (level == 4)
		fill_xen_slots(mfn);
	if (frame_at(mfn)->s.pae_xen_l2)
		fill_pae_xen_slots(mfn);
	return 0;
}

static void demote(uint64_t mfn, unsigned int level)
{
	demote_below(mfn, level, PVMM_PT_ENTRIES);
	frame_at(mfn)->s.pae_xen_l2 = false;
}

/* Rule 6: who has not flushed since the frame's last type was dropped must do so now. */
static void flush_for_type_change(struct frame *f)
{
	uint64_t vcpus = tlb_unflushed_since(f->stamp);

	if (!vcpus)
		return;
	model.count.type_flushes++;
	tlb_flush(vcpus);
}

/* What a frame must hold to be of its new type: 0, or an error after which it has none. */
static int validate(uint64_t mfn)
{
	struct frame *f = frame_at(mfn);
	bool first = true;
	int err = 0;

	if (type_is_table(f->s.type)) {
		f->s.linear = 0;
		err = promote(mfn, f->s.type, &first);
	} else if (f->s.type == MODEL_SEG_DESC && !descriptors_valid(mfn)) {
		err = -XEN_EINVAL;
	}
	if (!err) {
		f->s.validated = true;
		return 0;
	}
	/* Xen forgets the type if it had got nowhere, else tears down what it had done. */
	f->s.type_count = 0;
	f->s.pae_xen_l2 = false;
	if (f->s.type == MODEL_L1 || first)
		f->s.type = MODEL_NONE;
	else
		f->stamp = model.flush_epoch;
	return err;
}

static int get_type(uint64_t mfn, enum model_type type, bool pae_xen_l2)
{
	struct frame *f = frame_at(mfn);

	if (f->s.type_count == TYPE_COUNT_MAX)
		return -XEN_EINVAL;
	if (f->s.type_count) {
		if (f->s.type != type || f->s.pae_xen_l2 != pae_xen_l2)
			return -XEN_EINVAL;
		if (!f->s.validated)
			pvmm_panic("model: mfn 0x%llx is validated within itself", ull(mfn));
		f->s.type_count++;
		return 0;
	}

	/* 0 -> 1: the only moment at which the type may change. */
	if (f->s.type != type || pae_xen_l2) {
		flush_for_type_change(f);
		f->s.type = type;
		f->s.pae_xen_l2 = pae_xen_l2;
		f->s.validated = false;
	}
	f->s.type_count = 1;
	if (f->s.validated)
		return 0;
	tlb_changed_hands(f);
	return validate(mfn);
}

/* Takes a type reference; 0 or an error, and then nothing is held. */
int frame_get_type(uint64_t mfn, enum model_type type)
{
	return get_type(mfn, type, false);
}

/* Both references for the last L2 of a PAE root, which is a type of its own (rule 18). */
int frame_get_pae_xen_l2(uint64_t mfn)
{
	int err;

	if (!frame_get(mfn))
		return -XEN_EINVAL;
	err = get_type(mfn, MODEL_L2, true);
	if (err)
		frame_put(mfn);
	return err;
}

/* parent: the table whose entry held the reference, or NO_MFN. */
void frame_put_type(uint64_t mfn, uint64_t parent)
{
	struct frame *f = frame_at(mfn);
	bool linear = parent != NO_MFN && frame_at(parent)->s.type == f->s.type;

	if (!f->s.type_count || !f->s.validated)
		pvmm_panic("model: type count of mfn 0x%llx falls below 0", ull(mfn));

	if (f->s.type_count == 1) {
		/* Writable pages stay validated, tables do not (rule 5). */
		if (type_is_table(f->s.type)) {
			f->s.validated = false;
			demote(mfn, f->s.type);
		}
		f->stamp = model.flush_epoch;
	}
	if (linear) {
		f->s.linear++;
		frame_at(parent)->s.linear--;
	}
	f->s.type_count--;
}

int frame_get_and_type(uint64_t mfn, enum model_type type)
{
	int err;

	if (!frame_get(mfn))
		return -XEN_EINVAL;
	err = frame_get_type(mfn, type);
	if (err)
		frame_put(mfn);
	return err;
}

void frame_put_and_type(uint64_t mfn, uint64_t parent)
{
	frame_put_type(mfn, parent);
	frame_put(mfn);
}

/* Whether Xen treats an update of the frame by its type; otherwise it is plain memory (rule 25). */
bool frame_lockable(uint64_t mfn)
{
	return frame_at(mfn)->s.validated && frame_at(mfn)->s.type_count;
}
