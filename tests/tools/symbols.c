/* SPDX-License-Identifier: MIT */
/* Names for the hosted tests, in place of those of an ELF image: set by a test. */
#include <stdio.h>
#include <string.h>
#include "symbols_fake.h"
#include "tools/symbols.h"

struct fake_symbol fake_symbols[FAKE_SYMBOLS];

const char *symbols_name(const struct symbols *s, uint64_t va, uint64_t *offset)
{
	const char *name = NULL;

	for (unsigned int i = 0; s && i < FAKE_SYMBOLS && fake_symbols[i].name; i++)
		if (va >= fake_symbols[i].va && va - fake_symbols[i].va < 0x1000) {
			name = fake_symbols[i].name;
			*offset = va - fake_symbols[i].va;
		}
	return name;
}

uint64_t symbols_address(const struct symbols *s, const char *name)
{
	for (unsigned int i = 0; s && i < FAKE_SYMBOLS && fake_symbols[i].name; i++)
		if (!strcmp(fake_symbols[i].name, name))
			return fake_symbols[i].va;
	return 0;
}

void symbols_describe(const struct symbols *s, uint64_t va, char *buf, size_t len_bytes)
{
	uint64_t offset = 0;
	const char *name = symbols_name(s, va, &offset);

	if (name)
		snprintf(buf, len_bytes, "%s+0x%llx", name, (unsigned long long)offset);
	else
		snprintf(buf, len_bytes, "0x%llx", (unsigned long long)va);
}

bool symbols_line(struct symbols *s, uint64_t va, char *buf, size_t len_bytes)
{
	(void)s;
	(void)va;
	(void)buf;
	(void)len_bytes;
	return false;
}
