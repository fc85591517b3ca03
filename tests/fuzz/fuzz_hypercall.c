/* SPDX-License-Identifier: MIT */
/*
 * The model's hypercall interface in the hands of a hostile guest: any number, any arguments,
 * pointers to nowhere, counts without bounds, frames of others. The model answers or crashes the
 * domain as Xen does; it never dies, and its books are right afterwards.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <pvmm/paging.h>
#include "tests/fuzz/fuzz.h"
#include "tests/model/state.h"

enum { MACHINE_PAGES = 96, ARENA_PAGES = 2, MAX_CALLS = 40 };

/* Not mapped in the process, nor by anything that the guest can do. */
#define NOWHERE 0x10000ULL

static struct fuzz_input input;

/* The guest's memory: writable pages, then a read-only one, then none. */
static uint8_t *arena;
#define ARENA_BYTES (ARENA_PAGES * PVMM_PAGE_SIZE)
#define ARENA_END   (ARENA_BYTES + 2 * PVMM_PAGE_SIZE)

/* --- faults of the model on the guest's behalf --- */

static sigjmp_buf back;
static volatile bool calling;
static struct sigaction others;

/*
 * Xen's copies from and to the guest fail; here the call ends. Pointers stand in memory that the
 * guest, and the calls before, have written: any address may come. What the model itself reads or
 * writes out of bounds is AddressSanitizer's to report, not a fault.
 */
static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)info, (void)context;
	if (calling)
		siglongjmp(back, 1);
	sigaction(sig, &others, NULL);
}

static void prepare(void)
{
	const struct sigaction action = {.sa_sigaction = on_fault,
					 .sa_flags = SA_SIGINFO | SA_NODEFER};

	arena = mmap(NULL, ARENA_END, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fuzz_must(arena != MAP_FAILED);
	fuzz_must(!mprotect(arena + ARENA_BYTES, PVMM_PAGE_SIZE, PROT_READ));
	fuzz_must(!mprotect(arena + ARENA_BYTES + PVMM_PAGE_SIZE, PVMM_PAGE_SIZE, PROT_NONE));
	sigaction(SIGSEGV, &action, &others);
	sigaction(SIGBUS, &action, NULL);
}

static void call(unsigned int op, const uint64_t *a)
{
	calling = true;
	if (!sigsetjmp(back, 1)) {
		pvmm_hypercall(a[0], a[1], a[2], a[3], a[4], op);
	} else {
		/* In between two operations: what the end of the call owes is done here. */
		tlb_flush(ALL_VCPUS);
		mirror_flush();
		model_unlock();
	}
	calling = false;
}

/* --- arguments --- */

static uint64_t any_pointer(uint8_t which)
{
	static const uint64_t wild[] = {
		0,
		NOWHERE,
		NOWHERE + 3,
		0x0000800000000000ULL,
		0x7fffffffffffffffULL,
		0xffff800000000000ULL,
		0xfffffffffffff000ULL,
		0xffffffff80000000ULL,
	};

	if (which < 160)
		return (uintptr_t)arena + which % 16 * 128;
	if (which < 176) /* runs out of the arena, at any alignment */
		return (uintptr_t)arena + ARENA_BYTES + which - 176 - 64;
	if (which < 184)
		return (uintptr_t)arena + ARENA_BYTES + which;
	if (which < 192)
		return (uintptr_t)arena + ARENA_BYTES + PVMM_PAGE_SIZE + which;
	if (which < 200)
		return (uintptr_t)arena + fuzz_byte(&input);
	return wild[which % PVMM_ARRAY_SIZE(wild)];
}

/* Mostly the domain's: its tables are in front. */
static uint64_t any_mfn(uint8_t which)
{
	if (which < 2 * MACHINE_PAGES)
		return model.mfn_of_store[which / 2];
	if (which < 216)
		return model.mfn_of_store[MACHINE_PAGES + (which - 192) * 4];
	if (which < 232)
		return which;
	return fuzz_bytes(&input, which < 244 ? 3 : 8);
}

static uint64_t any_entry(uint8_t which)
{
	static const uint64_t flags[] = {PVMM_PROT_RO, PVMM_PROT_RW, PVMM_PROT_TABLE,
					 PVMM_PROT_RO | PVMM_PROT_USER, PVMM_PTE_PRESENT};

	if (which < 40)
		return 0;
	if (which < 220)
		return any_mfn(fuzz_byte(&input)) << PVMM_PAGE_SHIFT |
		       flags[which % PVMM_ARRAY_SIZE(flags)];
	if (which < 248)
		return any_mfn(fuzz_byte(&input)) << PVMM_PAGE_SHIFT | PVMM_PTE_PRESENT |
		       (fuzz_bytes(&input, 8) & ~PVMM_PTE_FRAME_MASK);
	return fuzz_bytes(&input, 8);
}

/* Slots that matter: the first, the kernel's, Xen's, the last. */
static unsigned int any_slot(uint8_t which)
{
	static const uint16_t slots[] = {0, 1, 2, 252, 253, 254, 255, 256, 271, 272, 511};

	return which < 200 ? slots[which % PVMM_ARRAY_SIZE(slots)] : which * 2u;
}

static uint64_t any_va(uint8_t which)
{
	static const uint64_t bases[] = {PVMM_DIRECTMAP_BASE, PVMM_VMAP_BASE, PVMM_P2M_BASE,
					 0x20000000ULL, 0xffff800000000000ULL};

	return bases[which % PVMM_ARRAY_SIZE(bases)] + fuzz_byte(&input) * PVMM_PAGE_SIZE;
}

static uint32_t any_count(uint8_t which)
{
	static const uint32_t counts[] = {0, 4096, 0x7fffffff, 0x80000000, 0x80000001, UINT32_MAX};

	return which < 240 ? which % 8 : counts[which % PVMM_ARRAY_SIZE(counts)];
}

static uint32_t any_domain(uint8_t which)
{
	static const uint32_t domains[] = {
		0,	GUEST_DOMID, FOREIGN_DOMID,	    DOMID_IO,  DOMID_XEN,
		0x7fff, 1u << 16,    2u << 16 | DOMID_SELF, 0x1234567, UINT32_MAX,
	};

	return which < 200 ? DOMID_SELF : domains[which % PVMM_ARRAY_SIZE(domains)];
}

static void fill_updates(uint8_t *at, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		uint64_t frame = any_mfn(fuzz_byte(&input)) << PVMM_PAGE_SHIFT;
		uint8_t cmd = fuzz_byte(&input);
		struct mmu_update update = {
			.ptr = (frame + any_slot(fuzz_byte(&input)) * 8) |
			       (cmd < 200 ? 0 : cmd & 7),
			.val = any_entry(fuzz_byte(&input)),
		};

		memcpy(at + i * sizeof(update), &update, sizeof(update));
	}
}

static void fill_ops(uint8_t *at, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		uint8_t cmd = fuzz_byte(&input), how = fuzz_byte(&input);
		struct mmuext_op op = {.cmd = cmd < 250 ? cmd % 22u
							: (uint32_t)fuzz_bytes(&input, 4)};

		op.arg1.linear_addr = how & 1 ? any_va(how) : any_mfn(fuzz_byte(&input));
		op.arg2.src_mfn = how & 2 ? any_pointer(fuzz_byte(&input)) : any_mfn(how);
		memcpy(at + i * sizeof(op), &op, sizeof(op));
	}
}

/* Frames and pfns that reservations, grants and descriptor tables are made of, at the arena's end.
 */
static uint64_t *fill_frames(void)
{
	uint64_t *frames = (uint64_t *)(void *)(arena + ARENA_BYTES - 256);

	for (unsigned int i = 0; i < 8; i++)
		frames[i] = any_mfn(fuzz_byte(&input));
	return frames;
}

static struct xen_memory_reservation any_reservation(uint8_t how)
{
	struct xen_memory_reservation r = {
		.nr_extents = any_count(fuzz_byte(&input)),
		.extent_order = how < 200 ? how & 1 : how,
		.domid = (domid_t)any_domain(fuzz_byte(&input)),
	};

	set_xen_guest_handle(r.extent_start, (xen_pfn_t *)fill_frames());
	if (how >= 240)
		set_xen_guest_handle(r.extent_start,
				     (xen_pfn_t *)(uintptr_t)any_pointer(fuzz_byte(&input)));
	return r;
}

static void fill_memory_op(uint64_t *a, uint8_t *scratch, uint8_t how)
{
	static const unsigned int cmds[] = {XENMEM_decrease_reservation,
					    XENMEM_increase_reservation, XENMEM_populate_physmap,
					    XENMEM_current_reservation, XENMEM_maximum_reservation};
	struct xen_memory_exchange exchange = {0};
	struct xen_memory_reservation r;

	if (how & 1) {
		exchange.in = any_reservation(fuzz_byte(&input));
		exchange.out = any_reservation(fuzz_byte(&input));
		exchange.nr_exchanged = how < 200 ? 0 : fuzz_byte(&input);
		memcpy(scratch, &exchange, sizeof(exchange));
	} else {
		r = any_reservation(fuzz_byte(&input));
		memcpy(scratch, &r, sizeof(r));
	}
	a[1] = a[0];
	a[0] = how & 1 ? XENMEM_exchange : cmds[how / 2 % PVMM_ARRAY_SIZE(cmds)];
}

static void fill_grant_op(uint64_t *a, uint8_t *scratch, uint8_t how)
{
	struct gnttab_map_grant_ref map = {
		.host_addr = how & 1 ? any_va(fuzz_byte(&input))
				     : any_mfn(fuzz_byte(&input)) << PVMM_PAGE_SHIFT |
					       any_slot(fuzz_byte(&input)) * 8u,
		.flags = fuzz_byte(&input),
		.ref = fuzz_byte(&input),
		.dom = (domid_t)any_domain(fuzz_byte(&input)),
	};
	struct gnttab_unmap_grant_ref unmap = {.host_addr = map.host_addr, .handle = map.ref};

	if (how & 2)
		memcpy(scratch, &map, sizeof(map));
	else
		memcpy(scratch, &unmap, sizeof(unmap));
	a[1] = a[0];
	a[2] = any_count(fuzz_byte(&input)) % 4;
	a[0] = how & 2 ? GNTTABOP_map_grant_ref : GNTTABOP_unmap_grant_ref;
	if (how >= 224)
		a[0] = how % 16;
}

/* What else holds frames: reservations, grants, descriptor tables. */
static unsigned int any_holder(uint64_t *a, uint8_t *scratch, uint8_t which)
{
	uint8_t how = fuzz_byte(&input);

	switch (which % 4) {
	case 0:
		fill_memory_op(a, scratch, how);
		return __HYPERVISOR_memory_op;
	case 1:
		fill_grant_op(a, scratch, how);
		return __HYPERVISOR_grant_table_op;
	case 2:
		a[0] = (uintptr_t)fill_frames();
		a[1] = how * 32u;
		return __HYPERVISOR_set_gdt;
	default:
		a[0] = any_mfn(how) << PVMM_PAGE_SHIFT | any_slot(fuzz_byte(&input)) * 8u;
		a[1] = fuzz_bytes(&input, 8);
		return __HYPERVISOR_update_descriptor;
	}
}

static unsigned int any_call(uint64_t *a, uint8_t *scratch, bool nested);

static void fill_calls(uint8_t *at, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct multicall_entry entry = {0};
		uint64_t args[6] = {0};

		entry.op = any_call(args, arena + 1024 + i * 256, true);
		memcpy(entry.args, args, sizeof(args));
		memcpy(at + i * sizeof(entry), &entry, sizeof(entry));
	}
}

/* A call with its arguments; what it points to is in the scratch, or somewhere else. */
static unsigned int any_call(uint64_t *a, uint8_t *scratch, bool nested)
{
	uint8_t what = fuzz_byte(&input), where = fuzz_byte(&input), many = fuzz_byte(&input);
	unsigned int nr = any_count(many) % 8;

	if (what >= 208) {
		if (what >= 232)
			for (unsigned int i = 0; i < 5; i++)
				a[i] = i & 1 ? fuzz_bytes(&input, 4)
					     : any_pointer(fuzz_byte(&input));
		return what < 250 ? many % 64 : (unsigned int)fuzz_bytes(&input, 4);
	}
	a[0] = where < 200 ? (uintptr_t)scratch : any_pointer(where);
	a[1] = any_count(many);
	a[2] = where & 1 ? any_pointer(fuzz_byte(&input)) : (uintptr_t)arena + 4096;
	a[3] = any_domain(fuzz_byte(&input));
	if (what < 80) {
		fill_updates(scratch, nr);
		return __HYPERVISOR_mmu_update;
	}
	if (what < 144) {
		fill_ops(scratch, nr);
		return __HYPERVISOR_mmuext_op;
	}
	if (what < 176) {
		a[0] = any_va(where);
		a[1] = any_entry(many);
		a[2] = where & 2 ? fuzz_byte(&input) % 8
				 : any_pointer(fuzz_byte(&input)) | (where & 3);
		return __HYPERVISOR_update_va_mapping;
	}
	if (what < 192)
		return any_holder(a, scratch, many);
	if (!nested)
		fill_calls(scratch, nr);
	return __HYPERVISOR_multicall;
}

static void run(void *ctx)
{
	(void)ctx;
	for (unsigned int i = 0; i < MAX_CALLS && fuzz_more(&input); i++) {
		uint64_t args[6] = {0};
		unsigned int op = any_call(args, arena, false);

		call(op, args);
		if (fuzz_byte(&input) == 7)
			model_set_vcpu(i & 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model_options options = {0};
	char text[512];
	uint8_t how;

	if (!arena)
		prepare();
	input = (struct fuzz_input){data, data + size};
	how = fuzz_byte(&input);
	options.release = how & 1;
	options.has_iomem = how & 2;
	options.no_l1tf = how & 4;
	options.no_linear = how & 8;
	options.no_upper_flush = how & 16;
	memset(arena, 0, ARENA_BYTES);
	model_boot_with(MACHINE_PAGES, 1, &options);
	model_vcpu_up(1);
	if (!model_catch(run, NULL, text, sizeof(text))) {
		fuzz_must(!model_check());
	} else if (!strstr(text, "domain crashed by Xen")) {
		fprintf(stderr, "panic: %s\n", text);
		abort();
	}
	calling = false;
	model_shutdown();
	return 0;
}
