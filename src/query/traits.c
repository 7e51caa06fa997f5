/* SPDX-License-Identifier: MIT */
/* What else is seen of a session: TCP flags, who sent the RST, and in which captures it is. */
#include "query/parse.h"
#include "store/record.h"

#include <stdio.h>
#include <string.h>

static int64_t flag_by_name(const struct fc_token *token)
{
    static const struct {
        const char *name;
        int flag;
    } flags[] = {
        {"fin", FC_TCP_FIN}, {"syn", FC_TCP_SYN}, {"rst", FC_TCP_RST}, {"psh", FC_TCP_PSH}, {"push", FC_TCP_PSH},
        {"ack", FC_TCP_ACK}, {"urg", FC_TCP_URG}, {"ece", 0x40},       {"cwr", 0x80},
    };

    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (token->type == FC_TOKEN_WORD && fc_token_is(token, flags[i].name))
            return flags[i].flag;
    return 0;
}

int fc_parse_flags(struct fc_parser *p, const struct fc_qualifiers *qual, struct fc_ast **out)
{
    struct fc_ast *leaf = fc_ast_leaf(p->arena, FC_AST_FLAGS);

    *out = leaf;
    if (!leaf)
        return FC_E_NOMEM;
    leaf->ends = qual->ends;
    for (;;) {
        int64_t flag = flag_by_name(&p->token);

        if (!flag)
            return fc_parse_fail(p, &p->token,
                                 "flags are expected: fin, syn, rst, psh, ack, urg, ece, cwr, with commas");
        leaf->lo |= flag;
        fc_parse_advance(p);
        if (p->token.type != FC_TOKEN_COMMA)
            return 0;
        fc_parse_advance(p);
    }
}

int fc_parse_reset(struct fc_parser *p, struct fc_ast **out)
{
    struct fc_ast *leaf = fc_ast_leaf(p->arena, FC_AST_MARK);
    int value;

    *out = leaf;
    if (!leaf)
        return FC_E_NOMEM;
    if (!fc_token_is(&p->token, "by"))
        return fc_parse_fail(p, &p->token, "say 'reset by client', 'reset by server', or of either 'state reset'");
    do {
        fc_parse_advance(p);
        if (fc_word_kind(&p->token, &value) != FC_WORD_ENDS)
            return fc_parse_fail(p, &p->token, "'client' or 'server' is expected behind 'reset by'");
        leaf->lo |= value == FC_ENDS_SRC ? FC_ROW_RST_CLIENT : FC_ROW_RST_SERVER;
        fc_parse_advance(p);
    } while (p->token.type == FC_TOKEN_COMMA);
    return 0;
}

/* A name of a file as it stands in the text: between quotes, or up to a blank, a comma or a parenthesis. */
static int take_name(struct fc_parser *p, struct fc_ast **out)
{
    const char *start = p->text + p->token.off, *from = start, *end;
    char *text;

    if (*start == '"' || *start == '\'') {
        if (!(end = strchr(++from, *start)))
            return fc_parse_fail(p, &p->token, "the quote is never closed");
    } else {
        end = from + strcspn(from, " \t\n\r\v\f,()");
    }
    p->token.span = (size_t)(end - start) + (from > start);
    if (end == from)
        return fc_parse_fail(p, &p->token, "the name of a capture is expected behind 'file'");
    *out = fc_ast_leaf(p->arena, FC_AST_FILE);
    text = fc_arena_alloc(p->arena, (size_t)(end - from) + 1);
    if (!*out || !text)
        return FC_E_NOMEM;
    memcpy(text, from, (size_t)(end - from));
    (*out)->text = text;
    fc_parse_advance(p);
    return 0;
}

int fc_parse_file(struct fc_parser *p, struct fc_ast **out)
{
    struct fc_ast *another;
    int rc = take_name(p, out);

    while (rc == 0 && p->token.type == FC_TOKEN_COMMA) {
        fc_parse_advance(p);
        if ((rc = take_name(p, &another)) == 0 && !(*out = fc_ast_join(p->arena, FC_AST_OR, *out, another)))
            rc = FC_E_NOMEM;
    }
    return rc;
}
