/* SPDX-License-Identifier: MIT */
/*
 * Sessions are read a page at a time, and between pages no statement is open: whoever takes them may pause for as long
 * as he likes, and the index be added to meanwhile.
 *
 * Where the table is read from end to end, a page begins behind the ID at which the one before it has ended. Else the
 * IDs are collected first, and a page is so many of them: what the filter has found, in its order. When the index has
 * changed since, the filter is asked again. Sessions that are gone by then are not there. What fits into one page is
 * read at once, by one statement.
 */
#include "base/error.h"
#include "base/export.h"
#include "query/fields.h"
#include "query/filter.h"
#include "query/read.h"
#include "store/db.h"

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
    struct fc_session *rows; /* room for PAGE_ROWS */
    size_t count, at, page_rows;
    struct fc_arena arena; /* of the rows at hand */
};

#define KEY(column, FIELD)                                                                                             \
    {                                                                                                                  \
        column, "f." column, FC_FIELD_##FIELD                                                                          \
    }
#define TEXT(column, FIELD, ...) , KEY(#column, FIELD)
#define PAIR(column, FIELD, ...) , KEY("client_" #column, FIELD), KEY("server_" #column, FIELD)

/* What to sort by, for each key of the output and two sums. */
static const struct sort_key {
    const char *name;
    const char *sql;
    uint32_t field; /* FC_FIELD_* that the index must have, or 0 */
} sort_keys[] = {
    {"id", "s.id", 0},
    {"start", "s.start_ns", 0},
    {"end", "s.start_ns + s.duration_ns", 0},
    {"start_ns", "s.start_ns", 0},
    {"end_ns", "s.start_ns + s.duration_ns", 0},
    {"duration", "s.duration_ns", 0},
    {"proto", "s.proto", 0},
    {"client_addr", "s.client_addr", 0},
    {"client_port", "s.client_port", 0},
    {"server_addr", "s.server_addr", 0},
    {"server_port", "s.server_port", 0},
    {"client_packets", "s.client_packets", 0},
    {"server_packets", "s.server_packets", 0},
    {"client_bytes", "s.client_bytes", 0},
    {"server_bytes", "s.server_bytes", 0},
    {"state", "s.state", 0},
    {"packets", "s.client_packets + s.server_packets", 0},
    {"bytes", "s.client_bytes + s.server_bytes", 0} FC_FIELD_COLUMNS(TEXT, PAIR, PAIR),
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static int fail_sort(const char *sort, uint32_t fields, struct fc_error *err)
{
    char list[1024];
    size_t len = 0;

    for (size_t i = 0; i < COUNT(sort_keys); i++)
        if ((sort_keys[i].field & ~fields) == 0 && len < sizeof list)
            len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len ? ", " : "", sort_keys[i].name);
    return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET,
                        "cannot sort by '%.40s'; KEY[:asc|:desc] with KEY one of %s", sort, list);
}

/* What to sort by; NULL: there is no such key. */
static const struct sort_key *find_sort(const char *sort, uint32_t fields, bool *descending)
{
    const char *colon = strchr(sort, ':');
    size_t name_len = colon ? (size_t)(colon - sort) : strlen(sort);

    *descending = colon && strcmp(colon, ":desc") == 0;
    if (colon && !*descending && strcmp(colon, ":asc") != 0)
        return NULL;
    for (size_t i = 0; i < COUNT(sort_keys); i++)
        if (strlen(sort_keys[i].name) == name_len && memcmp(sort_keys[i].name, sort, name_len) == 0 &&
            !(sort_keys[i].field & ~fields))
            return &sort_keys[i];
    return NULL;
}

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
#define SESSIONS "session s%s"
#define LISTED "json_each(?1) j CROSS JOIN session s ON s.id = j.value%s"

static const char *fields_of(const struct fc_query *q)
{
    return q->fields ? FC_SELECT_FIELDS : "";
}

static const char *join_of(const struct fc_query *q)
{
    return q->fields ? " LEFT JOIN session_fields f ON f.id = s.id" : "";
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
    if (q->id_count == q->id_room) {
        size_t room = q->id_room ? q->id_room * 2 : 64;
        int64_t *bigger = realloc(q->ids, room * sizeof *bigger);
        if (!bigger)
            return FC_E_NOMEM;
        q->ids = bigger;
        q->id_room = room;
    }
    q->ids[q->id_count++] = id;
    return 0;
}

static int collect_ids(struct fc_query *q, const struct sort_key *key, int64_t limit, struct fc_error *err)
{
    const char *order = q->descending ? " DESC" : "";
    sqlite3_stmt *stmt;
    int step = SQLITE_DONE;
    int rc = prepare(q,
                     sqlite3_mprintf("SELECT s.id FROM " SESSIONS " WHERE %s ORDER BY %s%s%s LIMIT %lld", join_of(q),
                                     q->where.where, key->sql, order, key == sort_keys ? "" : ", s.id", limit),
                     1, &stmt, err);

    while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW)
        if (add_id(q, sqlite3_column_int64(stmt, 0)))
            rc = fail_memory(q, err);
    if (rc == 0 && step != SQLITE_DONE)
        rc = fail_read(q, err);
    q->version = version_of(q);
    sqlite3_finalize(stmt);
    return rc;
}

static int take_rows(struct fc_query *q, sqlite3_stmt *stmt, bool *more, struct fc_error *err);

/* All rows, where that are no more than a page: then it is done. */
static int read_few(struct fc_query *q, int64_t limit, struct fc_error *err)
{
    sqlite3_stmt *stmt;
    bool more = true;
    int rc = prepare(q,
                     sqlite3_mprintf(SELECT_ROWS SESSIONS " WHERE %s ORDER BY s.id%s LIMIT %lld", fields_of(q),
                                     join_of(q), q->where.where, q->descending ? " DESC" : "", limit),
                     1, &stmt, err);

    if (rc == 0)
        rc = take_rows(q, stmt, &more, err);
    sqlite3_finalize(stmt);
    q->done = rc == 0 && !more;
    if (more)
        q->count = 0;
    return rc;
}

static int begin(struct fc_query *q, const struct sort_key *key, int64_t limit, struct fc_error *err)
{
    int rc;

    q->scan = key == sort_keys && !q->where.lists;
    q->page_rows = q->scan ? PAGE_FIRST : PAGE_ROWS;
    q->left = limit;
    q->next = q->descending ? INT64_MAX : INT64_MIN;
    if (q->scan)
        return prepare(q,
                       sqlite3_mprintf(SELECT_ROWS SESSIONS " WHERE %s AND s.id %s ? ORDER BY s.id%s LIMIT ?",
                                       fields_of(q), join_of(q), q->where.where,
                                       q->descending ? "<=" : ">=", q->descending ? " DESC" : ""),
                       1, &q->page, err);
    if (key == sort_keys && q->where.candidates <= PAGE_ROWS && ((rc = read_few(q, limit, err)) || q->done))
        return rc;
    rc = collect_ids(q, key, limit, err);
    return rc ? rc : prepare(q, sqlite3_mprintf(SELECT_ROWS LISTED, fields_of(q), join_of(q)), 0, &q->page, err);
}

FC_EXPORT int fc_query_open(struct fc_db *db, const struct fc_filter *filter, const struct fc_query_options *options,
                            struct fc_query **out, struct fc_error *err)
{
    int64_t limit = options && options->limit > 0 ? options->limit : -1;
    const char *sort = options && options->sort ? options->sort : "id";
    const struct sort_key *key;
    struct fc_query *q;
    uint32_t fields;
    bool descending;
    int rc = fc_db_fields(db, &fields, err);

    *out = NULL;
    if (rc)
        return rc;
    if (!(key = find_sort(sort, fields, &descending)))
        return fail_sort(sort, fields, err);
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
    rc = fc_filter_compile(filter, db, &q->where, err);
    if (rc || (rc = begin(q, key, limit, err))) {
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
    *row = q->rows[q->at++];
    return 1;
}

FC_EXPORT void fc_query_close(struct fc_query *q)
{
    if (!q)
        return;
    sqlite3_finalize(q->page);
    sqlite3_finalize(q->checked);
    fc_filter_sql_fini(&q->where);
    fc_arena_fini(&q->arena);
    free(q->ids);
    free(q->rows);
    free(q);
}

FC_EXPORT uint32_t fc_query_fields(const struct fc_query *query)
{
    return query->fields | (query->community_id ? (uint32_t)FC_FIELD_COMMUNITY_ID : 0);
}

FC_EXPORT int64_t fc_query_count(struct fc_db *db, const struct fc_filter *filter, struct fc_error *err)
{
    sqlite3_stmt *stmt;
    int64_t count = fc_filter_prepare(filter, db, "SELECT count(*) FROM session s", "", &stmt, err);

    if (count != 0)
        return count;
    count = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0)
                                             : fc_db_error(fc_db_sqlite(db), db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return count;
}
