/* SPDX-License-Identifier: MIT */
/*
 * What a kernel asks of the store: include/pvmm/xenstore.h in terms of requests. Owns nothing; turns
 * and requests are xenstore_request.c's, the list of watches xenstore_watch.c's.
 */
#include <pvmm/cmdline.h>
#include <pvmm/log.h>
#include <pvmm/xenstore.h>
#include "xenstore.h"

/* --- reading --- */

/* Copies the answer's payload, and a NUL. */
static int copy_out(const struct xs_message *answer, char *to, size_t room_bytes)
{
	if (answer->head.len >= room_bytes)
		return -XEN_ERANGE;
	for (uint32_t i = 0; i <= answer->head.len; i++)
		to[i] = answer->payload[i];
	return 0;
}

static int fetch(uint32_t type, pvmm_store_tx_t tx, const char *path, char *to, size_t room_bytes,
		 size_t *len_bytes)
{
	const struct xs_part parts[] = {xs_with_nul(path)};
	const struct xs_message *answer;
	int err = xs_check_parts(parts, 1);

	if (!room_bytes)
		return -XEN_ERANGE;
	*to = '\0';
	if (!err)
		err = xs_begin();
	if (err)
		return err;
	err = xs_ask(type, tx, parts, 1, &answer);
	if (!err)
		err = copy_out(answer, to, room_bytes);
	if (!err)
		*len_bytes = answer->head.len;
	xs_end();
	return err;
}

int pvmm_store_read(pvmm_store_tx_t tx, const char *path, char *value, size_t room_bytes,
		    size_t *len_bytes)
{
	size_t ignored;

	return fetch(XS_READ, tx, path, value, room_bytes, len_bytes ? len_bytes : &ignored);
}

int pvmm_store_list(pvmm_store_tx_t tx, const char *path, char *names, size_t room_bytes,
		    unsigned int *nr)
{
	size_t len;
	int err = fetch(XS_DIRECTORY, tx, path, names, room_bytes, &len);

	if (err)
		return err;
	if (len && names[len - 1]) {
		pvmm_log(PVMM_WARN, "xenstore: list of %zu bytes without an end refused", len);
		*names = '\0';
		return -XEN_EIO;
	}
	*nr = 0;
	for (size_t i = 0; i < len; i++)
		*nr += !names[i];
	return 0;
}

/* --- writing --- */

int pvmm_store_write(pvmm_store_tx_t tx, const char *path, const char *value)
{
	const struct xs_part parts[] = {xs_with_nul(path), {value, xs_text_len(value)}};
	int err = xs_check_parts(parts, 2);

	return err ? err : xs_order(XS_WRITE, tx, parts, 2);
}

int pvmm_store_mkdir(pvmm_store_tx_t tx, const char *path)
{
	return xs_order_path(XS_MKDIR, tx, path);
}

int pvmm_store_rm(pvmm_store_tx_t tx, const char *path)
{
	return xs_order_path(XS_RM, tx, path);
}

/* --- transactions --- */

int pvmm_store_tx_start(pvmm_store_tx_t *tx)
{
	const struct xs_part nothing = {"", 1};
	const struct xs_message *answer;
	uint64_t number;
	int err = xs_begin();

	if (err)
		return err;
	err = xs_ask(XS_TRANSACTION_START, PVMM_STORE_NO_TX, &nothing, 1, &answer);
	if (!err &&
	    (!pvmm_parse_number(answer->payload, &number) || !number || number > UINT32_MAX)) {
		pvmm_log(PVMM_WARN, "xenstore: \"%.32s\" is no transaction", answer->payload);
		err = -XEN_EIO;
	}
	if (!err)
		*tx = (pvmm_store_tx_t)xs_connection() << 32 | number;
	xs_end();
	return err;
}

int pvmm_store_tx_end(pvmm_store_tx_t tx, bool commits)
{
	const struct xs_part parts[] = {xs_with_nul(commits ? "T" : "F")};

	return xs_order(XS_TRANSACTION_END, tx, parts, 1);
}

/* --- watching --- */

static int order_watch(uint32_t type, const struct pvmm_store_watch *watch)
{
	int err = xs_begin();

	if (err)
		return err;
	err = xs_ask_watch(type, watch);
	xs_end();
	return err;
}

int pvmm_store_watch(struct pvmm_store_watch *watch)
{
	int err;

	xs_watches_add(watch);
	err = order_watch(XS_WATCH, watch);
	if (err)
		xs_watches_remove(watch);
	return err;
}

int pvmm_store_unwatch(struct pvmm_store_watch *watch)
{
	int err = order_watch(XS_UNWATCH, watch);

	xs_watches_remove(watch);
	return err;
}

bool pvmm_store_watch_fired(struct pvmm_store_watch *watch)
{
	if (!__atomic_load_n(&watch->has_fired, __ATOMIC_ACQUIRE))
		xs_take_in();
	return __atomic_exchange_n(&watch->has_fired, false, __ATOMIC_ACQ_REL);
}
