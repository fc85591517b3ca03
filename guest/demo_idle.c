/* SPDX-License-Identifier: MIT */
/*
 * demo=idle: stays up and does nothing but listen to the toolstack (control.h), until it is told to
 * shut down (xl shutdown, xl reboot, xl sysrq, xl vcpu-set, xenstore-ls) and to what is typed on
 * its console.
 */
#include <pvmm/log.h>
#include "control.h"
#include "demo.h"
#include "hotplug.h"
#include "housekeeper.h"
#include "shell.h"
#include "thread.h"

#define NAP_NS 3600000000000ULL

static bool stay_up(void)
{
	if (!control_start())
		return false;
	if (!hotplug_start()) {
		control_stop();
		return false;
	}
	if (housekeeper_start()) {
		hotplug_stop();
		control_stop();
		return false;
	}
	pvmm_print("idle: up, until xl says otherwise\n");
	if (shell_start())
		pvmm_print("idle: no memory for what is typed on the console\n");
	for (;;)
		thread_sleep(NAP_NS);
}

const struct demo demo_idle = {"idle", "stays up until xl shuts it down", stay_up};
