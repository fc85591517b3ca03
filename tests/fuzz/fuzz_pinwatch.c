/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's console as pvmm-pinwatch reads it: any bytes, in pieces, with gaps.
 *
 *	every line reaches the book once, without a byte that is not printable
 *	the book stays within its bounds, and every incident in it comes out again
 *	what is told of an incident is printable, and one JSON document a line
 */
#include <stdlib.h>
#include <string.h>
#include "tests/fuzz/fuzz.h"
#include "tools/pinwatch_report.h"
#include "tools/pinwatch_ring.h"

static struct {
	const uint8_t *data;
	size_t len, at;
	uint32_t index;
} console;

static struct book book;
static uint64_t now;

/* A byte of the input says how many come next, and, now and then, how many are gone. */
static int read_ring(void *ctx, char *buf, uint32_t *nr, uint32_t *index, bool from_start)
{
	uint8_t control = console.at < console.len ? console.data[console.at++] : 0;
	uint32_t want = control & 0x3f, got = 0;

	(void)ctx;
	if (!from_start)
		fuzz_must(*index == console.index);
	if (control & 0x80)
		console.index += control & 0x40 ? 1u << 31 : 100;
	while (got < want && got < *nr && console.at < console.len)
		buf[got++] = (char)console.data[console.at++];
	console.index += got;
	*index = console.index;
	*nr = got;
	return 0;
}

static void must_be_clean(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		fuzz_must((text[i] >= ' ' && text[i] <= '~') || text[i] == '\n');
}

static void tell(struct incident *incident)
{
	static struct look look;
	struct story story = {.incident = incident, .look = &look};
	size_t len_text = 0, len_json = 0;
	char *text = NULL, *json = NULL;
	FILE *out;

	memcpy(story.name, console.data, console.len < 63 ? console.len : 63);
	out = open_memstream(&text, &len_text);
	story_text(&story, out);
	fclose(out);
	out = open_memstream(&json, &len_json);
	story_json(&story, out);
	fclose(out);
	must_be_clean(text, len_text);
	must_be_clean(json, len_json);
	fuzz_must(strcspn(json, "\n") == len_json - 1);
	free(text);
	free(json);
	book_remember(&book, incident);
	free(incident);
}

static void on_line(void *ctx, const char *text)
{
	struct incident *incident;
	int err;

	(void)ctx;
	must_be_clean(text, strlen(text));
	fuzz_must(strlen(text) < RING_LINE_BYTES);
	while (book.nr_open == BOOK_OPEN)
		tell(book_take(&book));
	incident = book_line(&book, text, now, 0, &err);
	fuzz_must(!err);
	fuzz_must(!incident ||
		  (incident->nr_frames <= INCIDENT_FRAMES && incident->nr_facts <= INCIDENT_FACTS &&
		   incident->nr_kept <= INCIDENT_LINES));
	now += 50;
}

static void on_lost(void *ctx, uint32_t nr_bytes)
{
	(void)ctx;
	fuzz_must(nr_bytes != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ring_events events = {.line = on_line, .lost = on_lost};
	static struct ring ring;
	struct incident *incident;

	memset(&console, 0, sizeof(console));
	console.data = data;
	console.len = size;
	now = 0;
	book_init(&book);
	ring_init(&ring, read_ring, NULL);
	if (size && data[0] & 1)
		fuzz_must(!ring_skip(&ring));
	while (console.at < console.len) {
		fuzz_must(ring_poll(&ring, &events) >= 0);
		while ((incident = book_close(&book, now)))
			tell(incident);
	}
	while ((incident = book_take(&book)))
		tell(incident);
	return 0;
}
