/* SPDX-License-Identifier: MIT */
/*
 * See pinwatch_xen.h. Owns the handles of Xen's libraries and the set of domains whose crash has
 * been told.
 *
 * The console is announced by VIRQ_CON_RING, which one program of a domain can have; if another
 * has it (xenconsoled --log=hv), the ring is looked at a few times a second. Ends of domains are
 * announced by the store, which has VIRQ_DOM_EXC.
 */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenctrl.h>
#include <xenevtchn.h>
#include <xenstore.h>
#include "pinwatch_xen.h"

#define POLL_MS 250u
/* The announcement is no more than that: the ring is looked at so often in any case. */
#define LONGEST_MS 5000u

#define MAX_DOMAINS 32768u

struct watch {
	xentoollog_logger *log;
	xc_interface *xc;
	xenevtchn_handle *events; /* NULL: polled */
	evtchn_port_t port;
	struct xs_handle *store; /* NULL: domains are polled */
	bool has_begun;
	uint8_t told[MAX_DOMAINS / 8];
};

static struct watch *cannot(struct watch *w, char *why, const char *text)
{
	snprintf(why, TOOL_ERROR_BYTES, "%s: %s", text, strerror(errno));
	watch_close(w);
	return NULL;
}

/* Without these the watch goes on: a few looks a second do. */
static void open_announcements(struct watch *w)
{
	xenevtchn_port_or_error_t port;

	w->events = xenevtchn_open(w->log, 0);
	port = w->events ? xenevtchn_bind_virq(w->events, VIRQ_CON_RING) : -1;
	if (port < 0 && w->events) {
		xenevtchn_close(w->events);
		w->events = NULL;
	}
	w->port = (evtchn_port_t)port;
	w->store = xs_open(0);
	if (w->store && !xs_watch(w->store, "@releaseDomain", "end")) {
		xs_close(w->store);
		w->store = NULL;
	}
}

struct watch *watch_open(char *why)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w) {
		snprintf(why, TOOL_ERROR_BYTES, "out of memory");
		return NULL;
	}
	w->log = (xentoollog_logger *)xtl_createlogger_stdiostream(stderr, XTL_CRITICAL, 0);
	w->xc = w->log ? xc_interface_open(w->log, w->log, 0) : NULL;
	if (!w->xc)
		return cannot(w, why, "cannot talk to Xen");
	open_announcements(w);
	return w;
}

void watch_close(struct watch *w)
{
	if (w->store)
		xs_close(w->store);
	if (w->events)
		xenevtchn_close(w->events);
	if (w->xc)
		xc_interface_close(w->xc);
	if (w->log)
		xtl_logger_destroy(w->log);
	free(w);
}

int watch_read_ring(void *ctx, char *buf, uint32_t *nr, uint32_t *index, bool from_start)
{
	struct watch *w = ctx;
	unsigned int count = *nr;

	if (xc_readconsolering(w->xc, buf, &count, 0, !from_start, index))
		return -errno;
	*nr = count;
	return 0;
}

/* --- waiting --- */

static int take_event(struct watch *w)
{
	xenevtchn_port_or_error_t port = xenevtchn_pending(w->events);

	if (port < 0)
		return -errno;
	return xenevtchn_unmask(w->events, (evtchn_port_t)port) ? -errno : 0;
}

static void take_watches(struct watch *w)
{
	char **event;

	while ((event = xs_check_watch(w->store)))
		free(event);
}

int watch_wait(struct watch *w, uint64_t timeout_ms)
{
	struct pollfd fds[2] = {
		{.fd = w->events ? xenevtchn_fd(w->events) : -1, .events = POLLIN},
		{.fd = w->store ? xs_fileno(w->store) : -1, .events = POLLIN},
	};
	uint64_t most = w->events && w->store ? LONGEST_MS : POLL_MS;
	int nr = poll(fds, 2, (int)(timeout_ms < most ? timeout_ms : most));

	if (nr < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[1].revents & POLLIN)
		take_watches(w);
	if (fds[1].revents & (POLLERR | POLLHUP)) {
		/* The store's daemon is gone; the domains are not. */
		xs_close(w->store);
		w->store = NULL;
	}
	return fds[0].revents & POLLIN ? take_event(w) : 0;
}

/* --- domains --- */

static bool is_crashed(const xc_domaininfo_t *info)
{
	unsigned int reason = info->flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;

	return info->flags & XEN_DOMINF_shutdown && reason == SHUTDOWN_crash;
}

int watch_crashes(struct watch *w, bool tell_old, uint32_t *domids, unsigned int max)
{
	bool tell = w->has_begun || tell_old;
	uint8_t still[MAX_DOMAINS / 8] = {0};
	unsigned int nr = 0;
	xc_domaininfo_t info[64];
	uint32_t next = 0;
	int got;

	while ((got = xc_domain_getinfolist(w->xc, next, 64, info)) > 0) {
		for (int i = 0; i < got; i++) {
			uint32_t domid = info[i].domain;
			uint8_t bit = (uint8_t)(1u << domid % 8);

			next = domid + 1;
			if (domid >= MAX_DOMAINS || !is_crashed(&info[i]))
				continue;
			if (!(w->told[domid / 8] & bit) && tell) {
				/* What finds no room is told the next time. */
				if (nr == max)
					continue;
				domids[nr++] = domid;
			}
			still[domid / 8] |= bit;
		}
	}
	if (got < 0)
		return -errno;
	/* A number that comes again is another domain. */
	memcpy(w->told, still, sizeof(still));
	w->has_begun = true;
	return (int)nr;
}

static void read_word(struct watch *w, const char *folder, const char *name,
		      struct watch_word *word)
{
	char path[128], *value;
	unsigned int len;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	value = xs_read(w->store, XBT_NULL, path, &len);
	snprintf(word->name, sizeof(word->name), "%s", name);
	for (char *c = word->name; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '-')
			*c = '_';
	snprintf(word->value, sizeof(word->value), "%s", value ? value : "");
	free(value);
}

unsigned int watch_guest_words(struct watch *w, uint32_t domid, struct watch_word *words)
{
	unsigned int nr = 0, nr_taken = 0;
	char folder[64], **names;

	if (!w->store)
		return 0;
	snprintf(folder, sizeof(folder), "/local/domain/%u/data/pvmm", domid);
	names = xs_directory(w->store, XBT_NULL, folder, &nr);
	for (; names && nr_taken < nr && nr_taken < WATCH_WORDS; nr_taken++)
		read_word(w, folder, names[nr_taken], &words[nr_taken]);
	free(names);
	return nr_taken;
}
