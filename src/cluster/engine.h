/* SPDX-License-Identifier: MIT */
/*
 * The engine: SQL over HTTP, rows as RowBinary.
 *
 * Statements are of ours alone: no text of a user's or of a capture's gets into them but as hex digits or numbers. What
 * an engine answers is taken for what it is only when all of it has come: it is asked to make an answer whole before it
 * sends it.
 *
 * Threads: one at a time for a handle.
 */
#ifndef FC_CLUSTER_ENGINE_H
#define FC_CLUSTER_ENGINE_H

#include "cluster/http.h"

struct fc_engine;

/*
 * Connects, and asks which release it is (18.16 or later; else FC_E_USAGE). The peer is copied. *stop as in http.h, for
 * all that is asked then; may be NULL. On success *out must go to fc_engine_close(). FC_E_IO, FC_E_NOMEM,
 * FC_E_INTERRUPTED.
 */
int fc_engine_open(const struct fc_peer *peer, const char *database, const int *stop, struct fc_engine **out,
                   struct fc_error *err);
void fc_engine_close(struct fc_engine *engine);

/* From now on this is what stops it; may be NULL. */
void fc_engine_set_stop(struct fc_engine *engine, const int *stop);

/* Whether rows are sent as gzip. */
void fc_engine_set_compress(struct fc_engine *engine, bool compress);

/* Makes the database that it is asked about, where it is not there. Codes as fc_engine_run(). */
int fc_engine_make_database(struct fc_engine *engine, struct fc_error *err);

/* Its release as 18016 for 18.16. */
unsigned fc_engine_release(const struct fc_engine *engine);

/* What bounds a question; 0: nothing does. */
struct fc_engine_bounds {
    unsigned deadline_ms;
    uint64_t rows_to_read; /* on each server; FC_E_LIMIT when there are more to read */
    uint64_t set_rows;     /* of a selection behind IN; FC_E_DB when there are more */
    bool long_answer; /* the deadline is for the first byte, and for each silence: who takes the rows may take his time
                       */
};

/*
 * Runs a statement. `take` gets the body of a SELECT as it comes (ends with "FORMAT RowBinary" as a rule), NULL: it is
 * dropped. Retried is nothing. FC_E_DB: the engine says no (err has its words, and the code of its exception);
 * FC_E_LIMIT: too many rows to read, or its deadline has passed; FC_E_IO: it cannot be asked, or the answer has not
 * come whole: then a statement that writes may have done so or not.
 */
int fc_engine_run(struct fc_engine *engine, const char *sql, const struct fc_engine_bounds *bounds, fc_http_take *take,
                  void *ctx, struct fc_error *err);

/*
 * Inserts rows in RowBinary: "INSERT INTO <into> FORMAT RowBinary", `into` being a table and its columns. Returns when
 * they are stored, on a shard when they are for one. Rows that are there already are stored once more, and not dropped
 * as a block that is known: what tables replace does no harm when it comes twice, while views would not get what a call
 * that was cut short had not given them. Codes as above.
 */
int fc_engine_insert(struct fc_engine *engine, const char *into, const void *rows, size_t len, struct fc_error *err);

/* Code of the engine's exception in the last call that gave FC_E_DB or FC_E_LIMIT; 0: none. */
int fc_engine_code(const struct fc_engine *engine);

#endif
