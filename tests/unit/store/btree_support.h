/* SPDX-License-Identifier: MIT */
/* Databases for the tests of the b-tree writer, and SQLite's judgement of them. */
#ifndef FC_TEST_BTREE_SUPPORT_H
#define FC_TEST_BTREE_SUPPORT_H

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

/* A path in a folder of the test's own; bt_clean() removes both. Valid until the next call of the same slot (0-3). */
const char *bt_path(unsigned slot);
void bt_clean(void);

/* Opens for reading and writing; the test ends when SQLite refuses. */
sqlite3 *bt_open(const char *path);
void bt_exec(sqlite3 *sql, const char *text);
/* First column of the first row as a number or a text (valid until the next call); the test ends on an error. */
int64_t bt_number(sqlite3 *sql, const char *text);
const char *bt_text(sqlite3 *sql, const char *text);

/* "ok", or what SQLite does not like: quick_check, integrity_check, and each index against its table. */
const char *bt_check(sqlite3 *sql);

/* NULL when both databases hold the same tables, indexes, views and rows, in this order; else the first difference. */
const char *bt_difference(sqlite3 *a, sqlite3 *b);

#endif
