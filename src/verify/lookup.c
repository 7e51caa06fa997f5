/* SPDX-License-Identifier: MIT */
#include "verify/lookup.h"
#include "base/error.h"
#include "store/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lookup {
    struct fc_db *db;
    void (*differ)(void *ctx, const char *text);
    void *ctx;
};

/* Runs a query; `found` gets each row. */
static int each(const struct lookup *l, const char *text, void (*found)(const struct lookup *l, sqlite3_stmt *row),
                struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc;

    if (sqlite3_prepare_v2(l->db->sql, text, -1, &stmt, NULL) != SQLITE_OK)
        return fc_db_error(l->db->sql, l->db->path, err, "cannot read the index");
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        found(l, stmt);
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE ? 0 : fc_db_error(l->db->sql, l->db->path, err, "cannot read the index");
}

static void not_sound(const struct lookup *l, sqlite3_stmt *row)
{
    const char *text = (const char *)sqlite3_column_text(row, 0);

    if (text && strcmp(text, "ok") != 0)
        l->differ(l->ctx, text);
}

static void no_port(const struct lookup *l, sqlite3_stmt *row)
{
    char text[120];

    snprintf(text, sizeof text, "port %d of sessions %" PRId64 " to %" PRId64 " is not in session_port",
             sqlite3_column_int(row, 0), (int64_t)sqlite3_column_int64(row, 1) * 64 + 1,
             (int64_t)sqlite3_column_int64(row, 1) * 64 + 64);
    l->differ(l->ctx, text);
}

static void no_span(const struct lookup *l, sqlite3_stmt *row)
{
    char text[120];

    snprintf(text, sizeof text, "session %" PRId64 ": its times are not within those of session_span",
             (int64_t)sqlite3_column_int64(row, 0));
    l->differ(l->ctx, text);
}

static void compare_community(const struct lookup *l, sqlite3_stmt *row)
{
    const char *stored = (const char *)sqlite3_column_text(row, 9);
    char want[FC_COMMUNITY_ID_SIZE], text[160];
    struct fc_flow_key key;
    int client;

    if (fc_key_from_row(row, 1, &key, &client))
        return; /* told elsewhere */
    bool has = fc_community_id(&key, want);
    if (has ? !stored || strcmp(stored, want) != 0 : stored != NULL) {
        snprintf(text, sizeof text, "session %" PRId64 ": Community ID %.60s, the index says %.60s",
                 (int64_t)sqlite3_column_int64(row, 0), has ? want : "NULL", stored ? stored : "NULL");
        l->differ(l->ctx, text);
    }
}

static int check_community(const struct lookup *l, struct fc_error *err)
{
    char *fields = fc_db_meta(l->db->sql, "fields");

    if (!fields)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    bool kept = strstr(fields, "community-id") != NULL;
    free(fields);
    if (!kept)
        return 0;
    return each(l,
                "SELECT s.id, s.proto, s.kind, s.client_addr, s.client_port, s.server_addr, s.server_port, s.one_way,"
                " s.domain, f.community_id FROM session s LEFT JOIN session_fields f ON f.id = s.id",
                compare_community, err);
}

int fc_verify_lookup(struct fc_db *db, void (*differ)(void *ctx, const char *text), void *ctx, struct fc_error *err)
{
    const struct lookup l = {db, differ, ctx};
    int rc = each(&l, "PRAGMA integrity_check", not_sound, err);

    /* entries may stand for sessions that have changed since; none may be missing */
    if (rc == 0)
        rc = each(&l,
                  "SELECT client_port, (id - 1) / 64 FROM session WHERE client_port IS NOT NULL"
                  " UNION SELECT server_port, (id - 1) / 64 FROM session WHERE server_port IS NOT NULL"
                  " EXCEPT SELECT port, block FROM session_port",
                  no_port, err);
    if (rc == 0)
        rc = each(&l,
                  "SELECT s.id FROM session s LEFT JOIN session_span p ON p.first_id = (s.id - 1) / 4096 * 4096 + 1"
                  " WHERE s.start_ns IS NOT NULL AND (p.first_id IS NULL OR s.start_ns < p.start_ns"
                  " OR s.start_ns + s.duration_ns > p.end_ns)",
                  no_span, err);
    return rc ? rc : check_community(&l, err);
}
