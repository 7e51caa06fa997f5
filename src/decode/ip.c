/* SPDX-License-Identifier: MIT */
/* IPv4 and IPv6 fixed headers. Extension headers are in transport.c: they share the protocol number space. */
#include "decode/walk.h"

/* An IP header starts a session of its own: nothing of an outer one stays. */
static void ip_session(struct fc_walk *w, uint8_t kind, const uint8_t *src, const uint8_t *dst)
{
    w->addr_kind = kind;
    w->addr[0] = src;
    w->addr[1] = dst;
    w->port[0] = w->port[1] = 0;
    w->one_way = 0;
    w->payload_known = 0;
    w->ip = fc_here(w);
    w->ip_version = kind;
}

/*
 * Where the datagram ends. `total` is its length by the header; 0 where that says nothing (offload, jumbogram), then
 * it runs to the end of the record. Beyond it stands link padding; a capture may also end before it.
 */
static void ip_trim(struct fc_walk *w, uint32_t total)
{
    w->ip_wire_end = total ? (uint64_t)w->off + total : w->wire_len;
    if (w->ip_wire_end < w->carried_end)
        w->carried_end = w->ip_wire_end;
    if (total && total < fc_left(w))
        w->end = w->off + total;
}

static enum fc_step ipv4(struct fc_walk *w)
{
    const uint8_t *ip = fc_here(w);

    if (fc_left(w) < 20 || ip[0] >> 4 != 4 || (ip[0] & 15) < 5)
        return FC_STEP_MALFORMED;
    uint32_t size = (ip[0] & 15) * 4u, total = fc_be16(ip + 2), fragment = fc_be16(ip + 6);

    fc_push_layer(w, FC_LAYER_IPV4);
    ip_session(w, FC_ADDR_IPV4, ip + 12, ip + 16);
    w->proto = w->next = ip[9];
    if (fragment & 0x3fff)
        fc_note_fragment(w, fragment & 0x1fff ? FC_FRAG_LATER : FC_FRAG_FIRST, fc_be16(ip + 4));
    ip_trim(w, total < size ? 0 : total);
    if (fc_left(w) < size) { /* cut in the options: the addresses are known, what follows is not */
        w->off = w->end;
        return FC_STEP_DONE;
    }
    w->off += size;
    if (w->frag == FC_FRAG_LATER) {
        fc_walk_payload(w);
        return FC_STEP_DONE;
    }
    return FC_STEP_IPPROTO;
}

static enum fc_step ipv6(struct fc_walk *w)
{
    const uint8_t *ip = fc_here(w);

    if (fc_left(w) < 40)
        return FC_STEP_MALFORMED;
    uint32_t length = fc_be16(ip + 4);

    fc_push_layer(w, FC_LAYER_IPV6);
    ip_session(w, FC_ADDR_IPV6, ip + 8, ip + 24);
    w->proto = w->next = ip[6];
    ip_trim(w, length ? 40 + length : 0);
    w->off += 40;
    return FC_STEP_IPPROTO;
}

enum fc_step fc_step_ip(struct fc_walk *w)
{
    if (fc_left(w) > 0 && *fc_here(w) >> 4 == 6)
        return ipv6(w);
    return ipv4(w);
}
