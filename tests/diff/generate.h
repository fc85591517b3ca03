/* SPDX-License-Identifier: MIT */
/* What choose.c chooses for generate.c. Pages have roles: level 0 is data, 1 to 4 tables. */
#ifndef DIFF_GENERATE_H
#define DIFF_GENERATE_H

#include "sequence.h"

#define PAGE_DATA 0u
#define PAGE_L1	  5u
#define PAGE_L2	  11u
#define PAGE_L3	  15u
#define PAGE_L4	  18u
#define PAGE_END  DIFF_PAGES
#define LEVELS	  5u /* data is level 0 */

void choose_start(uint64_t seed);

unsigned int choose_below(unsigned int n);
bool choose_chance(unsigned int of_100);
/* Whether to break a rule here: the seed says how often. */
bool choose_wild(void);

unsigned int choose_first(unsigned int level);
unsigned int choose_page(unsigned int level);
unsigned int choose_level_of(unsigned int page);
unsigned int choose_table(void);
unsigned int choose_special(void);
unsigned int choose_slot(unsigned int level);
void choose_entry(struct diff_item *item, unsigned int level);
uint64_t choose_descriptor(void);

#endif
