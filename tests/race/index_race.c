/* SPDX-License-Identifier: MIT */
/* A whole index run: readers, commits, sweeps and spools with four threads on small chunks; results as with one. */
#include "traffic.h"

#include <flowcarve/index.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES = 2 };

static int index_with(const struct traffic *t, const char *folder, unsigned jobs, struct fc_index_result *result)
{
    const char *paths[FILES] = {t->files[0].path, t->files[1].path};
    struct fc_index_options o = {.jobs = jobs, .chunk_bytes = 65536, .sweep_runs = 50, .profile = "zeek"};
    struct fc_progress progress = {0};
    struct fc_error err = {0};
    char db[512], text[1200];
    int stop = 0;

    snprintf(db, sizeof db, "%s/race.db", folder);
    int rc = fc_index_run(db, paths, FILES, &o, &progress, &stop, result, &err);
    if (rc)
        fprintf(stderr, "index_race: %s\n", fc_error_text(&err, text, sizeof text));
    unlink(db);
    return rc;
}

int main(void)
{
    struct rng rng = {test_seed("index_race")};
    char folder[] = "/tmp/flowcarve-race-XXXXXX";
    struct fc_index_result one, four;
    struct fc_rules rules;
    struct traffic t;
    int failed = 0;

    fc_rules_profile(&rules, "zeek");
    struct traffic_options o = {.rules = &rules,
                                .mask = FC_WANT_SESSION,
                                .files = FILES,
                                .packets = (unsigned)test_rounds(6000),
                                .keys = 16,
                                .fragments = 5,
                                .padding = 600};
    traffic_make(&t, &rng, &o);
    if (!mkdtemp(folder))
        abort();
    failed |= index_with(&t, folder, 1, &one) != 0;
    failed |= index_with(&t, folder, 4, &four) != 0;
    if (!failed && (one.records != t.count || four.records != t.count || one.sessions != four.sessions ||
                    one.packets != four.packets)) {
        fprintf(stderr, "index_race: %zu packets; 1 thread: %llu in %llu sessions, 4 threads: %llu in %llu\n", t.count,
                (unsigned long long)one.packets, (unsigned long long)one.sessions, (unsigned long long)four.packets,
                (unsigned long long)four.sessions);
        failed = 1;
    }
    fc_index_result_fini(&one);
    fc_index_result_fini(&four);
    rmdir(folder);
    traffic_free(&t);
    return failed;
}
