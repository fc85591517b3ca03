/* SPDX-License-Identifier: MIT */
/* See services.h. Owns which of them run. */
#include "balloon.h"
#include "control.h"
#include "hotplug.h"
#include "housekeeper.h"
#include "services.h"
#include "shell.h"

static bool hears_toolstack;

/* All three or none. */
static bool hear_toolstack(void)
{
	if (!control_start())
		return false;
	if (hotplug_start()) {
		if (!balloon_start())
			return true;
		hotplug_stop();
	}
	control_stop();
	return false;
}

bool services_start(void)
{
	if (housekeeper_start())
		return false;
	if (shell_start()) {
		housekeeper_stop();
		return false;
	}
	hears_toolstack = hear_toolstack();
	return true;
}

void services_stop(void)
{
	if (hears_toolstack) {
		balloon_stop();
		hotplug_stop();
		control_stop();
		hears_toolstack = false;
	}
	shell_stop();
	housekeeper_stop();
}

bool services_hear_toolstack(void)
{
	return hears_toolstack;
}
