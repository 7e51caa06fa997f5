/* SPDX-License-Identifier: MIT */
#include "query/wireshark.h"
#include "query/lex.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum kind { VALUE, ADDRESS, TIME, EPOCH, STREAM, NO_EQUAL };

/* ip.src is the sender of a packet; the session's client is what people who write it are after. */
static const struct field {
    const char *name;
    const char *here;
    enum kind kind;
} fields[] = {
    {"ip.addr", "", ADDRESS},
    {"ip.src", "src ", ADDRESS},
    {"ip.dst", "dst ", ADDRESS},
    {"ip.host", "", ADDRESS},
    {"ipv6.addr", "", ADDRESS},
    {"ipv6.src", "src ", ADDRESS},
    {"ipv6.dst", "dst ", ADDRESS},
    {"ipv6.host", "", ADDRESS},
    {"ip.proto", "proto", VALUE},
    {"ipv6.nxt", "proto", VALUE},
    {"tcp.port", "tcp port", VALUE},
    {"tcp.srcport", "tcp src port", VALUE},
    {"tcp.dstport", "tcp dst port", VALUE},
    {"udp.port", "udp port", VALUE},
    {"udp.srcport", "udp src port", VALUE},
    {"udp.dstport", "udp dst port", VALUE},
    {"sctp.port", "sctp port", VALUE},
    {"sctp.srcport", "sctp src port", VALUE},
    {"sctp.dstport", "sctp dst port", VALUE},
    {"eth.addr", "ether host", VALUE},
    {"eth.src", "ether src", VALUE},
    {"eth.dst", "ether dst", VALUE},
    {"vlan.id", "vlan", VALUE},
    {"mpls.label", "mpls", VALUE},
    {"ip.ttl", "ttl", VALUE},
    {"ipv6.hlim", "ttl", VALUE},
    {"tcp.stream", "id", STREAM},
    {"udp.stream", "id", STREAM},
    {"frame.time", "", TIME},
    {"frame.time_epoch", "", EPOCH},
};

enum comparison { NONE, EQUAL, UNEQUAL, FROM, UNTIL, OTHER };

/* Signs are cut into single characters by the lexer, but for `!=`. *off moves behind the comparison. */
static enum comparison comparison_at(const char *text, size_t *off)
{
    static const struct {
        const char *word;
        enum comparison meaning;
    } signs[] = {{"===", EQUAL}, {"==", EQUAL}, {"=", EQUAL},  {"!=", UNEQUAL},
                 {">=", FROM},   {">", FROM},   {"<=", UNTIL}, {"<", UNTIL}},
      words[] = {{"eq", EQUAL}, {"ne", UNEQUAL},     {"ge", FROM},       {"gt", FROM}, {"le", UNTIL},
                 {"lt", UNTIL}, {"contains", OTHER}, {"matches", OTHER}, {"in", OTHER}};
    struct fc_token token = fc_lex(text, *off);

    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        size_t len = strlen(signs[i].word);
        if (strncmp(text + token.off, signs[i].word, len) == 0) {
            *off = token.off + len;
            return signs[i].meaning;
        }
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (fc_token_is(&token, words[i].word)) {
            *off = token.off + token.span;
            return words[i].meaning;
        }
    }
    return NONE;
}

/* The value: a word, or what is in quotes. False when there is none. */
static bool value_at(const char *text, size_t *off, char *value, size_t size)
{
    struct fc_token token = fc_lex(text, *off);
    const char *from = text + token.off;
    size_t len = token.span;

    if (*from == '"') {
        len = strcspn(++from, "\"");
        *off = token.off + 1 + len + (from[len] == '"');
    } else {
        *off = token.off + token.span;
    }
    if ((*from != '[' && token.type != FC_TOKEN_WORD) || !len || len >= size)
        return false;
    memcpy(value, from, len);
    value[len] = '\0';
    return true;
}

static void write_time(struct fc_wireshark *w, const char *sign, const char *value, enum comparison comparison)
{
    char time[80], *space;

    if (comparison != FROM && comparison != UNTIL)
        return;
    snprintf(time, sizeof time, "%s", value);
    if ((space = strchr(time, ' ')))
        *space = 'T';
    snprintf(w->here, sizeof w->here, "%s %s%s", comparison == FROM ? "after" : "before", sign, time);
}

static void write_here(struct fc_wireshark *w, const struct field *field, const char *value, enum comparison comparison)
{
    const char *no = comparison == UNEQUAL ? "not " : "";

    if (field->kind == TIME || field->kind == EPOCH) {
        write_time(w, field->kind == EPOCH ? "@" : "", value, comparison);
        return;
    }
    if (comparison != EQUAL && comparison != UNEQUAL)
        return;
    w->other_numbers = field->kind == STREAM;
    if (field->kind == ADDRESS)
        snprintf(w->here, sizeof w->here, "%s%s%s %s", no, field->here, strchr(value, '/') ? "net" : "host", value);
    else
        snprintf(w->here, sizeof w->here, "%s%s %s", no, field->here, value);
}

bool fc_wireshark_at(const char *text, size_t off, struct fc_wireshark *found)
{
    struct fc_token token = fc_lex(text, off);
    enum comparison comparison;
    char value[80];

    *found = (struct fc_wireshark){.off = token.off};
    if (token.type != FC_TOKEN_WORD || token.escaped || !isalpha((unsigned char)token.text[0]) ||
        !memchr(token.text, '.', token.len))
        return false;
    off = token.off + token.span;
    if (!(comparison = comparison_at(text, &off)) || !value_at(text, &off, value, sizeof value))
        return false;
    found->len = off - found->off;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (fc_token_is(&token, fields[i].name))
            write_here(found, &fields[i], value, comparison);
    return true;
}

bool fc_wireshark_whole(const char *text, char *here, size_t size)
{
    struct fc_wireshark found;
    bool any_and = false, any_or = false;
    size_t len = 0;

    *here = '\0';
    for (size_t off = 0;;) {
        struct fc_token token = fc_lex(text, off);
        const char *piece = text + token.off, *gap = len && here[len - 1] != '(' ? " " : "";
        size_t piece_len = token.span;

        if (token.type == FC_TOKEN_END)
            break;
        off = token.off + token.span;
        if (fc_wireshark_at(text, token.off, &found)) {
            piece = found.here;
            piece_len = strlen(piece);
            off = found.off + found.len;
        } else if (token.type == FC_TOKEN_AND || token.type == FC_TOKEN_OR || token.type == FC_TOKEN_NOT) {
            piece = token.type == FC_TOKEN_AND ? "and" : token.type == FC_TOKEN_OR ? "or" : "not";
            piece_len = strlen(piece);
        } else if (token.type == FC_TOKEN_CLOSE) {
            gap = "";
        }
        any_and |= token.type == FC_TOKEN_AND;
        any_or |= token.type == FC_TOKEN_OR;
        if (!piece_len || len + piece_len + 2 > size)
            return false;
        len += (size_t)snprintf(here + len, size - len, "%s%.*s", gap, (int)piece_len, piece);
    }
    return !(any_and && any_or); /* there `and` binds tighter than `or`, here it does not */
}
