/* SPDX-License-Identifier: MIT */
/*
 * The stray-mapping matrix: each kind of stray writable mapping × each way to notice × each action.
 * The same source runs against the model (tests/unit/test_matrix.c) and in the reference guest on
 * real Xen (tests/guest/matrix.c). R1, R14, R45.
 *
 * A cell: a page is given its stray mapping, then it is noticed. It must be found and named right;
 * under "fix" the mapping must be gone and the page usable, under "quarantine" the page must be out
 * of use. The twin of each cell, the same without a mapping, must report nothing.
 *
 * A fault here looks like a report that names another address, a mapping that still stands after
 * "fix", a page in quarantine that is handed out, or a report in a twin.
 */
#ifndef TESTS_MATRIX_H
#define TESTS_MATRIX_H

#include <pvmm/check.h>

/* One kind of stray mapping. A new one is one entry in tests/matrix/kinds.c. */
struct matrix_kind {
	const char *name;
	/*
	 * Prepares what the mapping needs, while no page is wanted by anybody; then maps the page
	 * writable, somewhere. Both say whether it worked.
	 */
	bool (*prepare)(void);
	bool (*make)(pfn_t page);
	/* Takes the mapping away if it still stands, and everything that was prepared. */
	void (*undo)(pfn_t page);
	/* Where it is: the address, and the space that it is in. */
	pvmm_va_t (*va)(void);
	struct pvmm_space *space;
	/* No table that is known here has it, so there is nothing to name or to repair. */
	bool unseen;
	/* Xen has not validated its table and does not count it, until the space there is pinned.
	 */
	bool invisible;
	/* PVMM_CHECK_*, besides the way's: what keeps the kernel alive meanwhile. */
	unsigned int modes;
};

extern const struct matrix_kind matrix_kinds[]; /* ended by one without a name */

enum matrix_way { MATRIX_PIN, MATRIX_FREE, MATRIX_ALLOC, MATRIX_SWEEP, MATRIX_CALL, MATRIX_WAYS };

extern const char *const matrix_way_names[MATRIX_WAYS];

/* Runs one cell, and its twin. Leaves the checker as it was configured. */
void matrix_cell(const struct matrix_kind *kind, enum matrix_way way,
		 enum pvmm_check_action action);
void matrix_twin(enum matrix_way way, enum pvmm_check_action action);

/* All cells of a kind, in a kernel that has no other test running. */
void matrix_run(const struct matrix_kind *kind);

/* Provided by whoever runs it: notes an outcome and returns it. */
bool matrix_check(bool ok, const char *cell, const char *text, int line);

/*
 * ... and told of each cell with a mapping when it has been dealt with, before what is left of it
 * is taken away. is_mapped: the entry at va still maps the page; of a kind that is unseen it always
 * does, and va is 0.
 */
void matrix_show(const char *cell, const struct matrix_kind *kind, pfn_t page, bool is_mapped);

#endif
