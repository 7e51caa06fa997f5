/* SPDX-License-Identifier: MIT */
/*
 * Captures that fail or change while they are read. Of three, the second one cannot be read at the k-th read, or is
 * appended to, cut, overwritten, deleted or replaced there: it alone is refused, or (appended to) indexed as it was,
 * and the index is that of the others, row by row. Who overwrites it may set its mtime back and leave its records
 * whole, so that its fingerprint alone tells; who changes its rights is in nobody's way.
 *
 * pread() is wrapped: what it does to the file depends on how often that was read.
 */
#include "traffic.h"

#include <errno.h>
#include <fcntl.h>
#include <flowcarve/index.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t __real_pread(int fd, void *buf, size_t n, off_t off);
ssize_t __wrap_pread(int fd, void *buf, size_t n, off_t off);

enum what { NOTHING, FAIL, FAIL_ONCE, APPEND, CUT, OVERWRITE, DELETE, REPLACE, TURN, TOUCH, WHATS };
static const char *const names[WHATS] = {"nothing",     "EIO from then on", "EIO",      "appended to",   "cut",
                                         "overwritten", "deleted",          "replaced", "a byte turned", "touched"};

static struct {
    const char *path, *other; /* the capture, and one by which it is replaced */
    ino_t ino;
    enum what what;
    unsigned at;
    atomic_uint reads;
} plot;

static void restore(const char *from, const char *to);

/* The last byte of the last packet's padding, and all times but ctime are as they were. */
static void turn(int fd, const struct stat *st)
{
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    char byte = 'x';

    if (pwrite(fd, &byte, 1, st->st_size - 1) != 1 || futimens(fd, times) != 0)
        abort();
}

static void change(void)
{
    int fd = open(plot.path, O_WRONLY | O_CLOEXEC);
    struct stat st;
    char junk[100] = "no record, for sure";
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};

    if (fd < 0 || fstat(fd, &st) != 0)
        abort();
    if (plot.what == CUT && ftruncate(fd, st.st_size / 2) != 0)
        abort();
    if (plot.what == APPEND && pwrite(fd, junk, sizeof junk, st.st_size) != sizeof junk)
        abort();
    if (plot.what == OVERWRITE &&
        (pwrite(fd, junk, sizeof junk, st.st_size / 2) != sizeof junk || futimens(fd, times) != 0))
        abort();
    if (plot.what == TURN)
        turn(fd, &st);
    if (plot.what == TOUCH && fchmod(fd, 0640) != 0)
        abort();
    close(fd);
    if ((plot.what == DELETE || plot.what == REPLACE) && unlink(plot.path) != 0)
        abort();
    if (plot.what == REPLACE) /* an inode that is kept, or its number would come again */
        restore(plot.other, plot.path);
}

ssize_t __wrap_pread(int fd, void *buf, size_t n, off_t off)
{
    struct stat st;

    if (plot.what != NOTHING && fstat(fd, &st) == 0 && st.st_ino == plot.ino &&
        atomic_fetch_add(&plot.reads, 1) >= plot.at) {
        bool first = atomic_load(&plot.reads) == plot.at + 1;
        if (plot.what == FAIL || (plot.what == FAIL_ONCE && first)) {
            errno = EIO;
            return -1;
        }
        if (first)
            change();
    }
    return __real_pread(fd, buf, n, off);
}

/* Sessions as the view tells them: text. */
static char *dump(const char *path)
{
    sqlite3_stmt *rows = NULL;
    sqlite3 *db = NULL;
    size_t len;
    char *text = NULL;
    FILE *out = open_memstream(&text, &len);

    if (!out || sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "SELECT * FROM sessions ORDER BY id", -1, &rows, NULL) != SQLITE_OK)
        abort();
    while (sqlite3_step(rows) == SQLITE_ROW) {
        for (int c = 0; c < sqlite3_column_count(rows); c++)
            fprintf(out, "%s|", sqlite3_column_text(rows, c) ? (const char *)sqlite3_column_text(rows, c) : "");
        fputc('\n', out);
    }
    sqlite3_finalize(rows);
    sqlite3_close(db);
    fclose(out);
    return text;
}

static int run(const char *folder, const char *const *paths, size_t count, struct fc_index_result *result, char **rows)
{
    struct fc_index_options o = {.jobs = 2, .chunk_bytes = 65536};
    struct fc_error err = {0};
    char db[512], text[1200];

    snprintf(db, sizeof db, "%s/fault.db", folder);
    int rc = fc_index_run(db, paths, count, &o, NULL, NULL, result, &err);
    if (rc)
        fprintf(stderr, "capture_fault: %s\n", fc_error_text(&err, text, sizeof text));
    *rows = rc ? NULL : dump(db);
    unlink(db);
    return rc;
}

/* A copy of the second capture, for each round. */
static void restore(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char buf[65536];
    ssize_t n;

    if (in < 0 || out < 0)
        abort();
    while ((n = read(in, buf, sizeof buf)) > 0)
        if (write(out, buf, (size_t)n) != n)
            abort();
    close(in);
    close(out);
}

int main(void)
{
    struct rng rng = {test_seed("capture_fault")};
    char folder[100], victim[200], *whole = NULL, *without = NULL, *rows;
    struct fc_index_result result;
    struct fc_rules rules;
    struct traffic t;
    struct stat st;
    unsigned turned = 0;
    int failed = 0;

    fc_rules_profile(&rules, "flowcarve");
    struct traffic_options o = {
        .rules = &rules, .mask = FC_WANT_ALL, .files = 3, .packets = 3000, .keys = 16, .overlap = true, .padding = 600};
    traffic_make(&t, &rng, &o);
    snprintf(folder, sizeof folder, "%s/flowcarve-fault-XXXXXX", test_scratch());
    if (!mkdtemp(folder))
        abort();
    snprintf(victim, sizeof victim, "%s/b.pcap", folder);
    restore(t.files[1].path, victim);
    const char *all[] = {t.files[0].path, victim, t.files[2].path}, *others[] = {all[0], all[2]};
    failed = run(folder, all, 3, &result, &whole);
    fc_index_result_fini(&result);
    failed |= run(folder, others, 2, &result, &without);
    fc_index_result_fini(&result);
    for (int what = FAIL; what < WHATS && !failed; what++)
        for (unsigned at = 0; at < (what < TURN ? 14 : 60) && !failed; at += 1 + at / 4) {
            unlink(victim);
            restore(t.files[1].path, victim);
            if (stat(victim, &st) != 0)
                abort();
            plot.path = victim;
            plot.other = t.files[0].path;
            plot.ino = st.st_ino;
            plot.at = at;
            atomic_store(&plot.reads, 0);
            plot.what = (enum what)what;
            failed = run(folder, all, 3, &result, &rows);
            plot.what = NOTHING;
            bool met = atomic_load(&plot.reads) > at, refused = result.files_refused == 1 && result.files == 2;
            bool kept = result.files_refused == 0 && result.files == 3;
            bool as_one = !failed && strcmp(rows, refused ? without : whole) == 0;
            /* one that passes may have met a chunk that began at a wrong guess and is read again */
            bool passes =
                what == FAIL_ONCE || what == TURN; /* before the fingerprint was taken it is what is indexed */
            failed |= !as_one || !(!met || what == APPEND || what == TOUCH ? kept : refused || (passes && kept));
            turned += what == TURN && refused;
            if (failed)
                fprintf(stderr, "capture_fault: %s at read %u: %llu files, %llu refused, rows %s\n", names[what], at,
                        (unsigned long long)result.files, (unsigned long long)result.files_refused,
                        as_one ? "right" : "wrong");
            free(rows);
            fc_index_result_fini(&result);
        }
    if (!failed && !turned) {
        fprintf(stderr, "capture_fault: no turned byte was seen\n");
        failed = 1;
    }
    unlink(victim);
    free(whole);
    free(without);
    rmdir(folder);
    traffic_free(&t);
    return failed;
}
