/* SPDX-License-Identifier: MIT */
#include "cluster/tables.h"
#include "base/error.h"
#include "base/export.h"
#include "cluster/config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_LONGEST = 63 };

/* What is put into statements. */
struct words {
    const char *database, *cluster;
    bool replicated;
};

/* The engine of the table that the statement so far is about; `version` is between the parentheses, and may be empty.
 */
static void put_engine(FILE *out, const struct words *w, const char *table, size_t table_len, const char *version,
                       size_t len)
{
    if (w->replicated)
        fprintf(out, "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/%s/%.*s', '{replica}'%s%.*s)",
                w->database, (int)table_len, table, len ? ", " : "", (int)len, version);
    else
        fprintf(out, "ReplacingMergeTree(%.*s)", (int)len, version);
}

static void put_statement(FILE *out, const struct words *w, const char *text, size_t len)
{
    static const char marker[] = "IF NOT EXISTS ";
    const char *end = text + len, *table = strstr(text, marker), *word;

    table = table ? table + sizeof marker - 1 : text;
    while (text < end && (word = memchr(text, '@', (size_t)(end - text)))) {
        const char *behind = memchr(word + 1, '@', (size_t)(end - word - 1));
        fprintf(out, "%.*s", (int)(word - text), text);
        if (!behind)
            break;
        if (strncmp(word, "@LOCAL@", 7) == 0)
            fputs(w->cluster ? "_local" : "", out);
        else if (strncmp(word, "@CLUSTER@", 9) == 0)
            fputs(w->cluster ? w->cluster : "", out);
        else if (strncmp(word, "@DATABASE@", 10) == 0)
            fputs(w->database, out);
        else if (strncmp(word, "@ENGINE(", 8) == 0)
            put_engine(out, w, table, strcspn(table, "@ ("), word + 8, (size_t)(behind - word - 9));
        text = behind + 1;
    }
    fprintf(out, "%.*s", (int)(end - text), text);
}

/* Statements end with a line that is ";" alone; comments and empty lines in front of one are passed over. */
static int each_of(const char *text, const struct words *words, fc_tables_call *call, void *ctx, struct fc_error *err)
{
    for (const char *end; (end = strstr(text, "\n;\n")); text = end + 3) {
        char *statement = NULL;
        size_t size;
        while (strncmp(text, "--", 2) == 0 || *text == '\n')
            text += strcspn(text, "\n") + 1;
        FILE *out = open_memstream(&statement, &size);
        if (out)
            put_statement(out, words, text, (size_t)(end - text));
        bool bad = !out || fclose(out) != 0;
        int rc = bad ? fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory") : call(ctx, statement, err);
        free(statement);
        if (rc)
            return rc;
    }
    return 0;
}

static int check_options(const struct fc_tables_options *options, struct fc_error *err)
{
    const char *name = options->cluster;

    if (options->replicated && !name)
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET,
                            "--replicated goes with --on: only the tables in front see that a copy has fallen behind");
    for (size_t i = 0; name && name[i]; i++)
        if (i == NAME_LONGEST || (!isalnum((unsigned char)name[i]) && !strchr("_-", name[i])))
            return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET,
                                "a cluster's name has letters, digits, '_' and '-' alone");
    return 0;
}

FC_EXPORT int fc_tables_each(const struct fc_cluster *cluster, const struct fc_tables_options *options,
                             fc_tables_call *call, void *ctx, struct fc_error *err)
{
    struct words words = {cluster ? cluster->database : "flowcarve", options->cluster, options->replicated};
    int rc;

    if ((rc = check_options(options, err)) || (rc = each_of(fc_engine_tables, &words, call, ctx, err)) ||
        !options->cluster)
        return rc;
    return each_of(fc_engine_distributed, &words, call, ctx, err);
}

static int make_one(void *ctx, const char *statement, struct fc_error *err)
{
    return fc_engine_run(ctx, statement, NULL, NULL, NULL, err);
}

int fc_tables_make(struct fc_engine *engine, struct fc_error *err)
{
    static const struct words of_one_server = {"", NULL, false};
    int rc = fc_engine_make_database(engine, err);

    return rc ? rc : each_of(fc_engine_tables, &of_one_server, make_one, engine, err);
}

static int take_text(void *ctx, const uint8_t *data, size_t len, struct fc_error *err)
{
    char *text = ctx;
    size_t has = strlen(text), room = NAME_LONGEST - has;

    (void)err;
    memcpy(text + has, data, len < room ? len : room);
    text[has + (len < room ? len : room)] = '\0';
    return 0;
}

/* Tables of one server beside those that stand in front of many would each be a half of what was sent. */
static int check_kind(struct fc_engine *engine, const struct fc_tables_options *options, const char *url,
                      struct fc_error *err)
{
    char text[NAME_LONGEST + 1] = "";
    int rc = fc_engine_run(engine,
                           "SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = 'session'"
                           " FORMAT TabSeparatedRaw",
                           NULL, take_text, text, err);
    bool distributed = strncmp(text, "Distributed", 11) == 0;

    if (rc || !*text || distributed == (options->cluster != NULL))
        return rc;
    return fc_error_set(err, FC_E_USAGE, url, FC_NO_OFFSET,
                        distributed
                            ? "tables are there already, in front of those of several servers: say of which cluster"
                            : "tables are there already, of one server");
}

FC_EXPORT int fc_cluster_init(const struct fc_cluster *cluster, const struct fc_tables_options *options,
                              const int *stop, struct fc_error *err)
{
    struct fc_engine *engine;
    int rc = fc_engine_open(&cluster->engine, cluster->database, stop, &engine, err);

    if (rc)
        return rc;
    if ((rc = check_options(options, err)) == 0 && (rc = fc_engine_make_database(engine, err)) == 0 &&
        (rc = check_kind(engine, options, cluster->engine.url, err)) == 0)
        rc = fc_tables_each(cluster, options, make_one, engine, err);
    fc_engine_close(engine);
    return rc;
}
