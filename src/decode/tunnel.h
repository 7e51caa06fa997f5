/* SPDX-License-Identifier: MIT */
/*
 * Tunnels over IP: what an IP protocol number leads to, and looks ahead that tell content from chance.
 *
 * A tunnel calls fc_enter() once its own header is known to be whole and plausible, and returns the step of what it
 * carries. Where it does not, the packet stays in the session noted so far.
 */
#ifndef FC_DECODE_TUNNEL_H
#define FC_DECODE_TUNNEL_H

#include "decode/walk.h"

/* `next` is an IP protocol that is no transport; its payload is noted already. */
enum fc_step fc_ip_tunnel(struct fc_walk *w);

/* GRE at `off`; false when it is none that is known, `off` is where it was then. */
bool fc_gre(struct fc_walk *w, enum fc_step *step);

/* L2TPv3 data at `off`, behind what says that it is one: session, cookie and sublayer of unknown size, frame. */
enum fc_step fc_l2tpv3(struct fc_walk *w, uint32_t wire);

/*
 * Can an IP header stand `ahead` bytes from `off`, with `wire` bytes from there to the end on the wire? What was
 * captured of version, header length and total length must say so; `whole`: the lengths must be there and equal `wire`.
 */
bool fc_ip_at(const struct fc_walk *w, uint32_t ahead, uint32_t wire, bool whole);

/*
 * The same for an Ethernet header. Its type must be one that is known, and fit what follows. `whole`: what follows must
 * be IP or ARP of the right length, padded to the shortest frame if need be.
 */
bool fc_ethernet_at(const struct fc_walk *w, uint32_t ahead, uint32_t wire, bool whole);

/* Bytes from `off` to the end of the datagram on the wire. */
static inline uint32_t fc_wire_left(const struct fc_walk *w)
{
    uint64_t end = w->ip ? w->ip_wire_end : w->wire_len;

    return end > w->off ? (uint32_t)(end - w->off) : 0;
}

#endif
