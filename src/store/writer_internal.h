/* SPDX-License-Identifier: MIT */
/* Shared by the files of the writer. */
#ifndef FC_STORE_WRITER_INTERNAL_H
#define FC_STORE_WRITER_INTERNAL_H

#include "flow/positions.h"
#include "store/writer.h"

enum fc_writer_stmt_id {
    FC_STMT_META,
    FC_STMT_KNOWN,
    FC_STMT_FILE,
    FC_STMT_IFACE,
    FC_STMT_DAMAGE,
    FC_STMT_INSERT,
    FC_STMT_UPDATE,
    FC_STMT_POSITIONS,
    FC_STMT_FIELDS,
    FC_STMT_OPEN,
    FC_STMT_FRAGMENT,
    FC_WRITER_STMTS
};

struct fc_writer {
    sqlite3 *sql;
    char *path, *folder;
    char *site;  /* fresh: where it is built */
    int lock_fd; /* fresh: the site, locked */
    bool fresh, committed;
    int64_t next_id; /* 0: not known yet */
    sqlite3_stmt *stmts[FC_WRITER_STMTS];
    struct fc_buffer plain, blob;
    struct fc_positions positions;
};

int fc_writer_error(struct fc_writer *writer, struct fc_error *err, const char *what);
int fc_writer_exec(struct fc_writer *writer, const char *sql, struct fc_error *err);
/* The prepared statement of this id, reset; NULL on failure. Owned by the writer. */
sqlite3_stmt *fc_writer_stmt(struct fc_writer *writer, enum fc_writer_stmt_id id, const char *sql);
/* Runs a statement that returns no row, and resets it. */
int fc_writer_step(struct fc_writer *writer, sqlite3_stmt *stmt, struct fc_error *err);

#endif
