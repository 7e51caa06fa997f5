/* SPDX-License-Identifier: MIT */
/* Hosts, networks and link addresses as values of a filter. */
#include "query/addr.h"
#include "query/parse.h"

#include <stdio.h>
#include <string.h>

enum { WORD_MAX = FC_PARSE_WORD_MAX };

/* The scope that the protocol qualifier gives to an address of `family`; -1 after an error. */
static int address_scope(struct fc_parser *p, const struct fc_qualifiers *qual, int family)
{
    switch (qual->proto) {
    case FC_QUAL_ANY:
        return FC_SCOPE_ANY;
    case FC_QUAL_IP:
        if (family == FC_ADDR_IPV4)
            return FC_SCOPE_IP;
        break;
    case FC_QUAL_IP6:
        if (family == FC_ADDR_IPV6)
            return FC_SCOPE_IP;
        break;
    case FC_QUAL_ARP:
    case FC_QUAL_RARP:
        if (family == FC_ADDR_IPV4)
            return qual->proto == FC_QUAL_ARP ? FC_SCOPE_ARP : FC_SCOPE_RARP;
        break;
    default:
        fc_parse_fail_qualifier(p, qual, "an address");
        return -1;
    }
    fc_parse_fail(p, &p->token, "'%.*s' does not go with an %s address", (int)qual->proto_len, qual->proto_text,
                  family == FC_ADDR_IPV6 ? "IPv6" : "IPv4");
    return -1;
}

static int parse_mac(struct fc_parser *p, const struct fc_qualifiers *qual, const char *word, struct fc_ast **out)
{
    struct fc_ast *leaf;
    uint8_t mac[6];

    if (qual->type == FC_QUAL_NET)
        return fc_parse_fail(p, &p->token, "there are no networks of link addresses");
    if (!fc_addr_mac(word, mac))
        return fc_parse_fail(p, &p->token, "'%s' is no link address such as 00:11:22:33:44:55", word);
    leaf = fc_ast_leaf(p->arena, FC_AST_MAC);
    if (leaf) {
        leaf->family = FC_ADDR_MAC;
        leaf->ends = qual->ends;
        memcpy(leaf->addr, mac, sizeof mac);
    }
    return fc_parse_take(p, leaf, out);
}

/* 10.0.0.6:http, [2001:db8::1]:99999: an address is there, and more. */
static bool has_port(const char *word)
{
    bool bracketed = word[0] == '[';
    const char *end = strchr(word, bracketed ? ']' : ':');
    char text[WORD_MAX];
    uint8_t addr[16];

    if (!end)
        return false;
    snprintf(text, sizeof text, "%.*s", (int)(end - word - bracketed), word + bracketed);
    return bracketed ? end[1] == ':' && fc_addr_ipv6(text, addr) : fc_addr_ipv4(text, addr) == 4;
}

static int fail_address(struct fc_parser *p, const char *word)
{
    uint8_t mac[6];
    int64_t number;

    if (has_port(word))
        return fc_parse_fail(p, &p->token, "the port in '%s' is no number from 0 to 65535", word);
    if (fc_addr_mac(word, mac))
        return fc_parse_fail(p, &p->token, "'%s' is a link address; write 'ether host %s'", word, word);
    if (fc_parse_number(word, UINT32_MAX, &number))
        return fc_parse_fail(p, &p->token, "'%s' is a number where an address is expected; is 'port %s' meant?", word,
                             word);
    if (strspn(word, "0123456789.") == strlen(word))
        return fc_parse_fail(p, &p->token, "'%s' is no IPv4 address (four numbers of 0 to 255, no leading zeros)",
                             word);
    if (strchr(word, ':'))
        return fc_parse_fail(p, &p->token, "'%s' is no IPv6 address", word);
    return fc_parse_fail(p, &p->token, "'%s' is no address; host and network names are not looked up", word);
}

/* Prefix length behind the slash; -1 after an error. */
static int parse_prefix(struct fc_parser *p, const char *text, int family)
{
    int64_t bits;
    unsigned most = family == FC_ADDR_IPV6 ? 128 : 32;

    if (!fc_parse_number(text, most, &bits)) {
        fc_parse_fail(p, &p->token, "the prefix length of an %s network is a number from 0 to %u",
                      family == FC_ADDR_IPV6 ? "IPv6" : "IPv4", most);
        return -1;
    }
    return (int)bits;
}

/* `net 10.0.0.0 mask 255.0.0.0`: the two words behind the network; 1 when they were there. */
static int parse_mask(struct fc_parser *p, struct fc_token *net, uint8_t mask[4])
{
    struct fc_token next = fc_lex(p->text, p->token.off + p->token.span);
    char word[WORD_MAX];

    if (!fc_token_is(&next, "mask"))
        return 0;
    *net = p->token;
    fc_parse_advance(p);
    fc_parse_advance(p);
    if (p->token.type != FC_TOKEN_WORD || !fc_parse_word(&p->token, word, sizeof word) || !fc_addr_ipv4(word, mask))
        return fc_parse_fail(p, &p->token, "a mask such as 255.255.255.0 is expected behind 'mask'");
    return 1;
}

/* Clips the network to its mask; an error that shows what was meant when there was something to clip. */
static int check_network(struct fc_parser *p, const struct fc_token *net, struct fc_ast *leaf, const char *text)
{
    unsigned size = leaf->family == FC_ADDR_IPV6 ? 16 : 4;
    char addr[46], mask[46];
    int bits = fc_addr_prefix(leaf->mask, size);

    if (!fc_addr_clip(leaf->addr, leaf->mask, size))
        return 0;
    fc_addr_print(leaf->family, leaf->addr, addr);
    if (bits >= 0)
        return fc_parse_fail(p, net, "non-network bits set in '%s'; the network is %s/%d", text, addr, bits);
    fc_addr_print(leaf->family, leaf->mask, mask);
    return fc_parse_fail(p, net, "non-network bits set in '%s'; the network is %s mask %s", text, addr, mask);
}

/* A network where `host` is in front; bits: of its prefix, -1: it has a mask. */
static int fail_host(struct fc_parser *p, const struct fc_token *net, struct fc_ast *leaf, const char *text, int bits)
{
    char addr[46];

    if (bits < 0)
        return fc_parse_fail(p, net, "'%s' is a network; write 'net %s'", text, text);
    fc_addr_clip(leaf->addr, leaf->mask, leaf->family == FC_ADDR_IPV6 ? 16 : 4);
    fc_addr_print(leaf->family, leaf->addr, addr);
    return fc_parse_fail(p, net, "'%s' is a network; write 'net %s/%d'", text, addr, bits);
}

struct network {
    char text[WORD_MAX]; /* before the slash */
    const char *prefix;  /* behind it, or NULL */
    int family;
    int parts; /* IPv4: numbers given, 1 to 4 */
};

/* A network, or an address with a prefix length where no type says `host`. */
static int parse_network(struct fc_parser *p, const struct fc_qualifiers *qual, struct fc_ast *leaf,
                         const struct network *net)
{
    unsigned size = net->family == FC_ADDR_IPV6 ? 16 : 4;
    struct fc_token token = p->token;
    char whole[WORD_MAX];
    int bits = net->family == FC_ADDR_IPV6 ? 128 : net->parts * 8, masked = 0;

    leaf->type = FC_AST_NET;
    fc_parse_word(&token, whole, sizeof whole);
    if (net->prefix && (bits = parse_prefix(p, net->prefix, net->family)) < 0)
        return FC_E_FILTER;
    fc_addr_mask(leaf->mask, size, (unsigned)bits);
    if (!net->prefix && net->family == FC_ADDR_IPV4)
        masked = parse_mask(p, &token, leaf->mask);
    if (masked < 0)
        return masked;
    if (qual->type == FC_QUAL_HOST && (masked || (unsigned)bits != size * 8))
        return fail_host(p, &token, leaf, whole, masked ? -1 : bits);
    return check_network(p, &token, leaf, whole);
}

/* ADDR:PORT with a whole IPv4 address, [ADDR] and [ADDR]:PORT with one of IPv6, as tables print an end. */
static bool split_end(const char *word, struct network *net, uint8_t addr[16], int64_t *port)
{
    bool bracketed = word[0] == '[';
    const char *end = strchr(word, bracketed ? ']' : ':');

    *port = -1;
    if (!end || (bracketed && end[1] && end[1] != ':'))
        return false;
    snprintf(net->text, sizeof net->text, "%.*s", (int)(end - word - bracketed), word + bracketed);
    net->family = bracketed ? FC_ADDR_IPV6 : FC_ADDR_IPV4;
    if (bracketed ? !fc_addr_ipv6(net->text, addr) : fc_addr_ipv4(net->text, addr) != 4)
        return false;
    if (bracketed && !end[1])
        return true;
    return fc_parse_number(end + 1 + bracketed, 65535, port);
}

bool fc_parse_is_end(const struct fc_token *token)
{
    char word[WORD_MAX];
    struct network net;
    uint8_t addr[16];
    int64_t port;

    return !token->escaped && fc_parse_word(token, word, sizeof word) && split_end(word, &net, addr, &port);
}

/* The host and the port at one end: at src, at dst, or at either. */
static struct fc_ast *end_of(struct fc_parser *p, const struct fc_ast *host, int64_t port, uint8_t ends)
{
    struct fc_ast *address = fc_ast_leaf(p->arena, FC_AST_HOST), *number = fc_ast_leaf(p->arena, FC_AST_PORT);

    if (!address || !number)
        return NULL;
    address->family = host->family;
    address->scope = host->scope;
    memcpy(address->addr, host->addr, sizeof address->addr);
    address->ends = number->ends = ends;
    number->transports = FC_TRANSPORT_ANY;
    number->lo = number->hi = port;
    return fc_ast_join(p->arena, FC_AST_AND, address, number);
}

static struct fc_ast *end_or_end(struct fc_parser *p, const struct fc_ast *host, int64_t port)
{
    struct fc_ast *src, *dst;

    if (host->ends != FC_ENDS_EITHER)
        return end_of(p, host, port, host->ends);
    src = end_of(p, host, port, FC_ENDS_SRC);
    dst = end_of(p, host, port, FC_ENDS_DST);
    return src && dst ? fc_ast_join(p->arena, FC_AST_OR, src, dst) : NULL;
}

int fc_parse_address(struct fc_parser *p, const struct fc_qualifiers *qual, struct fc_ast **out)
{
    struct network net = {.prefix = NULL}, end = net;
    char word[WORD_MAX];
    struct fc_ast *leaf;
    uint8_t addr[16];
    char *slash;
    int64_t port = -1;
    int scope, rc = 0;

    fc_parse_word(&p->token, word, sizeof word);
    if (qual->proto == FC_QUAL_LINK)
        return parse_mac(p, qual, word, out);
    snprintf(net.text, sizeof net.text, "%s", word);
    if ((slash = strchr(net.text, '/'))) {
        *slash = '\0';
        net.prefix = slash + 1;
    }
    if (qual->type != FC_QUAL_NET && split_end(word, &end, addr, &port)) {
        net = end;
        net.parts = 4;
    } else if (fc_addr_ipv6(net.text, addr)) {
        net.family = FC_ADDR_IPV6;
    } else if ((net.parts = fc_addr_ipv4(net.text, addr)) > 0) {
        net.family = FC_ADDR_IPV4;
    } else {
        return fail_address(p, word);
    }
    if ((scope = address_scope(p, qual, net.family)) < 0)
        return FC_E_FILTER;
    leaf = fc_ast_leaf(p->arena, FC_AST_HOST);
    if (!leaf)
        return FC_E_NOMEM;
    leaf->family = (uint8_t)net.family;
    leaf->scope = (uint8_t)scope;
    leaf->ends = qual->ends;
    memcpy(leaf->addr, addr, net.family == FC_ADDR_IPV6 ? 16 : 4);
    if (port >= 0)
        return fc_parse_take(p, end_or_end(p, leaf, port), out);
    if (qual->type == FC_QUAL_NET || net.prefix)
        rc = parse_network(p, qual, leaf, &net);
    else if (net.family == FC_ADDR_IPV4 && net.parts < 4)
        rc = fc_parse_fail(p, &p->token, "'%s' is only a part of an address; write 'net %s'%s%s%s", word, word,
                           net.parts == 1 ? ", or of a session 'id " : "", net.parts == 1 ? word : "",
                           net.parts == 1 ? "'" : "");
    return rc ? rc : fc_parse_take(p, leaf, out);
}
