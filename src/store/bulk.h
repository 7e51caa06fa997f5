/* SPDX-License-Identifier: MIT */
/*
 * The sessions of a fresh index, written past SQLite: rows straight into b-trees (store/btree.h), then the indexes, two
 * at a time. The database must have its whole schema with session, session_fields, open_session, session_port and their
 * indexes empty, and must not be open in SQLite while this lives.
 *
 * Threads: one, but fc_bulk_finish() uses a second one of its own. Memory: the budget, and less than 2 MB.
 */
#ifndef FC_STORE_BULK_H
#define FC_STORE_BULK_H

#include "store/session_index.h"

struct fc_bulk;

/* Rows and different values of an index. */
struct fc_index_stat {
    const struct fc_session_index_name *name;
    uint64_t rows, distinct;
};

/* Root pages, as sqlite_schema has them; read before the database is closed. FC_E_DB: another schema. */
struct fc_bulk_roots {
    uint32_t session, fields, open, pieces, piece_session, piece_file;
    uint32_t index[FC_SESSION_INDEXES];
};
int fc_bulk_roots_read(sqlite3 *sql, const char *name, struct fc_bulk_roots *roots, struct fc_error *err);

struct fc_bulk_options {
    size_t budget_bytes; /* for sorting */
    bool community;      /* Community IDs will be among the fields */
    bool alone;          /* no thread but the caller's */
};
/* fd, name, folder (for temporary files) stay the caller's. FC_E_NOMEM, FC_E_IO, FC_E_DB. */
int fc_bulk_new(int fd, const char *name, const char *folder, const struct fc_bulk_options *options,
                const struct fc_bulk_roots *roots, struct fc_bulk **out, struct fc_error *err);
void fc_bulk_free(struct fc_bulk *bulk);

/* Adds a session; ids ascend and are at most FC_INDEX_ROWID_MAX. fields as fc_writer_session(). Codes as above. */
int fc_bulk_session(struct fc_bulk *bulk, int64_t id, const struct fc_session_record *record, uint32_t fields,
                    struct fc_error *err);
/* Adds a row of open_session; ids ascend. */
int fc_bulk_open(struct fc_bulk *bulk, int64_t id, const void *state, size_t len, struct fc_error *err);

/* Completes the database, which SQLite may open then. Only fc_bulk_free() may follow. */
int fc_bulk_finish(struct fc_bulk *bulk, struct fc_index_stat stats[FC_SESSION_INDEXES], struct fc_error *err);

#endif
