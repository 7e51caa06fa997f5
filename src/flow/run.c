/* SPDX-License-Identifier: MIT */
#include "flow/run.h"

void fc_run_add_tcp(struct fc_run *run, const struct fc_packet *p)
{
    unsigned d = p->dir, bit = 1u << d, other = 1u << !d;

    run->tcp_flags[d] |= p->tcp_flags;
    if (p->frag != FC_FRAG_NONE)
        return; /* the header of a fragmented datagram is not trusted with sequence numbers (as Wireshark does) */
    if ((p->tcp_flags & (FC_TCP_SYN | FC_TCP_ACK)) == (FC_TCP_SYN | FC_TCP_ACK)) {
        run->base[d] = p->tcp_seq;
        run->base_set |= bit;
        run->base_synack |= bit;
    } else if (!(run->base_set & bit)) {
        run->base[d] = p->tcp_flags & FC_TCP_SYN ? p->tcp_seq : p->tcp_seq - 1;
        run->base_set |= bit;
    }
    if ((p->tcp_flags & FC_TCP_ACK) && !(run->base_set & other)) {
        run->base[!d] = p->tcp_ack - 1;
        run->base_set |= other;
    }
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

void fc_run_fold(struct fc_run *run, const struct fc_run *next)
{
    if (run->first_ns == FC_TIME_NONE) {
        run->first_ns = next->first_ns;
        run->min_ns = next->min_ns;
        run->max_ns = next->max_ns;
    } else if (next->first_ns != FC_TIME_NONE) {
        run->min_ns = next->min_ns < run->min_ns ? next->min_ns : run->min_ns;
        run->max_ns = next->max_ns > run->max_ns ? next->max_ns : run->max_ns;
    }
    if (run->first_dir == FC_NO_DIR) {
        run->first_dir = next->first_dir;
        run->first_synack = next->first_synack;
        run->syn_dir = next->syn_dir;
        run->syn_seq = next->syn_seq;
    }
    for (unsigned d = 0; d < 2; d++) {
        unsigned bit = 1u << d;
        run->packets[d] += next->packets[d];
        run->bytes[d] += next->bytes[d];
        run->tcp_flags[d] |= next->tcp_flags[d];
        if (!(next->base_set & bit))
            continue;
        if (!(run->base_set & bit) || (next->base_synack & bit))
            run->base[d] = next->base[d];
    }
    run->base_set |= next->base_set;
    run->base_synack |= next->base_synack;
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
    enum fc_state state = fc_run_state(run, proto);
    /* a stream picked up in the middle of which one side was seen has not been answered either */
    if (state == FC_STATE_MIDSTREAM)
        state = run->packets[0] && run->packets[1] ? FC_STATE_ESTABLISHED : FC_STATE_NEW;
    return (uint64_t)next->first_ns - (uint64_t)run->max_ns > (uint64_t)fc_rules_timeout_ns(rules, proto, state);
}
