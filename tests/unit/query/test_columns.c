/* SPDX-License-Identifier: MIT */
/* Columns against rows: what one way gives, the other must. */
#include "query_test.h"

#include <flowcarve/columns.h>

enum { COLUMNS_MOST = 64 };

struct table {
    struct fc_column column[COLUMNS_MOST];
    unsigned count;
    size_t room;
};

static void make(struct table *t, size_t room, uint32_t fields)
{
    const struct fc_column_info *info;

    t->count = 0;
    t->room = room;
    for (unsigned i = 0; (info = fc_column_info(i)); i++)
        if (!(info->field & ~fields)) {
            t->column[t->count] = (struct fc_column){i, info->size, malloc(room * info->size)};
            memset(t->column[t->count++].to, 0xee, room * info->size);
        }
}

static void drop(struct table *t)
{
    for (unsigned i = 0; i < t->count; i++)
        free(t->column[i].to);
}

static const uint8_t *cell(const struct table *t, const char *name, size_t row)
{
    for (unsigned i = 0; i < t->count; i++)
        if (t->column[i].column == (unsigned)fc_column_find(name))
            return (uint8_t *)t->column[i].to + row * t->column[i].stride;
    return NULL;
}

static int64_t number(const struct table *t, const char *name, size_t row)
{
    const uint8_t *at = cell(t, name, row);
    int64_t wide;
    int32_t narrow;

    switch (fc_column_info((unsigned)fc_column_find(name))->size) {
    case 8:
        memcpy(&wide, at, sizeof wide);
        return wide;
    case 4:
        memcpy(&narrow, at, sizeof narrow);
        return narrow;
    default:
        return (int8_t)*at;
    }
}

static void check_addr(const uint8_t *at, int kind, const uint8_t addr[16])
{
    uint8_t want[16] = {0};

    if (kind == FC_ADDR_IPV4) {
        want[10] = want[11] = 0xff;
        memcpy(want + 12, addr, 4);
    } else {
        memcpy(want, addr, kind == FC_ADDR_IPV6 ? 16 : kind == FC_ADDR_MAC ? 6 : 0);
    }
    cr_assert_arr_eq(at, want, 16);
}

static void check_text(const uint8_t *at, size_t size, const char *text)
{
    cr_assert_eq(strnlen((const char *)at, size), text ? strlen(text) : 0);
    cr_assert(!text || memcmp(at, text, strlen(text)) == 0);
}

static void check_row(const struct table *t, size_t row, const struct fc_session *s, uint32_t fields)
{
    cr_assert_eq(number(t, "id", row), s->id);
    cr_assert_eq(number(t, "start_ns", row), s->has_time ? s->start_ns : INT64_MIN);
    cr_assert_eq(number(t, "end_ns", row), s->has_time ? s->end_ns : INT64_MIN);
    cr_assert_eq(number(t, "duration_ns", row), s->has_time ? s->end_ns - s->start_ns : -1);
    cr_assert_eq(number(t, "proto", row), (int32_t)s->proto);
    cr_assert_eq(number(t, "kind", row), s->kind);
    check_addr(cell(t, "client_addr", row), s->kind, s->client_addr);
    check_addr(cell(t, "server_addr", row), s->kind, s->server_addr);
    cr_assert_eq(number(t, "client_port", row), s->client_port);
    cr_assert_eq(number(t, "server_port", row), s->server_port);
    cr_assert_eq(number(t, "client_packets", row), (int64_t)s->client_packets);
    cr_assert_eq(number(t, "server_packets", row), (int64_t)s->server_packets);
    cr_assert_eq(number(t, "client_bytes", row), (int64_t)s->client_bytes);
    cr_assert_eq(number(t, "server_bytes", row), (int64_t)s->server_bytes);
    cr_assert_eq(number(t, "state", row), s->state);
#define TEXT(column, FIELD, ...)                                                                                       \
    if (fields & FC_FIELD_##FIELD)                                                                                     \
        check_text(cell(t, #column, row), fc_column_info((unsigned)fc_column_find(#column))->size, s->column);
#define ADDRESS(column, FIELD, ...)                                                                                    \
    if (fields & FC_FIELD_##FIELD) {                                                                                   \
        static const uint8_t none[6];                                                                                  \
        cr_assert_arr_eq(cell(t, "client_" #column, row), s->client_##column ? s->client_##column : none, 6);          \
        cr_assert_arr_eq(cell(t, "server_" #column, row), s->server_##column ? s->server_##column : none, 6);          \
    }
#define NUMBER(column, FIELD, ...)                                                                                     \
    if (fields & FC_FIELD_##FIELD) {                                                                                   \
        cr_assert_eq(number(t, "client_" #column, row), s->client_##column);                                           \
        cr_assert_eq(number(t, "server_" #column, row), s->server_##column);                                           \
    }
    FC_FIELD_COLUMNS(TEXT, ADDRESS, NUMBER)
}

/* All rows, `room` at a time, against those of a query. */
static size_t check(struct fc_db *db, const char *words, const struct fc_query_options *o, size_t room, uint32_t fields)
{
    struct fc_filter *filter = NULL;
    struct fc_columns *columns;
    struct fc_query *query;
    struct fc_session s;
    struct fc_error err = {0};
    struct table t;
    int64_t got;
    size_t rows = 0;

    make(&t, room, fields);
    cr_assert_eq(fc_filter_parse(words, NOW, &filter, NULL), 0);
    cr_assert_eq(fc_columns_open(db, filter, o, &columns, &err), 0, "%s", err.cause);
    cr_assert_eq(fc_query_open(db, filter, o, &query, NULL), 0);
    cr_assert_eq(fc_columns_fields(columns), fc_query_fields(query));
    while ((got = fc_columns_next(columns, t.column, t.count, room, &err)) > 0)
        for (size_t i = 0; i < (size_t)got; i++, rows++) {
            cr_assert_eq(fc_query_next(query, &s, NULL), 1, "a row too many: %zu", rows);
            check_row(&t, i, &s, fields);
        }
    cr_assert_eq(got, 0, "%s", err.cause);
    cr_assert_eq(fc_query_next(query, &s, NULL), 0, "a row is missing behind %zu", rows);
    cr_assert_eq(fc_columns_next(columns, t.column, t.count, room, &err), 0); /* stays at the end */
    fc_columns_close(columns);
    fc_query_close(query);
    fc_filter_free(filter);
    drop(&t);
    return rows;
}

Test(columns, are_what_a_query_gives)
{
    static const size_t rooms[] = {1, 7, 100, 5000};
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 1500, ALL_FIELDS);
    const struct fc_query_options sorted = {.sort = "bytes:desc", .limit = 900}, few = {.limit = 13},
                                  by_id = {.sort = "id:desc"}, behind = {.offset = 1400},
                                  community = {.community_id = true};

    for (unsigned i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        cr_assert_eq(check(index->db, NULL, NULL, rooms[i], 0), 1500); /* by the pages of the table */
        cr_assert_eq(check(index->db, NULL, NULL, rooms[i], ALL_FIELDS), 1500);
        cr_assert_eq(check(index->db, NULL, &few, rooms[i], 0), 13);
        cr_assert_eq(check(index->db, NULL, &sorted, rooms[i], 0), 900);
        cr_assert_eq(check(index->db, NULL, &by_id, rooms[i], 0), 1500);
        cr_assert_eq(check(index->db, NULL, &behind, rooms[i], 0), 100);
        cr_assert_gt(check(index->db, "port 80", NULL, rooms[i], ALL_FIELDS), 10);
    }
    cr_assert_eq(check(index->db, NULL, &community, 100, ALL_FIELDS), 1500);
    test_index_free(index);
    index = test_index_new(&state, 300, 0);
    cr_assert_eq(check(index->db, NULL, NULL, 64, ALL_FIELDS), 300); /* which this index does not have */
    cr_assert_eq(check(index->db, NULL, &community, 64, ALL_FIELDS), 300);
    test_index_free(index);
}

Test(columns, may_change_from_call_to_call)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 400, ALL_FIELDS);
    struct fc_columns *columns;
    struct table few, all;
    int64_t before = INT64_MIN, rows = 0, got;

    make(&few, 30, 0);
    make(&all, 30, ALL_FIELDS);
    cr_assert_eq(fc_columns_open(index->db, NULL, NULL, &columns, NULL), 0);
    for (unsigned call = 0;; call++) { /* behind two pages of the table the fields take a query */
        struct table *t = call == 2 || call == 3 ? &all : &few;
        if ((got = fc_columns_next(columns, t->column, t->count, 30, NULL)) <= 0)
            break;
        for (size_t i = 0; i < (size_t)got; i++, rows++) {
            cr_assert_gt(number(t, "id", i), before);
            before = number(t, "id", i);
        }
    }
    cr_assert_eq(got, 0);
    cr_assert_eq(rows, 400);
    fc_columns_close(columns);
    drop(&few);
    drop(&all);
    test_index_free(index);
}

Test(columns, go_on_while_the_index_changes_its_mode)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 200, 0);
    struct fc_columns *columns;
    struct table t;
    sqlite3 *other;
    int64_t rows = 0, got;

    make(&t, 50, 0);
    cr_assert_eq(fc_columns_open(index->db, NULL, NULL, &columns, NULL), 0);
    cr_assert_eq(fc_columns_next(columns, t.column, t.count, 50, NULL), 50);
    cr_assert_eq(sqlite3_open(index->path, &other), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(other, "PRAGMA journal_mode = WAL", NULL, NULL, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(other, "UPDATE session SET state = 3 WHERE id > 100", NULL, NULL, NULL), SQLITE_OK);
    for (rows = 50; (got = fc_columns_next(columns, t.column, t.count, 50, NULL)) > 0; rows += got)
        for (size_t i = 0; i < (size_t)got; i++)
            cr_assert(number(&t, "id", i) <= 100 || number(&t, "state", i) == 3);
    cr_assert_eq(got, 0);
    cr_assert_eq(rows, 200);
    fc_columns_close(columns);
    sqlite3_close(other);
    drop(&t);
    test_index_free(index);
}

Test(columns, of_rows_with_a_stride)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 20, 0);
    struct __attribute__((packed)) row {
        uint8_t pad;
        int64_t id;
        int32_t port;
    } rows[21];
    const struct fc_column to[] = {{(unsigned)fc_column_find("id"), sizeof rows[0], &rows[0].id},
                                   {(unsigned)fc_column_find("client_port"), sizeof rows[0], &rows[0].port}};
    struct fc_columns *columns;

    memset(rows, 0x5a, sizeof rows);
    cr_assert_eq(fc_columns_open(index->db, NULL, NULL, &columns, NULL), 0);
    cr_assert_eq(fc_columns_next(columns, to, 2, 20, NULL), 20);
    for (unsigned i = 0; i < 20; i++) {
        cr_assert_eq(rows[i].id, index->rows[i].s.id);
        cr_assert_eq(rows[i].port, index->rows[i].s.client_port);
        cr_assert_eq(rows[i].pad, 0x5a);
    }
    cr_assert_eq(rows[20].id, 0x5a5a5a5a5a5a5a5a);
    fc_columns_close(columns);
    test_index_free(index);
}

Test(columns, that_there_are_not)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 1, 0);
    struct fc_columns *columns;
    struct fc_error err = {0};
    struct fc_column none = {9999, 8, &none};

    cr_assert_eq(fc_column_find("colour"), -1);
    cr_assert_null(fc_column_info(9999));
    cr_assert_eq(fc_columns_open(index->db, NULL, &(struct fc_query_options){.sort = "colour"}, &columns, &err),
                 FC_E_USAGE);
    cr_assert_eq(fc_columns_open(index->db, NULL, NULL, &columns, NULL), 0);
    cr_assert_eq(fc_columns_next(columns, &none, 1, 1, &err), FC_E_USAGE);
    fc_columns_close(columns);
    fc_columns_close(NULL);
    test_index_free(index);
}
