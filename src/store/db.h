/* SPDX-License-Identifier: MIT */
/* Inside of struct fc_db, for the rooms that read an index. */
#ifndef FC_STORE_DB_H
#define FC_STORE_DB_H

#include <flowcarve/db.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a transaction that reads sees (store/snapshot.h). */
struct fc_snapshot {
    bool known;
    sqlite3_file *file, *wal; /* SQLite's; wal NULL: all is in the file */
    uint32_t frames;          /* of the -wal that count */
    int64_t bytes, in_file;   /* of the database; of the file, which the -wal may go beyond */
    uint8_t index[48];        /* what was read of the WAL-index last, also before */
};

struct fc_db {
    sqlite3 *sql;
    char *path;   /* as given */
    char *folder; /* folder of the database, symbolic links resolved: relative captures start here */
    bool fields_known;
    uint32_t fields; /* FC_FIELD_* of the index, when known: they are settled when it is made */
    struct fc_snapshot snapshot;
    const int *stop; /* see fc_db_set_stop(); NULL: none */
};

/* The connection; owned by db. */
sqlite3 *fc_db_sqlite(struct fc_db *db);

/* Fills err with SQLite's message for the connection; returns FC_E_DB (FC_E_IO, FC_E_INTERRUPTED, FC_E_NOMEM where it
 * says
 * so). */
int fc_db_error(sqlite3 *sql, const char *path, struct fc_error *err, const char *what);

/* Value of a row of `meta` copied to a new string ("" when there is none). FC_E_NOMEM, FC_E_IO, FC_E_DB. */
int fc_db_meta(struct fc_db *db, const char *name, char **value, struct fc_error *err);

static inline bool fc_db_is_stopped(const struct fc_db *db)
{
    return db->stop && __atomic_load_n(db->stop, __ATOMIC_RELAXED);
}

/*
 * Opens path with sqlite3_open_v2(), as the name of a file whatever it looks like: neither ":memory:" nor "file:..."
 * has a meaning of its own.
 */
int fc_db_sqlite_open(const char *path, sqlite3 **sql, int flags);

/* An index may be anybody's: what its schema says runs no function that has effects, and limits are low. */
void fc_db_harden(sqlite3 *sql);

/*
 * Where the index called `path` is, a new string: the same, or what a symbolic link of that name leads to. SQLite keeps
 * its journal there, and captures are remembered relative to that folder. NULL with errno.
 */
char *fc_db_place(const char *path);

/* Folder of `path` with symbolic links resolved, a new string; NULL with errno when it does not exist. */
char *fc_path_folder(const char *path);

#endif
