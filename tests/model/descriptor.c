/* SPDX-License-Identifier: MIT */
/*
 * Owns the descriptor tables: what a descriptor may say, each vCPU's GDT and LDT, and the pages
 * that are in them. Rule 19 of docs/xen-rules.md.
 *
 * Invariant: each frame in a vCPU's gdt[] and ldt[] holds a general and a descriptor type
 * reference. A GDT's pages are taken when it is set; an LDT's one by one, when the processor first
 * loads a descriptor of theirs, and all go when the LDT or the root changes.
 */
#include <pvmm/xen.h>
#include "tests/model/state.h"

#define DESCRIPTORS_PER_PAGE (PVMM_PAGE_SIZE / sizeof(uint64_t))

/* Bits of a descriptor (SDM volume 3, section 3.4.5). */
#define DESC_TYPE    (15ULL << 40)
#define DESC_SEGMENT (1ULL << 44) /* no system segment */
#define DESC_DPL     (3ULL << 45)
#define DESC_PRESENT (1ULL << 47)
#define DESC_LONG    (1ULL << 53)
#define DESC_GRANULE (1ULL << 55) /* the limit counts pages */
#define DPL_SHIFT    45

#define TYPE_NONE      0ULL
#define TYPE_CALL_GATE (12ULL << 40)

/* A call gate's selector, and what must be 0 in it: 64 bits, 32 bits. */
#define GATE_SELECTOR_SHIFT  16
#define GATE_RESERVED_64     (0xffULL << 32)
#define GATE_RESERVED_32     (0xe0ULL << 32)
#define XEN_KERNEL_CS_64     0xe033u
#define XEN_KERNEL_CS_COMPAT 0xe019u

#define LDT_ENTRIES 8192u

/* The privilege that the domain's kernel has. */
static unsigned int kernel_ring(void)
{
	return model.options.pae ? 1 : 3;
}

static bool gate_selector_ok(unsigned int selector)
{
	return selector >> 3 < FIRST_RESERVED_GDT_ENTRY || (selector & 4) ||
	       selector == (model.options.pae ? XEN_KERNEL_CS_COMPAT : XEN_KERNEL_CS_64);
}

/* No 64-bit segments in a 32-bit domain; one of all memory is made to reach Xen's m2p. */
static bool segment_ok(uint64_t *d)
{
	uint64_t base = (*d >> 32 & 0xff000000) | (*d >> 16 & 0xffffff);
	uint64_t limit = ((*d >> 32 & 0xf0000) | (*d & 0xffff)) + 1;

	if (!model.options.pae)
		return true;
	if (*d & DESC_LONG)
		return false;
	if (*d & DESC_GRANULE)
		limit <<= PVMM_PAGE_SHIFT;
	if (!base && limit > PAE_XEN_VA)
		*d |= 0xfULL << 48 | 0xffff;
	return true;
}

/* Whether Xen lets the descriptor be, and what it makes of it. */
static bool descriptor_ok(uint64_t *descriptor)
{
	uint64_t d = *descriptor, dpl = (d & DESC_DPL) >> DPL_SHIFT;

	if (!(d & DESC_PRESENT))
		return true;
	/* Nobody but Xen is more privileged than the domain's kernel. */
	if (dpl < kernel_ring())
		dpl = kernel_ring();
	d = (d & ~DESC_DPL) | dpl << DPL_SHIFT;

	if (d & DESC_SEGMENT) {
		if (!segment_ok(&d))
			return false;
	} else if ((d & DESC_TYPE) == TYPE_NONE) {
		return true; /* as it was: the second half of a 16-byte descriptor */
	} else {
		if ((d & DESC_TYPE) != TYPE_CALL_GATE ||
		    !gate_selector_ok(d >> GATE_SELECTOR_SHIFT & 0xffff) ||
		    (d & (model.options.pae ? GATE_RESERVED_32 : GATE_RESERVED_64)))
			return false;
		/* Its use is to fault, so that Xen can emulate it; its DPL is kept as the RPL. */
		d &= ~(DESC_DPL | 3ULL << GATE_SELECTOR_SHIFT);
		d |= dpl << GATE_SELECTOR_SHIFT;
	}
	*descriptor = d;
	return true;
}

/* Those before one that is refused keep what Xen has made of them. */
bool descriptors_valid(uint64_t mfn)
{
	uint64_t *d = frame_entries(mfn);

	for (unsigned int i = 0; i < DESCRIPTORS_PER_PAGE; i++)
		if (!descriptor_ok(&d[i]))
			return false;
	return true;
}

static void drop_pages(uint64_t *mfns, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		if (mfns[i])
			frame_put_and_type(mfns[i], NO_MFN);
		mfns[i] = 0;
	}
}

int set_gdt(const uint64_t *frames, uint32_t nr_entries)
{
	struct vcpu *v = &model.vcpus[model.this_vcpu];
	uint64_t pages[GDT_PAGES] = {0};
	unsigned int nr = (nr_entries + DESCRIPTORS_PER_PAGE - 1) / DESCRIPTORS_PER_PAGE;

	if (nr_entries > FIRST_RESERVED_GDT_ENTRY)
		return -XEN_EINVAL;
	if (nr && !guest_readable(frames, nr * sizeof(*frames)))
		return -XEN_EFAULT;
	for (unsigned int i = 0; i < nr; i++) {
		if (frame_get_and_type(frames[i], MODEL_SEG_DESC)) {
			drop_pages(pages, i);
			return -XEN_EINVAL;
		}
		pages[i] = frames[i];
	}
	drop_pages(v->gdt, GDT_PAGES);
	for (unsigned int i = 0; i < nr; i++)
		v->gdt[i] = pages[i];
	tlb_flush(tlb_this_vcpu());
	return 0;
}

void drop_ldt(struct vcpu *v)
{
	drop_pages(v->ldt, LDT_PAGES);
}

int set_ldt(uint64_t va, uint32_t nr_entries)
{
	struct vcpu *v = &model.vcpus[model.this_vcpu];

	if (nr_entries > LDT_ENTRIES ||
	    (nr_entries && ((va & ~PVMM_PAGE_MASK) || !va_is_guests(va))))
		return -XEN_EINVAL;
	if (!nr_entries)
		va = 0;
	if (v->ldt_entries == nr_entries && v->ldt_base == va)
		return 0;
	drop_ldt(v);
	v->ldt_base = va;
	v->ldt_entries = nr_entries;
	return 0;
}

bool model_ldt_used(unsigned int entry)
{
	unsigned int page = entry / DESCRIPTORS_PER_PAGE, slot;
	bool shown = false;
	struct vcpu *v;
	uint64_t table, mfn;

	model_lock();
	v = &model.vcpus[model.this_vcpu];
	if (entry < v->ldt_entries && v->ldt[page]) {
		shown = true;
	} else if (entry < v->ldt_entries &&
		   find_l1(v->ldt_base + page * PVMM_PAGE_SIZE, &table, &slot) &&
		   pvmm_pte_present(frame_entries(table)[slot])) {
		mfn = entry_mfn(frame_entries(table)[slot]);
		shown = !frame_get_and_type(mfn, MODEL_SEG_DESC);
		if (shown)
			v->ldt[page] = mfn;
	}
	model_unlock();
	return shown;
}

/* One descriptor, in a table or in what may be written to anyway. */
int update_descriptor(uint64_t maddr, uint64_t descriptor)
{
	uint64_t mfn = maddr >> PVMM_PAGE_SHIFT;
	enum model_type as = MODEL_WRITABLE;
	int err;

	if (maddr % sizeof(descriptor) || !descriptor_ok(&descriptor))
		return -XEN_EINVAL;
	if (!frame_get(mfn))
		return -XEN_EINVAL;
	if (frame_at(mfn)->s.type == MODEL_SEG_DESC)
		as = MODEL_SEG_DESC;
	err = frame_get_type(mfn, as);
	if (!err) {
		frame_entries(mfn)[(maddr & ~PVMM_PAGE_MASK) / sizeof(descriptor)] = descriptor;
		frame_put_type(mfn, NO_MFN);
	}
	frame_put(mfn);
	return err;
}
