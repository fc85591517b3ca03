/* SPDX-License-Identifier: MIT */
/* The library's own options (arch-xen/options.c): each sets its parameter, and refuses nonsense.
 * R2. */
#include <pvmm/cmdline.h>
#include <pvmm/vmap.h>
#include "arch-xen/options.h"
#include "tests/unit/unit.h"

static char message[512];

static int parse(const char *text)
{
	char line[256];

	snprintf(line, sizeof(line), "%s", text);
	return pvmm_cmdline_parse(line, library_options, message, sizeof(message));
}

static void each_sets_its_own(void **state)
{
	const struct pvmm_vmap_params defaults = pvmm_vmap_params();
	struct pvmm_vmap_params now;

	(void)state;
	assert_int_equal(defaults.policy, PVMM_VMAP_LAZY);
	assert_int_equal(defaults.lazy_pages, PVMM_VMAP_LAZY_PAGES);
	assert_int_equal(defaults.lazy_areas, PVMM_VMAP_LAZY_AREAS);
	assert_int_equal(parse("vmap-policy=hold vmap-lazy-pages=0x10 vmap-lazy-areas=7 "
			       "vmap-drop-all=0 vmap-small-pages=255"),
			 0);
	now = pvmm_vmap_params();
	assert_int_equal(now.policy, PVMM_VMAP_HOLD);
	assert_int_equal(now.lazy_pages, 16);
	assert_int_equal(now.lazy_areas, 7);
	assert_int_equal(now.drop_all_pages, 0);
	assert_int_equal(now.small_pages, 255);
	assert_int_equal(parse("vmap-policy=eager"), 0);
	assert_int_equal(pvmm_vmap_params().policy, PVMM_VMAP_EAGER);
	assert_int_equal(parse("vmap-policy=lazy"), 0);
	assert_int_equal(pvmm_vmap_params().policy, PVMM_VMAP_LAZY);
	assert_int_equal(pvmm_vmap_set_params(&defaults), 0);
	assert_int_equal(parse("balloon-check=exchange"), 0);
	assert_int_equal(parse("balloon-check=off"), 0);
	assert_int_equal(parse("balloon-check=count"), 0);
}

static void nonsense(void **state)
{
	static const char *const lines[] = {
		"vmap-policy=never",	"vmap-policy=",	       "vmap-policy",
		"vmap-lazy-pages=x",	"vmap-lazy-areas=-1",  "vmap-drop-all=4294967296",
		"vmap-small-pages=256", "vmap-small-pages=1k", "balloon-check=maybe",
	};
	const struct pvmm_vmap_params before = pvmm_vmap_params();
	struct pvmm_vmap_params after;

	(void)state;
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(lines); i++) {
		assert_int_equal(parse(lines[i]), -XEN_EINVAL);
		after = pvmm_vmap_params();
		assert_memory_equal(&before, &after, sizeof(before));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_sets_its_own),
		cmocka_unit_test(nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
