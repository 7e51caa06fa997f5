/* SPDX-License-Identifier: MIT */
#include "verify/lookup.h"
#include "base/error.h"
#include "store/session_index.h"
#include "store/span.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BITS = FC_EPOCH_BITS - FC_PORT_BLOCK_BITS };

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

static void no_port(const struct lookup *l, int64_t port, int64_t first)
{
    char text[120];

    int64_t last = first > INT64_MAX - FC_PORT_BLOCK_SESSIONS ? INT64_MAX : first + FC_PORT_BLOCK_SESSIONS - 1;

    snprintf(text, sizeof text, "port %" PRId64 " of sessions %" PRId64 " to %" PRId64 " is not in session_port", port,
             first, last);
    l->differ(l->ctx, text);
}

static void no_such_port(const struct lookup *l, int64_t port, int64_t id)
{
    char text[120];

    snprintf(text, sizeof text, "session %" PRId64 ": its port %" PRId64 " cannot be in session_port", id, port);
    l->differ(l->ctx, text);
}

/* (id - 1) >> 18, as SQLite computes it. */
static int64_t epoch_of(int64_t id)
{
    return fc_epoch_of(id > INT64_MIN ? id : id + 1);
}

/* Notes the ports of a session, each with its block; a server's come in a row. */
static int add_ports(const struct lookup *l, sqlite3_stmt *session, struct fc_sorter *ports, struct fc_error *err)
{
    int64_t id = sqlite3_column_int64(session, 0);
    int rc = 0;

    for (int i = 0; i < 2 && rc == 0; i++) {
        int64_t port = sqlite3_column_int64(session, 1 + i);
        if (sqlite3_column_type(session, 1 + i) == SQLITE_NULL)
            continue;
        if (port < 0 || port > UINT16_MAX) {
            no_such_port(l, port, id);
            continue;
        }
        uint64_t entry = (uint64_t)port << BLOCK_BITS | (uint64_t)fc_port_block_of(id > INT64_MIN ? id : id + 1);
        rc = fc_sorter_add(ports, &entry, err);
    }
    return rc;
}

/*
 * Walks what was noted of an epoch and its rows side by side. Rows may stand for sessions that have changed since; none
 * may be missing.
 */
static int compare_ports(const struct lookup *l, int64_t epoch, sqlite3_stmt *rows, struct fc_sorter *ports,
                         struct fc_error *err)
{
    int rc = fc_sorter_sort(ports, err), step;
    uint64_t before = UINT64_MAX;

    if (rc)
        return rc;
    sqlite3_bind_int64(rows, 1, epoch);
    step = sqlite3_step(rows);
    for (size_t i = 0; i < ports->count; i++) {
        uint64_t entry = ports->entry[i];
        if (entry == before)
            continue;
        before = entry;
        while (step == SQLITE_ROW && (uint64_t)sqlite3_column_int64(rows, 0) < entry)
            step = sqlite3_step(rows);
        if (step != SQLITE_ROW && step != SQLITE_DONE)
            break;
        if (step == SQLITE_DONE || (uint64_t)sqlite3_column_int64(rows, 0) != entry)
            no_port(l, (int64_t)(entry >> BLOCK_BITS),
                    epoch * FC_EPOCH_SESSIONS + (int64_t)(entry & (FC_PORT_BLOCKS - 1)) * FC_PORT_BLOCK_SESSIONS + 1);
    }
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        rc = fc_db_error(l->db->sql, l->db->path, err, "cannot read the index");
    sqlite3_reset(rows);
    ports->count = 0;
    return rc;
}

/* An epoch at a time, in which order both tables are. */
static int check_ports(const struct lookup *l, struct fc_error *err)
{
    sqlite3_stmt *sessions = NULL, *rows = NULL;
    struct fc_sorter ports;
    int64_t epoch = 0;
    int rc = 0, step = SQLITE_ERROR;

    fc_sorter_init(&ports, 1, 0);
    if (sqlite3_prepare_v2(l->db->sql, "SELECT id, client_port, server_port FROM session ORDER BY id", -1, &sessions,
                           NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(l->db->sql,
                           "SELECT port << 12 | block FROM session_port WHERE epoch = ? ORDER BY port, block", -1,
                           &rows, NULL) == SQLITE_OK)
        while (rc == 0 && (step = sqlite3_step(sessions)) == SQLITE_ROW) {
            int64_t here = epoch_of(sqlite3_column_int64(sessions, 0));
            if (here != epoch)
                rc = compare_ports(l, epoch, rows, &ports, err);
            epoch = here;
            rc = rc ? rc : add_ports(l, sessions, &ports, err);
        }
    if (rc == 0)
        rc = step == SQLITE_DONE ? compare_ports(l, epoch, rows, &ports, err)
                                 : fc_db_error(l->db->sql, l->db->path, err, "cannot read the index");
    sqlite3_finalize(sessions);
    sqlite3_finalize(rows);
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

static int wrong_sums(const struct lookup *l, sqlite3_stmt *row, struct fc_error *err)
{
    int64_t first = sqlite3_column_int64(row, 0);
    char text[120];

    (void)err;
    snprintf(text, sizeof text, "sessions %" PRId64 " to %" PRId64 ": their sums are not those of session_span", first,
             first + FC_SPAN_SESSIONS - 1);
    l->differ(l->ctx, text);
    return 0;
}

/* Each session in a span, each span with what its sessions have. */
static int check_spans(const struct lookup *l, struct fc_error *err)
{
    int rc = each(l,
                  "SELECT s.id FROM session s LEFT JOIN session_span p ON p.first_id = ((s.id - 1) >> 12) * 4096 + 1"
                  " WHERE p.first_id IS NULL OR s.start_ns IS NOT NULL AND (p.start_ns IS NULL"
                  " OR s.start_ns < p.start_ns OR s.start_ns + s.duration_ns > p.end_ns)",
                  no_span, err);

    /* sums as fractions, as those of a damaged index may be too large for a number */
    return rc ? rc
              : each(l,
                     "SELECT p.first_id FROM session_span p WHERE (CAST(p.packets AS REAL), CAST(p.bytes AS REAL)) IS "
                     "NOT"
                     " (SELECT total(client_packets) + total(server_packets), total(client_bytes) + total(server_bytes)"
                     " FROM session s WHERE s.id BETWEEN p.first_id AND p.first_id + 4095)",
                     wrong_sums, err);
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
        rc = check_spans(&l, err);
    return rc ? rc : check_community(&l, err);
}
