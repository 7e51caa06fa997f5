/* SPDX-License-Identifier: MIT */
/* Records byte by byte against those in a file that SQLite has written. */
#include "btree_support.h"
#include "rng.h"
#include "store/sqlite_record.h"

#include <stdio.h>
#include <string.h>

TestSuite(btree_record, .fini = bt_clean, .timeout = 600);

static const int64_t edges[] = {0,
                                1,
                                2,
                                127,
                                128,
                                255,
                                256,
                                32767,
                                32768,
                                65535,
                                8388607,
                                8388608,
                                2147483647,
                                2147483648,
                                UINT32_MAX,
                                0xa000001,
                                INT64_MAX,
                                INT64_MIN,
                                140737488355327,
                                140737488355328};

static int64_t draw_int(struct rng *rng)
{
    int64_t v = rng_chance(rng, 50) ? edges[rng_below(rng, sizeof edges / sizeof edges[0])]
                                    : (int64_t)(rng_next(rng) >> rng_below(rng, 64));

    if (v != INT64_MIN && rng_chance(rng, 30))
        v = -v;
    return v != INT64_MAX && rng_chance(rng, 20) ? v + 1 : v;
}

/* The record of the only row of the table at `root`. */
static size_t read_record(const char *path, int64_t root, uint8_t page[4096], const uint8_t **record)
{
    FILE *f = fopen(path, "rb");
    size_t len = 0;

    cr_assert(f && fseek(f, (long)(root - 1) * 4096, SEEK_SET) == 0 && fread(page, 4096, 1, f) == 1);
    fclose(f);
    cr_assert_eq(page[0], 13);
    const uint8_t *p = page + (page[8] << 8 | page[9]);
    do
        len = len << 7 | (*p & 0x7f);
    while (*p++ & 0x80);
    while (*p++ & 0x80)
        ;
    *record = p;
    return len;
}

Test(btree_record, the_bytes_are_those_of_sqlite)
{
    struct rng rng = {test_seed("record")};
    const char *path = bt_path(0);
    uint8_t page[4096], bytes[300];
    sqlite3 *sql = bt_open(path);
    struct fc_row row = {0};
    sqlite3_stmt *stmt = NULL;

    bt_exec(sql, "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c, d, e, f, g, h, i, j)");
    int64_t root = bt_number(sql, "SELECT rootpage FROM sqlite_schema");
    sqlite3_prepare_v2(sql, "INSERT OR REPLACE INTO t VALUES (7, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", -1, &stmt, NULL);
    for (uint64_t round = test_rounds(1000); round; round--) {
        const uint8_t *mine, *theirs;
        size_t mine_len, theirs_len;
        cr_assert_eq(fc_row_begin(&row, 10 * sizeof bytes), 0);
        fc_row_null(&row.at);
        for (int col = 1; col <= 10; col++) {
            size_t len = rng_below(&rng, rng_chance(&rng, 80) ? 70 : sizeof bytes);
            int64_t v = draw_int(&rng);
            switch (rng_below(&rng, 4)) {
            case 0:
                sqlite3_bind_null(stmt, col);
                fc_row_null(&row.at);
                break;
            case 1:
                rng_fill(&rng, bytes, len);
                sqlite3_bind_blob(stmt, col, bytes, (int)len, SQLITE_TRANSIENT);
                fc_row_bytes(&row.at, bytes, len, 0);
                break;
            case 2:
                memset(bytes, 'a', len);
                sqlite3_bind_text(stmt, col, (char *)bytes, (int)len, SQLITE_TRANSIENT);
                fc_row_bytes(&row.at, bytes, len, 1);
                break;
            default:
                sqlite3_bind_int64(stmt, col, v);
                fc_row_int(&row.at, v);
            }
        }
        cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
        sqlite3_reset(stmt);
        fc_row_end(&row, &mine, &mine_len);
        theirs_len = read_record(path, root, page, &theirs);
        cr_assert(mine_len == theirs_len && memcmp(mine, theirs, mine_len) == 0);
    }
    fc_row_fini(&row);
    sqlite3_finalize(stmt);
    sqlite3_close(sql);
}

Test(btree_record, varints_of_every_length)
{
    static const struct {
        uint64_t v;
        unsigned len;
        uint8_t bytes[9];
    } cases[] = {
        {0, 1, {0}},
        {0x7f, 1, {0x7f}},
        {0x80, 2, {0x81, 0}},
        {0x3fff, 2, {0xff, 0x7f}},
        {0x4000, 3, {0x81, 0x80, 0}},
        {UINT64_C(1) << 55, 8, {0xc0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0}},
        {UINT64_C(1) << 56, 9, {0x80, 0xc0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0}},
        {UINT64_MAX, 9, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
    };

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t out[FC_SQLITE_VARINT_MAX];
        cr_assert_eq(fc_sqlite_varint(out, cases[i].v) - out, cases[i].len, "case %u", i);
        cr_assert_eq(memcmp(out, cases[i].bytes, cases[i].len), 0, "case %u", i);
    }
}
