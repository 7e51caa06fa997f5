/* SPDX-License-Identifier: MIT */
/*
 * The sessions of a fresh index, written past SQLite: rows straight into b-trees (store/btree.h), and, whenever an
 * epoch of IDs is complete, its entries into those of the indexes. The database must have its whole schema with
 * session, session_fields, session_positions, open_session, open_batch, session_port and their indexes empty, and must
 * not be open in SQLite while this lives.
 *
 * Threads: one, and one of its own that builds the indexes of an epoch while rows of the next one come. Memory: 3 MB,
 * and what store/session_index.h says.
 */
#ifndef FC_STORE_BULK_H
#define FC_STORE_BULK_H

#include "store/session_index.h"

struct fc_bulk;

/* Root pages, as sqlite_schema has them; read before the database is closed. FC_E_DB: another schema. */
struct fc_bulk_roots {
    uint32_t session, fields, open, batches, pieces, piece_session, piece_file;
    uint32_t index[FC_SESSION_INDEXES];
};
int fc_bulk_roots_read(sqlite3 *sql, const char *name, struct fc_bulk_roots *roots, struct fc_error *err);

/* fd and name stay the caller's; alone: no thread but the caller's. FC_E_NOMEM, FC_E_IO, FC_E_DB. */
int fc_bulk_new(int fd, const char *name, bool alone, const struct fc_bulk_roots *roots, struct fc_bulk **out,
                struct fc_error *err);
void fc_bulk_free(struct fc_bulk *bulk);

/* Adds a session; ids ascend. fields as fc_writer_session(). Codes as above. */
int fc_bulk_session(struct fc_bulk *bulk, int64_t id, const struct fc_session_record *record, uint32_t fields,
                    struct fc_error *err);
/* Adds a row of open_session; ids ascend. */
int fc_bulk_open(struct fc_bulk *bulk, int64_t id, const void *state, size_t len, struct fc_error *err);
/* Adds a row of open_batch, of FC_NEVER without an expiry. Numbers ascend. */
int fc_bulk_open_batch(struct fc_bulk *bulk, int64_t batch, uint32_t entries, int64_t expiry_ns, const void *tags,
                       size_t len, struct fc_error *err);

/* Completes the database, which SQLite may open then. Only fc_bulk_free() may follow. */
int fc_bulk_finish(struct fc_bulk *bulk, struct fc_error *err);

#endif
