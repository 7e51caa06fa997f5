/* SPDX-License-Identifier: MIT */
#include "store/record.h"
#include "base/bytes.h"
#include "store/stmt.h"

int fc_session_record_compare(const struct fc_session_record *a, const struct fc_session_record *b)
{
    /* 0, for a new one, comes behind all others */
    uint64_t x = (uint64_t)a->db_id - 1, y = (uint64_t)b->db_id - 1;

    if (x != y)
        return x < y ? -1 : 1;
    if (a->session.first_ns != b->session.first_ns)
        return a->session.first_ns < b->session.first_ns ? -1 : 1;
    if (a->late != b->late)
        return a->late ? 1 : -1;
    if (a->first_file != b->first_file)
        return a->first_file < b->first_file ? -1 : 1;
    return a->first_off < b->first_off ? -1 : a->first_off > b->first_off;
}

static int addr_from_value(sqlite3_value *value, int kind, uint8_t addr[16])
{
    int want = kind == FC_ADDR_IPV6 ? 16 : 6, type = sqlite3_value_type(value);

    memset(addr, 0, 16);
    if (kind == FC_ADDR_NONE)
        return type == SQLITE_NULL ? 0 : FC_E_DAMAGED;
    if (kind == FC_ADDR_IPV4) {
        int64_t v = sqlite3_value_int64(value);
        if (type != SQLITE_INTEGER || v < 0 || v > UINT32_MAX)
            return FC_E_DAMAGED;
        for (int i = 0; i < 4; i++)
            addr[i] = (uint8_t)(v >> (24 - 8 * i));
        return 0;
    }
    if ((kind != FC_ADDR_IPV6 && kind != FC_ADDR_MAC) || type != SQLITE_BLOB || sqlite3_value_bytes(value) != want)
        return FC_E_DAMAGED;
    memcpy(addr, sqlite3_value_blob(value), (size_t)want);
    return 0;
}

static int port_from_value(sqlite3_value *value, uint16_t *port)
{
    int64_t v = sqlite3_value_int64(value); /* 0 for NULL */

    if (v < 0 || v > UINT16_MAX)
        return FC_E_DAMAGED;
    *port = (uint16_t)v;
    return 0;
}

int fc_key_from_row(sqlite3_stmt *stmt, int col, struct fc_flow_key *key, int *client)
{
    uint8_t addr[2][16];
    uint16_t port[2];
    int64_t proto = sqlite3_column_int64(stmt, col);
    int kind = sqlite3_column_int(stmt, col + 1);

    memset(key, 0, sizeof *key);
    if (proto < 0 || proto > FC_PROTO_MALFORMED)
        return FC_E_DAMAGED;
    for (int i = 0; i < 2; i++)
        if (addr_from_value(sqlite3_column_value(stmt, col + 2 + 2 * i), kind, addr[i]) ||
            port_from_value(sqlite3_column_value(stmt, col + 3 + 2 * i), &port[i]))
            return FC_E_DAMAGED;
    int order = memcmp(addr[0], addr[1], 16);
    key->one_way = sqlite3_column_int(stmt, col + 6) & FC_ROW_ONE_WAY;
    *client = !key->one_way && (order > 0 || (order == 0 && port[0] > port[1]));
    for (int i = 0; i < 2; i++) {
        memcpy(key->addr[i], addr[i ^ *client], 16);
        key->port[i] = port[i ^ *client];
    }
    key->addr_kind = (uint32_t)kind & 7;
    key->proto = (uint32_t)proto & 0xffffff;
    key->domain = (uint64_t)sqlite3_column_int64(stmt, col + 7);
    return 0;
}

void fc_bind_addr(struct fc_stmt *stmt, int index, const struct fc_flow_key *key, int endpoint)
{
    const uint8_t *addr = key->addr[endpoint];

    switch (key->addr_kind) {
    case FC_ADDR_IPV4:
        fc_stmt_int(stmt, index, fc_load32(addr, true));
        break;
    case FC_ADDR_IPV6:
        fc_stmt_blob(stmt, index, addr, 16);
        break;
    case FC_ADDR_MAC:
        fc_stmt_blob(stmt, index, addr, 6);
        break;
    default:
        fc_stmt_null(stmt, index);
    }
}
