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

#include "flow/session.h"
#include "store/stmt.h"

#include <stddef.h>

enum { FC_SPAN_BITS = 12, FC_SPAN_SESSIONS = 1 << FC_SPAN_BITS };

/* Spans that have grown, by number: span i holds the IDs i * FC_SPAN_SESSIONS + 1 and up. {0}: none. */
struct fc_spans {
    struct fc_span {
        int64_t start_ns, end_ns; /* start > end: nothing yet */
    } * span;
    size_t count, room;
};

/* Notes a session. FC_E_NOMEM. */
int fc_spans_add(struct fc_spans *spans, int64_t id, const struct fc_session_sum *session);
/* Brings one row up to date for a session. Codes as fc_stmt_step(). */
int fc_span_write(struct fc_conn *conn, int64_t first_id, const struct fc_session_sum *session, struct fc_error *err);
/* Brings the table up to date. Codes as fc_stmt_step(). */
int fc_spans_write(const struct fc_spans *spans, struct fc_conn *conn, struct fc_error *err);
void fc_spans_fini(struct fc_spans *spans);

#endif
