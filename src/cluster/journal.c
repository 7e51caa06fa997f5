/* SPDX-License-Identifier: MIT */
#include "cluster/journal.h"
#include "base/error.h"
#include "base/varint.h"
#include "base/vector.h"
#include "query/fields.h"
#include "store/db.h"
#include "store/record.h"

#include <flowcarve/decode.h>
#include <string.h>

static int no_memory(const char *path, struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, path, FC_NO_OFFSET, "out of memory");
}

static int cannot_read(struct fc_db *db, struct fc_error *err)
{
    return fc_db_error(db->sql, db->path, err, "cannot read the index");
}

static int open_index(const char *path, const int *stop, struct fc_db **db, struct fc_error *err)
{
    int rc = fc_db_open(path, db, err);

    if (rc == 0 && stop)
        fc_db_set_stop(*db, stop);
    return rc;
}

/* A number that a query gives; `none` where it is NULL. */
static int read_number(struct fc_db *db, const char *sql, int64_t none, int64_t *number, struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = 0;

    if (sqlite3_prepare_v2(db->sql, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        *number = sqlite3_column_type(stmt, 0) == SQLITE_NULL ? none : sqlite3_column_int64(stmt, 0);
    else
        rc = cannot_read(db, err);
    sqlite3_finalize(stmt);
    return rc;
}

static int begin(struct fc_db *db, struct fc_error *err)
{
    return sqlite3_exec(db->sql, "BEGIN", NULL, NULL, NULL) == SQLITE_OK ? 0 : cannot_read(db, err);
}

int fc_journal_state(const char *path, const int *stop, struct fc_journal_state *state, struct fc_error *err)
{
    struct fc_db *db = NULL;
    int rc;

    memset(state, 0, sizeof *state);
    if ((rc = open_index(path, stop, &db, err)) == 0 && (rc = begin(db, err)) == 0 &&
        (rc = fc_db_generation(db, state->generation, err)) >= 0) {
        state->has_generation = rc == 1;
        if ((rc = read_number(db, "SELECT max(id) FROM run", 0, &state->run, err)) == 0 &&
            (rc = read_number(db, "SELECT (SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'clock_ns')", INT64_MIN,
                              &state->clock_ns, err)) == 0)
            rc = fc_db_fields(db, &state->fields, err);
    }
    fc_db_close(db);
    return rc;
}

/* ---- which sessions */

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void sort_changed(struct fc_journal_step *step)
{
    size_t kept = 0;

    if (step->count)
        qsort(step->changed, step->count, sizeof *step->changed, compare);
    for (size_t i = 0; i < step->count; i++)
        if (!kept || step->changed[i] != step->changed[kept - 1])
            step->changed[kept++] = step->changed[i];
    step->count = kept;
}

static int take_changed(struct fc_db *db, sqlite3_stmt *stmt, struct fc_journal_step *step, struct fc_error *err)
{
    const uint8_t *p = sqlite3_column_blob(stmt, 1);
    const uint8_t *end = p ? p + sqlite3_column_bytes(stmt, 1) : NULL;
    uint64_t distance;

    for (int64_t id = 0; p < end; step->changed[step->count++] = id) {
        if (!(p = fc_varint_get(p, end, &distance)) || distance > INT64_MAX / 2 ||
            (id += (int64_t)distance) > INT64_MAX / 2)
            return fc_error_set(err, FC_E_DB, db->path, FC_NO_OFFSET, "what run %lld has changed is damaged",
                                (long long)sqlite3_column_int64(stmt, 0));
        if (id >= step->first_new)
            return 0; /* ascending, and what is new is sent anyway */
        if (fc_vector_reserve(&step->changed, &step->room, step->count + 1, sizeof *step->changed))
            return no_memory(db->path, err);
    }
    return 0;
}

/* Runs go on with sessions for hours: each of these is kept once. */
static int read_runs(struct fc_db *db, struct fc_journal_step *step, struct fc_error *err)
{
    size_t unique = 4096;
    sqlite3_stmt *stmt = NULL;
    int64_t runs = 0;
    int rc = 0, got = SQLITE_ERROR;

    if (sqlite3_prepare_v2(db->sql, "SELECT id, changed FROM run WHERE id > ?1 AND id <= ?2 ORDER BY id", -1, &stmt,
                           NULL) == SQLITE_OK) {
        sqlite3_bind_int64(stmt, 1, step->from);
        sqlite3_bind_int64(stmt, 2, step->until);
        for (; rc == 0 && (got = sqlite3_step(stmt)) == SQLITE_ROW; runs++) {
            rc = take_changed(db, stmt, step, err);
            if (step->count > 2 * unique) {
                sort_changed(step);
                unique = step->count > unique ? step->count : unique;
            }
        }
    }
    if (rc == 0 && got != SQLITE_DONE)
        rc = cannot_read(db, err);
    sqlite3_finalize(stmt);
    step->gap = runs != step->until - step->from;
    sort_changed(step);
    return rc;
}

static int last_session(struct fc_db *db, int64_t run, int64_t *last, struct fc_error *err)
{
    const int64_t most = INT64_C(1) << 62;
    char sql[128];
    int rc;

    sqlite3_snprintf(sizeof sql, sql, "SELECT (SELECT last_session FROM run WHERE id <= %lld ORDER BY id DESC LIMIT 1)",
                     (long long)run);
    rc = read_number(db, sql, 0, last, err);
    if (rc == 0 && (*last < 0 || *last > most))
        rc = fc_error_set(err, FC_E_DB, db->path, FC_NO_OFFSET, "is damaged: it has session %lld", (long long)*last);
    return rc;
}

int fc_journal_step(const char *path, const int *stop, int64_t from, int64_t until, struct fc_journal_step *step,
                    struct fc_error *err)
{
    struct fc_db *db = NULL;
    int64_t before = 0;
    int rc;

    *step = (struct fc_journal_step){.from = from, .until = until};
    if ((rc = open_index(path, stop, &db, err)) == 0 && (rc = begin(db, err)) == 0 &&
        (rc = last_session(db, until, &step->last_new, err)) == 0 &&
        (rc = from ? last_session(db, from, &before, err) : 0) == 0) {
        step->first_new = before + 1;
        rc = from ? read_runs(db, step, err) : 0;
    }
    fc_db_close(db);
    if (rc == 0 && step->gap) { /* what these have changed is not known: all that there is */
        step->from = step->count = 0;
        step->first_new = 1;
    }
    if (rc)
        fc_journal_step_fini(step);
    return rc;
}

void fc_journal_step_fini(struct fc_journal_step *step)
{
    free(step->changed);
    step->changed = NULL;
    step->count = step->room = 0;
}

/* ---- rows of sessions */

const char fc_session_columns[] =
    "sensor,generation,id,revision,deleted,day,slot,timed,start_ns,end_ns,proto,kind,client,server,client_port,server_"
    "port,client_packets,"
    "server_packets,client_bytes,server_bytes,state,flags,vlan,mpls,tunnel,client_mac,server_mac,client_ttl,server_ttl,"
    "client_dscp,server_dscp,"
    "client_tcp_flags,server_tcp_flags,client_isn,server_isn,client_payload,server_payload,community_id";

#define COLUMN(column, ...) ", x." #column
#define TWO_COLUMNS(column, ...) ", x.client_" #column ", x.server_" #column
static const char select_sessions[] =
    "SELECT s.id, s.start_ns, s.duration_ns, s.client_packets, s.server_packets, s.client_bytes, s.server_bytes, "
    "s.state,"
    " s." FC_KEY_COLUMNS FC_FIELD_COLUMNS(COLUMN, TWO_COLUMNS,
                                          TWO_COLUMNS) " FROM session s LEFT JOIN session_fields x ON x.id = s.id "
                                                       "WHERE s.id BETWEEN ?1 AND ?2 ORDER BY s.id";
static const char select_moved[] =
    "SELECT start_ns, turned FROM moved WHERE session = ?1 AND run > ?2 ORDER BY run DESC";

enum {
    ID,
    START,
    DURATION,
    CLIENT_PACKETS,
    SERVER_PACKETS,
    CLIENT_BYTES,
    SERVER_BYTES,
    STATE,
    KEY,
    FLAGS = KEY + 6,
    FIELDS = KEY + 8
};

struct reading {
    struct fc_journal_rows *out;
    struct fc_db *db;
    sqlite3_stmt *sessions, *moved; /* moved: NULL: the index has no such table */
    struct fc_error *err;
};

/* Where a session stands in the engine. */
struct stand {
    bool timed;
    int64_t start_ns;
    const uint8_t *addr[2]; /* of client and server, 16 bytes as the engine has them */
    int32_t port[2];
};

static void address(const struct fc_flow_key *key, int end, uint8_t out[16])
{
    memset(out, 0, 16);
    if (key->addr_kind == FC_ADDR_IPV4) {
        out[10] = out[11] = 0xff;
        memcpy(out + 12, key->addr[end], 4);
    } else {
        memcpy(out, key->addr[end], key->addr_kind == FC_ADDR_IPV6 ? 16 : key->addr_kind == FC_ADDR_MAC ? 6 : 0);
    }
}

static bool same_stand(const struct stand *a, const struct stand *b)
{
    return fc_slot_of(a->timed, a->start_ns) == fc_slot_of(b->timed, b->start_ns) &&
           memcmp(a->addr[0], b->addr[0], 16) == 0 && memcmp(a->addr[1], b->addr[1], 16) == 0 &&
           a->port[0] == b->port[0] && a->port[1] == b->port[1];
}

static void put_field(struct fc_binary_rows *rows, sqlite3_stmt *stmt, int *column, unsigned bytes, bool deleted)
{
    int at = (*column)++;
    bool none = deleted || sqlite3_column_type(stmt, at) == SQLITE_NULL;

    fc_binary_put_number(rows, none, 1);
    if (!none)
        fc_binary_put_number(rows, (uint64_t)sqlite3_column_int64(stmt, at), bytes);
}

static void put_text(struct fc_binary_rows *rows, sqlite3_stmt *stmt, int *column, bool deleted)
{
    int at = (*column)++;
    const void *text = deleted ? NULL : sqlite3_column_blob(stmt, at);
    bool none = deleted || sqlite3_column_type(stmt, at) == SQLITE_NULL;

    fc_binary_put_number(rows, none, 1);
    if (!none)
        fc_binary_put_text(rows, text, (size_t)sqlite3_column_bytes(stmt, at));
}

static void put_mac(struct fc_binary_rows *rows, sqlite3_stmt *stmt, int *column, bool deleted)
{
    int at = (*column)++;
    bool none = deleted || sqlite3_column_type(stmt, at) != SQLITE_BLOB || sqlite3_column_bytes(stmt, at) != 6;

    fc_binary_put_number(rows, none, 1);
    if (!none)
        fc_binary_put_bytes(rows, sqlite3_column_blob(stmt, at), 6);
}

/* Fields in the order of the columns; the Community ID, which follows from the key, is of all sessions that have one.
 */
static void put_fields(struct fc_binary_rows *rows, sqlite3_stmt *stmt, const struct fc_flow_key *key, bool deleted)
{
    char community[FC_COMMUNITY_ID_SIZE];
    int column = FIELDS;

    for (int i = 0; i < 3; i++) /* vlan, mpls, tunnel */
        put_text(rows, stmt, &column, deleted);
    put_mac(rows, stmt, &column, deleted);
    put_mac(rows, stmt, &column, deleted);
    for (int i = 0; i < 4; i++) /* ttl, dscp */
        put_field(rows, stmt, &column, 1, deleted);
    for (int i = 0; i < 2; i++) /* tcp_flags */
        put_field(rows, stmt, &column, 2, deleted);
    for (int i = 0; i < 2; i++) /* isn */
        put_field(rows, stmt, &column, 4, deleted);
    for (int i = 0; i < 2; i++) /* payload */
        put_field(rows, stmt, &column, 8, deleted);
    bool has = !deleted && fc_community_id(key, community);
    fc_binary_put_number(rows, !has, 1);
    if (has)
        fc_binary_put_text(rows, community, strlen(community));
}

static void put_row(struct reading *r, const struct fc_flow_key *key, const struct stand *at, bool deleted)
{
    struct fc_journal_rows *out = r->out;
    struct fc_binary_rows *rows = out->rows;
    sqlite3_stmt *s = r->sessions;
    int64_t slot = fc_slot_of(at->timed, at->start_ns), duration_ns = deleted ? 0 : sqlite3_column_int64(s, DURATION);

    fc_binary_put_text(rows, out->sensor, strlen(out->sensor));
    fc_binary_put_bytes(rows, out->generation, 16);
    fc_binary_put_number(rows, (uint64_t)sqlite3_column_int64(s, ID), 8);
    fc_binary_put_number(rows, 2 * (uint64_t)out->until + !deleted, 8);
    fc_binary_put_number(rows, deleted, 1);
    fc_binary_put_number(rows, fc_day_of(at->timed, at->start_ns), 2);
    fc_binary_put_number(rows, (uint64_t)slot, 8);
    fc_binary_put_number(rows, at->timed, 1);
    fc_binary_put_number(rows, at->timed ? (uint64_t)at->start_ns : 0, 8);
    fc_binary_put_number(rows, at->timed ? (uint64_t)at->start_ns + (uint64_t)duration_ns : 0, 8);
    fc_binary_put_number(rows, key->proto, 4);
    fc_binary_put_number(rows, key->addr_kind, 1);
    fc_binary_put_bytes(rows, at->addr[0], 16);
    fc_binary_put_bytes(rows, at->addr[1], 16);
    fc_binary_put_number(rows, (uint64_t)at->port[0], 4);
    fc_binary_put_number(rows, (uint64_t)at->port[1], 4);
    for (int column = CLIENT_PACKETS; column <= SERVER_BYTES; column++)
        fc_binary_put_number(rows, deleted ? 0 : (uint64_t)sqlite3_column_int64(s, column), 8);
    fc_binary_put_number(rows, deleted ? 0 : (uint64_t)sqlite3_column_int64(s, STATE), 1);
    /* where positions lie is no concern of others */
    fc_binary_put_number(rows, deleted ? 0 : (uint64_t)sqlite3_column_int64(s, FLAGS) & ~(uint64_t)FC_ROW_MORE, 2);
    put_fields(rows, s, key, deleted);
    fc_slots_add(out->slots, slot);
}

/*
 * Where the session stood before the latest run that has moved it, before the one before that, and so on. A place that
 * is its present one is not told of.
 */
static int put_tombstones(struct reading *r, const struct fc_flow_key *key, const struct stand *now)
{
    struct stand at = *now;
    int got = SQLITE_DONE;

    if (!r->moved)
        return 0;
    sqlite3_reset(r->moved);
    sqlite3_bind_int64(r->moved, 1, sqlite3_column_int64(r->sessions, ID));
    sqlite3_bind_int64(r->moved, 2, r->out->from);
    while ((got = sqlite3_step(r->moved)) == SQLITE_ROW) {
        at.timed = sqlite3_column_type(r->moved, 0) != SQLITE_NULL;
        at.start_ns = sqlite3_column_int64(r->moved, 0);
        if (sqlite3_column_int(r->moved, 1)) {
            const uint8_t *addr = at.addr[0];
            int32_t port = at.port[0];
            at.addr[0] = at.addr[1];
            at.port[0] = at.port[1];
            at.addr[1] = addr;
            at.port[1] = port;
        }
        if (same_stand(&at, now))
            continue;
        put_row(r, key, &at, true);
        r->out->tombstones++;
    }
    return got == SQLITE_DONE ? 0 : cannot_read(r->db, r->err);
}

static int put_session(struct reading *r)
{
    sqlite3_stmt *s = r->sessions;
    struct fc_flow_key key;
    uint8_t addr[2][16];
    int client;

    if (fc_key_from_row(s, KEY, &key, &client))
        return fc_error_set(r->err, FC_E_DAMAGED, r->db->path, FC_NO_OFFSET, "session %lld is damaged",
                            (long long)sqlite3_column_int64(s, ID));
    struct stand at = {.timed = sqlite3_column_type(s, START) != SQLITE_NULL,
                       .start_ns = sqlite3_column_int64(s, START),
                       .addr = {addr[0], addr[1]}};
    for (int i = 0; i < 2; i++) {
        address(&key, client ^ i, addr[i]);
        at.port[i] = sqlite3_column_type(s, KEY + 3 + 2 * i) == SQLITE_NULL ? -1 : (int32_t)key.port[client ^ i];
    }
    r->out->sessions++;
    put_row(r, &key, &at, false);
    return put_tombstones(r, &key, &at);
}

static int put_sessions(struct reading *r, int64_t first, int64_t last)
{
    int rc = 0, got = SQLITE_DONE;

    sqlite3_reset(r->sessions);
    sqlite3_bind_int64(r->sessions, 1, first);
    sqlite3_bind_int64(r->sessions, 2, last);
    while (rc == 0 && (got = sqlite3_step(r->sessions)) == SQLITE_ROW)
        rc = put_session(r);
    if (rc == 0 && got != SQLITE_DONE)
        rc = cannot_read(r->db, r->err);
    return rc ? rc : r->out->rows->failed || r->out->slots->failed ? no_memory(r->db->path, r->err) : 0;
}

/* Opens the index, and sees in one transaction that it is still the same. */
static int begin_reading(struct reading *r)
{
    uint8_t generation[16];
    int64_t has_moved = 0;
    int rc;

    if ((rc = open_index(r->out->path, r->out->stop, &r->db, r->err)) || (rc = begin(r->db, r->err)) ||
        (rc = fc_db_generation(r->db, generation, r->err)) < 0)
        return rc;
    if (rc == 0 || memcmp(generation, r->out->generation, sizeof generation) != 0)
        return fc_error_set(r->err, FC_E_CHANGED, r->out->path, FC_NO_OFFSET,
                            "another index has taken its place meanwhile");
    if ((rc = read_number(r->db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'moved'", 0,
                          &has_moved, r->err)))
        return rc;
    if (sqlite3_prepare_v2(r->db->sql, select_sessions, -1, &r->sessions, NULL) != SQLITE_OK ||
        (has_moved && sqlite3_prepare_v2(r->db->sql, select_moved, -1, &r->moved, NULL) != SQLITE_OK))
        return cannot_read(r->db, r->err);
    return 0;
}

static int end_reading(struct reading *r, int rc)
{
    sqlite3_finalize(r->sessions);
    sqlite3_finalize(r->moved);
    fc_db_close(r->db);
    return rc;
}

int fc_journal_range(struct fc_journal_rows *out, int64_t first, int64_t last, struct fc_error *err)
{
    struct reading r = {.out = out, .err = err};
    int rc = begin_reading(&r);

    return end_reading(&r, rc ? rc : put_sessions(&r, first, last));
}

int fc_journal_list(struct fc_journal_rows *out, const int64_t *ids, size_t count, struct fc_error *err)
{
    struct reading r = {.out = out, .err = err};
    int rc = begin_reading(&r);

    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = put_sessions(&r, ids[i], ids[i]);
    return end_reading(&r, rc);
}
