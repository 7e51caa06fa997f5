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
    COL_FIELDS /* and what follows */
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

/* size: bytes that it must have, 0: any. */
static bool keep_text(struct fc_arena *arena, sqlite3_stmt *stmt, int column, int size, const char **copy)
{
    bool text =
        sqlite3_column_type(stmt, column) == SQLITE_TEXT && (!size || sqlite3_column_bytes(stmt, column) == size);
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

static bool read_fields(sqlite3_stmt *stmt, struct fc_arena *arena, struct fc_session *row)
{
    int at = COL_FIELDS;
    bool ok = true;

#define TEXT(column, FIELD, title, size) ok &= keep_text(arena, stmt, at++, size, &row->column);
#define ADDRESS(column, ...)                                                                                           \
    ok &= keep_mac(arena, stmt, at++, &row->client_##column);                                                          \
    ok &= keep_mac(arena, stmt, at++, &row->server_##column);
#define NUMBER(column, FIELD, title, most, merge)                                                                      \
    row->client_##column = read_number(stmt, at++, most, -1);                                                          \
    row->server_##column = read_number(stmt, at++, most, -1);
    FC_FIELD_COLUMNS(TEXT, ADDRESS, NUMBER)
    return ok;
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
#define NO_NUMBER(column, ...) row->client_##column = row->server_##column = -1;
    FC_FIELD_COLUMNS(FC_FIELD_SKIP, FC_FIELD_SKIP, NO_NUMBER)
    read_session(stmt, row);
    bool ok = (!fields || read_fields(stmt, arena, row)) && (!community_id || compute_community_id(stmt, arena, row));
    return ok ? 0 : FC_E_NOMEM;
}
