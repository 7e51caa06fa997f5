/* SPDX-License-Identifier: MIT */
/* Pages read past SQLite, in WAL mode, beside a writer: a snapshot sees what a SELECT sees in its transaction. */
#include "btree_support.h"
#include "rng.h"
#include "store/snapshot.h"
#include "store/table_scan.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

TestSuite(snapshot, .fini = bt_clean, .timeout = 600);

static void run(sqlite3 *sql, const char *text)
{
    char *why = NULL;

    cr_assert_eq(sqlite3_exec(sql, text, NULL, NULL, &why), SQLITE_OK, "%s: %s", text, why);
}

/* Some hundred pages of rows; they are read to the end in each round. */
static unsigned many_rows(void)
{
    return test_number("FLOWCARVE_TEST_LONG", 0) ? 20000 : 8000;
}

static sqlite3 *open_it(const char *path)
{
    sqlite3 *sql;

    cr_assert_eq(sqlite3_open(path, &sql), SQLITE_OK);
    sqlite3_busy_timeout(sql, 60000);
    return sql;
}

/* A table of rows of any length, in WAL mode, whose -wal is put into the file by those alone who ask for it. */
static sqlite3 *make(const char *path, unsigned rows)
{
    sqlite3 *sql = open_it(path);
    char text[200];

    run(sql, "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; "
             "PRAGMA wal_autocheckpoint = 0; CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)");
    snprintf(text, sizeof text,
             "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %u) INSERT INTO t SELECT i, i * 7, "
             "randomblob(i %% 150) FROM n",
             rows);
    run(sql, text);
    return sql;
}

/* Sums that differ when a row is of another moment. */
struct sums {
    int64_t rows, ids, numbers, bytes;
};

static int take(void *ctx, int64_t id, const struct fc_scan_value *v)
{
    struct sums *s = ctx;

    s->rows++;
    s->ids += id;
    s->numbers += v[1].type == FC_SCAN_INTEGER ? v[1].number : 0;
    s->bytes += v[2].type == FC_SCAN_BLOB ? v[2].len : 0;
    return 0;
}

/* 1: the two are the same; 0: pages could not be read. */
static int compare(struct fc_db *db)
{
    struct sums by_pages = {0}, by_sql;
    struct fc_error err = {0};
    sqlite3_stmt *stmt;
    int64_t root;

    cr_assert_eq(fc_snapshot_begin(db, &err), 0, "%s", err.cause);
    cr_assert_eq(fc_table_scan_root(db, "t", &root, &err), 0, "%s", err.cause);
    if (root)
        cr_assert_eq(fc_table_scan(db, root, 3, FC_SCAN_ALL, take, &by_pages, &err), 0, "%s", err.cause);
    cr_assert_eq(
        sqlite3_prepare_v2(db->sql, "SELECT count(*), total(id), total(a), total(length(b)) FROM t", -1, &stmt, NULL),
        SQLITE_OK);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    by_sql = (struct sums){sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1), sqlite3_column_int64(stmt, 2),
                           sqlite3_column_int64(stmt, 3)};
    sqlite3_finalize(stmt);
    fc_snapshot_end(db);
    if (root)
        cr_assert(memcmp(&by_pages, &by_sql, sizeof by_sql) == 0,
                  "rows %lld and %lld, ids %lld and %lld, numbers %lld and %lld, bytes %lld and %lld",
                  (long long)by_pages.rows, (long long)by_sql.rows, (long long)by_pages.ids, (long long)by_sql.ids,
                  (long long)by_pages.numbers, (long long)by_sql.numbers, (long long)by_pages.bytes,
                  (long long)by_sql.bytes);
    return root != 0;
}

static void change(sqlite3 *sql, struct rng *r)
{
    char text[300];
    unsigned id = (unsigned)rng_below(r, many_rows()), many = (unsigned)rng_between(r, 1, 400);

    snprintf(text, sizeof text,
             rng_chance(r, 50)   ? "UPDATE t SET a = a + 1 WHERE id BETWEEN %u AND %u"
             : rng_chance(r, 40) ? "DELETE FROM t WHERE id BETWEEN %u AND %u"
                                 : "INSERT OR REPLACE INTO t SELECT id + 1 + abs(random()) %% 9000, a, "
                                   "randomblob(140) FROM t WHERE id BETWEEN %u AND %u",
             id, id + many);
    run(sql, text);
}

static void checkpoint(sqlite3 *sql, struct rng *r)
{
    static const int modes[] = {SQLITE_CHECKPOINT_PASSIVE, SQLITE_CHECKPOINT_FULL, SQLITE_CHECKPOINT_RESTART,
                                SQLITE_CHECKPOINT_TRUNCATE};

    sqlite3_wal_checkpoint_v2(sql, NULL, modes[rng_below(r, 4)], NULL, NULL);
}

Test(snapshot, a_wal_of_any_length_and_age)
{
    struct rng r = {test_seed("snapshot")};
    const char *path = bt_path(0);
    sqlite3 *writer = make(path, many_rows());
    struct fc_db db = {.sql = open_it(path), .path = (char *)path};

    for (unsigned i = 0; i < 300; i++) {
        cr_assert_eq(compare(&db), 1, "round %u: pages are not read", i);
        change(writer, &r);
        if (rng_chance(&r, 10))
            checkpoint(writer, &r);
    }
    /* several regions of its index */
    for (unsigned i = 0; i < 600000 / many_rows(); i++)
        run(writer, "UPDATE t SET a = a + 1");
    cr_assert_eq(compare(&db), 1);
    sqlite3_close(db.sql);
    sqlite3_close(writer);
}

Test(snapshot, a_file_without_wal_and_one_in_a_transaction_of_somebody_else)
{
    const char *path = bt_path(0);
    sqlite3 *writer = make(path, 3000);
    struct fc_db db = {.sql = open_it(path), .path = (char *)path};
    struct fc_error err;
    int64_t root = 1;

    /* without a snapshot nothing is known */
    run(db.sql, "BEGIN; SELECT count(*) FROM t");
    cr_assert_eq(fc_table_scan_root(&db, "t", &root, &err), 0);
    cr_assert_eq(root, 0);
    run(db.sql, "COMMIT");
    run(writer, "BEGIN IMMEDIATE; UPDATE t SET a = -1"); /* which nobody sees yet */
    cr_assert_eq(compare(&db), 1);
    run(writer, "COMMIT");
    cr_assert_eq(compare(&db), 1);
    sqlite3_close(db.sql);
    run(writer, "PRAGMA journal_mode = DELETE");
    db = (struct fc_db){.sql = open_it(path), .path = (char *)path};
    cr_assert_eq(compare(&db), 1);
    sqlite3_close(db.sql);
    sqlite3_close(writer);
}

struct beside {
    const char *path;
    uint64_t seed;
    int stop;
};

static void *write_beside(void *ctx)
{
    struct beside *b = ctx;
    struct rng r = {b->seed};
    sqlite3 *sql = open_it(b->path);

    sqlite3_busy_timeout(sql, 20);
    while (!__atomic_load_n(&b->stop, __ATOMIC_RELAXED)) {
        change(sql, &r);
        if (rng_chance(&r, 20))
            checkpoint(sql, &r);
    }
    sqlite3_close(sql);
    return NULL;
}

Test(snapshot, beside_a_writer)
{
    const char *path = bt_path(0);
    sqlite3 *first = make(path, many_rows());
    struct fc_db db = {.sql = open_it(path), .path = (char *)path};
    struct beside beside = {path, test_seed("beside"), 0};
    unsigned rounds = test_number("FLOWCARVE_TEST_LONG", 0) ? 4000 : 400, by_pages = 0;
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, write_beside, &beside), 0);
    for (unsigned i = 0; i < rounds; i++)
        by_pages += (unsigned)compare(&db);
    __atomic_store_n(&beside.stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    cr_assert_gt(by_pages, rounds / 2);
    sqlite3_close(db.sql);
    sqlite3_close(first);
}
