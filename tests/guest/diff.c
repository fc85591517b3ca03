/* SPDX-License-Identifier: MIT */
/*
 * diff=FIRST:COUNT[:MASK][,...] and diff-words: differential sequences (tests/diff/sequence.h) on
 * real Xen. The sources are those of the hosted program, taken in as they are: one object here, so
 * that the image's list of sources stays what guest/ and tests/guest/ hold.
 */
#include <pvmm/log.h>
#include <pvmm/p2m.h>
#include <pvmm/xen.h>
#include "diff.h"
#include "../diff/choose.c"
#include "../diff/generate.c"
#include "../diff/arena.c"
#include "../diff/owned.c"
#include "../diff/grants.c"
#include "../diff/execute.c"
#include "../diff/state.c"
#include "../diff/words.c"
#include "../diff/run.c"

/* The local APIC's default address: no memory on any x86 machine. */
#define APIC_MFN 0xfee00

/* Above what any processor of today can address with 46 bits. */
#define OUTSIDE_MFN 0xffffffff

/* Frames are looked at from here up; a machine with a dom0 has one of it in the first GiB. */
#define SEARCH_FIRST 0x1000
#define SEARCH_END   0x40000

static const char *wanted;
static bool wants_words;

const char *diff_parse(const char *value)
{
	wanted = value;
	return diff_check(value);
}

const char *diff_parse_words(const char *value)
{
	(void)value;
	wants_words = true;
	return NULL;
}

bool diff_wanted(void)
{
	return wanted;
}

static void say(const char *line)
{
	pvmm_print("%s\n", line);
}

/* A frame that the m2p gives a pfn which is not ours belongs to somebody: to dom0, or like it. */
static mfn_t find_foreign(void)
{
	for (uint64_t mfn = SEARCH_FIRST; mfn < SEARCH_END; mfn++) {
		uint64_t pfn;

		if (!pvmm_read_safe(&machine_to_phys_mapping[mfn], &pfn) || pfn >> 40)
			continue;
		if (!pfn_valid(pvmm_mfn_to_pfn(_mfn(mfn))))
			return _mfn(mfn);
	}
	return PVMM_INVALID_MFN;
}

bool diff_go(void)
{
	const struct diff_machine machine = {
		.foreign = find_foreign(),
		.io = _mfn(APIC_MFN),
		.outside = _mfn(OUTSIDE_MFN),
		.say = say,
	};

	if (!mfn_valid(machine.foreign)) {
		pvmm_print("diff: no foreign frame found\n");
		return false;
	}
	return diff_run(wanted, wants_words, &machine);
}
