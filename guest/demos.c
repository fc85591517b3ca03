/* SPDX-License-Identifier: MIT */
/* The list of demos. */
#include <stddef.h>
#include "demo.h"

const struct demo *const demos[] = {&demo_stray, NULL};
