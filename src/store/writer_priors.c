/* SPDX-License-Identifier: MIT */
/* What lets a later capture continue the sessions and datagrams of an index. */
#include "base/error.h"
#include "store/writer_internal.h"

#include <stdlib.h>
#include <string.h>

#define SELECT_SESSION                                                                                                 \
    "SELECT id, " FC_KEY_COLUMNS                                                                                       \
    ", start_ns, duration_ns, client_packets, server_packets, client_bytes, server_bytes, state FROM session"
enum { COL_FLAGS = 7, COL_START = 9, COL_PACKETS = 11, COL_BYTES = 13, COL_STATE = 15 };

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
        [FC_STATE_RESET] = FC_TCP_SYN,
        [FC_STATE_MIDSTREAM] = FC_TCP_ACK,
    };
    int64_t state = sqlite3_column_int64(stmt, COL_STATE);

    memset(s, 0, sizeof *s);
    if (proto == 6 && state >= 0 && state <= FC_STATE_MIDSTREAM)
        s->tcp_flags[0] = s->tcp_flags[1] = flags[state];
    if (state == FC_STATE_RESET && proto == 6) {
        int64_t bits = sqlite3_column_int64(stmt, COL_FLAGS);
        s->tcp_flags[client] |= bits & FC_ROW_RST_CLIENT || !(bits & FC_ROW_RST_SERVER) ? FC_TCP_RST : 0;
        s->tcp_flags[!client] |= bits & FC_ROW_RST_SERVER ? FC_TCP_RST : 0;
        if (bits & FC_ROW_REJECTED)
            s->tcp_flags[!client] = FC_TCP_RST;
    }
    s->first_dir = (uint8_t)client;
    complete(stmt, client, s);
}

int fc_writer_open_row(struct fc_writer *w, const struct fc_open_entry *e, struct fc_flow_key *key,
                       struct fc_session_sum *session, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_SESSION, SELECT_SESSION " WHERE id = ?");
    int rc, client;

    fc_stmt_int(stmt, 1, e->id);
    if ((rc = fc_stmt_step(stmt, err)) < 0)
        return rc;
    if (rc == 0)
        return 0;
    if (fc_key_from_row(stmt->raw, 1, key, &client))
        return fc_writer_damaged(w, e->id, err);
    fc_open_entry_session(e, session);
    complete(stmt->raw, fc_session_client(session), session);
    fc_stmt_reset(stmt);
    return 1;
}

/* What a reading of priors carries along. */
struct priors {
    struct fc_writer *w;
    const struct fc_prior_options *options;
    uint8_t *seen, *was_open; /* bit (id - 1): a newer batch has an entry of it; it was given as open */
    int64_t max_id;
    struct fc_error *err;
};

static bool bit(const uint8_t *bits, int64_t id)
{
    return bits[(id - 1) / 8] >> (id - 1) % 8 & 1;
}

static void set_bit(uint8_t *bits, int64_t id)
{
    bits[(id - 1) / 8] |= (uint8_t)(1 << (id - 1) % 8);
}

/* A session that was open, unless it has expired since: then it is as any other that is closed. */
static int give_open_session(struct priors *p, const struct fc_open_entry *e)
{
    const struct fc_prior_options *o = p->options;
    struct fc_session_sum session;
    struct fc_flow_key key;
    int rc;

    if (e->id < 1 || (e->id > p->max_id && e->id > p->w->last_session))
        return fc_writer_damaged(p->w, e->id, p->err);
    if (e->id > p->max_id)
        return 0; /* it is forgotten */
    if (bit(p->seen, e->id))
        return 0;
    set_bit(p->seen, e->id);
    if (fc_open_ended(e) || fc_open_expired(e->until, o->clock_ns))
        return 0;
    if ((rc = fc_writer_open_row(p->w, e, &key, &session, p->err)) <= 0)
        return rc;
    if (fc_session_expiry_ns(o->rules, key.proto, &session) < o->clock_ns)
        return 0;
    set_bit(p->was_open, e->id);
    return o->prior(o->ctx, &key, e->id, &session);
}

/* The newest batches first. */
static int give_open(struct priors *p)
{
    struct fc_stmt *rows =
        fc_writer_stmt(p->w, FC_STMT_OPEN_ALL, "SELECT id, state FROM open_session ORDER BY id DESC");
    struct fc_open_reader reader;
    struct fc_open_entry e;
    int rc = 0;

    while (rc == 0 && (rc = fc_stmt_step(rows, p->err)) == 1) {
        int64_t id = sqlite3_column_int64(rows->raw, 0);
        rc =
            fc_open_reader_init(&reader, sqlite3_column_blob(rows->raw, 1), (size_t)sqlite3_column_bytes(rows->raw, 1));
        while (rc == 0 && (rc = fc_open_reader_next(&reader, &e)) == 1)
            rc = give_open_session(p, &e);
        if (rc == FC_E_DAMAGED)
            rc = fc_writer_damaged_batch(p->w, id / FC_OPEN_BATCH, p->err);
    }
    fc_stmt_reset(rows);
    return rc;
}

/* The others that end at or after from_ns. */
static int give_closed(struct priors *p)
{
    const struct fc_prior_options *o = p->options;
    struct fc_stmt *stmt =
        fc_writer_stmt(p->w, FC_STMT_SESSIONS_UNTIL,
                       SELECT_SESSION " WHERE id IN (SELECT s.id FROM session_span p CROSS JOIN session s"
                                      " WHERE p.end_ns >= ?1 AND p.first_id > 0"
                                      " AND s.id BETWEEN p.first_id AND p.first_id + 4095"
                                      " AND s.start_ns + s.duration_ns >= ?1)");
    struct fc_session_sum session;
    struct fc_flow_key key;
    int rc = 0, client;

    fc_stmt_int(stmt, 1, o->from_ns);
    while (rc == 0 && (rc = fc_stmt_step(stmt, p->err)) == 1) {
        int64_t id = sqlite3_column_int64(stmt->raw, 0);
        rc = 0;
        if (id <= p->max_id && bit(p->was_open, id))
            continue;
        if (fc_key_from_row(stmt->raw, 1, &key, &client))
            return fc_writer_damaged(p->w, id, p->err);
        from_row(stmt->raw, client, key.proto, &session);
        if (fc_session_expiry_ns(o->rules, key.proto, &session) < o->begin_ns)
            continue;
        rc = o->prior(o->ctx, &key, id, &session);
    }
    fc_stmt_reset(stmt);
    return rc;
}

/* The highest that an entry may have: its session may be forgotten. */
static int max_id(struct fc_writer *w, int64_t *id, struct fc_error *err)
{
    int rc = fc_conn_number(&w->conn, FC_SELECT_LAST_SESSION, id, err);

    if (*id < 0 || *id > UINT32_MAX * INT64_C(8))
        *id = 0; /* more cannot be true */
    return rc < 0 ? rc : 0;
}

int fc_writer_priors(struct fc_writer *w, const struct fc_prior_options *options, struct fc_error *err)
{
    struct priors p = {.w = w, .options = options, .err = err};
    int rc;

    if ((rc = fc_writer_sql(w, err)) || (rc = max_id(w, &p.max_id, err)))
        return rc;
    p.seen = calloc((size_t)p.max_id / 8 + 1, 1);
    p.was_open = calloc((size_t)p.max_id / 8 + 1, 1);
    rc = p.seen && p.was_open ? give_open(&p) : fc_writer_no_memory(w, err);
    if (rc == 0)
        rc = give_closed(&p);
    free(p.seen);
    free(p.was_open);
    return rc;
}
