/* SPDX-License-Identifier: MIT */
/*
 * Handle of an index that is open for reading. It is an ordinary SQLite file; this handle only checks that it is one
 * of ours and of a schema version that this library reads. It never writes.
 *
 * Threads: one at a time per handle.
 */
#ifndef FLOWCARVE_DB_H
#define FLOWCARVE_DB_H

#include <flowcarve/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fc_db;

/*
 * Opens the index at `path` for reading. On success *out must go to fc_db_close().
 * FC_E_MISSING: no such file. FC_E_SCHEMA: not an index, or of another schema version. FC_E_IO: it cannot be read.
 * FC_E_DB: something else that SQLite says. FC_E_NOMEM.
 */
int fc_db_open(const char *path, struct fc_db **out, struct fc_error *err);

/*
 * While *stop is not 0, what reads the index ends with FC_E_INTERRUPTED, some milliseconds later: for a limit in time,
 * or for a client that has left. Any thread may set it, by a relaxed atomic store. NULL: nothing stops it, as at first.
 * Looked at until the handle is closed, or another one is given.
 */
void fc_db_set_stop(struct fc_db *db, const int *stop);

/*
 * Its generation: 16 random bytes that an index gets when it is exported for the first time (flowcarve/cluster.h), by
 * which IDs of sessions that are known elsewhere are held against this index and no other. 1, or 0: it has none.
 * FC_E_DB, FC_E_IO, FC_E_NOMEM.
 */
int fc_db_generation(struct fc_db *db, uint8_t generation[16], struct fc_error *err);

/* Closes; NULL is allowed. Queries and carves on the handle must be closed before. */
void fc_db_close(struct fc_db *db);

#ifdef __cplusplus
}
#endif
#endif
