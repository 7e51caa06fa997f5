/* SPDX-License-Identifier: MIT */
/*
 * Inside of the parser: parse.c knows how conditions are put together, primitive.c what a single one means.
 *
 * Grammar (EBNF), after pcap-filter(7):
 *   expr      = term { ( "and" | "or" ) term }            equal precedence, from left to right
 *   term      = "not" term | "(" expr ")" | primitive
 *   primitive = [ proto ] [ ends ] [ type ] values | proto | "vlan" | "mpls" | list
 *             | ( "after" | "before" | "at" | "on" | "during" ) time | "between" time "and" time
 *             | [ ends ] measure compare quantity | [ ends ] "flags" flag { "," flag } | "reset" "by" end { "," end }
 *   compare   = "over" | "under" | "at least" | "at most" | ">" | "<" | ">=" | "<=" | "=" | "between" quantity "and"
 *   values    = list | "not" values | "(" values { ( "and" | "or" ) values } ")"
 *   list      = value { "," value }                        one of these
 * A value without qualifiers takes those of the primitive in front of it; behind ")" they are what they were at "(".
 * After a primitive that has no value (`tcp`) there are none to take.
 */
#ifndef FC_QUERY_PARSE_H
#define FC_QUERY_PARSE_H

#include "query/ast.h"
#include "query/lex.h"
#include "query/words.h"

enum { FC_PARSE_WORD_MAX = 128 }; /* bytes of a value's word, with its end */

/* What stands in front of a value. */
struct fc_qualifiers {
    bool set; /* false: nothing to take over */
    enum fc_qual_type type;
    enum fc_qual_proto proto;
    uint32_t proto_number;  /* FC_QUAL_NUMBER */
    uint8_t ends;           /* enum fc_ends */
    const char *proto_text; /* as written, for messages; proto_len bytes */
    size_t proto_len;
};

struct fc_parser {
    const char *text;
    size_t off;            /* where the token behind `token` starts */
    struct fc_token token; /* the current one */
    int64_t now_ns;
    bool local; /* times are of the C library's zone */
    unsigned nest;
    struct fc_arena *arena;
    struct fc_filter_error *where;
};

/* Fills the error for the token; returns FC_E_FILTER. */
int fc_parse_fail(struct fc_parser *parser, const struct fc_token *token, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* hint.c: FC_E_FILTER, and a message about what was meant; those with "may" return 0 when it is not about that. */
int fc_parse_fail_packets(struct fc_parser *parser, const struct fc_token *token); /* a word about packets */
int fc_parse_fail_sign(struct fc_parser *parser, enum fc_qual_type type);          /* may: `state = new` */
int fc_parse_fail_wireshark(struct fc_parser *parser);                             /* may: `ip.addr == 10.0.0.6` */
int fc_parse_fail_column(struct fc_parser *parser, const struct fc_token *token);  /* may: `sport`, `client_addr` */
int fc_parse_fail_unexpected(struct fc_parser *parser, const char *expected);      /* what is expected instead */

void fc_parse_advance(struct fc_parser *parser);

/* Copies the word; false when it does not fit. */
bool fc_parse_word(const struct fc_token *token, char *buf, size_t size);

/* The current token as a value of `qual`: *out, and the token is consumed. 0, FC_E_FILTER or FC_E_NOMEM. */
int fc_parse_value(struct fc_parser *parser, const struct fc_qualifiers *qual, struct fc_ast **out);

/* The same for what is an address of any kind; the token has at most FC_PARSE_WORD_MAX - 1 characters. */
int fc_parse_address(struct fc_parser *parser, const struct fc_qualifiers *qual, struct fc_ast **out);

/* True for an end as tables print it: 10.0.0.6:44150, [2001:db8::1]:443, also [2001:db8::1]. */
bool fc_parse_is_end(const struct fc_token *token);

/* Hands the leaf over and consumes its token; FC_E_NOMEM when leaf is NULL. */
int fc_parse_take(struct fc_parser *parser, struct fc_ast *leaf, struct fc_ast **out);

/* A decimal or 0x number up to max. Leading zeros are refused: tcpdump reads octal there, people do not. */
bool fc_parse_number(const char *text, uint64_t max, int64_t *value);

/* FC_E_FILTER: the protocol qualifier cannot stand in front of `what`. */
int fc_parse_fail_qualifier(struct fc_parser *parser, const struct fc_qualifiers *qual, const char *what);

/* True when a word that is no keyword can be a value of `qual`. */
bool fc_parse_fits(const struct fc_qualifiers *qual, const struct fc_token *token);

/* A protocol as a condition of its own. */
int fc_parse_proto(struct fc_parser *parser, const struct fc_qualifiers *qual, struct fc_ast **out);

/* `bytes over 10M`: what follows the measure `qual->type`; ends: they stand in front of it. */
int fc_parse_measure(struct fc_parser *parser, const struct fc_qualifiers *qual, bool ends, struct fc_ast **out);

/* `flags syn,ack`, `reset by server`, `file a.pcap`: what follows the type. */
int fc_parse_flags(struct fc_parser *parser, const struct fc_qualifiers *qual, struct fc_ast **out);
int fc_parse_reset(struct fc_parser *parser, struct fc_ast **out);
int fc_parse_file(struct fc_parser *parser, struct fc_ast **out);

/* True when a word is the name of a state. */
bool fc_parse_is_state(const struct fc_token *token);

/* True when a comparison stands at the token. */
bool fc_parse_is_comparison(const struct fc_parser *parser);

/* The token behind the current one. */
struct fc_token fc_parse_peek(const struct fc_parser *parser);

/* The time behind `after`, `before`, `at`, `between`, `on` or `during`, and what else belongs to it. */
int fc_parse_time(struct fc_parser *parser, enum fc_qual_type type, struct fc_ast **out);

#endif
