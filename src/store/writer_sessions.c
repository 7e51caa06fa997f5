/* SPDX-License-Identifier: MIT */
/* Sessions, and what lets a later capture continue them. */
#include "base/error.h"
#include "store/writer_internal.h"

#include <flowcarve/decode.h>

#include <stdio.h>
#include <string.h>

static int next_id(struct fc_writer *w, int64_t *id, struct fc_error *err)
{
    if (!w->next_id) {
        sqlite3_stmt *stmt = NULL;
        if (sqlite3_prepare_v2(w->sql, "SELECT coalesce(max(id), 0) + 1 FROM session", -1, &stmt, NULL) != SQLITE_OK ||
            sqlite3_step(stmt) != SQLITE_ROW) {
            sqlite3_finalize(stmt);
            return fc_writer_error(w, err, "cannot read the index");
        }
        w->next_id = sqlite3_column_int64(stmt, 0);
        sqlite3_finalize(stmt);
    }
    *id = w->next_id++;
    return 0;
}

/* Columns 2 to 16 of a session row; 17 is the blob. */
static void bind_session(sqlite3_stmt *stmt, const struct fc_session_record *r)
{
    const struct fc_run *run = &r->run;
    int client = fc_run_client(run);
    bool ports = fc_proto_has_ports(r->key.proto);

    if (run->min_ns == FC_TIME_NONE) {
        sqlite3_bind_null(stmt, 2);
        sqlite3_bind_null(stmt, 3);
    } else {
        int64_t duration;
        if (__builtin_sub_overflow(run->max_ns, run->min_ns, &duration))
            duration = INT64_MAX;
        sqlite3_bind_int64(stmt, 2, run->min_ns);
        sqlite3_bind_int64(stmt, 3, duration);
    }
    sqlite3_bind_int64(stmt, 4, r->key.proto);
    sqlite3_bind_int(stmt, 5, r->key.addr_kind);
    for (int i = 0; i < 2; i++) {
        fc_bind_addr(stmt, 6 + 2 * i, &r->key, client ^ i);
        if (ports)
            sqlite3_bind_int(stmt, 7 + 2 * i, r->key.port[client ^ i]);
        else
            sqlite3_bind_null(stmt, 7 + 2 * i);
        sqlite3_bind_int64(stmt, 10 + i, (int64_t)run->packets[client ^ i]);
        sqlite3_bind_int64(stmt, 12 + i, (int64_t)run->bytes[client ^ i]);
    }
    sqlite3_bind_int(stmt, 14, (int)fc_run_state(run, r->key.proto));
    sqlite3_bind_int(stmt, 15, r->key.one_way);
    sqlite3_bind_int64(stmt, 16, r->key.domain);
}

/* The blob of a session of the index with the new positions added. */
static int merge_positions(struct fc_writer *w, const struct fc_session_record *r, struct fc_error *err)
{
    sqlite3_stmt *stmt = fc_writer_stmt(w, FC_STMT_POSITIONS, "SELECT positions FROM session WHERE id = ?");
    const uint8_t *plain;
    size_t len;
    int rc;

    if (!stmt)
        return fc_writer_error(w, err, "cannot read the index");
    fc_positions_clear(&w->positions);
    sqlite3_bind_int64(stmt, 1, r->db_id);
    if (sqlite3_step(stmt) != SQLITE_ROW)
        rc = fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET, "session %lld is gone", (long long)r->db_id);
    else if ((rc = fc_blob_decode(sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0), &w->plain,
                                  &plain, &len)) == 0)
        rc = fc_positions_add(&w->positions, plain, len);
    sqlite3_reset(stmt);
    if (rc == 0 && (rc = fc_blob_decode(r->blob, r->blob_len, &w->plain, &plain, &len)) == 0)
        rc = fc_positions_add(&w->positions, plain, len);
    if (rc == 0 && (rc = fc_buffer_reserve(&w->plain, fc_positions_size(&w->positions))) == 0)
        rc = fc_blob_encode(w->plain.data, fc_positions_write(&w->positions, w->plain.data), &w->blob);
    if (rc == FC_E_DAMAGED)
        return fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET, "positions of session %lld are damaged",
                            (long long)r->db_id);
    return rc == FC_E_NOMEM ? fc_error_set(err, rc, w->path, FC_NO_OFFSET, "out of memory") : rc;
}

static void list_numbers(char *out, size_t size, const uint16_t *small, const uint32_t *large, unsigned n)
{
    size_t len = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < n; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%u", i ? "," : "", small ? small[i] : large[i]);
}

static void bind_if(sqlite3_stmt *stmt, int index, bool has, uint64_t v)
{
    if (has)
        sqlite3_bind_int64(stmt, index, (int64_t)v);
    else
        sqlite3_bind_null(stmt, index);
}

static int write_fields(struct fc_writer *w, int64_t id, const struct fc_session_record *r, uint32_t fields,
                        struct fc_error *err)
{
    const struct fc_extra *x = &r->extra;
    /* what a continued session already has stays: the first packet that had a field counts, sums and flags add up */
    sqlite3_stmt *stmt = fc_writer_stmt(
        w, FC_STMT_FIELDS,
        "INSERT INTO session_fields VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
        " ON CONFLICT (id) DO UPDATE SET vlan = coalesce(vlan, excluded.vlan), mpls = coalesce(mpls, excluded.mpls),"
        " client_mac = coalesce(client_mac, excluded.client_mac), server_mac = coalesce(server_mac, "
        "excluded.server_mac),"
        " client_ttl = coalesce(client_ttl, excluded.client_ttl), server_ttl = coalesce(server_ttl, "
        "excluded.server_ttl),"
        " client_dscp = coalesce(client_dscp, excluded.client_dscp), server_dscp = coalesce(server_dscp, "
        "excluded.server_dscp),"
        " client_tcp_flags = coalesce(client_tcp_flags | excluded.client_tcp_flags, client_tcp_flags, "
        "excluded.client_tcp_flags),"
        " server_tcp_flags = coalesce(server_tcp_flags | excluded.server_tcp_flags, server_tcp_flags, "
        "excluded.server_tcp_flags),"
        " client_isn = coalesce(client_isn, excluded.client_isn), server_isn = coalesce(server_isn, "
        "excluded.server_isn),"
        " client_payload = coalesce(client_payload + excluded.client_payload, client_payload, excluded.client_payload),"
        " server_payload = coalesce(server_payload + excluded.server_payload, server_payload, "
        "excluded.server_payload)");
    char vlan[FC_VLAN_MAX * 8], mpls[FC_MPLS_MAX * 12];
    int client = fc_run_client(&r->run);

    if (!stmt)
        return fc_writer_error(w, err, "cannot write the index");
    list_numbers(vlan, sizeof vlan, x->vlan, NULL, x->vlan_count);
    list_numbers(mpls, sizeof mpls, NULL, x->mpls, x->mpls_count);
    sqlite3_bind_int64(stmt, 1, id);
    sqlite3_bind_text(stmt, 2, x->vlan_count ? vlan : NULL, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 3, x->mpls_count ? mpls : NULL, -1, SQLITE_STATIC);
    for (int i = 0; i < 2; i++) {
        int d = client ^ i;
        if (x->has_mac >> d & 1)
            sqlite3_bind_blob(stmt, 4 + i, x->mac[d], 6, SQLITE_STATIC);
        else
            sqlite3_bind_null(stmt, 4 + i);
        bind_if(stmt, 6 + i, x->has_ttl >> d & 1, x->ttl[d]);
        bind_if(stmt, 8 + i, x->has_dscp >> d & 1, x->dscp[d]);
        bind_if(stmt, 10 + i, (fields & FC_STORE_TCP_FLAGS) && (x->has_flags >> d & 1), x->tcp_flags[d]);
        bind_if(stmt, 12 + i, (fields & FC_STORE_ISN) && (x->has_isn >> d & 1), x->isn[d]);
        bind_if(stmt, 14 + i, x->has_payload >> d & 1, x->payload_bytes[d]);
    }
    return fc_writer_step(w, stmt, err);
}

static int write_open(struct fc_writer *w, int64_t id, const struct fc_run *run, struct fc_error *err)
{
    sqlite3_stmt *stmt = fc_writer_stmt(w, FC_STMT_OPEN, "INSERT OR REPLACE INTO open_session VALUES (?, ?)");
    uint8_t state[FC_OPEN_STATE_SIZE];

    if (!stmt)
        return fc_writer_error(w, err, "cannot write the index");
    fc_open_state_write(run, state);
    sqlite3_bind_int64(stmt, 1, id);
    sqlite3_bind_blob(stmt, 2, state, sizeof state, SQLITE_STATIC);
    return fc_writer_step(w, stmt, err);
}

static int write_row(struct fc_writer *w, int64_t id, const struct fc_session_record *r, struct fc_error *err)
{
    bool update = r->db_id > 0;
    sqlite3_stmt *stmt;
    int rc;

    if (update && (rc = merge_positions(w, r, err)))
        return rc;
    stmt =
        update
            ? fc_writer_stmt(w, FC_STMT_UPDATE,
                             "UPDATE session SET start_ns=?2, duration_ns=?3, proto=?4, kind=?5, client_addr=?6,"
                             " client_port=?7, server_addr=?8, server_port=?9, client_packets=?10, server_packets=?11,"
                             " client_bytes=?12, server_bytes=?13, state=?14, one_way=?15, domain=?16, positions=?17"
                             " WHERE id=?1")
            : fc_writer_stmt(w, FC_STMT_INSERT, "INSERT INTO session VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    if (!stmt)
        return fc_writer_error(w, err, "cannot write the index");
    sqlite3_bind_int64(stmt, 1, id);
    bind_session(stmt, r);
    if (update)
        sqlite3_bind_blob(stmt, 17, w->blob.data, (int)w->blob.len, SQLITE_STATIC);
    else
        sqlite3_bind_blob(stmt, 17, r->blob, (int)r->blob_len, SQLITE_STATIC);
    return fc_writer_step(w, stmt, err);
}

int fc_writer_session(struct fc_writer *w, const struct fc_session_record *r, uint32_t fields, struct fc_error *err)
{
    int64_t id = r->db_id;
    int rc;

    if (!r->unchanged) {
        if (!id && (rc = next_id(w, &id, err)))
            return rc;
        if ((rc = write_row(w, id, r, err)))
            return rc;
        if (fields && r->has_extra && (rc = write_fields(w, id, r, fields, err)))
            return rc;
    }
    return r->open ? write_open(w, id, &r->run, err) : 0;
}

int fc_writer_clear_open(struct fc_writer *w, struct fc_error *err)
{
    return fc_writer_exec(w, "DELETE FROM open_session", err);
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
    int64_t state = sqlite3_column_int64(stmt, 15);

    fc_run_init(run);
    if (sqlite3_column_type(stmt, 9) != SQLITE_NULL) {
        run->first_ns = run->min_ns = sqlite3_column_int64(stmt, 9);
        if (__builtin_add_overflow(run->min_ns, sqlite3_column_int64(stmt, 10), &run->max_ns))
            run->max_ns = INT64_MAX;
    }
    for (int i = 0; i < 2; i++) {
        run->packets[client ^ i] = (uint64_t)sqlite3_column_int64(stmt, 11 + i);
        run->bytes[client ^ i] = (uint64_t)sqlite3_column_int64(stmt, 13 + i);
        if (proto == 6 && state >= 0 && state <= FC_STATE_MIDSTREAM)
            run->tcp_flags[i] = flags[state];
    }
    run->first_dir = (uint8_t)client;
}

int fc_writer_priors(struct fc_writer *w, bool all, int64_t from_ns,
                     int (*prior)(void *ctx, const struct fc_flow_key *key, int64_t id, const struct fc_run *run),
                     void *ctx, struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc, step;

    if (sqlite3_prepare_v2(
            w->sql,
            "SELECT s.id, " FC_KEY_COLUMNS
            ", start_ns, duration_ns, client_packets, server_packets, client_bytes, server_bytes, s.state,"
            " o.state FROM session s LEFT JOIN open_session o ON o.id = s.id"
            " WHERE o.id IS NOT NULL OR (?1 AND (start_ns IS NULL OR start_ns + duration_ns >= ?2))",
            -1, &stmt, NULL) != SQLITE_OK)
        return fc_writer_error(w, err, "cannot read the index");
    sqlite3_bind_int(stmt, 1, all);
    sqlite3_bind_int64(stmt, 2, from_ns);
    rc = 0;
    while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct fc_flow_key key;
        struct fc_run run;
        int client;
        if (fc_key_from_row(stmt, 1, &key, &client) ||
            (sqlite3_column_type(stmt, 16) == SQLITE_BLOB &&
             fc_open_state_read(sqlite3_column_blob(stmt, 16), (size_t)sqlite3_column_bytes(stmt, 16), &run))) {
            rc = fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET, "session %lld is damaged",
                              (long long)sqlite3_column_int64(stmt, 0));
            break;
        }
        if (sqlite3_column_type(stmt, 16) != SQLITE_BLOB)
            run_from_row(stmt, client, key.proto, &run);
        rc = prior(ctx, &key, sqlite3_column_int64(stmt, 0), &run);
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = fc_writer_error(w, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc;
}

/* open_fragment.state: the struct's fields in native order, guarded by their size. */
struct saved_fragment {
    struct fc_flow_key datagram, flow;
    uint64_t off;
    int64_t ts_ns;
    uint32_t file, dir;
};

int fc_writer_fragments(struct fc_writer *w, int (*first)(void *, const struct fc_fragment *), void *ctx,
                        struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = 0, step;

    if (sqlite3_prepare_v2(w->sql, "SELECT state FROM open_fragment ORDER BY seq", -1, &stmt, NULL) != SQLITE_OK)
        return fc_writer_error(w, err, "cannot read the index");
    while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct saved_fragment s;
        if (sqlite3_column_bytes(stmt, 0) != (int)sizeof s)
            continue;
        memcpy(&s, sqlite3_column_blob(stmt, 0), sizeof s);
        struct fc_fragment f = {
            .datagram = s.datagram, .flow = s.flow, .off = s.off, .ts_ns = s.ts_ns, .file = s.file, .dir = s.dir & 1};
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
        s.datagram = first[i].datagram;
        s.flow = first[i].flow;
        s.off = first[i].off;
        s.ts_ns = first[i].ts_ns;
        s.file = first[i].file;
        s.dir = first[i].dir;
        sqlite3_bind_blob(stmt, 1, &s, sizeof s, SQLITE_TRANSIENT);
        rc = fc_writer_step(w, stmt, err);
    }
    return rc;
}
