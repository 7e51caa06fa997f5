/* SPDX-License-Identifier: MIT */
/*
 * Allocations of an index run fail once (and once with all behind them): the run says so or does without, leaves no
 * file behind, and an index that was there before stays as it is, byte for byte. Leaks are the address sanitizer's job.
 *
 * Linked with -Wl,--wrap for the allocators: what SQLite and liburcu allocate for themselves does not fail.
 */
#include "traffic.h"

#include <dirent.h>
#include <errno.h>
#include <flowcarve/index.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);
char *__wrap_strdup(const char *s);

static atomic_uint_fast64_t allocations;
static uint64_t fail_from, fail_to; /* those numbered from fail_from to fail_to - 1, counted from 0, fail */
static atomic_bool armed;
static unsigned complaints;

static bool fails(void)
{
    uint64_t i = atomic_fetch_add(&allocations, 1);

    if (!atomic_load(&armed) || i < fail_from || i >= fail_to)
        return false;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, n);
}

char *__wrap_strdup(const char *s)
{
    return fails() ? NULL : __real_strdup(s);
}

struct bench {
    char folder[64], db[80];
    struct traffic traffic;
    unsigned jobs;
    uint64_t seed;
    uint64_t sessions, continued, packets; /* of a run in which nothing fails */
};

static void complain(const struct bench *b, const char *what)
{
    atomic_store(&armed, false);
    fprintf(stderr, "index_fault: FLOWCARVE_TEST_SEED=%llu, jobs %u, failing %llu to %llu: %s\n",
            (unsigned long long)b->seed, b->jobs, (unsigned long long)fail_from, (unsigned long long)fail_to, what);
    if (++complaints >= 20)
        exit(1);
}

static int run(struct bench *b, unsigned first, unsigned count, uint64_t from, uint64_t to)
{
    const char *paths[TRAFFIC_FILES];
    struct fc_index_options o = {.jobs = b->jobs, .fields = "all", .memory_bytes = 16 << 20};
    struct fc_index_result result;
    struct fc_error err = {0};

    for (unsigned i = 0; i < count; i++)
        paths[i] = b->traffic.files[first + i].path;
    atomic_store(&allocations, 0);
    fail_from = from;
    fail_to = to;
    atomic_store(&armed, true);
    int rc = fc_index_run(b->db, paths, count, &o, NULL, NULL, &result, &err);
    atomic_store(&armed, false);
    fc_index_result_fini(&result);
    if (from == to) {
        b->sessions = result.sessions;
        b->continued = result.continued;
        b->packets = result.packets;
    } else if (!rc &&
               (result.sessions != b->sessions || result.continued != b->continued || result.packets != b->packets)) {
        complain(b, "a run that did without gave other sessions");
    }
    if (rc && (err.code != rc || !err.cause[0]))
        complain(b, "an error without its code or cause");
    if (rc && rc != FC_E_NOMEM)
        complain(b, err.cause);
    return rc;
}

/* Files in the folder but the database itself. */
static unsigned strangers(const struct bench *b)
{
    DIR *dir = opendir(b->folder);
    const char *name = strrchr(b->db, '/') + 1;
    unsigned n = 0;

    for (struct dirent *e; dir && (e = readdir(dir));)
        n += e->d_name[0] != '.' && strcmp(e->d_name, name) != 0;
    if (dir)
        closedir(dir);
    return n;
}

static uint8_t *contents(const struct bench *b, size_t *len)
{
    FILE *f = fopen(b->db, "rb");
    uint8_t *p = malloc(1 << 22);

    *len = f && p ? fread(p, 1, 1 << 22, f) : 0;
    if (f)
        fclose(f);
    return p;
}

static void fresh_index(struct bench *b, uint64_t from, uint64_t to)
{
    int rc = run(b, 0, b->traffic.file_count, from, to);

    if (rc && access(b->db, F_OK) == 0)
        complain(b, "a failed run left a database");
    if (!rc && access(b->db, F_OK) != 0)
        complain(b, "a run that went well left no database");
    if (strangers(b))
        complain(b, "a file was left behind");
    unlink(b->db);
}

/*
 * Whether two files are the same database: but for its header's counters, which rise when a writer begins and ends, and
 * the kind of journal (SQLite's file format, 1.3).
 */
static bool same_database(uint8_t *a, size_t a_len, uint8_t *b, size_t b_len)
{
    static const struct {
        uint8_t off, len;
    } of_writers[] = {{18, 2}, {24, 4}, {92, 4}};

    if (a_len != b_len || a_len < 100)
        return a_len == b_len;
    for (size_t i = 0; i < sizeof of_writers / sizeof of_writers[0]; i++)
        memcpy(b + of_writers[i].off, a + of_writers[i].off, of_writers[i].len);
    return memcmp(a, b, a_len) == 0;
}

/* The first capture is in the index; adding the others fails. */
static void addition(struct bench *b, uint64_t from, uint64_t to)
{
    size_t len, len_after;
    uint8_t *before, *after;

    struct bench first = *b;
    if (run(&first, 0, 1, 0, 0))
        complain(b, "the first capture could not be indexed");
    before = contents(b, &len);
    int rc = run(b, 1, b->traffic.file_count - 1, from, to);
    after = contents(b, &len_after);
    if (rc && !same_database(before, len, after, len_after))
        complain(b, "a failed run changed the index");
    if (strangers(b))
        complain(b, "a file was left behind");
    free(before);
    free(after);
    unlink(b->db);
}

/* Every one by FLOWCARVE_TEST_LONG; else, from another one on by the seed, some: fewer under slow sanitizers. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STRIDE = 8 };
#else
enum { STRIDE = 6 };
#endif

static void every_allocation(struct bench *b, void (*step)(struct bench *, uint64_t, uint64_t), const char *name)
{
    step(b, 0, 0);
    uint64_t n = allocations;

    fprintf(stderr, "index_fault: %s, jobs %u: %llu allocations\n", name, b->jobs, (unsigned long long)n);
    uint64_t stride = test_number("FLOWCARVE_TEST_LONG", 0) ? 1 : STRIDE;
    for (uint64_t k = b->seed % stride; k < n; k += stride) {
        step(b, k, k + 1);
        step(b, k, UINT64_MAX);
    }
}

int main(void)
{
    struct bench b = {.seed = test_seed("index_fault")};
    struct rng rng = {b.seed};
    struct fc_rules rules;

    fc_rules_profile(&rules, "yaf");
    struct traffic_options o = {.rules = &rules,
                                .mask = FC_WANT_ALL,
                                .files = 3,
                                .packets = 60,
                                .keys = 5,
                                .fragments = 20,
                                .backwards = 10,
                                .untimed = 5,
                                .overlap = true};
    traffic_make(&b.traffic, &rng, &o);
    snprintf(b.folder, sizeof b.folder, "%s/flowcarve-fault-XXXXXX", test_scratch());
    if (!mkdtemp(b.folder))
        abort();
    snprintf(b.db, sizeof b.db, "%s/test.db", b.folder);
    for (b.jobs = 1; b.jobs <= 2; b.jobs++) {
        every_allocation(&b, fresh_index, "fresh index");
        every_allocation(&b, addition, "addition");
    }
    rmdir(b.folder);
    traffic_free(&b.traffic);
    return complaints != 0;
}
