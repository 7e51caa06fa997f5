/* SPDX-License-Identifier: MIT */
#include "store/span.h"
#include "store/session_row.h"

#include <stdlib.h>

static int make_room(struct fc_spans *s, size_t count)
{
    if (count > s->room) {
        size_t room = s->room * 2 > count ? s->room * 2 : count + 64;
        struct fc_span *bigger = realloc(s->span, room * sizeof *bigger);
        if (!bigger)
            return FC_E_NOMEM;
        s->span = bigger;
        s->room = room;
    }
    while (s->count < count)
        s->span[s->count++] = (struct fc_span){INT64_MAX, INT64_MIN};
    return 0;
}

int fc_spans_add(struct fc_spans *s, int64_t id, const struct fc_session_sum *session)
{
    size_t number = (size_t)(id - 1) / FC_SPAN_SESSIONS;
    int64_t end_ns;

    if (session->min_ns == FC_TIME_NONE)
        return 0;
    if (number >= s->count && make_room(s, number + 1))
        return FC_E_NOMEM;
    end_ns = session->min_ns + fc_session_duration_ns(session);
    if (session->min_ns < s->span[number].start_ns)
        s->span[number].start_ns = session->min_ns;
    if (end_ns > s->span[number].end_ns)
        s->span[number].end_ns = end_ns;
    return 0;
}

static void prepare(struct fc_stmt *stmt, struct fc_conn *conn)
{
    fc_stmt_prepare(stmt, conn,
                    "INSERT INTO session_span VALUES (?, ?, ?) ON CONFLICT (first_id) DO UPDATE"
                    " SET start_ns = min(start_ns, excluded.start_ns), end_ns = max(end_ns, excluded.end_ns)");
}

static int write(struct fc_stmt *stmt, int64_t first_id, int64_t start_ns, int64_t end_ns, struct fc_error *err)
{
    fc_stmt_int(stmt, 1, first_id);
    fc_stmt_int(stmt, 2, start_ns);
    fc_stmt_int(stmt, 3, end_ns);
    return fc_stmt_run(stmt, err);
}

int fc_span_write(struct fc_conn *conn, int64_t first_id, const struct fc_session_sum *s, struct fc_error *err)
{
    struct fc_stmt stmt = {0};
    int rc;

    if (s->min_ns == FC_TIME_NONE)
        return 0;
    prepare(&stmt, conn);
    rc = write(&stmt, first_id, s->min_ns, s->min_ns + fc_session_duration_ns(s), err);
    fc_stmt_fini(&stmt);
    return rc;
}

int fc_spans_write(const struct fc_spans *s, struct fc_conn *conn, struct fc_error *err)
{
    struct fc_stmt stmt = {0};
    int rc = 0;

    prepare(&stmt, conn);
    for (size_t i = 0; i < s->count && rc == 0; i++)
        if (s->span[i].start_ns <= s->span[i].end_ns)
            rc = write(&stmt, (int64_t)(i * FC_SPAN_SESSIONS + 1), s->span[i].start_ns, s->span[i].end_ns, err);
    fc_stmt_fini(&stmt);
    return rc;
}

void fc_spans_fini(struct fc_spans *s)
{
    free(s->span);
    *s = (struct fc_spans){0};
}
