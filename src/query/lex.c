/* SPDX-License-Identifier: MIT */
#include "query/lex.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

static bool ends_word(char c)
{
    return c == '\0' || is_blank(c) || strchr("()!&|[]<>=,", c);
}

/* An IPv6 address in brackets begins here: two colons tell it from the [13:2] of pcap-filter's arithmetic. */
static size_t bracketed_len(const char *p)
{
    size_t len = *p == '[' ? strspn(p + 1, "0123456789abcdefABCDEF:.") : 0;
    const char *colon = len ? memchr(p + 1, ':', len) : NULL;

    return colon && memchr(colon + 1, ':', len - (size_t)(colon - p)) && p[len + 1] == ']' ? len + 2 : 0;
}

static enum fc_token_type operator_at(const char *p, size_t *len)
{
    *len = 1;
    switch (p[0]) {
    case '(':
        return FC_TOKEN_OPEN;
    case ')':
        return FC_TOKEN_CLOSE;
    case ',':
        return FC_TOKEN_COMMA;
    case '!':
        if (p[1] != '=')
            return FC_TOKEN_NOT;
        *len = 2;
        return FC_TOKEN_OTHER;
    case '&':
    case '|':
        if (p[1] != p[0])
            return FC_TOKEN_OTHER;
        *len = 2;
        return p[0] == '&' ? FC_TOKEN_AND : FC_TOKEN_OR;
    default:
        return FC_TOKEN_OTHER;
    }
}

struct fc_token fc_lex(const char *text, size_t off)
{
    struct fc_token token = {0};
    const char *p = text + off;
    size_t bracketed;

    while (is_blank(*p))
        p++;
    bracketed = bracketed_len(p);
    token.off = (size_t)(p - text);
    token.text = p;
    if (*p == '\0')
        return token;
    if (!bracketed && ends_word(*p)) {
        token.type = operator_at(p, &token.len);
        token.span = token.len;
        return token;
    }
    token.type = FC_TOKEN_WORD;
    if (p[0] == '\\' && !ends_word(p[1])) {
        token.escaped = true;
        token.text++;
    }
    for (token.len = bracketed; !ends_word(token.text[token.len]);)
        token.len++;
    token.span = token.len + token.escaped;
    if (fc_token_is(&token, "and"))
        token.type = FC_TOKEN_AND;
    else if (fc_token_is(&token, "or"))
        token.type = FC_TOKEN_OR;
    else if (fc_token_is(&token, "not"))
        token.type = FC_TOKEN_NOT;
    return token;
}

bool fc_token_is(const struct fc_token *token, const char *word)
{
    return !token->escaped && strlen(word) == token->len && memcmp(token->text, word, token->len) == 0;
}
