/* SPDX-License-Identifier: MIT */
#include "query/sql.h"
#include "base/vector.h"
#include "query/fields.h"
#include "store/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SQLite's parser has a stack of 100 and its expressions a depth of 1000; what is deeper is written as CASE. */
enum {
    CHAIN_MAX = 32,   /* operands of one operator before they are grouped by parentheses */
    PLAIN_HEIGHT = 8, /* height up to which a subtree is written with AND and OR */
    RANGES_MAX = 16,  /* networks of a leaf to which each session is compared one by one */
    IDS_MAX = 1000    /* values of a leaf about IDs that are bound one by one */
};

static void write_plan(struct fc_sql *sql, const struct fc_plan *plan);

void fc_sql_fini(struct fc_sql *sql)
{
    free(sql->text);
    fc_sql_drop_binds(sql, 0);
    free(sql->bind);
    sql->text = NULL;
    sql->bind = NULL;
}

void fc_sql_drop_binds(struct fc_sql *sql, size_t count)
{
    while (sql->bind_count > count)
        free(sql->bind[--sql->bind_count].owned);
}

static bool make_room(struct fc_sql *sql, size_t size)
{
    if (fc_vector_reserve(&sql->text, &sql->room, sql->len + size, 1))
        sql->failed = true;
    return !sql->failed;
}

void fc_sql_text(struct fc_sql *sql, const char *text)
{
    size_t len = strlen(text);

    if (!make_room(sql, len + 1))
        return;
    memcpy(sql->text + sql->len, text, len + 1);
    sql->len += len;
}

void fc_sql_add(struct fc_sql *sql, const char *fmt, ...)
{
    va_list ap;
    int len;

    /* no piece of text here is as long */
    if (!make_room(sql, 256))
        return;
    va_start(ap, fmt);
    len = vsnprintf(sql->text + sql->len, sql->room - sql->len, fmt, ap);
    va_end(ap);
    sql->len += (size_t)len;
}

static struct fc_filter_bind *new_bind(struct fc_sql *sql)
{
    if (fc_vector_reserve(&sql->bind, &sql->bind_room, sql->bind_count + 1, sizeof *sql->bind))
        sql->failed = true;
    if (sql->failed)
        return NULL;
    memset(&sql->bind[sql->bind_count], 0, sizeof *sql->bind);
    return &sql->bind[sql->bind_count++];
}

void fc_sql_bind_number(struct fc_sql *sql, int64_t number)
{
    struct fc_filter_bind *bind = new_bind(sql);

    if (bind)
        bind->number = number;
}

void fc_sql_bind_bytes(struct fc_sql *sql, int type, const void *bytes, size_t len)
{
    struct fc_filter_bind *bind = new_bind(sql);

    if (!bind)
        return;
    bind->type = type;
    bind->len = (uint32_t)len;
    memcpy(bind->bytes, bytes, len);
}

static void bind_address(struct fc_sql *sql, int family, const uint8_t *addr)
{
    if (family == FC_ADDR_IPV4)
        fc_sql_bind_number(sql, (int64_t)addr[0] << 24 | (int64_t)addr[1] << 16 | (int64_t)addr[2] << 8 | addr[3]);
    else
        fc_sql_bind_bytes(sql, FC_BIND_BLOB, addr, family == FC_ADDR_IPV6 ? 16 : 6);
}

/* Text of the filter, of any length. */
void fc_sql_bind_text(struct fc_sql *sql, const char *text)
{
    struct fc_filter_bind *bind = new_bind(sql);

    if (!bind)
        return;
    bind->type = FC_BIND_TEXT;
    bind->len = (uint32_t)strlen(text);
    bind->text = text;
}

static void bind_value(struct fc_sql *sql, const struct fc_ast *value)
{
    if (value->type == FC_AST_HOST || value->type == FC_AST_MAC)
        bind_address(sql, value->family, value->addr);
    else if (value->type == FC_AST_COMMUNITY_ID)
        fc_sql_bind_bytes(sql, FC_BIND_TEXT, value->text, strlen(value->text));
    else
        fc_sql_bind_number(sql, value->lo);
}

/* column = ? or column IN (?, ...) */
void fc_sql_list(struct fc_sql *sql, const struct fc_plan *leaf, const char *column)
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
    fc_sql_bind_number(sql, lo);
    fc_sql_bind_number(sql, hi);
    fc_sql_add(sql, "%s BETWEEN ? AND ?", column);
}

/* First and last address of a network that is a range. */
static void bind_network(struct fc_sql *sql, const struct fc_ast *net)
{
    uint8_t last[16];

    for (unsigned i = 0; i < sizeof last; i++)
        last[i] = (uint8_t)(net->addr[i] | ~net->mask[i]);
    bind_address(sql, net->family, net->addr);
    bind_address(sql, net->family, last);
}

static void write_network(struct fc_sql *sql, const struct fc_ast *net, const char *column)
{
    if (!fc_plan_is_range(net)) {
        bind_address(sql, net->family, net->mask);
        bind_address(sql, net->family, net->addr);
        fc_sql_add(sql, "(%s & ?) = ?", column);
        return;
    }
    bind_network(sql, net);
    fc_sql_add(sql, "%s BETWEEN ? AND ?", column);
    if (net->family == FC_ADDR_IPV6)
        fc_sql_add(sql, " AND length(%s) = 16", column);
}

bool fc_sql_is_range(const struct fc_plan *leaf)
{
    const struct fc_ast *value = leaf->value[0];

    return value->type == FC_AST_NET || (value->type == FC_AST_PORT && value->lo != value->hi);
}

void fc_sql_value(struct fc_sql *sql, const struct fc_ast *value, const char *text)
{
    fc_sql_add(sql, "%s", text);
    if (value->type == FC_AST_NET) {
        bind_network(sql, value);
        return;
    }
    bind_value(sql, value);
    if (value->type == FC_AST_PORT && value->lo != value->hi)
        fc_sql_bind_number(sql, value->hi);
}

void fc_sql_values(struct fc_sql *sql, const struct fc_plan *leaf, size_t most)
{
    bool range = fc_sql_is_range(leaf);

    for (size_t i = 0; i < leaf->value_count && i < most; i++) {
        fc_sql_add(sql, "%s", i ? "," : "");
        fc_sql_value(sql, leaf->value[i], range ? "(?,?)" : "(?)");
    }
}

/* The condition at one end of the session for the leaf's value `i` (for all values where they are a list). */
static void write_end(struct fc_sql *sql, const struct fc_plan *leaf, size_t i, bool server)
{
    const struct fc_ast *value = leaf->value[i];
    char column[24];

    snprintf(column, sizeof column, "+s.%s_%s", server ? "server" : "client",
             value->type == FC_AST_PORT ? "port" : "addr");
    if (value->type == FC_AST_NET)
        write_network(sql, value, column);
    else if (value->type == FC_AST_PORT && value->lo != value->hi)
        write_between(sql, column, value->lo, value->hi);
    else
        fc_sql_list(sql, leaf, column);
}

static bool has_ends(const struct fc_ast *value)
{
    return value->type == FC_AST_HOST || value->type == FC_AST_NET || value->type == FC_AST_MAC ||
           value->type == FC_AST_PORT;
}

bool fc_sql_has_ports(const struct fc_plan *leaf)
{
    return leaf->value[0]->type == FC_AST_PORT;
}

bool fc_sql_has_addresses(const struct fc_plan *leaf)
{
    return has_ends(leaf->value[0]) && !fc_sql_has_ports(leaf);
}

bool fc_sql_has_times(const struct fc_plan *leaf)
{
    return leaf->value[0]->type == FC_AST_AFTER || leaf->value[0]->type == FC_AST_BEFORE;
}

/* Every time of the window, compared with a first and a last time. */
static void write_times(struct fc_sql *sql, const struct fc_plan *leaf, const char *first, const char *last)
{
    for (size_t i = 0; i < leaf->value_count; i++) {
        bool after = leaf->value[i]->type == FC_AST_AFTER;

        fc_sql_bind_number(sql, leaf->value[i]->lo);
        fc_sql_add(sql, "%s%s %s ?", i ? " AND " : "", after ? last : first, after ? ">=" : "<");
    }
}

void fc_sql_spans_condition(struct fc_sql *sql, const struct fc_plan *leaf)
{
    write_times(sql, leaf, "p.start_ns", "p.end_ns");
}

void fc_sql_spans_text(struct fc_sql *sql, const struct fc_plan *leaf)
{
    for (size_t i = 0; i < leaf->value_count; i++) {
        bool after = leaf->value[i]->type == FC_AST_AFTER;

        fc_sql_add(sql, "%s%s %s %lld", i ? " AND " : "", after ? "p.end_ns" : "p.start_ns", after ? ">=" : "<",
                   (long long)leaf->value[i]->lo);
    }
}

size_t fc_sql_ranges(const struct fc_plan *leaf)
{
    const struct fc_ast *value = leaf->value[0];
    size_t ends = has_ends(value) && value->ends == FC_ENDS_EITHER ? 2 : 1;

    if (value->type == FC_AST_VLAN || value->type == FC_AST_MPLS || value->type == FC_AST_TUNNEL ||
        value->type == FC_AST_COMMUNITY_ID || value->type == FC_AST_FILE || fc_sql_has_times(leaf))
        return 0;
    return value->type == FC_AST_NET ? ends * leaf->value_count : ends;
}

/* The ranges of a leaf about IDs as JSON, [[1,5],[7,7]]: one value, however many there are. */
static void bind_id_ranges(struct fc_sql *sql, const struct fc_plan *leaf)
{
    enum { RANGE_MAX = 48 };
    struct fc_filter_bind *bind = new_bind(sql);
    char *p = bind ? malloc(leaf->value_count * RANGE_MAX + 3) : NULL;

    if (!p) {
        sql->failed = true;
        return;
    }
    bind->type = FC_BIND_TEXT;
    bind->text = bind->owned = p;
    for (size_t i = 0; i < leaf->value_count; i++)
        p += sprintf(p, "%c[%lld,%lld]", i ? ',' : '[', (long long)leaf->value[i]->lo, (long long)leaf->value[i]->hi);
    strcpy(p, "]");
    bind->len = (uint32_t)(p + 1 - bind->owned);
}

static void write_ids(struct fc_sql *sql, const struct fc_plan *leaf, const char *id)
{
    bool ranges = false;

    for (size_t i = 0; i < leaf->value_count && !ranges; i++)
        ranges = leaf->value[i]->lo != leaf->value[i]->hi;
    if (!ranges && leaf->value_count <= IDS_MAX) {
        fc_sql_list(sql, leaf, id);
    } else if (leaf->value_count == 1) {
        write_between(sql, id, leaf->value[0]->lo, leaf->value[0]->hi);
    } else {
        bind_id_ranges(sql, leaf);
        fc_sql_add(sql, "%s IN (SELECT i.id FROM json_each(?) j CROSS JOIN session i ON i.id BETWEEN", id);
        fc_sql_add(sql, " json_extract(j.value, '$[0]') AND json_extract(j.value, '$[1]'))");
    }
}

void fc_sql_ids(struct fc_sql *sql, const struct fc_plan *leaf)
{
    write_ids(sql, leaf, "s.id");
}

void fc_sql_range(struct fc_sql *sql, const struct fc_plan *leaf, size_t number)
{
    const struct fc_ast *value = leaf->value[0];

    if (has_ends(value) && value->ends == FC_ENDS_EITHER)
        write_end(sql, leaf, value->type == FC_AST_NET ? number / 2 : 0, number & 1);
    else if (has_ends(value))
        write_end(sql, leaf, number, value->ends == FC_ENDS_DST);
    else
        write_ids(sql, leaf, "+s.id");
}

/* True when the ranges say all about a session. */
static bool has_no_rest(const struct fc_ast *value)
{
    return value->type != FC_AST_PORT && value->type != FC_AST_MAC && value->scope == FC_SCOPE_ANY &&
           (value->type != FC_AST_NET || fc_plan_is_range(value));
}

/* What must hold besides the ranges, with AND in front of it. */
static void write_rest(struct fc_sql *sql, const struct fc_ast *value)
{
    static const char *const transports[] = {"",       " = 6",        " = 17",        " IN (6,17)",
                                             " = 132", " IN (6,132)", " IN (17,132)", " IN (6,17,132)"};

    if (value->type == FC_AST_PORT)
        fc_sql_add(sql, " AND s.proto%s", transports[value->transports & 7]);
    /* a mask makes numbers of blobs */
    if (value->type == FC_AST_MAC || (value->type == FC_AST_NET && !fc_plan_is_range(value)))
        fc_sql_add(sql, " AND s.kind = %d", value->family);
    if (value->scope == FC_SCOPE_IP)
        fc_sql_add(sql, " AND s.proto < 256");
    else if (value->scope == FC_SCOPE_ARP)
        fc_sql_add(sql, " AND s.proto = %d", FC_PROTO_ARP);
    else if (value->scope == FC_SCOPE_RARP)
        fc_sql_add(sql, " AND s.proto = %d", FC_RARP);
}

typedef void write_item(struct fc_sql *sql, const void *items, size_t i);

/* item[first] OP ... OP item[last - 1], as a tree of parentheses that is wide rather than deep. */
static void write_chain(struct fc_sql *sql, const char *op, write_item *write, const void *items, size_t first,
                        size_t last)
{
    size_t count = last - first, each = 1;

    while (each * CHAIN_MAX < count)
        each *= CHAIN_MAX;
    for (size_t i = first; i < last; i += each) {
        size_t end = last - i < each ? last : i + each;

        fc_sql_add(sql, "%s", i == first ? "(" : op);
        if (end - i == 1)
            write(sql, items, i);
        else
            write_chain(sql, op, write, items, i, end);
    }
    fc_sql_add(sql, ")");
}

static void write_range(struct fc_sql *sql, const void *items, size_t i)
{
    fc_sql_range(sql, items, i);
}

static void write_ranges(struct fc_sql *sql, const struct fc_plan *leaf)
{
    const struct fc_ast *value = leaf->value[0];

    fc_sql_add(sql, "(");
    if (has_ends(value) && value->ends == FC_ENDS_BOTH) {
        write_end(sql, leaf, 0, false);
        fc_sql_add(sql, " AND ");
        write_end(sql, leaf, 0, true);
    } else if (leaf->value_count <= RANGES_MAX || value->type != FC_AST_NET || !fc_sql_listed_ranges(sql, leaf)) {
        write_chain(sql, " OR ", write_range, leaf, 0, fc_sql_ranges(leaf));
    }
    write_rest(sql, value);
    fc_sql_add(sql, ")");
}

void fc_sql_files(struct fc_sql *sql, const struct fc_ast *value, const char *id)
{
    fc_sql_bind_text(sql, value->text);
    fc_sql_add(sql, "fc_in_file(%s, ?)", id);
}

/* Positions are beside the row where its flags say so. */
static void write_file(struct fc_sql *sql, const struct fc_ast *value)
{
    fc_sql_add(sql, "(");
    fc_sql_files(sql, value, "s.positions");
    fc_sql_add(sql, " OR (s.flags & %d) != 0 AND EXISTS (SELECT 1 FROM session_positions q WHERE q.session = s.id AND ",
               FC_ROW_MORE);
    fc_sql_files(sql, value, "q.file");
    fc_sql_add(sql, "))");
}

static void write_fields(struct fc_sql *sql, const struct fc_plan *leaf)
{
    bool also = leaf->value[0]->type == FC_AST_MAC; /* sessions of link addresses have them in `session` */

    fc_sql_add(sql, "(");
    if (also)
        write_ranges(sql, leaf);
    if (fc_sql_has_fields(sql, leaf)) {
        fc_sql_add(sql, "%sEXISTS (SELECT 1 FROM session_fields x WHERE x.id = s.id AND ", also ? " OR " : "");
        fc_sql_fields_condition(sql, leaf);
        fc_sql_add(sql, ")");
    }
    fc_sql_add(sql, ")");
}

static void write_community_id(struct fc_sql *sql, const struct fc_plan *leaf)
{
    if (fc_sql_has_fields(sql, leaf))
        write_fields(sql, leaf);
    else
        fc_sql_list(sql, leaf,
                    "fc_community_id(s.proto, s.kind, s.client_addr, s.client_port, s.server_addr, s.server_port,"
                    " s.flags & 1)");
}

static void write_leaf(struct fc_sql *sql, const struct fc_plan *leaf)
{
    const struct fc_ast *value = leaf->value[0];

    switch (value->type) {
    case FC_AST_MAC:
    case FC_AST_VLAN:
    case FC_AST_MPLS:
    case FC_AST_TUNNEL:
        write_fields(sql, leaf);
        break;
    case FC_AST_COMMUNITY_ID:
        write_community_id(sql, leaf);
        break;
    case FC_AST_FAMILY:
        fc_sql_add(sql, "(s.kind = %d AND s.proto < 256)", value->family);
        break;
    case FC_AST_PROTO:
        fc_sql_add(sql, "(");
        fc_sql_list(sql, leaf, "s.proto");
        if (value->family)
            fc_sql_add(sql, " AND s.kind = %d", value->family);
        fc_sql_add(sql, ")");
        break;
    case FC_AST_FILE:
        write_file(sql, value);
        break;
    case FC_AST_MARK:
        fc_sql_bind_number(sql, value->lo);
        fc_sql_add(sql, "(s.flags & ?) != 0");
        break;
    case FC_AST_FLAGS:
    case FC_AST_MEASURE:
        if (fc_sql_has_fields(sql, leaf))
            write_fields(sql, leaf);
        else
            fc_sql_measure(sql, value);
        break;
    case FC_AST_STATE:
        fc_sql_list(sql, leaf, "s.state");
        break;
    case FC_AST_AFTER:
    case FC_AST_BEFORE:
        fc_sql_add(sql, "(");
        write_times(sql, leaf, "s.start_ns", "s.start_ns + s.duration_ns");
        fc_sql_add(sql, ")");
        break;
    default:
        write_ranges(sql, leaf);
    }
}

struct children {
    const struct fc_plan *node;
    const struct fc_plan *skip; /* a child to leave out, or NULL */
};

static void write_child(struct fc_sql *sql, const void *items, size_t i)
{
    const struct children *children = items;
    const struct fc_plan *node = children->node, *child = node->child[i];

    if (child == children->skip)
        fc_sql_add(sql, node->type == FC_PLAN_AND ? "1" : "0");
    else
        write_plan(sql, child);
}

static void write_children(struct fc_sql *sql, const struct children *children)
{
    const struct fc_plan *node = children->node;

    write_chain(sql, node->type == FC_PLAN_AND ? " AND " : " OR ", write_child, children, 0, node->child_count);
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
static void write_case(struct fc_sql *sql, const struct fc_plan *node)
{
    bool positive = true;

    fc_sql_add(sql, "CASE WHEN 0 THEN 0"); /* a path of nothing but `not` decides nothing */
    while (node->type != FC_PLAN_LEAF && node->height > PLAIN_HEIGHT) {
        struct children others = {node, heaviest(node)};

        if (node->type == FC_PLAN_NOT) {
            positive = !positive;
        } else {
            fc_sql_add(sql, " WHEN ");
            write_children(sql, &others);
            fc_sql_add(sql, "%s THEN %d", node->type == FC_PLAN_AND ? " IS NOT TRUE" : "",
                       (node->type == FC_PLAN_OR) == positive);
        }
        node = others.skip;
    }
    fc_sql_add(sql, " ELSE (");
    write_plan(sql, node);
    fc_sql_add(sql, "%s END", positive ? ")" : ") IS NOT TRUE");
}

static void write_plan(struct fc_sql *sql, const struct fc_plan *plan)
{
    struct children all = {plan, NULL};

    if (plan->type == FC_PLAN_LEAF) {
        write_leaf(sql, plan);
    } else if (plan->height > PLAIN_HEIGHT) {
        write_case(sql, plan);
    } else if (plan->type == FC_PLAN_NOT) {
        fc_sql_add(sql, "(");
        write_plan(sql, plan->child[0]);
        fc_sql_add(sql, ") IS NOT TRUE");
    } else {
        write_children(sql, &all);
    }
}

/* A leaf whose ranges are the candidates: only the rest is left to ask. */
static bool is_listed(const struct fc_sql *sql, const struct fc_plan *plan)
{
    return plan->type == FC_PLAN_LEAF && plan->value[0]->ends != FC_ENDS_BOTH && fc_sql_ranges(plan) > 0 &&
           !fc_sql_has_fields(sql, plan);
}

static bool all_listed(const struct fc_sql *sql, const struct fc_plan *plan)
{
    for (size_t i = 0; i < plan->child_count; i++)
        if (!is_listed(sql, plan->child[i]) || !has_no_rest(plan->child[i]->value[0]))
            return false;
    return plan->type == FC_PLAN_OR;
}

void fc_sql_plan(struct fc_sql *sql, const struct fc_plan *plan, bool listed)
{
    const struct fc_plan *leaf = listed && plan->type == FC_PLAN_AND ? plan->child[plan->driver] : plan;
    struct children others = {plan, leaf};

    fc_sql_add(sql, "(");
    if (listed && is_listed(sql, leaf)) {
        fc_sql_add(sql, "1");
        write_rest(sql, leaf->value[0]);
        if (leaf != plan) {
            fc_sql_add(sql, " AND ");
            write_children(sql, &others);
        }
    } else if (listed && all_listed(sql, leaf)) {
        fc_sql_add(sql, "1");
        if (leaf != plan) {
            fc_sql_add(sql, " AND ");
            write_children(sql, &others);
        }
    } else {
        write_plan(sql, plan);
    }
    fc_sql_add(sql, ")");
}
