/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "query/fields.h"
#include "query/filter.h"
#include "store/db.h"
#include "store/record.h"

#include <flowcarve/decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fc_query {
    struct fc_db *db;
    sqlite3_stmt *stmt;
    uint32_t fields;   /* of the index */
    bool community_id; /* is computed */
    bool done;
    char text[FC_COMMUNITY_ID_SIZE];
};

/* Columns of the statement. */
enum {
    COL_ID,
    COL_START,
    COL_DURATION,
    COL_PROTO,
    COL_KIND,
    COL_CLIENT_ADDR,
    COL_CLIENT_PORT,
    COL_SERVER_ADDR,
    COL_SERVER_PORT,
    COL_PACKETS, /* client, server, so the following */
    COL_BYTES = COL_PACKETS + 2,
    COL_STATE = COL_BYTES + 2,
    COL_FLAGS,
    COL_VLAN,
    COL_MPLS,
    COL_TUNNEL,
    COL_MAC,
    COL_TTL = COL_MAC + 2,
    COL_DSCP = COL_TTL + 2,
    COL_TCP_FLAGS = COL_DSCP + 2,
    COL_ISN = COL_TCP_FLAGS + 2,
    COL_PAYLOAD = COL_ISN + 2,
    COL_COMMUNITY_ID = COL_PAYLOAD + 2
};

#define SELECT_BASE                                                                                                    \
    "SELECT s.id, s.start_ns, s.duration_ns, s.proto, s.kind, s.client_addr, s.client_port, s.server_addr, "           \
    "s.server_port, s.client_packets, s.server_packets, s.client_bytes, s.server_bytes, s.state, s.flags"
#define SELECT_FIELDS                                                                                                  \
    ", f.vlan, f.mpls, f.tunnel, f.client_mac, f.server_mac, f.client_ttl, f.server_ttl, f.client_dscp, "              \
    "f.server_dscp, "                                                                                                  \
    "f.client_tcp_flags, f.server_tcp_flags, f.client_isn, f.server_isn, f.client_payload, f.server_payload, "         \
    "f.community_id"
#define FROM_BASE " FROM session s"
#define FROM_FIELDS FROM_BASE " LEFT JOIN session_fields f ON f.id = s.id"

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
    {"bytes", "s.client_bytes + s.server_bytes", 0},
    {"vlan", "f.vlan", FC_FIELD_VLAN},
    {"mpls", "f.mpls", FC_FIELD_MPLS},
    {"tunnel", "f.tunnel", FC_FIELD_TUNNEL},
    {"client_mac", "f.client_mac", FC_FIELD_MAC},
    {"server_mac", "f.server_mac", FC_FIELD_MAC},
    {"client_ttl", "f.client_ttl", FC_FIELD_TTL},
    {"server_ttl", "f.server_ttl", FC_FIELD_TTL},
    {"client_dscp", "f.client_dscp", FC_FIELD_DSCP},
    {"server_dscp", "f.server_dscp", FC_FIELD_DSCP},
    {"client_tcp_flags", "f.client_tcp_flags", FC_FIELD_TCP_FLAGS},
    {"server_tcp_flags", "f.server_tcp_flags", FC_FIELD_TCP_FLAGS},
    {"client_isn", "f.client_isn", FC_FIELD_ISN},
    {"server_isn", "f.server_isn", FC_FIELD_ISN},
    {"client_payload", "f.client_payload", FC_FIELD_PAYLOAD},
    {"server_payload", "f.server_payload", FC_FIELD_PAYLOAD},
    {"community_id", "f.community_id", FC_FIELD_COMMUNITY_ID},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static int fail_sort(const char *sort, uint32_t fields, struct fc_error *err)
{
    char list[480];
    size_t len = 0;

    for (size_t i = 0; i < COUNT(sort_keys); i++)
        if ((sort_keys[i].field & ~fields) == 0 && len < sizeof list)
            len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len ? ", " : "", sort_keys[i].name);
    return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET,
                        "cannot sort by '%.40s'; KEY[:asc|:desc] with KEY one of %s", sort, list);
}

/* ORDER BY ... LIMIT ... */
static int write_tail(const struct fc_query_options *options, uint32_t fields, char *buf, size_t size,
                      struct fc_error *err)
{
    const char *sort = options && options->sort ? options->sort : "id";
    const char *colon = strchr(sort, ':'), *order = "";
    size_t name_len = colon ? (size_t)(colon - sort) : strlen(sort);
    int64_t limit = options && options->limit > 0 ? options->limit : -1;
    size_t i = 0;

    while (i < COUNT(sort_keys) && (strlen(sort_keys[i].name) != name_len ||
                                    memcmp(sort_keys[i].name, sort, name_len) != 0 || (sort_keys[i].field & ~fields)))
        i++;
    if (i == COUNT(sort_keys) || (colon && strcmp(colon, ":desc") != 0 && strcmp(colon, ":asc") != 0))
        return fail_sort(sort, fields, err);
    if (colon && colon[1] == 'd')
        order = " DESC";
    if (i == 0)
        snprintf(buf, size, "ORDER BY s.id%s LIMIT %lld", order, (long long)limit);
    else
        snprintf(buf, size, "ORDER BY %s%s, s.id LIMIT %lld", sort_keys[i].sql, order, (long long)limit);
    return 0;
}

FC_EXPORT int fc_query_open(struct fc_db *db, const struct fc_filter *filter, const struct fc_query_options *options,
                            struct fc_query **out, struct fc_error *err)
{
    struct fc_query *query;
    uint32_t fields;
    char tail[160];
    int rc = fc_db_fields(db, &fields, err);

    *out = NULL;
    if (rc != 0 || (rc = write_tail(options, fields, tail, sizeof tail, err)) != 0)
        return rc;
    query = calloc(1, sizeof *query);
    if (!query)
        return fc_error_set(err, FC_E_NOMEM, db->path, FC_NO_OFFSET, "out of memory");
    query->db = db;
    query->fields = fields;
    query->community_id = options && options->community_id && !(fields & FC_FIELD_COMMUNITY_ID);
    rc = fc_filter_prepare(filter, db, fields ? SELECT_BASE SELECT_FIELDS FROM_FIELDS : SELECT_BASE FROM_BASE, tail,
                           &query->stmt, err);
    if (rc != 0) {
        free(query);
        return rc;
    }
    *out = query;
    return 0;
}

/* A number of the column within [0, max], or `none` for whatever else is there. */
static int64_t read_number(sqlite3_stmt *stmt, int column, int64_t max, int64_t none)
{
    int64_t value;

    if (sqlite3_column_type(stmt, column) != SQLITE_INTEGER)
        return none;
    value = sqlite3_column_int64(stmt, column);
    return value < 0 || value > max ? none : value;
}

static const uint8_t *read_blob(sqlite3_stmt *stmt, int column, int size)
{
    if (sqlite3_column_type(stmt, column) != SQLITE_BLOB || sqlite3_column_bytes(stmt, column) != size)
        return NULL;
    return sqlite3_column_blob(stmt, column);
}

/* The address as `kind` has it; false when the column holds something else. */
static bool read_address(sqlite3_stmt *stmt, int column, int kind, uint8_t addr[16])
{
    const uint8_t *blob;
    int64_t number;

    switch (kind) {
    case FC_ADDR_IPV4:
        number = read_number(stmt, column, UINT32_MAX, -1);
        for (int i = 0; i < 4; i++)
            addr[i] = (uint8_t)((uint64_t)number >> (24 - 8 * i));
        return number >= 0;
    case FC_ADDR_IPV6:
        blob = read_blob(stmt, column, 16);
        break;
    case FC_ADDR_MAC:
        blob = read_blob(stmt, column, 6);
        break;
    default:
        return false;
    }
    if (blob)
        memcpy(addr, blob, kind == FC_ADDR_IPV6 ? 16 : 6);
    return blob != NULL;
}

static void read_times(sqlite3_stmt *stmt, struct fc_session *row)
{
    if (sqlite3_column_type(stmt, COL_START) != SQLITE_INTEGER ||
        sqlite3_column_type(stmt, COL_DURATION) != SQLITE_INTEGER)
        return;
    row->start_ns = sqlite3_column_int64(stmt, COL_START);
    row->has_time = !__builtin_add_overflow(row->start_ns, sqlite3_column_int64(stmt, COL_DURATION), &row->end_ns) &&
                    row->end_ns >= row->start_ns;
}

static void read_session(sqlite3_stmt *stmt, struct fc_session *row)
{
    read_times(stmt, row);
    row->id = sqlite3_column_int64(stmt, COL_ID);
    row->proto = (uint32_t)read_number(stmt, COL_PROTO, UINT32_MAX, FC_PROTO_MALFORMED);
    row->kind = (int)read_number(stmt, COL_KIND, FC_ADDR_IPV6, FC_ADDR_NONE);
    if (!read_address(stmt, COL_CLIENT_ADDR, row->kind, row->client_addr) ||
        !read_address(stmt, COL_SERVER_ADDR, row->kind, row->server_addr))
        row->kind = FC_ADDR_NONE;
    row->client_port = (int)read_number(stmt, COL_CLIENT_PORT, UINT16_MAX, -1);
    row->server_port = (int)read_number(stmt, COL_SERVER_PORT, UINT16_MAX, -1);
    row->client_packets = (uint64_t)read_number(stmt, COL_PACKETS, INT64_MAX, 0);
    row->server_packets = (uint64_t)read_number(stmt, COL_PACKETS + 1, INT64_MAX, 0);
    row->client_bytes = (uint64_t)read_number(stmt, COL_BYTES, INT64_MAX, 0);
    row->server_bytes = (uint64_t)read_number(stmt, COL_BYTES + 1, INT64_MAX, 0);
    row->state = (int)read_number(stmt, COL_STATE, 4, -1);
}

static const char *read_text(sqlite3_stmt *stmt, int column)
{
    return sqlite3_column_type(stmt, column) == SQLITE_TEXT ? (const char *)sqlite3_column_text(stmt, column) : NULL;
}

static void read_fields(sqlite3_stmt *stmt, struct fc_session *row)
{
    row->vlan = read_text(stmt, COL_VLAN);
    row->mpls = read_text(stmt, COL_MPLS);
    row->tunnel = read_text(stmt, COL_TUNNEL);
    row->client_mac = read_blob(stmt, COL_MAC, 6);
    row->server_mac = read_blob(stmt, COL_MAC + 1, 6);
    row->client_ttl = read_number(stmt, COL_TTL, UINT8_MAX, -1);
    row->server_ttl = read_number(stmt, COL_TTL + 1, UINT8_MAX, -1);
    row->client_dscp = read_number(stmt, COL_DSCP, UINT8_MAX, -1);
    row->server_dscp = read_number(stmt, COL_DSCP + 1, UINT8_MAX, -1);
    row->client_tcp_flags = read_number(stmt, COL_TCP_FLAGS, UINT16_MAX, -1);
    row->server_tcp_flags = read_number(stmt, COL_TCP_FLAGS + 1, UINT16_MAX, -1);
    row->client_isn = read_number(stmt, COL_ISN, UINT32_MAX, -1);
    row->server_isn = read_number(stmt, COL_ISN + 1, UINT32_MAX, -1);
    row->client_payload = read_number(stmt, COL_PAYLOAD, INT64_MAX, -1);
    row->server_payload = read_number(stmt, COL_PAYLOAD + 1, INT64_MAX, -1);
    if (sqlite3_column_bytes(stmt, COL_COMMUNITY_ID) == FC_COMMUNITY_ID_SIZE - 1)
        row->community_id = read_text(stmt, COL_COMMUNITY_ID);
}

static void compute_community_id(struct fc_query *query, struct fc_session *row)
{
    struct fc_flow_key key = {.addr_kind = (uint8_t)row->kind, .proto = row->proto};

    memcpy(key.addr[0], row->client_addr, sizeof key.addr[0]);
    memcpy(key.addr[1], row->server_addr, sizeof key.addr[1]);
    key.port[0] = (uint16_t)(row->client_port < 0 ? 0 : row->client_port);
    key.port[1] = (uint16_t)(row->server_port < 0 ? 0 : row->server_port);
    key.one_way = read_number(query->stmt, COL_FLAGS, INT64_MAX, 0) & FC_ROW_ONE_WAY;
    if (fc_community_id(&key, query->text))
        row->community_id = query->text;
}

FC_EXPORT int fc_query_next(struct fc_query *query, struct fc_session *row, struct fc_error *err)
{
    int rc = query->done ? SQLITE_DONE : sqlite3_step(query->stmt);

    if (rc == SQLITE_DONE) {
        query->done = true;
        return 0;
    }
    if (rc != SQLITE_ROW)
        return fc_db_error(fc_db_sqlite(query->db), query->db->path, err, "cannot read the index");
    memset(row, 0, sizeof *row);
    row->client_ttl = row->server_ttl = row->client_dscp = row->server_dscp = -1;
    row->client_tcp_flags = row->server_tcp_flags = row->client_isn = row->server_isn = -1;
    row->client_payload = row->server_payload = -1;
    read_session(query->stmt, row);
    if (query->fields)
        read_fields(query->stmt, row);
    if (query->community_id)
        compute_community_id(query, row);
    return 1;
}

FC_EXPORT void fc_query_close(struct fc_query *query)
{
    if (!query)
        return;
    sqlite3_finalize(query->stmt);
    free(query);
}

FC_EXPORT uint32_t fc_query_fields(const struct fc_query *query)
{
    return query->fields | (query->community_id ? (uint32_t)FC_FIELD_COMMUNITY_ID : 0);
}

FC_EXPORT int64_t fc_query_count(struct fc_db *db, const struct fc_filter *filter, struct fc_error *err)
{
    sqlite3_stmt *stmt;
    int64_t count = fc_filter_prepare(filter, db, "SELECT count(*)" FROM_BASE, "", &stmt, err);

    if (count != 0)
        return count;
    count = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0)
                                             : fc_db_error(fc_db_sqlite(db), db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return count;
}
