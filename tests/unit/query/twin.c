/* SPDX-License-Identifier: MIT */
/* The naive twin of the SQL, and trees as text. */
#include "query_test.h"

#include <arpa/inet.h>

static bool in_network(const struct fc_ast *node, const uint8_t *addr)
{
    unsigned size = node->family == FC_ADDR_IPV6 ? 16 : node->family == FC_ADDR_IPV4 ? 4 : 6;

    for (unsigned i = 0; i < size; i++) {
        uint8_t mask = node->type == FC_AST_NET ? node->mask[i] : 0xff;
        if ((addr[i] & mask) != node->addr[i])
            return false;
    }
    return true;
}

static bool at_ends(const struct fc_ast *node, bool client, bool server)
{
    switch (node->ends) {
    case FC_ENDS_SRC:
        return test_planted ? server : client;
    case FC_ENDS_DST:
        return server;
    case FC_ENDS_BOTH:
        return client && server;
    default:
        return client || server;
    }
}

static bool match_address(const struct fc_ast *node, const struct fc_session *s)
{
    if (s->kind != node->family)
        return false;
    if ((node->scope == FC_SCOPE_IP && s->proto > 255) || (node->scope == FC_SCOPE_ARP && s->proto != FC_PROTO_ARP) ||
        (node->scope == FC_SCOPE_RARP && s->proto != FC_RARP))
        return false;
    return at_ends(node, in_network(node, s->client_addr), in_network(node, s->server_addr));
}

static bool match_mac(const struct fc_ast *node, const struct fc_session *s)
{
    return (s->kind == FC_ADDR_MAC &&
            at_ends(node, in_network(node, s->client_addr), in_network(node, s->server_addr))) ||
           at_ends(node, s->client_mac && in_network(node, s->client_mac),
                   s->server_mac && in_network(node, s->server_mac));
}

static bool match_port(const struct fc_ast *node, const struct fc_session *s)
{
    unsigned transport = s->proto == 6 ? 1 : s->proto == 17 ? 2 : s->proto == 132 ? 4 : 0;

    return (node->transports & transport) && at_ends(node, s->client_port >= node->lo && s->client_port <= node->hi,
                                                     s->server_port >= node->lo && s->server_port <= node->hi);
}

static bool match_stack(int64_t wanted, const char *stack)
{
    while (stack && *stack) {
        char *end;
        long id = strtol(stack, &end, 10);
        if (wanted < 0 || id == wanted)
            return true;
        stack = *end ? end + 1 : end;
    }
    return false;
}

/* An encapsulation of the stack has the kind and, when one is wanted, the id. */
static bool match_tunnel(const struct fc_ast *node, const char *stack)
{
    while (stack && *stack) {
        char part[48], *id;
        size_t len = strcspn(stack, "/");
        const char *of;
        snprintf(part, sizeof part, "%.*s", (int)len, stack);
        if ((id = strchr(part, ':')))
            *id++ = '\0';
        unsigned high = 0, low = 0;
        int64_t number = -1;
        if (id)
            number = sscanf(id, "%u.%u", &high, &low) == 2 ? (int64_t)high << 16 | low : (int64_t)high;
        if (node->lo < 0 ||
            (strcmp(part, fc_tunnel_name((unsigned)node->lo, &of)) == 0 && (node->hi < 0 || node->hi == number)))
            return true;
        stack += len + (stack[len] == '/');
    }
    return false;
}

static bool within(const struct fc_ast *node, int64_t number)
{
    return number >= node->lo && number <= node->hi;
}

static bool match_measure(const struct fc_ast *node, const struct fc_session *s)
{
    const struct {
        bool client, server; /* there is a number */
        int64_t of_client, of_server;
    } sides[] = {
        [FC_MEASURE_PACKETS] = {true, true, (int64_t)s->client_packets, (int64_t)s->server_packets},
        [FC_MEASURE_BYTES] = {true, true, (int64_t)s->client_bytes, (int64_t)s->server_bytes},
        [FC_MEASURE_DURATION] = {s->has_time, false, s->end_ns - s->start_ns, 0},
        [FC_MEASURE_PAYLOAD] = {s->client_payload >= 0, s->server_payload >= 0, s->client_payload, s->server_payload},
        [FC_MEASURE_TTL] = {s->client_ttl >= 0, s->server_ttl >= 0, s->client_ttl, s->server_ttl},
    };
    bool client = sides[node->measure].client, server = sides[node->measure].server;
    int64_t of_client = client ? sides[node->measure].of_client : 0;
    int64_t of_server = server ? sides[node->measure].of_server : 0;

    if (node->measure == FC_MEASURE_TTL || node->ends != FC_ENDS_EITHER)
        return at_ends(node, client && within(node, of_client), server && within(node, of_server));
    return (client || server) && within(node, of_client + of_server);
}

static bool match_flags(const struct fc_ast *node, const struct fc_session *s)
{
    int64_t client = s->client_tcp_flags < 0 ? 0 : s->client_tcp_flags;
    int64_t server = s->server_tcp_flags < 0 ? 0 : s->server_tcp_flags;

    if (node->ends == FC_ENDS_EITHER)
        return ((client | server) & node->lo) == node->lo;
    return at_ends(node, (client & node->lo) == node->lo, (server & node->lo) == node->lo);
}

bool test_matches(const struct fc_ast *node, const struct fc_session *s)
{
    bool all = true, any = false;

    for (const struct fc_ast *child = node->first; child; child = child->next) {
        bool is = test_matches(child, s);
        all &= is;
        any |= is;
    }
    switch (node->type) {
    case FC_AST_AND:
        return all;
    case FC_AST_OR:
        return any;
    case FC_AST_NOT:
        return !all;
    case FC_AST_HOST:
    case FC_AST_NET:
        return match_address(node, s);
    case FC_AST_MAC:
        return match_mac(node, s);
    case FC_AST_PORT:
        return match_port(node, s);
    case FC_AST_FAMILY:
        return s->kind == node->family && s->proto < 256;
    case FC_AST_PROTO:
        return s->proto == node->lo && (node->family == 0 || s->kind == node->family);
    case FC_AST_VLAN:
        return match_stack(node->lo, s->vlan);
    case FC_AST_MPLS:
        return match_stack(node->lo, s->mpls);
    case FC_AST_TUNNEL:
        return match_tunnel(node, s->tunnel);
    case FC_AST_ID:
        return s->id >= node->lo && s->id <= node->hi;
    case FC_AST_STATE:
        return s->state == node->lo;
    case FC_AST_COMMUNITY_ID:
        return s->community_id && strcmp(s->community_id, node->text) == 0;
    case FC_AST_SENSOR:
    case FC_AST_FILE:
        return false; /* the sessions of these suites are in no capture */
    case FC_AST_FLAGS:
        return match_flags(node, s);
    case FC_AST_MARK:
        return (((const struct test_session *)s)->flags & node->lo) != 0;
    case FC_AST_MEASURE:
        return match_measure(node, s);
    case FC_AST_AFTER:
        return s->has_time && s->end_ns >= node->lo;
    case FC_AST_BEFORE:
        return s->has_time && s->start_ns < node->lo;
    }
    return false;
}

static void print_address(FILE *out, const struct fc_ast *node)
{
    static const char *const scopes[] = {"", "ip ", "arp ", "rarp "};
    char text[64];
    unsigned bits = 0;

    fputs(node->scope == FC_SCOPE_IP && node->family == FC_ADDR_IPV6 ? "ip6 " : scopes[node->scope], out);
    fprintf(out, "%s ", node->type == FC_AST_NET ? "net" : "host");
    fputs(inet_ntop(node->family == 6 ? AF_INET6 : AF_INET, node->addr, text, sizeof text), out);
    if (node->type != FC_AST_NET)
        return;
    while (bits < 128 && node->mask[bits / 8] >> (7 - bits % 8) & 1)
        bits++;
    fprintf(out, "/%u", bits);
    for (; bits < 32; bits++)
        if (node->mask[bits / 8] >> (7 - bits % 8) & 1) {
            fprintf(out, " mask %s", inet_ntop(AF_INET, node->mask, text, sizeof text));
            break;
        }
}

static void print_range(FILE *out, const char *word, const struct fc_ast *node)
{
    fprintf(out, "%s %lld", word, (long long)node->lo);
    if (node->hi != node->lo)
        fprintf(out, "-%lld", (long long)node->hi);
}

static void print_measure(FILE *out, const struct fc_ast *node)
{
    static const char *const names[] = {"packets", "bytes", "duration", "payload", "ttl"};

    fputs(names[node->measure], out);
    if (node->lo != INT64_MIN)
        fprintf(out, " from %lld", (long long)node->lo);
    if (node->hi != INT64_MAX)
        fprintf(out, " to %lld", (long long)node->hi);
}

static void print_leaf(FILE *out, const struct fc_ast *node)
{
    static const char *const transports[] = {"", "tcp ", "udp ", "tcp/udp ", "sctp ", "tcp/sctp ", "udp/sctp ", ""};
    static const char *const ends[] = {"", "src ", "dst ", "src and dst "};
    static const char *const families[] = {[0] = "", [4] = "ip ", [6] = "ip6 "};

    fputs(ends[node->ends], out);
    switch (node->type) {
    case FC_AST_MAC:
        fputs("ether host ", out);
        for (int i = 0; i < 6; i++)
            fprintf(out, "%s%02x", i ? ":" : "", node->addr[i]);
        break;
    case FC_AST_PORT:
        fputs(transports[node->transports], out);
        print_range(out, "port", node);
        break;
    case FC_AST_FAMILY:
        fputs(node->family == 4 ? "ip" : "ip6", out);
        break;
    case FC_AST_PROTO:
        fprintf(out, "%sproto %lld", families[node->family], (long long)node->lo);
        break;
    case FC_AST_VLAN:
    case FC_AST_MPLS:
        fputs(node->type == FC_AST_VLAN ? "vlan" : "mpls", out);
        if (node->lo >= 0)
            fprintf(out, " %lld", (long long)node->lo);
        break;
    case FC_AST_TUNNEL: {
        const char *id = NULL;
        fprintf(out, "tunnel%s%s", node->lo >= 0 ? " " : "",
                node->lo >= 0 ? fc_tunnel_name((unsigned)node->lo, &id) : "");
        if (node->hi >= 0)
            fprintf(out, ":%lld", (long long)node->hi);
        break;
    }
    case FC_AST_ID:
        print_range(out, "id", node);
        break;
    case FC_AST_STATE:
        fprintf(out, "state %lld", (long long)node->lo);
        break;
    case FC_AST_COMMUNITY_ID:
        fprintf(out, "community-id %s", node->text);
        break;
    case FC_AST_FILE:
        fprintf(out, "file %s", node->text);
        break;
    case FC_AST_FLAGS:
        fprintf(out, "flags %lld", (long long)node->lo);
        break;
    case FC_AST_MARK:
        fprintf(out, "mark %lld", (long long)node->lo);
        break;
    case FC_AST_MEASURE:
        print_measure(out, node);
        break;
    case FC_AST_AFTER:
    case FC_AST_BEFORE:
        fprintf(out, "%s %lld", node->type == FC_AST_AFTER ? "after" : "before", (long long)node->lo);
        break;
    default:
        print_address(out, node);
    }
}

static void print_node(FILE *out, const struct fc_ast *node)
{
    if (!node->first) {
        print_leaf(out, node);
        return;
    }
    fputs(node->type == FC_AST_NOT ? "(not " : "(", out);
    for (const struct fc_ast *child = node->first; child; child = child->next) {
        print_node(out, child);
        if (child->next)
            fputs(node->type == FC_AST_AND ? " and " : " or ", out);
    }
    fputs(")", out);
}

char *test_tree(const struct fc_filter *filter)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (filter->root)
        print_node(out, filter->root);
    fclose(out);
    return text;
}
