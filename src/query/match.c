/* SPDX-License-Identifier: MIT */
#include "query/match.h"
#include "base/bytes.h"

static bool at_ends(const struct fc_ast *leaf, bool client, bool server)
{
    switch (leaf->ends) {
    case FC_ENDS_SRC:
        return client;
    case FC_ENDS_DST:
        return server;
    case FC_ENDS_BOTH:
        return client && server;
    default:
        return client || server;
    }
}

/* As a sample has them. */
static struct fc_sample_addr read_addr(int family, const uint8_t *bytes)
{
    struct fc_sample_addr addr = {{0}};

    if (family == FC_ADDR_IPV4)
        addr.word[0] = fc_load32(bytes, true);
    for (int i = 0; i < 2 && family == FC_ADDR_IPV6; i++)
        addr.word[i] = fc_load64(bytes + 8 * i, true);
    return addr;
}

static bool in_network(const struct fc_sample_addr *addr, const struct fc_sample_addr *net,
                       const struct fc_sample_addr *mask)
{
    return (addr->word[0] & mask->word[0]) == net->word[0] && (addr->word[1] & mask->word[1]) == net->word[1];
}

static bool match_address(const struct fc_ast *leaf, const struct fc_sample *s)
{
    struct fc_sample_addr addr = read_addr(leaf->family, leaf->addr), mask = {{UINT64_MAX, UINT64_MAX}};

    if (s->kind != leaf->family || (leaf->scope == FC_SCOPE_IP && s->proto > 255) ||
        (leaf->scope == FC_SCOPE_ARP && s->proto != FC_PROTO_ARP) ||
        (leaf->scope == FC_SCOPE_RARP && s->proto != FC_RARP))
        return false;
    if (leaf->type == FC_AST_NET)
        mask = read_addr(leaf->family, leaf->mask);
    return at_ends(leaf, in_network(&s->client, &addr, &mask), in_network(&s->server, &addr, &mask));
}

static bool match_port(const struct fc_ast *leaf, const struct fc_sample *s)
{
    unsigned transport = s->proto == 6     ? FC_TRANSPORT_TCP
                         : s->proto == 17  ? FC_TRANSPORT_UDP
                         : s->proto == 132 ? FC_TRANSPORT_SCTP
                                           : 0;

    return (leaf->transports & transport) && at_ends(leaf, s->client_port >= leaf->lo && s->client_port <= leaf->hi,
                                                     s->server_port >= leaf->lo && s->server_port <= leaf->hi);
}

static bool match_measure(const struct fc_ast *leaf, const struct fc_sample *s)
{
    bool packets = leaf->measure == FC_MEASURE_PACKETS;
    int64_t client = (int64_t)(packets ? s->client_packets : s->client_bytes);
    int64_t server = (int64_t)(packets ? s->server_packets : s->server_bytes), number;

    if (leaf->measure == FC_MEASURE_DURATION && !s->has_time)
        return false;
    number = leaf->measure == FC_MEASURE_DURATION ? s->end_ns - s->start_ns
             : leaf->ends == FC_ENDS_SRC          ? client
             : leaf->ends == FC_ENDS_DST          ? server
                                                  : client + server;
    return number >= leaf->lo && number <= leaf->hi;
}

static bool match_leaf(const struct fc_ast *leaf, const struct fc_sample *s)
{
    switch (leaf->type) {
    case FC_AST_HOST:
    case FC_AST_NET:
        return match_address(leaf, s);
    case FC_AST_PORT:
        return match_port(leaf, s);
    case FC_AST_FAMILY:
        return s->kind == leaf->family && s->proto < 256;
    case FC_AST_PROTO:
        return s->proto == leaf->lo && (!leaf->family || s->kind == leaf->family);
    case FC_AST_STATE:
        return s->state == leaf->lo;
    case FC_AST_MEASURE:
        return match_measure(leaf, s);
    case FC_AST_AFTER:
        return s->has_time && s->end_ns >= leaf->lo;
    default: /* FC_AST_BEFORE */
        return s->has_time && s->start_ns < leaf->lo;
    }
}

bool fc_matches(const struct fc_ast *tree, const struct fc_sample *sample)
{
    if (tree->type == FC_AST_NOT)
        return !fc_matches(tree->first, sample);
    if (tree->type != FC_AST_AND && tree->type != FC_AST_OR)
        return match_leaf(tree, sample);
    for (const struct fc_ast *child = tree->first; child; child = child->next)
        if (fc_matches(child, sample) == (tree->type == FC_AST_OR))
            return tree->type == FC_AST_OR;
    return tree->type == FC_AST_AND;
}

/* Notes how many leaves there are. */
static bool knows(const struct fc_ast *node, unsigned *leaves)
{
    enum { LEAVES_MAX = 24 };

    switch (node->type) {
    case FC_AST_AND:
    case FC_AST_OR:
    case FC_AST_NOT:
        for (const struct fc_ast *child = node->first; child; child = child->next)
            if (!knows(child, leaves))
                return false;
        return true;
    case FC_AST_MEASURE:
        if (node->ends == FC_ENDS_BOTH || (node->measure != FC_MEASURE_PACKETS && node->measure != FC_MEASURE_BYTES &&
                                           node->measure != FC_MEASURE_DURATION))
            return false;
        break;
    case FC_AST_HOST:
    case FC_AST_NET:
        if (node->family != FC_ADDR_IPV4 && node->family != FC_ADDR_IPV6)
            return false;
        break;
    case FC_AST_PORT:
    case FC_AST_FAMILY:
    case FC_AST_PROTO:
    case FC_AST_STATE:
    case FC_AST_AFTER:
    case FC_AST_BEFORE:
        break;
    default:
        return false;
    }
    return ++*leaves <= LEAVES_MAX;
}

bool fc_match_knows(const struct fc_ast *tree)
{
    unsigned leaves = 0;

    return knows(tree, &leaves);
}
