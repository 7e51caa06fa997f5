/* SPDX-License-Identifier: MIT */
#include "query/community.h"

#include <flowcarve/decode.h>
#include <string.h>

/* Arguments of the function. */
enum { PROTO, KIND, CLIENT_ADDR, CLIENT_PORT, SERVER_ADDR, SERVER_PORT, ONE_WAY, ARGUMENTS };

static bool read_addr(sqlite3_value *value, int kind, uint8_t addr[16])
{
    if (kind == FC_ADDR_IPV4) {
        uint32_t number = (uint32_t)sqlite3_value_int64(value);
        for (int i = 0; i < 4; i++)
            addr[i] = (uint8_t)(number >> (24 - 8 * i));
        return sqlite3_value_type(value) == SQLITE_INTEGER;
    }
    if (kind != FC_ADDR_IPV6 || sqlite3_value_type(value) != SQLITE_BLOB || sqlite3_value_bytes(value) != 16)
        return false;
    memcpy(addr, sqlite3_value_blob(value), 16);
    return true;
}

static void community_id(sqlite3_context *context, int count, sqlite3_value **arg)
{
    int kind = sqlite3_value_int(arg[KIND]);
    struct fc_flow_key key = {.addr_kind = (uint8_t)kind, .proto = (uint32_t)sqlite3_value_int64(arg[PROTO])};
    char text[FC_COMMUNITY_ID_SIZE];

    (void)count;
    key.port[0] = (uint16_t)sqlite3_value_int(arg[CLIENT_PORT]);
    key.port[1] = (uint16_t)sqlite3_value_int(arg[SERVER_PORT]);
    key.one_way = sqlite3_value_int(arg[ONE_WAY]) != 0;
    if (read_addr(arg[CLIENT_ADDR], kind, key.addr[0]) && read_addr(arg[SERVER_ADDR], kind, key.addr[1]) &&
        fc_community_id(&key, text))
        sqlite3_result_text(context, text, FC_COMMUNITY_ID_SIZE - 1, SQLITE_TRANSIENT);
}

int fc_community_register(sqlite3 *sql)
{
    return sqlite3_create_function(sql, "fc_community_id", ARGUMENTS,
                                   SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL, community_id, NULL,
                                   NULL);
}
