/* SPDX-License-Identifier: MIT */
/*
 * The model against docs/XEN-RULES.md: changing entries with mmu_update and update_va_mapping, and
 * multicalls (rules 24 to 36).
 */
#include "tests/model/state.h"
#include "tests/unit/unit.h"

static int update(struct mmu_update *req, unsigned int nr, unsigned int *done)
{
	return pvmm_hc_mmu_update(req, nr, done);
}

static int update_for(uint64_t ptr, uint64_t val, uint32_t dom)
{
	struct mmu_update req = {ptr, val};
	unsigned int done;

	return (int)pvmm_hypercall(pvmm_arg(&req), 1, pvmm_arg(&done), dom, 0,
				   __HYPERVISOR_mmu_update);
}

static pfn_t pinned_l1(void)
{
	pfn_t l1 = unit_table();

	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L1_TABLE, l1), 0);
	return l1;
}

/* Rule 24: the low bits of the address are the command. */
static void commands(void **state)
{
	pfn_t l1 = pinned_l1(), data = unit_page();
	uint64_t entry = pvmm_pt_entry_maddr(l1, 5);
	mfn_t mfn = pvmm_pfn_to_mfn(data);

	(void)state;
	assert_int_equal(
		update_for(entry, unit_pte(data, PVMM_PROT_RO | PVMM_PTE_DIRTY), DOMID_SELF), 0);

	/* Preserving: the bits that the processor sets stay. */
	assert_int_equal(update_for(entry | MMU_PT_UPDATE_PRESERVE_AD,
				    unit_pte(data, PVMM_PTE_PRESENT), DOMID_SELF),
			 0);
	assert_int_equal(unit_peek(l1, 5) & (PVMM_PTE_ACCESSED | PVMM_PTE_DIRTY),
			 PVMM_PTE_ACCESSED | PVMM_PTE_DIRTY);
	assert_int_equal(update_for(entry, unit_pte(data, PVMM_PTE_PRESENT), DOMID_SELF), 0);
	assert_int_equal(unit_peek(l1, 5) & (PVMM_PTE_ACCESSED | PVMM_PTE_DIRTY), 0);
	assert_int_equal(update_for(entry | MMU_PT_UPDATE_NO_TRANSLATE, 0, DOMID_SELF), 0);
	assert_int_equal(unit_peek(l1, 5), 0);

	/* The m2p, of frames that are the domain's. */
	assert_int_equal(update_for(pvmm_mfn_to_maddr(mfn) | MMU_MACHPHYS_UPDATE, 77, DOMID_SELF),
			 0);
	assert_int_equal(model.guest_m2p[mfn_x(mfn)], 77);
	assert_int_equal(update_for(pvmm_mfn_to_maddr(mfn) | MMU_MACHPHYS_UPDATE, pfn_x(data),
				    DOMID_SELF),
			 0);
	mfn = model_frame_owned(MODEL_FOREIGN, 0);
	assert_int_equal(update_for(pvmm_mfn_to_maddr(mfn) | MMU_MACHPHYS_UPDATE, 1, DOMID_SELF),
			 -XEN_EINVAL);

	for (unsigned int cmd = 4; cmd < 8; cmd++)
		assert_int_equal(update_for(entry | cmd, 0, DOMID_SELF), -XEN_ENOSYS);
	assert_model_clean();
}

/* Rule 25: what is not a table is written without a look at the value; seg_desc is refused. */
static void untyped_targets(void **state)
{
	pfn_t data = unit_page(), untyped = unit_table();
	struct frame *f = frame_at(mfn_x(pvmm_pfn_to_mfn(untyped)));

	(void)state;
	assert_int_equal(unit_set(data, 1, 0xffffffffffffffffULL), 0);
	assert_int_equal(unit_peek(data, 1), 0xffffffffffffffffULL);

	/* No type yet: it takes the writable one for the moment. */
	f->s.type = MODEL_L1;
	f->s.validated = false;
	assert_int_equal(unit_set(untyped, 2, 0x123456789abcdef0ULL), 0);
	assert_int_equal(unit_peek(untyped, 2), 0x123456789abcdef0ULL);
	assert_int_equal(f->s.type, MODEL_WRITABLE);
	assert_int_equal(f->s.type_count, 0);

	f->s.type = MODEL_SEG_DESC;
	f->s.validated = true;
	f->s.type_count = 1;
	assert_int_equal(unit_set(untyped, 2, 0), -XEN_EINVAL);
	f->s.type_count = 0;

	assert_int_equal(update_for(pvmm_mfn_to_maddr(model_frame_owned(MODEL_FOREIGN, 0)), 0,
				    DOMID_SELF),
			 -XEN_EINVAL);
	assert_int_equal(update_for(pvmm_mfn_to_maddr(_mfn(1ULL << 39)), 0, DOMID_SELF),
			 -XEN_EINVAL);
}

/* Rule 26: changing software's and the processor's bits touches no reference. RW is another matter.
 */
static void fast_path(void **state)
{
	pfn_t l1 = pinned_l1(), data = unit_page();
	struct model_frame before;

	(void)state;
	assert_int_equal(unit_set(l1, 0, unit_pte(data, PVMM_PROT_RO)), 0);
	before = model_frame_of(data);
	assert_int_equal(unit_set(l1, 0, unit_pte(data, PVMM_PTE_PRESENT | PVMM_PTE_USER | 0x200)),
			 0);
	assert_int_equal(model_frame_of(data).refs, before.refs);
	assert_int_equal(model_frame_of(data).type_count, before.type_count);
	assert_int_equal(unit_set(l1, 0, unit_pte(data, PVMM_PROT_RW)), 0);
	assert_int_equal(model_frame_of(data).refs, before.refs);
	assert_int_equal(model_frame_of(data).type_count, before.type_count + 1);
	assert_model_clean();

	/* Seen from outside: the fast path does not ask whether the frame may still be mapped. */
	frame_at(mfn_x(pvmm_pfn_to_mfn(data)))->s.owner = MODEL_FOREIGN;
	assert_int_equal(unit_set(l1, 0, unit_pte(data, PVMM_PROT_RW | 0x400)), 0);
	assert_int_equal(unit_set(l1, 0, unit_pte(data, PVMM_PROT_RO)), -XEN_EBUSY);
	frame_at(mfn_x(pvmm_pfn_to_mfn(data)))->s.owner = MODEL_GUEST;
	assert_model_clean();
}

/* Rule 28: the first refusal ends the call; done says how far it got; what was done stays. */
static void stops_at_the_first_error(void **state)
{
	pfn_t l1 = pinned_l1(), data = unit_page();
	struct mmu_update req[5];
	unsigned int done = 99;

	(void)state;
	for (unsigned int i = 0; i < 5; i++)
		req[i] = (struct mmu_update){pvmm_pt_entry_maddr(l1, i),
					     unit_pte(data, PVMM_PROT_RO)};
	req[3].val = unit_pte(l1, PVMM_PROT_RW);
	assert_int_equal(update(req, 5, &done), -XEN_EBUSY);
	assert_int_equal(done, 3);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(pvmm_pte_present(unit_peek(l1, i)), i < 3);
	assert_model_clean();

	assert_int_equal(update(req, 3, &done), 0);
	assert_int_equal(done, 3);
	assert_int_equal(update(req, 0, &done), 0);
	assert_int_equal(done, 0);
}

/* Rules 29 and 30: L1 updates flush nothing; upper ones once per call, whatever their number. */
static void upper_updates_flush(void **state)
{
	pfn_t l1 = pinned_l1(), l2 = unit_table(), below = unit_table(), data = unit_page();
	struct mmu_update req[4];
	unsigned int done;

	(void)state;
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L2_TABLE, l2), 0);
	model_counters_reset();
	assert_int_equal(unit_set(l1, 0, unit_pte(data, PVMM_PROT_RO)), 0);
	assert_int_equal(unit_set(l1, 0, 0), 0);
	assert_int_equal(model_counters().upper_flushes, 0);

	for (unsigned int i = 0; i < 4; i++)
		req[i] = (struct mmu_update){pvmm_pt_entry_maddr(l2, i),
					     unit_pte(below, PVMM_PROT_TABLE)};
	assert_int_equal(update(req, 4, &done), 0);
	assert_int_equal(model_counters().upper_flushes, 1);

	/* One that is refused does not count, those before it do. */
	req[0].val = unit_pte(data, PVMM_PROT_TABLE);
	assert_int_equal(update(req, 1, &done), -XEN_EINVAL);
	assert_int_equal(model_counters().upper_flushes, 1);
	req[0].val = 0;
	req[1].val = unit_pte(data, PVMM_PROT_TABLE);
	assert_int_equal(update(req, 2, &done), -XEN_EINVAL);
	assert_int_equal(model_counters().upper_flushes, 2);
	assert_model_clean();
}

/*
 * Rule 31: permission is looked at entry by entry, behind the command; only a domain that does not
 * exist is noticed before. If that is the tables' owner, not even the count done is told.
 */
static void foreign_domains_entry_by_entry(void **state)
{
	const uint32_t tables = (FOREIGN_DOMID + 1) << 16 | DOMID_SELF;
	pfn_t data = unit_page();
	uint64_t frame = pvmm_mfn_to_maddr(pvmm_pfn_to_mfn(data));
	unsigned int done = 5;
	struct mmu_update req = {.ptr = frame};

	(void)state;
	assert_int_equal(update_for(frame | 5, 0, tables), -XEN_ENOSYS);
	assert_int_equal(update_for(frame | 5, 0, FOREIGN_DOMID), -XEN_ENOSYS);
	assert_int_equal(update_for(frame | MMU_MACHPHYS_UPDATE, 1, tables), -XEN_EPERM);
	assert_int_equal(update_for(frame | MMU_MACHPHYS_UPDATE, 1, FOREIGN_DOMID), -XEN_EPERM);
	assert_int_equal(update_for(frame, 0, DOMID_XEN), -XEN_EPERM);
	assert_int_equal(pvmm_hypercall(pvmm_arg(&req), 0, 0, tables, 0, __HYPERVISOR_mmu_update),
			 0);

	/* Frames of the domain are not DOMID_IO's. */
	assert_int_equal(update_for(frame | MMU_MACHPHYS_UPDATE, pfn_x(data), DOMID_IO),
			 -XEN_EINVAL);

	assert_int_equal(pvmm_hypercall(pvmm_arg(&req), 1, pvmm_arg(&done), 999, 0,
					__HYPERVISOR_mmu_update),
			 -XEN_ESRCH);
	assert_int_equal(done, 0);
	done = 5;
	assert_int_equal(pvmm_hypercall(pvmm_arg(&req), 1, pvmm_arg(&done),
					1000u << 16 | DOMID_SELF, 0, __HYPERVISOR_mmu_update),
			 -XEN_ESRCH);
	assert_int_equal(done, 5);
}

/* Rule 31: whose frames and whose tables. */
static void foreign_domains(void **state)
{
	pfn_t l1 = pinned_l1(), l2 = unit_table(), data = unit_page();
	uint64_t entry = pvmm_pt_entry_maddr(l1, 0), pte = unit_pte(data, PVMM_PROT_RO);

	(void)state;
	assert_int_equal(unit_ext_pfn(MMUEXT_PIN_L2_TABLE, l2), 0);
	assert_int_equal(update_for(entry, pte, GUEST_DOMID), -XEN_ESRCH);
	assert_int_equal(update_for(entry, pte, 999), -XEN_ESRCH);
	assert_int_equal(update_for(entry, pte, FOREIGN_DOMID), -XEN_EPERM);
	assert_int_equal(update_for(entry, pte, 0), -XEN_EPERM);
	assert_int_equal(update_for(entry, pte, DOMID_IO), -XEN_EBUSY);
	assert_int_equal(update_for(pvmm_pt_entry_maddr(l2, 0), 0, DOMID_IO), -XEN_EINVAL);
	assert_int_equal(update_for(entry, pte, DOMID_SELF | (FOREIGN_DOMID + 1) << 16),
			 -XEN_EPERM);
	assert_int_equal(update_for(entry, pte, DOMID_SELF | 1000u << 16), -XEN_ESRCH);
	assert_int_equal(update_for(entry, pte, DOMID_SELF | (GUEST_DOMID + 1) << 16), 0);
	assert_model_clean();
}

/* Rule 32: Xen reads the L2 entry through its linear mapping, which marks the L3 entry accessed. */
static void va_mapping_marks_the_l3_entry(void **state)
{
	const uint64_t prot = PVMM_PTE_PRESENT | PVMM_PTE_RW;
	pfn_t root = unit_root(), l3 = unit_table(), l2 = unit_table();

	(void)state;
	unit_poke(l3, 2, unit_pte(l2, prot));
	unit_poke(l3, 3, unit_pte(l2, prot));
	unit_poke(root, 0, unit_pte(l3, prot));
	assert_int_equal(unit_ext_pfn(MMUEXT_NEW_BASEPTR, root), 0);
	assert_int_equal(unit_peek(l3, 2) & PVMM_PTE_ACCESSED, 0);
	assert_int_equal(pvmm_hc_update_va_mapping(2 * pvmm_level_bytes(3), 0, 0), -XEN_EINVAL);
	assert_int_equal(unit_peek(l3, 2) & PVMM_PTE_ACCESSED, PVMM_PTE_ACCESSED);
	assert_int_equal(unit_peek(l3, 3) & PVMM_PTE_ACCESSED, 0);
	assert_int_equal(unit_ext_pfn(MMUEXT_NEW_BASEPTR, pvmm_kernel_space.root), 0);
	assert_model_clean();
}

/* Rule 32: update_va_mapping follows the loaded root. */
static void va_mapping_walks_the_loaded_root(void **state)
{
	pfn_t data = unit_page();
	uintptr_t va = (uintptr_t)pvmm_pfn_to_virt(data);
	pvmm_pte_t rw = unit_pte(data, PVMM_PROT_RW), ro = unit_pte(data, PVMM_PROT_RO);

	(void)state;
	assert_int_equal(pvmm_hc_update_va_mapping(va, ro, UVMF_INVLPG), 0);
	assert_false(pvmm_pte_writable(pvmm_pt_lookup(pvmm_kernel_space.root, va)));
	assert_int_equal(pvmm_hc_update_va_mapping(va, rw, UVMF_INVLPG), 0);
	assert_true(pvmm_pte_writable(pvmm_pt_lookup(pvmm_kernel_space.root, va)));

	assert_int_equal(pvmm_hc_update_va_mapping(UNIT_VA, ro, 0), -XEN_EINVAL);
	assert_int_equal(pvmm_hc_update_va_mapping(PVMM_VMAP_BASE, ro, 0), -XEN_EINVAL);
	assert_int_equal(pvmm_hc_update_va_mapping(0xffff800000000000ULL, ro, 0), -XEN_EINVAL);
	assert_int_equal(pvmm_hc_update_va_mapping(0x1234800000000000ULL, ro, 0), -XEN_EINVAL);
	assert_int_equal(pvmm_hc_update_va_mapping(va, pvmm_pte(_mfn(0x100), PVMM_PROT_RO), 0),
			 -XEN_EPERM);
	assert_clean();
}

/* Rule 33: it flushes as told, and only if it succeeded. */
static void va_mapping_flushes(void **state)
{
	pfn_t data = unit_page();
	uintptr_t va = (uintptr_t)pvmm_pfn_to_virt(data);
	pvmm_pte_t rw = unit_pte(data, PVMM_PROT_RW);
	uint64_t vcpus = 1, epoch = model.flush_epoch;

	(void)state;
	assert_int_equal(pvmm_hc_update_va_mapping(va, rw, UVMF_NONE), 0);
	assert_int_equal(pvmm_hc_update_va_mapping(va, pvmm_pte(_mfn(0x100), 1),
						   UVMF_TLB_FLUSH | UVMF_ALL),
			 -XEN_EPERM);
	assert_int_equal(model.flush_epoch, epoch);
	assert_int_equal(pvmm_hc_update_va_mapping(va, rw, UVMF_TLB_FLUSH | UVMF_LOCAL), 0);
	assert_int_equal(model.flush_epoch, epoch + 1);
	assert_int_equal(pvmm_hc_update_va_mapping(va, rw, UVMF_TLB_FLUSH | UVMF_ALL), 0);
	assert_int_equal(model.flush_epoch, epoch + 2);
	assert_int_equal(pvmm_hc_update_va_mapping(va, rw, UVMF_TLB_FLUSH | pvmm_arg(&vcpus)), 0);
	assert_int_equal(model.flush_epoch, epoch + 3);
	assert_int_equal(pvmm_hc_update_va_mapping(va, rw, UVMF_INVLPG | 8), -XEN_EFAULT);
}

/* Rule 34: bit 31 of the count says that a call goes on: done continues. */
static void restarted_calls(void **state)
{
	pfn_t l1 = pinned_l1(), data = unit_page();
	struct mmu_update req = {pvmm_pt_entry_maddr(l1, 0), unit_pte(data, PVMM_PROT_RO)};
	struct mmuext_op op = {.cmd = MMUEXT_TLB_FLUSH_LOCAL};
	unsigned int done = 41;

	(void)state;
	assert_int_equal(update(&req, 0x80000001u, &done), 0);
	assert_int_equal(done, 42);
	assert_int_equal(pvmm_hc_mmuext_op(&op, 0x80000001u, &done), 0);
	assert_int_equal(done, 43);
	assert_int_equal(pvmm_hypercall(0, 0x80000000u, 0, 7, 0, __HYPERVISOR_mmu_update), 7);
	assert_int_equal(pvmm_hypercall(0, 0x80000000u, 0, 7, 0, __HYPERVISOR_mmuext_op), 7);
}

/*
 * Rule 34: of an array, Xen looks at the address, whatever the count, and then at one entry after
 * the other.
 */
static void counts_are_not_limited(void **state)
{
	struct mmu_update req = {.ptr = 7};
	struct mmuext_op op = {.cmd = 99};
	void *nowhere = (void *)0x900000000000ULL;
	unsigned int done = 5;

	(void)state;
	assert_int_equal(update(&req, 0x7fffffff, &done), -XEN_ENOSYS);
	assert_int_equal(done, 0);
	assert_int_equal(pvmm_hc_mmuext_op(&op, 0x7fffffff, &done), -XEN_ENOSYS);
	assert_int_equal(done, 0);
	assert_int_equal(update(nowhere, 0, &done), -XEN_EFAULT);
	assert_int_equal(pvmm_hc_mmuext_op(nowhere, 0, &done), -XEN_EFAULT);
	assert_int_equal(update(NULL, 0, &done), 0);
}

/* Rule 34: an array in unmapped memory. */
static void bad_arguments(void **state)
{
	unsigned int done = 5;

	(void)state;
	assert_int_equal(update(NULL, 1, &done), -XEN_EFAULT);
	assert_int_equal(update((void *)0x8000000000000ULL, 1, &done), -XEN_EFAULT);
	assert_int_equal(update((void *)(UINT64_MAX - 8), 4, &done), -XEN_EFAULT);
	assert_int_equal(pvmm_hc_mmuext_op(NULL, 1, &done), -XEN_EFAULT);
	assert_int_equal(pvmm_hc_multicall(NULL, 1), -XEN_EFAULT);
	assert_int_equal(pvmm_hypercall(0, 0, 0, 0, 0, 63), -XEN_ENOSYS);
	assert_int_equal(pvmm_hypercall(0, 0, 0, 0, 0, 64), -XEN_ENOSYS);
	assert_int_equal(pvmm_hypercall(0, 0, 0, 0, 0, UINT32_MAX), -XEN_ENOSYS);
}

/* Rule 36: a multicall goes on after a failure; each entry has its own result, nesting is refused.
 */
static void multicall_goes_on(void **state)
{
	pfn_t l1 = pinned_l1(), data = unit_page();
	struct mmu_update good = {pvmm_pt_entry_maddr(l1, 0), unit_pte(data, PVMM_PROT_RO)};
	struct mmu_update bad = {pvmm_pt_entry_maddr(l1, 1), unit_pte(l1, PVMM_PROT_RW)};
	struct mmuext_op flush = {.cmd = MMUEXT_TLB_FLUSH_ALL};
	unsigned int done[3] = {9, 9, 9};
	struct multicall_entry calls[] = {
		{.op = __HYPERVISOR_mmu_update,
		 .args = {pvmm_arg(&bad), 1, pvmm_arg(&done[0]), DOMID_SELF}},
		{.op = __HYPERVISOR_multicall, .args = {0, 0}},
		{.op = __HYPERVISOR_mmu_update,
		 .args = {pvmm_arg(&good), 1, pvmm_arg(&done[1]), DOMID_SELF}},
		{.op = __HYPERVISOR_mmuext_op,
		 .args = {pvmm_arg(&flush), 1, pvmm_arg(&done[2]), DOMID_SELF}},
		{.op = 1000},
	};
	const long results[] = {-XEN_EBUSY, -XEN_EINVAL, 0, 0, -XEN_ENOSYS};

	(void)state;
	model_counters_reset();
	assert_int_equal(pvmm_hc_multicall(calls, PVMM_ARRAY_SIZE(calls)), 0);
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(calls); i++) {
		assert_int_equal((long)calls[i].result, results[i]);
		/* The debug hypervisor leaves nothing else to be read. */
		assert_int_equal(calls[i].op, 0xaaaaaaaaaaaaaaaaULL);
		assert_int_equal(calls[i].args[0], 0xaaaaaaaaaaaaaaaaULL);
		assert_int_equal(calls[i].args[5], 0xaaaaaaaaaaaaaaaaULL);
	}
	assert_int_equal(done[0], 0);
	assert_int_equal(done[1], 1);
	assert_int_equal(done[2], 1);
	assert_true(pvmm_pte_present(unit_peek(l1, 0)));
	assert_int_equal(model_counters().traps, 1);
	assert_int_equal(model_counters().calls[__HYPERVISOR_mmu_update], 2);
	assert_int_equal(model_counters().mmu_updates, 1);
	assert_int_equal(model_counters().mmuext[MMUEXT_TLB_FLUSH_ALL], 1);
}

/* Rule 36: the release hypervisor leaves the entries alone. */
static void release_does_not_poison(void **state)
{
	struct multicall_entry call = {.op = __HYPERVISOR_xen_version, .args = {1, 2, 3, 4, 5, 6}};

	(void)state;
	unit_reboot(&(struct model_options){.release = true});
	assert_int_equal(pvmm_hc_multicall(&call, 1), 0);
	assert_int_equal(call.op, __HYPERVISOR_xen_version);
	assert_int_equal(call.args[5], 6);
	assert_int_equal((long)call.result, -XEN_ENOSYS);
}

/* The model's failure injection, by call and by single operation: what the other tests stand on. */
static void injected_failures(void **state)
{
	pfn_t l1 = pinned_l1(), data = unit_page();
	struct mmu_update req[3];
	unsigned int done;

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		req[i] = (struct mmu_update){pvmm_pt_entry_maddr(l1, i),
					     unit_pte(data, PVMM_PROT_RO)};
	model_fail_call(__HYPERVISOR_mmu_update, 2, -XEN_ENOMEM);
	assert_int_equal(update(req, 3, &done), 0);
	assert_false(model_fail_fired());

	model_fail_call(MODEL_ANY_CALL, 1, -XEN_ENOMEM);
	assert_int_equal(unit_ext(MMUEXT_TLB_FLUSH_ALL, _mfn(0)), -XEN_ENOMEM);
	assert_true(model_fail_fired());
	assert_int_equal(unit_ext(MMUEXT_TLB_FLUSH_ALL, _mfn(0)), 0);

	model_fail_operation(__HYPERVISOR_mmu_update, 3, -XEN_EFAULT);
	assert_int_equal(update(req, 3, &done), -XEN_EFAULT);
	assert_int_equal(done, 2);
	assert_true(model_fail_fired());
	assert_false(model_fail_fired());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(commands),
		UNIT_TEST(untyped_targets),
		UNIT_TEST(fast_path),
		UNIT_TEST(stops_at_the_first_error),
		UNIT_TEST(upper_updates_flush),
		UNIT_TEST(foreign_domains),
		UNIT_TEST(foreign_domains_entry_by_entry),
		UNIT_TEST(va_mapping_walks_the_loaded_root),
		UNIT_TEST(va_mapping_marks_the_l3_entry),
		UNIT_TEST(va_mapping_flushes),
		UNIT_TEST(restarted_calls),
		UNIT_TEST(counts_are_not_limited),
		UNIT_TEST(bad_arguments),
		UNIT_TEST(multicall_goes_on),
		UNIT_TEST(release_does_not_poison),
		UNIT_TEST(injected_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
