/* SPDX-License-Identifier: MIT */
/*
 * What the checker's reports and options look like: one line of JSON that is valid whatever there
 * is to say, the text's first line, and a command line that is refused when it makes no sense.
 */
#include <ctype.h>
#include <pvmm/check.h>
#include <pvmm/cmdline.h>
#include <pvmm/vmap.h>
#include "arch-xen/check_options.h"
#include "tests/unit/unit.h"

#define STRAY_VA (PVMM_VMAP_BASE + 100 * PVMM_PAGE_SIZE)

static const struct pvmm_check_config usual = {.modes = PVMM_CHECK_PIN, .report = PVMM_REPORT_TEXT};

static int boot(void **state)
{
	pvmm_check_configure(&usual);
	return unit_boot(state);
}

static int done(void **state)
{
	pvmm_check_configure(&usual);
	return unit_shutdown(state);
}

/* --- a judge of JSON: RFC 8259, all of it but that numbers are whole --- */

static const char *value(const char *s);

static const char *text(const char *s)
{
	if (*s++ != '"')
		return NULL;
	for (; *s != '"'; s++) {
		if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e)
			return NULL;
		if (*s != '\\')
			continue;
		s++;
		if (*s == 'u') {
			for (int i = 1; i <= 4; i++)
				if (!isxdigit((unsigned char)s[i]))
					return NULL;
			s += 4;
		} else if (!strchr("\"\\/bfnrt", *s)) {
			return NULL;
		}
	}
	return s + 1;
}

/* What stands between brackets, separated by commas; with names before the values in an object. */
static const char *sequence(const char *s, char end)
{
	if (*++s == end)
		return s + 1;
	for (;; s++) {
		if (end == '}') {
			s = text(s);
			if (!s || *s++ != ':')
				return NULL;
		}
		s = value(s);
		if (!s)
			return NULL;
		if (*s == end)
			return s + 1;
		if (*s != ',')
			return NULL;
	}
}

static const char *value(const char *s)
{
	char *end;

	if (*s == '{')
		return sequence(s, '}');
	if (*s == '[')
		return sequence(s, ']');
	if (*s == '"')
		return text(s);
	if (!strncmp(s, "true", 4))
		return s + 4;
	if (!strncmp(s, "false", 5))
		return s + 5;
	(void)strtoll(s, &end, 10);
	return end == s ? NULL : end;
}

/* The only line of JSON that was printed, judged. */
static const char *json_line(void)
{
	static const char mark[] = "pvmm-json: ";
	const char *line = strstr(model_output(), mark), *end;

	assert_non_null(line);
	assert_null(strstr(line + 1, mark));
	line += sizeof(mark) - 1;
	end = value(line);
	assert_non_null(end);
	assert_int_equal(*end, '\n');
	assert_true(end - line < 1024);
	return line;
}

/* --- reports --- */

static struct pvmm_space space;

/* A space whose root has nr stray mappings in the vmap region, pinned in vain. */
static void report_strays(const char *name, unsigned int nr, unsigned int report)
{
	struct pvmm_check_config config = usual;

	config.report = report;
	assert_int_equal(pvmm_space_create(&space, name), 0);
	assert_int_equal(pvmm_space_map(&pvmm_kernel_space, STRAY_VA, pvmm_page(unit_page()),
					PVMM_PROT_RO),
			 0);
	for (unsigned int i = 1; i <= nr; i++)
		assert_int_equal(pvmm_hc_update_va_mapping(STRAY_VA + i * PVMM_PAGE_SIZE,
							   unit_pte(space.root, PVMM_PROT_RW),
							   UVMF_INVLPG | UVMF_ALL),
				 0);
	pvmm_check_configure(&config);
	model_output_clear();
	assert_int_equal(pvmm_space_pin(&space), -XEN_EINVAL);
}

#define assert_in_line(line, part) assert_non_null(strstr((line), (part)))

static void json_says_it_all(void **state)
{
	const char *line;
	char part[128];

	(void)state;
	report_strays("victim", 1, PVMM_REPORT_JSON);
	assert_null(strstr(model_output(), "pvmm: stray")); /* json: and not text */
	line = json_line();
	snprintf(part, sizeof(part), "{\"event\":\"stray\",\"how\":\"pin\",\"error\":-22,");
	assert_in_line(line, part);
	snprintf(part, sizeof(part), "\"space\":\"victim\",\"pfn\":%llu,\"mfn\":%llu,",
		 (unsigned long long)pfn_x(space.root),
		 (unsigned long long)mfn_x(pvmm_pfn_to_mfn(space.root)));
	assert_in_line(line, part);
	assert_in_line(line, "\"kind\":\"L4 table\",\"live\":0,\"stale\":0");
	snprintf(part, sizeof(part), "\"mappings\":[{\"va\":\"0x%llx\",",
		 (unsigned long long)(STRAY_VA + PVMM_PAGE_SIZE));
	assert_in_line(line, part);
	assert_in_line(line, "\"space\":\"kernel\"");
	assert_in_line(line, "\"writable\":true,\"place\":\"vmap\"}]");
	assert_in_line(line,
		       "\"nr_mappings\":1,\"removed\":0,\"action\":\"report\",\"done\":false}");
}

/* Whatever a space is called, and however much there is, the line is valid and one. */
static void json_is_always_valid(void **state)
{
	static const char *const names[] = {"\"\\",	    "a\"b\\c\nd\te",
					    "\x80\xff\x01", "",
					    "}]\"},{",	    "a name that is far too long for it"};

	for (size_t i = 0; i < PVMM_ARRAY_SIZE(names); i++) {
		done(state);
		boot(state);
		report_strays(names[i], 1 + 7 * (unsigned int)i, PVMM_REPORT_JSON);
		(void)json_line();
	}
}

/* As many mappings as there is room for; how many there were is said. */
static void json_leaves_out_whole_parts(void **state)
{
	const char *line;

	(void)state;
	report_strays("many", 40, PVMM_REPORT_JSON | PVMM_REPORT_TEXT);
	line = json_line();
	assert_in_line(line, "\"nr_mappings\":40");
	assert_said("32 more mappings");
	assert_said("pvmm: stray writable mapping: pfn ");
}

static void json_of_an_area(void **state)
{
	const struct pvmm_vmap_how how = {.name = "xfs \"buf\"", .policy = PVMM_VMAP_LAZY};
	struct pvmm_check_config config = usual;
	struct pvmm_page *page = pvmm_page(unit_page());
	void *addr;

	(void)state;
	config.report = PVMM_REPORT_JSON | PVMM_REPORT_TEXT;
	pvmm_check_configure(&config);
	assert_int_equal(pvmm_vmap(&page, 1, PVMM_PROT_RW, &how, &addr), 0);
	page->live--; /* the count is lost, and the page freed */
	page->refs--;
	pvmm_page_put(page);
	model_output_clear();
	assert_int_equal(pvmm_check_page(pvmm_page_pfn(page)), PVMM_CHECK_STRAY);
	assert_in_line(json_line(), "\"area\":\"xfs \\\"buf\\\"\",\"state\":\"live\"}");
	assert_said("in the vmap area 0x");
	assert_said("\"xfs \"buf\"\", live, made at 0.");
	assert_said("mapped by  0x");
}

/* --- options --- */

static const struct pvmm_option options[] = {
	{"check", CHECK_VALUES, parse_check},
	{"check-action", CHECK_ACTION_VALUES, parse_check_action},
	{"report", REPORT_VALUES, parse_report},
	{NULL, NULL, NULL},
};

static char message[256];

static int parse(const char *words)
{
	char line[128];

	snprintf(line, sizeof(line), "%s", words);
	pvmm_check_configure(&usual);
	return pvmm_cmdline_parse(line, options, message, sizeof(message));
}

static void good_options(void **state)
{
	struct pvmm_check_config c;

	(void)state;
	assert_int_equal(parse("check=off"), 0);
	assert_int_equal(pvmm_check_config().modes, 0);
	assert_int_equal(parse("check=pin"), 0);
	assert_int_equal(pvmm_check_config().modes, PVMM_CHECK_PIN);
	assert_int_equal(parse("report=both check-action=fix check=free+sweep:64"), 0);
	c = pvmm_check_config();
	assert_int_equal(c.modes, PVMM_CHECK_PIN | PVMM_CHECK_FREE);
	assert_int_equal(c.sweep_rate, 64);
	assert_int_equal(c.action, PVMM_ACTION_FIX);
	assert_int_equal(c.report, PVMM_REPORT_TEXT | PVMM_REPORT_JSON);
	assert_int_equal(parse("check=alloc+free+sweep:1000000+pin check-action=panic"), 0);
	c = pvmm_check_config();
	assert_int_equal(c.modes, PVMM_CHECK_PIN | PVMM_CHECK_FREE | PVMM_CHECK_ALLOC);
	assert_int_equal(c.action, PVMM_ACTION_PANIC);
	assert_int_equal(parse("report=json"), 0);
	assert_int_equal(pvmm_check_config().report, PVMM_REPORT_JSON);
	assert_int_equal(parse("check-action=quarantine check-action=report report=text"), 0);
	assert_int_equal(pvmm_check_config().action, PVMM_ACTION_REPORT);
}

/* The culprit is named, and nothing is half taken in. */
static void bad_options(void **state)
{
	static const char *const bad[] = {
		"check=",	    "check=on",		 "check=free+",	   "check=+free",
		"check=free+off",   "check=off+free",	 "check=sweep",	   "check=sweep:",
		"check=sweep:0",    "check=sweep:-1",	 "check=sweep:1x", "check=sweep:1000001",
		"check=freeze",	    "check=free,alloc",	 "check-action=",  "check-action=reports",
		"check-action=fi",  "check-action=none", "report=",	   "report=xml",
		"report=text+json",
	};
	char culprit[64];

	(void)state;
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(bad); i++) {
		struct pvmm_check_config c;

		assert_int_equal(parse(bad[i]), -XEN_EINVAL);
		c = pvmm_check_config();
		assert_memory_equal(&c, &usual, sizeof(c));
		snprintf(culprit, sizeof(culprit), "\"%s\" is n", strchr(bad[i], '=') + 1);
		assert_non_null(strstr(message, culprit));
	}
}

#define REPORT_TEST(fn) cmocka_unit_test_setup_teardown(fn, boot, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		REPORT_TEST(json_says_it_all),
		REPORT_TEST(json_is_always_valid),
		REPORT_TEST(json_leaves_out_whole_parts),
		REPORT_TEST(json_of_an_area),
		REPORT_TEST(good_options),
		REPORT_TEST(bad_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
