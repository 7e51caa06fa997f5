/* SPDX-License-Identifier: MIT */
#include "query/parse.h"
#include "base/export.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int parse_expr(struct fc_parser *p, struct fc_qualifiers *qual, struct fc_ast **out);

int fc_parse_fail(struct fc_parser *p, const struct fc_token *token, const char *fmt, ...)
{
    va_list ap;

    if (p->where) {
        p->where->off = token->off;
        p->where->len = token->span;
        va_start(ap, fmt);
        vsnprintf(p->where->cause, sizeof p->where->cause, fmt, ap);
        va_end(ap);
    }
    return FC_E_FILTER;
}

void fc_parse_advance(struct fc_parser *p)
{
    p->off = p->token.off + p->token.span;
    p->token = fc_lex(p->text, p->off);
}

bool fc_parse_word(const struct fc_token *token, char *buf, size_t size)
{
    if (token->len >= size)
        return false;
    memcpy(buf, token->text, token->len);
    buf[token->len] = '\0';
    return true;
}

struct fc_token fc_parse_peek(const struct fc_parser *p)
{
    return fc_lex(p->text, p->token.off + p->token.span);
}

static int enter(struct fc_parser *p)
{
    if (++p->nest > FC_FILTER_NEST_MAX)
        return fc_parse_fail(p, &p->token, "more than %d parentheses and 'not' inside one another", FC_FILTER_NEST_MAX);
    return 0;
}

static int join(struct fc_parser *p, const struct fc_token *op, struct fc_ast **left, struct fc_ast *right)
{
    enum fc_ast_type type = op->type == FC_TOKEN_AND ? FC_AST_AND : FC_AST_OR;

    *left = fc_ast_join(p->arena, type, *left, right);
    if (!*left)
        return FC_E_NOMEM;
    if ((*left)->height > FC_FILTER_HEIGHT_MAX)
        return fc_parse_fail(p, op, "'and' and 'or' take turns more than %d times; group with parentheses",
                             FC_FILTER_HEIGHT_MAX - 1);
    return 0;
}

static int negate(struct fc_parser *p, struct fc_ast **node)
{
    *node = fc_ast_not(p->arena, *node);
    return *node ? 0 : FC_E_NOMEM;
}

static int close_paren(struct fc_parser *p, const struct fc_token *open)
{
    if (p->token.type == FC_TOKEN_END)
        return fc_parse_fail(p, open, "'(' is never closed");
    if (p->token.type != FC_TOKEN_CLOSE)
        return fc_parse_fail_unexpected(p, "'and', 'or' or ')'");
    fc_parse_advance(p);
    p->nest--;
    return 0;
}

static const char *value_name(enum fc_qual_type type)
{
    switch (type) {
    case FC_QUAL_NET:
        return "a network";
    case FC_QUAL_PORT:
    case FC_QUAL_PORTRANGE:
        return "a port";
    case FC_QUAL_PROTO:
        return "a protocol";
    case FC_QUAL_VLAN:
    case FC_QUAL_MPLS:
    case FC_QUAL_ID:
    case FC_QUAL_TTL:
        return "a number";
    case FC_QUAL_TUNNEL:
        return "an encapsulation";
    case FC_QUAL_STATE:
        return "a state";
    case FC_QUAL_COMMUNITY_ID:
        return "a Community ID";
    case FC_QUAL_SENSOR:
        return "a sensor";
    default:
        return "an address";
    }
}

/* `80,443`: one of the values. What follows a comma is a value, also where it looks like a keyword. */
static int parse_one_of(struct fc_parser *p, const struct fc_qualifiers *qual, struct fc_ast **out)
{
    int rc = fc_parse_value(p, qual, out);

    while (rc == 0 && p->token.type == FC_TOKEN_COMMA) {
        struct fc_token op = p->token;
        struct fc_ast *right;

        op.type = FC_TOKEN_OR;
        fc_parse_advance(p);
        if (p->token.type != FC_TOKEN_WORD)
            return fc_parse_fail_unexpected(p, value_name(qual->type));
        rc = fc_parse_value(p, qual, &right);
        if (rc == 0)
            rc = join(p, &op, out, right);
    }
    return rc;
}

/* `src and dst net A,B`: each end is in one of them, not both in the same one. So such a list is read for each end. */
static int parse_list(struct fc_parser *p, const struct fc_qualifiers *qual, struct fc_ast **out)
{
    struct fc_parser start = *p;
    struct fc_qualifiers end = *qual;
    struct fc_token op = p->token;
    struct fc_ast *right;
    int rc;

    if (qual->ends != FC_ENDS_BOTH)
        return parse_one_of(p, qual, out);
    rc = fc_parse_value(p, qual, out);
    if (rc != 0 || p->token.type != FC_TOKEN_COMMA)
        return rc;
    *p = start;
    op.type = FC_TOKEN_AND;
    end.ends = FC_ENDS_SRC;
    if ((rc = parse_one_of(p, &end, out)) != 0)
        return rc;
    *p = start;
    end.ends = FC_ENDS_DST;
    if ((rc = parse_one_of(p, &end, &right)) != 0)
        return rc;
    return join(p, &op, out, right);
}

/* Values behind qualifiers: in parentheses only values may stand, a qualifier there would undo those in front. */
static int parse_values(struct fc_parser *p, const struct fc_qualifiers *qual, bool inside, struct fc_ast **out)
{
    struct fc_token start = p->token;
    int rc, value;

    if (start.type == FC_TOKEN_NOT) {
        if ((rc = enter(p)) != 0)
            return rc;
        fc_parse_advance(p);
        if ((rc = parse_values(p, qual, inside, out)) != 0)
            return rc;
        p->nest--;
        return negate(p, out);
    }
    if (start.type != FC_TOKEN_OPEN) {
        if ((rc = fc_parse_fail_sign(p, qual->type)) != 0)
            return rc;
        if (start.type != FC_TOKEN_WORD)
            return fc_parse_fail_unexpected(p, value_name(qual->type));
        enum fc_word_kind kind = fc_word_kind(&start, &value);
        if (inside && kind != FC_WORD_NONE && kind != FC_WORD_PACKET && !fc_parse_fits(qual, &start))
            return fc_parse_fail(p, &start, "only %s may stand in these parentheses, no '%.*s'", value_name(qual->type),
                                 (int)start.len, start.text);
        return parse_list(p, qual, out);
    }
    if ((rc = enter(p)) != 0)
        return rc;
    fc_parse_advance(p);
    if ((rc = parse_values(p, qual, true, out)) != 0)
        return rc;
    while (p->token.type == FC_TOKEN_AND || p->token.type == FC_TOKEN_OR) {
        struct fc_token op = p->token;
        struct fc_ast *right;

        fc_parse_advance(p);
        if ((rc = parse_values(p, qual, true, &right)) != 0 || (rc = join(p, &op, out, right)) != 0)
            return rc;
    }
    return close_paren(p, &start);
}

/* `src`, `dst`, `src or dst`, `src and dst`. */
static void parse_ends(struct fc_parser *p, struct fc_qualifiers *qual, int ends)
{
    struct fc_token op, other;
    int value;

    qual->ends = (uint8_t)ends;
    fc_parse_advance(p);
    op = p->token;
    if (op.type != FC_TOKEN_AND && op.type != FC_TOKEN_OR)
        return;
    other = fc_parse_peek(p);
    if (fc_word_kind(&other, &value) != FC_WORD_ENDS || value == ends)
        return;
    /* `src host A or dst host B` has an address in front of its `or`, so this can only be a pair of ends */
    qual->ends = op.type == FC_TOKEN_AND ? FC_ENDS_BOTH : FC_ENDS_EITHER;
    fc_parse_advance(p);
    fc_parse_advance(p);
}

/* A protocol that stands in front of anything or alone; false when the word is none. */
static bool take_proto(struct fc_parser *p, struct fc_qualifiers *qual)
{
    char name[64];
    int value;
    int64_t number;
    enum fc_word_kind kind = fc_word_kind(&p->token, &value);

    if (kind == FC_WORD_PROTO) {
        qual->proto = (enum fc_qual_proto)value;
    } else {
        if ((kind != FC_WORD_NONE && kind != FC_WORD_NAMED && kind != FC_WORD_PACKET) || p->token.escaped ||
            !fc_parse_word(&p->token, name, sizeof name) || (number = fc_proto_number(name)) < 0)
            return false;
        qual->proto = FC_QUAL_NUMBER;
        qual->proto_number = (uint32_t)number;
    }
    qual->proto_text = p->token.text;
    qual->proto_len = p->token.len;
    fc_parse_advance(p);
    return true;
}

/* A protocol that no type follows: a condition of its own. */
static int parse_lone_proto(struct fc_parser *p, struct fc_qualifiers *qual, struct fc_ast **out)
{
    const struct fc_token *t = &p->token;
    int value;

    if (t->type == FC_TOKEN_OTHER || fc_word_kind(t, &value) == FC_WORD_PACKET)
        return fc_parse_fail_packets(p, t);
    if (t->type == FC_TOKEN_COMMA)
        return fc_parse_fail(p, t, "a list stands behind a word that says of what; write 'proto %.*s,...'",
                             (int)qual->proto_len, qual->proto_text);
    if (qual->proto == FC_QUAL_LINK)
        return fc_parse_fail_unexpected(p, "'host', 'src' or 'dst' and a link address");
    if (t->type == FC_TOKEN_WORD && (isdigit((unsigned char)t->text[0]) || memchr(t->text, ':', t->len)))
        return fc_parse_fail(p, t, "is '%.*s' a port or an address? Write '%.*s port ...' or '%.*s and host ...'",
                             (int)(t->len < 64 ? t->len : 64), t->text, (int)qual->proto_len, qual->proto_text,
                             (int)qual->proto_len, qual->proto_text);
    qual->set = false;
    return fc_parse_proto(p, qual, out);
}

/* Does a value follow `vlan`, `mpls` or `tunnel`, where it may be left out? */
static bool value_follows(const struct fc_parser *p, const struct fc_qualifiers *qual)
{
    struct fc_token t = p->token;
    int value;

    while (t.type == FC_TOKEN_OPEN)
        t = fc_lex(p->text, t.off + t.span);
    if (t.type != FC_TOKEN_WORD || qual->type != FC_QUAL_TUNNEL)
        return t.type == FC_TOKEN_WORD && isdigit((unsigned char)t.text[0]);
    enum fc_word_kind kind = fc_word_kind(&t, &value);
    return kind == FC_WORD_NONE || kind == FC_WORD_PACKET || kind == FC_WORD_NAMED || fc_parse_fits(qual, &t);
}

/* The leaf without a value. */
static enum fc_ast_type any_type(enum fc_qual_type type)
{
    return type == FC_QUAL_VLAN ? FC_AST_VLAN : type == FC_QUAL_MPLS ? FC_AST_MPLS : FC_AST_TUNNEL;
}

static int parse_typed(struct fc_parser *p, struct fc_qualifiers *qual, struct fc_ast **out)
{
    if (qual->type >= FC_QUAL_AFTER && qual->type <= FC_QUAL_DURING) {
        qual->set = false;
        return fc_parse_time(p, qual->type, out);
    }
    if ((qual->type == FC_QUAL_VLAN || qual->type == FC_QUAL_MPLS || qual->type == FC_QUAL_TUNNEL) &&
        !value_follows(p, qual)) {
        if (fc_parse_fail_sign(p, qual->type))
            return FC_E_FILTER;
        qual->set = false;
        *out = fc_ast_leaf(p->arena, any_type(qual->type));
        if (*out)
            (*out)->lo = (*out)->hi = -1;
        return *out ? 0 : FC_E_NOMEM;
    }
    return parse_values(p, qual, false, out);
}

/* What is counted for each direction. */
static bool has_two_sides(enum fc_qual_type type)
{
    return type == FC_QUAL_FLAGS || type == FC_QUAL_PACKETS || type == FC_QUAL_BYTES || type == FC_QUAL_PAYLOAD ||
           type == FC_QUAL_TTL;
}

/* [proto] [ends] [type] and what follows; the current token is the first of these. */
static int parse_qualified(struct fc_parser *p, struct fc_qualifiers *qual, struct fc_ast **out)
{
    struct fc_token type_token;
    bool has_proto, has_ends = false;
    int value;

    *qual = (struct fc_qualifiers){.set = true, .type = FC_QUAL_ADDRESS, .ends = FC_ENDS_EITHER};
    has_proto = take_proto(p, qual);
    if (fc_word_kind(&p->token, &value) == FC_WORD_ENDS) {
        has_ends = true;
        parse_ends(p, qual, value);
    }
    type_token = p->token;
    if (fc_word_kind(&type_token, &value) == FC_WORD_TYPE) {
        qual->type = (enum fc_qual_type)value;
        if (has_ends && qual->type >= FC_QUAL_PROTO && !has_two_sides(qual->type))
            return fc_parse_fail(p, &type_token, "'%s' has no source and destination", fc_word_type(qual->type));
        if (has_proto && qual->type > FC_QUAL_PROTO)
            return fc_parse_fail(p, &type_token, "'and' is needed between '%.*s' and '%s'", (int)qual->proto_len,
                                 qual->proto_text, fc_word_type(qual->type));
        fc_parse_advance(p);
        if (qual->type >= FC_QUAL_PACKETS && (qual->type != FC_QUAL_TTL || fc_parse_is_comparison(p))) {
            qual->set = false;
            return fc_parse_measure(p, qual, has_ends, out);
        }
        if (qual->type >= FC_QUAL_FILE && qual->type <= FC_QUAL_RESET) {
            qual->set = false;
            return qual->type == FC_QUAL_FILE    ? fc_parse_file(p, out)
                   : qual->type == FC_QUAL_FLAGS ? fc_parse_flags(p, qual, out)
                                                 : fc_parse_reset(p, out);
        }
        return parse_typed(p, qual, out);
    }
    if (!has_ends)
        return parse_lone_proto(p, qual, out);
    return parse_typed(p, qual, out);
}

/* `state closed or reset` goes on with a state, `state closed or reset by client` does not. */
static bool is_reset_by(const struct fc_parser *p)
{
    struct fc_token next = fc_parse_peek(p);

    return fc_token_is(&p->token, "reset") && fc_token_is(&next, "by");
}

/* A word without qualifiers in front of it. */
static int parse_bare(struct fc_parser *p, struct fc_qualifiers *qual, struct fc_ast **out)
{
    static const char condition[] = "a condition";
    int value;
    enum fc_word_kind kind = fc_word_kind(&p->token, &value);
    char name[64];
    bool is_proto;

    if (fc_parse_fail_wireshark(p))
        return FC_E_FILTER;
    /* a port may be behind `port 80 or`, an end has one of its own */
    if (fc_parse_is_end(&p->token) && qual->type != FC_QUAL_ADDRESS && qual->type != FC_QUAL_HOST)
        *qual = (struct fc_qualifiers){.set = true, .type = FC_QUAL_ADDRESS, .ends = FC_ENDS_EITHER};
    if (qual->set && qual->type == FC_QUAL_STATE && fc_parse_is_state(&p->token) && !is_reset_by(p))
        return parse_list(p, qual, out);
    if (kind == FC_WORD_ENDS || kind == FC_WORD_TYPE || kind == FC_WORD_PROTO)
        return parse_qualified(p, qual, out);
    if (qual->set && fc_parse_fits(qual, &p->token))
        return parse_list(p, qual, out);
    is_proto = !p->token.escaped && fc_parse_word(&p->token, name, sizeof name) && fc_proto_number(name) >= 0;
    if (is_proto)
        return parse_qualified(p, qual, out);
    if (kind == FC_WORD_NAMED || kind == FC_WORD_PACKET)
        return fc_parse_fail_packets(p, &p->token);
    if (kind == FC_WORD_OTHER)
        return fc_parse_fail_unexpected(p, condition);
    if (fc_parse_fail_column(p, &p->token))
        return FC_E_FILTER;
    if (strchr("0123456789:", p->token.text[0]) || memchr(p->token.text, ':', p->token.len)) {
        *qual = (struct fc_qualifiers){.set = true, .type = FC_QUAL_ADDRESS, .ends = FC_ENDS_EITHER};
        return parse_list(p, qual, out);
    }
    if (fc_parse_word(&p->token, name, sizeof name) && (fc_word_like(name) || fc_word_application(name)))
        return fc_parse_fail_unexpected(p, condition);
    if (qual->set)
        return parse_list(p, qual, out);
    if (fc_parse_is_state(&p->token))
        return fc_parse_fail(p, &p->token, "say 'state %.*s'", (int)p->token.len, p->token.text);
    return fc_parse_fail(p, &p->token, "unknown word '%.*s'", (int)(p->token.len < 64 ? p->token.len : 64),
                         p->token.text);
}

static int parse_term(struct fc_parser *p, struct fc_qualifiers *qual, struct fc_ast **out)
{
    struct fc_token start = p->token;
    struct fc_qualifiers outer = *qual;
    int rc;

    switch (start.type) {
    case FC_TOKEN_NOT:
        if ((rc = enter(p)) != 0)
            return rc;
        fc_parse_advance(p);
        if ((rc = parse_term(p, qual, out)) != 0)
            return rc;
        p->nest--;
        return negate(p, out);
    case FC_TOKEN_OPEN:
        if ((rc = enter(p)) != 0)
            return rc;
        fc_parse_advance(p);
        if ((rc = parse_expr(p, qual, out)) != 0 || (rc = close_paren(p, &start)) != 0)
            return rc;
        *qual = outer;
        return 0;
    case FC_TOKEN_WORD:
        return parse_bare(p, qual, out);
    default:
        return fc_parse_fail_unexpected(p, "a condition");
    }
}

static int parse_expr(struct fc_parser *p, struct fc_qualifiers *qual, struct fc_ast **out)
{
    int rc = parse_term(p, qual, out);

    while (rc == 0 && (p->token.type == FC_TOKEN_AND || p->token.type == FC_TOKEN_OR)) {
        struct fc_token op = p->token;
        struct fc_ast *right;

        fc_parse_advance(p);
        rc = parse_term(p, qual, &right);
        if (rc == 0)
            rc = join(p, &op, out, right);
    }
    return rc;
}

static int parse_all(struct fc_parser *p, struct fc_ast **root)
{
    struct fc_qualifiers qual = {0};
    int rc;

    *root = NULL;
    if (strnlen(p->text, FC_FILTER_TEXT_MAX + 1) > FC_FILTER_TEXT_MAX)
        return fc_parse_fail(p, &p->token, "the filter has more than %d bytes", FC_FILTER_TEXT_MAX);
    p->token = fc_lex(p->text, 0);
    if (p->token.type == FC_TOKEN_END)
        return 0;
    rc = parse_expr(p, &qual, root);
    if (rc != 0 || p->token.type == FC_TOKEN_END)
        return rc;
    if (p->token.type == FC_TOKEN_CLOSE)
        return fc_parse_fail(p, &p->token, "')' without '('");
    return fc_parse_fail_unexpected(p, "'and' or 'or'");
}

static int parse_text(const char *text, int64_t now_ns, bool local, struct fc_filter **out,
                      struct fc_filter_error *where)
{
    struct fc_filter *filter = calloc(1, sizeof *filter);
    struct fc_parser parser = {.text = text ? text : "", .now_ns = now_ns, .local = local, .where = where};
    int rc;

    *out = NULL;
    if (!filter)
        return FC_E_NOMEM;
    parser.arena = &filter->arena;
    rc = parse_all(&parser, &filter->root);
    if (rc != 0) {
        fc_filter_free(filter);
        return rc;
    }
    *out = filter;
    return 0;
}

FC_EXPORT int fc_filter_parse(const char *text, int64_t now_ns, struct fc_filter **out, struct fc_filter_error *where)
{
    return parse_text(text, now_ns, false, out, where);
}

FC_EXPORT int fc_filter_parse_with(const char *text, const struct fc_time_options *options, struct fc_filter **out,
                                   struct fc_filter_error *where)
{
    int64_t now_ns = options ? options->now_ns : 0;
    struct timespec now;

    if (!now_ns && clock_gettime(CLOCK_REALTIME, &now) == 0)
        now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    return parse_text(text, now_ns, options && options->local, out, where);
}

FC_EXPORT int fc_filter_narrow(struct fc_filter *filter, const struct fc_id_range *ranges, size_t count)
{
    static const struct fc_id_range none = {INT64_MIN, INT64_MIN}; /* no session has it */
    struct fc_arena *arena = &filter->arena;
    struct fc_ast *ids = fc_ast_leaf(arena, FC_AST_OR);

    for (size_t i = 0; ids && i < (count ? count : 1); i++) {
        const struct fc_id_range *range = count ? &ranges[i] : &none;
        struct fc_ast *leaf = fc_ast_leaf(arena, FC_AST_ID);
        if (range->first > range->last)
            return FC_E_USAGE;
        if (leaf) {
            leaf->lo = range->first;
            leaf->hi = range->last;
        }
        ids = leaf ? fc_ast_join(arena, FC_AST_OR, ids, leaf) : NULL;
    }
    if (ids && filter->root)
        ids = fc_ast_join(arena, FC_AST_AND, filter->root, ids);
    if (ids)
        filter->root = ids;
    return ids ? 0 : FC_E_NOMEM;
}

FC_EXPORT void fc_filter_free(struct fc_filter *filter)
{
    if (!filter)
        return;
    fc_arena_fini(&filter->arena);
    free(filter);
}
