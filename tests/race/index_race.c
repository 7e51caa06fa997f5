/* SPDX-License-Identifier: MIT */
/* Whole index runs with one, two and eight threads on small chunks, and runs that add: the same index, row by row. */
#include "traffic.h"

#include <flowcarve/index.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES = 3 };

/* All rows of the tables that packets make, as text, in order. NULL: the database cannot be read. */
static char *dump(const char *path, size_t *len)
{
    static const char *const tables[] = {"session", "session_fields", "open_batch", "open_session", "open_fragment"};
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    sqlite3 *db = NULL;
    sqlite3_stmt *rows = NULL;
    bool ok = out && sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK;

    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && ok; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT * FROM %s ORDER BY 1, 2", tables[i]);
        ok = sqlite3_prepare_v2(db, sql, -1, &rows, NULL) == SQLITE_OK;
        while (ok && sqlite3_step(rows) == SQLITE_ROW) {
            for (int c = 0; c < sqlite3_column_count(rows); c++) {
                const uint8_t *p = sqlite3_column_blob(rows, c);
                for (int k = 0; k < sqlite3_column_bytes(rows, c); k++)
                    fprintf(out, "%02x", p[k]);
                fputc(',', out);
            }
            fputc('\n', out);
        }
        sqlite3_finalize(rows);
    }
    sqlite3_close(db);
    if (out)
        fclose(out);
    if (ok)
        return text;
    free(text);
    return NULL;
}

/* All captures at once, or the first alone and the others behind it. */
static char *index_with(const struct traffic *t, const char *folder, unsigned jobs, bool adding,
                        struct fc_index_result *result, size_t *len)
{
    const char *paths[FILES] = {t->files[0].path, t->files[1].path, t->files[2].path};
    /* little memory: partitions are advanced early, and some suspended */
    struct fc_index_options o = {.jobs = jobs,
                                 .chunk_bytes = 65536,
                                 .memory_bytes = 16 << 20,
                                 .profile = adding ? "wireshark" : "zeek", /* all stay open */
                                 .fields = "all"};
    struct fc_progress progress = {0};
    struct fc_index_result before = {0};
    struct fc_error err = {0};
    char db[512], text[1200], *rows = NULL;
    int stop = 0, rc = 0;

    snprintf(db, sizeof db, "%s/race.db", folder);
    if (adding)
        rc = fc_index_run(db, paths, 1, &o, &progress, &stop, &before, &err);
    if (rc || fc_index_run(db, paths + adding, FILES - adding, &o, &progress, &stop, result, &err))
        fprintf(stderr, "index_race: %s\n", fc_error_text(&err, text, sizeof text));
    else
        rows = dump(db, len);
    result->records += before.records;
    result->packets += before.packets;
    fc_index_result_fini(&before);
    unlink(db);
    return rows;
}

static int compare_jobs(const struct traffic *t, const char *folder, bool adding)
{
    static const unsigned jobs[] = {1, 2, 8};
    char *first = NULL;
    size_t first_len = 0;
    int failed = 0;

    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0] && !failed; i++) {
        struct fc_index_result result = {0};
        size_t len = 0;
        char *rows = index_with(t, folder, jobs[i], adding, &result, &len);
        failed = !rows || result.records != t->count || result.packets != t->count || !result.sessions ||
                 (adding && !result.continued) || (first && (len != first_len || memcmp(first, rows, len) != 0));
        if (failed)
            fprintf(stderr, "index_race: %u jobs%s: %zu packets, %llu in %llu sessions, %zu bytes of rows, not %zu\n",
                    jobs[i], adding ? ", adding" : "", t->count, (unsigned long long)result.packets,
                    (unsigned long long)result.sessions, len, first_len);
        fc_index_result_fini(&result);
        if (first)
            free(rows);
        else
            first = rows;
        first_len = i ? first_len : len;
    }
    free(first);
    return failed;
}

int main(void)
{
    char folder[100];
    struct rng rng = {test_seed("index_race")};
    struct fc_rules rules;
    int failed = 0;

    fc_rules_profile(&rules, "zeek");
    snprintf(folder, sizeof folder, "%s/flowcarve-race-XXXXXX", test_scratch());
    if (!mkdtemp(folder))
        abort();
    for (int adding = 0; adding < 2 && !failed; adding++) {
        struct traffic_options o = {.rules = &rules,
                                    .mask = FC_WANT_ALL,
                                    .files = FILES,
                                    .packets = (unsigned)test_rounds(6000),
                                    .keys = 16,
                                    .fragments = 5,
                                    .aliases = 20,
                                    .overlap = !adding,
                                    .padding = 600};
        struct traffic t;
        traffic_make(&t, &rng, &o);
        failed = compare_jobs(&t, folder, adding);
        traffic_free(&t);
    }
    rmdir(folder);
    return failed;
}
