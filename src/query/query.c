/* SPDX-License-Identifier: MIT */
/*
 * Sessions are read a page at a time, and between pages no statement is open: whoever takes them may pause for as long
 * as he likes, and the index be added to meanwhile.
 *
 * Where the table is read from end to end, or a window of time of it span by span, a page begins behind the ID at which
 * the one before it has ended. Else the IDs are collected first, and a page is so many of them: what the filter has
 * found, in its order. When the index has changed since, the filter is asked again. Sessions that are gone by then are
 * not there. What fits into one page is read at once, by one statement.
 */
#include "base/error.h"
#include "base/export.h"
#include "base/vector.h"
#include "query/fields.h"
#include "query/filter.h"
#include "query/read.h"
#include "query/sort_key.h"
#include "store/db.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows of a page: the first comes at once, however long it takes to find the second. */
enum { PAGE_FIRST = 1, PAGE_GROWTH = 8, PAGE_ROWS = 512 };

struct fc_query {
    struct fc_db *db;
    uint32_t fields;   /* of the index */
    bool community_id; /* is computed */
    struct fc_filter_sql where;
    bool scan, descending; /* the table is read from end to end; from its last ID */
    sqlite3_stmt *page;    /* the next rows of the table, or those of the IDs */
    sqlite3_stmt *checked; /* those of the IDs for which the filter is true, when that was needed */
    int64_t left;          /* scan: rows still wanted, */
    int64_t next;          /* from this ID on */
    int64_t *ids;
    size_t id_count, id_room, id_next;
    unsigned version; /* of the index, when the IDs were collected */
    bool done;
    /* for what is behind the limit, where that is asked for */
    bool by_id, wants_rest;
    int64_t given, limit, last_id;
    char *rest;
    struct fc_session *rows; /* room for PAGE_ROWS */
    size_t count, at, page_rows;
    struct fc_arena arena; /* of the rows at hand */
};

#define KEY(column, FIELD)                                                                                             \
    {                                                                                                                  \
        column, {"f." column}, FC_FIELD_##FIELD, FC_SORTED_NONE                                                        \
    }
#define TEXT(column, FIELD, ...) , KEY(#column, FIELD)
#define PAIR(column, FIELD, ...) , KEY("client_" #column, FIELD), KEY("server_" #column, FIELD)

/* What to sort by, for each key of the output and two sums. */
static const struct fc_sort_key sort_keys[] = {
    {"id", {"s.id"}, 0, FC_SORTED_NONE},
    {"start", {"s.start_ns"}, 0, FC_SORTED_START},
    {"end", {"s.start_ns + s.duration_ns"}, 0, FC_SORTED_END},
    {"start_ns", {"s.start_ns"}, 0, FC_SORTED_START},
    {"end_ns", {"s.start_ns + s.duration_ns"}, 0, FC_SORTED_END},
    {"duration", {"s.duration_ns"}, 0, FC_SORTED_DURATION},
    {"proto", {"s.proto"}, 0, FC_SORTED_NONE},
    {"client_addr", {"s.client_addr"}, 0, FC_SORTED_NONE},
    {"client_port", {"s.client_port"}, 0, FC_SORTED_NONE},
    {"server_addr", {"s.server_addr"}, 0, FC_SORTED_NONE},
    {"server_port", {"s.server_port"}, 0, FC_SORTED_NONE},
    {"client_packets", {"s.client_packets"}, 0, FC_SORTED_CLIENT_PACKETS},
    {"server_packets", {"s.server_packets"}, 0, FC_SORTED_SERVER_PACKETS},
    {"client_bytes", {"s.client_bytes"}, 0, FC_SORTED_CLIENT_BYTES},
    {"server_bytes", {"s.server_bytes"}, 0, FC_SORTED_SERVER_BYTES},
    {"state", {"s.state"}, 0, FC_SORTED_NONE},
    {"packets", {"s.client_packets + s.server_packets"}, 0, FC_SORTED_PACKETS},
    {"bytes", {"s.client_bytes + s.server_bytes"}, 0, FC_SORTED_BYTES} FC_FIELD_COLUMNS(TEXT, PAIR, PAIR),
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static int fail_read(const struct fc_query *q, struct fc_error *err)
{
    return fc_db_error(fc_db_sqlite(q->db), q->db->path, err, "cannot read the index");
}

static int fail_memory(const struct fc_query *q, struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, q->db->path, FC_NO_OFFSET, "out of memory");
}

/* Prepares text, which is freed, with the filter's values from parameter `first` on; 0: it has none of them. */
static int prepare(const struct fc_query *q, char *text, int first, sqlite3_stmt **stmt, struct fc_error *err)
{
    int rc = 0;

    *stmt = NULL;
    if (!text)
        return fail_memory(q, err);
    if (sqlite3_prepare_v2(fc_db_sqlite(q->db), text, -1, stmt, NULL) != SQLITE_OK ||
        (first && fc_filter_bind(&q->where, *stmt, first) != SQLITE_OK))
        rc = fail_read(q, err);
    sqlite3_free(text);
    return rc;
}

#define SELECT_ROWS FC_SELECT_BASE "%s FROM "
#define SESSIONS "%s%s WHERE %s AND %s" /* from_of(), join_of(), spans_of(), the filter */
#define LISTED "json_each(?1) j CROSS JOIN session s ON s.id = j.value%s"

static const char *fields_of(const struct fc_query *q)
{
    return q->fields ? FC_SELECT_FIELDS : "";
}

static const char *join_of(const struct fc_query *q)
{
    return q->fields ? " LEFT JOIN session_fields f ON f.id = s.id" : "";
}

static const char *from_of(const struct fc_query *q)
{
    return q->where.spans ? FC_SPANNED_SESSIONS : "session s";
}

static const char *spans_of(const struct fc_query *q)
{
    return q->where.spans ? q->where.spans : "1";
}

/* The order of IDs, which is that in which sessions are found. */
static const char *id_order(const struct fc_query *q)
{
    if (q->where.spans)
        return q->descending ? "p.first_id DESC, s.id DESC" : "p.first_id, s.id";
    return q->descending ? "s.id DESC" : "s.id";
}

/* Of the index, as the last statement has seen it. */
static unsigned version_of(const struct fc_query *q)
{
    unsigned version = 0;

    sqlite3_file_control(fc_db_sqlite(q->db), "main", SQLITE_FCNTL_DATA_VERSION, &version);
    return version;
}

static int add_id(struct fc_query *q, int64_t id)
{
    if (fc_vector_reserve(&q->ids, &q->id_room, q->id_count + 1, sizeof *q->ids))
        return FC_E_NOMEM;
    q->ids[q->id_count++] = id;
    return 0;
}

/* ---- Places in an order: "n:80:42", a value and the session's ID. What they hold is a client's to forge. */

/* Of a row that has an ID and a value. A string for sqlite3_free(); NULL without memory. */
static char *write_place(sqlite3_stmt *stmt)
{
    long long id = sqlite3_column_int64(stmt, 0);
    int type = sqlite3_column_type(stmt, 1);

    if (type == SQLITE_NULL)
        return sqlite3_mprintf("0::%lld", id);
    if (type == SQLITE_INTEGER)
        return sqlite3_mprintf("n:%lld:%lld", sqlite3_column_int64(stmt, 1), id);
    const uint8_t *bytes = sqlite3_column_blob(stmt, 1);
    int len = sqlite3_column_bytes(stmt, 1);
    char *hex = sqlite3_malloc64(2 * (sqlite3_uint64)len + 1), *place = NULL;
    if (hex) {
        for (int i = 0; i < len; i++)
            sprintf(hex + 2 * i, "%02x", bytes[i]);
        hex[2 * len] = '\0';
        place = sqlite3_mprintf("%c:%s:%lld", type == SQLITE_TEXT ? 't' : 'b', hex, id);
    }
    sqlite3_free(hex);
    return place;
}

static bool is_number(const char *text, const char *end)
{
    char *stop;

    errno = 0;
    strtoll(text, &stop, 10);
    return (*text == '-' || (*text >= '0' && *text <= '9')) && stop == end && errno == 0;
}

/* A place as a literal of SQL, NULL where the value is one, and the ID. False: it is none. */
static bool read_place(const char *place, char **value, int64_t *id)
{
    const char *from = *place && place[1] == ':' ? place + 2 : NULL, *colon = from ? strchr(from, ':') : NULL;
    size_t digits = colon ? (size_t)(colon - from) : 0;
    enum { VALUE_MAX = 4096 };

    *value = NULL;
    if (!colon || !is_number(colon + 1, colon + strlen(colon)) || digits > VALUE_MAX)
        return false;
    *id = strtoll(colon + 1, NULL, 10);
    if (*place == '0')
        return digits == 0;
    if (*place == 'n' ? !is_number(from, colon) : strspn(from, "0123456789abcdef") != digits || digits % 2)
        return false;
    if (*place == 'n')
        *value = sqlite3_mprintf("%.*s", (int)digits, from);
    else if (*place == 'b' || *place == 't')
        *value = sqlite3_mprintf(*place == 'b' ? "x'%.*s'" : "CAST(x'%.*s' AS TEXT)", (int)digits, from);
    return *value != NULL;
}

static int fail_place(struct fc_error *err)
{
    return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "that is no place in this order to go on from");
}

/* The filter, and what is behind a place: NULL comes first in SQLite's order, and equal values by IDs. */
static int go_on_behind(struct fc_query *q, const struct fc_sort_key *key, const char *after, struct fc_error *err)
{
    char *value, *text;
    int64_t id;

    if (!read_place(after, &value, &id))
        return fail_place(err);
    const char *sign = q->descending ? "<" : ">";
    if (key == sort_keys)
        text = sqlite3_mprintf("(%s) AND +s.id %s %lld", q->where.where, sign, id);
    else if (value)
        text = sqlite3_mprintf("(%s) AND (%s %s %s OR (%s = %s AND s.id > %lld)%s%s%s)", q->where.where, key->sql[0],
                               sign, value, key->sql[0], value, id, q->descending ? " OR " : "",
                               q->descending ? key->sql[0] : "", q->descending ? " IS NULL" : "");
    else
        text = sqlite3_mprintf("(%s) AND (%s IS NULL AND s.id > %lld%s%s%s)", q->where.where, key->sql[0], id,
                               q->descending ? "" : " OR ", q->descending ? "" : key->sql[0],
                               q->descending ? "" : " IS NOT NULL");
    sqlite3_free(value);
    char *where = text ? strdup(text) : NULL;
    sqlite3_free(text);
    if (!where)
        return fail_memory(q, err);
    free(q->where.where);
    q->where.where = where;
    q->next = q->descending ? id - (id != INT64_MIN) : id + (id != INT64_MAX);
    return 0;
}

static int collect_ids(struct fc_query *q, const struct fc_sort_key *key, int64_t limit, int64_t offset,
                       struct fc_error *err)
{
    const char *order = q->descending ? " DESC" : "";
    sqlite3_stmt *stmt;
    int step = SQLITE_DONE;
    int rc = prepare(q,
                     sqlite3_mprintf("SELECT s.id, %s FROM " SESSIONS " ORDER BY %s%s%s LIMIT %lld OFFSET %lld",
                                     key->sql[0], from_of(q), join_of(q), spans_of(q), q->where.where, key->sql[0],
                                     order, key == sort_keys ? "" : ", s.id", limit, offset),
                     1, &stmt, err);

    while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (q->wants_rest && q->id_count == (size_t)q->limit) /* one more than is wanted */
            break;
        if (add_id(q, sqlite3_column_int64(stmt, 0)) ||
            (q->wants_rest && q->id_count == (size_t)q->limit && !(q->rest = write_place(stmt))))
            rc = fail_memory(q, err);
    }
    if (rc == 0 && step == SQLITE_DONE) { /* nothing is behind it */
        sqlite3_free(q->rest);
        q->rest = NULL;
    }
    if (rc == 0 && step != SQLITE_DONE && step != SQLITE_ROW)
        rc = fail_read(q, err);
    q->version = version_of(q);
    sqlite3_finalize(stmt);
    return rc;
}

/* As collect_ids(), where the pages of the table are read for it. False in *done: they are not. */
static int collect_first(struct fc_query *q, const struct fc_sort_key *key, const struct fc_filter *filter, size_t most,
                         size_t offset, bool *done, struct fc_error *err)
{
    struct fc_sorted *rows;
    size_t count, wanted = most - offset - q->wants_rest;
    int rc = fc_sorted_first(q->db, filter, key->sorted, q->descending, most, &rows, &count, done, err);

    for (size_t i = offset; rc == 0 && i < count && q->id_count < wanted; i++)
        if (add_id(q, rows[i].id))
            rc = fail_memory(q, err);
    if (rc == 0 && q->wants_rest && count == most) {
        const struct fc_sorted *last = &rows[most - 2];
        q->rest = last->has_value ? sqlite3_mprintf("n:%lld:%lld", (long long)last->value, (long long)last->id)
                                  : sqlite3_mprintf("0::%lld", (long long)last->id);
        rc = q->rest ? 0 : fail_memory(q, err);
    }
    free(rows);
    q->version = version_of(q);
    return rc;
}

static int take_rows(struct fc_query *q, sqlite3_stmt *stmt, bool *more, struct fc_error *err);

/* All rows, where that are no more than a page: then it is done. */
static int read_few(struct fc_query *q, int64_t limit, struct fc_error *err)
{
    sqlite3_stmt *stmt;
    bool more = true;
    int rc = prepare(q,
                     sqlite3_mprintf(SELECT_ROWS SESSIONS " ORDER BY s.id%s LIMIT %lld", fields_of(q), from_of(q),
                                     join_of(q), spans_of(q), q->where.where, q->descending ? " DESC" : "", limit),
                     1, &stmt, err);

    if (rc == 0)
        rc = take_rows(q, stmt, &more, err);
    sqlite3_finalize(stmt);
    q->done = rc == 0 && !more;
    if (more)
        q->count = 0;
    return rc;
}

/* Moves the beginning of a scan behind so many sessions. */
static int pass_over(struct fc_query *q, int64_t offset, struct fc_error *err)
{
    sqlite3_stmt *stmt;
    int step, rc = prepare(q,
                           sqlite3_mprintf("SELECT s.id FROM " SESSIONS " ORDER BY %s LIMIT 1 OFFSET %lld", from_of(q),
                                           join_of(q), spans_of(q), q->where.where, id_order(q), offset),
                           1, &stmt, err);

    if (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW)
        q->next = sqlite3_column_int64(stmt, 0);
    else if (rc == 0 && step == SQLITE_DONE)
        q->done = true;
    else if (rc == 0)
        rc = fail_read(q, err);
    sqlite3_finalize(stmt);
    return rc;
}

/* Spans in front of the first ID wanted are passed over as a whole. */
static int prepare_scan(struct fc_query *q, struct fc_error *err)
{
    const char *spans = !q->where.spans ? "" : q->descending ? " AND p.first_id <= ?" : " AND p.first_id + 4095 >= ?";

    return prepare(q,
                   sqlite3_mprintf(SELECT_ROWS SESSIONS "%s AND s.id %s ? ORDER BY %s LIMIT ?", fields_of(q),
                                   from_of(q), join_of(q), spans_of(q), q->where.where, spans,
                                   q->descending ? "<=" : ">=", id_order(q)),
                   1, &q->page, err);
}

static int begin(struct fc_query *q, const struct fc_filter *filter, const struct fc_sort_key *key,
                 const struct fc_query_options *o, int64_t limit, struct fc_error *err)
{
    int64_t offset = o && o->offset > 0 ? o->offset : 0;
    bool done = false;
    int rc = 0;

    q->by_id = key == sort_keys;
    q->scan = q->by_id && !q->where.lists;
    q->page_rows = q->scan ? PAGE_FIRST : PAGE_ROWS;
    q->next = q->descending ? INT64_MAX : INT64_MIN;
    q->limit = limit;
    q->wants_rest = o && o->rest && limit > 0 && limit < INT64_MAX;
    limit += q->wants_rest;
    q->left = limit;
    if (o && o->after && (rc = go_on_behind(q, key, o->after, err)))
        return rc;
    if (q->scan && offset && ((rc = pass_over(q, offset, err)) || q->done))
        return rc;
    if (q->scan)
        return prepare_scan(q, err);
    if (q->by_id && !offset && q->where.candidates <= PAGE_ROWS && ((rc = read_few(q, limit, err)) || q->done))
        return rc;
    if (key->sorted && limit > 0 && limit <= FC_SORTED_MAX && offset <= FC_SORTED_MAX - limit && !(o && o->after))
        rc = collect_first(q, key, filter, (size_t)(limit + offset), (size_t)offset, &done, err);
    if (rc == 0 && !done)
        rc = collect_ids(q, key, limit, offset, err);
    return rc ? rc : prepare(q, sqlite3_mprintf(SELECT_ROWS LISTED, fields_of(q), join_of(q)), 0, &q->page, err);
}

FC_EXPORT int fc_query_open(struct fc_db *db, const struct fc_filter *filter, const struct fc_query_options *options,
                            struct fc_query **out, struct fc_error *err)
{
    int64_t limit = options && options->limit > 0 ? options->limit : -1;
    const char *sort = options && options->sort ? options->sort : "id";
    const struct fc_sort_key *key;
    struct fc_query *q;
    uint32_t fields;
    bool descending;
    int rc = fc_db_fields(db, &fields, err);

    *out = NULL;
    if (rc || (rc = fc_sort_key_find(sort_keys, COUNT(sort_keys), sort, fields, &key, &descending, err)))
        return rc;
    if (!(q = calloc(1, sizeof *q)))
        return fc_error_set(err, FC_E_NOMEM, db->path, FC_NO_OFFSET, "out of memory");
    q->db = db;
    if (!(q->rows = malloc(PAGE_ROWS * sizeof *q->rows))) {
        rc = fail_memory(q, err);
        fc_query_close(q);
        return rc;
    }
    q->fields = fields;
    q->descending = descending;
    q->community_id = options && options->community_id && !(fields & FC_FIELD_COMMUNITY_ID);
    rc = fc_filter_compile(filter, db, FC_FILTER_SPANNED, &q->where, err);
    if (rc || (rc = begin(q, filter, key, options, limit, err))) {
        fc_query_close(q);
        return rc;
    }
    *out = q;
    return 0;
}

/* Takes the rows of a statement, which is open no longer then; *more: a page does not hold them all. */
static int take_rows(struct fc_query *q, sqlite3_stmt *stmt, bool *more, struct fc_error *err)
{
    int rc = 0, step = SQLITE_DONE;

    fc_arena_fini(&q->arena);
    q->count = q->at = 0;
    *more = false;
    while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW && !(*more = q->count == PAGE_ROWS))
        if (fc_read_session(stmt, q->fields != 0, q->community_id, &q->arena, &q->rows[q->count++]))
            rc = fail_memory(q, err);
    if (rc == 0 && step != SQLITE_ROW && step != SQLITE_DONE)
        rc = fail_read(q, err);
    sqlite3_reset(stmt);
    return rc;
}

static int scan_page(struct fc_query *q, struct fc_error *err)
{
    size_t want = q->left < 0 || q->left > (int64_t)q->page_rows ? q->page_rows : (size_t)q->left;
    int last = sqlite3_bind_parameter_count(q->page);
    bool more;

    sqlite3_bind_int64(q->page, last - 1, q->next);
    if (q->where.spans)
        sqlite3_bind_int64(q->page, last - 2, q->next);
    sqlite3_bind_int64(q->page, last, (int64_t)want);
    int rc = take_rows(q, q->page, &more, err);
    if (rc || q->count < want) {
        q->done = true;
        return rc;
    }
    q->next = q->rows[q->count - 1].id;
    q->left -= q->left < 0 ? 0 : (int64_t)want;
    q->done = q->left == 0 || q->next == (q->descending ? INT64_MIN : INT64_MAX);
    q->next += q->done ? 0 : q->descending ? -1 : 1;
    q->page_rows = q->page_rows * PAGE_GROWTH < PAGE_ROWS ? q->page_rows * PAGE_GROWTH : PAGE_ROWS;
    return 0;
}

/* The IDs of a page as JSON, to be bound. */
static const char *list_ids(struct fc_query *q, char list[PAGE_ROWS * 21 + 2])
{
    char *p = list;

    for (size_t i = 0; i < PAGE_ROWS && q->id_next < q->id_count; i++)
        p += sprintf(p, "%c%" PRId64, i ? ',' : '[', q->ids[q->id_next++]);
    strcpy(p, "]");
    return list;
}

static int listed_page(struct fc_query *q, struct fc_error *err)
{
    char list[PAGE_ROWS * 21 + 2];
    bool more;
    int rc;

    if ((q->done = q->id_next == q->id_count))
        return 0;
    sqlite3_bind_text(q->page, 1, list_ids(q, list), -1, SQLITE_STATIC);
    if ((rc = take_rows(q, q->page, &more, err)) || version_of(q) == q->version)
        return rc;
    if (!q->checked &&
        (rc = prepare(q, sqlite3_mprintf(SELECT_ROWS LISTED " WHERE %s", fields_of(q), join_of(q), q->where.where), 2,
                      &q->checked, err)))
        return rc;
    sqlite3_bind_text(q->checked, 1, list, -1, SQLITE_STATIC);
    return take_rows(q, q->checked, &more, err);
}

FC_EXPORT int fc_query_next(struct fc_query *q, struct fc_session *row, struct fc_error *err)
{
    while (q->at == q->count) {
        int rc;

        q->at = q->count = 0;
        if (q->done)
            return 0;
        if ((rc = q->scan ? scan_page(q, err) : listed_page(q, err))) {
            q->at = q->count = 0;
            return rc;
        }
    }
    if (q->wants_rest && q->given == q->limit) { /* one more than is wanted */
        q->at = q->count = 0;
        q->done = true;
        if (q->by_id && !q->rest && !(q->rest = sqlite3_mprintf("n:%lld:%lld", q->last_id, q->last_id)))
            return fail_memory(q, err);
        return 0;
    }
    *row = q->rows[q->at++];
    q->given++;
    q->last_id = row->id;
    return 1;
}

FC_EXPORT const char *fc_query_rest(const struct fc_query *query)
{
    return query->rest;
}

FC_EXPORT void fc_query_close(struct fc_query *q)
{
    if (!q)
        return;
    sqlite3_finalize(q->page);
    sqlite3_finalize(q->checked);
    fc_filter_sql_fini(&q->where);
    fc_arena_fini(&q->arena);
    sqlite3_free(q->rest);
    free(q->ids);
    free(q->rows);
    free(q);
}

FC_EXPORT uint32_t fc_query_fields(const struct fc_query *query)
{
    return query->fields | (query->community_id ? (uint32_t)FC_FIELD_COMMUNITY_ID : 0);
}

static int read_cost(struct fc_db *db, const struct fc_filter_sql *where, struct fc_query_cost *cost,
                     struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    /* IDs from 1 on; provisional ones below 0. Each by itself is found at an end of the table. */
    static const char count[] = "SELECT max(0, (SELECT max(id) FROM session)) - min(0, (SELECT min(id) FROM session))";
    int rc = 0;

    if (sqlite3_prepare_v2(fc_db_sqlite(db), count, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
        cost->sessions = sqlite3_column_int64(stmt, 0);
        cost->scan = where->candidates == INT64_MAX;
        cost->reads = where->candidates > cost->sessions ? cost->sessions : where->candidates;
    } else {
        rc = fc_db_error(fc_db_sqlite(db), db->path, err, "cannot read the index");
    }
    sqlite3_finalize(stmt);
    return rc;
}

FC_EXPORT int fc_query_cost(struct fc_db *db, const struct fc_filter *filter, struct fc_query_cost *cost,
                            struct fc_error *err)
{
    struct fc_filter_sql where;
    int rc = fc_filter_compile(filter, db, FC_FILTER_LISTED, &where, err);

    rc = rc ? rc : read_cost(db, &where, cost, err);
    fc_filter_sql_fini(&where);
    return rc;
}

FC_EXPORT int fc_query_cost_of(const struct fc_query *query, struct fc_query_cost *cost, struct fc_error *err)
{
    return read_cost(query->db, &query->where, cost, err);
}

FC_EXPORT int64_t fc_query_count(struct fc_db *db, const struct fc_filter *filter, struct fc_error *err)
{
    sqlite3_stmt *stmt;
    int64_t count = fc_filter_prepare(filter, db, "SELECT count(*)", "", FC_ORDER_NONE, &stmt, err);

    if (count != 0)
        return count;
    count = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0)
                                             : fc_db_error(fc_db_sqlite(db), db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return count;
}
