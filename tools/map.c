/* SPDX-License-Identifier: MIT */
/* See map.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "map.h"

const struct map_kind_look map_looks[MAP_KINDS] = {
	[MAP_HOLE] = {"hole", "no frame (ballooned)", '_', 236, "#30343b"},
	[MAP_UNMAPPED] = {"unmapped", "not mapped", '.', 244, "#8a9099"},
	[MAP_READONLY] = {"readonly", "mapped read-only", 'r', 110, "#87afd7"},
	[MAP_WRITABLE] = {"writable", "mapped writable", 'w', 65, "#5f875f"},
	[MAP_GRANTED] = {"granted", "granted", 'g', 179, "#d7af5f"},
	[MAP_SEGMENTS] = {"segments", "descriptor tables", 's', 140, "#af87d7"},
	[MAP_L1] = {"l1", "L1 tables", '1', 39, "#00afff"},
	[MAP_L2] = {"l2", "L2 tables", '2', 45, "#00d7ff"},
	[MAP_L3] = {"l3", "L3 tables", '3', 51, "#00ffff"},
	[MAP_L4] = {"l4", "L4 tables", '4', 231, "#ffffff"},
	[MAP_PINNED] = {"pinned", "pinned tables", 'P', 213, "#ff87ff"},
	[MAP_STRAY] = {"stray", "stray writable mappings", '!', 196, "#ff0000"},
};

/* pfns beyond this are lies. */
static uint64_t most_pfns(const struct census *census)
{
	return 4 * census->nr + 65536;
}

static enum map_kind kind_of(const struct census_frame *f)
{
	if (f->flags & CENSUS_STRAY)
		return MAP_STRAY;
	if (f->level)
		return f->flags & CENSUS_PINNED ? MAP_PINNED
						: (enum map_kind)(MAP_L1 + f->level - 1);
	if (f->flags & CENSUS_SEGMENTS)
		return MAP_SEGMENTS;
	if (f->flags & CENSUS_GRANTED)
		return MAP_GRANTED;
	if (f->nr_writable)
		return MAP_WRITABLE;
	return f->nr_readonly ? MAP_READONLY : MAP_UNMAPPED;
}

static void add(struct map *map, const struct census_frame *f)
{
	enum map_kind kind = kind_of(f);

	map->totals[kind]++;
	if (f->level < TOOL_ARRAY_SIZE(map->levels))
		map->levels[f->level]++;
	map->several += f->nr_writable > 1;
	if (f->pfn >= map->nr_pfns || map->kinds[f->pfn] != MAP_HOLE)
		map->elsewhere++;
	else
		map->kinds[f->pfn] = (uint8_t)kind;
}

int map_make(struct map *map, const struct census *census)
{
	*map = (struct map){0};
	for (size_t i = 0; i < census->nr; i++)
		if (census->frames[i].pfn < most_pfns(census) &&
		    census->frames[i].pfn >= map->nr_pfns)
			map->nr_pfns = census->frames[i].pfn + 1;
	map->kinds = calloc(map->nr_pfns ? (size_t)map->nr_pfns : 1, 1);
	if (!map->kinds)
		return -ENOMEM;
	for (size_t i = 0; i < census->nr; i++)
		add(map, &census->frames[i]);
	map->levels[0] = 0;
	for (uint64_t pfn = 0; pfn < map->nr_pfns; pfn++)
		map->totals[MAP_HOLE] += map->kinds[pfn] == MAP_HOLE;
	return 0;
}

void map_free(struct map *map)
{
	free(map->kinds);
	*map = (struct map){0};
}

uint64_t map_cell_pages(const struct map *map, uint64_t nr_cells)
{
	uint64_t pages = 1;

	while (nr_cells && (map->nr_pfns + pages - 1) / pages > nr_cells)
		pages *= 2;
	return pages;
}

enum map_kind map_cell(const struct map *map, uint64_t pfn, uint64_t nr)
{
	enum map_kind kind = MAP_HOLE;

	for (; nr && pfn < map->nr_pfns; pfn++, nr--)
		if (map->kinds[pfn] > kind)
			kind = (enum map_kind)map->kinds[pfn];
	return kind;
}
