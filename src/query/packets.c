/* SPDX-License-Identifier: MIT */
/* Filters for packets that are equal to one for sessions. */
#include "query/addr.h"
#include "query/explain.h"
#include "query/plan.h"

#include <inttypes.h>
#include <string.h>

static bool tells_ends_apart(const struct fc_ast *leaf)
{
    return leaf->ends == FC_ENDS_SRC || leaf->ends == FC_ENDS_DST;
}

/* The protocol `number` of IP, by the family or in both. */
static void write_ip_proto(FILE *out, const struct fc_ast *leaf, const char *ip, const char *ip6, const char *either)
{
    bool both = !leaf->family;

    fputs(both ? "(" : "", out);
    if (leaf->family != FC_ADDR_IPV6)
        fprintf(out, "%s %" PRId64 "%s", ip, leaf->lo, both ? either : "");
    if (leaf->family != FC_ADDR_IPV4)
        fprintf(out, "%s %" PRId64, ip6, leaf->lo);
    fputs(both ? ")" : "", out);
}

static bool bpf_proto(FILE *out, const struct fc_ast *leaf)
{
    switch (leaf->lo) {
    case 6:
    case 17:
    case 132:
        if (leaf->family)
            break;
        fputs(leaf->lo == 6 ? "tcp" : leaf->lo == 17 ? "udp" : "sctp", out);
        return true;
    case FC_PROTO_ARP:
    case FC_RARP:
        fputs(leaf->lo == FC_PROTO_ARP ? "arp" : "rarp", out);
        return true;
    default:
        break;
    }
    if (leaf->lo < FC_PROTO_ETHERTYPE) {
        write_ip_proto(out, leaf, "ip proto", "ip6 proto", " or ");
        return true;
    }
    if (leaf->lo < FC_PROTO_LLC)
        fprintf(out, "ether proto 0x%04" PRIx64, leaf->lo - FC_PROTO_ETHERTYPE);
    return leaf->lo < FC_PROTO_LLC;
}

static bool bpf_port(FILE *out, const struct fc_ast *leaf, bool sides)
{
    static const char *const transports[] = {"tcp", "udp", "sctp"};
    struct fc_ast one = *leaf;
    bool first = true, several = leaf->transports != FC_TRANSPORT_ANY && (leaf->transports & (leaf->transports - 1));

    if (tells_ends_apart(leaf) && !sides)
        return false;
    if (!several) {
        fc_ast_write(out, leaf);
        return true;
    }
    fputc('(', out);
    for (unsigned i = 0; i < sizeof transports / sizeof transports[0]; i++) {
        one.transports = (uint8_t)(leaf->transports & 1u << i);
        if (!one.transports)
            continue;
        fputs(first ? "" : " or ", out);
        fc_ast_write(out, &one);
        first = false;
    }
    fputc(')', out);
    return true;
}

bool fc_bpf_leaf(FILE *out, const struct fc_ast *leaf, bool sides)
{
    switch (leaf->type) {
    case FC_AST_HOST:
    case FC_AST_NET:
        if (tells_ends_apart(leaf) && !sides)
            return false;
        /* fall through */
    case FC_AST_FAMILY:
        fc_ast_write(out, leaf);
        return true;
    case FC_AST_PORT:
        return bpf_port(out, leaf, sides);
    case FC_AST_PROTO:
        return bpf_proto(out, leaf);
    default:
        return false;
    }
}

/* A value at one end, at either, or at both: in the field of either, or in a pair of fields. */
static void write_ends(FILE *out, const struct fc_ast *leaf, const char *const fields[3], const char *value)
{
    if (leaf->ends == FC_ENDS_BOTH || (leaf->ends == FC_ENDS_EITHER && !fields[FC_ENDS_EITHER]))
        fprintf(out, "(%s %s %s %s %s)", fields[FC_ENDS_SRC], value, leaf->ends == FC_ENDS_BOTH ? "&&" : "||",
                fields[FC_ENDS_DST], value);
    else
        fprintf(out, "%s %s", fields[leaf->ends], value);
}

static bool display_address(FILE *out, const struct fc_ast *leaf, bool sides)
{
    static const char *const ip[] = {"ip.addr", "ip.src", "ip.dst"},
                             *const ip6[] = {"ipv6.addr", "ipv6.src", "ipv6.dst"},
                             *const arp[] = {NULL, "arp.src.proto_ipv4", "arp.dst.proto_ipv4"};
    bool six = leaf->family == FC_ADDR_IPV6, any = leaf->scope == FC_SCOPE_ANY && !six;
    char addr[46], value[64];

    if ((tells_ends_apart(leaf) && !sides) || leaf->scope == FC_SCOPE_RARP ||
        (leaf->type == FC_AST_NET && !fc_plan_is_range(leaf)))
        return false;
    int len = snprintf(value, sizeof value, "== %s", fc_addr_print(leaf->family, leaf->addr, addr));
    if (leaf->type == FC_AST_NET)
        snprintf(value + len, sizeof value - (size_t)len, "/%d", fc_addr_prefix(leaf->mask, six ? 16 : 4));
    fputs(any ? "(" : "", out);
    if (leaf->scope != FC_SCOPE_ARP)
        write_ends(out, leaf, six ? ip6 : ip, value);
    fputs(any ? " || " : "", out);
    if (any || leaf->scope == FC_SCOPE_ARP)
        write_ends(out, leaf, arp, value);
    fputs(any ? ")" : "", out);
    return true;
}

static bool display_port(FILE *out, const struct fc_ast *leaf, bool sides)
{
    static const char *const fields[][3] = {{"tcp.port", "tcp.srcport", "tcp.dstport"},
                                            {"udp.port", "udp.srcport", "udp.dstport"},
                                            {"sctp.port", "sctp.srcport", "sctp.dstport"}};
    bool first = true, several = (leaf->transports & (leaf->transports - 1)) != 0;
    char value[48];

    if (tells_ends_apart(leaf) && !sides)
        return false;
    if (leaf->lo == leaf->hi)
        snprintf(value, sizeof value, "== %" PRId64, leaf->lo);
    else
        snprintf(value, sizeof value, "in {%" PRId64 "..%" PRId64 "}", leaf->lo, leaf->hi);
    fputs(several ? "(" : "", out);
    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (!(leaf->transports & 1u << i))
            continue;
        fputs(first ? "" : " || ", out);
        write_ends(out, leaf, fields[i], value);
        first = false;
    }
    fputs(several ? ")" : "", out);
    return true;
}

static bool display_proto(FILE *out, const struct fc_ast *leaf)
{
    static const struct {
        int64_t number;
        int family;
        const char *name;
    } names[] = {{6, 0, "tcp"},
                 {17, 0, "udp"},
                 {132, 0, "sctp"},
                 {1, FC_ADDR_IPV4, "icmp"},
                 {58, FC_ADDR_IPV6, "icmpv6"},
                 {FC_PROTO_ARP, 0, "arp"}};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].number == leaf->lo && names[i].family == leaf->family) {
            fputs(names[i].name, out);
            return true;
        }
    }
    if (leaf->lo < FC_PROTO_ETHERTYPE) {
        write_ip_proto(out, leaf, "ip.proto ==", "ipv6.nxt ==", " || ");
        return true;
    }
    if (leaf->lo < FC_PROTO_LLC)
        fprintf(out, "eth.type == 0x%04" PRIx64, leaf->lo - FC_PROTO_ETHERTYPE);
    return leaf->lo < FC_PROTO_LLC;
}

bool fc_display_leaf(FILE *out, const struct fc_ast *leaf, bool sides)
{
    switch (leaf->type) {
    case FC_AST_HOST:
    case FC_AST_NET:
        return display_address(out, leaf, sides);
    case FC_AST_PORT:
        return display_port(out, leaf, sides);
    case FC_AST_FAMILY:
        fputs(leaf->family == FC_ADDR_IPV4 ? "ip" : "ipv6", out);
        return true;
    case FC_AST_PROTO:
        return display_proto(out, leaf);
    default:
        return false;
    }
}

/* The same of src as the other is of dst: together they are about both directions. */
static bool is_mirrored(const struct fc_ast *a, const struct fc_ast *b)
{
    static const uint8_t other[] = {FC_ENDS_EITHER, FC_ENDS_DST, FC_ENDS_SRC, FC_ENDS_BOTH};
    const struct fc_ast *x = a->first, *y = b->first;

    if (a->type != b->type || a->child_count != b->child_count)
        return false;
    for (; x && y; x = x->next, y = y->next)
        if (!is_mirrored(x, y))
            return false;
    return a->ends == other[b->ends] && a->scope == b->scope && a->family == b->family &&
           a->transports == b->transports && a->measure == b->measure && a->lo == b->lo && a->hi == b->hi &&
           a->text == b->text && memcmp(a->addr, b->addr, sizeof a->addr) == 0 &&
           memcmp(a->mask, b->mask, sizeof a->mask) == 0;
}

struct packets {
    FILE *out;
    fc_packet_writer *write;
};

static const struct fc_ast *write_node(const struct packets *p, const struct fc_ast *node, bool root, bool sides)
{
    bool display = p->write == fc_display_leaf, second = false;
    const char *op = node->type == FC_AST_AND ? (display ? " && " : " and ") : display ? " || " : " or ";

    if (!node->first)
        return p->write(p->out, node, sides) ? NULL : node;
    if (node->type == FC_AST_NOT) {
        fputs(display ? "!(" : "not (", p->out);
        const struct fc_ast *lacks = write_node(p, node->first, true, sides);
        fputc(')', p->out);
        return lacks;
    }
    fputs(root ? "" : "(", p->out);
    for (const struct fc_ast *child = node->first; child; child = child->next) {
        bool pair = second || (child->next && is_mirrored(child, child->next));
        const struct fc_ast *lacks = write_node(p, child, false, sides || pair);

        if (lacks)
            return lacks;
        second = pair && !second;
        fputs(child->next ? op : root ? "" : ")", p->out);
    }
    return NULL;
}

const struct fc_ast *fc_packets_write(FILE *out, fc_packet_writer *write, const struct fc_ast *root)
{
    struct packets p = {out, write};

    return write_node(&p, root, true, false);
}
