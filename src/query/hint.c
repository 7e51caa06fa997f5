/* SPDX-License-Identifier: MIT */
/* What a filter may have meant that is wrong: messages that say what to write. */
#include "query/parse.h"
#include "query/wireshark.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

int fc_parse_fail_packets(struct fc_parser *p, const struct fc_token *token)
{
    return fc_parse_fail(p, token, "'%.*s' looks into packets; carve the sessions first, then filter with tcpdump",
                         (int)(token->len < 64 ? token->len : 64), token->text);
}

/* True when the words are a filter, which a message may then offer. */
static bool is_filter(const struct fc_parser *p, const char *text)
{
    struct fc_filter *filter;
    bool is = *text && fc_filter_parse(text, p->now_ns, &filter, NULL) == 0;

    if (is)
        fc_filter_free(filter);
    return is;
}

/* A protocol above layer 4: 0 when the token is none. */
static int fail_application(struct fc_parser *p, const struct fc_token *token)
{
    char word[32];
    uint16_t port;

    if (token->type != FC_TOKEN_WORD || token->escaped || !fc_parse_word(token, word, sizeof word) ||
        !(port = fc_word_application(word)))
        return 0;
    return fc_parse_fail(p, token, "'%s' lies above layer 4, where nothing is read; by its usual port: port %u", word,
                         port);
}

/* `state = new`: a sign between a type and its value; 0 when the token is none. */
int fc_parse_fail_sign(struct fc_parser *p, enum fc_qual_type type)
{
    struct fc_token sign = p->token, value;
    char say[160];

    if (sign.type != FC_TOKEN_OTHER || (sign.text[0] != '=' && sign.text[0] != '!'))
        return 0;
    value = fc_parse_peek(p);
    if (value.type == FC_TOKEN_OTHER && value.text[0] == '=' && sign.text[0] == '=') {
        sign.span = value.off + value.span - sign.off;
        value = fc_lex(p->text, value.off + value.span);
    }
    snprintf(say, sizeof say, "%s%s %.*s", sign.text[0] == '!' ? "not " : "", fc_word_type(type),
             (int)(value.span < 100 ? value.span : 100), p->text + value.off);
    if (!is_filter(p, say))
        return fc_parse_fail(p, &sign, "no '%.*s' between '%s' and its value", (int)sign.span, sign.text,
                             fc_word_type(type));
    return fc_parse_fail(p, &sign, "no '%.*s' here; say '%s'", (int)sign.span, sign.text, say);
}

/* A comparison of Wireshark's; 0 when there is none at the current token. */
int fc_parse_fail_wireshark(struct fc_parser *p)
{
    struct fc_wireshark found;
    struct fc_token all = p->token;
    char whole[FC_WIRESHARK_MAX];
    const char *here = found.here;

    if (!fc_wireshark_at(p->text, p->token.off, &found))
        return 0;
    all.span = found.len;
    int shown = (int)(found.len < 64 ? found.len : 64);
    if (!is_filter(p, found.here))
        return fc_parse_fail(p, &all, "'%.*s' is Wireshark's and has no equal here; carve, then filter with tshark",
                             shown, all.text);
    if (fc_wireshark_whole(p->text, whole, sizeof whole) && is_filter(p, whole))
        here = whole;
    return fc_parse_fail(p, &all, "'%.*s' is Wireshark's%s; here: %s", shown, all.text,
                         found.other_numbers ? ", and IDs are not its numbers" : "", here);
}

/* A column of ours, or a word of other tools, for which the filter has another word; 0 when the token is none. */
int fc_parse_fail_column(struct fc_parser *p, const struct fc_token *token)
{
    static const struct {
        const char *word, *say;
    } others[] = {{"srcip", "src host"},
                  {"src_ip", "src host"},
                  {"src_addr", "src host"},
                  {"dstip", "dst host"},
                  {"dst_ip", "dst host"},
                  {"dst_addr", "dst host"},
                  {"dest_ip", "dst host"},
                  {"sport", "src port"},
                  {"src_port", "src port"},
                  {"dport", "dst port"},
                  {"dst_port", "dst port"},
                  {"dest_port", "dst port"},
                  {"client_addr", "client host"},
                  {"server_addr", "server host"},
                  {"client_port", "client port"},
                  {"server_port", "server port"},
                  {"client_packets", "client packets"},
                  {"server_packets", "server packets"},
                  {"client_bytes", "client bytes"},
                  {"server_bytes", "server bytes"},
                  {"client_payload", "client payload"},
                  {"server_payload", "server payload"},
                  {"client_ttl", "client ttl"},
                  {"server_ttl", "server ttl"},
                  {"client_tcp_flags", "client flags"},
                  {"server_tcp_flags", "server flags"},
                  {"client_mac", "ether src host"},
                  {"server_mac", "ether dst host"},
                  {"mac", "ether host"},
                  {"start", "after' or 'before"},
                  {"end", "after' or 'before"},
                  {"time", "after' or 'before"},
                  {"since", "after"},
                  {"until", "before"}};
    char word[32];

    if (token->type != FC_TOKEN_WORD || token->escaped || !fc_parse_word(token, word, sizeof word))
        return 0;
    if (strncmp(word, "1:", 2) == 0 && strlen(word) > 26)
        return fc_parse_fail(p, token, "'%s' looks like a Community ID; write 'community-id %s'", word, word);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(word, others[i].word) == 0)
            return fc_parse_fail(p, token, "unknown word '%s'; say '%s'", word, others[i].say);
    return 0;
}

/* A token where none of its kind makes sense. `expected` says what would. */
int fc_parse_fail_unexpected(struct fc_parser *p, const char *expected)
{
    const struct fc_token *t = &p->token;
    const char *like;
    char word[32];
    int value, rc;

    if ((rc = fc_parse_fail_wireshark(p)) != 0 || (rc = fail_application(p, t)) != 0 ||
        (rc = fc_parse_fail_column(p, t)) != 0)
        return rc;
    if (t->type == FC_TOKEN_END)
        return fc_parse_fail(p, t, "the filter ends where %s is expected", expected);
    if (t->type == FC_TOKEN_OTHER || fc_word_kind(t, &value) == FC_WORD_PACKET)
        return fc_parse_fail_packets(p, t);
    if (t->type == FC_TOKEN_WORD && fc_word_kind(t, &value) == FC_WORD_NONE && fc_parse_word(t, word, sizeof word) &&
        !isdigit((unsigned char)word[0]) && (like = fc_word_like(word)) && strcmp(like, word) != 0)
        return fc_parse_fail(p, t, "unknown word '%s'; did you mean '%s'?", word, like);
    if (t->type == FC_TOKEN_CLOSE)
        return fc_parse_fail(p, t, "')' where %s is expected", expected);
    return fc_parse_fail(p, t, "'%.*s' where %s is expected", (int)(t->len < 64 ? t->len : 64), t->text, expected);
}
