/* SPDX-License-Identifier: MIT */
/* Sessions of many sensors: rows, IDs, their number. */
#include "base/error.h"
#include "base/export.h"
#include "cluster/engine_row.h"
#include "cluster/inquiry.h"
#include "cluster/source.h"
#include "query/explain.h"
#include "query/sort_key.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_LONGEST = 63 };

#define PLAIN(key, column)                                                                                             \
    {                                                                                                                  \
        key, {column, NULL}, 0, FC_SORTED_NONE                                                                         \
    }
#define TIMED(key, expression)                                                                                         \
    {                                                                                                                  \
        key, {"timed", expression}, 0, FC_SORTED_NONE                                                                  \
    }
/* as an index has them: none, then IPv4, then the others */
#define ADDRESS_OF(key, column)                                                                                        \
    {                                                                                                                  \
        key, {"multiIf(kind = 0, 0, kind = 4, 1, 2)", column}, 0, FC_SORTED_NONE                                       \
    }
#define FIELD(key, BIT)                                                                                                \
    ,                                                                                                                  \
    {                                                                                                                  \
        key, {key, NULL}, FC_FIELD_##BIT, FC_SORTED_NONE                                                               \
    }
#define TEXT(column, BIT, ...) FIELD(#column, BIT)
#define PAIR(column, BIT, ...) FIELD("client_" #column, BIT) FIELD("server_" #column, BIT)

/* What to sort by, for each key of the output and two sums. */
static const struct fc_sort_key sort_keys[] = {
    TIMED("start", "start_ns"),
    TIMED("end", "end_ns"),
    TIMED("start_ns", "start_ns"),
    TIMED("end_ns", "end_ns"),
    TIMED("duration", "end_ns - start_ns"),
    PLAIN("sensor", "sensor"),
    PLAIN("id", "id"),
    PLAIN("proto", "proto"),
    ADDRESS_OF("client_addr", "client"),
    PLAIN("client_port", "client_port"),
    ADDRESS_OF("server_addr", "server"),
    PLAIN("server_port", "server_port"),
    PLAIN("client_packets", "client_packets"),
    PLAIN("server_packets", "server_packets"),
    PLAIN("client_bytes", "client_bytes"),
    PLAIN("server_bytes", "server_bytes"),
    PLAIN("state", "state"),
    PLAIN("packets", "client_packets + server_packets"),
    PLAIN("bytes", "client_bytes + server_bytes") FC_FIELD_COLUMNS(TEXT, PAIR, PAIR),
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void put_order(FILE *out, const struct fc_sort_key *key, bool descending)
{
    fputs(" ORDER BY ", out);
    for (int i = 0; i < 2 && key->sql[i]; i++)
        fprintf(out, "%s%s%s, ", key->sql[i], descending ? " DESC" : " ASC",
                !key->field  ? ""
                : descending ? " NULLS LAST"
                             : " NULLS FIRST");
    fputs("sensor, id", out);
}

/* ---- rows */

struct giving {
    const struct fc_inquiry *inquiry;
    struct fc_engine_texts texts;
    uint64_t left; /* rows that may come */
    fc_inquiry_row *row;
    fc_inquiry_take_id *id;
    void *ctx;
};

static const struct fc_inquiry_sensor *read_sensor(const struct giving *g, struct fc_binary *row)
{
    size_t len;
    const char *name = fc_binary_text(row, NAME_LONGEST, &len);
    const struct fc_inquiry_sensor *sensor = row->cut || row->bad ? NULL : fc_inquiry_find(g->inquiry, name, len);

    row->bad |= !row->cut && !sensor;
    return sensor;
}

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static int take_row(void *ctx, struct fc_binary *row, struct fc_error *err)
{
    struct giving *g = ctx;
    const struct fc_inquiry_sensor *sensor = read_sensor(g, row);
    struct fc_session session;

    if (fc_engine_row(row, &g->texts, &session))
        return no_memory(err);
    row->bad |= !row->cut && g->left == 0;
    if (row->cut || row->bad)
        return 0;
    g->left--;
    session.sensor = sensor->name;
    return g->row(g->ctx, &session, err);
}

FC_EXPORT int fc_inquiry_rows(struct fc_inquiry *q, const struct fc_filter *filter,
                              const struct fc_inquiry_rows_options *options, fc_inquiry_row *call, void *ctx,
                              struct fc_error *err)
{
    static const struct fc_inquiry_rows_options all;
    const struct fc_inquiry_rows_options *o = options ? options : &all;
    struct giving g = {.inquiry = q, .left = o->limit > 0 ? (uint64_t)o->limit : UINT64_MAX, .row = call, .ctx = ctx};
    uint32_t fields = fc_inquiry_fields(q, filter) | FC_FIELD_COMMUNITY_ID;
    struct fc_statement s = {0};
    struct fc_where where;
    bool descending;
    const struct fc_sort_key *key;
    FILE *out;
    int rc = fc_sort_key_find(sort_keys, COUNT(sort_keys), o->sort ? o->sort : "start", fields, &key, &descending, err);

    if (rc || (rc = fc_where_make(q, filter, &where, err)))
        return rc;
    if (where.text) {
        if ((out = fc_statement_begin(&s))) {
            fprintf(out, "SELECT sensor, %s" FC_FROM_SESSION "%s", fc_engine_row_columns, where.text);
            put_order(out, key, descending);
            if (o->limit > 0 || o->offset > 0)
                fprintf(out, " LIMIT %" PRId64 ", %" PRId64, o->offset > 0 ? o->offset : 0,
                        o->limit > 0 ? o->limit : INT64_MAX / 2);
            fputs(" FORMAT RowBinary", out);
        }
        rc = fc_inquiry_ask(q, fc_statement_end(&s), &where, true, take_row, &g, err);
    }
    fc_engine_texts_fini(&g.texts);
    fc_where_fini(&where);
    return rc;
}

static int take_id(void *ctx, struct fc_binary *row, struct fc_error *err)
{
    struct giving *g = ctx;
    struct fc_inquiry_id id = {.sensor = read_sensor(g, row)};

    id.id = fc_binary_i64(row);
    id.has_time = fc_engine_row_time(row, &id.start_ns);
    return row->cut || row->bad ? 0 : g->id(g->ctx, &id, err);
}

FC_EXPORT int fc_inquiry_ids(struct fc_inquiry *q, const struct fc_filter *filter, fc_inquiry_take_id *call, void *ctx,
                             struct fc_error *err)
{
    struct giving g = {.inquiry = q, .id = call, .ctx = ctx};
    struct fc_where where;
    char *sql = NULL;
    int rc = fc_where_make(q, filter, &where, err);

    if (rc)
        return rc;
    if (where.text) {
        if (asprintf(&sql,
                     "SELECT sensor, id, timed, start_ns" FC_FROM_SESSION "%s ORDER BY sensor, id FORMAT RowBinary",
                     where.text) < 0)
            sql = NULL;
        rc = fc_inquiry_ask(q, sql, &where, true, take_id, &g, err);
    }
    fc_where_fini(&where);
    return rc;
}

static int take_count(void *ctx, struct fc_binary *row, struct fc_error *err)
{
    uint64_t count = fc_binary_below(row, fc_binary_u64(row), INT64_MAX);

    (void)err;
    if (!row->cut)
        *(uint64_t *)ctx = count;
    return 0;
}

FC_EXPORT int64_t fc_inquiry_count(struct fc_inquiry *q, const struct fc_filter *filter, struct fc_error *err)
{
    uint64_t count = 0;
    struct fc_where where;
    char *sql = NULL;
    int rc = fc_where_make(q, filter, &where, err);

    if (rc)
        return rc;
    where.sums = true;
    do {
        if (!where.text)
            break;
        if (asprintf(&sql, "SELECT count()" FC_FROM_SESSION "%s FORMAT RowBinary", where.text) < 0)
            sql = NULL;
        rc = fc_inquiry_ask(q, sql, &where, false, take_count, &count, err);
        rc = rc ? rc : fc_source_check(q, &where, err);
    } while (rc == 1);
    fc_where_fini(&where);
    return rc ? rc : (int64_t)count;
}

static char *say_bounds(const struct fc_inquiry *q, const struct fc_where *where)
{
    struct fc_statement s = {0};
    FILE *out = fc_statement_begin(&s);

    if (out && !where->text)
        fputs("nothing is asked: no sensor has sessions of that time", out);
    else if (out)
        fprintf(out, "days: %s\nat most %" PRIu64 " rows of a server, %u s",
                strcmp(where->days, "1") == 0 ? "all" : where->days, q->bounds.rows_to_read,
                q->bounds.deadline_ms / 1000);
    return fc_statement_end(&s);
}

FC_EXPORT int fc_inquiry_explain(struct fc_inquiry *q, const struct fc_filter *filter, struct fc_explain *out,
                                 struct fc_error *err)
{
    struct fc_where where;
    int rc = fc_where_make(q, filter, &where, err);

    *out = (struct fc_explain){0};
    if (rc)
        return rc;
    if (fc_explain_filter(filter, out) || !(out->plan = say_bounds(q, &where)) ||
        asprintf(&out->sql, "%s%s%s%s", where.text ? "SELECT sensor, id FROM " : "",
                 where.narrow ? where.narrow
                 : where.text ? "session FINAL"
                              : "",
                 where.text ? " WHERE " : "", where.text ? where.text : "") < 0) {
        out->sql = NULL;
        fc_explain_fini(out);
        rc = no_memory(err);
    }
    fc_where_fini(&where);
    return rc;
}
