/* SPDX-License-Identifier: MIT */
/*
 * The xenstore: the toolstack's tree of small texts (xen/io/xs_wire.h). A path that does not begin
 * with '/' is one below the domain's own home, /local/domain/ID.
 *
 * One request is under way at a time; who comes meanwhile waits for its turn, first come, first
 * served. A caller sleeps in Xen until the answer is there: not from an event handler, not with a
 * spinlock held, not in an open batch. Events that the caller has not masked are handled meanwhile.
 *
 * Any of these returns 0 or
 *	-XEN_ENODEV	this domain has no store
 *	-XEN_ETIMEDOUT	no answer within PVMM_STORE_PATIENCE_NS of waiting: whether it was done is not
 *			known; until the store answers again, less patience, and no line
 *	-XEN_EIO	the answer, or the ring itself, makes no sense; a line says what
 *	-XEN_ENAMETOOLONG	a path that is too long; -XEN_EINVAL: an empty one
 *	-XEN_E2BIG	path and value are longer together than a message may be
 * and what the store itself says, as -XEN_ENOENT, -XEN_EACCES, ...
 */
#ifndef PVMM_XENSTORE_H
#define PVMM_XENSTORE_H

#include <pvmm/types.h>

/* The store is a process in another domain: it needs milliseconds, and seconds on a busy host. */
#define PVMM_STORE_PATIENCE_NS 5000000000ULL

/* The longest value or list: XENSTORE_PAYLOAD_MAX, and the NUL behind it. */
#define PVMM_STORE_BYTES 4097

/*
 * What belongs together; PVMM_STORE_NO_TX for what stands alone. The number is the store's, with
 * one of ours above it: the store it is of.
 */
typedef uint64_t pvmm_store_tx_t;
#define PVMM_STORE_NO_TX 0

/*
 * The value, which gets a NUL behind it. -XEN_ERANGE, and nothing in value but a NUL, when it has
 * no room. len may be NULL; a value may have NULs of its own.
 */
PVMM_API int pvmm_store_read(pvmm_store_tx_t tx, const char *path, char *value, size_t room_bytes,
			     size_t *len_bytes);

/* Makes the node, and those above it, when it is missing. */
PVMM_API int pvmm_store_write(pvmm_store_tx_t tx, const char *path, const char *value);
PVMM_API int pvmm_store_mkdir(pvmm_store_tx_t tx, const char *path);

/* With all that is below it. One that is missing is no error, if the one above it is there. */
PVMM_API int pvmm_store_rm(pvmm_store_tx_t tx, const char *path);

/*
 * The names below a node, each with its NUL, one behind the other; nr is how many. -XEN_ERANGE as
 * above; -XEN_E2BIG from the store for more than PVMM_STORE_BYTES.
 */
PVMM_API int pvmm_store_list(pvmm_store_tx_t tx, const char *path, char *names, size_t room_bytes,
			     unsigned int *nr);

/*
 * A transaction sees the tree as it was at its start, and its changes come at once or not at all.
 * Its end is -XEN_EAGAIN when another has changed what it has read: to be done again from the
 * start. It is over in any case. When the domain has been saved and restored in between, everything
 * in it is -XEN_EAGAIN, its end too.
 */
PVMM_API int pvmm_store_tx_start(pvmm_store_tx_t *tx);
PVMM_API int pvmm_store_tx_end(pvmm_store_tx_t tx, bool commits);

/*
 * A watch: the caller's storage, from pvmm_store_watch to pvmm_store_unwatch. The caller fills in
 * path, which stays valid as long, and wake and ctx.
 *
 * wake(ctx), if there is one, is called when the watch may have fired: in any context, the event
 * handler's among them; all it does is wake whoever then asks pvmm_store_watch_fired.
 */
struct pvmm_store_watch {
	const char *path;
	void (*wake)(void *ctx);
	void *ctx;
	/* the library's */
	uint32_t token, connection;
	bool has_fired;
	struct pvmm_store_watch *next;
};

/*
 * Fires once at once, as the store has it, and whenever something at or below the path changes. The
 * watch is gone after an error, and after unwatch whatever that returns. It stays when the domain
 * is saved and restored, and fires then.
 */
PVMM_API int pvmm_store_watch(struct pvmm_store_watch *watch);
PVMM_API int pvmm_store_unwatch(struct pvmm_store_watch *watch);

/* Whether it has fired, once or more often, since this was last asked. Same contexts as above. */
PVMM_API bool pvmm_store_watch_fired(struct pvmm_store_watch *watch);

#endif
