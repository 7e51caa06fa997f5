/* SPDX-License-Identifier: MIT */
#include "store/session_row.h"
#include "base/bytes.h"
#include "store/writer.h"

#include <stdio.h>

static void vlan_text(const struct fc_extra *x, char text[FC_VLAN_TEXT])
{
    size_t len = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < x->vlan_count; i++)
        len += (size_t)snprintf(text + len, FC_VLAN_TEXT - len, "%s%u", i ? "," : "", x->vlan[i]);
}

static void mpls_text(const struct fc_extra *x, char text[FC_MPLS_TEXT])
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

static inline void add_mac(struct fc_row_at *at, bool has, const uint8_t mac[6])
{
    if (has)
        fc_row_bytes(at, mac, 6, 0);
    else
        fc_row_null(at);
}

const struct fc_extra *fc_record_extra(const struct fc_session_record *r)
{
    static const struct fc_extra none;

    return r->has_extra ? &r->extra : &none;
}

void fc_field_texts(struct fc_field_texts *texts, const struct fc_session_record *r, const char *community)
{
    const struct fc_extra *x = fc_record_extra(r);

    vlan_text(x, texts->vlan);
    mpls_text(x, texts->mpls);
    fc_tunnel_text(x->tunnel, x->tunnel_count, texts->tunnel, sizeof texts->tunnel);
    texts->community_id = community ? community : "";
}

#define ONE(...) +1
#define TWO(...) +2
_Static_assert(1 FC_FIELD_COLUMNS(ONE, TWO, TWO) <= FC_ROW_COLUMNS, "a row takes all of them");

int fc_session_fields_row(struct fc_row *row, const struct fc_session_record *r, uint32_t fields, const char *community)
{
    const struct fc_extra *x = fc_record_extra(r);
    int client = fc_session_client(&r->session);
    struct fc_field_texts texts;
    int rc = fc_row_begin(row, sizeof texts + sizeof x->mac + FC_COMMUNITY_ID_SIZE);

    if (rc)
        return rc;
    fc_field_texts(&texts, r, community);
    fc_row_null(&row->at);
#define TEXT(column, ...) add_text(&row->at, texts.column);
#define ADDRESS(column, FIELD, title)                                                                                  \
    for (int i = 0; i < 2; i++)                                                                                        \
        add_mac(&row->at, FC_EXTRA_HAS(x, fields, column, FIELD, client ^ i), x->column[client ^ i]);
#define NUMBER(column, FIELD, ...)                                                                                     \
    for (int i = 0; i < 2; i++)                                                                                        \
        add_if(&row->at, FC_EXTRA_HAS(x, fields, column, FIELD, client ^ i), (int64_t)x->column[client ^ i]);
    FC_FIELD_COLUMNS(TEXT, ADDRESS, NUMBER)
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
