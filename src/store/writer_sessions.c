/* SPDX-License-Identifier: MIT */
/* Sessions by INSERT and UPDATE. */
#include "base/error.h"
#include "store/session_row.h"
#include "store/writer_internal.h"

#include <flowcarve/decode.h>

int fc_writer_next_id(struct fc_writer *w, int64_t *id, struct fc_error *err)
{
    int rc = fc_conn_number(&w->conn, "SELECT coalesce(max(id), 0) + 1 FROM session", id, err);

    return rc < 0 ? rc : 0;
}

static int next_id(struct fc_writer *w, int64_t *id, struct fc_error *err)
{
    int rc = w->next_id ? 0 : fc_writer_next_id(w, &w->next_id, err);

    *id = w->next_id++;
    return rc;
}

/* Columns 2 to 16 of a session row; 17 is the blob. */
static void bind_session(struct fc_stmt *stmt, const struct fc_session_record *r)
{
    const struct fc_session_sum *s = &r->session;
    int client = fc_session_client(s);
    bool ports = fc_proto_has_ports(r->key.proto);

    if (s->min_ns == FC_TIME_NONE) {
        fc_stmt_null(stmt, 2);
        fc_stmt_null(stmt, 3);
    } else {
        fc_stmt_int(stmt, 2, s->min_ns);
        fc_stmt_int(stmt, 3, fc_session_duration_ns(s));
    }
    fc_stmt_int(stmt, 4, r->key.proto);
    fc_stmt_int(stmt, 5, r->key.addr_kind);
    for (int i = 0; i < 2; i++) {
        fc_bind_addr(stmt, 6 + 2 * i, &r->key, client ^ i);
        if (ports)
            fc_stmt_int(stmt, 7 + 2 * i, r->key.port[client ^ i]);
        else
            fc_stmt_null(stmt, 7 + 2 * i);
        fc_stmt_int(stmt, 10 + i, (int64_t)s->packets[client ^ i]);
        fc_stmt_int(stmt, 12 + i, (int64_t)s->bytes[client ^ i]);
    }
    fc_stmt_int(stmt, 14, (int)fc_session_state(s, r->key.proto));
    fc_stmt_int(stmt, 15, r->key.one_way);
    fc_stmt_int(stmt, 16, (int64_t)r->key.domain);
}

int fc_writer_positions_error(struct fc_writer *w, int rc, int64_t id, struct fc_error *err)
{
    if (rc == FC_E_DAMAGED)
        rc = fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET, "positions of session %lld are damaged", (long long)id);
    return rc == FC_E_NOMEM ? fc_writer_no_memory(w, err) : fc_conn_break(&w->conn, rc, err);
}

/* The blob of a session of the index with the new positions added. */
static int merge_positions(struct fc_writer *w, const struct fc_session_record *r, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_POSITIONS, FC_SELECT_POSITIONS);
    const uint8_t *plain;
    size_t len;
    int rc, step;

    fc_positions_clear(&w->positions);
    fc_stmt_int(stmt, 1, r->db_id);
    if ((step = fc_stmt_step(stmt, err)) < 0)
        return step;
    if (step == 0)
        return fc_conn_break(
            &w->conn, fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET, "session %lld is gone", (long long)r->db_id),
            err);
    size_t stored = (size_t)sqlite3_column_bytes(stmt->raw, 0); /* 0: all was released */
    rc = stored ? fc_blob_decode(sqlite3_column_blob(stmt->raw, 0), stored, &w->plain, &plain, &len) : 0;
    if (rc == 0 && stored)
        rc = fc_positions_add(&w->positions, plain, len);
    fc_stmt_reset(stmt);
    if (rc == 0 && r->blob_len && (rc = fc_blob_decode(r->blob, r->blob_len, &w->plain, &plain, &len)) == 0)
        rc = fc_positions_add(&w->positions, plain, len);
    if (rc == 0 && (rc = fc_buffer_reserve(&w->plain, fc_positions_size(&w->positions))) == 0)
        rc = fc_blob_encode(w->plain.data, fc_positions_write(&w->positions, w->plain.data), &w->blob);
    return fc_writer_positions_error(w, rc, r->db_id, err);
}

static void bind_if(struct fc_stmt *stmt, int index, bool has, uint64_t v)
{
    if (has)
        fc_stmt_int(stmt, index, (int64_t)v);
    else
        fc_stmt_null(stmt, index);
}

static int write_fields(struct fc_writer *w, int64_t id, const struct fc_session_record *r, uint32_t fields,
                        const char *community, struct fc_error *err)
{
    const struct fc_extra *x = fc_record_extra(r);
    /* what a continued session already has stays: the first packet that had a field counts, sums and flags add up */
    struct fc_stmt *stmt = fc_writer_stmt(
        w, FC_STMT_FIELDS,
        "INSERT INTO session_fields VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
        " ON CONFLICT (id) DO UPDATE SET vlan = coalesce(vlan, excluded.vlan), mpls = coalesce(mpls, excluded.mpls),"
        " tunnel = coalesce(tunnel, excluded.tunnel),"
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
        "excluded.server_payload), community_id = coalesce(community_id, excluded.community_id)");
    char vlan[FC_VLAN_TEXT], mpls[FC_MPLS_TEXT], tunnel[FC_TUNNEL_TEXT];
    int client = fc_session_client(&r->session);

    fc_vlan_text(x, vlan);
    fc_mpls_text(x, mpls);
    fc_tunnel_text(x->tunnel, x->tunnel_count, tunnel, sizeof tunnel);
    fc_stmt_int(stmt, 1, id);
    fc_stmt_text(stmt, 2, x->vlan_count ? vlan : NULL);
    fc_stmt_text(stmt, 3, x->mpls_count ? mpls : NULL);
    fc_stmt_text(stmt, 4, x->tunnel_count ? tunnel : NULL);
    fc_stmt_text(stmt, 17, community);
    for (int i = 0; i < 2; i++) {
        int d = client ^ i;
        if (x->has_mac >> d & 1)
            fc_stmt_blob(stmt, 5 + i, x->mac[d], 6);
        else
            fc_stmt_null(stmt, 5 + i);
        bind_if(stmt, 7 + i, x->has_ttl >> d & 1, x->ttl[d]);
        bind_if(stmt, 9 + i, x->has_dscp >> d & 1, x->dscp[d]);
        bind_if(stmt, 11 + i, (fields & FC_STORE_TCP_FLAGS) && (x->has_flags >> d & 1), x->tcp_flags[d]);
        bind_if(stmt, 13 + i, (fields & FC_STORE_ISN) && (x->has_isn >> d & 1), x->isn[d]);
        bind_if(stmt, 15 + i, x->has_payload >> d & 1, x->payload_bytes[d]);
    }
    return fc_stmt_run(stmt, err);
}

static int write_row(struct fc_writer *w, int64_t id, const struct fc_session_record *r, struct fc_error *err)
{
    bool update = r->db_id > 0;
    struct fc_stmt *stmt;
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
    fc_stmt_int(stmt, 1, id);
    bind_session(stmt, r);
    if (update)
        fc_stmt_blob(stmt, 17, w->blob.data, w->blob.len);
    else
        fc_stmt_blob(stmt, 17, r->blob, r->blob_len);
    return fc_stmt_run(stmt, err);
}

int fc_writer_add_ports(struct fc_writer *w, int64_t id, const struct fc_flow_key *key, struct fc_error *err)
{
    struct fc_stmt *stmt;
    int rc = 0;

    if (!fc_proto_has_ports(key->proto))
        return 0;
    stmt = fc_writer_stmt(w, FC_STMT_PORT, "INSERT OR IGNORE INTO session_port VALUES (?, ?)");
    for (int i = 0; i < 2 && rc == 0; i++) {
        fc_stmt_int(stmt, 1, key->port[i]);
        fc_stmt_int(stmt, 2, (id - 1) >> FC_PORT_BLOCK_BITS);
        rc = fc_stmt_run(stmt, err);
    }
    return rc;
}

/*
 * Before the row of a session is written: where an older packet has made the server the client, what is stored of
 * either end goes with it.
 */
static int turn_fields(struct fc_writer *w, const struct fc_session_record *r, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(
        w, FC_STMT_TURN_FIELDS,
        "UPDATE session_fields SET client_mac = server_mac, server_mac = client_mac, client_ttl = server_ttl,"
        " server_ttl = client_ttl, client_dscp = server_dscp, server_dscp = client_dscp,"
        " client_tcp_flags = server_tcp_flags, server_tcp_flags = client_tcp_flags, client_isn = server_isn,"
        " server_isn = client_isn, client_payload = server_payload, server_payload = client_payload"
        " WHERE id = ?1 AND (SELECT client_addr IS NOT ?2 OR client_port IS NOT ?3 FROM session WHERE id = ?1)");
    int client = fc_session_client(&r->session);

    fc_stmt_int(stmt, 1, r->db_id);
    fc_bind_addr(stmt, 2, &r->key, client);
    if (fc_proto_has_ports(r->key.proto))
        fc_stmt_int(stmt, 3, r->key.port[client]);
    else
        fc_stmt_null(stmt, 3);
    return fc_stmt_run(stmt, err);
}

static int insert_session(struct fc_writer *w, int64_t *id, const struct fc_session_record *r, uint32_t fields,
                          struct fc_error *err)
{
    char text[FC_COMMUNITY_ID_SIZE];
    const char *community = (fields & FC_STORE_COMMUNITY_ID) && fc_community_id(&r->key, text) ? text : NULL;
    int rc;

    w->inserted = true;
    if (!*id && (rc = next_id(w, id, err)))
        return rc;
    if (r->db_id && fields && (rc = turn_fields(w, r, err)))
        return rc;
    rc = write_row(w, *id, r, err);
    /* fresh and by INSERT: the ports are noted when the schema of the indexes is executed */
    if (rc == 0 && !r->db_id && w->indexed)
        rc = fc_writer_add_ports(w, *id, &r->key, err);
    if (rc == 0 && fields && (r->has_extra || community))
        rc = write_fields(w, *id, r, fields, community, err);
    return rc;
}

int fc_writer_provisional(struct fc_writer *w, const struct fc_session_record *r, uint32_t fields, int64_t id,
                          struct fc_error *err)
{
    int rc = fc_writer_sql(w, err);

    if (rc || (rc = insert_session(w, &id, r, fields, err)) || !w->indexed)
        return rc;
    /* those of an index that is still to be indexed are counted then */
    return fc_span_write(&w->conn, ((id - 1) >> FC_SPAN_BITS) * FC_SPAN_SESSIONS + 1, &r->session, err);
}

int fc_writer_session(struct fc_writer *w, const struct fc_session_record *r, uint32_t fields, int64_t *out,
                      struct fc_error *err)
{
    int64_t id = r->db_id;
    int rc = fc_writer_to_bulk(w, r, fields, err);

    if (rc < 0)
        return rc;
    w->expected -= w->expected != 0;
    if (rc == 1) {
        id = w->next_id++;
        if ((rc = fc_bulk_session(w->bulk, id, r, fields, err)))
            return fc_conn_break(&w->conn, rc, err);
    } else if (!r->unchanged && (rc = insert_session(w, &id, r, fields, err))) {
        return rc;
    }
    if (out)
        *out = id;
    if (!r->unchanged && fc_spans_add(&w->spans, id, &r->session))
        return fc_writer_no_memory(w, err);
    return r->open ? fc_writer_open_session(w, id, &r->session, err) : 0;
}
