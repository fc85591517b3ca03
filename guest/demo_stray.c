#include "demo.h"
static bool run(void) { return true; }
const struct demo demo_stray = {"stray", "a forgotten writable mapping meets a pin", run};
