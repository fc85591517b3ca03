/* SPDX-License-Identifier: MIT */
/*
 * The lines of Xen's console, as the versions print them (R44). A fault looks like a refusal that
 * is passed over, a number read from the wrong place, or a line that a guest made up being
 * believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tools/pinwatch_lines.h"
#include "tools/type_word.h"

static struct line parse(const char *text)
{
	struct line line;

	line_parse(&line, text);
	return line;
}

static void the_laboratorys_debug_hypervisor(void **state)
{
	struct line l = parse("(XEN) arch/x86/mm.c:2940:d1v0 Bad type (saw e400000000000001 != exp "
			      "4000000000000000) for mfn 3838f (pfn 0698f)");

	(void)state;
	assert_int_equal(l.kind, LINE_BAD_TYPE);
	assert_int_equal(l.domid, 1);
	assert_int_equal(l.vcpu, 0);
	assert_int_equal(l.saw, 0xe400000000000001);
	assert_int_equal(l.wanted, 0x4000000000000000);
	assert_int_equal(l.mfn, 0x3838f);
	assert_int_equal(l.pfn, 0x698f);

	l = parse("(XEN) arch/x86/mm.c:3576:d12v3 Error -22 while pinning mfn 3834e");
	assert_int_equal(l.kind, LINE_PIN);
	assert_int_equal(l.domid, 12);
	assert_int_equal(l.vcpu, 3);
	assert_int_equal(l.error, -22);
	assert_int_equal(l.mfn, 0x3834e);

	l = parse(
		"(XEN) arch/x86/mm.c:2649:d1v0 Error while validating mfn 3831f (pfn 0691f) for type "
		"6000000000000000: caf=8000000000000003 taf=6000000000000001");
	assert_int_equal(l.kind, LINE_VALIDATE);
	assert_int_equal(l.wanted, 0x6000000000000000);
	assert_int_equal(l.saw, 0x6000000000000001);

	l = parse("(XEN) arch/x86/mm.c:1593:d1v0 Failure -22 in promote_l3_table: slot 0x1ff");
	assert_int_equal(l.kind, LINE_PROMOTE);
	assert_int_equal(l.level, 3);
	assert_int_equal(l.slot, 0x1ff);
	/* "%#x" of zero. */
	assert_int_equal(
		parse("(XEN) arch/x86/mm.c:1593:d1v0 Failure -22 in promote_l3_table: slot 0").slot,
		0);

	l = parse("(XEN) arch/x86/mm.c:1040:d1v0 Error getting mfn 7b60b (pfn 0000b) from L1 entry "
		  "001000007b60b067 for l1e_owner d1, pg_owner d1");
	assert_int_equal(l.kind, LINE_ENTRY);
	assert_int_equal(l.entry, 0x001000007b60b067);
	assert_int_equal(l.owner, 1);
	assert_int_equal(
		parse("(XEN) arch/x86/mm.c:3346:d1v0 Error while installing new baseptr 3834e")
			.kind,
		LINE_BASEPTR);
	assert_int_equal(
		parse("(XEN) arch/x86/mm.c:3708:d1v0 Error -22 installing new mfn 3816d").kind,
		LINE_USER_BASEPTR);
	assert_int_equal(parse("(XEN) arch/x86/mm.c:3642:d1v0 mfn 38338 not pinned").kind,
			 LINE_NOT_PINNED);
	assert_int_equal(
		parse("(XEN) arch/x86/mm.c:1148:d1v0 Attempt to create linear p.t. with write perms")
			.kind,
		LINE_LINEAR);
	assert_int_equal(
		parse("(XEN) arch/x86/mm.c:1014:d1v0 Could not get page type PGT_writable_page")
			.kind,
		LINE_NO_WRITABLE);
	l = parse("(XEN) arch/x86/mm.c:877:d1v0 Bad L1 flags 10");
	assert_int_equal(l.kind, LINE_FLAGS);
	assert_int_equal(l.level, 1);
	assert_int_equal(l.flags, 0x10);
}

/* What is left of it all there. */
static void the_laboratorys_release_hypervisor(void **state)
{
	struct line l = parse("(XEN) d1v0 Guest switching to user mode with no user page tables");

	(void)state;
	assert_int_equal(l.kind, LINE_NO_USER_TABLES);
	assert_int_equal(l.domid, 1);
	l = parse("(XEN) Domain 1 (vcpu#0) crashed on cpu#1:");
	assert_int_equal(l.kind, LINE_CRASH);
	assert_int_equal(l.domid, 1);
	assert_int_equal(l.vcpu, 0);
	l = parse(
		"(XEN) d2v1 Error mfn 39c56: rd=d2 od=d1 caf=8040000000000001 taf=0000000000000000");
	assert_int_equal(l.kind, LINE_GET_PAGE);
	assert_int_equal(l.mfn, 0x39c56);
	assert_int_equal(l.domid, 2);
	assert_int_equal(l.owner, 1);
	l = parse("(XEN) printk: 42 messages suppressed.");
	assert_int_equal(l.kind, LINE_SUPPRESSED);
	assert_int_equal(l.count, 42);
	assert_false(line_is_refusal(&l));
}

/* Words that changed between 4.14 and 4.20, and the ways to number a domain. */
static void other_versions(void **state)
{
	static const struct {
		const char *text;
		enum line_kind kind;
		uint64_t domid;
	} lines[] = {
		/* Before 4.17 the file is named by its last part. */
		{"(XEN) mm.c:2894:d3v1 Bad type (saw e400000000000001 != exp 2000000000000000) for mfn 1234 (pfn 5678)",
		 LINE_BAD_TYPE, 3},
		{"(XEN) mm.c:3481:d3v1 mfn 12345 already pinned", LINE_ALREADY_PINNED, 3},
		{"(XEN) mm.c:3500:d3v1 mfn 12345 bad, or bad owner d3", LINE_NOT_OURS, 3},
		/* Domains by number (%d), and by name (%pd). */
		{"(XEN) d4v0 Error mfn 39c56: rd=4 od=32754 caf=180000000000000 taf=0000000000000000",
		 LINE_GET_PAGE, 4},
		{"(XEN) d4v0 Error mfn 39c56: rd=d4 od=d[XEN] caf=180000000000000 taf=0000000000000000",
		 LINE_GET_PAGE, 4},
		{"(XEN) d4v0 Error mfn 39c56: rd=d4 od=dNULL caf=180000000000000 taf=0000000000000000",
		 LINE_GET_PAGE, 4},
		{"(XEN) d5v0 Attempt to implicitly unmap d5's grant PTE 8010000039c56067",
		 LINE_GRANT_ENTRY, 5},
		{"(XEN) mm.c:1160:d5v0 Attempt to implicitly unmap a granted PTE 8010000039c56067",
		 LINE_GRANT_ENTRY, 5},
		{"(XEN) arch/x86/mm.c:988:d5v0 pg_owner d5 l1e_owner d5, but real_pg_owner d-1",
		 LINE_FOREIGN, 5},
		{"(XEN) arch/x86/mm.c:901:d5v0 d5 non-privileged attempt to map MMIO space fed00",
		 LINE_MMIO, 5},
		{"(XEN) mm.c:907:d16v0 Error getting mfn 100000 (pfn 942b1) from L1 entry 8000000100000673 for "
		 "l1e_owner=16, pg_owner=32753",
		 LINE_ENTRY, 16},
		{"(XEN) arch/x86/mm.c:2265:d5v0 L2 update in Xen-private area, slot 0x1f0",
		 LINE_XEN_AREA, 5},
		{"(XEN) arch/x86/mm.c:1407:d5v0 PAE L3 3rd slot is shared", LINE_SHARED_L3, 5},
		{"(XEN) arch/x86/mm.c:4454:d5v0 Bad steal mfn 12345 from d5 (owner d5) caf=8000000000000002 "
		 "taf=e400000000000001",
		 LINE_STEAL, 5},
		{"(XEN) d31 L1TF-vulnerable L1e 8010000013600066 - Crashing", LINE_L1TF, 31},
		{"(XEN) arch/x86/mm.c:2899:d5v0 Type count overflow on mfn 12345", LINE_OVERFLOW,
		 5},
		{"(XEN) arch/x86/pv/grant_table.c:93:d5v0 Could not find L1 PTE for linear address ffff888000001000",
		 LINE_GRANT_MAP, 5},
		{"(XEN) arch/x86/pv/ro-page-fault.c:163:d5v0 could not get_page_from_l1e()",
		 LINE_EMULATION, 5},
		{"(XEN) arch/x86/mm.c:3837:d5v0 Bad args to SET_LDT: ptr=ffff888000001001, ents=10",
		 LINE_DESCRIPTORS, 5},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct line l = parse(lines[i].text);

		assert_int_equal(l.kind, lines[i].kind);
		assert_int_equal(l.domid, lines[i].domid);
		assert_true(line_is_refusal(&l));
	}
}

/* console_timestamps= of Xen's command line. */
static void time_stamps(void **state)
{
	static const char *const stamps[] = {"[2026-11-21 16:02:53] ", "[2026-11-21 16:02:53.123] ",
					     "[    4.195026] ", "[0000001234abcdef] "};
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof(stamps) / sizeof(stamps[0]); i++) {
		strcpy(text, "(XEN) ");
		strcat(text, stamps[i]);
		strcat(text, "arch/x86/mm.c:3576:d1v0 Error -22 while pinning mfn 3834e");
		assert_int_equal(parse(text).kind, LINE_PIN);
		assert_int_equal(parse(text).domid, 1);
	}
}

/* R44: what a guest prints is no word of Xen's; what is not quite such a line is none. */
static void hostile_lines(void **state)
{
	static const char *const lines[] = {
		"",
		"(XEN)",
		"(XEN) ",
		"(XEN) [",
		"(XEN) :::",
		"(XEN) d",
		"(XEN) d1",
		"(XEN) d[",
		"(XEN) d[[[[[[[[[[[[[[[[[[[v0 mfn 1 not pinned",
		"(XEN) a:1:d1v0 Bad type (saw ",
		"(d1) (XEN) arch/x86/mm.c:3576:d1v0 Error -22 while pinning mfn 3834e",
		"(d1) arch/x86/mm.c:3576:d1v0 Error -22 while pinning mfn 3834e",
		"arch/x86/mm.c:3576:d1v0 Error -22 while pinning mfn 3834e",
		"(XEN) arch/x86/mm.c:3576:d1v0 Error -22 while pinning mfn 3834e and more",
		"(XEN) arch/x86/mm.c:3576:d1v0 Error -22 while pinning mfn ",
		"(XEN) arch/x86/mm.c:3576:d1v0 Error - while pinning mfn 1",
		"(XEN) arch/x86/mm.c:3576:d1v0 Error -99999999999999999999 while pinning mfn 1",
		"(XEN) arch/x86/mm.c:3576:d1v0 Error -22 while pinning mfn 11112222333344445",
		"(XEN) arch/x86/mm.c:1593:d1v0 Failure -22 in promote_l5_table: slot 0",
		"(XEN) printk: 99999999999999999999999 messages suppressed.",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct line l;

		assert_false(line_parse(&l, lines[i]));
		assert_int_equal(l.kind, LINE_OTHER);
		assert_int_equal(l.mfn, LINE_NONE);
	}
	for (int kind = 0; kind < LINE_KINDS; kind++) {
		assert_non_null(line_kind_name((enum line_kind)kind));
		assert_non_null(line_kind_meaning((enum line_kind)kind));
	}
}

static void assert_words(uint64_t word, enum type_layout layout, const char *wanted)
{
	char words[TYPE_WORD_BYTES];

	type_word_describe(word, layout, words);
	assert_string_equal(words, wanted);
}

static void type_words(void **state)
{
	struct type_word type;

	(void)state;
	assert_words(0xe400000000000001, TYPE_BITS_3, "a writable page, 1 use");
	assert_words(0x2c00000000000002, TYPE_BITS_3,
		     "an L1 page table, pinned, validated, 2 uses");
	assert_words(0x8000000000000000, TYPE_BITS_3, "an L4 page table, 0 uses");
	assert_words(0x6100000000000001, TYPE_BITS_3, "an L3 page table, partly validated, 1 use");
	assert_words(0x4600000000000001, TYPE_BITS_3,
		     "an L2 page table, validated, with Xen's entries, 1 use");
	assert_words(0xb400000000000001, TYPE_BITS_3, "a GDT or LDT page, locked, 1 use");
	assert_words(0xe480000000000003, TYPE_BITS_3,
		     "a writable page, mapped write-combining, 3 uses");
	assert_words(0, TYPE_BITS_3, "of no type, 0 uses");
	/* Versions before the supported ones, for old logs. */
	assert_int_equal(type_layout_of(0x7400000000000001, 0x3000000000000000), TYPE_BITS_4);
	assert_words(0x7400000000000001, TYPE_BITS_4, "a writable page, 1 use");
	assert_words(0x3000000000000000, TYPE_BITS_4, "an L3 page table, 0 uses");
	assert_int_equal(type_layout_of(0xe400000000000001, 0x2000000000000000), TYPE_BITS_3);
	type_word_decode(&type, UINT64_MAX, TYPE_BITS_3);
	assert_int_equal(type.count, (1ULL << 55) - 1);
	assert_int_equal(type.use, USE_WRITABLE);
	assert_words(
		UINT64_MAX, TYPE_BITS_3,
		"a writable page, pinned, partly validated, with Xen's entries, locked, mapped "
		"write-combining, 36028797018963967 uses");
	type_word_decode(&type, UINT64_MAX, TYPE_BITS_4);
	assert_int_equal(type.use, USE_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_laboratorys_debug_hypervisor),
		cmocka_unit_test(the_laboratorys_release_hypervisor),
		cmocka_unit_test(other_versions),
		cmocka_unit_test(time_stamps),
		cmocka_unit_test(hostile_lines),
		cmocka_unit_test(type_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
