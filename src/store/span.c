/* SPDX-License-Identifier: MIT */
#include "store/span.h"
#include "base/vector.h"
#include "store/session_row.h"

#include <stdlib.h>

static int make_room(struct fc_spans *s, size_t count)
{
    if (fc_vector_reserve(&s->span, &s->room, count, sizeof *s->span))
        return FC_E_NOMEM;
    while (s->count < count)
        s->span[s->count++] = (struct fc_span){.start_ns = INT64_MAX, .end_ns = INT64_MIN};
    return 0;
}

static void add(struct fc_span *span, const struct fc_session_sum *s, const struct fc_span_sum *had)
{
    span->grown = true;
    span->sum.packets += (int64_t)(s->packets[0] + s->packets[1] - (uint64_t)had->packets);
    span->sum.bytes += (int64_t)(s->bytes[0] + s->bytes[1] - (uint64_t)had->bytes);
    if (s->min_ns == FC_TIME_NONE)
        return;
    int64_t end_ns = s->min_ns + fc_session_duration_ns(s);
    if (s->min_ns < span->start_ns)
        span->start_ns = s->min_ns;
    if (end_ns > span->end_ns)
        span->end_ns = end_ns;
}

int fc_spans_add(struct fc_spans *s, int64_t id, const struct fc_session_sum *session, const struct fc_span_sum *had)
{
    size_t number = (size_t)(id - 1) / FC_SPAN_SESSIONS;

    if (number >= s->count && make_room(s, number + 1))
        return FC_E_NOMEM;
    add(&s->span[number], session, had);
    return 0;
}

static void prepare(struct fc_stmt *stmt, struct fc_conn *conn)
{
    fc_stmt_prepare(stmt, conn,
                    "INSERT INTO session_span VALUES (?, ?, ?, ?, ?) ON CONFLICT (first_id) DO UPDATE"
                    " SET start_ns = coalesce(min(start_ns, excluded.start_ns), start_ns, excluded.start_ns),"
                    " end_ns = coalesce(max(end_ns, excluded.end_ns), end_ns, excluded.end_ns),"
                    " packets = packets + excluded.packets, bytes = bytes + excluded.bytes");
}

static int write(struct fc_stmt *stmt, int64_t number, const struct fc_span *span, struct fc_error *err)
{
    fc_stmt_int(stmt, 1, number * FC_SPAN_SESSIONS + 1);
    if (span->start_ns <= span->end_ns) {
        fc_stmt_int(stmt, 2, span->start_ns);
        fc_stmt_int(stmt, 3, span->end_ns);
    } else {
        fc_stmt_null(stmt, 2);
        fc_stmt_null(stmt, 3);
    }
    fc_stmt_int(stmt, 4, span->sum.packets);
    fc_stmt_int(stmt, 5, span->sum.bytes);
    return fc_stmt_run(stmt, err);
}

int fc_span_write(struct fc_conn *conn, int64_t id, const struct fc_session_sum *s, struct fc_error *err)
{
    struct fc_span span = {.start_ns = INT64_MAX, .end_ns = INT64_MIN};
    struct fc_stmt stmt = {0};
    int rc;

    add(&span, s, &(struct fc_span_sum){0});
    prepare(&stmt, conn);
    rc = write(&stmt, (id - 1) >> FC_SPAN_BITS, &span, err);
    fc_stmt_fini(&stmt);
    return rc;
}

int fc_spans_write(const struct fc_spans *s, struct fc_conn *conn, struct fc_error *err)
{
    struct fc_stmt stmt = {0};
    int rc = 0;

    prepare(&stmt, conn);
    for (size_t i = 0; i < s->count && rc == 0; i++)
        if (s->span[i].grown)
            rc = write(&stmt, (int64_t)i, &s->span[i], err);
    fc_stmt_fini(&stmt);
    return rc;
}

void fc_spans_fini(struct fc_spans *s)
{
    free(s->span);
    *s = (struct fc_spans){0};
}
