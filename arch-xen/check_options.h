/* SPDX-License-Identifier: MIT */
/* The checker's options on the kernel's command line: parsers for pvmm/cmdline.h. */
#ifndef PVMM_CHECK_OPTIONS_H
#define PVMM_CHECK_OPTIONS_H

#define CHECK_VALUES	    "off|pin|free|alloc|sweep:RATE[+...]"
#define CHECK_ACTION_VALUES "report|fix|quarantine|panic"
#define REPORT_VALUES	    "text|json|both"

const char *parse_check(const char *value);
const char *parse_check_action(const char *value);
const char *parse_report(const char *value);

#endif
