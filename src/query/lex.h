/* SPDX-License-Identifier: MIT */
/*
 * Cuts a filter into words and operators. A word is anything up to white space or one of ( ) ! & | [ ] < > = and the
 * comma, so that addresses, networks and times are one word each, and so is [2001:db8::1]:443; what it means is decided
 * by the parser.
 *
 * Threads: any. Memory: tokens point into the text.
 */
#ifndef FC_QUERY_LEX_H
#define FC_QUERY_LEX_H

#include <stdbool.h>
#include <stddef.h>

enum fc_token_type {
    FC_TOKEN_END,
    FC_TOKEN_WORD,
    FC_TOKEN_AND,
    FC_TOKEN_OR,
    FC_TOKEN_NOT,
    FC_TOKEN_OPEN,
    FC_TOKEN_CLOSE,
    FC_TOKEN_COMMA,
    FC_TOKEN_OTHER /* a character of pcap-filter's arithmetic */
};

struct fc_token {
    enum fc_token_type type;
    bool escaped;     /* written as \word: a name, never a keyword */
    const char *text; /* without the backslash; not NUL-terminated */
    size_t len;
    size_t off, span; /* place in the filter, with the backslash */
};

/* The token at or behind byte `off` of `text`; the next one starts at off + span of it. */
struct fc_token fc_lex(const char *text, size_t off);

bool fc_token_is(const struct fc_token *token, const char *word);

#endif
