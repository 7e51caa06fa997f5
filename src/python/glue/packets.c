/* SPDX-License-Identifier: MIT */
#include "packets.h"

#include <stdio.h>
#include <string.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum {
#define FIELD(NAME, ...) NAME,
    FCPY_FIELDS(FIELD)
#undef FIELD
        FIELD_COUNT
};

static const struct fcpy_field_info infos[] = {
#define FIELD(NAME, name, cell, size, want, of) {name, cell, size, want, FCPY_OF_##of},
    FCPY_FIELDS(FIELD)
#undef FIELD
};

const struct fcpy_field_info *fcpy_field(unsigned field)
{
    return field < FIELD_COUNT ? &infos[field] : NULL;
}

static inline void put_8(uint8_t *to, int64_t value)
{
    memcpy(to, &value, sizeof value);
}

static inline void put_4(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, sizeof value);
}

static inline void put_2(uint8_t *to, int16_t value)
{
    memcpy(to, &value, sizeof value);
}

static inline void put_addr(uint8_t *to, const struct fc_packet *packet, unsigned end)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    const uint8_t *addr = packet->key.addr[end];

    if (packet->key.addr_kind == FC_ADDR_IPV4) {
        memcpy(to, mapped, 12);
        memcpy(to + 12, addr, 4);
    } else {
        memcpy(to, addr, 16);
    }
}

/* A fragment behind the first one does not tell its ports. */
static inline bool has_ports(const struct fc_packet *packet)
{
    uint32_t proto = packet->key.proto;

    return packet->frag != FC_FRAG_LATER && (proto == 6 || proto == 17 || fc_proto_has_ports(proto));
}

static void put_mac(uint8_t *to, const struct fc_packet *packet, unsigned end)
{
    if (packet->got & FC_WANT_MAC)
        memcpy(to, packet->mac[end], 6);
    else
        memset(to, 0, 6);
}

static void put_bytes(uint8_t *to, size_t size, const uint8_t *bytes, size_t len)
{
    len = len < size ? len : size;
    if (len)
        memcpy(to, bytes, len);
    memset(to + len, 0, size - len);
}

/* "10,20" */
static void put_list(uint8_t *to, size_t size, const uint32_t *number, unsigned count)
{
    char text[96] = "";
    size_t len = 0;

    for (unsigned i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%u", i ? "," : "", number[i]);
    put_bytes(to, size, (const uint8_t *)text, len);
}

static void put_stack(const struct fcpy_cell *cell, const struct fc_packet *packet, uint8_t *to)
{
    uint32_t ids[FC_VLAN_MAX];
    char text[FC_TUNNEL_TEXT];
    bool vlan = packet->got & FC_WANT_VLAN, mpls = packet->got & FC_WANT_MPLS, tunnel = packet->got & FC_WANT_TUNNEL;

    if (cell->field == VLAN) {
        for (unsigned i = 0; vlan && i < packet->vlan_count; i++)
            ids[i] = packet->vlan[i];
        put_list(to, cell->size, ids, vlan ? packet->vlan_count : 0);
    } else if (cell->field == MPLS) {
        put_list(to, cell->size, packet->mpls, mpls ? packet->mpls_count : 0);
    } else {
        size_t len = tunnel ? fc_tunnel_text(packet->tunnel, packet->tunnel_count, text, sizeof text) : 0;
        put_bytes(to, cell->size, (const uint8_t *)text, len < sizeof text ? len : sizeof text - 1);
    }
}

static void put_payload(const struct fcpy_cell *cell, const struct fc_session_packet *p, uint8_t *to)
{
    uint32_t captured = 0;
    const uint8_t *payload = NULL;
    bool has = p->packet.got & FC_WANT_PAYLOAD;

    if (has)
        payload = fc_packet_payload(&p->packet, p->record.data, p->record.caplen, &captured);
    if (cell->field == PAYLOAD)
        put_bytes(to, cell->size, payload, captured);
    else
        put_4(to, captured);
}

/* Fields of what was decoded. */
ALWAYS_INLINE void put_decoded(unsigned field, const struct fcpy_cell *cell, const struct fc_session_packet *p,
                               uint8_t *to)
{
    const struct fc_packet *packet = &p->packet;
    uint32_t got = packet->got;

    switch (field) {
    case FRAGMENT:
        *to = packet->frag;
        break;
    case MALFORMED:
        *to = packet->malformed;
        break;
    case TCP_FLAGS:
        put_2(to, got & FC_WANT_TCP ? packet->tcp_flags : -1);
        break;
    case TCP_SEQ:
        put_8(to, got & FC_WANT_TCP ? (int64_t)packet->tcp_seq : -1);
        break;
    case TCP_ACK:
        put_8(to, got & FC_WANT_TCP ? (int64_t)packet->tcp_ack : -1);
        break;
    case TTL:
        put_2(to, got & FC_WANT_TTL ? packet->ttl : -1);
        break;
    case DSCP:
        put_2(to, got & FC_WANT_DSCP ? packet->dscp : -1);
        break;
    case PAYLOAD_LEN:
        put_8(to, got & FC_WANT_PAYLOAD ? (int64_t)packet->payload_bytes : -1);
        break;
    case PAYLOAD_OFF:
        put_8(to, got & FC_WANT_PAYLOAD ? (int64_t)packet->payload_off : -1);
        break;
    case PAYLOAD_CAPLEN:
    case PAYLOAD:
        put_payload(cell, p, to);
        break;
    case SRC_MAC:
        put_mac(to, packet, 0);
        break;
    case DST_MAC:
        put_mac(to, packet, 1);
        break;
    default:
        put_stack(cell, packet, to);
    }
}

ALWAYS_INLINE void put_cell(unsigned field, const struct fcpy_cell *cell, const struct fcpy_given *given, uint8_t *to)
{
    const struct fc_session_packet *p = given->packet;
    const struct fc_packet *packet = &p->packet;
    const struct fc_record *record = &p->record;

    switch (field) {
    case TS_NS:
        put_8(to, record->ts_ns);
        break;
    case NUMBER:
        put_8(to, (int64_t)p->number);
        break;
    case OFFSET:
        put_8(to, (int64_t)p->off);
        break;
    case LEN:
        put_4(to, record->origlen);
        break;
    case CAPLEN:
        put_4(to, record->caplen);
        break;
    case LINK_TYPE:
        put_4(to, record->link_type);
        break;
    case SECTION:
        put_4(to, record->section);
        break;
    case INTERFACE:
        put_4(to, record->iface);
        break;
    case DATA:
        put_bytes(to, cell->size, record->data, record->caplen);
        break;
    case DATA_AT:
        put_4(to, given->data_at);
        break;
    case PROTO:
        put_4(to, packet->key.proto);
        break;
    case KIND:
        *to = (uint8_t)packet->key.addr_kind;
        break;
    case SRC:
        put_addr(to, packet, packet->dir);
        break;
    case DST:
        put_addr(to, packet, !packet->dir);
        break;
    case SPORT:
        put_4(to, has_ports(packet) ? packet->key.port[packet->dir] : UINT32_MAX);
        break;
    case DPORT:
        put_4(to, has_ports(packet) ? packet->key.port[!packet->dir] : UINT32_MAX);
        break;
    case SESSION:
        put_8(to, p->session);
        break;
    case FROM:
        *to = (uint8_t)p->from;
        break;
    case FILE_ID:
        put_4(to, p->file);
        break;
    default:
        put_decoded(field, cell, p, to);
    }
}

/* A column of some packets: a loop a field, in which nothing is left of the switch. */
#define WRITER(NAME, ...)                                                                                              \
    static void write_##NAME(const struct fcpy_cell *cell, const struct fcpy_given *given, size_t rows, uint8_t *to)   \
    {                                                                                                                  \
        for (size_t i = 0; i < rows; i++, to += cell->stride)                                                          \
            put_cell(NAME, cell, &given[i], to);                                                                       \
    }
FCPY_FIELDS(WRITER)

void fcpy_packet_columns(const struct fcpy_cell *cells, size_t count, const struct fcpy_given *given, size_t rows,
                         uint8_t *base, size_t first)
{
    static void (*const writers[])(const struct fcpy_cell *, const struct fcpy_given *, size_t, uint8_t *) = {
#define NAMED(NAME, ...) write_##NAME,
        FCPY_FIELDS(NAMED)
#undef NAMED
    };

    for (size_t i = 0; i < count; i++)
        writers[cells[i].field](&cells[i], given, rows, base + cells[i].off + first * cells[i].stride);
}
