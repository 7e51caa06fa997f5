/* SPDX-License-Identifier: MIT */
/* The time behind `after` and `before`: one to three words. */
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
                         "a time is expected: 2024-05-31, 2024-05-31T10:00:00.5+02:00, @SECONDS, now, 2h ago");
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
        if (p->token.type != FC_TOKEN_WORD || !fc_parse_word(&p->token, unit, sizeof unit))
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

/* `2024-05-31`, `2024-05-31 10:00`, `@5`. */
static int parse_point(struct fc_parser *p, const char *word, int64_t *ns)
{
    struct fc_token first = p->token, next = fc_lex(p->text, p->token.off + p->token.span);
    char both[2 * WORD_MAX + 1], clock[WORD_MAX];
    enum fc_time_result result;

    snprintf(both, sizeof both, "%s", word);
    /* a date may have its time of day apart; nothing else that starts like 10: can follow it */
    if (word[0] != '@' && !strchr(word, 'T') && next.type == FC_TOKEN_WORD && next.len > 2 && next.text[2] == ':' &&
        fc_parse_word(&next, clock, sizeof clock)) {
        snprintf(both, sizeof both, "%sT%s", word, clock);
        fc_parse_advance(p);
    }
    result = fc_time_parse(both, ns);
    first = span_from(p, &first);
    return result == FC_TIME_OK ? 0 : fail_time(p, &first, result);
}

int fc_parse_time(struct fc_parser *p, enum fc_qual_type type, struct fc_ast **out)
{
    char word[WORD_MAX];
    struct fc_ast *leaf;
    int64_t ns = p->now_ns;
    int rc = 0;

    if (p->token.type != FC_TOKEN_WORD || !fc_parse_word(&p->token, word, sizeof word))
        return fail_time(p, &p->token, FC_TIME_FORM);
    if (fc_time_is_count(word))
        rc = parse_ago(p, word, &ns);
    else if (!fc_token_is(&p->token, "now"))
        rc = parse_point(p, word, &ns);
    if (rc != 0)
        return rc;
    leaf = fc_ast_leaf(p->arena, type == FC_QUAL_AFTER ? FC_AST_AFTER : FC_AST_BEFORE);
    *out = leaf;
    if (!leaf)
        return FC_E_NOMEM;
    leaf->lo = ns;
    fc_parse_advance(p);
    return 0;
}

FC_EXPORT bool fc_time_read(const char *text, int64_t now_ns, int64_t *ns, struct fc_filter_error *where)
{
    struct fc_filter *filter = NULL;
    struct timespec now;
    char *words = NULL;

    if (!now_ns && clock_gettime(CLOCK_REALTIME, &now) == 0)
        now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    bool is = asprintf(&words, "before %s", text) >= 0 && fc_filter_parse(words, now_ns, &filter, where) == 0 &&
              filter->root && filter->root->type == FC_AST_BEFORE;

    if (is)
        *ns = filter->root->lo;
    fc_filter_free(filter);
    free(words);
    return is;
}
