/* SPDX-License-Identifier: MIT */
/* The list of suites. */
#include <stddef.h>
#include "suite.h"
const struct suite *const suites[] = {NULL};
