/* SPDX-License-Identifier: MIT */
#include "cluster/filter_sql.h"
#include "base/error.h"

#include <inttypes.h>
#include <string.h>

/* What is written, and what has come of it so far. */
struct writing {
    FILE *out;
    size_t values, conditions;
    bool file; /* captures by name */
};

void fc_engine_hex(FILE *out, const void *bytes, size_t len)
{
    const uint8_t *byte = bytes;

    fputs("unhex('", out);
    for (size_t i = 0; i < len; i++)
        fprintf(out, "%02x", byte[i]);
    fputs("')", out);
}

/* ---- addresses and ports */

/* As the engine has them: 16 bytes, IPv4 as ::ffff:a.b.c.d, link addresses in front. */
static void put_address(FILE *out, int family, const uint8_t *addr)
{
    uint8_t full[16] = {[10] = 0xff, [11] = 0xff};

    if (family == FC_ADDR_IPV4)
        memcpy(full + 12, addr, 4);
    else
        memset(full, 0, sizeof full);
    if (family != FC_ADDR_IPV4)
        memcpy(full, addr, family == FC_ADDR_IPV6 ? 16 : 6);
    fc_engine_hex(out, full, sizeof full);
}

/* The mask of an IPv4 network whose bits are anywhere, as numbers in the engine's order of bytes. */
static void put_masked(FILE *out, const struct fc_ast *net, const char *column)
{
    uint32_t mask = 0, addr = 0;

    for (unsigned i = 0; i < 4; i++) {
        mask |= (uint32_t)net->mask[i] << 8 * i;
        addr |= (uint32_t)net->addr[i] << 8 * i;
    }
    fprintf(out, "bitAnd(reinterpretAsUInt32(substring(%s, 13, 4)), %" PRIu32 ") = %" PRIu32, column, mask, addr);
}

static void put_network(FILE *out, const struct fc_ast *net, const char *column)
{
    uint8_t last[16];

    if (!fc_plan_is_range(net)) {
        put_masked(out, net, column);
        return;
    }
    for (unsigned i = 0; i < sizeof last; i++)
        last[i] = (uint8_t)(net->addr[i] | ~net->mask[i]);
    fprintf(out, "%s BETWEEN ", column);
    put_address(out, net->family, net->addr);
    fputs(" AND ", out);
    put_address(out, net->family, last);
}

/* column IN (...) with all values of a leaf. */
static void put_list(FILE *out, const struct fc_plan *leaf, const char *column)
{
    fprintf(out, "%s IN (", column);
    for (size_t i = 0; i < leaf->value_count; i++) {
        const struct fc_ast *value = leaf->value[i];
        if (i)
            fputs(", ", out);
        if (value->type == FC_AST_HOST)
            put_address(out, value->family, value->addr);
        else if (value->type == FC_AST_MAC)
            fc_engine_hex(out, value->addr, 6);
        else if (value->type == FC_AST_COMMUNITY_ID || value->type == FC_AST_SENSOR)
            fc_engine_hex(out, value->text, strlen(value->text));
        else
            fprintf(out, "%" PRId64, value->lo);
    }
    fputc(')', out);
}

/* A range of numbers, each end of which may be out of reach. */
static void put_bounds(FILE *out, const char *number, int64_t lo, int64_t hi)
{
    if (lo == hi)
        fprintf(out, "%s = %" PRId64, number, lo);
    else if (lo == INT64_MIN)
        fprintf(out, "%s <= %" PRId64, number, hi);
    else if (hi == INT64_MAX)
        fprintf(out, "%s >= %" PRId64, number, lo);
    else
        fprintf(out, "%s BETWEEN %" PRId64 " AND %" PRId64, number, lo, hi);
}

/* What a leaf about ends asks of a column, in parentheses where that is more than one condition. */
static void put_end(struct writing *w, const struct fc_plan *leaf, const char *column)
{
    const struct fc_ast *first = leaf->value[0];
    bool list = first->type == FC_AST_HOST || (first->type == FC_AST_PORT && first->lo == first->hi);

    w->values += list ? leaf->value_count : 0;
    w->conditions += list ? 1 : leaf->value_count;
    if (list) {
        put_list(w->out, leaf, column);
        return;
    }
    fputc('(', w->out);
    for (size_t i = 0; i < leaf->value_count; i++) {
        if (i)
            fputs(" OR ", w->out);
        if (first->type == FC_AST_NET)
            put_network(w->out, leaf->value[i], column);
        else
            put_bounds(w->out, column, leaf->value[i]->lo, leaf->value[i]->hi);
    }
    fputc(')', w->out);
}

static void put_ends(struct writing *w, const struct fc_plan *leaf, const char *client, const char *server)
{
    uint8_t ends = leaf->value[0]->ends;

    fputc('(', w->out);
    if (ends != FC_ENDS_DST)
        put_end(w, leaf, client);
    if (ends == FC_ENDS_EITHER || ends == FC_ENDS_BOTH)
        fputs(ends == FC_ENDS_BOTH ? " AND " : " OR ", w->out);
    if (ends != FC_ENDS_SRC)
        put_end(w, leaf, server);
    fputc(')', w->out);
}

static void put_addresses(struct writing *w, const struct fc_plan *leaf)
{
    const struct fc_ast *value = leaf->value[0];

    fprintf(w->out, "(kind = %d AND ", value->family);
    put_ends(w, leaf, "client", "server");
    if (value->scope == FC_SCOPE_IP)
        fputs(" AND proto < 256", w->out);
    else if (value->scope == FC_SCOPE_ARP || value->scope == FC_SCOPE_RARP)
        fprintf(w->out, " AND proto = %d", value->scope == FC_SCOPE_ARP ? (int)FC_PROTO_ARP : (int)FC_RARP);
    fputc(')', w->out);
}

static void put_ports(struct writing *w, const struct fc_plan *leaf)
{
    static const char *const transports[] = {"0", "6", "17", "6, 17", "132", "6, 132", "17, 132", "6, 17, 132"};

    fprintf(w->out, "(proto IN (%s) AND ", transports[leaf->value[0]->transports & 7]);
    put_ends(w, leaf, "client_port", "server_port");
    fputc(')', w->out);
}

/* Sessions of link addresses have them as their ends, others as fields. */
static void put_macs(struct writing *w, const struct fc_plan *leaf)
{
    uint8_t ends = leaf->value[0]->ends;

    w->values += 2 * leaf->value_count;
    w->conditions += 2;
    for (int of_field = 0; of_field < 2; of_field++) {
        const char *join = ends == FC_ENDS_BOTH ? " AND " : " OR ";
        fputs(of_field ? " OR (" : "(kind = 1 AND (", w->out);
        if (ends != FC_ENDS_DST)
            put_list(w->out, leaf, of_field ? "ifNull(client_mac, toFixedString('', 6))" : "substring(client, 1, 6)");
        if (of_field && ends != FC_ENDS_DST)
            fputs(" AND isNotNull(client_mac)", w->out);
        if (ends == FC_ENDS_EITHER || ends == FC_ENDS_BOTH)
            fputs(join, w->out);
        if (ends != FC_ENDS_SRC)
            put_list(w->out, leaf, of_field ? "ifNull(server_mac, toFixedString('', 6))" : "substring(server, 1, 6)");
        if (of_field && ends != FC_ENDS_SRC)
            fputs(" AND isNotNull(server_mac)", w->out);
        fputs(of_field ? ")" : ")", w->out);
    }
    fputc(')', w->out);
}

/* ---- fields and numbers */

/* Whether `text` stands in a column, which has `mark` around each of its items; of NULL nothing does. */
static void put_item(FILE *out, const char *column, char mark, bool behind, const char *text)
{
    uint8_t around = (uint8_t)mark;

    fputs("position(concat(", out);
    fc_engine_hex(out, &around, 1);
    fprintf(out, ", ifNull(%s, '')", column);
    if (behind) {
        fputs(", ", out);
        fc_engine_hex(out, &around, 1);
    }
    fputs("), ", out);
    fc_engine_hex(out, text, strlen(text));
    fputs(") != 0", out);
}

static void put_label(FILE *out, const struct fc_ast *value)
{
    const char *column = value->type == FC_AST_VLAN ? "vlan" : "mpls";
    char text[16];

    if (value->lo < 0) {
        fprintf(out, "isNotNull(%s)", column);
        return;
    }
    snprintf(text, sizeof text, ",%d,", (int)value->lo);
    put_item(out, column, ',', true, text);
}

static void put_tunnel(FILE *out, const struct fc_ast *value)
{
    struct fc_tunnel tunnel = {.kind = (uint32_t)value->lo, .id = (uint32_t)value->hi};
    char text[FC_TUNNEL_TEXT + 2] = "/";
    const char *id;

    if (value->lo < 0) {
        fputs("isNotNull(tunnel)", out);
        return;
    }
    if (value->hi >= 0) {
        size_t len = 1 + fc_tunnel_text(&tunnel, 1, text + 1, FC_TUNNEL_TEXT);
        strcpy(text + len, "/");
        put_item(out, "tunnel", '/', true, text);
        return;
    }
    snprintf(text, sizeof text, "/%s/", fc_tunnel_name((unsigned)value->lo, &id));
    fputc('(', out);
    put_item(out, "tunnel", '/', true, text);
    fputs(" OR ", out);
    text[strlen(text) - 1] = ':';
    put_item(out, "tunnel", '/', false, text);
    fputc(')', out);
}

/* A TTL of one end; where there is none, none is between two numbers. */
static void put_ttl(FILE *out, const char *end, const struct fc_ast *value)
{
    char number[40];

    snprintf(number, sizeof number, "ifNull(%s_ttl, 0)", end);
    fprintf(out, "(isNotNull(%s_ttl) AND ", end);
    put_bounds(out, number, value->lo, value->hi);
    fputc(')', out);
}

static void put_ttls(FILE *out, const struct fc_ast *value)
{
    bool both = value->ends == FC_ENDS_BOTH, two = both || value->ends == FC_ENDS_EITHER;

    fputc('(', out);
    if (value->ends != FC_ENDS_DST)
        put_ttl(out, "client", value);
    if (two)
        fputs(both ? " AND " : " OR ", out);
    if (value->ends != FC_ENDS_SRC)
        put_ttl(out, "server", value);
    fputc(')', out);
}

/* Of both directions together, what is known of one of them is all. */
static void put_payload(FILE *out, const struct fc_ast *value)
{
    static const char *const known[] = {"(isNotNull(client_payload) OR isNotNull(server_payload))",
                                        "isNotNull(client_payload)", "isNotNull(server_payload)"};
    static const char *const number[] = {"ifNull(client_payload, 0) + ifNull(server_payload, 0)",
                                         "ifNull(client_payload, 0)", "ifNull(server_payload, 0)"};

    fprintf(out, "(%s AND ", known[value->ends]);
    put_bounds(out, number[value->ends], value->lo, value->hi);
    fputc(')', out);
}

static void put_measure(FILE *out, const struct fc_ast *value)
{
    static const char *const numbers[][3] = {
        [FC_MEASURE_PACKETS] = {"client_packets + server_packets", "client_packets", "server_packets"},
        [FC_MEASURE_BYTES] = {"client_bytes + server_bytes", "client_bytes", "server_bytes"},
    };

    if (value->hi < 0 || value->hi < value->lo) {
        fputs("0", out); /* less than none */
    } else if (value->measure == FC_MEASURE_TTL) {
        put_ttls(out, value);
    } else if (value->measure == FC_MEASURE_PAYLOAD) {
        put_payload(out, value);
    } else {
        bool duration = value->measure == FC_MEASURE_DURATION;
        fputs(duration ? "(timed = 1 AND " : "(", out);
        put_bounds(out, duration ? "end_ns - start_ns" : numbers[value->measure][value->ends], value->lo, value->hi);
        fputc(')', out);
    }
}

static void put_flags(FILE *out, const struct fc_ast *value)
{
    static const char *const seen[] = {
        [FC_ENDS_EITHER] = "bitOr(ifNull(client_tcp_flags, 0), ifNull(server_tcp_flags, 0))",
        [FC_ENDS_SRC] = "ifNull(client_tcp_flags, 0)",
        [FC_ENDS_DST] = "ifNull(server_tcp_flags, 0)",
        [FC_ENDS_BOTH] = "bitAnd(ifNull(client_tcp_flags, 0), ifNull(server_tcp_flags, 0))",
    };

    fprintf(out, "bitAnd(%s, %" PRId64 ") = %" PRId64, seen[value->ends], value->lo, value->lo);
}

/* ---- the whole */

static void put_protocols(struct writing *w, const struct fc_plan *leaf)
{
    fputc('(', w->out);
    put_list(w->out, leaf, "proto");
    if (leaf->value[0]->family)
        fprintf(w->out, " AND kind = %d", leaf->value[0]->family);
    fputc(')', w->out);
}

static void put_times(struct writing *w, const struct fc_plan *leaf)
{
    fputs("(timed = 1", w->out);
    for (size_t i = 0; i < leaf->value_count; i++)
        fprintf(w->out, leaf->value[i]->type == FC_AST_AFTER ? " AND end_ns >= %" PRId64 : " AND start_ns < %" PRId64,
                leaf->value[i]->lo);
    fputc(')', w->out);
}

/* Single IDs are a list, others conditions. */
static void put_ids(struct writing *w, const struct fc_plan *leaf)
{
    bool single = true;

    for (size_t i = 0; i < leaf->value_count && single; i++)
        single = leaf->value[i]->lo == leaf->value[i]->hi;
    w->values += single ? leaf->value_count : 0;
    w->conditions += single ? 1 : leaf->value_count;
    if (single) {
        put_list(w->out, leaf, "id");
        return;
    }
    fputc('(', w->out);
    for (size_t i = 0; i < leaf->value_count; i++) {
        if (i)
            fputs(" OR ", w->out);
        put_bounds(w->out, "id", leaf->value[i]->lo, leaf->value[i]->hi);
    }
    fputc(')', w->out);
}

static void put_texts(struct writing *w, const struct fc_plan *leaf)
{
    w->values += leaf->value_count;
    put_list(w->out, leaf, leaf->value[0]->type == FC_AST_SENSOR ? "sensor" : "ifNull(community_id, '')");
}

static void put_leaf(struct writing *w, const struct fc_plan *leaf)
{
    const struct fc_ast *value = leaf->value[0];

    w->conditions++;
    switch (value->type) {
    case FC_AST_HOST:
    case FC_AST_NET:
        put_addresses(w, leaf);
        break;
    case FC_AST_MAC:
        put_macs(w, leaf);
        break;
    case FC_AST_PORT:
        put_ports(w, leaf);
        break;
    case FC_AST_FAMILY:
        fprintf(w->out, "(kind = %d AND proto < 256)", value->family);
        break;
    case FC_AST_PROTO:
        put_protocols(w, leaf);
        break;
    case FC_AST_VLAN:
    case FC_AST_MPLS:
        put_label(w->out, value);
        break;
    case FC_AST_TUNNEL:
        put_tunnel(w->out, value);
        break;
    case FC_AST_ID:
        put_ids(w, leaf);
        break;
    case FC_AST_STATE:
        put_list(w->out, leaf, "state");
        break;
    case FC_AST_COMMUNITY_ID:
    case FC_AST_SENSOR:
        put_texts(w, leaf);
        break;
    case FC_AST_FLAGS:
        put_flags(w->out, value);
        break;
    case FC_AST_MARK:
        fprintf(w->out, "bitAnd(flags, %" PRId64 ") != 0", value->lo);
        break;
    case FC_AST_MEASURE:
        put_measure(w->out, value);
        break;
    case FC_AST_AFTER:
    case FC_AST_BEFORE:
        put_times(w, leaf);
        break;
    default:
        w->file = true;
        fputs("0", w->out);
    }
}

static void put_plan(struct writing *w, const struct fc_plan *plan)
{
    if (plan->type == FC_PLAN_LEAF) {
        put_leaf(w, plan);
        return;
    }
    fputs(plan->type == FC_PLAN_NOT ? "(NOT " : "(", w->out);
    for (size_t i = 0; i < plan->child_count; i++) {
        if (i)
            fputs(plan->type == FC_PLAN_AND ? " AND " : " OR ", w->out);
        put_plan(w, plan->child[i]);
    }
    fputc(')', w->out);
}

int fc_engine_filter(FILE *out, const struct fc_plan *plan, struct fc_error *err)
{
    struct writing w = {.out = out};

    if (plan->height > FC_ENGINE_HEIGHT_MAX)
        return fc_error_set(err, FC_E_LIMIT, NULL, FC_NO_OFFSET,
                            "'and', 'or' and 'not' take turns more than %d times, which is too much for the engine",
                            FC_ENGINE_HEIGHT_MAX - 1);
    put_plan(&w, plan);
    if (w.file)
        return fc_error_set(err, FC_E_FILTER, NULL, FC_NO_OFFSET,
                            "'file' cannot be asked of many sensors: the names of captures stay where these are; ask "
                            "the sensor's own index");
    if (w.values > FC_ENGINE_VALUES_MAX || w.conditions > FC_ENGINE_CONDITIONS_MAX)
        return fc_error_set(
            err, FC_E_LIMIT, NULL, FC_NO_OFFSET,
            "the filter has %zu values in lists and %zu conditions; an engine is asked for at most %d and %d", w.values,
            w.conditions, FC_ENGINE_VALUES_MAX, FC_ENGINE_CONDITIONS_MAX);
    return 0;
}

/* ---- what a filter narrows */

static bool has_host(const struct fc_plan *plan)
{
    const struct fc_ast *value = plan->type == FC_PLAN_LEAF ? plan->value[0] : NULL;
    bool all = plan->type == FC_PLAN_OR, any = false;

    if (value)
        return value->type == FC_AST_HOST || (value->type == FC_AST_NET && fc_plan_is_range(value));
    for (size_t i = 0; i < plan->child_count && plan->type != FC_PLAN_NOT; i++) {
        bool has = has_host(plan->child[i]);
        any |= has;
        all &= has;
    }
    return plan->type == FC_PLAN_AND ? any : plan->type == FC_PLAN_OR && all;
}

/* Of conditions that must all hold one is enough: an address rather than a network. */
static const struct fc_plan *narrowest(const struct fc_plan *node)
{
    const struct fc_plan *best = NULL;

    for (size_t i = 0; i < node->child_count; i++) {
        const struct fc_plan *child = node->child[i];
        bool address = child->type == FC_PLAN_LEAF && child->value[0]->type == FC_AST_HOST;
        if (has_host(child) && (!best || address))
            best = child;
        if (address)
            break;
    }
    return best;
}

static void put_hosts(FILE *out, const struct fc_plan *plan)
{
    struct writing w = {.out = out};

    while (plan->type == FC_PLAN_AND)
        plan = narrowest(plan);
    if (plan->type == FC_PLAN_LEAF) {
        put_end(&w, plan, "addr");
        return;
    }
    fputc('(', out);
    for (size_t i = 0; i < plan->child_count; i++) {
        if (i)
            fputs(" OR ", out);
        put_hosts(out, plan->child[i]);
    }
    fputc(')', out);
}

bool fc_engine_hosts(FILE *out, const struct fc_plan *plan)
{
    bool has = has_host(plan);

    if (has)
        put_hosts(out, plan);
    return has;
}

static void keep_later(struct fc_engine_window *w, bool later, const struct fc_engine_window *other)
{
    if (other->has_after && (!w->has_after || (other->after > w->after) == later))
        w->after = other->after;
    if (other->has_before && (!w->has_before || (other->before < w->before) == later))
        w->before = other->before;
}

struct fc_engine_window fc_engine_window(const struct fc_plan *plan)
{
    struct fc_engine_window all = {0};

    for (size_t i = 0; plan->type == FC_PLAN_LEAF && i < plan->value_count; i++) {
        const struct fc_ast *value = plan->value[i];
        struct fc_engine_window one = {value->type == FC_AST_AFTER, value->type == FC_AST_BEFORE, value->lo, value->lo};
        keep_later(&all, true, &one);
        all.has_after |= one.has_after;
        all.has_before |= one.has_before;
    }
    for (size_t i = 0; (plan->type == FC_PLAN_AND || plan->type == FC_PLAN_OR) && i < plan->child_count; i++) {
        struct fc_engine_window one = fc_engine_window(plan->child[i]);
        if (i == 0) {
            all = one;
            continue;
        }
        bool together = plan->type == FC_PLAN_AND;
        keep_later(&all, together, &one);
        all.has_after = together ? all.has_after || one.has_after : all.has_after && one.has_after;
        all.has_before = together ? all.has_before || one.has_before : all.has_before && one.has_before;
    }
    return all;
}

/* What is known of a plan when a sensor is all that is known. */
enum known { FALSE, TRUE, OPEN };

static enum known known_of(const struct fc_plan *plan, const char *name)
{
    enum known decides = plan->type == FC_PLAN_OR ? TRUE : FALSE, all;

    if (plan->type == FC_PLAN_LEAF && plan->value[0]->type != FC_AST_SENSOR)
        return OPEN;
    for (size_t i = 0; plan->type == FC_PLAN_LEAF && i < plan->value_count; i++)
        if (strcmp(plan->value[i]->text, name) == 0)
            return TRUE;
    if (plan->type == FC_PLAN_LEAF)
        return FALSE;
    all = decides == TRUE ? FALSE : TRUE;
    for (size_t i = 0; i < plan->child_count; i++) {
        enum known one = known_of(plan->child[i], name);
        if (plan->type == FC_PLAN_NOT)
            return one == OPEN ? OPEN : one == TRUE ? FALSE : TRUE;
        if (one == decides)
            return decides;
        all = one == OPEN ? OPEN : all;
    }
    return all;
}

bool fc_engine_can_be_of(const struct fc_plan *plan, const char *name)
{
    return known_of(plan, name) != FALSE;
}
