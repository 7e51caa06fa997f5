/* SPDX-License-Identifier: MIT */
/*
 * The word in front of the place decides: behind `port` stand services, behind a condition `and` and `or`. What is a
 * condition the parser tells.
 */
#include "base/export.h"
#include "query/ast.h"
#include "query/lex.h"
#include "query/words.h"

#include <flowcarve/complete.h>
#include <flowcarve/decode.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct word {
    const char *text, *about;
};

static const struct word starts[] = {
    {"host", "sessions of a host, at either end"},
    {"port", "a port by number or service, at either end"},
    {"net", "a network: net 10.0.0.0/8"},
    {"client", "in front of host, net, port, packets...: of the client"},
    {"server", "in front of host, net, port, packets...: of the server"},
    {"state", "new, established, closed, reset, midstream, rejected"},
    {"bytes", "bytes over 10M"},
    {"packets", "packets under 3"},
    {"duration", "duration at least 1h"},
    {"between", "active between two times"},
    {"after", "active at a time or later"},
    {"before", "active before a time"},
    {"during", "active in the month, day, minute or second named"},
    {"on", "active on a day"},
    {"at", "active at a time"},
    {"proto", "a protocol by name or number"},
    {"portrange", "a range of ports: portrange 8000-8100"},
    {"not", "what does not match"},
    {"id", "sessions by their IDs: id 1,5-30"},
    {"file", "in captures of that name"},
    {"flags", "TCP flags that were seen: flags syn,ack"},
    {"reset", "reset by client, reset by server"},
    {"vlan", "VLAN ids"},
    {"mpls", "MPLS labels"},
    {"tunnel", "encapsulations: tunnel vxlan 42"},
    {"payload", "bytes above layer 4"},
    {"ttl", "of the first packet"},
    {"community-id", "a Community ID"},
    {"sensor", "of a sensor, where many are asked"},
    {"src", "as client"},
    {"dst", "as server"},
    {NULL, NULL},
};
static const struct word joins[] = {{"and", "both must hold"}, {"or", "one of them"}, {NULL, NULL}};
static const struct word protocols[] = {{"tcp", NULL}, {"udp", NULL},  {"icmp", NULL},  {"icmp6", NULL}, {"sctp", NULL},
                                        {"arp", NULL}, {"ip", "IPv4"}, {"ip6", "IPv6"}, {NULL, NULL}};
static const struct word states[] = {{"new", "one end only, or not answered yet"},
                                     {"established", "both ends have sent"},
                                     {"closed", "ended by both"},
                                     {"reset", "ended by a RST"},
                                     {"midstream", "picked up in the middle"},
                                     {"rejected", "a SYN that was answered by RST"},
                                     {NULL, NULL}};
static const struct word flags[] = {{"fin", NULL}, {"syn", NULL}, {"rst", NULL}, {"psh", NULL}, {"ack", NULL},
                                    {"urg", NULL}, {"ece", NULL}, {"cwr", NULL}, {NULL, NULL}};
static const struct word ends[] = {{"client", NULL}, {"server", NULL}, {NULL, NULL}};
static const struct word of_ends[] = {{"host", NULL},    {"port", NULL},  {"net", NULL},     {"portrange", NULL},
                                      {"packets", NULL}, {"bytes", NULL}, {"payload", NULL}, {"ttl", NULL},
                                      {"flags", NULL},   {NULL, NULL}};
static const struct word by[] = {{"by", NULL}, {NULL, NULL}};
static const struct word compares[] = {{"over", NULL},    {"under", NULL},   {"at least", NULL},
                                       {"at most", NULL}, {"between", NULL}, {NULL, NULL}};
static const struct word times[] = {{"today", NULL},   {"yesterday", NULL}, {"1h ago", NULL},
                                    {"24h ago", NULL}, {"7d ago", NULL},    {NULL, NULL}};
static const struct word units[] = {{"1k", "1000"},  {"1M", "1000 k"},   {"1G", "1000 M"},
                                    {"1Ki", "1024"}, {"1Mi", "1024 Ki"}, {NULL, NULL}};
static const struct word lengths[] = {{"100ms", NULL}, {"1s", NULL}, {"1m", "a minute"},
                                      {"1h", NULL},    {"1d", NULL}, {NULL, NULL}};

struct completing {
    fc_proposal_take *take;
    void *ctx;
    const char *part; /* what is there already */
    size_t len;
    bool inside; /* those that have it inside, in place of those that begin with it */
    bool full;
};

static bool contains(const char *text, const char *part, size_t len)
{
    for (; *text; text++)
        if (strncasecmp(text, part, len) == 0)
            return true;
    return len == 0;
}

static void propose(struct completing *c, const char *text, const char *kind, const char *about)
{
    bool begins = strncasecmp(text, c->part, c->len) == 0;

    if (c->full || (c->inside ? begins || c->len < 2 || !contains(text, c->part, c->len) : !begins))
        return;
    c->full = !c->take(c->ctx, &(struct fc_proposal){text, kind, about});
}

static void propose_all(struct completing *c, const struct word *words, const char *kind)
{
    for (; words->text; words++)
        propose(c, words->text, kind, words->about);
}

/* Protocols by all names there are, behind the usual ones. */
static void propose_protocols(struct completing *c)
{
    const char *name;

    propose_all(c, protocols, "protocol");
    for (unsigned i = 0; fc_proto_at(i, &name) >= 0; i++) {
        bool usual = false;
        for (const struct word *w = protocols; w->text; w++)
            usual |= strcmp(w->text, name) == 0;
        /* link types are many, and nobody looks for them by a part of their names */
        if (!usual && !(c->inside && strncmp(name, "link-", 5) == 0))
            propose(c, name, "protocol", NULL);
    }
}

static void propose_tunnels(struct completing *c)
{
    const char *id, *name;

    for (unsigned kind = 1; (name = fc_tunnel_name(kind, &id)); kind++)
        propose(c, name, "tunnel", id);
}

static void propose_services(struct completing *c)
{
    const char *name;

    for (unsigned i = 0; (name = fc_service_at(i)); i++)
        propose(c, name, "service", NULL);
}

/* The condition that is complete in front of the word; "": there is none. */
static bool is_condition(const char *text, size_t len)
{
    char *front = strndup(text, len);
    struct fc_filter *filter = NULL;
    bool is = front && front[strspn(front, " \t\r\n(")] && fc_filter_parse(front, 1, &filter, NULL) == 0;

    /* in an open parenthesis the rest of it counts */
    for (size_t i = 0; front && !is && i < len; i++)
        if (front[i] == '(')
            is = front[i + 1 + strspn(front + i + 1, " \t\r\n(")] &&
                 fc_filter_parse(front + i + 1, 1, &filter, NULL) == 0;
    fc_filter_free(filter);
    free(front);
    return is;
}

/* What the words in front say. */
static void propose_here(struct completing *c, const char *text, size_t start, const struct fc_token last[2],
                         enum fc_proposal_names *names)
{
    int value = 0;
    enum fc_word_kind kind = fc_word_kind(&last[0], &value);
    int before, before_kind = fc_word_kind(&last[1], &before);
    bool comma = last[0].type == FC_TOKEN_COMMA, measured = false;

    if (comma) { /* another value of a list */
        kind = (enum fc_word_kind)before_kind;
        value = before;
    }
    if (kind == FC_WORD_OTHER && (fc_token_is(&last[0], "over") || fc_token_is(&last[0], "under") ||
                                  fc_token_is(&last[0], "least") || fc_token_is(&last[0], "most")))
        measured = true;
    if (measured) {
        const char *word = memmem(text, start, "duration", 8);
        propose_all(c, word ? lengths : units, "unit");
    } else if (kind == FC_WORD_OTHER && fc_token_is(&last[0], "by")) {
        propose_all(c, ends, "word");
    } else if (kind == FC_WORD_ENDS && !(before_kind == FC_WORD_OTHER && fc_token_is(&last[1], "by"))) {
        propose_all(c, of_ends, "word");
    } else if (kind == FC_WORD_TYPE) {
        switch (value) {
        case FC_QUAL_PORT:
        case FC_QUAL_PORTRANGE:
            propose_services(c);
            break;
        case FC_QUAL_PROTO:
            propose_protocols(c);
            break;
        case FC_QUAL_STATE:
            propose_all(c, states, "state");
            break;
        case FC_QUAL_FLAGS:
            propose_all(c, flags, "flag");
            break;
        case FC_QUAL_TUNNEL:
            propose_tunnels(c);
            break;
        case FC_QUAL_RESET:
            propose_all(c, by, "word");
            break;
        case FC_QUAL_PACKETS:
        case FC_QUAL_BYTES:
        case FC_QUAL_DURATION:
        case FC_QUAL_PAYLOAD:
        case FC_QUAL_TTL:
            propose_all(c, compares, "word");
            break;
        case FC_QUAL_AFTER:
        case FC_QUAL_BEFORE:
        case FC_QUAL_BETWEEN:
        case FC_QUAL_AT:
        case FC_QUAL_ON:
        case FC_QUAL_DURING:
            propose_all(c, times, "time");
            break;
        case FC_QUAL_FILE:
            *names = FC_NAMES_OF_FILES;
            break;
        case FC_QUAL_SENSOR:
            *names = FC_NAMES_OF_SENSORS;
            break;
        default:
            break;
        }
    } else if (is_condition(text, start)) {
        propose_all(c, joins, "word");
    } else {
        propose_all(c, starts, "word");
        propose_protocols(c);
    }
}

FC_EXPORT void fc_filter_complete(const char *text, size_t at, fc_proposal_take *take, void *ctx, size_t *start,
                                  enum fc_proposal_names *names)
{
    struct fc_token last[3] = {{.type = FC_TOKEN_END}, {.type = FC_TOKEN_END}, {.type = FC_TOKEN_END}};
    struct fc_token token;
    char *front = strndup(text, at);

    *start = at;
    *names = FC_NAMES_NONE;
    if (!front)
        return;
    at = strlen(front);
    for (size_t off = 0; (token = fc_lex(front, off)).type != FC_TOKEN_END; off = token.off + token.span) {
        bool here = token.off + token.span == at && (token.type == FC_TOKEN_WORD || token.type == FC_TOKEN_AND ||
                                                     token.type == FC_TOKEN_OR || token.type == FC_TOKEN_NOT);
        if (here && front[token.off] != '&' && front[token.off] != '|' && front[token.off] != '!') {
            *start = token.off;
            break;
        }
        last[2] = last[1];
        last[1] = last[0];
        last[0] = token;
    }
    /* values of a list are passed over: `port 80,443,` is about ports */
    if (last[0].type == FC_TOKEN_COMMA) {
        struct fc_token of[2] = {{.type = FC_TOKEN_END}, {.type = FC_TOKEN_END}};
        int value;
        for (size_t off = 0; (token = fc_lex(front, off)).type != FC_TOKEN_END && token.off < *start;
             off = token.off + token.span)
            if (fc_word_kind(&token, &value) == FC_WORD_TYPE)
                of[0] = token;
        last[1] = of[0];
    }
    struct completing c = {.take = take, .ctx = ctx, .part = front + *start, .len = at - *start};
    for (int inside = 0; inside < 2 && !c.full; inside++) {
        c.inside = inside;
        propose_here(&c, front, *start, last, names);
    }
    free(front);
}
