/* SPDX-License-Identifier: MIT */
#include "store/session_row.h"
#include "base/bytes.h"
#include "store/writer.h"

#include <stdio.h>

void fc_vlan_text(const struct fc_extra *x, char text[FC_VLAN_TEXT])
{
    size_t len = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < x->vlan_count; i++)
        len += (size_t)snprintf(text + len, FC_VLAN_TEXT - len, "%s%u", i ? "," : "", x->vlan[i]);
}

void fc_mpls_text(const struct fc_extra *x, char text[FC_MPLS_TEXT])
{
    size_t len = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < x->mpls_count; i++)
        len += (size_t)snprintf(text + len, FC_MPLS_TEXT - len, "%s%u", i ? "," : "", x->mpls[i]);
}

int64_t fc_session_duration_ns(const struct fc_session_sum *s)
{
    int64_t duration;

    return __builtin_sub_overflow(s->max_ns, s->min_ns, &duration) ? INT64_MAX : duration;
}

static inline void add_addr(struct fc_row_at *at, const struct fc_flow_key *key, int endpoint)
{
    const uint8_t *addr = key->addr[endpoint];

    switch (key->addr_kind) {
    case FC_ADDR_IPV4:
        fc_row_int(at, fc_load32(addr, true));
        break;
    case FC_ADDR_IPV6:
        fc_row_bytes(at, addr, 16, 0);
        break;
    case FC_ADDR_MAC:
        fc_row_bytes(at, addr, 6, 0);
        break;
    default:
        fc_row_null(at);
    }
}

static inline void add_if(struct fc_row_at *at, bool has, int64_t v)
{
    if (has)
        fc_row_int(at, v);
    else
        fc_row_null(at);
}

int fc_session_row(struct fc_row *row, const struct fc_session_record *r)
{
    const struct fc_session_sum *s = &r->session;
    bool ports = fc_proto_has_ports(r->key.proto), timed = s->min_ns != FC_TIME_NONE;
    bool outside = r->blob_len >= FC_INLINE_POSITIONS;
    int client = fc_session_client(s), rc = fc_row_begin(row, 2 * sizeof r->key.addr + FC_INLINE_POSITIONS);

    if (rc)
        return rc;
    struct fc_row_at at = row->at;
    fc_row_null(&at); /* the id is the rowid */
    add_if(&at, timed, s->min_ns);
    add_if(&at, timed, timed ? fc_session_duration_ns(s) : 0);
    fc_row_int(&at, r->key.proto);
    fc_row_int(&at, r->key.addr_kind);
    for (int i = 0; i < 2; i++) {
        add_addr(&at, &r->key, client ^ i);
        add_if(&at, ports, r->key.port[client ^ i]);
    }
    for (int i = 0; i < 2; i++)
        fc_row_int(&at, (int64_t)s->packets[client ^ i]);
    for (int i = 0; i < 2; i++)
        fc_row_int(&at, (int64_t)s->bytes[client ^ i]);
    fc_row_int(&at, (int)fc_session_state(s, r->key.proto));
    fc_row_int(&at, fc_record_flags(r) | (outside ? FC_ROW_MORE : 0u));
    fc_row_int(&at, (int64_t)r->key.domain);
    fc_row_bytes(&at, r->blob, outside ? 0 : r->blob_len, 0);
    row->at = at;
    return 0;
}

static inline void add_text(struct fc_row_at *at, const char *text)
{
    if (*text)
        fc_row_bytes(at, text, strlen(text), 1);
    else
        fc_row_null(at);
}

const struct fc_extra *fc_record_extra(const struct fc_session_record *r)
{
    static const struct fc_extra none;

    return r->has_extra ? &r->extra : &none;
}

int fc_session_fields_row(struct fc_row *row, const struct fc_session_record *r, uint32_t fields, const char *community)
{
    const struct fc_extra *x = fc_record_extra(r);
    int client = fc_session_client(&r->session), rc;
    char vlan[FC_VLAN_TEXT], mpls[FC_MPLS_TEXT], tunnel[FC_TUNNEL_TEXT];

    rc = fc_row_begin(row, FC_VLAN_TEXT + FC_MPLS_TEXT + FC_TUNNEL_TEXT + sizeof x->mac + FC_COMMUNITY_ID_SIZE);
    if (rc)
        return rc;
    fc_vlan_text(x, vlan);
    fc_mpls_text(x, mpls);
    fc_tunnel_text(x->tunnel, x->tunnel_count, tunnel, sizeof tunnel);
    fc_row_null(&row->at);
    add_text(&row->at, vlan);
    add_text(&row->at, mpls);
    add_text(&row->at, tunnel);
    for (int i = 0; i < 2; i++) {
        if (x->has_mac >> (client ^ i) & 1)
            fc_row_bytes(&row->at, x->mac[client ^ i], 6, 0);
        else
            fc_row_null(&row->at);
    }
    for (int i = 0; i < 2; i++)
        add_if(&row->at, x->has_ttl >> (client ^ i) & 1, x->ttl[client ^ i]);
    for (int i = 0; i < 2; i++)
        add_if(&row->at, x->has_dscp >> (client ^ i) & 1, x->dscp[client ^ i]);
    for (int i = 0; i < 2; i++)
        add_if(&row->at, (fields & FC_STORE_TCP_FLAGS) && (x->has_flags >> (client ^ i) & 1), x->tcp_flags[client ^ i]);
    for (int i = 0; i < 2; i++)
        add_if(&row->at, (fields & FC_STORE_ISN) && (x->has_isn >> (client ^ i) & 1), x->isn[client ^ i]);
    for (int i = 0; i < 2; i++)
        add_if(&row->at, x->has_payload >> (client ^ i) & 1, (int64_t)x->payload_bytes[client ^ i]);
    add_text(&row->at, community ? community : "");
    return 0;
}

int fc_piece_row(struct fc_row *row, int64_t session, uint32_t file, const void *blob, size_t len)
{
    int rc = fc_row_begin(row, len);

    if (rc)
        return rc;
    fc_row_null(&row->at);
    fc_row_int(&row->at, session);
    fc_row_int(&row->at, file);
    fc_row_bytes(&row->at, blob, len, 0);
    return 0;
}

int fc_piece_entry(struct fc_row *row, int64_t session, uint32_t file, int64_t id)
{
    int rc = fc_row_begin(row, 0);

    if (rc)
        return rc;
    if (session)
        fc_row_int(&row->at, session);
    fc_row_int(&row->at, file);
    fc_row_int(&row->at, id);
    return 0;
}

int fc_blob_row(struct fc_row *row, const void *blob, size_t len)
{
    int rc = fc_row_begin(row, len);

    if (rc)
        return rc;
    fc_row_null(&row->at);
    fc_row_bytes(&row->at, blob, len, 0);
    return 0;
}

int fc_open_batch_row(struct fc_row *row, uint32_t entries, int64_t expiry_ns, const void *tags, size_t len)
{
    int rc = fc_row_begin(row, len);

    if (rc)
        return rc;
    fc_row_null(&row->at);
    fc_row_int(&row->at, entries);
    if (expiry_ns == FC_NEVER)
        fc_row_null(&row->at);
    else
        fc_row_int(&row->at, expiry_ns);
    fc_row_bytes(&row->at, tags, len, 0);
    return 0;
}
