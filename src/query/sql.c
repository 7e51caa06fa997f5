/* SPDX-License-Identifier: MIT */
#include "query/sql.h"
#include "query/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SQLite's parser has a stack of 100 and its expressions a depth of 1000; what is deeper is written as CASE. */
enum {
    CHAIN_MAX = 32,   /* operands of one operator before they are grouped by parentheses */
    PLAIN_LEVELS = 3, /* levels at the top that are always written with AND and OR, for the sake of indexes */
    PLAIN_HEIGHT = 8  /* below them, the height up to which a subtree is */
};

static void write_plan(struct fc_sql *sql, const struct fc_plan *plan, bool use_index, unsigned level);

void fc_sql_fini(struct fc_sql *sql)
{
    free(sql->text);
    free(sql->bind);
    sql->text = NULL;
    sql->bind = NULL;
}

void fc_sql_add(struct fc_sql *sql, const char *fmt, ...)
{
    va_list ap;
    int len;

    if (sql->room - sql->len < 256) {
        size_t room = sql->room * 2 + 1024;
        char *text = sql->failed ? NULL : realloc(sql->text, room);
        if (!text) {
            sql->failed = true;
            return;
        }
        sql->text = text;
        sql->room = room;
    }
    va_start(ap, fmt);
    len = vsnprintf(sql->text + sql->len, sql->room - sql->len, fmt, ap);
    va_end(ap);
    sql->len += (size_t)len;
}

static struct fc_filter_bind *new_bind(struct fc_sql *sql)
{
    if (sql->bind_count == sql->bind_room) {
        size_t room = sql->bind_room * 2 + 16;
        struct fc_filter_bind *bind = sql->failed ? NULL : realloc(sql->bind, room * sizeof *bind);
        if (!bind) {
            sql->failed = true;
            return NULL;
        }
        sql->bind = bind;
        sql->bind_room = room;
    }
    memset(&sql->bind[sql->bind_count], 0, sizeof *sql->bind);
    return &sql->bind[sql->bind_count++];
}

static void bind_number(struct fc_sql *sql, int64_t number)
{
    struct fc_filter_bind *bind = new_bind(sql);

    if (bind)
        bind->number = number;
}

static void bind_bytes(struct fc_sql *sql, int type, const void *bytes, size_t len)
{
    struct fc_filter_bind *bind = new_bind(sql);

    if (!bind)
        return;
    bind->type = type;
    bind->len = (uint32_t)len;
    memcpy(bind->bytes, bytes, len);
}

static uint32_t ipv4_number(const uint8_t *addr)
{
    return (uint32_t)addr[0] << 24 | (uint32_t)addr[1] << 16 | (uint32_t)addr[2] << 8 | addr[3];
}

static void bind_address(struct fc_sql *sql, int family, const uint8_t *addr)
{
    if (family == FC_ADDR_IPV4)
        bind_number(sql, ipv4_number(addr));
    else
        bind_bytes(sql, FC_BIND_BLOB, addr, family == FC_ADDR_IPV6 ? 16 : 6);
}

static void bind_value(struct fc_sql *sql, const struct fc_ast *value)
{
    if (value->type == FC_AST_HOST || value->type == FC_AST_MAC)
        bind_address(sql, value->family, value->addr);
    else
        bind_number(sql, value->lo);
}

/* column = ? or column IN (?, ...) */
static void write_list(struct fc_sql *sql, const struct fc_plan *leaf, const char *column)
{
    for (size_t i = 0; i < leaf->value_count; i++)
        bind_value(sql, leaf->value[i]);
    if (leaf->value_count == 1) {
        fc_sql_add(sql, "%s = ?", column);
        return;
    }
    fc_sql_add(sql, "%s IN (?", column);
    for (size_t i = 1; i < leaf->value_count; i++)
        fc_sql_add(sql, ",?");
    fc_sql_add(sql, ")");
}

static void write_between(struct fc_sql *sql, const char *column, int64_t lo, int64_t hi)
{
    bind_number(sql, lo);
    bind_number(sql, hi);
    fc_sql_add(sql, "%s BETWEEN ? AND ?", column);
}

static void write_network(struct fc_sql *sql, const struct fc_ast *net, const char *column)
{
    uint8_t last[16];

    if (!fc_plan_is_range(net)) {
        bind_number(sql, ipv4_number(net->mask));
        bind_number(sql, ipv4_number(net->addr));
        fc_sql_add(sql, "(%s & ?) = ?", column);
        return;
    }
    for (unsigned i = 0; i < sizeof last; i++)
        last[i] = (uint8_t)(net->addr[i] | ~net->mask[i]);
    bind_address(sql, net->family, net->addr);
    bind_address(sql, net->family, last);
    fc_sql_add(sql, "%s BETWEEN ? AND ?", column);
}

/* The condition at one end of the session for the leaf's value `i` (for all values where they are a list). */
static void write_end(struct fc_sql *sql, const struct fc_plan *leaf, size_t i, bool server, bool use_index)
{
    const struct fc_ast *value = leaf->value[i];
    char column[24];

    snprintf(column, sizeof column, "%ss.%s_%s", use_index ? "" : "+", server ? "server" : "client",
             value->type == FC_AST_PORT ? "port" : "addr");
    if (value->type == FC_AST_NET)
        write_network(sql, value, column);
    else if (value->type == FC_AST_PORT && value->lo != value->hi)
        write_between(sql, column, value->lo, value->hi);
    else
        write_list(sql, leaf, column);
}

static bool has_ends(const struct fc_ast *value)
{
    return value->type == FC_AST_HOST || value->type == FC_AST_NET || value->type == FC_AST_MAC ||
           value->type == FC_AST_PORT;
}

size_t fc_sql_ranges(const struct fc_plan *leaf)
{
    const struct fc_ast *value = leaf->value[0];
    size_t ends = has_ends(value) && value->ends == FC_ENDS_EITHER ? 2 : 1;

    return value->type == FC_AST_NET ? ends * leaf->value_count : ends;
}

void fc_sql_range(struct fc_sql *sql, const struct fc_plan *leaf, size_t number, bool use_index)
{
    const struct fc_ast *value = leaf->value[0];
    bool server = value->ends == FC_ENDS_EITHER ? number & 1 : value->ends == FC_ENDS_DST;
    size_t i = value->type != FC_AST_NET ? 0 : value->ends == FC_ENDS_EITHER ? number / 2 : number;
    const char *plus = use_index ? "" : "+";
    char column[16];

    if (has_ends(value)) {
        write_end(sql, leaf, i, server, use_index);
        return;
    }
    snprintf(column, sizeof column, "%ss.%s", plus, value->type == FC_AST_ID ? "id" : "start_ns");
    if (value->type == FC_AST_BEFORE) {
        bind_number(sql, value->lo);
        fc_sql_add(sql, "%s < ?", column);
    } else if (value->lo != value->hi) {
        write_between(sql, column, value->lo, value->hi);
    } else {
        write_list(sql, leaf, column);
    }
}

/* What must hold besides the ranges, with AND in front of it. */
static void write_rest(struct fc_sql *sql, const struct fc_ast *value)
{
    static const char *const transports[] = {"",       " = 6",        " = 17",        " IN (6,17)",
                                             " = 132", " IN (6,132)", " IN (17,132)", " IN (6,17,132)"};

    if (value->type == FC_AST_PORT)
        fc_sql_add(sql, " AND s.proto%s", transports[value->transports & 7]);
    if (value->type == FC_AST_MAC)
        fc_sql_add(sql, " AND s.kind = 1");
    /* a range of 16-byte blobs has 6-byte ones in it */
    if (value->type == FC_AST_NET && (value->family == FC_ADDR_IPV6 || !fc_plan_is_range(value)))
        fc_sql_add(sql, " AND s.kind = %d", value->family);
    if (value->scope == FC_SCOPE_IP)
        fc_sql_add(sql, " AND s.proto < 256");
    else if (value->scope == FC_SCOPE_ARP)
        fc_sql_add(sql, " AND s.proto = %d", FC_PROTO_ARP);
    else if (value->scope == FC_SCOPE_RARP)
        fc_sql_add(sql, " AND s.proto = %d", FC_RARP);
}

typedef void write_item(struct fc_sql *sql, const void *items, size_t i, bool use_index, unsigned level);

/* item[first] OP ... OP item[last - 1], as a tree of parentheses that is wide rather than deep. */
static void write_chain(struct fc_sql *sql, const char *op, write_item *write, const void *items, size_t first,
                        size_t last, bool use_index, unsigned level)
{
    size_t count = last - first, each = 1;

    while (each * CHAIN_MAX < count)
        each *= CHAIN_MAX;
    for (size_t i = first; i < last; i += each) {
        size_t end = last - i < each ? last : i + each;

        fc_sql_add(sql, "%s", i == first ? "(" : op);
        if (end - i == 1)
            write(sql, items, i, use_index, level);
        else
            write_chain(sql, op, write, items, i, end, use_index, level);
    }
    fc_sql_add(sql, ")");
}

static void write_range_item(struct fc_sql *sql, const void *items, size_t i, bool use_index, unsigned level)
{
    const struct fc_plan *leaf = items;

    (void)level;
    fc_sql_add(sql, "(");
    fc_sql_range(sql, leaf, i, use_index);
    /* inside each branch, where an index needs it; outside of all of them it is shorter */
    if (use_index)
        write_rest(sql, leaf->value[0]);
    fc_sql_add(sql, ")");
}

static void write_ranges(struct fc_sql *sql, const struct fc_plan *leaf, bool use_index)
{
    const struct fc_ast *value = leaf->value[0];

    fc_sql_add(sql, "(");
    if (has_ends(value) && value->ends == FC_ENDS_BOTH) {
        write_end(sql, leaf, 0, false, use_index);
        fc_sql_add(sql, " AND ");
        write_end(sql, leaf, 0, true, use_index);
        write_rest(sql, value);
    } else {
        write_chain(sql, " OR ", write_range_item, leaf, 0, fc_sql_ranges(leaf), use_index, 0);
        if (!use_index)
            write_rest(sql, value);
    }
    fc_sql_add(sql, ")");
}

/* A condition on session_fields: as a list of ids when it is to lead, else looked up session by session. */
static void open_fields(struct fc_sql *sql, bool use_index)
{
    if (use_index)
        fc_sql_add(sql, "s.id IN (SELECT x.id FROM session_fields x WHERE ");
    else
        fc_sql_add(sql, "EXISTS (SELECT 1 FROM session_fields x WHERE x.id = s.id AND ");
}

static void write_mac(struct fc_sql *sql, const struct fc_plan *leaf, bool use_index)
{
    uint8_t ends = leaf->value[0]->ends;

    if (!(sql->fields & FC_FIELD_MAC)) {
        write_ranges(sql, leaf, use_index);
        return;
    }
    fc_sql_add(sql, "(");
    write_ranges(sql, leaf, use_index);
    fc_sql_add(sql, " OR ");
    open_fields(sql, use_index);
    fc_sql_add(sql, "(");
    if (ends != FC_ENDS_DST)
        write_list(sql, leaf, "x.client_mac");
    if (ends == FC_ENDS_EITHER || ends == FC_ENDS_BOTH)
        fc_sql_add(sql, "%s", ends == FC_ENDS_BOTH ? " AND " : " OR ");
    if (ends != FC_ENDS_SRC)
        write_list(sql, leaf, "x.server_mac");
    fc_sql_add(sql, ")))");
}

static void write_tag(struct fc_sql *sql, const struct fc_ast *value, bool use_index)
{
    const char *column = value->type == FC_AST_VLAN ? "vlan" : "mpls";
    char text[16];

    open_fields(sql, use_index);
    if (value->lo < 0) {
        fc_sql_add(sql, "x.%s IS NOT NULL)", column);
        return;
    }
    snprintf(text, sizeof text, ",%d,", (int)value->lo);
    bind_bytes(sql, FC_BIND_TEXT, text, strlen(text));
    fc_sql_add(sql, "instr(',' || x.%s || ',', ?))", column);
}

static void write_leaf(struct fc_sql *sql, const struct fc_plan *leaf, bool use_index)
{
    const struct fc_ast *value = leaf->value[0];

    switch (value->type) {
    case FC_AST_MAC:
        write_mac(sql, leaf, use_index);
        break;
    case FC_AST_VLAN:
    case FC_AST_MPLS:
        write_tag(sql, value, use_index);
        break;
    case FC_AST_FAMILY:
        fc_sql_add(sql, "(s.kind = %d AND s.proto < 256)", value->family);
        break;
    case FC_AST_PROTO:
        fc_sql_add(sql, "(");
        write_list(sql, leaf, "s.proto");
        if (value->family)
            fc_sql_add(sql, " AND s.kind = %d", value->family);
        fc_sql_add(sql, ")");
        break;
    case FC_AST_STATE:
        write_list(sql, leaf, "s.state");
        break;
    case FC_AST_AFTER:
        bind_number(sql, value->lo);
        fc_sql_add(sql, "s.start_ns + s.duration_ns >= ?");
        break;
    default:
        write_ranges(sql, leaf, use_index);
    }
}

/* An address and a port of the same end share an index: with one in use, the other narrows it. */
static bool same_index(const struct fc_plan *driver, const struct fc_plan *other)
{
    const struct fc_ast *a, *b;

    if (driver->type != FC_PLAN_LEAF || other->type != FC_PLAN_LEAF || driver->value_count > 1 ||
        other->value_count > 1)
        return false;
    a = driver->value[0];
    b = other->value[0];
    return ((a->type == FC_AST_HOST && b->type == FC_AST_PORT) || (a->type == FC_AST_PORT && b->type == FC_AST_HOST)) &&
           a->ends == b->ends && (a->ends == FC_ENDS_SRC || a->ends == FC_ENDS_DST);
}

struct children {
    const struct fc_plan *node;
    const struct fc_plan *skip; /* a child to leave out, or NULL */
};

static void write_child(struct fc_sql *sql, const void *items, size_t i, bool use_index, unsigned level)
{
    const struct children *children = items;
    const struct fc_plan *node = children->node, *child = node->child[i];

    if (children->skip && child == children->skip) {
        fc_sql_add(sql, node->type == FC_PLAN_AND ? "1" : "0");
        return;
    }
    if (use_index && node->type == FC_PLAN_AND && i != node->driver)
        use_index = same_index(node->child[node->driver], child);
    write_plan(sql, child, use_index, level + 1);
}

static void write_children(struct fc_sql *sql, const struct children *children, bool use_index, unsigned level)
{
    const struct fc_plan *node = children->node;
    bool alone = use_index && level > 0 && node->type == FC_PLAN_AND;

    /* SQLite looks for indexes in an `or` only one level deep, but a list of ids it can always use */
    if (alone)
        fc_sql_add(sql, "s.id IN (SELECT s.id FROM session s WHERE ");
    write_chain(sql, node->type == FC_PLAN_AND ? " AND " : " OR ", write_child, children, 0, node->child_count,
                use_index, level);
    if (alone)
        fc_sql_add(sql, ")");
}

static const struct fc_plan *heaviest(const struct fc_plan *node)
{
    const struct fc_plan *best = node->child[0];

    for (size_t i = 1; i < node->child_count; i++)
        if (node->child[i]->leaves > best->leaves)
            best = node->child[i];
    return best;
}

/*
 * A deep subtree as a list of decisions along its heaviest path: a false operand of an `and` decides, as does a true
 * operand of an `or`, and if none does the rest of the path is the answer. What hangs off the path has at most half
 * the leaves, so that the depth of the SQL grows with the logarithm of the filter's size.
 */
static void write_case(struct fc_sql *sql, const struct fc_plan *node, unsigned level)
{
    bool positive = true;

    fc_sql_add(sql, "CASE WHEN 0 THEN 0"); /* a path of nothing but `not` decides nothing */
    while (node->type != FC_PLAN_LEAF && node->height > PLAIN_HEIGHT) {
        struct children others = {node, heaviest(node)};

        if (node->type == FC_PLAN_NOT) {
            positive = !positive;
        } else {
            fc_sql_add(sql, " WHEN ");
            write_children(sql, &others, false, level + 1);
            fc_sql_add(sql, "%s THEN %d", node->type == FC_PLAN_AND ? " IS NOT TRUE" : "",
                       (node->type == FC_PLAN_OR) == positive);
        }
        node = others.skip;
    }
    fc_sql_add(sql, " ELSE (");
    write_plan(sql, node, false, level + 1);
    fc_sql_add(sql, "%s END", positive ? ")" : ") IS NOT TRUE");
}

static void write_plan(struct fc_sql *sql, const struct fc_plan *plan, bool use_index, unsigned level)
{
    struct children all = {plan, NULL};

    if (plan->type == FC_PLAN_LEAF) {
        write_leaf(sql, plan, use_index);
    } else if (level >= PLAIN_LEVELS && plan->height > PLAIN_HEIGHT) {
        write_case(sql, plan, level);
    } else if (plan->type == FC_PLAN_NOT) {
        fc_sql_add(sql, "(");
        write_plan(sql, plan->child[0], false, level + 1);
        fc_sql_add(sql, ") IS NOT TRUE");
    } else {
        write_children(sql, &all, use_index, level);
    }
}

void fc_sql_plan(struct fc_sql *sql, const struct fc_plan *plan)
{
    write_plan(sql, plan, plan->cost != FC_PLAN_SCAN, 0);
}
