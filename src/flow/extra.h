/* SPDX-License-Identifier: MIT */
/*
 * The optional fields of a session, for an index made with --fields. The first packet that has one counts, in the
 * session's order; flags and payload add up.
 *
 * Threads: any, on objects of their own.
 */
#ifndef FC_FLOW_EXTRA_H
#define FC_FLOW_EXTRA_H

#include <flowcarve/fields.h>

/*
 * Directions are those of the flow key: 0 from endpoint 0, 1 from endpoint 1. A NUMBER of FC_FIELD_COLUMNS has the name
 * of its column; bit d of its has_... says that there is one of direction d.
 */
struct fc_extra {
    uint64_t payload[2];
    uint32_t isn[2];
    uint8_t vlan_count, mpls_count, tunnel_count;
    uint8_t has_mac; /* bit d: mac[d] of endpoint d */
    uint8_t has_ttl;
    uint8_t has_dscp;
    uint8_t has_isn;
    uint8_t has_tcp_flags;
    uint8_t has_payload;
    uint8_t mac[2][6];
    uint8_t ttl[2], dscp[2];
    uint8_t tcp_flags[2];
    /* what follows most packets do not have */
    uint16_t vlan[FC_VLAN_MAX];
    uint32_t mpls[FC_MPLS_MAX];
    struct fc_tunnel tunnel[FC_TUNNEL_MAX];
};

/* So many bytes of it say all. */
static inline size_t fc_extra_size(const struct fc_extra *x)
{
    return x->vlan_count || x->mpls_count || x->tunnel_count ? sizeof *x : offsetof(struct fc_extra, vlan);
}

/* FC_WANT_* bits that need a struct fc_extra. */
enum { FC_WANT_EXTRA = FC_WANT_ALL & ~FC_WANT_SESSION };

/* Adds a packet that goes in direction `dir`, which need not be the one that it shows by itself. */
void fc_extra_add(struct fc_extra *extra, const struct fc_packet *packet, unsigned dir);

/* Appends `next`, which comes behind. */
void fc_extra_append(struct fc_extra *extra, const struct fc_extra *next);

/* Gives all that has a direction the other one. */
void fc_extra_turn(struct fc_extra *extra);

#endif
