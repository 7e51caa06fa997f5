/* SPDX-License-Identifier: MIT */
/*
 * The naive twin of the session rules: packet by packet, one flow after the other, no chunks, no threads. It is written
 * from docs/sessions.md, section by section, not from the code, and shares none of it but the table of timeouts.
 */
#ifndef FC_TEST_TWIN_H
#define FC_TEST_TWIN_H

#include "flow/rules.h"
#include "traffic.h"

/* Optional fields: of each, what the first packet says that has it; by sender where there are two. */
struct twin_fields {
    uint8_t vlan_count, mpls_count, tunnel_count; /* 0: no packet has any */
    uint16_t vlan[FC_VLAN_MAX];
    uint32_t mpls[FC_MPLS_MAX];
    struct fc_tunnel tunnel[FC_TUNNEL_MAX];
    bool has_mac, has_ttl[2], has_dscp[2], has_flags[2], has_isn[2], has_payload[2];
    uint8_t mac[2][6]; /* by endpoint */
    uint8_t ttl[2], dscp[2];
    uint8_t tcp_flags[2]; /* of all packets */
    uint32_t isn[2];      /* of SYN and SYN-ACK */
    uint64_t payload_bytes[2];
};

struct twin_session {
    struct fc_flow_key key;
    int64_t id;                /* 1, 2, 3...; provisional: -1, -2... */
    int64_t counted_ns;        /* place of the first packet; with late, file and off, the order of IDs */
    uint32_t file;             /* of the first packet */
    uint64_t off;              /* of the first packet */
    bool late;                 /* which was given up: behind others of its time */
    int64_t first_ns, last_ns; /* counted time of the first packet, place of the latest one; FC_TIME_NONE */
    int64_t min_ns, max_ns;    /* own times; FC_TIME_NONE */
    uint64_t packets[2], bytes[2];
    uint8_t tcp_flags[2];
    uint32_t base[2];
    bool base_set[2];
    unsigned client; /* endpoint */
    enum fc_state state;
    bool open, provisional;
    struct twin_fields fields;
    const struct traffic_packet **list; /* its packets, in the flow's order */
    size_t count;
};
struct twin {
    struct twin_session *sessions; /* 1, 2, 3..., then -1, -2... */
    size_t count;
    int64_t clock_ns; /* FC_TIME_NONE */
};

void twin_make(struct twin *twin, const struct traffic *t, const struct fc_rules *rules);

/* The same with other limits of fragments: first fragments' names remembered, later fragments that wait. At least 1. */
void twin_make_limited(struct twin *twin, const struct traffic *t, const struct fc_rules *rules, size_t names,
                       size_t waiting);
void twin_free(struct twin *twin);

/* The session that has the packet at a position, or NULL. */
const struct twin_session *twin_find(const struct twin *twin, uint32_t file, uint64_t off);

#endif
