/* SPDX-License-Identifier: MIT */
/*
 * Positions that do not lie in a session's row but in rows of session_positions, a file's each: writing splits a blob
 * by files, reading gives all that a session has.
 *
 * Threads: one an object. Memory: the longest blob, plain.
 */
#ifndef FC_STORE_PIECE_H
#define FC_STORE_PIECE_H

#include "store/blob.h"

#include <sqlite3.h>

/* What becomes of each file's part of a blob; codes of `each`, FC_E_NOMEM, FC_E_DAMAGED. scratch: two buffers. */
int fc_pieces_split(const uint8_t *blob, size_t len, struct fc_buffer scratch[2],
                    int (*each)(void *ctx, uint32_t file, const uint8_t *blob, size_t len), void *ctx);

/* Reads the positions of sessions, one session after the other; {.sql = ...} is a fresh one. */
struct fc_pieces {
    sqlite3 *sql;
    sqlite3_stmt *stmt;
    struct fc_buffer scratch;
};
void fc_pieces_fini(struct fc_pieces *pieces);

/*
 * Gives all segments of a session of which `blob` and `flags` are the columns: `segments` gets them in some pieces, and
 * its codes end it. FC_E_DAMAGED, FC_E_NOMEM; FC_E_DB: the connection tells.
 */
int fc_pieces_read(struct fc_pieces *pieces, int64_t session, int64_t flags, const void *blob, size_t len,
                   int (*segments)(void *ctx, const uint8_t *p, size_t len), void *ctx);

#endif
