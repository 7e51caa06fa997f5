/* SPDX-License-Identifier: MIT */
/*
 * Two ways to the same rows. All sessions by their IDs come from the pages of the table (store/table_scan.h), each call
 * in a transaction of its own that goes on behind the last ID. Whatever else is asked for comes from a query.
 */
#include "base/error.h"
#include "base/export.h"
#include "query/ast.h"
#include "query/fields.h"
#include "store/db.h"
#include "store/snapshot.h"
#include "store/table_scan.h"

#include <flowcarve/columns.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VLAN_TEXT = 24, MPLS_TEXT = 64 };

#define C(name, CELL, size)                                                                                            \
    {                                                                                                                  \
        name, FC_CELL_##CELL, size, 0                                                                                  \
    }
#define TEXT_SIZE_vlan VLAN_TEXT
#define TEXT_SIZE_mpls MPLS_TEXT
#define TEXT_SIZE_tunnel FC_TUNNEL_TEXT
#define TEXT_SIZE_community_id FC_COMMUNITY_ID_SIZE
#define FIELD_TEXT(column, FIELD, ...) {#column, FC_CELL_TEXT, TEXT_SIZE_##column, FC_FIELD_##FIELD},
#define FIELD_MAC(column, FIELD, ...)                                                                                  \
    {"client_" #column, FC_CELL_MAC, 6, FC_FIELD_##FIELD}, {"server_" #column, FC_CELL_MAC, 6, FC_FIELD_##FIELD},
#define FIELD_NUMBER(column, FIELD, ...)                                                                               \
    {"client_" #column, FC_CELL_NUMBER, 8, FC_FIELD_##FIELD}, {"server_" #column, FC_CELL_NUMBER, 8, FC_FIELD_##FIELD},

static const struct fc_column_info infos[] = {C("id", ID, 8),
                                              C("start_ns", TIME, 8),
                                              C("end_ns", TIME, 8),
                                              C("duration_ns", NUMBER, 8),
                                              C("proto", PROTO, 4),
                                              C("kind", KIND, 1),
                                              C("client_addr", ADDR, 16),
                                              C("client_port", PORT, 4),
                                              C("server_addr", ADDR, 16),
                                              C("server_port", PORT, 4),
                                              C("client_packets", COUNT, 8),
                                              C("server_packets", COUNT, 8),
                                              C("client_bytes", COUNT, 8),
                                              C("server_bytes", COUNT, 8),
                                              C("state", STATE, 1),
                                              FC_FIELD_COLUMNS(FIELD_TEXT, FIELD_MAC, FIELD_NUMBER)};

/* In the order of the list above. */
#define FIELD_ONE(column, ...) AT_##column,
#define FIELD_TWO(column, ...) AT_client_##column, AT_server_##column,
enum {
    AT_ID,
    AT_START,
    AT_END,
    AT_DURATION,
    AT_PROTO,
    AT_KIND,
    AT_CLIENT_ADDR,
    AT_CLIENT_PORT,
    AT_SERVER_ADDR,
    AT_SERVER_PORT,
    AT_CLIENT_PACKETS,
    AT_SERVER_PACKETS,
    AT_CLIENT_BYTES,
    AT_SERVER_BYTES,
    AT_STATE,
    FC_FIELD_COLUMNS(FIELD_ONE, FIELD_TWO, FIELD_TWO) COLUMN_COUNT
};
_Static_assert(COLUMN_COUNT == sizeof infos / sizeof infos[0], "each column has its place");

FC_EXPORT const struct fc_column_info *fc_column_info(unsigned column)
{
    return column < COLUMN_COUNT ? &infos[column] : NULL;
}

FC_EXPORT int fc_column_find(const char *name)
{
    for (int i = 0; i < COLUMN_COUNT; i++)
        if (strcmp(infos[i].name, name) == 0)
            return i;
    return -1;
}

/* ---- writing a row */

static void write_addr(uint8_t *to, int kind, const uint8_t addr[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    if (kind == FC_ADDR_IPV4) {
        memcpy(to, mapped, 12);
        memcpy(to + 12, addr, 4);
    } else if (kind == FC_ADDR_IPV6) {
        memcpy(to, addr, 16);
    } else {
        memset(to, 0, 16);
        if (kind == FC_ADDR_MAC)
            memcpy(to, addr, 6);
    }
}

/* Without a NUL where it is as long as there is room: the column's size says where it ends. */
static void write_text(uint8_t *to, size_t size, const char *text)
{
    size_t len = text ? strnlen(text, size) : 0;

    if (len)
        memcpy(to, text, len);
    memset(to + len, 0, size - len);
}

static void write_mac(uint8_t *to, const uint8_t *mac)
{
    if (mac)
        memcpy(to, mac, 6);
    else
        memset(to, 0, 6);
}

static inline void write_8(uint8_t *to, int64_t value)
{
    memcpy(to, &value, sizeof value);
}

static inline void write_4(uint8_t *to, int32_t value)
{
    memcpy(to, &value, sizeof value);
}

#define CASE_TEXT(column, ...)                                                                                         \
    case AT_##column:                                                                                                  \
        write_text(to, infos[AT_##column].size, s->column);                                                            \
        return;
#define CASE_MAC(column, ...)                                                                                          \
    case AT_client_##column:                                                                                           \
        write_mac(to, s->client_##column);                                                                             \
        return;                                                                                                        \
    case AT_server_##column:                                                                                           \
        write_mac(to, s->server_##column);                                                                             \
        return;
#define CASE_NUMBER(column, ...)                                                                                       \
    case AT_client_##column:                                                                                           \
        write_8(to, s->client_##column);                                                                               \
        return;                                                                                                        \
    case AT_server_##column:                                                                                           \
        write_8(to, s->server_##column);                                                                               \
        return;

static void write_field(uint8_t *to, unsigned column, const struct fc_session *s)
{
    switch (column) {
        FC_FIELD_COLUMNS(CASE_TEXT, CASE_MAC, CASE_NUMBER)
    }
}

static inline void write_cell(uint8_t *to, unsigned column, const struct fc_session *s)
{
    switch (column) {
    case AT_ID:
        write_8(to, s->id);
        break;
    case AT_START:
        write_8(to, s->has_time ? s->start_ns : INT64_MIN);
        break;
    case AT_END:
        write_8(to, s->has_time ? s->end_ns : INT64_MIN);
        break;
    case AT_DURATION: /* of 292 years at the most */
        write_8(to, s->has_time && s->end_ns - (uint64_t)s->start_ns <= INT64_MAX ? s->end_ns - s->start_ns : -1);
        break;
    case AT_PROTO:
        write_4(to, (int32_t)s->proto);
        break;
    case AT_KIND:
        *to = (uint8_t)s->kind;
        break;
    case AT_CLIENT_ADDR:
        write_addr(to, s->kind, s->client_addr);
        break;
    case AT_CLIENT_PORT:
        write_4(to, s->client_port);
        break;
    case AT_SERVER_ADDR:
        write_addr(to, s->kind, s->server_addr);
        break;
    case AT_SERVER_PORT:
        write_4(to, s->server_port);
        break;
    case AT_CLIENT_PACKETS:
        write_8(to, (int64_t)s->client_packets);
        break;
    case AT_SERVER_PACKETS:
        write_8(to, (int64_t)s->server_packets);
        break;
    case AT_CLIENT_BYTES:
        write_8(to, (int64_t)s->client_bytes);
        break;
    case AT_SERVER_BYTES:
        write_8(to, (int64_t)s->server_bytes);
        break;
    case AT_STATE:
        *to = (uint8_t)(int8_t)s->state;
        break;
    default:
        write_field(to, column, s);
    }
}

static void write_row(const struct fc_column *to, size_t count, size_t row, const struct fc_session *s)
{
    for (size_t i = 0; i < count; i++)
        write_cell((uint8_t *)to[i].to + row * to[i].stride, to[i].column, s);
}

/* ---- reading */

struct fc_columns {
    struct fc_db *db;
    struct fc_query *query; /* NULL: the table is scanned */
    uint32_t fields;
    int64_t next; /* scan: from this ID on, */
    int64_t left; /* so many rows at the most */
    bool done;
};

/* Columns of the table. */
enum {
    ID,
    START,
    DURATION,
    PROTO,
    KIND,
    CLIENT,
    CLIENT_PORT,
    SERVER,
    SERVER_PORT,
    PACKETS,
    BYTES = 11,
    STATE = 13,
    SCANNED
};

/* Anything may be in an index: what is no number from 0 to max is `none`. */
static inline int64_t number(const struct fc_scan_value *v, int64_t max, int64_t none)
{
    return v->type == FC_SCAN_INTEGER && v->number >= 0 && v->number <= max ? v->number : none;
}

static inline bool read_addr(const struct fc_scan_value *v, int kind, uint8_t addr[16])
{
    uint32_t size = kind == FC_ADDR_IPV6 ? 16 : kind == FC_ADDR_MAC ? 6 : 0;

    if (kind == FC_ADDR_IPV4) {
        int64_t n = number(v, UINT32_MAX, -1);
        for (int i = 0; i < 4; i++)
            addr[i] = (uint8_t)((uint64_t)n >> (24 - 8 * i));
        return n >= 0;
    }
    if (!size || v->type != FC_SCAN_BLOB || v->len != size)
        return false;
    memcpy(addr, v->bytes, size);
    return true;
}

/* As fc_read_session() takes a row; what it has of fields was set before. */
static inline void read_row(int64_t id, const struct fc_scan_value *v, struct fc_session *s)
{
    s->id = id;
    s->start_ns = v[START].number;
    s->has_time = v[START].type == FC_SCAN_INTEGER && v[DURATION].type == FC_SCAN_INTEGER &&
                  !__builtin_add_overflow(s->start_ns, v[DURATION].number, &s->end_ns) && s->end_ns >= s->start_ns;
    s->proto = (uint32_t)number(&v[PROTO], UINT32_MAX, FC_PROTO_MALFORMED);
    s->kind = (int)number(&v[KIND], FC_ADDR_IPV6, FC_ADDR_NONE);
    if (!read_addr(&v[CLIENT], s->kind, s->client_addr) || !read_addr(&v[SERVER], s->kind, s->server_addr))
        s->kind = FC_ADDR_NONE;
    s->client_port = (int)number(&v[CLIENT_PORT], UINT16_MAX, -1);
    s->server_port = (int)number(&v[SERVER_PORT], UINT16_MAX, -1);
    s->client_packets = (uint64_t)number(&v[PACKETS], INT64_MAX, 0);
    s->server_packets = (uint64_t)number(&v[PACKETS + 1], INT64_MAX, 0);
    s->client_bytes = (uint64_t)number(&v[BYTES], INT64_MAX, 0);
    s->server_bytes = (uint64_t)number(&v[BYTES + 1], INT64_MAX, 0);
    s->state = (int)number(&v[STATE], 4, -1);
}

enum { FULL = 2 }; /* ends a scan: neither a code nor what one gives of its own */

struct page {
    const struct fc_column *to;
    size_t count, room, rows;
    int64_t last;
    struct fc_session session;
};

static int take_row(void *ctx, int64_t id, const struct fc_scan_value *values)
{
    struct page *page = ctx;

    read_row(id, values, &page->session);
    write_row(page->to, page->count, page->rows, &page->session);
    page->last = id;
    return ++page->rows == page->room ? FULL : 0;
}

static int open_query(struct fc_columns *c, const struct fc_filter *filter, const struct fc_query_options *options,
                      struct fc_error *err)
{
    int rc = fc_query_open(c->db, filter, options, &c->query, err);

    if (rc == 0)
        c->fields = fc_query_fields(c->query);
    return rc;
}

/* From the next row on by way of a query, as the pages cannot be read, or do not have all that is asked for. */
static int leave_scan(struct fc_columns *c, struct fc_error *err)
{
    char after[48];
    struct fc_query_options options = {.limit = c->left < INT64_MAX ? c->left : 0};

    if (c->next > INT64_MIN) {
        snprintf(after, sizeof after, "n:%" PRId64 ":%" PRId64, c->next - 1, c->next - 1);
        options.after = after;
    }
    return open_query(c, NULL, &options, err);
}

/* 0, or a code; *no_pages: nothing was read, as it takes a query. */
static int scan_page(struct fc_columns *c, struct page *page, bool *no_pages, struct fc_error *err)
{
    int64_t root = 0;
    int rc = fc_snapshot_begin(c->db, err);

    if (rc)
        return rc;
    rc = fc_table_scan_root(c->db, "session", &root, err);
    *no_pages = rc == 0 && !root;
    if (rc == 0 && root)
        rc = fc_table_scan(c->db, root, SCANNED, (struct fc_scan_range){c->next, INT64_MAX}, take_row, page, err);
    fc_snapshot_end(c->db);
    if (rc == 0 && root)
        c->done = true;
    if (rc == FULL || rc == 0) {
        rc = 0;
        c->left -= (int64_t)page->rows;
        c->done |= c->left == 0 || (page->rows && page->last == INT64_MAX);
        c->next = page->rows && !c->done ? page->last + 1 : c->next;
    }
    return rc;
}

static int64_t query_page(struct fc_columns *c, struct page *page, struct fc_error *err)
{
    int rc = 1;

    while (page->rows < page->room && (rc = fc_query_next(c->query, &page->session, err)) > 0)
        write_row(page->to, page->count, page->rows++, &page->session);
    return rc < 0 ? rc : (int64_t)page->rows;
}

FC_EXPORT int64_t fc_columns_next(struct fc_columns *c, const struct fc_column *to, size_t count, size_t room,
                                  struct fc_error *err)
{
    struct page page = {.to = to, .count = count, .room = room};
    bool no_pages = false;
    int rc = 0;

    for (size_t i = 0; i < count; i++) {
        if (to[i].column >= COLUMN_COUNT)
            return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "there is no column %u", to[i].column);
        no_pages |= (infos[to[i].column].field & c->fields) != 0;
    }
    if (room == 0 || (!c->query && c->done))
        return 0;
    if (!c->query && !no_pages) {
#define NO_NUMBER(column, ...) page.session.client_##column = page.session.server_##column = -1;
        FC_FIELD_COLUMNS(FC_FIELD_SKIP, FC_FIELD_SKIP, NO_NUMBER)
        if (c->left < (int64_t)page.room)
            page.room = (size_t)c->left;
        if ((rc = scan_page(c, &page, &no_pages, err)))
            return rc;
        page.room = room;
    }
    if (!c->query && no_pages && (rc = leave_scan(c, err)))
        return rc;
    return c->query ? query_page(c, &page, err) : (int64_t)page.rows;
}

/* Whether the pages of the table, from front to end, are the answer. */
static bool wants_scan(const struct fc_filter *filter, const struct fc_query_options *o, uint32_t fields)
{
    return (!filter || !filter->root) && (!o || (!o->sort && o->offset <= 0 && !o->after && !o->rest &&
                                                 (!o->community_id || fields & FC_FIELD_COMMUNITY_ID)));
}

FC_EXPORT int fc_columns_open(struct fc_db *db, const struct fc_filter *filter, const struct fc_query_options *options,
                              struct fc_columns **out, struct fc_error *err)
{
    struct fc_columns *c;
    uint32_t fields;
    int rc = fc_db_fields(db, &fields, err);

    *out = NULL;
    if (rc)
        return rc;
    if (!(c = calloc(1, sizeof *c)))
        return fc_error_set(err, FC_E_NOMEM, db->path, FC_NO_OFFSET, "out of memory");
    c->db = db;
    c->fields = fields;
    c->next = INT64_MIN;
    c->left = options && options->limit > 0 ? options->limit : INT64_MAX;
    if (!wants_scan(filter, options, fields) && (rc = open_query(c, filter, options, err))) {
        free(c);
        return rc;
    }
    *out = c;
    return 0;
}

FC_EXPORT uint32_t fc_columns_fields(const struct fc_columns *columns)
{
    return columns->fields;
}

FC_EXPORT void fc_columns_close(struct fc_columns *columns)
{
    if (columns)
        fc_query_close(columns->query);
    free(columns);
}
