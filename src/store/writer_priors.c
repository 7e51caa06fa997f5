/* SPDX-License-Identifier: MIT */
/* What lets a later capture continue the sessions and datagrams of an index. */
#include "base/error.h"
#include "store/writer_internal.h"

#include <stdlib.h>
#include <string.h>

#define SELECT_SESSION                                                                                                 \
    "SELECT id, " FC_KEY_COLUMNS                                                                                       \
    ", start_ns, duration_ns, client_packets, server_packets, client_bytes, server_bytes, state FROM session"
enum { COL_START = 9, COL_PACKETS = 11, COL_BYTES = 13, COL_STATE = 15 };

int fc_writer_flush_open(struct fc_writer *w, struct fc_error *err)
{
    struct fc_open_pack *pack = &w->open;
    struct fc_stmt *stmt;
    int rc;

    if (!pack->len)
        return 0;
    if (w->bulk) {
        rc = fc_conn_break(&w->conn, fc_bulk_open(w->bulk, pack->first_id, pack->data, pack->len, err), err);
    } else {
        stmt = fc_writer_stmt(w, FC_STMT_OPEN, "INSERT OR REPLACE INTO open_session VALUES (?, ?)");
        fc_stmt_int(stmt, 1, pack->first_id);
        fc_stmt_blob(stmt, 2, pack->data, pack->len);
        rc = fc_stmt_run(stmt, err);
    }
    pack->len = 0;
    return rc;
}

int fc_writer_open_session(struct fc_writer *w, int64_t id, const struct fc_session_sum *session, struct fc_error *err)
{
    int rc = 0;

    if (!fc_open_pack_add(&w->open, id, session)) {
        rc = fc_writer_flush_open(w, err);
        fc_open_pack_add(&w->open, id, session);
    }
    return rc;
}

int fc_writer_clear_open(struct fc_writer *w, struct fc_error *err)
{
    w->open.len = 0;
    return fc_writer_exec(w, "DELETE FROM open_session", err);
}

/* Times, packets and bytes, which every row has. first_ns and last_ns: distances, see fc_open_reader_next(). */
static void complete(sqlite3_stmt *stmt, int client, struct fc_session_sum *s)
{
    int64_t first = s->first_ns, last = s->last_ns;

    s->min_ns = s->max_ns = FC_TIME_NONE;
    if (sqlite3_column_type(stmt, COL_START) != SQLITE_NULL) {
        s->min_ns = sqlite3_column_int64(stmt, COL_START);
        if (__builtin_add_overflow(s->min_ns, sqlite3_column_int64(stmt, COL_START + 1), &s->max_ns))
            s->max_ns = INT64_MAX;
    }
    /* records without a time are counted by those in front of them */
    s->first_ns = (int64_t)((uint64_t)s->min_ns + (uint64_t)first);
    s->last_ns = (int64_t)((uint64_t)s->max_ns + (uint64_t)last);
    for (int i = 0; i < 2; i++) {
        s->packets[client ^ i] = (uint64_t)sqlite3_column_int64(stmt, COL_PACKETS + i);
        s->bytes[client ^ i] = (uint64_t)sqlite3_column_int64(stmt, COL_BYTES + i);
    }
}

/* What the row alone tells, for a session that was not open any more. */
static void from_row(sqlite3_stmt *stmt, int client, uint32_t proto, struct fc_session_sum *s)
{
    static const uint8_t flags[] = {
        [FC_STATE_NEW] = FC_TCP_SYN,
        [FC_STATE_ESTABLISHED] = FC_TCP_SYN | FC_TCP_ACK,
        [FC_STATE_CLOSED] = FC_TCP_SYN | FC_TCP_FIN,
        [FC_STATE_RESET] = FC_TCP_SYN | FC_TCP_RST,
        [FC_STATE_MIDSTREAM] = FC_TCP_ACK,
    };
    int64_t state = sqlite3_column_int64(stmt, COL_STATE);

    memset(s, 0, sizeof *s);
    if (proto == 6 && state >= 0 && state <= FC_STATE_MIDSTREAM)
        s->tcp_flags[0] = s->tcp_flags[1] = flags[state];
    s->first_dir = (uint8_t)client;
    complete(stmt, client, s);
}

/* What a reading of priors carries along. */
struct priors {
    struct fc_writer *w;
    int (*prior)(void *ctx, const struct fc_flow_key *key, int64_t id, const struct fc_session_sum *session);
    void *ctx;
    uint8_t *was_open; /* bit (id - 1): given already; NULL when nobody asks */
    int64_t max_id;
    struct fc_error *err;
};

/* Gives the session of a row; s: what is known of an open one, or NULL. */
static int give(struct priors *p, sqlite3_stmt *stmt, struct fc_session_sum *s)
{
    int64_t id = sqlite3_column_int64(stmt, 0);
    struct fc_flow_key key;
    struct fc_session_sum local;
    int client;

    if (fc_key_from_row(stmt, 1, &key, &client))
        return fc_writer_damaged(p->w, id, p->err);
    if (s)
        complete(stmt, fc_session_client(s), s);
    else
        from_row(stmt, client, key.proto, s = &local);
    return p->prior(p->ctx, &key, id, s);
}

/* A walk along the sessions by ID. */
struct walk {
    struct fc_stmt *stmt; /* from an ID on */
    bool row;             /* there is one at hand, */
    int64_t id;           /* of this ID */
};

enum { NEAR = 16 /* rows: passing over so many takes less time than looking one up */ };

/* To the session of an ID: 1, 0 when there is none, or negative. */
static int walk_to(struct walk *w, int64_t id, struct fc_error *err)
{
    int step;
    bool near = w->row && id >= w->id && (uint64_t)id - (uint64_t)w->id <= NEAR;

    if (!near) {
        fc_stmt_reset(w->stmt);
        fc_stmt_int(w->stmt, 1, id);
    }
    for (; !near || (w->row && w->id < id); near = true) {
        if ((step = fc_stmt_step(w->stmt, err)) < 0)
            return step;
        if ((w->row = step == 1))
            w->id = sqlite3_column_int64(w->stmt->raw, 0);
    }
    return w->row && w->id == id;
}

/* The sessions of one row of open_session. */
static int give_open_row(struct priors *p, sqlite3_stmt *open, struct walk *sessions)
{
    struct fc_open_reader reader;
    int64_t id = sqlite3_column_int64(open, 0);
    struct fc_session_sum session;
    int rc = fc_open_reader_init(&reader, id, sqlite3_column_blob(open, 1), (size_t)sqlite3_column_bytes(open, 1));

    while (rc == 0 && (rc = fc_open_reader_next(&reader, &id, &session)) == 1) {
        rc = walk_to(sessions, id, p->err);
        if (rc >= 0)
            rc = rc ? give(p, sessions->stmt->raw, &session) : fc_writer_damaged(p->w, id, p->err);
        if (p->was_open && id >= 1 && id <= p->max_id)
            p->was_open[(id - 1) / 8] |= (uint8_t)(1 << (id - 1) % 8);
    }
    return rc == FC_E_DAMAGED ? fc_writer_damaged(p->w, id, p->err) : rc;
}

static int give_open(struct priors *p)
{
    struct fc_stmt *open = fc_writer_stmt(p->w, FC_STMT_OPEN_ROWS, "SELECT id, state FROM open_session ORDER BY id");
    struct walk sessions = {
        .stmt = fc_writer_stmt(p->w, FC_STMT_SESSIONS_FROM, SELECT_SESSION " WHERE id >= ? ORDER BY id"),
    };
    int rc = 0;

    while (rc == 0 && (rc = fc_stmt_step(open, p->err)) == 1)
        rc = give_open_row(p, open->raw, &sessions);
    fc_stmt_reset(open);
    fc_stmt_reset(sessions.stmt);
    return rc;
}

/* The others that end at or after from_ns. */
static int give_closed(struct priors *p, int64_t from_ns)
{
    struct fc_stmt *stmt =
        fc_writer_stmt(p->w, FC_STMT_SESSIONS_UNTIL,
                       SELECT_SESSION " WHERE id > 0 AND (start_ns IS NULL OR start_ns + duration_ns >= ?)");
    int rc = 0;

    fc_stmt_int(stmt, 1, from_ns);
    while (rc == 0 && (rc = fc_stmt_step(stmt, p->err)) == 1) {
        int64_t id = sqlite3_column_int64(stmt->raw, 0);
        bool given = id >= 1 && id <= p->max_id && (p->was_open[(id - 1) / 8] >> (id - 1) % 8 & 1);
        rc = given ? 0 : give(p, stmt->raw, NULL);
    }
    fc_stmt_reset(stmt);
    return rc;
}

static int max_id(struct fc_writer *w, int64_t *id, struct fc_error *err)
{
    int rc = fc_conn_number(&w->conn, "SELECT max(id) FROM session", id, err);

    if (*id < 0 || *id > UINT32_MAX * INT64_C(8))
        *id = 0; /* IDs hardly have gaps: more cannot be true */
    return rc < 0 ? rc : 0;
}

int fc_writer_priors(struct fc_writer *w, bool all, int64_t from_ns,
                     int (*prior)(void *ctx, const struct fc_flow_key *key, int64_t id,
                                  const struct fc_session_sum *session),
                     void *ctx, struct fc_error *err)
{
    struct priors p = {.w = w, .prior = prior, .ctx = ctx, .err = err};
    int rc = fc_writer_sql(w, err);

    if (rc)
        return rc;
    if (all) {
        if ((rc = max_id(w, &p.max_id, err)))
            return rc;
        if (!(p.was_open = calloc((size_t)p.max_id / 8 + 1, 1)))
            return fc_writer_no_memory(w, err);
    }
    rc = give_open(&p);
    if (rc == 0 && all)
        rc = give_closed(&p, from_ns);
    free(p.was_open);
    return rc;
}
