/* SPDX-License-Identifier: MIT */
/*
 * Owns the list of watches: which there are, and which have fired. Its spinlock is the event
 * handler's too, so it is held with events masked. Who has a watch stays on the list until it has
 * been taken off, for which the turn is needed (xenstore_request.c).
 */
#include <pvmm/event.h>
#include <pvmm/spinlock.h>
#include <pvmm/xenstore.h>
#include "xenstore.h"

/* Guards the list. Held with events masked. */
static struct pvmm_spinlock watches_lock = PVMM_SPINLOCK_INIT;
static struct pvmm_store_watch *watches;
static uint32_t last_token; /* never used twice: an event of a watch that is gone is told apart */

static bool enter(void)
{
	bool were_on = pvmm_events_save();

	pvmm_spin_lock(&watches_lock);
	return were_on;
}

static void leave(bool were_on)
{
	pvmm_spin_unlock(&watches_lock);
	pvmm_events_restore(were_on);
}

void xs_wake_watchers(void)
{
	bool were_on = enter();

	for (struct pvmm_store_watch *w = watches; w; w = w->next)
		if (w->wake)
			w->wake(w->ctx);
	leave(were_on);
}

void xs_watches_add(struct pvmm_store_watch *watch)
{
	bool were_on = enter();

	watch->token = ++last_token;
	watch->connection = xs_connection();
	watch->has_fired = false;
	watch->next = watches;
	watches = watch;
	leave(were_on);
}

void xs_watches_remove(const struct pvmm_store_watch *watch)
{
	bool were_on = enter();

	for (struct pvmm_store_watch **link = &watches; *link; link = &(*link)->next)
		if (*link == watch) {
			*link = watch->next;
			break;
		}
	leave(were_on);
}

bool xs_watches_fire(uint64_t token)
{
	bool were_on = enter(), fired = false;

	for (struct pvmm_store_watch *w = watches; w; w = w->next)
		if (w->token == token) {
			__atomic_store_n(&w->has_fired, true, __ATOMIC_RELEASE);
			fired = true;
		}
	leave(were_on);
	return fired;
}

struct pvmm_store_watch *xs_watches_first_old(void)
{
	bool were_on = enter();
	struct pvmm_store_watch *watch = watches;

	while (watch && watch->connection == xs_connection())
		watch = watch->next;
	leave(were_on);
	return watch;
}
