/* SPDX-License-Identifier: MIT */
/*
 * A run: what the session rules need to know of a stretch of packets of one flow, without the packets.
 *
 * Runs are made packet by packet (fc_run_add) by a reader, which begins a new one at each TCP SYN without ACK and at
 * each gap over the smallest timeout. Inside a run no session can end, so runs can be folded in order (fc_run_fold) and
 * the fold does not depend on where the stretches were cut: fold(fold(a, b), c) = fold(a, fold(b, c)). That is what
 * makes the index independent of threads and chunks.
 *
 * Directions are those of the flow key: 0 from endpoint 0, 1 from endpoint 1.
 */
#ifndef FC_FLOW_RUN_H
#define FC_FLOW_RUN_H

#include "flow/rules.h"

#include <flowcarve/capture.h>
#include <flowcarve/decode.h>
#include <stdbool.h>
#include <string.h>

enum { FC_NO_DIR = 2 };

struct fc_run {
    int64_t first_ns; /* time of the first packet that has one, in the flow's order; FC_TIME_NONE: none has */
    int64_t min_ns;   /* earliest and latest */
    int64_t max_ns;
    uint64_t packets[2];
    uint64_t bytes[2]; /* on the wire */
    /*
     * TCP: the sequence number from which each direction counts, as Wireshark tells streams apart: that of the SYN, or
     * one before the first packet's, or one before what the other side acknowledged when it spoke first; a SYN-ACK sets
     * it anew.
     */
    uint32_t base[2];
    int64_t base_ns[2];   /* time of the packet that told it, when base_set; for runs that interleave */
    uint32_t syn_seq;     /* when the run starts with a SYN without ACK */
    uint8_t syn_dir;      /* its direction, or FC_NO_DIR */
    uint8_t base_set;     /* bit d: base[d] is known */
    uint8_t base_synack;  /* bit d: it comes from a SYN-ACK */
    uint8_t tcp_flags[2]; /* or-ed */
    uint8_t first_dir;    /* of the first packet; FC_NO_DIR in an empty run */
    uint8_t first_synack; /* the first packet was a SYN-ACK: its sender is the server */
    uint8_t backward;     /* some packet was earlier than one before it */
    uint8_t fragile;      /* a session ended up whole only for want of what was in front of it: see flow/join.h */
};

/* Optional fields, for an index made with --fields. The first packet that has one counts, but flags and payload. */
struct fc_extra {
    uint64_t payload_bytes[2];
    uint32_t mpls[FC_MPLS_MAX];
    uint32_t isn[2];
    struct fc_tunnel tunnel[FC_TUNNEL_MAX];
    uint16_t vlan[FC_VLAN_MAX];
    uint8_t vlan_count, mpls_count, tunnel_count;
    uint8_t has_mac; /* bit d: mac[d] of endpoint d */
    uint8_t has_ttl; /* bit d */
    uint8_t has_dscp;
    uint8_t has_isn;
    uint8_t has_flags;
    uint8_t has_payload;
    uint8_t mac[2][6];
    uint8_t ttl[2], dscp[2];
    uint8_t tcp_flags[2];
};

/* FC_WANT_* bits that need a struct fc_extra. */
enum { FC_WANT_EXTRA = FC_WANT_ALL & ~FC_WANT_SESSION };

static inline void fc_run_init(struct fc_run *run)
{
    memset(run, 0, sizeof *run);
    run->first_ns = run->min_ns = run->max_ns = FC_TIME_NONE;
    run->syn_dir = run->first_dir = FC_NO_DIR;
}

/* A SYN without ACK, whole: it may begin another session. */
static inline bool fc_packet_opens(const struct fc_packet *p)
{
    return (p->got & FC_WANT_TCP) && (p->tcp_flags & (FC_TCP_SYN | FC_TCP_ACK)) == FC_TCP_SYN &&
           p->frag == FC_FRAG_NONE;
}

/* True when the packet must begin a new run. min_gap_ns as fc_rules_min_gap_ns(). */
static inline bool fc_run_breaks(const struct fc_run *run, const struct fc_packet *p, int64_t ts_ns, int64_t min_gap_ns)
{
    if (ts_ns != FC_TIME_NONE && run->max_ns != FC_TIME_NONE && ts_ns > run->max_ns &&
        (uint64_t)ts_ns - (uint64_t)run->max_ns > (uint64_t)min_gap_ns)
        return true;
    /* packets without a time belong to what is in front of them, so they must not stand at the head of a run with times */
    if (ts_ns != FC_TIME_NONE && run->max_ns == FC_TIME_NONE)
        return true;
    return fc_packet_opens(p);
}

/* What a TCP header tells of the sequence numbers. */
void fc_run_add_bases(struct fc_run *run, const struct fc_packet *p, int64_t ts_ns);

/* Adds a packet. The caller has asked fc_run_breaks() before, unless the run is empty. */
static inline void fc_run_add(struct fc_run *run, const struct fc_packet *p, int64_t ts_ns, uint32_t origlen)
{
    if (ts_ns != FC_TIME_NONE) {
        if (run->first_ns == FC_TIME_NONE) {
            run->first_ns = run->min_ns = run->max_ns = ts_ns;
        } else {
            run->backward |= ts_ns < run->max_ns;
            run->min_ns = ts_ns < run->min_ns ? ts_ns : run->min_ns;
            run->max_ns = ts_ns > run->max_ns ? ts_ns : run->max_ns;
        }
    }
    if (run->first_dir == FC_NO_DIR) {
        run->first_dir = p->dir;
        run->first_synack =
            (p->got & FC_WANT_TCP) && (p->tcp_flags & (FC_TCP_SYN | FC_TCP_ACK)) == (FC_TCP_SYN | FC_TCP_ACK);
        if (fc_packet_opens(p)) {
            run->syn_dir = p->dir;
            run->syn_seq = p->tcp_seq;
        }
    }
    run->packets[p->dir]++;
    run->bytes[p->dir] += origlen;
    if (p->got & FC_WANT_TCP) {
        run->tcp_flags[p->dir] |= p->tcp_flags;
        /* both known: nothing but a SYN-ACK sets them anew */
        if (run->base_set != 3 || p->tcp_flags & FC_TCP_SYN)
            fc_run_add_bases(run, p, ts_ns);
    }
}

/* The same for the optional fields. */
void fc_extra_add(struct fc_extra *extra, const struct fc_packet *p);

/* Appends `next`, which follows `run` in the flow's order. */
void fc_run_fold(struct fc_run *run, const struct fc_run *next);
void fc_extra_fold(struct fc_extra *extra, const struct fc_extra *next);

/*
 * The same for a run whose packets interleave with those of `run`, as captures that overlap in time bring it; both have come
 * in the order of their first packets. fc_run_unclear() must have said false.
 */
void fc_run_mix(struct fc_run *run, const struct fc_run *other);

/* True when the fold of two interleaving runs needs their packets one by one. */
bool fc_run_unclear(const struct fc_run *run, const struct fc_run *other);
bool fc_extra_unclear(const struct fc_extra *extra, const struct fc_extra *other);

/* Gives later fragments, which have neither ports nor a TCP header, the other direction. */
void fc_run_turn(struct fc_run *run);
void fc_extra_turn(struct fc_extra *extra);

enum fc_state fc_run_state(const struct fc_run *run, uint32_t proto);

/* Timeout of the session that a run is, ns; FC_NEVER: none. */
int64_t fc_run_timeout_ns(const struct fc_rules *rules, uint32_t proto, const struct fc_run *run);

/* Latest time at which a packet still continues the session; FC_NEVER: at any time. */
int64_t fc_run_expiry_ns(const struct fc_rules *rules, uint32_t proto, const struct fc_run *run);

/* True when `next` begins another session than `run`. */
bool fc_run_splits(const struct fc_rules *rules, uint32_t proto, const struct fc_run *run, const struct fc_run *next);

/* Endpoint of the key that is the client. */
static inline int fc_run_client(const struct fc_run *run)
{
    return run->first_dir == FC_NO_DIR ? 0 : run->first_dir ^ run->first_synack;
}

#endif
