/* SPDX-License-Identifier: MIT */
/* The stray-mapping matrix (tests/matrix/matrix.h) against the model. */
#include "tests/unit/unit.h"
#include "../matrix/kinds.c"
#include "../matrix/matrix.c"

static unsigned int nr_failed;

bool matrix_check(bool ok, const char *name, const char *text, int line)
{
	if (!ok) {
		nr_failed++;
		print_error("%s: line %d: this does not hold: %s\n", name, line, text);
	}
	return ok;
}

/* Nobody looks from outside. */
void matrix_show(const char *name, const struct matrix_kind *kind, pfn_t page, bool is_mapped)
{
	(void)name, (void)kind, (void)page, (void)is_mapped;
}

static uint64_t pages_there_are(void)
{
	return pvmm_free_pages() + pvmm_table_cache_stats().nr_pages + pvmm_kernel_space.nr_tables +
	       pvmm_check_stats().quarantined;
}

/* Each kind on a machine of its own; at the end both audits are clean and no page is missing. */
static void run_kind(const struct matrix_kind *kind)
{
	uint64_t pages = pages_there_are();

	nr_failed = 0;
	matrix_run(kind);
	assert_int_equal(nr_failed, 0);
	assert_clean();
	assert_int_equal(pages_there_are(), pages);
}

static void kinds(void **state)
{
	for (const struct matrix_kind *kind = matrix_kinds; kind->name; kind++) {
		unit_shutdown(state);
		unit_boot(state);
		print_message("# %s\n", kind->name);
		run_kind(kind);
	}
}

static void twins(void **state)
{
	(void)state;
	run_kind(NULL);
	assert_int_equal(pvmm_check_stats().strays, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {UNIT_TEST(kinds), UNIT_TEST(twins)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
