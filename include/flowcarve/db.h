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

/* Closes; NULL is allowed. Queries and carves on the handle must be closed before. */
void fc_db_close(struct fc_db *db);

#ifdef __cplusplus
}
#endif
#endif
