/* SPDX-License-Identifier: MIT */
/* What wraps a frame below IP: tags and bridges by EtherType, Ethernet inside of something, pseudowires. */
#include "decode/tunnel.h"

#define OPAQUE UINT32_MAX /* in place of a size: what follows cannot be read */

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

/* RFC 6325: version 0, options of 4 bytes; then Ethernet. */
static uint32_t trill_size(const uint8_t *p)
{
    return p[0] >> 6 ? OPAQUE : 6 + (fc_be16(p) >> 6 & 31) * 4u;
}

/* IEEE 802.1AE: flags, length, number, perhaps the channel. Without encryption an EtherType follows. */
static uint32_t macsec_size(uint8_t flags)
{
    enum { VERSION = 0x80, CHANNEL = 0x20, ENCRYPTED = 0x08, CHANGED = 0x04 };

    if (flags & (VERSION | ENCRYPTED | CHANGED))
        return OPAQUE;
    return flags & CHANNEL ? 16 : 8;
}

/* Type, version, ...; then Ethernet. Of the rest of B.A.T.M.A.N. advanced nothing is a whole frame. */
static uint32_t batman_size(const uint8_t *p)
{
    enum { VERSION = 15, BROADCAST = 0x01, UNICAST = 0x40, UNICAST_4 = 0x42 };

    if (p[1] != VERSION)
        return OPAQUE;
    return p[0] == UNICAST ? 10 : p[0] == BROADCAST ? 14 : p[0] == UNICAST_4 ? 18 : OPAQUE;
}

/*
 * Bytes that the tag of an EtherType takes; of most the last two are the EtherType that follows. Two of it are there.
 */
static uint32_t shim_size(uint32_t type, const uint8_t *p)
{
    switch (type) {
    case FC_ETHERTYPE_FABRICPATH:
        return 2;
    case FC_ETHERTYPE_PBB:
        return 4;
    case FC_ETHERTYPE_CMD:
    case FC_ETHERTYPE_ETAG:
        return 8;
    case FC_ETHERTYPE_TRILL:
        return trill_size(p);
    case FC_ETHERTYPE_MACSEC:
        return macsec_size(p[0]);
    case FC_ETHERTYPE_BATMAN:
        return batman_size(p);
    default:
        return 6;
    }
}

enum fc_step fc_step_shim(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);
    uint32_t type = w->next, size;

    if (type == FC_ETHERTYPE_TEB)
        return FC_STEP_ETHERNET;
    if (fc_left(w) < 2)
        return FC_STEP_MALFORMED;
    size = shim_size(type, p);
    if (size == OPAQUE) {
        fc_push_layer(w, FC_LAYER_PAYLOAD);
        return FC_STEP_DONE;
    }
    if (fc_left(w) < size)
        return FC_STEP_MALFORMED;
    fc_push_layer(w, FC_LAYER_TUNNEL);
    w->off += size;
    switch (type) {
    case FC_ETHERTYPE_PBB: /* IEEE 802.1ah: I-TAG, its last three bytes the service */
        return enter(w, FC_TUNNEL_PBB, fc_be32(p) & 0xffffff, FC_STEP_ETHERNET);
    case FC_ETHERTYPE_VNTAG: /* interfaces */
        w->next = fc_be16(p + 4);
        return enter(w, FC_TUNNEL_VNTAG, 0, FC_STEP_ETHERTYPE);
    case FC_ETHERTYPE_HSR:  /* path, length, sequence; */
    case FC_ETHERTYPE_CMD:  /* Cisco's metadata: version, length, options, group; */
    case FC_ETHERTYPE_ETAG: /* priority, ports; */
    case FC_ETHERTYPE_RTAG: /* reserved, sequence */
    case FC_ETHERTYPE_MACSEC:
        w->next = fc_be16(p + size - 2);
        return FC_STEP_ETHERTYPE;
    default: /* FabricPath has a frame behind forwarding tag and TTL, TRILL and B.A.T.M.A.N. behind the whole header */
        return FC_STEP_ETHERNET;
    }
}

/*
 * Nothing names what the last label carries (RFC 3032, 2.2): IP by its first nibble, or Ethernet with or without a
 * control word (RFC 4448), whose first four bits are 0 and whose next twelve are reserved. A link address may begin
 * like any of these, so what follows has to fit.
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
