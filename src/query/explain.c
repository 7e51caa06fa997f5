/* SPDX-License-Identifier: MIT */
/* What a filter is to flowcarve, to SQLite, and to programs that look at packets. */
#include "query/explain.h"
#include "base/error.h"
#include "base/export.h"
#include "query/filter.h"
#include "store/db.h"

#include <flowcarve/query.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void write_tree(FILE *out, const struct fc_ast *node, int depth)
{
    static const char *const words[] = {[FC_AST_AND] = "and", [FC_AST_OR] = "or", [FC_AST_NOT] = "not"};

    fprintf(out, "%*s", 2 * depth, "");
    if (!node->first)
        fc_ast_write(out, node);
    else
        fputs(words[node->type], out);
    fputc('\n', out);
    for (const struct fc_ast *child = node->first; child; child = child->next)
        write_tree(out, child, depth + 1);
}

/* Closes a memory stream whose text is *text: NULL where it is not all there. */
static void finish(FILE *out, char **text)
{
    if (out && (fflush(out) != 0 || ferror(out))) {
        fclose(out);
        free(*text);
        *text = NULL;
    } else if (out) {
        fclose(out);
    }
}

static int explain_tree(const struct fc_filter *filter, struct fc_explain *e)
{
    size_t size;
    FILE *out = open_memstream(&e->tree, &size);

    if (out && filter && filter->root)
        write_tree(out, filter->root, 0);
    finish(out, &e->tree);
    return out && e->tree ? 0 : FC_E_NOMEM;
}

/* The same condition for packets, or the first leaf that has none. */
static int explain_packets(const struct fc_filter *filter, fc_packet_writer *write, char **text, char **lacks)
{
    const struct fc_ast *root = filter ? filter->root : NULL;
    const struct fc_ast *without = NULL;
    size_t size;
    FILE *out = open_memstream(text, &size), *leaf = NULL;

    if (out && root)
        without = fc_packets_write(out, write, root);
    finish(out, text);
    if (!out || !*text)
        return FC_E_NOMEM;
    if (!without)
        return 0;
    free(*text);
    *text = NULL;
    if ((leaf = open_memstream(lacks, &size)))
        fc_ast_write(leaf, without);
    finish(leaf, lacks);
    return leaf && *lacks ? 0 : FC_E_NOMEM;
}

#define SELECT_IDS "SELECT s.id"

static int explain_sql(struct fc_db *db, const struct fc_filter *filter, struct fc_explain *e, struct fc_error *err)
{
    sqlite3_stmt *stmt;
    int rc = fc_filter_prepare(filter, db, SELECT_IDS, "", FC_ORDER_ID, &stmt, err);

    if (rc)
        return rc;
    char *expanded = sqlite3_expanded_sql(stmt);
    const char *text = expanded ? expanded : sqlite3_sql(stmt);
    e->sql = text ? strdup(text) : NULL;
    sqlite3_free(expanded);
    sqlite3_finalize(stmt);
    return e->sql ? 0 : fc_error_set(err, FC_E_NOMEM, db->path, FC_NO_OFFSET, "out of memory");
}

enum { STEPS_DEEP = 64 };

/* SQLite's steps, each two columns further in than the one that it belongs to. */
static int write_steps(FILE *out, sqlite3_stmt *stmt)
{
    int inside[STEPS_DEEP], depth = 0, step;

    while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
        int parent = sqlite3_column_int(stmt, 1);
        const char *detail = (const char *)sqlite3_column_text(stmt, 3);

        while (depth > 0 && inside[depth - 1] != parent)
            depth--;
        fprintf(out, "%*s%s\n", 2 * depth, "", detail ? detail : "");
        if (depth < STEPS_DEEP)
            inside[depth++] = sqlite3_column_int(stmt, 0);
    }
    return step == SQLITE_DONE ? SQLITE_OK : step;
}

static int explain_plan(struct fc_db *db, const struct fc_filter *filter, struct fc_explain *e, struct fc_error *err)
{
    sqlite3_stmt *stmt;
    size_t size;
    int rc = fc_filter_prepare(filter, db, "EXPLAIN QUERY PLAN " SELECT_IDS, "", FC_ORDER_ID, &stmt, err);

    if (rc)
        return rc;
    FILE *out = open_memstream(&e->plan, &size);
    if (out && write_steps(out, stmt) != SQLITE_OK)
        rc = fc_db_error(fc_db_sqlite(db), db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    finish(out, &e->plan);
    if (rc == 0 && (!out || !e->plan))
        rc = fc_error_set(err, FC_E_NOMEM, db->path, FC_NO_OFFSET, "out of memory");
    return rc;
}

int fc_explain_filter(const struct fc_filter *filter, struct fc_explain *out)
{
    bool failed = explain_tree(filter, out) || explain_packets(filter, fc_bpf_leaf, &out->bpf, &out->bpf_lacks) ||
                  explain_packets(filter, fc_display_leaf, &out->wireshark, &out->wireshark_lacks);

    return failed ? FC_E_NOMEM : 0;
}

FC_EXPORT int fc_query_explain(struct fc_db *db, const struct fc_filter *filter, struct fc_explain *out,
                               struct fc_error *err)
{
    int rc;

    *out = (struct fc_explain){0};
    if (fc_explain_filter(filter, out))
        rc = fc_error_set(err, FC_E_NOMEM, db->path, FC_NO_OFFSET, "out of memory");
    else if ((rc = explain_sql(db, filter, out, err)) == 0)
        rc = explain_plan(db, filter, out, err);
    if (rc)
        fc_explain_fini(out);
    return rc;
}

FC_EXPORT void fc_explain_fini(struct fc_explain *e)
{
    free(e->tree);
    free(e->sql);
    free(e->plan);
    free(e->bpf);
    free(e->bpf_lacks);
    free(e->wireshark);
    free(e->wireshark_lacks);
    *e = (struct fc_explain){0};
}
