/* SPDX-License-Identifier: MIT */
#include "btree_support.h"
#include "rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64], paths[4][96], text_buf[4096];

const char *bt_path(unsigned slot)
{
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "%s/fc-btree-XXXXXX", test_scratch());
        cr_assert(mkdtemp(folder));
    }
    snprintf(paths[slot], sizeof paths[slot], "%s/%u.db", folder, slot);
    unlink(paths[slot]);
    return paths[slot];
}

void bt_clean(void)
{
    for (unsigned i = 0; i < 4; i++)
        if (paths[i][0])
            unlink(paths[i]);
    if (folder[0])
        rmdir(folder);
}

sqlite3 *bt_open(const char *path)
{
    sqlite3 *sql = NULL;

    cr_assert_eq(sqlite3_open(path, &sql), SQLITE_OK, "%s: %s", path, sqlite3_errmsg(sql));
    bt_exec(sql, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cell_size_check = ON; "
                 "PRAGMA cache_size = -100000"); /* KiB: what is asked of a tree reads it many times */
    return sql;
}

void bt_exec(sqlite3 *sql, const char *text)
{
    char *why = NULL;

    cr_assert_eq(sqlite3_exec(sql, text, NULL, NULL, &why), SQLITE_OK, "%.200s: %s", text, why);
}

static sqlite3_stmt *prepare(sqlite3 *sql, const char *text)
{
    sqlite3_stmt *stmt = NULL;

    cr_assert_eq(sqlite3_prepare_v2(sql, text, -1, &stmt, NULL), SQLITE_OK, "%.200s: %s", text, sqlite3_errmsg(sql));
    return stmt;
}

const char *bt_text(sqlite3 *sql, const char *text)
{
    sqlite3_stmt *stmt = prepare(sql, text);
    int rc = sqlite3_step(stmt);

    cr_assert(rc == SQLITE_ROW || rc == SQLITE_DONE, "%.200s: %s", text, sqlite3_errmsg(sql));
    const char *value = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    snprintf(text_buf, sizeof text_buf, "%s", value ? value : "");
    sqlite3_finalize(stmt);
    return text_buf;
}

int64_t bt_number(sqlite3 *sql, const char *text)
{
    return strtoll(bt_text(sql, text), NULL, 10);
}

/* All keys by the index against all keys without it. */
static const char *check_index(sqlite3 *sql, const char *table, const char *index, const char *column)
{
    static char buf[300];
    char query[512];

    snprintf(query, sizeof query,
             "SELECT (SELECT count(*) FROM %s INDEXED BY %s WHERE %s IS NOT NULL) ="
             " (SELECT count(*) FROM %s NOT INDEXED WHERE %s IS NOT NULL) AND NOT EXISTS (SELECT 1 FROM %s NOT INDEXED"
             " WHERE %s IS NOT NULL EXCEPT SELECT 1 FROM %s INDEXED BY %s WHERE %s IS NOT NULL)",
             table, index, column, table, column, table, column, table, index, column);
    if (bt_number(sql, query) == 1)
        return NULL;
    snprintf(buf, sizeof buf, "%s differs from %s", index, table);
    return buf;
}

const char *bt_check(sqlite3 *sql)
{
    const char *said = bt_text(sql, "PRAGMA integrity_check(1)"), *wrong = NULL;
    sqlite3_stmt *stmt;

    if (strcmp(said, "ok") != 0)
        return said;
    stmt = prepare(sql, "SELECT m.tbl_name, m.name, i.name FROM sqlite_schema m, pragma_index_info(m.name) i"
                        " WHERE m.type = 'index' AND m.sql IS NOT NULL AND i.name IS NOT NULL");
    while (!wrong && sqlite3_step(stmt) == SQLITE_ROW)
        wrong = check_index(sql, (const char *)sqlite3_column_text(stmt, 0), (const char *)sqlite3_column_text(stmt, 1),
                            (const char *)sqlite3_column_text(stmt, 2));
    sqlite3_finalize(stmt);
    return wrong ? wrong : "ok";
}

static int same_value(sqlite3_stmt *a, sqlite3_stmt *b, int col)
{
    int type = sqlite3_column_type(a, col), bytes;

    if (type != sqlite3_column_type(b, col))
        return 0;
    if (type == SQLITE_INTEGER)
        return sqlite3_column_int64(a, col) == sqlite3_column_int64(b, col);
    bytes = sqlite3_column_bytes(a, col);
    return bytes == sqlite3_column_bytes(b, col) &&
           (bytes == 0 || memcmp(sqlite3_column_blob(a, col), sqlite3_column_blob(b, col), (size_t)bytes) == 0);
}

static const char *compare_query(sqlite3 *a, sqlite3 *b, const char *query)
{
    static char buf[300];
    sqlite3_stmt *x = prepare(a, query), *y = prepare(b, query);
    int rx = sqlite3_step(x), ry = sqlite3_step(y), col = -1;
    long row = 0;

    for (; rx == SQLITE_ROW && ry == SQLITE_ROW && col < 0; rx = sqlite3_step(x), ry = sqlite3_step(y)) {
        row++;
        for (int i = 0; i < sqlite3_column_count(x) && col < 0; i++)
            if (!same_value(x, y, i))
                col = i;
    }
    buf[0] = '\0';
    if (col >= 0)
        snprintf(buf, sizeof buf, "%s: row %ld, column %s", query, row, sqlite3_column_name(x, col));
    else if (rx != SQLITE_DONE || ry != SQLITE_DONE)
        snprintf(buf, sizeof buf, "%s: row %ld: %d, %d", query, row + 1, rx, ry);
    sqlite3_finalize(x);
    sqlite3_finalize(y);
    return buf[0] ? buf : NULL;
}

const char *bt_difference(sqlite3 *a, sqlite3 *b)
{
    const char *why = compare_query(a, b, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name");
    sqlite3_stmt *tables = prepare(a, "SELECT name FROM sqlite_schema WHERE type = 'table'");

    while (!why && sqlite3_step(tables) == SQLITE_ROW) {
        char query[200];
        snprintf(query, sizeof query, "SELECT * FROM %s", (const char *)sqlite3_column_text(tables, 0));
        why = compare_query(a, b, query);
    }
    sqlite3_finalize(tables);
    return why;
}
