/* SPDX-License-Identifier: MIT */
/*
 * demo=idle: stays up and does what the toolstack says and what is typed on its console
 * (services.h), until it is told to shut down: xl shutdown, xl reboot.
 */
#include <pvmm/log.h>
#include "demo.h"
#include "services.h"
#include "thread.h"

#define NAP_NS 3600000000000ULL

static bool stay_up(void)
{
	if (!services_start())
		return false;
	if (!services_hear_toolstack()) {
		services_stop();
		return false;
	}
	pvmm_print("idle: up, until xl says otherwise\n");
	for (;;)
		thread_sleep(NAP_NS);
}

const struct demo demo_idle = {"idle", "stays up until xl shuts it down", stay_up};
