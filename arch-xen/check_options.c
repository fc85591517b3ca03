/* SPDX-License-Identifier: MIT */
/*
 * check=, check-action= and report= (docs/checker.md). Owns nothing: the configuration is the
 * checker's. Options may stand in any order, so each changes its own part.
 */
#include <pvmm/check.h>
#include <pvmm/cmdline.h>
#include "check_options.h"

/* A million pages a second is more than any machine gets asked. */
#define MAX_RATE 1000000

static const char is_no_mode[] =
	"is neither off nor pin, free, alloc and sweep:RATE with + between them";

/* Takes the word before the next '+' out of *value; false if it is too long for any. */
static bool next_word(const char **value, char *word, size_t len_bytes)
{
	size_t len = 0;

	for (; **value && **value != '+'; (*value)++) {
		if (len + 1 == len_bytes)
			return false;
		word[len++] = **value;
	}
	word[len] = '\0';
	return true;
}

/* "sweep:RATE" with a rate from 1 to MAX_RATE. */
static bool parse_sweep(const char *word, uint32_t *rate)
{
	const char *name = "sweep:";
	uint64_t value;

	for (; *name; name++, word++)
		if (*word != *name)
			return false;
	if (!pvmm_parse_number(word, &value) || !value || value > MAX_RATE)
		return false;
	*rate = (uint32_t)value;
	return true;
}

/* Every mode but "off" brings the search after a refused pin with it. */
static bool parse_mode(const char *word, struct pvmm_check_config *config)
{
	config->modes |= PVMM_CHECK_PIN;
	if (pvmm_text_equal(word, "pin"))
		return true;
	if (pvmm_text_equal(word, "free"))
		config->modes |= PVMM_CHECK_FREE;
	else if (pvmm_text_equal(word, "alloc"))
		config->modes |= PVMM_CHECK_ALLOC;
	else
		return parse_sweep(word, &config->sweep_rate);
	return true;
}

const char *parse_check(const char *value)
{
	struct pvmm_check_config config = pvmm_check_config();
	char word[20];

	config.modes = 0;
	config.sweep_rate = 0;
	if (!pvmm_text_equal(value, "off")) {
		for (;; value++) {
			if (!next_word(&value, word, sizeof(word)) || !parse_mode(word, &config))
				return is_no_mode;
			if (!*value)
				break;
		}
	}
	pvmm_check_configure(&config);
	return NULL;
}

/* Which of the names the value is; nr if none. */
static unsigned int index_of(const char *value, const char *const *names, unsigned int nr)
{
	unsigned int i = 0;

	while (i < nr && !pvmm_text_equal(value, names[i]))
		i++;
	return i;
}

const char *parse_check_action(const char *value)
{
	static const char *const names[] = {"report", "fix", "quarantine", "panic"};
	struct pvmm_check_config config = pvmm_check_config();
	unsigned int i = index_of(value, names, PVMM_ARRAY_SIZE(names));

	if (i == PVMM_ARRAY_SIZE(names))
		return "is none of report, fix, quarantine and panic";
	config.action = (enum pvmm_check_action)i;
	pvmm_check_configure(&config);
	return NULL;
}

const char *parse_report(const char *value)
{
	static const char *const names[] = {"", "text", "json", "both"};
	struct pvmm_check_config config = pvmm_check_config();
	unsigned int i = index_of(value, names, PVMM_ARRAY_SIZE(names));

	if (!i || i == PVMM_ARRAY_SIZE(names))
		return "is none of text, json and both";
	config.report = i; /* PVMM_REPORT_TEXT, _JSON, or both bits */
	pvmm_check_configure(&config);
	return NULL;
}
