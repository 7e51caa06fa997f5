/* SPDX-License-Identifier: MIT */
/* Predicates about numbers of a session: `bytes over 10M`, `client packets >= 3`, `duration under 2.5s`. */
#include "query/parse.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 64 };

/* Larger ones are refused, so that what lies above and below a number is one too. */
#define QUANTITY_MAX (INT64_MAX / 2)

struct unit {
    const char *name;
    int64_t each;
};

static const struct unit sizes[] = {
    {"", 1},
    {"B", 1},
    {"k", 1000},
    {"K", 1000},
    {"M", 1000000},
    {"G", 1000000000},
    {"T", INT64_C(1000000000000)},
    {"Ki", 1 << 10},
    {"Mi", 1 << 20},
    {"Gi", 1 << 30},
    {"Ti", INT64_C(1) << 40},
    {"kB", 1000},
    {"KB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", INT64_C(1000000000000)},
    {"KiB", 1 << 10},
    {"MiB", 1 << 20},
    {"GiB", 1 << 30},
    {"TiB", INT64_C(1) << 40},
    {NULL, 0},
};

#define SECOND INT64_C(1000000000)

static const struct unit times[] = {
    {"ns", 1},
    {"us", 1000},
    {"ms", 1000000},
    {"", SECOND},
    {"s", SECOND},
    {"sec", SECOND},
    {"second", SECOND},
    {"seconds", SECOND},
    {"m", 60 * SECOND},
    {"min", 60 * SECOND},
    {"minute", 60 * SECOND},
    {"minutes", 60 * SECOND},
    {"h", 3600 * SECOND},
    {"hour", 3600 * SECOND},
    {"hours", 3600 * SECOND},
    {"d", 86400 * SECOND},
    {"day", 86400 * SECOND},
    {"days", 86400 * SECOND},
    {"w", 604800 * SECOND},
    {"week", 604800 * SECOND},
    {"weeks", 604800 * SECOND},
    {NULL, 0},
};

static const struct unit none[] = {{"", 1}, {NULL, 0}};

/* What is measured, and how people write it. */
static const struct kind {
    enum fc_qual_type type;
    enum fc_measure measure;
    const struct unit *units;
    const char *units_named, *example;
} kinds[] = {
    {FC_QUAL_PACKETS, FC_MEASURE_PACKETS, sizes, "k, M, G (1000), Ki, Mi, Gi (1024)", "100"},
    {FC_QUAL_BYTES, FC_MEASURE_BYTES, sizes, "k, M, G (1000), Ki, Mi, Gi (1024)", "10M"},
    {FC_QUAL_DURATION, FC_MEASURE_DURATION, times, "ms, s, m, h, d", "5m"},
    {FC_QUAL_PAYLOAD, FC_MEASURE_PAYLOAD, sizes, "k, M, G (1000), Ki, Mi, Gi (1024)", "10k"},
    {FC_QUAL_TTL, FC_MEASURE_TTL, none, "none", "64"},
};

static const struct kind *kind_of(enum fc_qual_type type)
{
    size_t i = 0;

    while (kinds[i].type != type)
        i++;
    return &kinds[i];
}

static const struct unit *find_unit(const struct unit *units, const char *name)
{
    for (; units->name; units++)
        if (strcmp(units->name, name) == 0)
            return units;
    return NULL;
}

enum comparison { NO_COMPARISON, OVER, UNDER, AT_LEAST, AT_MOST, EQUAL, UNEQUAL, BETWEEN };

/* The comparison at the token; *signs: tokens that it takes. */
static enum comparison comparison_at(const struct fc_parser *p, unsigned *tokens)
{
    struct fc_token t = p->token, next = fc_parse_peek(p);
    bool with_equals = next.type == FC_TOKEN_OTHER && next.text[0] == '=' && next.off == t.off + t.span;

    *tokens = 1;
    if (fc_token_is(&t, "over"))
        return OVER;
    if (fc_token_is(&t, "under"))
        return UNDER;
    if (fc_token_is(&t, "between"))
        return BETWEEN;
    if (t.type == FC_TOKEN_OTHER && strchr("<>=!", t.text[0]) && t.text[0]) {
        *tokens += with_equals && t.text[0] != '!';
        if (t.text[0] == '=' || t.text[0] == '!')
            return t.text[0] == '=' ? EQUAL : UNEQUAL;
        return t.text[0] == '>' ? with_equals ? AT_LEAST : OVER : with_equals ? AT_MOST : UNDER;
    }
    *tokens = 2;
    if (fc_token_is(&t, "at") && (fc_token_is(&next, "least") || fc_token_is(&next, "most")))
        return fc_token_is(&next, "least") ? AT_LEAST : AT_MOST;
    return NO_COMPARISON;
}

bool fc_parse_is_comparison(const struct fc_parser *p)
{
    unsigned tokens;

    return p->token.type == FC_TOKEN_END || comparison_at(p, &tokens) != NO_COMPARISON;
}

/*
 * A number and a unit as so many of the smallest; false where that is no whole number or too large. text: digits, which
 * may have a decimal point, up to `end`.
 */
static bool scale(const char *text, const char *end, int64_t each, int64_t *value)
{
    int64_t whole = 0, fraction = 0, parts = 1;
    const char *p = text;

    for (; p < end && *p != '.'; p++)
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, *p - '0', &whole))
            return false;
    for (p += p < end; p < end; p++) {
        if (__builtin_mul_overflow(parts, 10, &parts))
            return false;
        fraction = fraction * 10 + (*p - '0');
    }
    if (__builtin_mul_overflow(whole, each, &whole) || __builtin_mul_overflow(fraction, each, &fraction) ||
        fraction % parts != 0 || __builtin_add_overflow(whole, fraction / parts, value))
        return false;
    return *value <= QUANTITY_MAX;
}

/* `10M`, `2.5s`, `5 minutes`: consumes them. */
static int parse_quantity(struct fc_parser *p, const struct kind *kind, int64_t *value)
{
    struct fc_token first = p->token, next = fc_parse_peek(p);
    const struct unit *unit;
    char word[WORD_MAX], name[WORD_MAX];
    size_t digits;

    if (first.type == FC_TOKEN_END)
        return fc_parse_fail(p, &first, "the filter ends where a number is expected, as in '%s'", kind->example);
    if (first.type != FC_TOKEN_WORD || !fc_parse_word(&first, word, sizeof word) || !isdigit((unsigned char)word[0]))
        return fc_parse_fail(p, &first, "'%.*s' where a number is expected, as in '%s'",
                             (int)(first.len < 64 ? first.len : 64), first.text, kind->example);
    digits = strspn(word, "0123456789");
    if (word[digits] == '.')
        digits += 1 + strspn(word + digits + 1, "0123456789");
    unit = find_unit(kind->units, word + digits);
    if (!word[digits] && next.type == FC_TOKEN_WORD && fc_parse_word(&next, name, sizeof name) &&
        find_unit(kind->units, name)) {
        unit = find_unit(kind->units, name);
        first.span = next.off + next.span - first.off;
        fc_parse_advance(p);
    }
    if (!unit || word[digits - 1] == '.')
        return fc_parse_fail(p, &first, "'%s' is no number%s; units: %s", word, unit ? "" : " with a known unit",
                             kind->units_named);
    if (!scale(word, word + digits, unit->each, value))
        return fc_parse_fail(p, &first, "'%.*s' is too large, or no whole number of %s", (int)first.span,
                             p->text + first.off, kind->units == times ? "nanoseconds" : fc_word_type(kind->type));
    fc_parse_advance(p);
    return 0;
}

/*
 * A shell takes > and < and the word behind them for itself: what is left of `bytes > 10M and tcp` is `bytes and tcp`.
 */
static int fail_comparison(struct fc_parser *p, const struct kind *kind)
{
    const char *word = fc_word_type(kind->type);

    return fc_parse_fail(p, &p->token,
                         "how many? Say '%s over %s', under, at least or at most; signs must be quoted, or the shell"
                         " takes them: '%s > %s'",
                         word, kind->example, word, kind->example);
}

static int parse_between(struct fc_parser *p, const struct kind *kind, struct fc_ast *leaf)
{
    int rc = parse_quantity(p, kind, &leaf->lo);

    if (rc == 0 && p->token.type != FC_TOKEN_AND)
        rc = fc_parse_fail(p, &p->token, "'and' and a second number are expected behind 'between'");
    if (rc != 0)
        return rc;
    fc_parse_advance(p);
    return parse_quantity(p, kind, &leaf->hi);
}

int fc_parse_measure(struct fc_parser *p, const struct fc_qualifiers *qual, bool ends, struct fc_ast **out)
{
    const struct kind *kind = kind_of(qual->type);
    struct fc_token start = p->token;
    unsigned tokens;
    enum comparison comparison = comparison_at(p, &tokens);
    int64_t number = 0;
    int rc;

    if (comparison == NO_COMPARISON)
        return fail_comparison(p, kind);
    if (comparison == UNEQUAL)
        return fc_parse_fail(p, &start, "no '!=' here; say 'not %s = ...'", fc_word_type(kind->type));
    if (ends && kind->type != FC_QUAL_TTL && qual->ends != FC_ENDS_SRC && qual->ends != FC_ENDS_DST)
        return fc_parse_fail(p, &start, "'%s' are the client's, the server's, or with neither word those of both",
                             fc_word_type(kind->type));
    for (; tokens; tokens--)
        fc_parse_advance(p);
    if (!(*out = fc_ast_leaf(p->arena, FC_AST_MEASURE)))
        return FC_E_NOMEM;
    (*out)->measure = (uint8_t)kind->measure;
    (*out)->ends = qual->ends;
    if (comparison == BETWEEN)
        return parse_between(p, kind, *out);
    if ((rc = parse_quantity(p, kind, &number)) != 0)
        return rc;
    (*out)->lo = comparison == OVER ? number + 1 : comparison == UNDER || comparison == AT_MOST ? INT64_MIN : number;
    (*out)->hi = comparison == UNDER ? number - 1 : comparison == OVER || comparison == AT_LEAST ? INT64_MAX : number;
    return 0;
}
