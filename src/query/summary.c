/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "query/fields.h"
#include "store/db.h"

#include <flowcarve/summary.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* In one statement, so that all is of one state. IDs are from 1 on without gaps, unless sessions were forgotten. */
static const char select_all[] =
    "SELECT (SELECT max(id) FROM run), (SELECT max(id) FROM session), (SELECT count(*) FROM session WHERE id < 0),"
    " (SELECT count(*) FROM files), EXISTS (SELECT 1 FROM files WHERE forgotten > 0),"
    " sum(packets), sum(bytes), min(start_ns), max(end_ns) FROM session_span";

static int read_row(struct fc_db *db, sqlite3_stmt *stmt, struct fc_summary *s, bool *gaps)
{
    struct stat st = {0};

    stat(db->path, &st);
    snprintf(s->generation, sizeof s->generation, "%llu.%lld", (unsigned long long)st.st_ino,
             (long long)sqlite3_column_int64(stmt, 0));
    s->size = (uint64_t)st.st_size;
    s->last_id = sqlite3_column_int64(stmt, 1);
    s->last_id = s->last_id < 0 ? 0 : s->last_id;
    s->sessions = (uint64_t)s->last_id + (uint64_t)sqlite3_column_int64(stmt, 2);
    s->files = (uint64_t)sqlite3_column_int64(stmt, 3);
    *gaps = sqlite3_column_int(stmt, 4) != 0;
    s->packets = (uint64_t)sqlite3_column_int64(stmt, 5);
    s->bytes = (uint64_t)sqlite3_column_int64(stmt, 6);
    s->has_time = sqlite3_column_type(stmt, 7) != SQLITE_NULL && sqlite3_column_type(stmt, 8) != SQLITE_NULL;
    s->start_ns = s->has_time ? sqlite3_column_int64(stmt, 7) : 0;
    s->end_ns = s->has_time ? sqlite3_column_int64(stmt, 8) : 0;
    return 0;
}

static int run(struct fc_db *db, const char *text, sqlite3_stmt **stmt, struct fc_error *err)
{
    sqlite3 *sql = fc_db_sqlite(db);

    *stmt = NULL;
    if (sqlite3_prepare_v2(sql, text, -1, stmt, NULL) == SQLITE_OK && sqlite3_step(*stmt) == SQLITE_ROW)
        return 0;
    return fc_db_error(sql, db->path, err, "cannot read the index");
}

FC_EXPORT int fc_summary_read(struct fc_db *db, struct fc_summary *summary, struct fc_error *err)
{
    sqlite3_stmt *stmt;
    bool gaps = false;
    char *profile = NULL, *uuid = NULL;

    memset(summary, 0, sizeof *summary);
    int rc = run(db, select_all, &stmt, err);
    if (rc == 0)
        rc = read_row(db, stmt, summary, &gaps);
    sqlite3_finalize(stmt);
    if (rc == 0 && gaps) {
        if ((rc = run(db, "SELECT count(*) FROM session", &stmt, err)) == 0)
            summary->sessions = (uint64_t)sqlite3_column_int64(stmt, 0);
        sqlite3_finalize(stmt);
    }
    if (rc == 0)
        rc = fc_db_fields(db, &summary->fields, err);
    if (rc == 0 && (rc = fc_db_meta(db, "profile", &profile, err)) == 0)
        snprintf(summary->profile, sizeof summary->profile, "%s", profile);
    if (rc == 0 && (rc = fc_db_meta(db, "generation", &uuid, err)) == 0)
        snprintf(summary->uuid, sizeof summary->uuid, "%s", uuid);
    free(profile);
    free(uuid);
    return rc;
}
