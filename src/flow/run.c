/* SPDX-License-Identifier: MIT */
#include "flow/run.h"

/* Direction d counts from `base`, as the packet at ts_ns tells. */
static void set_base(struct fc_run *run, unsigned d, uint32_t base, int64_t ts_ns)
{
    run->base[d] = base;
    run->base_ns[d] = ts_ns;
    run->base_set |= 1u << d;
}

void fc_run_add_bases(struct fc_run *run, const struct fc_packet *p, int64_t ts_ns)
{
    unsigned d = p->dir, bit = 1u << d, other = 1u << !d;

    if (p->frag != FC_FRAG_NONE)
        return; /* the header of a fragmented datagram is not trusted with sequence numbers (as Wireshark does) */
    if ((p->tcp_flags & (FC_TCP_SYN | FC_TCP_ACK)) == (FC_TCP_SYN | FC_TCP_ACK)) {
        set_base(run, d, p->tcp_seq, ts_ns);
        run->base_synack |= bit;
    } else if (!(run->base_set & bit)) {
        set_base(run, d, p->tcp_flags & FC_TCP_SYN ? p->tcp_seq : p->tcp_seq - 1, ts_ns);
    }
    if ((p->tcp_flags & FC_TCP_ACK) && !(run->base_set & other))
        set_base(run, !d, p->tcp_ack - 1, ts_ns);
}

void fc_extra_add(struct fc_extra *x, const struct fc_packet *p)
{
    unsigned d = p->dir, bit = 1u << d;

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
        x->has_flags |= bit;
        if ((p->tcp_flags & FC_TCP_SYN) && !(x->has_isn & bit)) {
            x->isn[d] = p->tcp_seq;
            x->has_isn |= bit;
        }
    }
    if (p->got & FC_WANT_PAYLOAD) {
        x->payload_bytes[d] += p->payload_bytes;
        x->has_payload |= bit;
    }
}

/* All but the bases, for which the order matters. */
static void fold_counts(struct fc_run *run, const struct fc_run *next)
{
    if (run->first_ns == FC_TIME_NONE) {
        run->first_ns = next->first_ns;
        run->min_ns = next->min_ns;
        run->max_ns = next->max_ns;
        run->backward |= next->backward;
    } else if (next->first_ns != FC_TIME_NONE) {
        run->backward |= next->backward | (next->min_ns < run->max_ns);
        run->min_ns = next->min_ns < run->min_ns ? next->min_ns : run->min_ns;
        run->max_ns = next->max_ns > run->max_ns ? next->max_ns : run->max_ns;
    }
    if (run->first_dir == FC_NO_DIR) {
        run->first_dir = next->first_dir;
        run->first_synack = next->first_synack;
        run->syn_dir = next->syn_dir;
        run->syn_seq = next->syn_seq;
    }
    run->fragile |= next->fragile;
    for (unsigned d = 0; d < 2; d++) {
        run->packets[d] += next->packets[d];
        run->bytes[d] += next->bytes[d];
        run->tcp_flags[d] |= next->tcp_flags[d];
    }
}

static void take_base(struct fc_run *run, const struct fc_run *next, unsigned d)
{
    run->base[d] = next->base[d];
    run->base_ns[d] = next->base_ns[d];
}

void fc_run_fold(struct fc_run *run, const struct fc_run *next)
{
    fold_counts(run, next);
    for (unsigned d = 0; d < 2; d++)
        if ((next->base_set >> d & 1) && (!(run->base_set >> d & 1) || (next->base_synack >> d & 1)))
            take_base(run, next, d);
    run->base_set |= next->base_set;
    run->base_synack |= next->base_synack;
}

void fc_run_mix(struct fc_run *run, const struct fc_run *other)
{
    fold_counts(run, other);
    for (unsigned d = 0; d < 2; d++) {
        if (!(other->base_set >> d & 1))
            continue;
        bool set = run->base_set >> d & 1, synack = run->base_synack >> d & 1, theirs = other->base_synack >> d & 1;
        bool later = other->base_ns[d] > run->base_ns[d];
        /* of SYN-ACKs the last one counts, whatever else there is; else whoever told first */
        if (!set || (theirs && !synack) || (theirs == synack && later == theirs))
            take_base(run, other, d);
    }
    run->base_set |= other->base_set;
    run->base_synack |= other->base_synack;
}

bool fc_run_unclear(const struct fc_run *run, const struct fc_run *other)
{
    for (unsigned d = 0; d < 2; d++) {
        bool both = run->base_set & other->base_set & 1u << d, synack = run->base_synack & other->base_synack & 1u << d;
        bool one = (run->base_synack ^ other->base_synack) & 1u << d;
        if (!both || one || run->base[d] == other->base[d])
            continue;
        if (synack || run->backward || other->backward || run->base_ns[d] == other->base_ns[d] ||
            run->base_ns[d] == FC_TIME_NONE || other->base_ns[d] == FC_TIME_NONE)
            return true;
    }
    return false;
}

bool fc_extra_unclear(const struct fc_extra *x, const struct fc_extra *o)
{
    if (x->vlan_count && o->vlan_count &&
        (x->vlan_count != o->vlan_count || memcmp(x->vlan, o->vlan, x->vlan_count * sizeof x->vlan[0]) != 0))
        return true;
    if (x->mpls_count && o->mpls_count &&
        (x->mpls_count != o->mpls_count || memcmp(x->mpls, o->mpls, x->mpls_count * sizeof x->mpls[0]) != 0))
        return true;
    if (x->tunnel_count && o->tunnel_count &&
        (x->tunnel_count != o->tunnel_count ||
         memcmp(x->tunnel, o->tunnel, x->tunnel_count * sizeof x->tunnel[0]) != 0))
        return true;
    if (x->has_mac && o->has_mac && memcmp(x->mac, o->mac, sizeof x->mac) != 0)
        return true;
    for (unsigned d = 0; d < 2; d++) {
        unsigned bit = 1u << d;
        if ((x->has_ttl & o->has_ttl & bit && x->ttl[d] != o->ttl[d]) ||
            (x->has_dscp & o->has_dscp & bit && x->dscp[d] != o->dscp[d]) ||
            (x->has_isn & o->has_isn & bit && x->isn[d] != o->isn[d]))
            return true;
    }
    return false;
}

void fc_extra_fold(struct fc_extra *x, const struct fc_extra *next)
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
    for (unsigned d = 0; d < 2; d++) {
        unsigned bit = 1u << d;
        if (!(x->has_ttl & bit))
            x->ttl[d] = next->ttl[d];
        if (!(x->has_dscp & bit))
            x->dscp[d] = next->dscp[d];
        if (!(x->has_isn & bit))
            x->isn[d] = next->isn[d];
        x->tcp_flags[d] |= next->tcp_flags[d];
        x->payload_bytes[d] += next->payload_bytes[d];
    }
    x->has_ttl |= next->has_ttl;
    x->has_dscp |= next->has_dscp;
    x->has_isn |= next->has_isn;
    x->has_flags |= next->has_flags;
    x->has_payload |= next->has_payload;
}

#define SWAP(pair)                                                                                                     \
    do {                                                                                                               \
        __typeof__((pair)[0]) first = (pair)[0];                                                                       \
        (pair)[0] = (pair)[1];                                                                                         \
        (pair)[1] = first;                                                                                             \
    } while (0)

void fc_run_turn(struct fc_run *run)
{
    SWAP(run->packets);
    SWAP(run->bytes);
    run->first_dir ^= run->first_dir != FC_NO_DIR;
}

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
    SWAP(x->ttl);
    SWAP(x->dscp);
    SWAP(x->payload_bytes);
    x->has_ttl = swap_bits(x->has_ttl);
    x->has_dscp = swap_bits(x->has_dscp);
    x->has_payload = swap_bits(x->has_payload);
}

enum fc_state fc_run_state(const struct fc_run *run, uint32_t proto)
{
    bool both = run->packets[0] && run->packets[1];

    if (proto == 6) {
        uint8_t any = run->tcp_flags[0] | run->tcp_flags[1];
        if (any & FC_TCP_RST)
            return FC_STATE_RESET;
        if (run->tcp_flags[0] & run->tcp_flags[1] & FC_TCP_FIN)
            return FC_STATE_CLOSED;
        if (!(any & FC_TCP_SYN))
            return FC_STATE_MIDSTREAM;
    }
    return both ? FC_STATE_ESTABLISHED : FC_STATE_NEW;
}

bool fc_run_splits(const struct fc_rules *rules, uint32_t proto, const struct fc_run *run, const struct fc_run *next)
{
    if (next->syn_dir != FC_NO_DIR && (run->base_set >> next->syn_dir & 1) && run->base[next->syn_dir] != next->syn_seq)
        return true;
    if (next->first_ns == FC_TIME_NONE || run->max_ns == FC_TIME_NONE || next->first_ns <= run->max_ns)
        return false;
    return (uint64_t)next->first_ns - (uint64_t)run->max_ns > (uint64_t)fc_run_timeout_ns(rules, proto, run);
}

int64_t fc_run_timeout_ns(const struct fc_rules *rules, uint32_t proto, const struct fc_run *run)
{
    enum fc_state state = fc_run_state(run, proto);

    /* a stream picked up in the middle of which one side was seen has not been answered either */
    if (state == FC_STATE_MIDSTREAM)
        state = run->packets[0] && run->packets[1] ? FC_STATE_ESTABLISHED : FC_STATE_NEW;
    return fc_rules_timeout_ns(rules, proto, state);
}

int64_t fc_run_expiry_ns(const struct fc_rules *rules, uint32_t proto, const struct fc_run *run)
{
    int64_t timeout = fc_run_timeout_ns(rules, proto, run), at;

    if (run->max_ns == FC_TIME_NONE || timeout == FC_NEVER || __builtin_add_overflow(run->max_ns, timeout, &at))
        return FC_NEVER;
    return at;
}
