/* SPDX-License-Identifier: MIT */
/* A domain's memory as a picture: each pfn's kind, in cells of some pages, and totals. */
#ifndef TOOLS_MAP_H
#define TOOLS_MAP_H

#include "census.h"
#include "text.h"

/* From what matters least to what matters most: a cell shows the most important of its pages. */
enum map_kind {
	MAP_HOLE,     /* no frame: ballooned, or never there */
	MAP_UNMAPPED, /* no L1 entry maps it */
	MAP_READONLY,
	MAP_WRITABLE,
	MAP_GRANTED, /* a grant entry names it */
	MAP_SEGMENTS,
	MAP_L1,
	MAP_L2,
	MAP_L3,
	MAP_L4,
	MAP_PINNED, /* a table of any level that is pinned */
	MAP_STRAY,  /* census_mark_strays */
	MAP_KINDS,
};

struct map_kind_look {
	const char *name;  /* in JSON */
	const char *words; /* for people */
	char letter;
	uint8_t ansi; /* colour of 256 */
	const char *svg;
};

extern const struct map_kind_look map_looks[MAP_KINDS];

struct map {
	uint8_t *kinds; /* by pfn */
	uint64_t nr_pfns;
	uint64_t totals[MAP_KINDS];
	uint64_t levels[5]; /* tables, by level, pinned or not */
	uint64_t several;   /* pages with more than one writable mapping */
	uint64_t elsewhere; /* frames whose pfn is no sensible one, or another's too */
};

int map_make(struct map *map, const struct census *census);
void map_free(struct map *map);

/* Pages in a cell, a power of two, so that at most nr_cells are needed. */
uint64_t map_cell_pages(const struct map *map, uint64_t nr_cells);

/* The most important kind of so many pages. */
enum map_kind map_cell(const struct map *map, uint64_t pfn, uint64_t nr);

struct map_view {
	unsigned int columns, rows; /* cells */
	bool has_colour;
};

void map_text(const struct map *map, const struct map_view *view, FILE *out);
void map_totals(const struct map *map, FILE *out);
void map_svg(const struct map *map, const char *title, FILE *out);
void map_json(const struct map *map, struct json *j);

#endif
