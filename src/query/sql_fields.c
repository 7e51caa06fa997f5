/* SPDX-License-Identifier: MIT */
/* Conditions about numbers of a session, and about its optional fields. */
#include "query/sql.h"

#include <stdio.h>
#include <string.h>

/* A number between two, of which one may be out of reach. */
static void write_bounds(struct fc_sql *sql, const char *number, int64_t lo, int64_t hi)
{
    if (lo != INT64_MIN)
        fc_sql_bind_number(sql, lo);
    if (hi != INT64_MAX && hi != lo)
        fc_sql_bind_number(sql, hi);
    fc_sql_add(sql, "%s %s", number,
               lo == hi          ? "= ?"
               : lo == INT64_MIN ? "<= ?"
               : hi == INT64_MAX ? ">= ?"
                                 : "BETWEEN ? AND ?");
}

/* A measure as `session s` or `session_fields x` has it. */
void fc_sql_measure(struct fc_sql *sql, const struct fc_ast *value)
{
    static const char *const numbers[][3] = {
        [FC_MEASURE_PACKETS] = {"s.client_packets + s.server_packets", "s.client_packets", "s.server_packets"},
        [FC_MEASURE_BYTES] = {"s.client_bytes + s.server_bytes", "s.client_bytes", "s.server_bytes"},
        [FC_MEASURE_DURATION] = {"s.duration_ns"},
        [FC_MEASURE_PAYLOAD] = {"coalesce(x.client_payload + x.server_payload, x.client_payload, x.server_payload)",
                                "x.client_payload", "x.server_payload"},
        [FC_MEASURE_TTL] = {NULL, "x.client_ttl", "x.server_ttl"},
    };
    bool ttl = value->measure == FC_MEASURE_TTL, both = ttl && value->ends == FC_ENDS_BOTH;

    fc_sql_add(sql, "(");
    if (ttl && (both || value->ends == FC_ENDS_EITHER)) {
        write_bounds(sql, numbers[value->measure][FC_ENDS_SRC], value->lo, value->hi);
        fc_sql_add(sql, both ? " AND " : " OR ");
        write_bounds(sql, numbers[value->measure][FC_ENDS_DST], value->lo, value->hi);
    } else {
        write_bounds(sql, numbers[value->measure][value->ends], value->lo, value->hi);
    }
    fc_sql_add(sql, ")");
}

/* TCP flags of one direction, of each, or of both together. */
static void write_flags(struct fc_sql *sql, const struct fc_ast *value)
{
    static const char *const seen[] = {
        [FC_ENDS_EITHER] = "(coalesce(x.client_tcp_flags, 0) | coalesce(x.server_tcp_flags, 0))",
        [FC_ENDS_SRC] = "x.client_tcp_flags",
        [FC_ENDS_DST] = "x.server_tcp_flags",
        [FC_ENDS_BOTH] = "(x.client_tcp_flags & x.server_tcp_flags)",
    };

    fc_sql_bind_number(sql, value->lo);
    fc_sql_bind_number(sql, value->lo);
    fc_sql_add(sql, "(%s & ?) = ?", seen[value->ends]);
}

static bool is_of_fields(const struct fc_ast *value)
{
    if (value->type == FC_AST_FLAGS)
        return true;
    return value->type == FC_AST_MEASURE && (value->measure == FC_MEASURE_PAYLOAD || value->measure == FC_MEASURE_TTL);
}

bool fc_sql_has_fields(const struct fc_sql *sql, const struct fc_plan *leaf)
{
    enum fc_ast_type type = leaf->value[0]->type;

    return type == FC_AST_VLAN || type == FC_AST_MPLS || type == FC_AST_TUNNEL || is_of_fields(leaf->value[0]) ||
           (type == FC_AST_MAC && (sql->fields & FC_FIELD_MAC)) ||
           (type == FC_AST_COMMUNITY_ID && (sql->fields & FC_FIELD_COMMUNITY_ID));
}

/* An encapsulation of one kind, whose id is what the text has behind a colon: '/' stands around each of a stack. */
static void write_tunnel(struct fc_sql *sql, const struct fc_ast *value)
{
    struct fc_tunnel tunnel = {.kind = (uint32_t)value->lo, .id = (uint32_t)value->hi};
    char text[FC_TUNNEL_TEXT];
    const char *id;

    if (value->hi >= 0) {
        text[0] = '/';
        size_t len = 1 + fc_tunnel_text(&tunnel, 1, text + 1, sizeof text - 2);
        text[len++] = '/';
        fc_sql_bind_bytes(sql, FC_BIND_TEXT, text, len);
        fc_sql_add(sql, "instr('/' || x.tunnel || '/', ?)");
        return;
    }
    for (int i = 0; i < 2; i++) {
        int len = snprintf(text, sizeof text, "/%s%c", fc_tunnel_name((unsigned)value->lo, &id), i ? ':' : '/');
        fc_sql_bind_bytes(sql, FC_BIND_TEXT, text, (size_t)len);
    }
    fc_sql_add(sql, "(instr('/' || x.tunnel || '/', ?) OR instr('/' || x.tunnel, ?))");
}

void fc_sql_fields_condition(struct fc_sql *sql, const struct fc_plan *leaf)
{
    const struct fc_ast *value = leaf->value[0];
    const char *column = value->type == FC_AST_VLAN ? "vlan" : value->type == FC_AST_MPLS ? "mpls" : "tunnel";

    if (value->type == FC_AST_COMMUNITY_ID) {
        fc_sql_list(sql, leaf, "x.community_id");
        return;
    }
    if (value->type == FC_AST_FLAGS) {
        write_flags(sql, value);
        return;
    }
    if (value->type == FC_AST_MEASURE) {
        fc_sql_measure(sql, value);
        return;
    }
    if (value->type != FC_AST_MAC && value->lo < 0) {
        fc_sql_add(sql, "x.%s IS NOT NULL", column);
        return;
    }
    if (value->type == FC_AST_TUNNEL) {
        write_tunnel(sql, value);
        return;
    }
    if (value->type != FC_AST_MAC) {
        char text[16];

        snprintf(text, sizeof text, ",%d,", (int)value->lo);
        fc_sql_bind_bytes(sql, FC_BIND_TEXT, text, strlen(text));
        fc_sql_add(sql, "instr(',' || x.%s || ',', ?)", column);
        return;
    }
    fc_sql_add(sql, "(");
    if (value->ends != FC_ENDS_DST)
        fc_sql_list(sql, leaf, "x.client_mac");
    if (value->ends == FC_ENDS_EITHER || value->ends == FC_ENDS_BOTH)
        fc_sql_add(sql, "%s", value->ends == FC_ENDS_BOTH ? " AND " : " OR ");
    if (value->ends != FC_ENDS_SRC)
        fc_sql_list(sql, leaf, "x.server_mac");
    fc_sql_add(sql, ")");
}
