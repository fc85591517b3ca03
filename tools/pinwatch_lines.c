/* SPDX-License-Identifier: MIT */
/*
 * See pinwatch_lines.h. One table of wordings, and one function that compares a line with a
 * wording. Owns nothing.
 *
 * The wordings are those of arch/x86/mm.c, pv/ and domain.c of Xen. File names and line numbers in
 * front of them change with every version and are only skipped; so are time stamps.
 */
#include <stddef.h>
#include <string.h>
#include "pinwatch_lines.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/*
 * In a wording, a percent sign and a letter stand for a number:
 *   M mfn   P pfn   S type that was seen   W type that was wanted   E entry   F flags   hexadecimal
 *   X hexadecimal that is not kept    e signed error    n decimal count    L level, one digit
 *   s slot, hexadecimal with or without 0x     l slot in a word for a table that follows, decimal
 *   D domain that it is about, O owner: "1", "d1", "d[IO]", "dNULL", "d-1"
 *   . the rest of the line, whatever it is
 */
struct wording {
	enum line_kind kind;
	const char *text;
};

static const struct wording wordings[] = {
	{LINE_BAD_TYPE, "Bad type (saw %S != exp %W) for mfn %M (pfn %P)"},
	{LINE_PIN, "Error %e while pinning mfn %M"},
	{LINE_BASEPTR, "Error while installing new baseptr %M"},
	{LINE_BASEPTR, "Error while installing new compat baseptr %M"},
	{LINE_USER_BASEPTR, "Error %e installing new mfn %M"},
	{LINE_ENTRY,
	 "Error getting mfn %M (pfn %P) from L1 entry %E for l1e_owner %D, pg_owner %O"},
	{LINE_ENTRY,
	 "Error getting mfn %M (pfn %P) from L1 entry %E for l1e_owner=%D, pg_owner=%O"},
	{LINE_VALIDATE, "Error while validating mfn %M (pfn %P) for type %W: caf=%X taf=%S"},
	{LINE_PROMOTE, "Failure %e in promote_l%L_table: slot %s"},
	{LINE_PROMOTE, "Failure %e in alloc_l%L_table: slot %s"},
	{LINE_NO_WRITABLE, "Could not get page type PGT_writable_page"},
	{LINE_FLAGS, "Bad L%L flags %F"},
	{LINE_LINEAR, "Attempt to create linear p.t. with write perms"},
	{LINE_LINEAR, "Attempt to create linear p.t. (feature disabled)"},
	{LINE_FOREIGN, "pg_owner %O l1e_owner %D, but real_pg_owner %."},
	{LINE_MMIO, "%D non-privileged attempt to map MMIO space %M"},
	{LINE_MMIO, "%D attempted to map MMIO space %M in %O to %."},
	{LINE_XEN_PAGE, "Attempt to change cache attributes of Xen heap page"},
	{LINE_XEN_AREA, "L%L update in Xen-private area, slot %s"},
	{LINE_GET_PAGE, "Error mfn %M: rd=%D od=%O caf=%X taf=%S"},
	{LINE_STEAL, "Bad steal mfn %M from %D (owner %O) caf=%X taf=%S"},
	{LINE_ALREADY_PINNED, "mfn %M already pinned"},
	{LINE_NOT_PINNED, "mfn %M not pinned"},
	{LINE_NOT_OURS, "mfn %M bad, or bad owner %D"},
	{LINE_OVERFLOW, "Type count overflow on mfn %M"},
	{LINE_SHARED_L3, "PAE L3 3rd slot is shared"},
	{LINE_GRANT_ENTRY, "Attempt to implicitly unmap %D's grant PTE %E"},
	{LINE_GRANT_ENTRY, "Attempt to implicitly unmap a granted PTE %E"},
	{LINE_GRANT_MAP, "Could not find L1 PTE for linear address %X"},
	{LINE_GRANT_MAP, "Could not find L1 PTE for linear %X"},
	{LINE_GRANT_MAP, "Could not find L1 PTE for address %X"},
	{LINE_GRANT_MAP, "Misaligned PTE address %X"},
	{LINE_GRANT_MAP, "PTE %E for %X doesn't match grant (%X)"},
	{LINE_GRANT_MAP, "PTE flags %F for %X don't match grant (%X)"},
	{LINE_UPDATE, "Could not get page for normal update"},
	{LINE_UPDATE, "Could not get page for mach->phys update"},
	{LINE_COPY, "Error clearing mfn %M"},
	{LINE_COPY, "Error copying from mfn %M"},
	{LINE_COPY, "Error copying to mfn %M"},
	{LINE_DESCRIPTORS, "Bad args to SET_LDT: ptr=%X, ents=%X"},
	{LINE_EMULATION, "could not get_page_from_l1e()"},
	{LINE_EMULATION, "ptwr_emulate: could not get_page_from_l1e()"},
	{LINE_L1TF, "%D L1TF-vulnerable L%Le %E - Crashing"},
	{LINE_L1TF, "%D L1TF-vulnerable L%Le %E - Shadowing"},
	{LINE_NO_USER_TABLES, "Guest switching to user mode with no user page tables"},
	{LINE_CRASH, "Domain %D (vcpu#%v) crashed on cpu#%."},
	{LINE_SUPPRESSED, "printk: %n messages suppressed."},
};

static bool digit(char c, unsigned int base, uint64_t *value)
{
	if (c >= '0' && c <= '9')
		*value = (uint64_t)(c - '0');
	else if (c >= 'a' && c <= 'f')
		*value = (uint64_t)(c - 'a' + 10);
	else
		return false;
	return *value < base;
}

/* A number at *at, which moves behind it; at most 16 hexadecimal digits, 19 decimal ones. */
static bool number(const char **at, unsigned int base, uint64_t *value)
{
	unsigned int nr = 0, most = base == 16 ? 16 : 19;
	uint64_t next;

	*value = 0;
	while (digit(**at, base, &next)) {
		if (++nr > most)
			return false;
		*value = *value * base + next;
		(*at)++;
	}
	return nr > 0;
}

static bool skip(const char **at, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*at, word, len))
		return false;
	*at += len;
	return true;
}

/* "1", "d1", "d-1", "d[IO]", "dNULL"; those without a number are nobody. */
static bool domain(const char **at, uint64_t *domid)
{
	const char *end;

	*domid = LINE_NONE;
	if (**at != 'd')
		return number(at, 10, domid);
	(*at)++;
	if (skip(at, "NULL") || skip(at, "-1"))
		return true;
	if (**at != '[')
		return number(at, 10, domid);
	end = strchr(*at, ']');
	if (!end || end - *at > 8)
		return false;
	*at = end + 1;
	return true;
}

static bool signed_number(const char **at, int64_t *value)
{
	bool negative = skip(at, "-");
	uint64_t magnitude;

	if (!number(at, 10, &magnitude) || magnitude > INT32_MAX)
		return false;
	*value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
	return true;
}

/* What a letter of a wording stands for. */
static bool value_of(char letter, const char **at, struct line *line)
{
	uint64_t not_kept;

	switch (letter) {
	case 'M':
		return number(at, 16, &line->mfn);
	case 'P':
		return number(at, 16, &line->pfn);
	case 'S':
		return number(at, 16, &line->saw);
	case 'W':
		return number(at, 16, &line->wanted);
	case 'E':
		return number(at, 16, &line->entry);
	case 'F':
		return number(at, 16, &line->flags);
	case 'X':
		return number(at, 16, &not_kept);
	case 's':
		skip(at, "0x");
		return number(at, 16, &line->slot);
	case 'n':
		return number(at, 10, &line->count);
	case 'v':
		return number(at, 10, &line->vcpu);
	case 'e':
		return signed_number(at, &line->error);
	case 'L':
		if (**at < '1' || **at > '4')
			return false;
		line->level = (uint64_t)(*(*at)++ - '0');
		return true;
	case 'D':
		/* Who was running is known better from the front of the line. */
		return domain(at, line->domid == LINE_NONE ? &line->domid : &not_kept);
	case 'O':
		return domain(at, &line->owner);
	case '.':
		*at += strlen(*at);
		return true;
	}
	return false;
}

/* Takes the line apart into a copy, so that a wording that fits half-way leaves nothing behind. */
static bool fits(const struct wording *wording, const char *at, struct line *line)
{
	struct line got = *line;

	for (const char *w = wording->text; *w; w++) {
		if (*w == '%') {
			if (!value_of(*++w, &at, &got))
				return false;
		} else if (*w != *at++) {
			return false;
		}
	}
	if (*at)
		return false;
	got.kind = wording->kind;
	*line = got;
	return true;
}

/* "[...] " of a time stamp. */
static void skip_time(const char **at)
{
	const char *end = **at == '[' ? strchr(*at, ']') : NULL;

	if (end && end - *at < 40 && end[1] == ' ')
		*at = end + 2;
}

/* "arch/x86/mm.c:2940:" of a debug build; its dNvM follows without a space. */
static void skip_place(const char **at)
{
	const char *colon = *at + strcspn(*at, ": "), *next = colon;
	uint64_t line_number;

	if (colon == *at || *next++ != ':' || !number(&next, 10, &line_number) || *next++ != ':')
		return;
	*at = next;
}

/* "d1v0 " */
static void running(const char **at, struct line *line)
{
	const char *next = *at;
	uint64_t domid, vcpu;

	if (*next != 'd' || !domain(&next, &domid) || *next++ != 'v' || !number(&next, 10, &vcpu) ||
	    *next++ != ' ')
		return;
	line->domid = domid;
	line->vcpu = vcpu;
	*at = next;
}

bool line_parse(struct line *line, const char *text)
{
	*line = (struct line){
		.kind = LINE_OTHER,
		.domid = LINE_NONE,
		.vcpu = LINE_NONE,
		.mfn = LINE_NONE,
		.pfn = LINE_NONE,
		.saw = LINE_NONE,
		.wanted = LINE_NONE,
		.entry = LINE_NONE,
		.slot = LINE_NONE,
		.level = LINE_NONE,
		.flags = LINE_NONE,
		.owner = LINE_NONE,
	};
	if (!skip(&text, "(XEN) "))
		return false;
	skip_time(&text);
	skip_place(&text);
	running(&text, line);
	for (size_t i = 0; i < ARRAY_SIZE(wordings); i++) {
		if (fits(&wordings[i], text, line))
			return true;
	}
	return false;
}

static const struct {
	const char *name, *meaning;
} kinds[LINE_KINDS] = {
	[LINE_OTHER] = {"other", "something else"},
	[LINE_BAD_TYPE] = {"bad-type", "the frame is in use as something else"},
	[LINE_PIN] = {"pin", "a pin was refused"},
	[LINE_BASEPTR] = {"root", "a root was refused"},
	[LINE_USER_BASEPTR] = {"user-root", "a root for user mode was refused"},
	[LINE_ENTRY] = {"entry", "an L1 entry was refused"},
	[LINE_VALIDATE] = {"validate", "a table is not valid"},
	[LINE_PROMOTE] = {"slot", "a slot of a table was refused"},
	[LINE_NO_WRITABLE] = {"no-writable", "a page in other use was to be mapped writable"},
	[LINE_FLAGS] = {"flags", "an entry has bits that are not the guest's to set"},
	[LINE_LINEAR] = {"linear", "an entry does not lead to a table of the level below"},
	[LINE_FOREIGN] = {"foreign", "a page of another domain"},
	[LINE_MMIO] = {"mmio", "a mapping of a device's memory that is not allowed"},
	[LINE_XEN_AREA] = {"xen-area", "an entry in Xen's own part of a table"},
	[LINE_XEN_PAGE] = {"xen-page", "a caching attribute of one of Xen's pages"},
	[LINE_GET_PAGE] = {"get-page", "a frame that the domain may not use"},
	[LINE_STEAL] = {"steal", "a page that is still held was to be given away"},
	[LINE_ALREADY_PINNED] = {"already-pinned", "a pin of what is pinned"},
	[LINE_NOT_PINNED] = {"not-pinned", "an unpin of what is not pinned"},
	[LINE_NOT_OURS] = {"not-owned", "an unpin of what is not the domain's"},
	[LINE_OVERFLOW] = {"overflow", "more uses than can be counted"},
	[LINE_SHARED_L3] = {"shared-l3", "PAE: the L2 table of slot 3 has another user"},
	[LINE_GRANT_ENTRY] = {"grant-entry", "a mapped grant was overwritten, not unmapped"},
	[LINE_GRANT_MAP] = {"grant-map", "a grant operation's entry is not as it has to be"},
	[LINE_UPDATE] = {"update", "an update of a page that is not the domain's"},
	[LINE_COPY] = {"copy", "a page could not be cleared or copied"},
	[LINE_DESCRIPTORS] = {"descriptors", "a descriptor table was refused"},
	[LINE_EMULATION] = {"emulation", "a write to a page table was not carried out"},
	[LINE_L1TF] = {"l1tf", "a non-present entry with an address in it"},
	[LINE_NO_USER_TABLES] = {"no-user-root", "to user mode without a user root"},
	[LINE_CRASH] = {"crash", "Xen crashed the domain"},
	[LINE_SUPPRESSED] = {"suppressed", "Xen had more to say than it may"},
};

const char *line_kind_name(enum line_kind kind)
{
	return kinds[kind].name;
}

const char *line_kind_meaning(enum line_kind kind)
{
	return kinds[kind].meaning;
}

bool line_is_refusal(const struct line *line)
{
	return line->kind != LINE_OTHER && line->kind != LINE_CRASH &&
	       line->kind != LINE_SUPPRESSED;
}
