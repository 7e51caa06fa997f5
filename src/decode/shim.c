/* SPDX-License-Identifier: MIT */
/* What wraps a frame below IP: tags and bridges by EtherType, Ethernet inside of something, pseudowires. */
#include "decode/tunnel.h"

enum fc_step fc_step_ethernet(struct fc_walk *w)
{
    if (fc_left(w) < 14)
        return FC_STEP_MALFORMED;
    /* a session without IP keeps the link addresses of the record's own header */
    w->next = fc_be16(fc_here(w) + 12);
    fc_push_layer(w, FC_LAYER_ETHERNET);
    w->off += 14;
    return FC_STEP_ETHERTYPE;
}

static enum fc_step enter(struct fc_walk *w, enum fc_tunnel_kind kind, uint32_t id, enum fc_step step)
{
    if (fc_enter(w, kind, id))
        return step;
    fc_push_layer(w, FC_LAYER_PAYLOAD);
    return FC_STEP_DONE;
}

/* Bytes that the tag of an EtherType takes; of most the last two are the EtherType that follows. */
static uint32_t shim_size(uint32_t type)
{
    switch (type) {
    case FC_ETHERTYPE_TEB:
        return 0;
    case FC_ETHERTYPE_FABRICPATH:
        return 2;
    case FC_ETHERTYPE_PBB:
        return 4;
    case FC_ETHERTYPE_CMD:
        return 8;
    default:
        return 6;
    }
}

enum fc_step fc_step_shim(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);
    uint32_t type = w->next, size = shim_size(type);

    if (fc_left(w) < size)
        return FC_STEP_MALFORMED;
    if (size)
        fc_push_layer(w, FC_LAYER_TUNNEL);
    w->off += size;
    switch (type) {
    case FC_ETHERTYPE_PBB: /* IEEE 802.1ah: I-TAG, its last three bytes the service */
        return enter(w, FC_TUNNEL_PBB, fc_be32(p) & 0xffffff, FC_STEP_ETHERNET);
    case FC_ETHERTYPE_VNTAG: /* interfaces */
        w->next = fc_be16(p + 4);
        return enter(w, FC_TUNNEL_VNTAG, 0, FC_STEP_ETHERTYPE);
    case FC_ETHERTYPE_HSR: /* path, length, sequence; so Cisco's metadata: version, length, options, group */
    case FC_ETHERTYPE_CMD:
        w->next = fc_be16(p + size - 2);
        return FC_STEP_ETHERTYPE;
    default: /* bridged Ethernet; FabricPath, which has a frame behind forwarding tag and TTL */
        return FC_STEP_ETHERNET;
    }
}

/*
 * Nothing names what the last label carries (RFC 3032, 2.2): IP by its first nibble, or Ethernet with or without a
 * control word (RFC 4448), whose first four bits are 0 and whose next twelve are reserved. A link address may begin like
 * any of these, so what follows has to fit.
 */
enum fc_step fc_step_mpls_payload(struct fc_walk *w)
{
    uint32_t wire = fc_wire_left(w), left = fc_left(w);

    if (left == 0)
        return FC_STEP_DONE;
    /* a link address may look like IP of unknown length: a frame that fits exactly is the better guess */
    if (fc_ip_at(w, 0, wire, false) && (fc_ip_at(w, 0, wire, true) || !fc_ethernet_at(w, 0, wire, true)))
        return FC_STEP_IP;
    if (left >= 4 && wire >= 4 && fc_be16(fc_here(w)) == 0 && fc_ethernet_at(w, 4, wire - 4, false)) {
        fc_push_layer(w, FC_LAYER_TUNNEL);
        w->off += 4;
        return enter(w, FC_TUNNEL_PW, 0, FC_STEP_ETHERNET);
    }
    if (fc_ethernet_at(w, 0, wire, false))
        return enter(w, FC_TUNNEL_PW, 0, FC_STEP_ETHERNET);
    uint8_t first = *fc_here(w);
    if (first >> 4 == 6 || (first >> 4 == 4 && (first & 15) >= 5)) /* IP whose length is wrong */
        return FC_STEP_IP;
    fc_push_layer(w, FC_LAYER_PAYLOAD);
    return FC_STEP_DONE;
}
