/* SPDX-License-Identifier: MIT */
/*
 * session_span (schema/indexes.sql): earliest start and latest end of each FC_SPAN_SESSIONS sessions with consecutive
 * IDs. IDs rise with time, so that a few spans hold what a question about time can find, in a few bytes a thousand
 * sessions.
 *
 * Threads: one. Memory: 16 bytes a span.
 */
#ifndef FC_STORE_SPAN_H
#define FC_STORE_SPAN_H

#include "flow/run.h"

#include <sqlite3.h>
#include <stddef.h>

enum { FC_SPAN_SESSIONS = 4096 };

/* Spans that have grown, by number: span i holds the IDs i * FC_SPAN_SESSIONS + 1 and up. {0}: none. */
struct fc_spans {
    struct fc_span {
        int64_t start_ns, end_ns; /* start > end: nothing yet */
    } * span;
    size_t count, room;
};

/* Notes a session. FC_E_NOMEM. */
int fc_spans_add(struct fc_spans *spans, int64_t id, const struct fc_run *run);
/* Brings the table up to date. An SQLite code. */
int fc_spans_write(const struct fc_spans *spans, sqlite3 *sql);
void fc_spans_fini(struct fc_spans *spans);

#endif
