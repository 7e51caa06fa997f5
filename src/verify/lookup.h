/* SPDX-License-Identifier: MIT */
/*
 * What the database keeps beside the sessions so that they are found: indexes, ports by blocks, spans of time,
 * Community IDs. A session that is missing there is in the index and is never found.
 *
 * Threads: one. Memory: 256 MiB that SQLite keeps pages in, and twice 8 bytes a session and port.
 */
#ifndef FC_VERIFY_LOOKUP_H
#define FC_VERIFY_LOOKUP_H

#include "store/db.h"

/*
 * Checks them; differ(ctx, text) is called for each difference, not for what cannot be read. FC_E_IO, FC_E_DB,
 * FC_E_NOMEM.
 */
int fc_verify_lookup(struct fc_db *db, void (*differ)(void *ctx, const char *text), void *ctx, struct fc_error *err);

#endif
