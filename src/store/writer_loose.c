/* SPDX-License-Identifier: MIT */
/* Fragments without a first one, kept for captures that are added later. */
#include "base/error.h"
#include "base/varint.h"
#include "store/writer_internal.h"

#include <stdlib.h>
#include <string.h>

/*
 * open_fragment.state of a loose fragment: this, a struct fc_extra when has_extra; when has_rest, a struct fc_run, a
 * struct saved_place, and again a struct fc_extra when has_extra.
 */
struct saved_loose {
    uint32_t kind; /* FC_SAVED_LOOSE */
    uint32_t file;
    struct fc_flow_key datagram, flow;
    int64_t session, ts_ns;
    uint64_t off, bytes;
    uint8_t dir, hops, has_extra, has_rest;
    uint8_t zero[4];
};
struct saved_place {
    uint64_t first_off, last_off;
    uint32_t first_file, last_file;
};

/* Bytes of these structs without the padding behind them, which may be anything. */
enum {
    EXTRA_BYTES = offsetof(struct fc_extra, tcp_flags) + sizeof(uint8_t[2]),
    RUN_BYTES = offsetof(struct fc_run, fragile) + 1
};
_Static_assert(sizeof(struct fc_extra) - EXTRA_BYTES < 8 && sizeof(struct fc_run) - RUN_BYTES < 8,
               "the last members are at the end");

static bool good_extra(const struct fc_extra *x)
{
    return x->vlan_count <= FC_VLAN_MAX && x->mpls_count <= FC_MPLS_MAX && x->tunnel_count <= FC_TUNNEL_MAX;
}

static bool good_run(const struct fc_run *run)
{
    return run->first_dir < 2 && run->first_synack < 2 && run->syn_dir <= FC_NO_DIR && run->base_set < 4 &&
           run->base_synack < 4 && run->backward < 2 && run->fragile < 2 &&
           run->packets[0] <= UINT32_MAX * UINT64_C(8) && run->packets[1] <= UINT32_MAX * UINT64_C(8);
}

static struct fc_node *node_of(const struct saved_loose *s, bool want_extra)
{
    uint8_t pos[3 * FC_VARINT_MAX];
    uint8_t *p = fc_varint_put(fc_varint_put(fc_varint_put(pos, s->file), 1), s->off);
    struct fc_node *node = fc_node_new(want_extra, (size_t)(p - pos));

    if (!node)
        return NULL;
    memcpy(node->pos, pos, node->pos_len);
    node->first_file = node->last_file = s->file;
    node->first_off = node->last_off = s->off;
    node->run.first_ns = node->run.min_ns = node->run.max_ns = s->ts_ns;
    node->run.first_dir = s->dir;
    node->run.packets[s->dir] = 1;
    node->run.bytes[s->dir] = s->bytes;
    return node;
}

/* Reads what `size` bytes hold; the byte behind, NULL when there is less. */
static const uint8_t *take(const uint8_t *p, const uint8_t *end, void *out, size_t size)
{
    if (!p || (size_t)(end - p) < size)
        return NULL;
    memcpy(out, p, size);
    return p + size;
}

static const uint8_t *take_extra(const uint8_t *p, const uint8_t *end, const struct saved_loose *s,
                                 struct fc_node *node)
{
    struct fc_extra extra = {0};

    if (!s->has_extra)
        return p;
    p = take(p, end, &extra, EXTRA_BYTES);
    if (node->extra && good_extra(&extra))
        *node->extra = extra;
    return good_extra(&extra) ? p : NULL;
}

static const uint8_t *take_rest(const uint8_t *p, const uint8_t *end, const struct saved_loose *s, struct fc_node *rest)
{
    struct saved_place place = {0};

    if (!s->has_rest)
        return p;
    p = take(take(p, end, &rest->run, RUN_BYTES), end, &place, sizeof place);
    rest->first_file = place.first_file;
    rest->last_file = place.last_file;
    rest->first_off = place.first_off;
    rest->last_off = place.last_off;
    return p && good_run(&rest->run) ? take_extra(p, end, s, rest) : NULL;
}

/* What is no loose fragment, or damaged, is passed over: *fragment has no node then. FC_E_NOMEM. */
static int read_state(const uint8_t *state, size_t len, bool want_extra, struct fc_fragment *fragment,
                      struct fc_node **rest)
{
    const uint8_t *p = state, *end = state + len;
    struct saved_loose s;

    fragment->node = *rest = NULL;
    if (!(p = len ? take(p, end, &s, sizeof s) : NULL) || s.kind != FC_SAVED_LOOSE || s.dir > 1 || s.has_extra > 1 ||
        s.has_rest > 1 || !s.file || s.session < 1)
        return 0;
    struct fc_node *node = node_of(&s, want_extra);
    struct fc_node *r = s.has_rest ? fc_node_new(want_extra, 0) : NULL;
    bool memory = node && (r || !s.has_rest);
    if (memory && take_rest(take_extra(p, end, &s, node), end, &s, r) == end) {
        *fragment = (struct fc_fragment){.datagram = s.datagram,
                                         .flow = s.flow,
                                         .off = s.off,
                                         .ts_ns = s.ts_ns,
                                         .node = node,
                                         .held = s.session,
                                         .file = s.file,
                                         .dir = s.dir,
                                         .hops = s.hops};
        *rest = r;
        return 0;
    }
    free(node);
    free(r);
    return memory ? 0 : FC_E_NOMEM;
}

int fc_writer_loose(struct fc_writer *w, bool want_extra,
                    int (*later)(void *, const struct fc_fragment *, struct fc_node *), void *ctx, struct fc_error *err)
{
    struct fc_fragment fragment;
    sqlite3_stmt *stmt = NULL;
    struct fc_node *rest;
    int rc = fc_writer_sql(w, err), step = SQLITE_DONE;

    if (rc)
        return rc;
    if (sqlite3_prepare_v2(w->sql, "SELECT state FROM open_fragment ORDER BY seq", -1, &stmt, NULL) != SQLITE_OK)
        return fc_writer_error(w, err, "cannot read the index");
    while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        rc = read_state(sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0), want_extra, &fragment,
                        &rest);
        if (rc == 0 && fragment.node)
            rc = later(ctx, &fragment, rest);
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = fc_writer_error(w, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc == FC_E_NOMEM ? fc_writer_no_memory(w, err) : rc;
}

static uint8_t *put(uint8_t *p, const void *what, size_t size)
{
    memcpy(p, what, size);
    return p + size;
}

int fc_writer_add_loose(struct fc_writer *w, const struct fc_fragment *later, const struct fc_node *rest,
                        struct fc_error *err)
{
    sqlite3_stmt *stmt = fc_writer_stmt(w, FC_STMT_FRAGMENT, "INSERT INTO open_fragment (state) VALUES (?)");
    uint8_t state[sizeof(struct saved_loose) + 2 * EXTRA_BYTES + RUN_BYTES + sizeof(struct saved_place)], *p;
    const struct fc_node *node = later->node;
    struct saved_loose s;

    if (!stmt)
        return fc_writer_error(w, err, "cannot write the index");
    memset(&s, 0, sizeof s);
    s.kind = FC_SAVED_LOOSE;
    s.file = later->file;
    s.datagram = later->datagram;
    s.flow = later->flow;
    s.session = later->held;
    s.ts_ns = later->ts_ns;
    s.off = later->off;
    s.bytes = node->run.bytes[later->dir];
    s.dir = later->dir;
    s.hops = later->hops;
    s.has_extra = node->extra != NULL;
    s.has_rest = rest != NULL;
    p = put(state, &s, sizeof s);
    if (node->extra)
        p = put(p, node->extra, EXTRA_BYTES);
    if (rest) {
        struct saved_place place = {rest->first_off, rest->last_off, rest->first_file, rest->last_file};
        p = put(put(p, &rest->run, RUN_BYTES), &place, sizeof place);
        if (node->extra)
            p = put(p, rest->extra, EXTRA_BYTES);
    }
    sqlite3_bind_blob(stmt, 1, state, (int)(p - state), SQLITE_TRANSIENT);
    return fc_writer_step(w, stmt, err);
}

/* A place that is released; those met before were too, as both sides ascend. */
static bool released(const struct fc_release *r, size_t *next, uint32_t file, uint64_t off)
{
    if (*next == r->count || r->places[*next].file != file || r->places[*next].off != off)
        return false;
    ++*next;
    return true;
}

static int keep_one(struct fc_positions *positions, uint32_t file, uint64_t off)
{
    uint8_t pos[3 * FC_VARINT_MAX];
    uint8_t *p = fc_varint_put(fc_varint_put(fc_varint_put(pos, file), 1), off);

    return fc_positions_add(positions, pos, (size_t)(p - pos));
}

/* Collects what is left of the segments. FC_E_DAMAGED: no segments, or a place is not among them. */
static int strip(struct fc_positions *positions, const struct fc_release *r, const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len;
    struct fc_segment s;
    size_t next = 0;
    int rc = 0;

    fc_positions_clear(positions);
    while (p < end && rc == 0) {
        if (!(p = fc_segment_head(p, end, &s)))
            return FC_E_DAMAGED;
        uint64_t off = s.first_off;
        for (uint64_t i = 0; i < s.count && rc == 0; i++) {
            if (i && !(p = fc_segment_next(p, end, &off)))
                return FC_E_DAMAGED;
            if (!released(r, &next, s.file, off))
                rc = keep_one(positions, s.file, off);
        }
    }
    if (rc == 0 && (next != r->count || r->whole != (positions->count == 0)))
        return FC_E_DAMAGED;
    return rc;
}

/* Reads the blob and leaves in w->blob what it becomes. */
static int strip_blob(struct fc_writer *w, const struct fc_release *r, sqlite3_stmt *stmt)
{
    const uint8_t *plain;
    size_t len;
    int rc =
        fc_blob_decode(sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0), &w->plain, &plain, &len);

    if (rc == 0)
        rc = strip(&w->positions, r, plain, len);
    w->blob.len = 0;
    if (rc || r->whole)
        return rc;
    if ((rc = fc_buffer_reserve(&w->plain, fc_positions_size(&w->positions))))
        return rc;
    return fc_blob_encode(w->plain.data, fc_positions_write(&w->positions, w->plain.data), &w->blob);
}

static int release_positions(struct fc_writer *w, const struct fc_release *r, struct fc_error *err)
{
    sqlite3_stmt *stmt = fc_writer_stmt(w, FC_STMT_POSITIONS, FC_SELECT_POSITIONS);
    int rc = FC_E_DAMAGED;

    if (!stmt)
        return fc_writer_error(w, err, "cannot read the index");
    sqlite3_bind_int64(stmt, 1, r->id);
    if (sqlite3_step(stmt) == SQLITE_ROW)
        rc = strip_blob(w, r, stmt);
    sqlite3_reset(stmt);
    if (rc == FC_E_DAMAGED)
        return fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET, "positions of session %lld are damaged",
                            (long long)r->id);
    if (rc)
        return fc_writer_no_memory(w, err);
    if (!(stmt = fc_writer_stmt(w, FC_STMT_STRIP, "UPDATE session SET positions = ?2 WHERE id = ?1")))
        return fc_writer_error(w, err, "cannot write the index");
    sqlite3_bind_int64(stmt, 1, r->id);
    sqlite3_bind_blob(stmt, 2, w->blob.len ? w->blob.data : (const void *)"", (int)w->blob.len, SQLITE_STATIC);
    return fc_writer_step(w, stmt, err);
}

/* Steps a statement whose first parameter is the ID. */
static int change(struct fc_writer *w, enum fc_writer_stmt_id which, const char *sql, int64_t id, struct fc_error *err)
{
    sqlite3_stmt *stmt = fc_writer_stmt(w, which, sql);

    if (!stmt)
        return fc_writer_error(w, err, "cannot write the index");
    sqlite3_bind_int64(stmt, 1, id);
    return fc_writer_step(w, stmt, err);
}

int fc_writer_drop_fields(struct fc_writer *w, int64_t id, struct fc_error *err)
{
    return change(w, FC_STMT_UNFIELD, "DELETE FROM session_fields WHERE id = ?1", id, err);
}

int fc_writer_release(struct fc_writer *w, const struct fc_release *r, struct fc_error *err)
{
    int rc = fc_writer_sql(w, err);

    if (rc || (rc = release_positions(w, r, err)) || (rc = fc_writer_drop_fields(w, r->id, err)) || !r->gone)
        return rc;
    if ((rc = change(w, FC_STMT_LAST,
                     "INSERT INTO meta VALUES ('last_id', ?1)"
                     " ON CONFLICT (name) DO UPDATE SET value = max(CAST(value AS INTEGER), ?1)",
                     r->id, err)))
        return rc;
    return change(w, FC_STMT_DROP, "DELETE FROM session WHERE id = ?1", r->id, err);
}

int fc_writer_drop_ports(struct fc_writer *w, int64_t id, const struct fc_flow_key *key, struct fc_error *err)
{
    int64_t block = (id - 1) / FC_PORT_BLOCK_SESSIONS;
    sqlite3_stmt *stmt;
    int rc = fc_writer_sql(w, err);

    for (int i = 0; i < 2 && rc == 0 && fc_proto_has_ports(key->proto); i++) {
        stmt = fc_writer_stmt(
            w, FC_STMT_UNPORT,
            "DELETE FROM session_port WHERE port = ?1 AND block = ?2 AND NOT EXISTS (SELECT 1 FROM session"
            " WHERE id BETWEEN ?3 AND ?4 AND (client_port = ?1 OR server_port = ?1))");
        if (!stmt)
            return fc_writer_error(w, err, "cannot write the index");
        sqlite3_bind_int(stmt, 1, key->port[i]);
        sqlite3_bind_int64(stmt, 2, block);
        sqlite3_bind_int64(stmt, 3, block * FC_PORT_BLOCK_SESSIONS + 1);
        sqlite3_bind_int64(stmt, 4, (block + 1) * FC_PORT_BLOCK_SESSIONS);
        rc = fc_writer_step(w, stmt, err);
    }
    return rc;
}
