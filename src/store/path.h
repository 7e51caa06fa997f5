/* SPDX-License-Identifier: MIT */
/* How the index remembers where a capture is: relative to its own folder where it lies in it, else absolute. */
#ifndef FC_STORE_PATH_H
#define FC_STORE_PATH_H

#include <sqlite3.h>
#include <stdbool.h>

struct fc_stmt;

/*
 * The name to remember for `path`, a new string: its folder is resolved, a symbolic link as the last part is kept.
 * *relative tells which. NULL with errno.
 */
char *fc_path_remember(const char *db_folder, const char *path, bool *relative);

/* Where a remembered name points to, a new string. NULL without memory. */
char *fc_path_locate(const char *db_folder, const char *name, bool relative);

/* Binds a name as TEXT, or as BLOB when it is not UTF-8. The name must outlive the statement's step. */
void fc_bind_path(struct fc_stmt *stmt, int index, const char *name);

/* A name from a column, a new string; NULL without memory or when it holds a NUL byte. */
char *fc_path_from_column(sqlite3_stmt *stmt, int col);

#endif
