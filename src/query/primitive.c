/* SPDX-License-Identifier: MIT */
#include "query/addr.h"
#include "query/parse.h"
#include "store/record.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const states[] = {"new", "established", "closed", "reset", "midstream", "rejected"};
enum { REJECTED = 5 }; /* a kind of reset, told by a bit of its own */

enum { WORD_MAX = FC_PARSE_WORD_MAX };

bool fc_parse_number(const char *text, uint64_t max, int64_t *value)
{
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = hex ? text + 2 : text;
    uint64_t n = 0;

    if (!*digits || (!hex && digits[0] == '0' && digits[1]))
        return false;
    for (const char *p = digits; *p; p++) {
        unsigned digit;

        if (!(hex ? isxdigit((unsigned char)*p) : isdigit((unsigned char)*p)))
            return false;
        digit = isdigit((unsigned char)*p) ? (unsigned)(*p - '0') : (unsigned)((*p | 0x20) - 'a' + 10);
        if (n > (max - digit) / (hex ? 16 : 10))
            return false;
        n = n * (hex ? 16 : 10) + digit;
    }
    *value = (int64_t)n;
    return true;
}

int fc_parse_take(struct fc_parser *p, struct fc_ast *leaf, struct fc_ast **out)
{
    *out = leaf;
    if (!leaf)
        return FC_E_NOMEM;
    fc_parse_advance(p);
    return 0;
}

int fc_parse_fail_qualifier(struct fc_parser *p, const struct fc_qualifiers *qual, const char *what)
{
    return fc_parse_fail(p, &p->token, "'%.*s' does not go with %s; put 'and' between them", (int)qual->proto_len,
                         qual->proto_text, what);
}

/* Transports that the protocol qualifier leaves; 0 after an error. */
static unsigned port_transports(struct fc_parser *p, const struct fc_qualifiers *qual)
{
    switch (qual->proto) {
    case FC_QUAL_ANY:
        return FC_TRANSPORT_ANY;
    case FC_QUAL_TCP:
        return FC_TRANSPORT_TCP;
    case FC_QUAL_UDP:
        return FC_TRANSPORT_UDP;
    case FC_QUAL_SCTP:
        return FC_TRANSPORT_SCTP;
    default:
        fc_parse_fail_qualifier(p, qual, "a port");
        return 0;
    }
}

/* One port as number or name; narrows *transports to what the name is registered for. */
static bool port_by_text(const char *text, unsigned *transports, int64_t *port)
{
    uint16_t number;
    unsigned known;

    if (fc_parse_number(text, 65535, port))
        return true;
    if (isdigit((unsigned char)text[0]) && strspn(text, "0123456789") == strlen(text))
        return false;
    if (!fc_service_port(text, &number, &known))
        return false;
    /* a name that is known to TCP and UDP alike says nothing about the protocol */
    if ((known & (FC_TRANSPORT_TCP | FC_TRANSPORT_UDP)) != (FC_TRANSPORT_TCP | FC_TRANSPORT_UDP))
        *transports &= known;
    *port = number;
    return *transports != 0;
}

/* "A-B" at any of its hyphens, since names of services have hyphens too. */
static bool split_range(char *word, unsigned *transports, int64_t *lo, int64_t *hi)
{
    for (char *dash = strchr(word, '-'); dash; dash = strchr(dash + 1, '-')) {
        unsigned first = *transports, second = *transports;
        bool ok;

        *dash = '\0';
        ok = port_by_text(word, &first, lo) && port_by_text(dash + 1, &second, hi);
        *dash = '-';
        if (ok) {
            *transports = first == second ? first : *transports;
            return true;
        }
    }
    return false;
}

static int fail_port(struct fc_parser *p, const struct fc_qualifiers *qual, const char *word)
{
    uint8_t addr[16];
    int64_t lo, hi;
    unsigned any = FC_TRANSPORT_ANY;
    char copy[WORD_MAX];

    snprintf(copy, sizeof copy, "%s", word);
    if (fc_addr_ipv4(word, addr) == 4 || fc_addr_ipv6(word, addr))
        return fc_parse_fail(p, &p->token, "'%s' is an address where a port is expected; write 'host %s'", word, word);
    if (strspn(word, "0123456789") == strlen(word))
        return fc_parse_fail(p, &p->token, "a port is a number from 0 to 65535 without leading zeros");
    if (qual->type == FC_QUAL_PORT && split_range(copy, &any, &lo, &hi))
        return fc_parse_fail(p, &p->token, "'%s' is a range; write 'portrange %s'", word, word);
    if (port_by_text(word, &any, &lo))
        return fc_parse_fail(p, &p->token, "service '%s' is not known for %.*s", word, (int)qual->proto_len,
                             qual->proto_text);
    return fc_parse_fail(p, &p->token, "'%s' is no port number and no known service", word);
}

static int parse_port(struct fc_parser *p, const struct fc_qualifiers *qual, char *word, struct fc_ast **out)
{
    unsigned transports = port_transports(p, qual);
    struct fc_ast *leaf;
    int64_t lo, hi;

    if (transports == 0)
        return FC_E_FILTER;
    if (port_by_text(word, &transports, &lo))
        hi = lo;
    else if (qual->type != FC_QUAL_PORTRANGE || !split_range(word, &transports, &lo, &hi))
        return fail_port(p, qual, word);
    leaf = fc_ast_leaf(p->arena, FC_AST_PORT);
    if (leaf) {
        leaf->ends = qual->ends;
        leaf->transports = (uint8_t)transports;
        leaf->lo = lo < hi ? lo : hi;
        leaf->hi = lo < hi ? hi : lo;
    }
    return fc_parse_take(p, leaf, out);
}

/* The forms in which protocols without a name are printed. */
static bool proto_by_form(const char *word, int64_t *number)
{
    if (strncmp(word, "llc:", 4) == 0 && fc_parse_number(word + 4, 0xffff, number))
        *number |= FC_PROTO_LLC;
    else if (strncmp(word, "link:", 5) == 0 && fc_parse_number(word + 5, 0xffff, number))
        *number |= FC_PROTO_LINK;
    else if (strncmp(word, "ppp:", 4) == 0 && fc_parse_number(word + 4, 0xffff, number))
        *number |= FC_PROTO_PPP;
    else if (fc_parse_number(word, 0xffff, number) && (*number <= 255 || *number >= 0x600))
        *number |= *number >= 0x600 ? FC_PROTO_ETHERTYPE : 0;
    else
        return false;
    return true;
}

static int parse_protocol(struct fc_parser *p, const struct fc_qualifiers *qual, const char *word, struct fc_ast **out)
{
    struct fc_ast *leaf;
    int64_t number;

    if (qual->proto == FC_QUAL_LINK)
        return fc_parse_fail(p, &p->token, "'ether proto' looks into packets; '%s' alone or 'proto %s' finds sessions",
                             word, word);
    if (qual->proto != FC_QUAL_ANY && qual->proto != FC_QUAL_IP && qual->proto != FC_QUAL_IP6)
        return fc_parse_fail_qualifier(p, qual, "'proto'");
    if (!proto_by_form(word, &number) && (number = fc_proto_by_name(word)) < 0)
        return fc_parse_fail(p, &p->token, "'%s' is no protocol: a name or a number from 0 to 255", word);
    if (number > 255 && qual->proto != FC_QUAL_ANY)
        return fc_parse_fail(p, &p->token, "'%s' is no IP protocol", word);
    leaf = fc_ast_leaf(p->arena, FC_AST_PROTO);
    if (leaf) {
        leaf->lo = number;
        leaf->family = qual->proto == FC_QUAL_IP ? FC_ADDR_IPV4 : qual->proto == FC_QUAL_IP6 ? FC_ADDR_IPV6 : 0;
    }
    return fc_parse_take(p, leaf, out);
}

static int parse_label(struct fc_parser *p, const struct fc_qualifiers *qual, const char *word, struct fc_ast **out)
{
    bool vlan = qual->type == FC_QUAL_VLAN;
    int64_t max = vlan ? 4095 : (1 << 20) - 1, number;
    struct fc_ast *leaf;

    if (!fc_parse_number(word, (uint64_t)max, &number))
        return fc_parse_fail(p, &p->token, "%s is a number from 0 to %d", vlan ? "a VLAN id" : "an MPLS label",
                             (int)max);
    leaf = fc_ast_leaf(p->arena, vlan ? FC_AST_VLAN : FC_AST_MPLS);
    if (leaf)
        leaf->lo = number;
    return fc_parse_take(p, leaf, out);
}

/* "vxlan", "vxlan:42", "l2tp:5.17"; *id is -1 when none is given. */
static bool tunnel_by_text(const char *word, int64_t *kind, int64_t *id)
{
    const char *colon = strchr(word, ':'), *of = NULL, *name;
    size_t len = colon ? (size_t)(colon - word) : strlen(word);
    char text[WORD_MAX], *dot;
    int64_t low;

    *id = -1;
    for (unsigned i = 1; (name = fc_tunnel_name(i, &of)); i++) {
        if (strlen(name) != len || memcmp(name, word, len) != 0 || (colon && !of))
            continue;
        *kind = i;
        if (!colon)
            return true;
        snprintf(text, sizeof text, "%s", colon + 1);
        if (i != FC_TUNNEL_L2TP)
            return fc_parse_number(text, UINT32_MAX, id);
        if (!(dot = strchr(text, '.')))
            return false;
        *dot = '\0';
        if (!fc_parse_number(text, UINT16_MAX, id) || !fc_parse_number(dot + 1, UINT16_MAX, &low))
            return false;
        *id = *id << 16 | low;
        return true;
    }
    return false;
}

/* Names what there is, but for a name that is right and has something wrong behind it. */
static int fail_tunnel(struct fc_parser *p, const char *word)
{
    size_t len = strcspn(word, ":");
    const char *of, *name, *before = "";
    char names[224] = "";

    for (unsigned i = 1; (name = fc_tunnel_name(i, &of)); i++) {
        if (word[len] && strlen(name) == len && memcmp(name, word, len) == 0)
            return fc_parse_fail(p, &p->token,
                                 "'%s' is no encapsulation: a name as in 'vxlan', or one with an id, 'vxlan:42'", word);
        size_t used = strlen(names);
        if (strcmp(name, before) != 0)
            snprintf(names + used, sizeof names - used, "%s%s", used ? " " : "", name);
        before = name;
    }
    return fc_parse_fail(p, &p->token, "'%.24s' is no encapsulation: %s", word, names);
}

static int parse_tunnel(struct fc_parser *p, const char *word, struct fc_ast **out)
{
    struct fc_ast *leaf;
    int64_t kind, id;

    if (!tunnel_by_text(word, &kind, &id))
        return fail_tunnel(p, word);
    leaf = fc_ast_leaf(p->arena, FC_AST_TUNNEL);
    if (leaf) {
        leaf->lo = kind;
        leaf->hi = id;
    }
    return fc_parse_take(p, leaf, out);
}

static int parse_id(struct fc_parser *p, char *word, struct fc_ast **out)
{
    bool negative = word[0] == '-', ok; /* of a provisional session */
    char *dash = negative ? NULL : strchr(word, '-');
    struct fc_ast *leaf;
    int64_t lo, hi;

    if (dash)
        *dash = '\0';
    ok = fc_parse_number(word + negative, INT64_MAX, &lo);
    lo = negative ? -lo : lo;
    hi = lo;
    if (dash)
        ok = ok && fc_parse_number(dash + 1, INT64_MAX, &hi);
    if (!ok)
        return fc_parse_fail(p, &p->token, "a session id is a number, a range of them N-M");
    leaf = fc_ast_leaf(p->arena, FC_AST_ID);
    if (leaf) {
        leaf->lo = lo < hi ? lo : hi;
        leaf->hi = lo < hi ? hi : lo;
    }
    return fc_parse_take(p, leaf, out);
}

static int parse_ttl(struct fc_parser *p, const struct fc_qualifiers *qual, const char *word, struct fc_ast **out)
{
    struct fc_ast *leaf;
    int64_t number;

    if (!fc_parse_number(word, UINT8_MAX, &number))
        return fc_parse_fail(p, &p->token, "a TTL is a number from 0 to 255");
    leaf = fc_ast_leaf(p->arena, FC_AST_MEASURE);
    if (leaf) {
        leaf->measure = FC_MEASURE_TTL;
        leaf->ends = qual->ends;
        leaf->lo = leaf->hi = number;
    }
    return fc_parse_take(p, leaf, out);
}

static int state_number(const char *word)
{
    for (int i = 0; i < (int)(sizeof states / sizeof states[0]); i++)
        if (strcmp(states[i], word) == 0)
            return i;
    return -1;
}

static int parse_state(struct fc_parser *p, const char *word, struct fc_ast **out)
{
    int state = state_number(word);
    struct fc_ast *leaf;

    if (state < 0)
        return fc_parse_fail(p, &p->token,
                             "'%s' is no state; states are new, established, closed, reset, rejected, midstream", word);
    leaf = fc_ast_leaf(p->arena, state == REJECTED ? FC_AST_MARK : FC_AST_STATE);
    if (leaf)
        leaf->lo = state == REJECTED ? FC_ROW_REJECTED : state;
    return fc_parse_take(p, leaf, out);
}

bool fc_parse_is_state(const struct fc_token *token)
{
    char word[WORD_MAX];

    return !token->escaped && fc_parse_word(token, word, sizeof word) && state_number(word) >= 0;
}

/* True for "1:", 27 digits of base64 of which the last one has its low bits clear, and "=" or nothing behind. */
static bool is_community_id(const char *word)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    return strlen(word) == FC_COMMUNITY_ID_SIZE - 2 && strncmp(word, "1:", 2) == 0 &&
           strspn(word + 2, digits) == FC_COMMUNITY_ID_SIZE - 4 &&
           (strchr(digits, word[FC_COMMUNITY_ID_SIZE - 3]) - digits) % 4 == 0;
}

static int parse_community_id(struct fc_parser *p, const char *word, struct fc_ast **out)
{
    char *text;
    int rc;

    if (!is_community_id(word))
        return fc_parse_fail(p, &p->token,
                             "'%s' is no Community ID of version 1, like 1:LQU9qZlK+B5F3KDmev6m5PMibrg=", word);
    *out = fc_ast_leaf(p->arena, FC_AST_COMMUNITY_ID);
    text = fc_arena_alloc(p->arena, FC_COMMUNITY_ID_SIZE);
    if (!*out || !text)
        return FC_E_NOMEM;
    strcat(strcpy(text, word), "=");
    (*out)->text = text;
    rc = fc_parse_take(p, *out, out);
    /* its end is a word of its own to the lexer */
    if (rc == 0 && p->token.type == FC_TOKEN_OTHER && p->token.text[0] == '=' &&
        p->token.text[-1] == word[strlen(word) - 1])
        fc_parse_advance(p);
    return rc;
}

static int parse_sensor(struct fc_parser *p, const char *word, struct fc_ast **out)
{
    size_t size = strlen(word) + 1;
    char *text;

    if (!fc_word_is_sensor(word))
        return fc_parse_fail(p, &p->token, "a sensor's name is made of letters, digits, '.', '_' and '-'");
    *out = fc_ast_leaf(p->arena, FC_AST_SENSOR);
    text = fc_arena_alloc(p->arena, size);
    if (!*out || !text)
        return FC_E_NOMEM;
    (*out)->text = memcpy(text, word, size);
    return fc_parse_take(p, *out, out);
}

int fc_parse_value(struct fc_parser *p, const struct fc_qualifiers *qual, struct fc_ast **out)
{
    char word[WORD_MAX];

    if (!fc_parse_word(&p->token, word, sizeof word))
        return fc_parse_fail(p, &p->token, "a word of %zu characters is too long", p->token.len);
    switch (qual->type) {
    case FC_QUAL_PORT:
    case FC_QUAL_PORTRANGE:
        return parse_port(p, qual, word, out);
    case FC_QUAL_PROTO:
        return parse_protocol(p, qual, word, out);
    case FC_QUAL_COMMUNITY_ID:
        return parse_community_id(p, word, out);
    case FC_QUAL_SENSOR:
        return parse_sensor(p, word, out);
    case FC_QUAL_VLAN:
    case FC_QUAL_MPLS:
        return parse_label(p, qual, word, out);
    case FC_QUAL_TUNNEL:
        return parse_tunnel(p, word, out);
    case FC_QUAL_ID:
        return parse_id(p, word, out);
    case FC_QUAL_STATE:
        return parse_state(p, word, out);
    case FC_QUAL_TTL:
        return parse_ttl(p, qual, word, out);
    default:
        return fc_parse_address(p, qual, out);
    }
}

bool fc_parse_fits(const struct fc_qualifiers *qual, const struct fc_token *token)
{
    char word[WORD_MAX];
    unsigned transports = FC_TRANSPORT_ANY;
    int64_t lo, hi;

    /* anything could be a sensor's name: those behind the first one stand in a list */
    if (qual->type == FC_QUAL_SENSOR)
        return false;
    if (token->escaped || isdigit((unsigned char)token->text[0]))
        return true;
    if (!fc_parse_word(token, word, sizeof word))
        return false;
    switch (qual->type) {
    case FC_QUAL_PORTRANGE:
        if (split_range(word, &transports, &lo, &hi))
            return true;
        /* fall through */
    case FC_QUAL_PORT:
        return port_by_text(word, &transports, &lo) || memchr(token->text, ':', token->len);
    case FC_QUAL_PROTO:
        if (!proto_by_form(word, &lo))
            lo = fc_proto_by_name(word);
        return lo >= 0 && (lo < 256 || qual->proto == FC_QUAL_ANY);
    case FC_QUAL_STATE:
        return state_number(word) >= 0;
    case FC_QUAL_TUNNEL:
        return tunnel_by_text(word, &lo, &hi);
    default:
        return strchr(word, ':') != NULL;
    }
}

int fc_parse_proto(struct fc_parser *p, const struct fc_qualifiers *qual, struct fc_ast **out)
{
    bool family = qual->proto == FC_QUAL_IP || qual->proto == FC_QUAL_IP6;
    struct fc_ast *leaf = fc_ast_leaf(p->arena, family ? FC_AST_FAMILY : FC_AST_PROTO);
    static const uint32_t numbers[] = {
        [FC_QUAL_ARP] = FC_PROTO_ARP, [FC_QUAL_RARP] = FC_RARP, [FC_QUAL_TCP] = 6,    [FC_QUAL_UDP] = 17,
        [FC_QUAL_SCTP] = 132,         [FC_QUAL_ICMP] = 1,       [FC_QUAL_ICMP6] = 58,
    };

    *out = leaf;
    if (!leaf)
        return FC_E_NOMEM;
    if (qual->proto == FC_QUAL_NUMBER)
        leaf->lo = qual->proto_number;
    else if (!family)
        leaf->lo = numbers[qual->proto];
    if (qual->proto == FC_QUAL_IP || qual->proto == FC_QUAL_ICMP)
        leaf->family = FC_ADDR_IPV4;
    else if (qual->proto == FC_QUAL_IP6 || qual->proto == FC_QUAL_ICMP6)
        leaf->family = FC_ADDR_IPV6;
    return 0;
}
