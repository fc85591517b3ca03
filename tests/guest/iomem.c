/* SPDX-License-Identifier: MIT */
/*
 * A device's memory, in a domain that may map it: xl-configs/iomem.cfg gives it the page of the
 * HPET (IA-PC HPET specification 1.0a, 2.3), which emulated machines and most real ones have.
 */
#include <pvmm/ledger.h>
#include <pvmm/vmap.h>
#include "suites.h"

#define HPET_MFN	0xfed00
#define HPET_ID_WORD	0
#define HPET_PERIOD_MAX 0x05f5e100 /* femtoseconds of a tick, in the upper half of the word */

/* Uncached, as the memory of a device has to be. */
#define PROT_DEVICE (PVMM_PROT_RO | PVMM_PTE_PCD | PVMM_PTE_PWT)

static void a_device_is_read(void)
{
	const mfn_t mfn = _mfn(HPET_MFN);
	void *addr;
	uint64_t id;

	if (!CHECK_EQUAL(pvmm_vmap_frames(&mfn, 1, PROT_DEVICE, NULL, &addr), 0)) {
		pvmm_purge(); /* what is kept for the next area */
		return;
	}
	id = ((const volatile uint64_t *)addr)[HPET_ID_WORD];
	CHECK(id >> 32 && id >> 32 <= HPET_PERIOD_MAX);
	CHECK((id >> 16 & 0xffff) != 0 && (id >> 16 & 0xffff) != 0xffff); /* a maker */
	CHECK(!pvmm_vmap_page(addr)); /* it is no page of the domain's */
	CHECK_EQUAL(pvmm_vunmap(addr), 0);
	pvmm_purge();
}

/* The page behind it is not the domain's to map: refused, and nothing is left of the attempt. */
static void another_device_is_refused(void)
{
	const mfn_t mfns[] = {_mfn(HPET_MFN), _mfn(HPET_MFN + 0x10000)};
	void *addr;

	CHECK(pvmm_vmap_frames(mfns, 2, PROT_DEVICE, NULL, &addr) < 0);
	pvmm_purge();
}

static const struct test tests[] = {
	{"a device's memory is mapped uncached and read", a_device_is_read},
	{"that of another device is refused", another_device_is_refused},
	{NULL, NULL},
};

const struct suite suite_iomem = {
	.name = "iomem",
	.about = "a device's memory: with xl-configs/iomem.cfg",
	.on_request = true,
	.tests = tests,
};
