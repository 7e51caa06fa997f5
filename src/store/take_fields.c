/* SPDX-License-Identifier: MIT */
/* Optional fields of a session on the way back from its row. */
#include "base/error.h"
#include "store/writer_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    COL_VLAN = 8,
    COL_MPLS,
    COL_TUNNEL,
    COL_MAC,
    COL_TTL = 13,
    COL_DSCP = 15,
    COL_FLAGS = 17,
    COL_ISN = 19,
    COL_PAYLOAD = 21
};

/* Numbers with commas between them, at most `most`; returns how many. */
static uint8_t read_numbers(const char *text, uint32_t *numbers, unsigned most)
{
    uint8_t count = 0;
    char *end;

    for (; text && *text && count < most; text = *end == ',' ? end + 1 : end) {
        numbers[count] = (uint32_t)strtoul(text, &end, 10);
        if (end == text)
            break;
        count++;
    }
    return count;
}

/* One encapsulation as fc_tunnel_text() writes it; returns the byte behind. */
static const char *read_tunnel(const char *text, struct fc_tunnel *tunnel)
{
    size_t len = strcspn(text, "/"), name_len = strcspn(text, ":/");
    const char *name, *id;
    char *end;

    memset(tunnel, 0, sizeof *tunnel);
    for (unsigned kind = 1; (name = fc_tunnel_name(kind, &id)); kind++)
        if (strlen(name) == name_len && memcmp(name, text, name_len) == 0 && !id == (text[name_len] != ':'))
            tunnel->kind = kind;
    if (text[name_len] == ':') {
        tunnel->id = (uint32_t)strtoul(text + name_len + 1, &end, 10);
        if (*end == '.')
            tunnel->id = tunnel->id << 16 | ((uint32_t)strtoul(end + 1, &end, 10) & 0xffff);
    }
    return text + len + (text[len] == '/');
}

static void read_lists(sqlite3_stmt *stmt, struct fc_extra *x)
{
    const char *tunnel = (const char *)sqlite3_column_text(stmt, COL_TUNNEL);
    uint32_t vlan[FC_VLAN_MAX];

    x->vlan_count = read_numbers((const char *)sqlite3_column_text(stmt, COL_VLAN), vlan, FC_VLAN_MAX);
    for (unsigned i = 0; i < x->vlan_count; i++)
        x->vlan[i] = (uint16_t)vlan[i];
    x->mpls_count = read_numbers((const char *)sqlite3_column_text(stmt, COL_MPLS), x->mpls, FC_MPLS_MAX);
    while (tunnel && *tunnel && x->tunnel_count < FC_TUNNEL_MAX)
        tunnel = read_tunnel(tunnel, &x->tunnel[x->tunnel_count++]);
}

/* A number of one end; false when there is none. */
static bool has(sqlite3_stmt *stmt, int col, int64_t *v)
{
    *v = sqlite3_column_int64(stmt, col);
    return sqlite3_column_type(stmt, col) != SQLITE_NULL;
}

/* Of the client for i = 0, else of the server. */
static void read_end(sqlite3_stmt *stmt, int i, int d, struct fc_extra *x)
{
    uint8_t bit = (uint8_t)(1 << d);
    int64_t v;

    if (sqlite3_column_bytes(stmt, COL_MAC + i) == 6) {
        memcpy(x->mac[d], sqlite3_column_blob(stmt, COL_MAC + i), 6);
        x->has_mac |= bit;
    }
    if (has(stmt, COL_TTL + i, &v)) {
        x->ttl[d] = (uint8_t)v;
        x->has_ttl |= bit;
    }
    if (has(stmt, COL_DSCP + i, &v)) {
        x->dscp[d] = (uint8_t)v;
        x->has_dscp |= bit;
    }
    if (has(stmt, COL_FLAGS + i, &v)) {
        x->tcp_flags[d] = (uint8_t)v;
        x->has_flags |= bit;
    }
    if (has(stmt, COL_ISN + i, &v)) {
        x->isn[d] = (uint32_t)v;
        x->has_isn |= bit;
    }
    if (has(stmt, COL_PAYLOAD + i, &v)) {
        x->payload_bytes[d] = (uint64_t)v;
        x->has_payload |= bit;
    }
}

int fc_writer_take_fields(struct fc_writer *w, int64_t id, struct fc_extra *extra, struct fc_error *err)
{
    sqlite3_stmt *stmt =
        fc_writer_stmt(w, FC_STMT_TAKE_FIELDS,
                       "SELECT " FC_KEY_COLUMNS ", vlan, mpls, tunnel, client_mac, server_mac, client_ttl, server_ttl,"
                       " client_dscp, server_dscp, client_tcp_flags, server_tcp_flags, client_isn, server_isn,"
                       " client_payload, server_payload"
                       " FROM session s JOIN session_fields f ON f.id = s.id WHERE s.id = ?");
    struct fc_extra before = {0};
    struct fc_flow_key key;
    int client, rc = 0, step;

    if (!stmt)
        return fc_writer_error(w, err, "cannot read the index");
    sqlite3_bind_int64(stmt, 1, id);
    step = sqlite3_step(stmt);
    if (step == SQLITE_ROW && fc_key_from_row(stmt, 0, &key, &client) == 0) {
        read_lists(stmt, &before);
        for (int i = 0; i < 2; i++)
            read_end(stmt, i, client ^ i, &before);
        fc_extra_fold(&before, extra);
        *extra = before;
    } else if (step != SQLITE_DONE) {
        rc = fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET, "session %lld is damaged", (long long)id);
    }
    sqlite3_reset(stmt);
    return rc ? rc : fc_writer_drop_fields(w, id, err);
}
