/* SPDX-License-Identifier: MIT */
/*
 * demo=idle: stays up and does nothing but listen to the toolstack (control.h, balloon.h), until it
 * is told to shut down: xl shutdown, xl reboot, xl sysrq, xl mem-set, xenstore-ls.
 */
#include <pvmm/log.h>
#include "balloon.h"
#include "control.h"
#include "demo.h"
#include "housekeeper.h"
#include "thread.h"

#define NAP_NS 3600000000000ULL

static bool stay_up(void)
{
	if (!control_start())
		return false;
	if (housekeeper_start()) {
		control_stop();
		return false;
	}
	if (balloon_start()) {
		housekeeper_stop();
		control_stop();
		return false;
	}
	pvmm_print("idle: up, until xl says otherwise\n");
	for (;;)
		thread_sleep(NAP_NS);
}

const struct demo demo_idle = {"idle", "stays up until xl shuts it down", stay_up};
