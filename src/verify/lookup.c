/* SPDX-License-Identifier: MIT */
#include "verify/lookup.h"
#include "base/error.h"
#include "store/record.h"
#include "store/sorter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PORT_BITS = 6,
    PORT_BLOCK = 1 << PORT_BITS, /* sessions a row of session_port stands for */
    PORT_SHIFT = 47              /* bits of a block's number, below the port's; a word of SQLite has a sign */
};
#define BLOCK_ZERO (INT64_C(1) << (PORT_SHIFT - 1)) /* added to a block: those of provisional sessions are negative */

struct lookup {
    struct fc_db *db;
    void (*differ)(void *ctx, const char *text);
    void *ctx;
};

/* Runs a query; `found` gets each row, and ends it with a code other than 0. */
static int each(const struct lookup *l, const char *text,
                int (*found)(const struct lookup *l, sqlite3_stmt *row, struct fc_error *err), struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = 0, step = SQLITE_ERROR;

    if (sqlite3_prepare_v2(l->db->sql, text, -1, &stmt, NULL) == SQLITE_OK)
        while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW)
            rc = found(l, stmt, err);
    if (rc == 0 && step != SQLITE_DONE)
        rc = fc_db_error(l->db->sql, l->db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc;
}

/*
 * A page that cannot be read is no difference, though PRAGMA integrity_check goes on behind it: its text tells SQLite's
 * code.
 */
static int not_sound(const struct lookup *l, sqlite3_stmt *row, struct fc_error *err)
{
    static const char word[] = "error code";
    const char *text = (const char *)sqlite3_column_text(row, 0), *at = text ? strstr(text, word) : NULL;
    int code = at ? atoi(at + sizeof word) & 0xff : 0; /* behind '=' or a space */

    if (!text || code == SQLITE_NOMEM)
        return fc_error_set(err, FC_E_NOMEM, l->db->path, FC_NO_OFFSET, "out of memory");
    if (code == SQLITE_IOERR || strstr(text, "failed to get page"))
        return fc_error_set(err, FC_E_IO, l->db->path, FC_NO_OFFSET, "cannot read the index: %s", text);
    if (strcmp(text, "ok") != 0)
        l->differ(l->ctx, text);
    return 0;
}

static void no_port(const struct lookup *l, int64_t port, int64_t block)
{
    char text[120];

    snprintf(text, sizeof text, "port %" PRId64 " of sessions %" PRId64 " to %" PRId64 " is not in session_port", port,
             block * PORT_BLOCK + 1, block * PORT_BLOCK + PORT_BLOCK);
    l->differ(l->ctx, text);
}

static void no_such_port(const struct lookup *l, int64_t port, int64_t id)
{
    char text[120];

    snprintf(text, sizeof text, "session %" PRId64 ": its port %" PRId64 " cannot be in session_port", id, port);
    l->differ(l->ctx, text);
}

/*
 * The ports of all sessions, each with its block, in the order of session_port; what does not fit into a word is told.
 */
static int collect_ports(const struct lookup *l, struct fc_sorter *ports, struct fc_error *err)
{
    uint64_t last[2] = {UINT64_MAX, UINT64_MAX};
    sqlite3_stmt *stmt = NULL;
    int rc = 0, step = SQLITE_ERROR;

    if (sqlite3_prepare_v2(l->db->sql, "SELECT id, client_port, server_port FROM session", -1, &stmt, NULL) ==
        SQLITE_OK)
        while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW)
            for (int i = 0; i < 2 && rc == 0; i++) {
                if (sqlite3_column_type(stmt, 1 + i) == SQLITE_NULL)
                    continue;
                int64_t port = sqlite3_column_int64(stmt, 1 + i), id = sqlite3_column_int64(stmt, 0);
                int64_t block = (id > INT64_MIN ? id - 1 : id) >> PORT_BITS;
                block += block > -BLOCK_ZERO ? BLOCK_ZERO : 0;
                if (port < 0 || port > UINT16_MAX || block < 0 || block >> PORT_SHIFT) {
                    no_such_port(l, port, id);
                    continue;
                }
                uint64_t entry = (uint64_t)port << PORT_SHIFT | (uint64_t)block;
                if (entry != last[i]) /* a server's come in a row */
                    rc = fc_sorter_add(ports, &entry, err);
                last[i] = entry;
            }
    if (rc == 0 && step != SQLITE_DONE)
        rc = fc_db_error(l->db->sql, l->db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc ? rc : fc_sorter_sort(ports, err);
}

/* Walks both side by side. Rows of session_port may stand for sessions that have changed since; none may be missing. */
static int compare_ports(const struct lookup *l, struct fc_sorter *ports, struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    const uint64_t *entry;
    uint64_t before = UINT64_MAX;
    int rc = SQLITE_ROW, more;

    if (sqlite3_prepare_v2(l->db->sql, "SELECT port << ?1 | (block + ?2) FROM session_port ORDER BY port, block", -1,
                           &stmt, NULL) != SQLITE_OK)
        return fc_db_error(l->db->sql, l->db->path, err, "cannot read the index");
    sqlite3_bind_int(stmt, 1, PORT_SHIFT);
    sqlite3_bind_int64(stmt, 2, BLOCK_ZERO);
    rc = sqlite3_step(stmt);
    while ((more = fc_sorter_next(ports, &entry, err)) == 1) {
        if (*entry == before)
            continue;
        before = *entry;
        while (rc == SQLITE_ROW && (uint64_t)sqlite3_column_int64(stmt, 0) < *entry)
            rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            break;
        if (rc == SQLITE_DONE || (uint64_t)sqlite3_column_int64(stmt, 0) != *entry)
            no_port(l, (int64_t)(*entry >> PORT_SHIFT),
                    (int64_t)(*entry & ((UINT64_C(1) << PORT_SHIFT) - 1)) - BLOCK_ZERO);
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        more = fc_db_error(l->db->sql, l->db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return more < 0 ? more : 0;
}

static int check_ports(const struct lookup *l, struct fc_error *err)
{
    struct fc_sorter ports;

    fc_sorter_init(&ports, 1, 0, SIZE_MAX, l->db->folder); /* nothing is spilled: the folder may be read-only */
    int rc = collect_ports(l, &ports, err);
    if (rc == 0)
        rc = compare_ports(l, &ports, err);
    fc_sorter_fini(&ports);
    return rc;
}

static int no_span(const struct lookup *l, sqlite3_stmt *row, struct fc_error *err)
{
    char text[120];

    (void)err;
    snprintf(text, sizeof text, "session %" PRId64 ": its times are not within those of session_span",
             (int64_t)sqlite3_column_int64(row, 0));
    l->differ(l->ctx, text);
    return 0;
}

static int compare_community(const struct lookup *l, sqlite3_stmt *row, struct fc_error *err)
{
    const char *stored = (const char *)sqlite3_column_text(row, 9);
    char want[FC_COMMUNITY_ID_SIZE], text[160];
    struct fc_flow_key key;
    int client;

    (void)err;
    if (fc_key_from_row(row, 1, &key, &client))
        return 0; /* told elsewhere */
    bool has = fc_community_id(&key, want);
    if (has ? !stored || strcmp(stored, want) != 0 : stored != NULL) {
        snprintf(text, sizeof text, "session %" PRId64 ": Community ID %.60s, the index says %.60s",
                 (int64_t)sqlite3_column_int64(row, 0), has ? want : "NULL", stored ? stored : "NULL");
        l->differ(l->ctx, text);
    }
    return 0;
}

static int check_community(const struct lookup *l, struct fc_error *err)
{
    char *fields;
    int rc = fc_db_meta(l->db, "fields", &fields, err);

    if (rc)
        return rc;
    bool kept = strstr(fields, "community-id") != NULL;
    free(fields);
    if (!kept)
        return 0;
    return each(l,
                "SELECT s.id, s.proto, s.kind, s.client_addr, s.client_port, s.server_addr, s.server_port, s.flags,"
                " s.domain, f.community_id FROM session s LEFT JOIN session_fields f ON f.id = s.id",
                compare_community, err);
}

int fc_verify_lookup(struct fc_db *db, void (*differ)(void *ctx, const char *text), void *ctx, struct fc_error *err)
{
    const struct lookup l = {db, differ, ctx};

    /* each row is looked up in each index, which is all over the database */
    sqlite3_exec(db->sql, "PRAGMA cache_size = -262144", NULL, NULL, NULL);
    int rc = each(&l, "PRAGMA integrity_check", not_sound, err);
    sqlite3_exec(db->sql, "PRAGMA cache_size = -2000", NULL, NULL, NULL);
    if (rc == 0)
        rc = check_ports(&l, err);
    if (rc == 0)
        rc = each(&l,
                  "SELECT s.id FROM session s LEFT JOIN session_span p ON p.first_id = ((s.id - 1) >> 12) * 4096 + 1"
                  " WHERE s.start_ns IS NOT NULL AND (p.first_id IS NULL OR s.start_ns < p.start_ns"
                  " OR s.start_ns + s.duration_ns > p.end_ns)",
                  no_span, err);
    return rc ? rc : check_community(&l, err);
}
