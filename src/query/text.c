/* SPDX-License-Identifier: MIT */
/* Leaves of a filter's tree in its own words. */
#include "query/addr.h"
#include "query/explain.h"
#include "query/words.h"
#include "store/record.h"

#include <flowcarve/state.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

static void write_mac(FILE *out, const uint8_t *mac)
{
    for (int i = 0; i < 6; i++)
        fprintf(out, "%s%02x", i ? ":" : "", mac[i]);
}

static void write_ends(FILE *out, const struct fc_ast *leaf)
{
    static const char *const ends[] = {"", "src ", "dst ", "src and dst "};

    fputs(ends[leaf->ends], out);
}

static void write_address(FILE *out, const struct fc_ast *leaf)
{
    static const char *const scopes[] = {"", "ip ", "arp ", "rarp "};
    char text[46];

    fputs(leaf->scope == FC_SCOPE_IP && leaf->family == FC_ADDR_IPV6 ? "ip6 " : scopes[leaf->scope], out);
    write_ends(out, leaf);
    fprintf(out, "%s %s", leaf->type == FC_AST_NET ? "net" : "host", fc_addr_print(leaf->family, leaf->addr, text));
    if (leaf->type != FC_AST_NET)
        return;
    int bits = fc_addr_prefix(leaf->mask, leaf->family == FC_ADDR_IPV6 ? 16 : 4);
    if (bits >= 0)
        fprintf(out, "/%d", bits);
    else
        fprintf(out, " mask %s", fc_addr_print(leaf->family, leaf->mask, text));
}

static void write_range(FILE *out, const char *one, const char *several, const struct fc_ast *leaf)
{
    if (leaf->lo == leaf->hi)
        fprintf(out, "%s %" PRId64, one, leaf->lo);
    else
        fprintf(out, "%s %" PRId64 "-%" PRId64, several, leaf->lo, leaf->hi);
}

static void write_proto(FILE *out, const struct fc_ast *leaf)
{
    uint32_t number = (uint32_t)leaf->lo;
    const char *name = fc_proto_name(number);

    if (leaf->family == FC_ADDR_IPV4 && number == 1)
        fputs("icmp", out);
    else if (leaf->family == FC_ADDR_IPV6 && number == 58)
        fputs("icmp6", out);
    else if (leaf->family || (!name && number < FC_PROTO_ETHERTYPE))
        fprintf(out, "%sproto %u", leaf->family == FC_ADDR_IPV6 ? "ip6 " : leaf->family ? "ip " : "", number);
    else if (name)
        fprintf(out, "proto %s", name);
    else if (number < FC_PROTO_LLC)
        fprintf(out, "proto 0x%04x", number - FC_PROTO_ETHERTYPE);
    else if (number < FC_PROTO_LINK)
        fprintf(out, "proto llc:0x%04x", number - FC_PROTO_LLC);
    else if (number >= FC_PROTO_PPP)
        fprintf(out, "proto ppp:0x%04x", number - FC_PROTO_PPP);
    else
        fprintf(out, "proto link:%u", number - FC_PROTO_LINK);
}

static void write_tunnel(FILE *out, const struct fc_ast *leaf)
{
    const char *id;

    fputs("tunnel", out);
    if (leaf->lo < 0)
        return;
    fprintf(out, " %s", fc_tunnel_name((unsigned)leaf->lo, &id));
    if (leaf->hi >= 0 && leaf->lo == FC_TUNNEL_L2TP)
        fprintf(out, ":%" PRId64 ".%" PRId64, leaf->hi >> 16, leaf->hi & 0xffff);
    else if (leaf->hi >= 0)
        fprintf(out, ":%" PRId64, leaf->hi);
}

static void write_state(FILE *out, int64_t state)
{
    fprintf(out, "state %s", fc_state_name((int)state));
}

static void write_mark(FILE *out, int64_t mark)
{
    if (mark & FC_ROW_REJECTED)
        fputs("state rejected", out);
    else
        fprintf(out, "reset by %s%s%s", mark & FC_ROW_RST_CLIENT ? "client" : "",
                mark == (FC_ROW_RST_CLIENT | FC_ROW_RST_SERVER) ? "," : "", mark & FC_ROW_RST_SERVER ? "server" : "");
}

static void write_flags(FILE *out, const struct fc_ast *leaf)
{
    static const char *const names[] = {"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"};
    char separator = ' ';

    write_ends(out, leaf);
    fputs("flags", out);
    for (int i = 0; i < 8; i++) {
        if (leaf->lo >> i & 1) {
            fprintf(out, "%c%s", separator, names[i]);
            separator = ',';
        }
    }
}

static void write_number(FILE *out, const struct fc_ast *leaf, int64_t number)
{
    char fraction[12];

    if (leaf->measure != FC_MEASURE_DURATION) {
        fprintf(out, "%" PRId64, number);
        return;
    }
    int len = snprintf(fraction, sizeof fraction, ".%09" PRId64, number % 1000000000);
    while (len > 0 && (fraction[len - 1] == '0' || fraction[len - 1] == '.'))
        fraction[--len] = '\0';
    fprintf(out, "%" PRId64 "%ss", number / 1000000000, fraction);
}

static void write_measure(FILE *out, const struct fc_ast *leaf)
{
    static const char *const names[] = {"packets", "bytes", "duration", "payload", "ttl"};

    write_ends(out, leaf);
    fputs(names[leaf->measure], out);
    if (leaf->hi < 0) { /* less than none */
        fputs(" under ", out);
        write_number(out, leaf, 0);
        return;
    }
    fputs(leaf->lo == leaf->hi    ? " = "
          : leaf->lo == INT64_MIN ? " at most "
          : leaf->hi == INT64_MAX ? " at least "
                                  : " between ",
          out);
    write_number(out, leaf, leaf->lo == INT64_MIN ? leaf->hi : leaf->lo);
    if (leaf->lo != leaf->hi && leaf->lo != INT64_MIN && leaf->hi != INT64_MAX) {
        fputs(" and ", out);
        write_number(out, leaf, leaf->hi);
    }
}

static void write_time(FILE *out, const char *word, int64_t ns)
{
    int64_t fraction = ns % 1000000000;
    time_t seconds = (time_t)(ns / 1000000000 - (fraction < 0));
    struct tm tm;
    char text[40];

    gmtime_r(&seconds, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    fprintf(out, "%s %s", word, text);
    if (fraction)
        fprintf(out, ".%09" PRId64, fraction < 0 ? fraction + 1000000000 : fraction);
    fputc('Z', out);
}

static void write_port(FILE *out, const struct fc_ast *leaf)
{
    static const char *const transports[] = {"", "tcp ", "udp ", "tcp/udp ", "sctp ", "tcp/sctp ", "udp/sctp ", ""};

    fputs(transports[leaf->transports & 7], out);
    write_ends(out, leaf);
    write_range(out, "port", "portrange", leaf);
}

void fc_ast_write(FILE *out, const struct fc_ast *leaf)
{
    switch (leaf->type) {
    case FC_AST_HOST:
    case FC_AST_NET:
        write_address(out, leaf);
        break;
    case FC_AST_MAC:
        fputs("ether ", out);
        write_ends(out, leaf);
        fputs("host ", out);
        write_mac(out, leaf->addr);
        break;
    case FC_AST_PORT:
        write_port(out, leaf);
        break;
    case FC_AST_FAMILY:
        fputs(leaf->family == FC_ADDR_IPV4 ? "ip" : "ip6", out);
        break;
    case FC_AST_PROTO:
        write_proto(out, leaf);
        break;
    case FC_AST_VLAN:
    case FC_AST_MPLS:
        fputs(leaf->type == FC_AST_VLAN ? "vlan" : "mpls", out);
        if (leaf->lo >= 0)
            fprintf(out, " %" PRId64, leaf->lo);
        break;
    case FC_AST_TUNNEL:
        write_tunnel(out, leaf);
        break;
    case FC_AST_ID:
        write_range(out, "id", "id", leaf);
        break;
    case FC_AST_STATE:
        write_state(out, leaf->lo);
        break;
    case FC_AST_COMMUNITY_ID:
        fprintf(out, "community-id %s", leaf->text);
        break;
    case FC_AST_SENSOR:
        fprintf(out, "sensor %s", leaf->text);
        break;
    case FC_AST_FILE:
        fprintf(out, strchr(leaf->text, '"') ? "file '%s'" : "file \"%s\"", leaf->text);
        break;
    case FC_AST_FLAGS:
        write_flags(out, leaf);
        break;
    case FC_AST_MARK:
        write_mark(out, leaf->lo);
        break;
    case FC_AST_MEASURE:
        write_measure(out, leaf);
        break;
    default:
        write_time(out, leaf->type == FC_AST_AFTER ? "after" : "before", leaf->lo);
    }
}
