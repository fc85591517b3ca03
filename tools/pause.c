/* SPDX-License-Identifier: MIT */
/*
 * See pause.h. The watcher is a process of its own that waits for the end of a pipe, which comes
 * when we unpause or when we are gone; Xen counts pauses, so each is taken back exactly once.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenctrl.h>
#include "pause.h"

static int with_xen(int (*act)(xc_interface *xc, uint32_t domid), uint32_t domid)
{
	xc_interface *xc = xc_interface_open(NULL, NULL, 0);
	int err = xc ? 0 : -errno;

	if (!err && act(xc, domid))
		err = -errno;
	if (xc)
		xc_interface_close(xc);
	return err;
}

/* What ends us from the terminal must not end it. */
static void watch(int pipe, uint32_t domid)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
	ssize_t got;
	char done;

	setsid();
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_IGN);
	do
		got = read(pipe, &done, 1);
	while (got < 0 && errno == EINTR);
	_exit(got > 0 ? 0 : with_xen(xc_domain_unpause, domid) != 0);
}

int pause_begin(struct pause_guard *guard, uint32_t domid)
{
	int ends[2], err;

	if (pipe(ends))
		return -errno;
	guard->pid = fork();
	if (!guard->pid) {
		close(ends[1]);
		watch(ends[0], domid);
	}
	err = guard->pid < 0 ? -errno : 0;
	close(ends[0]);
	guard->pipe = ends[1];
	if (!err)
		err = with_xen(xc_domain_pause, domid);
	if (err) {
		/* Nothing to take back. */
		if (guard->pid > 0 && write(guard->pipe, "", 1) == 1)
			waitpid(guard->pid, NULL, 0);
		close(guard->pipe);
		guard->pid = 0;
	}
	return err;
}

int pause_end(struct pause_guard *guard, uint32_t domid)
{
	int status = 0, err = 0;

	if (!guard->pid)
		return -EINVAL;
	/* If the watcher cannot be told, it is the one that unpauses. */
	if (write(guard->pipe, "", 1) == 1)
		err = with_xen(xc_domain_unpause, domid);
	close(guard->pipe);
	while (waitpid(guard->pid, &status, 0) < 0 && errno == EINTR)
		;
	guard->pid = 0;
	return err ? err : status ? -EIO : 0;
}
