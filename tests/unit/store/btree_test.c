/* SPDX-License-Identifier: MIT */
/* Trees of random shapes: SQLite must find them sound, equal to its own, and go on working with them. */
#include "base/bytes.h"
#include "btree_support.h"
#include "rng.h"
#include "store/btree.h"
#include "store/sqlite_record.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

TestSuite(btree, .fini = bt_clean, .timeout = 600);

/*
 * A database of t(id, a, b) with an index on b, filled by builders and, as its twin, by INSERT. Row i has rowid
 * id[i], a of random bytes, and b = i as 4 bytes, big endian, with random bytes behind: ascending.
 */
struct shape {
    unsigned rows, reserve;
    size_t (*a_size)(struct rng *), (*b_size)(struct rng *);
    uint32_t lock_page; /* 0: where it always is */
    uint32_t extra;     /* pages that are taken and given back */
    bool threads;
    int plant; /* 0: none; 1: two entries swapped; 2: an entry left out; 3: a row's bytes changed */
};

static size_t none(struct rng *r)
{
    return rng_below(r, 2);
}

static size_t tiny(struct rng *r)
{
    return rng_below(r, 12);
}

static size_t usual(struct rng *r)
{
    return rng_between(r, 5, 120);
}

/* Around the largest payload that stays in its page, of a table and of an index, whatever is kept free. */
static size_t at_local_max(struct rng *r)
{
    return (rng_chance(r, 50) ? 4061 : 1002) - rng_below(r, 50);
}

/* Around the ends of overflow pages, and where the local part switches to its minimum. */
static size_t at_page_ends(struct rng *r)
{
    static const size_t base[] = {0, 489, 4061, 1002, 5};
    return base[rng_below(r, 5)] + 4092 * rng_between(r, 1, 3) - rng_below(r, 20);
}

static size_t any(struct rng *r)
{
    return rng_chance(r, 70) ? usual(r) : rng_chance(r, 70) ? rng_below(r, 20000) : at_page_ends(r);
}

static size_t huge(struct rng *r)
{
    return rng_chance(r, 90) ? usual(r) : rng_below(r, 3 << 20);
}

struct row {
    int64_t id;
    uint8_t *a, *b;
    size_t a_len, b_len;
};

static struct row *make_rows(struct rng *rng, const struct shape *s)
{
    struct row *rows = calloc(s->rows + 1, sizeof *rows);
    int64_t id = rng_chance(rng, 10) ? -(int64_t)rng_below(rng, 1000) : 0;
    bool gaps = rng_chance(rng, 20);

    for (unsigned i = 0; i < s->rows; i++) {
        struct row *r = &rows[i];
        id += 1 + (gaps ? (int64_t)(rng_next(rng) >> (24 + rng_below(rng, 40))) : 0);
        *r = (struct row){.id = id, .a_len = s->a_size(rng), .b_len = 4 + s->b_size(rng)};
        r->a = malloc(r->a_len + 1);
        r->b = malloc(r->b_len);
        memset(r->a, (int)rng_next(rng), r->a_len);
        memset(r->b, (int)rng_next(rng), r->b_len);
        rng_fill(rng, r->a, r->a_len < 8 ? r->a_len : 8);
        for (int k = 0; k < 4; k++)
            r->b[k] = (uint8_t)(i >> (24 - 8 * k));
    }
    return rows;
}

static void free_rows(struct row *rows, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        free(rows[i].a);
        free(rows[i].b);
    }
    free(rows);
}

static sqlite3 *empty_database(const char *path, unsigned reserve)
{
    sqlite3 *sql = bt_open(path);
    int n = (int)reserve;

    cr_assert_eq(sqlite3_file_control(sql, "main", SQLITE_FCNTL_RESERVE_BYTES, &n), SQLITE_OK);
    bt_exec(sql, "PRAGMA page_size = 4096; CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); CREATE INDEX t_b ON t (b);"
                 "CREATE TABLE later (x)");
    return sql;
}

static void insert_rows(sqlite3 *sql, const struct row *rows, unsigned n)
{
    sqlite3_stmt *stmt = NULL;

    sqlite3_prepare_v2(sql, "INSERT INTO t VALUES (?, ?, ?)", -1, &stmt, NULL);
    bt_exec(sql, "BEGIN");
    for (unsigned i = 0; i < n; i++) {
        sqlite3_bind_int64(stmt, 1, rows[i].id);
        sqlite3_bind_blob(stmt, 2, rows[i].a, (int)rows[i].a_len, SQLITE_STATIC);
        sqlite3_bind_blob(stmt, 3, rows[i].b, (int)rows[i].b_len, SQLITE_STATIC);
        cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
        sqlite3_reset(stmt);
    }
    bt_exec(sql, "COMMIT");
    sqlite3_finalize(stmt);
}

struct job {
    struct fc_btree *tree;
    const struct row *rows;
    const struct shape *shape;
    bool index;
};

static void add_row(struct job *j, struct fc_row *row, unsigned i)
{
    const struct shape *s = j->shape;
    unsigned k = s->plant == 1 && j->index && i < 2 ? 1 - i : i;
    const struct row *r = &j->rows[k];
    const uint8_t *record;
    struct fc_error err;
    size_t len;

    if (s->plant == 2 && j->index && i == s->rows / 2)
        return;
    cr_assert_eq(fc_row_begin(row, r->a_len + r->b_len), 0);
    if (!j->index) {
        fc_row_null(&row->at);
        fc_row_bytes(&row->at, r->a, r->a_len, 0);
    }
    fc_row_bytes(&row->at, r->b, r->b_len, 0);
    if (j->index)
        fc_row_int(&row->at, r->id);
    fc_row_end(row, &record, &len);
    if (s->plant == 3 && !j->index && i == 0)
        row->mem.data[FC_ROW_HEAD] ^= 1;
    cr_assert_eq(fc_btree_add(j->tree, r->id, record, len, &err), 0);
}

static void *run_job(void *arg)
{
    struct job *j = arg;
    struct fc_row row = {0};
    struct fc_error err;

    for (unsigned i = 0; i < j->shape->rows; i++)
        add_row(j, &row, i);
    cr_assert_eq(fc_btree_finish(j->tree, &err), 0);
    fc_row_fini(&row);
    return NULL;
}

/* Both trees at once, by two threads or entry by entry. */
static void run_jobs(struct rng *rng, struct job *jobs)
{
    unsigned rows = jobs[0].shape->rows, at[2] = {0};
    struct fc_row row = {0};
    struct fc_error err;
    pthread_t thread;

    if (jobs[0].shape->threads) {
        cr_assert_eq(pthread_create(&thread, NULL, run_job, &jobs[0]), 0);
        run_job(&jobs[1]);
        pthread_join(thread, NULL);
        return;
    }
    while (at[0] < rows || at[1] < rows) {
        unsigned k = at[0] == rows || (at[1] < rows && rng_chance(rng, 50));
        add_row(&jobs[k], &row, at[k]++);
    }
    for (unsigned k = 0; k < 2; k++)
        cr_assert_eq(fc_btree_finish(jobs[k].tree, &err), 0);
    fc_row_fini(&row);
}

static void build_rows(struct rng *rng, const char *path, const struct row *rows, const struct shape *s)
{
    sqlite3 *sql = empty_database(path, s->reserve);
    uint32_t t = (uint32_t)bt_number(sql, "SELECT rootpage FROM sqlite_schema WHERE name = 't'");
    uint32_t b = (uint32_t)bt_number(sql, "SELECT rootpage FROM sqlite_schema WHERE name = 't_b'");
    struct fc_extent extent;
    struct fc_pages pages;
    struct fc_error err;
    int fd;

    sqlite3_close(sql);
    fd = open(path, O_RDWR);
    cr_assert_eq(fc_pages_open(&pages, fd, path, false, &err), 0, "%s", err.cause);
    if (s->lock_page)
        pages.lock_page = s->lock_page;
    for (uint32_t left = s->extra; left; left -= extent.count) {
        cr_assert_eq(fc_pages_take(&pages, left < FC_EXTENT_PAGES ? left : FC_EXTENT_PAGES, &extent, &err), 0);
        fc_pages_give(&pages, extent.first, extent.count);
        if (pages.spare_count && left == extent.count)
            break;
    }
    struct job jobs[2] = {{fc_btree_new(&pages, FC_BTREE_TABLE, t), rows, s, false},
                          {fc_btree_new(&pages, FC_BTREE_INDEX, b), rows, s, true}};
    run_jobs(rng, jobs);
    fc_btree_free(jobs[0].tree);
    fc_btree_free(jobs[1].tree);
    cr_assert_eq(fc_pages_finish(&pages, &err), 0);
    fc_pages_close(&pages);
    close(fd);
}

/* The header tells the size of the file, and that this is to be trusted. */
static bool sound_header(const char *path)
{
    uint8_t h[100];
    int fd = open(path, O_RDONLY);
    bool ok = pread(fd, h, sizeof h, 0) == sizeof h && memcmp(h + 24, h + 92, 4) == 0 &&
              lseek(fd, 0, SEEK_END) == (off_t)fc_load32(h + 28, true) * FC_PAGE_SIZE;

    close(fd);
    return ok;
}

/* Changes of every kind, the same in both databases. */
static void change(sqlite3 *sql, uint64_t seed)
{
    struct rng rng = {seed};
    char text[300];

    bt_exec(sql, "BEGIN");
    for (unsigned i = 0; i < 40; i++) {
        unsigned n = (unsigned)rng_below(&rng, 5000);
        snprintf(text, sizeof text,
                 rng_chance(&rng, 40) ? "INSERT INTO t (a, b) VALUES (zeroblob(%u), CAST(printf('%%08x', %u) AS BLOB))"
                 : rng_chance(&rng, 50) ? "UPDATE t SET a = zeroblob(%u), b = zeroblob(%u) WHERE id = (SELECT id FROM "
                                          "t ORDER BY id LIMIT 1 OFFSET %u %% (SELECT count(*) + 1 FROM t))"
                                        : "DELETE FROM t WHERE id %% 97 = %u %% 97",
                 n, n / 2, n / 3);
        bt_exec(sql, text);
    }
    bt_exec(sql, "INSERT INTO later SELECT a FROM t LIMIT 20; COMMIT");
}

/* The whole life of one shape; "" or what is wrong. */
static const char *live(uint64_t seed, const struct shape *s)
{
    struct rng rng = {seed};
    struct row *rows = make_rows(&rng, s);
    const char *said, *twin_path = bt_path(1), *path = bt_path(0);
    sqlite3 *built, *twin;

    build_rows(&rng, path, rows, s);
    cr_assert(sound_header(path));
    built = bt_open(path);
    if (strcmp(said = bt_check(built), "ok") != 0)
        goto out;
    twin = empty_database(twin_path, s->reserve);
    insert_rows(twin, rows, s->rows);
    said = bt_difference(twin, built);
    if (!said && rng_chance(&rng, 30)) {
        change(twin, seed);
        change(built, seed);
        said = bt_difference(twin, built);
        if (!said && strcmp(bt_check(built), "ok") != 0)
            said = "after changes";
    }
    if (!said && rng_chance(&rng, 20)) {
        bt_exec(built, "VACUUM");
        said = bt_difference(twin, built);
        if (!said && strcmp(bt_check(built), "ok") != 0)
            said = "after VACUUM";
    }
    sqlite3_close(twin);
out:
    sqlite3_close(built);
    free_rows(rows, s->rows);
    return said ? said : "";
}

static void try_shapes(const char *suite, uint64_t rounds, unsigned rows_max, size_t (*a)(struct rng *),
                       size_t (*b)(struct rng *))
{
    uint64_t seed = test_seed(suite);

    rounds = (unsigned)test_rounds(rounds / 4);
    for (uint64_t i = 0; i < rounds; i++) {
        struct rng rng = {seed + i};
        struct shape s = {.rows = (unsigned)rng_below(&rng, rng_chance(&rng, 20) ? 4 : rows_max),
                          .reserve = rng_chance(&rng, 20) ? (unsigned)rng_below(&rng, 33) : 0,
                          .extra = rng_chance(&rng, 20) ? (uint32_t)rng_below(&rng, 200) : 0,
                          .threads = rng_chance(&rng, 5),
                          .a_size = a,
                          .b_size = b};
        const char *said = live(seed + i, &s);
        cr_assert_str_empty(said, "FLOWCARVE_TEST_SEED=%llu: %s", (unsigned long long)(seed + i), said);
    }
}

Test(btree, tiny_rows)
{
    try_shapes("tiny", 400, 1500, none, none);
}

Test(btree, usual_rows)
{
    try_shapes("usual", 400, 800, usual, tiny);
}

Test(btree, rows_at_the_largest_local_payload)
{
    try_shapes("local", 500, 120, at_local_max, at_local_max);
}

Test(btree, rows_at_the_ends_of_overflow_pages)
{
    try_shapes("ends", 500, 60, at_page_ends, at_page_ends);
}

Test(btree, rows_of_any_size)
{
    try_shapes("any", 400, 200, any, any);
}

Test(btree, rows_of_megabytes)
{
    try_shapes("huge", 20, 40, huge, tiny);
}

Test(btree, every_small_number_of_rows)
{
    uint64_t seed = test_seed("small");
    unsigned step = test_number("FLOWCARVE_TEST_LONG", 0) ? 1 : 17;

    /* past the first split of leaf and of interior pages, of table and index */
    for (unsigned n = (unsigned)(seed % step); n < 700; n += step) {
        struct shape s = {.rows = n, .a_size = n % 2 ? tiny : at_local_max, .b_size = n % 3 ? tiny : at_local_max};
        const char *said = live(seed + n, &s);
        cr_assert_str_empty(said, "%u rows: %s", n, said);
    }
}

Test(btree, three_levels_and_more)
{
    static const struct shape shapes[] = {{.rows = 300000, .a_size = none, .b_size = none},
                                          {.rows = 9000, .a_size = tiny, .b_size = at_local_max},
                                          {.rows = 60000, .a_size = usual, .b_size = usual, .threads = true}};

    for (unsigned i = 0; i < 3; i++) {
        const char *said = live(i, &shapes[i]);
        cr_assert_str_empty(said, "shape %u: %s", i, said);
    }
}

Test(btree, the_page_at_the_lock_byte_is_left_out)
{
    for (unsigned page = 6; page < 90; page += test_number("FLOWCARVE_TEST_LONG", 0) ? 1 : 3) {
        struct shape s = {.rows = 3000, .a_size = usual, .b_size = tiny, .lock_page = page, .threads = page % 5 == 0};
        cr_assert_eq(sqlite3_test_control(SQLITE_TESTCTRL_PENDING_BYTE, (page - 1) * FC_PAGE_SIZE) > 0, 1);
        const char *said = live(page, &s);
        cr_assert_str_empty(said, "page %u: %s", page, said);
    }
}

/* Opens an empty database, takes 60 extents and gives them back in any order, but for the last `keep` pages of all. */
static void take_and_give(const char *path, uint32_t keep)
{
    static const uint8_t page[FC_PAGE_SIZE] = {13};
    struct shape s = {.rows = 0, .a_size = usual, .b_size = usual};
    struct fc_extent extent[60];
    struct fc_pages pages;
    struct fc_error err;
    struct rng rng = {1};
    int fd;

    build_rows(&rng, path, NULL, &s);
    fd = open(path, O_RDWR);
    cr_assert_eq(fc_pages_open(&pages, fd, path, false, &err), 0);
    for (unsigned i = 0; i < 60; i++)
        cr_assert_eq(fc_pages_take(&pages, FC_EXTENT_PAGES, &extent[i], &err), 0);
    if (keep)
        cr_assert_eq(fc_pages_write(&pages, extent[59].first + FC_EXTENT_PAGES - 1, page, 1, &err), 0);
    extent[59].count -= keep;
    RNG_SHUFFLE(&rng, extent, 60);
    for (unsigned i = 0; i < 60; i++)
        fc_pages_give(&pages, extent[i].first, extent[i].count);
    cr_assert_eq(fc_pages_finish(&pages, &err), 0);
    fc_pages_close(&pages);
    close(fd);
    cr_assert(sound_header(path));
}

/* More than one trunk page has room for. */
Test(btree, unused_pages_can_be_used_later)
{
    const char *path = bt_path(0);
    sqlite3 *sql;

    take_and_give(path, 1);
    sql = bt_open(path);
    cr_assert_eq(bt_number(sql, "PRAGMA freelist_count"), 60 * FC_EXTENT_PAGES - 1);
    cr_assert(strstr(bt_text(sql, "PRAGMA integrity_check"), "is never used"));
    cr_assert_eq(bt_number(sql, "SELECT count(*) FROM pragma_integrity_check"), 1, "only the page that was kept");
    bt_exec(sql, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3800)"
                 "INSERT INTO later SELECT zeroblob(4000) FROM n");
    cr_assert_lt(bt_number(sql, "PRAGMA freelist_count"), 40);
    bt_exec(sql, "VACUUM");
    cr_assert_str_eq(bt_check(sql), "ok");
    sqlite3_close(sql);
}

Test(btree, unused_pages_at_the_end_are_cut_off)
{
    const char *path = bt_path(0);
    sqlite3 *sql;

    take_and_give(path, 0);
    sql = bt_open(path);
    cr_assert_eq(bt_number(sql, "PRAGMA freelist_count"), 0);
    cr_assert_eq(bt_number(sql, "PRAGMA page_count"), 4);
    cr_assert_str_eq(bt_check(sql), "ok");
    sqlite3_close(sql);
}

/* The judges see what they should. */
Test(btree, planted_faults_are_seen)
{
    for (int plant = 0; plant <= 3; plant++) {
        struct shape s = {.rows = 500, .a_size = usual, .b_size = tiny, .plant = plant};
        cr_assert_eq(*live(3, &s) != '\0', plant != 0, "fault %d", plant);
    }
}
