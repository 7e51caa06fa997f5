/* SPDX-License-Identifier: MIT */
/*
 * session_span (schema/indexes.sql): earliest start, latest end, packets and bytes of each FC_SPAN_SESSIONS sessions
 * with consecutive IDs. IDs rise with time, so that a few spans hold what a question about time can find, in a few
 * bytes a thousand sessions.
 *
 * Threads: one. Memory: 40 bytes a span.
 */
#ifndef FC_STORE_SPAN_H
#define FC_STORE_SPAN_H

#include "flow/session.h"
#include "store/stmt.h"

#include <stddef.h>

enum { FC_SPAN_BITS = 12, FC_SPAN_SESSIONS = 1 << FC_SPAN_BITS };

struct fc_span_sum {
    int64_t packets, bytes;
};

/* Spans that have grown, by number: span i holds the IDs i * FC_SPAN_SESSIONS + 1 and up. {0}: none. */
struct fc_spans {
    struct fc_span {
        int64_t start_ns, end_ns; /* start > end: none has a time */
        struct fc_span_sum sum;   /* what was added */
        bool grown;
    } * span;
    size_t count, room;
};

/* Notes a session; had: what was counted of it before. FC_E_NOMEM. */
int fc_spans_add(struct fc_spans *spans, int64_t id, const struct fc_session_sum *session,
                 const struct fc_span_sum *had);
/* Brings one row up to date for a session that is new. Codes as fc_stmt_step(). */
int fc_span_write(struct fc_conn *conn, int64_t id, const struct fc_session_sum *session, struct fc_error *err);
/* Brings the table up to date. Codes as fc_stmt_step(). */
int fc_spans_write(const struct fc_spans *spans, struct fc_conn *conn, struct fc_error *err);
void fc_spans_fini(struct fc_spans *spans);

#endif
