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
enum { OPEN_BYTES = 4 /* of an open session that takes few: UDP has 2, TCP up to 15 */ };

int fc_writer_flush_open(struct fc_writer *w, struct fc_error *err)
{
    struct fc_open_pack *pack = &w->open;
    sqlite3_stmt *stmt;
    int rc;

    if (!pack->len)
        return 0;
    if (w->bulk) {
        rc = fc_bulk_open(w->bulk, pack->first_id, pack->data, pack->len, err);
    } else {
        stmt = fc_writer_stmt(w, FC_STMT_OPEN, "INSERT OR REPLACE INTO open_session VALUES (?, ?)");
        if (!stmt)
            return fc_writer_error(w, err, "cannot write the index");
        sqlite3_bind_int64(stmt, 1, pack->first_id);
        sqlite3_bind_blob(stmt, 2, pack->data, (int)pack->len, SQLITE_STATIC);
        rc = fc_writer_step(w, stmt, err);
    }
    pack->len = 0;
    return rc;
}

int fc_writer_open_session(struct fc_writer *w, int64_t id, const struct fc_run *run, struct fc_error *err)
{
    int rc = 0;

    if (!fc_open_pack_add(&w->open, id, run)) {
        rc = fc_writer_flush_open(w, err);
        fc_open_pack_add(&w->open, id, run);
    }
    return rc;
}

int fc_writer_clear_open(struct fc_writer *w, struct fc_error *err)
{
    w->open.len = 0;
    return fc_writer_exec(w, "DELETE FROM open_session", err);
}

/* Times, packets and bytes, which every row has. */
static void complete_run(sqlite3_stmt *stmt, int client, struct fc_run *run)
{
    int64_t after_ns = run->first_ns;

    run->first_ns = run->min_ns = run->max_ns = FC_TIME_NONE;
    if (sqlite3_column_type(stmt, COL_START) != SQLITE_NULL) {
        run->min_ns = sqlite3_column_int64(stmt, COL_START);
        if (__builtin_add_overflow(run->min_ns, sqlite3_column_int64(stmt, COL_START + 1), &run->max_ns))
            run->max_ns = INT64_MAX;
        run->first_ns = (int64_t)((uint64_t)run->min_ns + (uint64_t)after_ns);
    }
    for (int i = 0; i < 2; i++) {
        run->packets[client ^ i] = (uint64_t)sqlite3_column_int64(stmt, COL_PACKETS + i);
        run->bytes[client ^ i] = (uint64_t)sqlite3_column_int64(stmt, COL_BYTES + i);
    }
}

/* What the row alone tells, for a session that was not open any more. */
static void run_from_row(sqlite3_stmt *stmt, int client, uint32_t proto, struct fc_run *run)
{
    static const uint8_t flags[] = {
        [FC_STATE_NEW] = FC_TCP_SYN,
        [FC_STATE_ESTABLISHED] = FC_TCP_SYN,
        [FC_STATE_CLOSED] = FC_TCP_SYN | FC_TCP_FIN,
        [FC_STATE_RESET] = FC_TCP_SYN | FC_TCP_RST,
        [FC_STATE_MIDSTREAM] = 0,
    };
    int64_t state = sqlite3_column_int64(stmt, COL_STATE);

    fc_run_init(run);
    run->first_ns = 0;
    if (proto == 6 && state >= 0 && state <= FC_STATE_MIDSTREAM)
        run->tcp_flags[0] = run->tcp_flags[1] = flags[state];
    run->first_dir = (uint8_t)client;
    complete_run(stmt, client, run);
}

/* What a reading of priors carries along. */
struct priors {
    struct fc_writer *w;
    int (*prior)(void *ctx, const struct fc_flow_key *key, int64_t id, const struct fc_run *run);
    void *ctx;
    uint8_t *was_open; /* bit (id - 1): given already; NULL when nobody asks */
    int64_t max_id;
    struct fc_error *err;
};

static int damaged(struct priors *p, int64_t id)
{
    return fc_error_set(p->err, FC_E_DB, p->w->path, FC_NO_OFFSET, "session %lld is damaged", (long long)id);
}

/* Gives the session of a row; run: what is known of an open one, or NULL. */
static int give(struct priors *p, sqlite3_stmt *stmt, struct fc_run *run)
{
    int64_t id = sqlite3_column_int64(stmt, 0);
    struct fc_flow_key key;
    struct fc_run local;
    int client;

    if (fc_key_from_row(stmt, 1, &key, &client))
        return damaged(p, id);
    if (run)
        complete_run(stmt, fc_run_client(run), run);
    else
        run_from_row(stmt, client, key.proto, run = &local);
    return p->prior(p->ctx, &key, id, run);
}

/* A walk along the sessions by ID. */
struct walk {
    sqlite3_stmt *stmt; /* from an ID on */
    bool row;           /* there is one at hand, */
    int64_t id;         /* of this ID */
};

enum { NEAR = 16 /* rows: passing over so many takes less time than looking one up */ };

/* To the session of an ID; false when there is none. */
static bool walk_to(struct walk *w, int64_t id)
{
    bool near = w->row && id >= w->id && (uint64_t)id - (uint64_t)w->id <= NEAR;

    if (!near) {
        sqlite3_reset(w->stmt);
        sqlite3_bind_int64(w->stmt, 1, id);
    }
    for (; !near || (w->row && w->id < id); near = true)
        if ((w->row = sqlite3_step(w->stmt) == SQLITE_ROW))
            w->id = sqlite3_column_int64(w->stmt, 0);
    return w->row && w->id == id;
}

/* The sessions of one row of open_session. */
static int give_open_row(struct priors *p, sqlite3_stmt *open, struct walk *sessions)
{
    struct fc_open_reader reader;
    int64_t id = sqlite3_column_int64(open, 0);
    struct fc_run run;
    int rc = fc_open_reader_init(&reader, id, sqlite3_column_blob(open, 1), (size_t)sqlite3_column_bytes(open, 1));

    while (rc == 0 && (rc = fc_open_reader_next(&reader, &id, &run)) == 1) {
        rc = walk_to(sessions, id) ? give(p, sessions->stmt, &run) : damaged(p, id);
        if (p->was_open && id >= 1 && id <= p->max_id)
            p->was_open[(id - 1) / 8] |= (uint8_t)(1 << (id - 1) % 8);
    }
    return rc == FC_E_DAMAGED ? damaged(p, id) : rc;
}

static int give_open(struct priors *p)
{
    struct walk sessions = {0};
    sqlite3_stmt *open = NULL;
    int rc = 0, step = SQLITE_ERROR;

    if (sqlite3_prepare_v2(p->w->sql, "SELECT id, state FROM open_session ORDER BY id", -1, &open, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(p->w->sql, SELECT_SESSION " WHERE id >= ? ORDER BY id", -1, &sessions.stmt, NULL) ==
            SQLITE_OK)
        while (rc == 0 && (step = sqlite3_step(open)) == SQLITE_ROW)
            rc = give_open_row(p, open, &sessions);
    if (rc == 0 && step != SQLITE_DONE)
        rc = fc_writer_error(p->w, p->err, "cannot read the index");
    sqlite3_finalize(open);
    sqlite3_finalize(sessions.stmt);
    return rc;
}

/* The others that end at or after from_ns. */
static int give_closed(struct priors *p, int64_t from_ns)
{
    sqlite3_stmt *stmt = NULL;
    int rc = 0, step;

    if (sqlite3_prepare_v2(p->w->sql, SELECT_SESSION " WHERE start_ns IS NULL OR start_ns + duration_ns >= ?", -1,
                           &stmt, NULL) != SQLITE_OK)
        return fc_writer_error(p->w, p->err, "cannot read the index");
    sqlite3_bind_int64(stmt, 1, from_ns);
    while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(stmt, 0);
        if (id < 1 || id > p->max_id || !(p->was_open[(id - 1) / 8] >> (id - 1) % 8 & 1))
            rc = give(p, stmt, NULL);
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = fc_writer_error(p->w, p->err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc;
}

static int64_t max_id(sqlite3 *sql)
{
    int64_t id = fc_writer_number(sql, "SELECT max(id) FROM session");

    return id < 0 || id > UINT32_MAX * INT64_C(8) ? 0 : id; /* IDs hardly have gaps: more cannot be true */
}

int fc_writer_prior_count(struct fc_writer *w, bool all, uint64_t *count, struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = fc_writer_sql(w, err);

    *count = 0;
    if (rc)
        return rc;
    if (all) {
        *count = (uint64_t)max_id(w->sql);
        return 0;
    }
    if (sqlite3_prepare_v2(w->sql, "SELECT total(length(state)) FROM open_session", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        *count = (uint64_t)sqlite3_column_int64(stmt, 0) / OPEN_BYTES;
    else
        rc = fc_writer_error(w, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc;
}

int fc_writer_priors(struct fc_writer *w, bool all, int64_t from_ns,
                     int (*prior)(void *ctx, const struct fc_flow_key *key, int64_t id, const struct fc_run *run),
                     void *ctx, struct fc_error *err)
{
    struct priors p = {.w = w, .prior = prior, .ctx = ctx, .err = err};
    int rc = fc_writer_sql(w, err);

    if (rc)
        return rc;
    if (all) {
        p.max_id = max_id(w->sql);
        if (!(p.was_open = calloc((size_t)p.max_id / 8 + 1, 1)))
            return fc_writer_no_memory(w, err);
    }
    rc = give_open(&p);
    if (rc == 0 && all)
        rc = give_closed(&p, from_ns);
    free(p.was_open);
    return rc;
}

int fc_writer_prior(struct fc_writer *w, int64_t id,
                    int (*prior)(void *ctx, const struct fc_flow_key *key, int64_t id, const struct fc_run *run),
                    void *ctx, struct fc_error *err)
{
    struct priors p = {.w = w, .prior = prior, .ctx = ctx, .err = err};
    sqlite3_stmt *stmt;
    int rc = fc_writer_sql(w, err), step;

    if (rc)
        return rc;
    if (!(stmt = fc_writer_stmt(w, FC_STMT_PRIOR, SELECT_SESSION " WHERE id = ?")))
        return fc_writer_error(w, err, "cannot read the index");
    sqlite3_bind_int64(stmt, 1, id);
    step = sqlite3_step(stmt);
    if (step == SQLITE_ROW)
        rc = give(&p, stmt, NULL);
    else if (step != SQLITE_DONE)
        rc = fc_writer_error(w, err, "cannot read the index");
    sqlite3_reset(stmt);
    return rc;
}

/* open_fragment.state of a first fragment, guarded by its size. */
struct saved_fragment {
    uint32_t kind; /* FC_SAVED_FIRST */
    uint32_t file;
    struct fc_flow_key datagram, flow;
    uint64_t off;
    int64_t ts_ns;
    uint32_t dir; /* bit 1: an alias */
    uint32_t zero;
};

int fc_writer_fragments(struct fc_writer *w, int (*first)(void *, const struct fc_fragment *), void *ctx,
                        struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = fc_writer_sql(w, err), step;

    if (rc)
        return rc;
    if (sqlite3_prepare_v2(w->sql, "SELECT state FROM open_fragment ORDER BY seq", -1, &stmt, NULL) != SQLITE_OK)
        return fc_writer_error(w, err, "cannot read the index");
    while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct saved_fragment s;
        if (sqlite3_column_bytes(stmt, 0) != (int)sizeof s)
            continue;
        memcpy(&s, sqlite3_column_blob(stmt, 0), sizeof s);
        if (s.kind != FC_SAVED_FIRST)
            continue;
        struct fc_fragment f = {.datagram = s.datagram,
                                .flow = s.flow,
                                .off = s.off,
                                .ts_ns = s.ts_ns,
                                .file = s.file,
                                .dir = s.dir & 1,
                                .alias = s.dir >> 1 & 1};
        rc = first(ctx, &f);
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = fc_writer_error(w, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc;
}

int fc_writer_set_fragments(struct fc_writer *w, const struct fc_fragment *first, size_t count, int64_t from_ns,
                            struct fc_error *err)
{
    sqlite3_stmt *stmt;
    int rc = fc_writer_exec(w, "DELETE FROM open_fragment", err);

    if (rc)
        return rc;
    if (!(stmt = fc_writer_stmt(w, FC_STMT_FRAGMENT, "INSERT INTO open_fragment (state) VALUES (?)")))
        return fc_writer_error(w, err, "cannot write the index");
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct saved_fragment s;
        if (first[i].ts_ns != FC_TIME_NONE && first[i].ts_ns < from_ns)
            continue;
        memset(&s, 0, sizeof s);
        s.kind = FC_SAVED_FIRST;
        s.datagram = first[i].datagram;
        s.flow = first[i].flow;
        s.off = first[i].off;
        s.ts_ns = first[i].ts_ns;
        s.file = first[i].file;
        s.dir = first[i].dir | (uint32_t)first[i].alias << 1;
        sqlite3_bind_blob(stmt, 1, &s, sizeof s, SQLITE_TRANSIENT);
        rc = fc_writer_step(w, stmt, err);
    }
    return rc;
}
