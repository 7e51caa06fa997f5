/* SPDX-License-Identifier: MIT */
/*
 * A folder that is watched while a thread makes, renames, replaces and deletes captures in it: by inotify, and by
 * walking. What is there in the end is in the index.
 */
#include "maker.h"
#include "rng.h"

#include <flowcarve/live.h>
#include <flowcarve/status.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAMES = 12, STEPS = 400, SECONDS = 60 };

struct writer {
    char folder[64];
    int records[NAMES]; /* of each capture; 0: it is not there */
    bool done;          /* atomic */
};

static void pause_ms(int ms)
{
    const struct timespec ts = {0, ms * 1000000L};

    nanosleep(&ts, NULL);
}

static void name_of(const struct writer *w, int i, char *name, size_t size)
{
    snprintf(name, size, "%s/%d/%d.pcap", w->folder, i % 3, i);
}

static void put(struct writer *w, int i, int step, int records)
{
    struct maker m = {0};
    char name[128];

    make_pcap(&m, (uint32_t)MAKE_US, 4, 65535, 1);
    for (int k = 0; k < records; k++)
        make_record(&m, 16, 1700000000 + (unsigned)step, (unsigned)k, 20, 20, NULL);
    name_of(w, i, name, sizeof name);
    FILE *f = fopen(name, "wb");
    if (f && fwrite(m.at, 1, m.len, f) == m.len && fclose(f) == 0)
        w->records[i] = records;
    make_fini(&m);
}

static void *write_captures(void *arg)
{
    struct writer *w = arg;
    struct rng rng = {1};
    char from[128], to[128];

    for (int step = 0; step < STEPS; step++) {
        int i = (int)rng_below(&rng, NAMES), k = (int)rng_below(&rng, NAMES);
        name_of(w, i, from, sizeof from);
        name_of(w, k, to, sizeof to);
        if (rng_chance(&rng, 60)) {
            put(w, i, step, 1 + (int)rng_below(&rng, 9));
        } else if (w->records[i] && i != k && rng_chance(&rng, 60)) {
            rename(from, to);
            w->records[k] = w->records[i];
            w->records[i] = 0;
        } else {
            unlink(from);
            w->records[i] = 0;
        }
        if (rng_chance(&rng, 20))
            pause_ms(2);
    }
    __atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
    return NULL;
}

/* Is each capture that is there in the index, under its name, with so many records? */
static bool is_there(const struct writer *w, sqlite3 *db, int i)
{
    static const char sql[] = "SELECT records FROM files WHERE NOT gone AND path LIKE ? ORDER BY id DESC LIMIT 1";
    sqlite3_stmt *stmt = NULL;
    char name[32];

    snprintf(name, sizeof name, "%%/%d/%d.pcap", i % 3, i);
    bool there = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
                 sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW &&
                 sqlite3_column_int(stmt, 0) == w->records[i];
    sqlite3_finalize(stmt);
    return there;
}

struct watching {
    struct writer *w;
    struct fc_watch *watch;
    struct fc_status_meter *meter;
    struct fc_status status;
    const char *db;
    int stop;
    time_t until;
    bool found;
};

/* During runs, by another thread, and between them. */
static void tell(struct watching *x, uint64_t records)
{
    struct fc_watch_behind behind;

    fc_watch_behind(x->watch, &behind);
    x->status.waiting = behind.files;
    x->status.lag_ns = behind.lag_ns;
    x->status.packets = records;
    fc_status_measure(x->meter, &x->status);
    fc_watch_tell(x->watch, &x->status);
}

static void progress(void *ctx, const struct fc_progress *now)
{
    tell(ctx, now->records);
}

/* Between runs: ends the watch when all is there, or it is too late. */
static void look(void *ctx)
{
    struct watching *x = ctx;
    sqlite3 *db = NULL;

    tell(x, 0);
    if (time(NULL) > x->until)
        __atomic_store_n(&x->stop, 1, __ATOMIC_RELAXED);
    if (!__atomic_load_n(&x->w->done, __ATOMIC_ACQUIRE))
        return;
    bool all = sqlite3_open_v2(x->db, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK;
    for (int i = 0; i < NAMES && all; i++)
        all = !x->w->records[i] || is_there(x->w, db, i);
    sqlite3_close(db);
    if (!all)
        return;
    x->found = true;
    __atomic_store_n(&x->stop, 1, __ATOMIC_RELAXED);
}

static int watch(const char *folder, int64_t poll_ns)
{
    struct writer w = {.done = false};
    char db[96], text[1200];
    struct watching x = {.w = &w, .db = db, .until = time(NULL) + SECONDS};
    const struct fc_index_options index = {
        .jobs = 2, .unsynced = true, .keep_copies = true, .progress = progress, .progress_ctx = &x};
    const struct fc_watch_options o = {
        .index = &index, .commit_ns = 1000000, .poll_ns = poll_ns, .idle = look, .ctx = &x};
    const char *folders[] = {w.folder};
    struct fc_error err = {0};
    pthread_t thread;

    snprintf(w.folder, sizeof w.folder, "%s/%s", folder, poll_ns ? "walked" : "told");
    snprintf(db, sizeof db, "%s.db", w.folder);
    mkdir(w.folder, 0700);
    for (int i = 0; i < 3; i++) {
        char sub[80];
        snprintf(sub, sizeof sub, "%s/%d", w.folder, i);
        mkdir(sub, 0700);
    }
    int rc = fc_status_meter_new(&x.meter, &err);
    if (rc == 0)
        rc = fc_watch_open(db, folders, 1, &o, &x.watch, &err);
    if (rc == 0 && pthread_create(&thread, NULL, write_captures, &w) == 0) {
        rc = fc_watch_run(x.watch, &x.stop, &err);
        pthread_join(thread, NULL);
    }
    fc_watch_close(x.watch);
    fc_status_meter_free(x.meter);
    if (rc != FC_E_INTERRUPTED)
        fprintf(stderr, "watch_race: %s\n", fc_error_text(&err, text, sizeof text));
    else if (!x.found)
        fprintf(stderr, "watch_race: %s: not all captures came to be in the index\n", w.folder);
    return rc == FC_E_INTERRUPTED && x.found ? 0 : 1;
}

int main(void)
{
    char folder[] = "/tmp/fc-watch-race-XXXXXX", command[64];

    if (!mkdtemp(folder))
        return 1;
    int failed = watch(folder, 0) + watch(folder, 5000000);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) != 0 || failed;
}
