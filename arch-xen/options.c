/* SPDX-License-Identifier: MIT */
/*
 * The library's options that set parameters of the memory manager. Parsed before the manager is up:
 * the parameters are plain values that it reads later.
 */
#include <pvmm/balloon.h>
#include <pvmm/cmdline.h>
#include <pvmm/space.h>
#include <pvmm/vmap.h>
#include "grant.h"
#include "options.h"

/* Sets one number of vmap's; says why not. */
static const char *set_number(const char *value, size_t offset)
{
	struct pvmm_vmap_params params = pvmm_vmap_params();
	uint64_t number;

	if (!pvmm_parse_number(value, &number) || number > UINT32_MAX)
		return "is not a number, or too large";
	*(uint32_t *)((char *)&params + offset) = (uint32_t)number;
	return pvmm_vmap_set_params(&params) ? "is too large" : NULL;
}

static const char *parse_policy(const char *value)
{
	static const char *const names[] = {
		[PVMM_VMAP_LAZY] = "lazy",
		[PVMM_VMAP_EAGER] = "eager",
		[PVMM_VMAP_HOLD] = "hold",
	};
	struct pvmm_vmap_params params = pvmm_vmap_params();

	for (unsigned int i = PVMM_VMAP_LAZY; i < PVMM_ARRAY_SIZE(names); i++)
		if (pvmm_text_equal(value, names[i])) {
			params.policy = (enum pvmm_vmap_policy)i;
			return pvmm_vmap_set_params(&params) ? "is no policy" : NULL;
		}
	return "is no policy";
}

static const char *parse_lazy_pages(const char *value)
{
	return set_number(value, offsetof(struct pvmm_vmap_params, lazy_pages));
}

static const char *parse_lazy_areas(const char *value)
{
	return set_number(value, offsetof(struct pvmm_vmap_params, lazy_areas));
}

static const char *parse_drop_all(const char *value)
{
	return set_number(value, offsetof(struct pvmm_vmap_params, drop_all_pages));
}

static const char *parse_small_pages(const char *value)
{
	return set_number(value, offsetof(struct pvmm_vmap_params, small_pages));
}

/* A number for one of the manager's functions, which knows its limits. */
static const char *set_with(const char *value, int (*set)(unsigned int), const char *limits)
{
	uint64_t number;

	if (!pvmm_parse_number(value, &number) || number > UINT32_MAX || set((unsigned int)number))
		return limits;
	return NULL;
}

static const char *parse_fault_around(const char *value)
{
	return set_with(value, pvmm_fault_around, "is not a power of two up to 64");
}

static const char *parse_table_keep(const char *value)
{
	return set_with(value, pvmm_table_keep, "is not a number up to 512");
}

static const char *parse_balloon_check(const char *value)
{
	static const char *const names[] = {
		[PVMM_BALLOON_COUNT] = "count",
		[PVMM_BALLOON_TRUST] = "off",
		[PVMM_BALLOON_EXCHANGE] = "exchange",
	};

	for (unsigned int i = 0; i < PVMM_ARRAY_SIZE(names); i++)
		if (pvmm_text_equal(value, names[i])) {
			pvmm_balloon_judge((enum pvmm_balloon_judge)i);
			return NULL;
		}
	return "is none of count, off and exchange";
}

const struct pvmm_option library_options[] = {
	{"vmap-policy", "lazy|eager|hold", parse_policy},
	{"vmap-lazy-pages", "N", parse_lazy_pages},
	{"vmap-lazy-areas", "N", parse_lazy_areas},
	{"vmap-drop-all", "N", parse_drop_all},
	{"vmap-small-pages", "N", parse_small_pages},
	{"fault-around", "PAGES", parse_fault_around},
	{"table-keep", "ENTRIES", parse_table_keep},
	{"balloon-check", "count|off|exchange", parse_balloon_check},
	{"grants", "v1|v2", parse_grants},
	{NULL, NULL, NULL},
};
