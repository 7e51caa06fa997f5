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

int fc_spans_add(struct fc_spans *s, int64_t id, const struct fc_run *run)
{
    size_t number = (size_t)(id - 1) / FC_SPAN_SESSIONS;
    int64_t end_ns;

    if (run->min_ns == FC_TIME_NONE)
        return 0;
    if (number >= s->count && make_room(s, number + 1))
        return FC_E_NOMEM;
    end_ns = run->min_ns + fc_run_duration_ns(run);
    if (run->min_ns < s->span[number].start_ns)
        s->span[number].start_ns = run->min_ns;
    if (end_ns > s->span[number].end_ns)
        s->span[number].end_ns = end_ns;
    return 0;
}

int fc_spans_write(const struct fc_spans *s, sqlite3 *sql)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(sql,
                                "INSERT INTO session_span VALUES (?, ?, ?) ON CONFLICT (first_id) DO UPDATE"
                                " SET start_ns = min(start_ns, excluded.start_ns), end_ns = max(end_ns, "
                                "excluded.end_ns)",
                                -1, &stmt, NULL);

    for (size_t i = 0; i < s->count && rc == SQLITE_OK; i++) {
        if (s->span[i].start_ns > s->span[i].end_ns)
            continue;
        sqlite3_bind_int64(stmt, 1, (int64_t)(i * FC_SPAN_SESSIONS + 1));
        sqlite3_bind_int64(stmt, 2, s->span[i].start_ns);
        sqlite3_bind_int64(stmt, 3, s->span[i].end_ns);
        sqlite3_step(stmt);
        rc = sqlite3_reset(stmt);
    }
    sqlite3_finalize(stmt);
    return rc;
}

void fc_spans_fini(struct fc_spans *s)
{
    free(s->span);
    *s = (struct fc_spans){0};
}
