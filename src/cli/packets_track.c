/* SPDX-License-Identifier: MIT */
#include "cli/packets_track.h"

static void begin(struct fc_track *t, int end, uint32_t base)
{
    t->base[end] = base;
    t->has_base[end] = true;
}

void fc_track_packet(struct fc_track *t, const struct fc_session_packet *packet, struct fc_relative *relative)
{
    const struct fc_packet *p = &packet->packet;
    int from = (int)packet->from, to = !from;

    *relative = (struct fc_relative){0};
    if (!(p->got & FC_WANT_TCP) || packet->from == FC_FROM_UNKNOWN)
        return;
    bool syn = p->tcp_flags & FC_TCP_SYN, ack = p->tcp_flags & FC_TCP_ACK;
    if (syn && (!t->has_base[from] || t->base[from] != p->tcp_seq)) {
        if (!ack && t->has_base[from])
            t->has_base[to] = false;
        begin(t, from, p->tcp_seq);
    }
    if (!t->has_base[from])
        begin(t, from, p->tcp_seq - 1);
    if (!t->has_base[to] && ack)
        begin(t, to, p->tcp_ack - 1);
    relative->has_seq = true;
    relative->seq = p->tcp_seq - t->base[from];
    relative->has_ack = ack;
    relative->ack = ack ? p->tcp_ack - t->base[to] : 0;
}

bool fc_track_shown(struct fc_track *t, int64_t ts_ns, int64_t *ns)
{
    if (ts_ns == FC_TIME_NONE)
        return false;
    if (!t->has_first) {
        t->has_first = true;
        t->first_ns = ts_ns;
    }
    return !__builtin_sub_overflow(ts_ns, t->first_ns, ns);
}
