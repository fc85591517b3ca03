/* SPDX-License-Identifier: MIT */
/* The picture of map.h: on a terminal, as an SVG image, as JSON. */
#include "map.h"

#define ULL(v) ((unsigned long long)(v))

/* --- letters --- */

/* Colours are changed where the kind changes, and given back at the line's end. */
static void draw_row(const struct map *map, const struct map_view *view, uint64_t first,
		     uint64_t cell_pages, FILE *out)
{
	int last = -1;

	fprintf(out, "%8llx ", ULL(first));
	for (unsigned int i = 0; i < view->columns; i++) {
		uint64_t pfn = first + i * cell_pages;
		enum map_kind kind;

		if (pfn >= map->nr_pfns)
			break;
		kind = map_cell(map, pfn, cell_pages);
		if (view->has_colour && (int)kind != last)
			fprintf(out, "\033[38;5;%um", map_looks[kind].ansi);
		putc(map_looks[kind].letter, out);
		last = (int)kind;
	}
	fputs(view->has_colour ? "\033[0m\n" : "\n", out);
}

void map_text(const struct map *map, const struct map_view *view, FILE *out)
{
	uint64_t cell_pages = map_cell_pages(map, (uint64_t)view->columns * view->rows);

	fprintf(out, "each sign is %llu page%s; a line begins with its pfn\n", ULL(cell_pages),
		cell_pages == 1 ? "" : "s");
	for (uint64_t pfn = 0; pfn < map->nr_pfns; pfn += view->columns * cell_pages)
		draw_row(map, view, pfn, cell_pages, out);
	for (unsigned int k = 0; k < MAP_KINDS; k++) {
		if (view->has_colour)
			fprintf(out, "\033[38;5;%um%c\033[0m %s%s", map_looks[k].ansi,
				map_looks[k].letter, map_looks[k].words,
				k + 1 == MAP_KINDS || k % 4 == 3 ? "\n" : "   ");
		else
			fprintf(out, "%c %s%s", map_looks[k].letter, map_looks[k].words,
				k + 1 == MAP_KINDS || k % 4 == 3 ? "\n" : "   ");
	}
}

void map_totals(const struct map *map, FILE *out)
{
	for (unsigned int k = 0; k < MAP_KINDS; k++)
		fprintf(out, "%-26s %10llu pages %8llu KiB\n", map_looks[k].words,
			ULL(map->totals[k]), ULL(map->totals[k] * 4));
	for (unsigned int level = 1; level <= 4; level++)
		fprintf(out, "L%u tables, pinned or not     %8llu\n", level,
			ULL(map->levels[level]));
	fprintf(out, "pages mapped writable more than once %8llu\n", ULL(map->several));
	if (map->elsewhere)
		fprintf(out, "frames without a pfn of their own    %8llu\n", ULL(map->elsewhere));
}

/* --- SVG --- */

#define SVG_COLUMNS 128u
#define SVG_ROWS    128u
#define SVG_CELL    7u
#define SVG_LEGEND  18u
#define SVG_MARGIN  12u

static void svg_text(FILE *out, const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c < ' ' || *c >= 0x7f)
			fprintf(out, "\\x%02x", *c);
		else if (*c == '<' || *c == '>' || *c == '&' || *c == '"')
			fprintf(out, "&#%u;", *c);
		else
			putc(*c, out);
	}
}

/* Cells of one kind that lie side by side are one rectangle. */
static void svg_row(const struct map *map, unsigned int row, uint64_t cell_pages, FILE *out)
{
	uint64_t first = (uint64_t)row * SVG_COLUMNS * cell_pages;

	for (unsigned int i = 0, nr; i < SVG_COLUMNS; i += nr) {
		enum map_kind kind = map_cell(map, first + i * cell_pages, cell_pages);

		for (nr = 1; i + nr < SVG_COLUMNS; nr++)
			if (map_cell(map, first + (i + nr) * cell_pages, cell_pages) != kind)
				break;
		if (first + i * cell_pages >= map->nr_pfns)
			return;
		fprintf(out,
			"<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"%s\"><title>pfn 0x%llx: %s</title></rect>\n",
			SVG_MARGIN + i * SVG_CELL, SVG_MARGIN + SVG_LEGEND + row * SVG_CELL,
			nr * SVG_CELL, SVG_CELL, map_looks[kind].svg, ULL(first + i * cell_pages),
			map_looks[kind].words);
	}
}

void map_svg(const struct map *map, const char *title, FILE *out)
{
	uint64_t cell_pages = map_cell_pages(map, SVG_COLUMNS * SVG_ROWS);
	unsigned int rows = (unsigned int)((map->nr_pfns + SVG_COLUMNS * cell_pages - 1) /
					   (SVG_COLUMNS * cell_pages));
	unsigned int height = 2 * SVG_MARGIN + SVG_LEGEND + rows * SVG_CELL;
	unsigned int width = 2 * SVG_MARGIN + SVG_COLUMNS * SVG_CELL;

	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#14171c\"/>\n"
		"<text x=\"%u\" y=\"%u\" fill=\"#e6e6e6\">",
		width, height + MAP_KINDS * SVG_LEGEND, SVG_MARGIN, SVG_MARGIN + 6);
	svg_text(out, title);
	fprintf(out, ", %llu pages a cell</text>\n", ULL(cell_pages));
	for (unsigned int row = 0; row < rows; row++)
		svg_row(map, row, cell_pages, out);
	for (unsigned int k = 0; k < MAP_KINDS; k++)
		fprintf(out,
			"<rect x=\"%u\" y=\"%u\" width=\"12\" height=\"12\" fill=\"%s\"/><text x=\"%u\" y=\"%u\" fill=\"#e6e6e6\">%s: %llu pages</text>\n",
			SVG_MARGIN, height + k * SVG_LEGEND, map_looks[k].svg, SVG_MARGIN + 20,
			height + k * SVG_LEGEND + 11, map_looks[k].words, ULL(map->totals[k]));
	fputs("</svg>\n", out);
}

/* --- JSON --- */

void map_json(const struct map *map, struct json *j)
{
	json_object(j, "totals");
	for (unsigned int k = 0; k < MAP_KINDS; k++)
		json_number(j, map_looks[k].name, map->totals[k]);
	json_end_object(j);
	json_array(j, "tables_by_level");
	for (unsigned int level = 1; level <= 4; level++)
		json_number(j, NULL, map->levels[level]);
	json_end_array(j);
	json_number(j, "several_writable", map->several);
	json_number(j, "elsewhere", map->elsewhere);
	json_array(j, "runs");
	for (uint64_t pfn = 0, nr; pfn < map->nr_pfns; pfn += nr) {
		for (nr = 1; pfn + nr < map->nr_pfns; nr++)
			if (map->kinds[pfn + nr] != map->kinds[pfn])
				break;
		json_object(j, NULL);
		json_number(j, "pfn", pfn);
		json_number(j, "pages", nr);
		json_string(j, "kind", map_looks[map->kinds[pfn]].name);
		json_end_object(j);
	}
	json_end_array(j);
}
