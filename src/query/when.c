/* SPDX-License-Identifier: MIT */
/* Conditions about time: `after`, `before`, `at`, `between`, `on`, `during`, and the one to three words of a time. */
#include "base/export.h"
#include "query/parse.h"
#include "query/time.h"

#include <ctype.h>
#include <flowcarve/query.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORD_MAX = 64 };

static int fail_time(struct fc_parser *p, const struct fc_token *token, enum fc_time_result result)
{
    if (result == FC_TIME_FIELD)
        return fc_parse_fail(p, token, "there is no such time");
    if (result == FC_TIME_RANGE)
        return fc_parse_fail(p, token, "the time is outside of 1678 to 2261");
    return fc_parse_fail(p, token,
                         "a time is expected: 2024-05-31, 2024-05-31T10:00:00.5+02:00, 22:20, yesterday, 1717150000, "
                         "now, 2h ago");
}

/* The token from the start of `first` to the end of the current one, for messages. */
static struct fc_token span_from(const struct fc_parser *p, const struct fc_token *first)
{
    struct fc_token all = *first;

    all.span = p->token.off + p->token.span - first->off;
    return all;
}

/* `2h ago`, `10 minutes ago`. The current token is the count and becomes the last word. */
static int parse_ago(struct fc_parser *p, const char *count, int64_t *ns)
{
    struct fc_token first = p->token, all;
    char unit[WORD_MAX] = "";
    enum fc_time_result result;
    int64_t span;

    if (isdigit((unsigned char)count[strlen(count) - 1])) {
        fc_parse_advance(p);
        if (fc_time_span("1", fc_parse_word(&p->token, unit, sizeof unit) ? unit : "", &span) != FC_TIME_OK &&
            strlen(count) == 4 && (count[0] == '1' || count[0] == '2'))
            return fc_parse_fail(p, &first, "a month or a day is expected, not a year alone: %s-01, %s-01-31", count,
                                 count);
        if (p->token.type != FC_TOKEN_WORD || !*unit)
            return fc_parse_fail(p, &p->token, "a unit is expected behind '%s': s, min, h, days, weeks", count);
    }
    result = fc_time_span(count, unit, &span);
    if (result == FC_TIME_FIELD)
        return fc_parse_fail(p, &p->token, "unknown unit of time; units are s, min, h, days, weeks");
    all = span_from(p, &first);
    if (result != FC_TIME_OK || __builtin_sub_overflow(p->now_ns, span, ns))
        return fail_time(p, &all, FC_TIME_RANGE);
    fc_parse_advance(p);
    if (!fc_token_is(&p->token, "ago"))
        return fc_parse_fail(p, &all, "'ago' is missing behind '%.*s'", (int)all.span, p->text + all.off);
    return 0;
}

/* Digits are a count where a unit of time follows; else as many of them are a date, and more are seconds. */
static bool is_count(const struct fc_parser *p, const char *word)
{
    struct fc_token next = fc_parse_peek(p);
    char unit[WORD_MAX];
    int64_t span;

    if (!fc_time_is_count(word))
        return false;
    if (strspn(word, "0123456789") != strlen(word) || strlen(word) < 8)
        return true;
    return next.type == FC_TOKEN_WORD && fc_parse_word(&next, unit, sizeof unit) &&
           fc_time_span("1", unit, &span) == FC_TIME_OK;
}

/* A time of day begins here: 8:05, 22:20. */
static bool is_clock(const struct fc_token *token)
{
    size_t digits = 0;

    while (digits < token->len && isdigit((unsigned char)token->text[digits]))
        digits++;
    return token->type == FC_TOKEN_WORD && (digits == 1 || digits == 2) && digits < token->len &&
           token->text[digits] == ':';
}

/* `2024-05-31`, `yesterday 10:00`, `@5`. The current token becomes the last word. */
static int parse_point(struct fc_parser *p, const char *word, const struct fc_time_day *day,
                       struct fc_time_point *point)
{
    struct fc_time_base base = {p->now_ns, p->local, day};
    struct fc_token first = p->token, next = fc_parse_peek(p);
    char both[2 * WORD_MAX + 1], clock[WORD_MAX];
    enum fc_time_result result;

    snprintf(both, sizeof both, "%s", word);
    /* a date may have its time of day apart; nothing else that starts like 10: can follow it */
    if (word[0] != '@' && !strchr(word, 'T') && !strchr(word, ':') && is_clock(&next) &&
        fc_parse_word(&next, clock, sizeof clock)) {
        snprintf(both, sizeof both, "%sT%s", word, clock);
        fc_parse_advance(p);
    }
    result = fc_time_parse(both, &base, point);
    first = span_from(p, &first);
    return result == FC_TIME_OK ? 0 : fail_time(p, &first, result);
}

/* A time, which is consumed. day: that of a time of day without one, or NULL. */
static int read_time(struct fc_parser *p, const struct fc_time_day *day, struct fc_time_point *point)
{
    char word[WORD_MAX];
    int rc = 0;

    *point = (struct fc_time_point){.ns = p->now_ns};
    if (p->token.type != FC_TOKEN_WORD || !fc_parse_word(&p->token, word, sizeof word))
        return fail_time(p, &p->token, FC_TIME_FORM);
    if (is_count(p, word))
        rc = parse_ago(p, word, &point->ns);
    else if (!fc_token_is(&p->token, "now"))
        rc = parse_point(p, word, day, point);
    if (!point->end_ns)
        point->end_ns = point->ns + (point->ns < INT64_MAX);
    if (rc == 0)
        fc_parse_advance(p);
    return rc;
}

static struct fc_ast *bound(struct fc_parser *p, enum fc_ast_type type, int64_t ns)
{
    struct fc_ast *leaf = fc_ast_leaf(p->arena, type);

    if (leaf)
        leaf->lo = ns;
    return leaf;
}

/* A session of which something is at or behind from_ns and in front of end_ns. */
static int window(struct fc_parser *p, int64_t from_ns, int64_t end_ns, struct fc_ast **out)
{
    struct fc_ast *from = bound(p, FC_AST_AFTER, from_ns), *end = bound(p, FC_AST_BEFORE, end_ns);

    *out = from && end ? fc_ast_join(p->arena, FC_AST_AND, from, end) : NULL;
    return *out ? 0 : FC_E_NOMEM;
}

/* `between T and T`: a time of day behind the `and` is that of the first time's date. */
static int parse_between(struct fc_parser *p, const struct fc_time_point *from, struct fc_ast **out)
{
    struct fc_time_point to;
    struct fc_token start;
    int rc;

    if (p->token.type != FC_TOKEN_AND)
        return fc_parse_fail(p, &p->token, "'and' and a second time are expected behind 'between'");
    fc_parse_advance(p);
    start = p->token;
    if ((rc = read_time(p, &from->day, &to)) != 0)
        return rc;
    if (to.ns < from->ns)
        return fc_parse_fail(p, &start, "the second time is before the first");
    return window(p, from->ns, to.ns + (to.ns < INT64_MAX), out);
}

int fc_parse_time(struct fc_parser *p, enum fc_qual_type type, struct fc_ast **out)
{
    struct fc_token start = p->token;
    struct fc_time_point point;
    int rc = read_time(p, NULL, &point);

    if (rc != 0)
        return rc;
    switch (type) {
    case FC_QUAL_BETWEEN:
        return parse_between(p, &point, out);
    case FC_QUAL_AT:
        return window(p, point.ns, point.ns + (point.ns < INT64_MAX), out);
    case FC_QUAL_ON:
        if (!point.is_day)
            return fc_parse_fail(p, &start, "a day is expected behind 'on'; of a time, say 'at' or 'during'");
        /* fall through */
    case FC_QUAL_DURING:
        return window(p, point.ns, point.end_ns, out);
    default:
        *out = bound(p, type == FC_QUAL_AFTER ? FC_AST_AFTER : FC_AST_BEFORE, point.ns);
        return *out ? 0 : FC_E_NOMEM;
    }
}

FC_EXPORT bool fc_time_read(const char *text, const struct fc_time_options *options, int64_t *ns,
                            struct fc_filter_error *where)
{
    struct fc_filter *filter = NULL;
    char *words = NULL;
    bool is = asprintf(&words, "before %s", text) >= 0 && fc_filter_parse_with(words, options, &filter, where) == 0 &&
              filter->root && filter->root->type == FC_AST_BEFORE;

    if (is)
        *ns = filter->root->lo;
    fc_filter_free(filter);
    free(words);
    return is;
}
