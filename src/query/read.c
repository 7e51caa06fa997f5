/* SPDX-License-Identifier: MIT */
#include "query/read.h"
#include "store/record.h"

#include <string.h>

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

/* A copy of `size` bytes in *copy, or NULL for NULL; false without memory. */
static bool keep(struct fc_arena *arena, const void *bytes, size_t size, const void **copy)
{
    void *kept = bytes ? fc_arena_alloc(arena, size) : NULL;

    if (kept)
        memcpy(kept, bytes, size);
    *copy = kept;
    return kept || !bytes;
}

static bool keep_text(struct fc_arena *arena, sqlite3_stmt *stmt, int column, const char **copy)
{
    bool text = sqlite3_column_type(stmt, column) == SQLITE_TEXT;
    const void *bytes = text ? sqlite3_column_text(stmt, column) : NULL, *kept;
    bool ok = (bytes || !text) && keep(arena, bytes, (size_t)sqlite3_column_bytes(stmt, column) + 1, &kept);

    *copy = ok ? kept : NULL;
    return ok;
}

static bool keep_mac(struct fc_arena *arena, sqlite3_stmt *stmt, int column, const uint8_t **copy)
{
    const void *kept;
    bool ok = keep(arena, read_blob(stmt, column, 6), 6, &kept);

    *copy = kept;
    return ok;
}

static void read_numbers(sqlite3_stmt *stmt, struct fc_session *row)
{
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
}

static bool read_fields(sqlite3_stmt *stmt, struct fc_arena *arena, struct fc_session *row)
{
    read_numbers(stmt, row);
    return keep_text(arena, stmt, COL_VLAN, &row->vlan) && keep_text(arena, stmt, COL_MPLS, &row->mpls) &&
           keep_text(arena, stmt, COL_TUNNEL, &row->tunnel) && keep_mac(arena, stmt, COL_MAC, &row->client_mac) &&
           keep_mac(arena, stmt, COL_MAC + 1, &row->server_mac) &&
           (sqlite3_column_bytes(stmt, COL_COMMUNITY_ID) != FC_COMMUNITY_ID_SIZE - 1 ||
            keep_text(arena, stmt, COL_COMMUNITY_ID, &row->community_id));
}

static bool compute_community_id(sqlite3_stmt *stmt, struct fc_arena *arena, struct fc_session *row)
{
    char text[FC_COMMUNITY_ID_SIZE];
    const void *kept = NULL;
    struct fc_flow_key key = {.addr_kind = (uint8_t)row->kind, .proto = row->proto};

    memcpy(key.addr[0], row->client_addr, sizeof key.addr[0]);
    memcpy(key.addr[1], row->server_addr, sizeof key.addr[1]);
    key.port[0] = (uint16_t)(row->client_port < 0 ? 0 : row->client_port);
    key.port[1] = (uint16_t)(row->server_port < 0 ? 0 : row->server_port);
    key.one_way = read_number(stmt, COL_FLAGS, INT64_MAX, 0) & FC_ROW_ONE_WAY;
    bool ok = !fc_community_id(&key, text) || keep(arena, text, sizeof text, &kept);
    row->community_id = kept;
    return ok;
}

int fc_read_session(sqlite3_stmt *stmt, bool fields, bool community_id, struct fc_arena *arena, struct fc_session *row)
{
    memset(row, 0, sizeof *row);
    row->client_ttl = row->server_ttl = row->client_dscp = row->server_dscp = -1;
    row->client_tcp_flags = row->server_tcp_flags = row->client_isn = row->server_isn = -1;
    row->client_payload = row->server_payload = -1;
    read_session(stmt, row);
    bool ok = (!fields || read_fields(stmt, arena, row)) && (!community_id || compute_community_id(stmt, arena, row));
    return ok ? 0 : FC_E_NOMEM;
}
