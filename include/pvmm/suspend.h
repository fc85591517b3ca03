/* SPDX-License-Identifier: MIT */
/*
 * Suspend: xl save, xl save -c, xl migrate. The domain stops in a state that the toolstack can
 * write down and put up again with other machine frames; docs/design.md says what must be true for
 * that, docs/porting.md what a kernel does.
 */
#ifndef PVMM_SUSPEND_H
#define PVMM_SUSPEND_H

#include <pvmm/types.h>

/* What pvmm_suspend returns when the domain was stopped. */
enum pvmm_suspended {
	PVMM_SUSPEND_RESTORED,	/* it goes on as a new domain, maybe under another Xen */
	PVMM_SUSPEND_CANCELLED, /* it goes on as the one it was: it was copied, or nothing came of
				   it */
};

/*
 * Every vCPU that is up calls it, from where no lock is held, no batch is open and no other call of
 * the library's is under way; it returns on all of them when the domain runs again, with the same
 * result. Until all have come, the first of them wait with events masked.
 *
 * A negative result is the reason why the domain was not stopped, said in one line, and everything
 * is as before: -XEN_EBUSY, something is there that cannot be taken along (a frame that is not the
 * domain's own is mapped, the store does not come to rest), or Xen's refusal of a pin.
 *
 * In a new domain the library has its own event ports again, the watches of the store, the timers,
 * the clock. Not what the kernel has bound, or allocated or connected by itself: those ports are
 * gone.
 */
PVMM_API int pvmm_suspend(void);

#endif
