/* SPDX-License-Identifier: MIT */
#include "flow/extra.h"

#include <string.h>

void fc_extra_add(struct fc_extra *x, const struct fc_packet *p, unsigned d)
{
    unsigned bit = 1u << d;

    if ((p->got & FC_WANT_VLAN) && !x->vlan_count) {
        x->vlan_count = p->vlan_count;
        memcpy(x->vlan, p->vlan, sizeof x->vlan[0] * p->vlan_count);
    }
    if ((p->got & FC_WANT_MPLS) && !x->mpls_count) {
        x->mpls_count = p->mpls_count;
        memcpy(x->mpls, p->mpls, sizeof x->mpls[0] * p->mpls_count);
    }
    if ((p->got & FC_WANT_TUNNEL) && !x->tunnel_count) {
        x->tunnel_count = p->tunnel_count;
        memcpy(x->tunnel, p->tunnel, sizeof x->tunnel[0] * p->tunnel_count);
    }
    if ((p->got & FC_WANT_MAC) && !x->has_mac) {
        memcpy(x->mac[d], p->mac[0], 6);
        memcpy(x->mac[!d], p->mac[1], 6);
        x->has_mac = 3;
    }
    if ((p->got & FC_WANT_TTL) && !(x->has_ttl & bit)) {
        x->ttl[d] = p->ttl;
        x->has_ttl |= bit;
    }
    if ((p->got & FC_WANT_DSCP) && !(x->has_dscp & bit)) {
        x->dscp[d] = p->dscp;
        x->has_dscp |= bit;
    }
    if (p->got & FC_WANT_TCP) {
        x->tcp_flags[d] |= p->tcp_flags;
        x->has_tcp_flags |= bit;
        if ((p->tcp_flags & FC_TCP_SYN) && !(x->has_isn & bit)) {
            x->isn[d] = p->tcp_seq;
            x->has_isn |= bit;
        }
    }
    if (p->got & FC_WANT_PAYLOAD) {
        x->payload[d] += p->payload_bytes;
        x->has_payload |= bit;
    }
}

void fc_extra_append(struct fc_extra *x, const struct fc_extra *next)
{
    if (!x->vlan_count) {
        x->vlan_count = next->vlan_count;
        memcpy(x->vlan, next->vlan, sizeof x->vlan);
    }
    if (!x->mpls_count) {
        x->mpls_count = next->mpls_count;
        memcpy(x->mpls, next->mpls, sizeof x->mpls);
    }
    if (!x->tunnel_count) {
        x->tunnel_count = next->tunnel_count;
        memcpy(x->tunnel, next->tunnel, sizeof x->tunnel);
    }
    if (!x->has_mac) {
        x->has_mac = next->has_mac;
        memcpy(x->mac, next->mac, sizeof x->mac);
    }
#define FIRST(column)                                                                                                  \
    if (!(x->has_##column & bit))                                                                                      \
        x->column[d] = next->column[d];
#define OR(column) x->column[d] |= next->column[d];
#define SUM(column) x->column[d] += next->column[d];
#define MERGE(column, FIELD, title, most, merge) merge(column)
    for (unsigned d = 0; d < 2; d++) {
        unsigned bit = 1u << d;
        FC_FIELD_COLUMNS(FC_FIELD_SKIP, FC_FIELD_SKIP, MERGE)
    }
#define HAS(column, ...) x->has_##column |= next->has_##column;
    FC_FIELD_COLUMNS(FC_FIELD_SKIP, FC_FIELD_SKIP, HAS)
}

#define SWAP(pair)                                                                                                     \
    do {                                                                                                               \
        __typeof__((pair)[0]) first = (pair)[0];                                                                       \
        (pair)[0] = (pair)[1];                                                                                         \
        (pair)[1] = first;                                                                                             \
    } while (0)

static uint8_t swap_bits(uint8_t bits)
{
    return (uint8_t)((bits & 1) << 1 | bits >> 1);
}

void fc_extra_turn(struct fc_extra *x)
{
    uint8_t mac[6];

    memcpy(mac, x->mac[0], sizeof mac);
    memcpy(x->mac[0], x->mac[1], sizeof mac);
    memcpy(x->mac[1], mac, sizeof mac);
#define TURN(column, ...)                                                                                              \
    SWAP(x->column);                                                                                                   \
    x->has_##column = swap_bits(x->has_##column);
    FC_FIELD_COLUMNS(FC_FIELD_SKIP, FC_FIELD_SKIP, TURN)
}
