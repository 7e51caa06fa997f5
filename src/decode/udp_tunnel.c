/* SPDX-License-Identifier: MIT */
#include "decode/udp_tunnel.h"
#include "decode/link.h"
#include "decode/tunnel.h"

/* Each where fc_port_slot() looks for it. */
const uint16_t fc_udp_tunnel_ports[16] = {
    [0] = FC_PORT_VXLAN_GPE,   [1] = FC_PORT_TZSP,    [2] = FC_PORT_LISP,    [3] = FC_PORT_GRE,
    [5] = FC_PORT_VXLAN_LINUX, [7] = FC_PORT_AYIYA,   [8] = FC_PORT_L2TP,    [9] = FC_PORT_MPLS,
    [10] = FC_PORT_GTPU,       [11] = FC_PORT_CAPWAP, [12] = FC_PORT_GENEVE, [14] = FC_PORT_VXLAN,
    [15] = FC_PORT_TEREDO,
};

/* Behind a header of `size` bytes. */
static bool enter(struct fc_walk *w, uint32_t size, enum fc_tunnel_kind kind, uint32_t id, enum fc_step then,
                  enum fc_step *step)
{
    if (!fc_enter(w, kind, id))
        return false;
    fc_push_layer(w, FC_LAYER_TUNNEL);
    w->off += size;
    *step = then;
    return true;
}

/* The same for a frame that starts with a link header. */
static bool enter_link(struct fc_walk *w, uint32_t size, enum fc_tunnel_kind kind, fc_step_fn *first,
                       enum fc_step *step)
{
    if (!enter(w, size, kind, 0, FC_STEP_DONE, step))
        return false;
    *step = first(w);
    return true;
}

/* What a next-protocol field of VXLAN-GPE leads to; FC_STEP_DONE: it is none. */
static enum fc_step gpe_step(uint32_t next)
{
    static const enum fc_step steps[] = {FC_STEP_DONE,     FC_STEP_IP,  FC_STEP_IP,
                                         FC_STEP_ETHERNET, FC_STEP_NSH, FC_STEP_MPLS};

    return next < sizeof(steps) / sizeof(steps[0]) ? steps[next] : FC_STEP_DONE;
}

/*
 * RFC 7348: flag I, all else zero but the VNI. Group policy sets G, its own flags and a group. GPE
 * (draft-ietf-nvo3-vxlan-gpe) adds version, next protocol with flag P, and O; some leave P out. What sets other bits,
 * which the RFC has a receiver ignore, must carry a frame that has IP of the right length in it.
 */
static bool vxlan(struct fc_walk *w, uint32_t wire, enum fc_step *step)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 8 || wire < 8 || !(p[0] & 0x08))
        return false;
    uint32_t vni = fc_be32(p + 4) >> 8;
    bool clean = !p[1] && !p[2] && !p[7], plain = clean && p[0] == 0x08 && !p[3];
    if (plain || (p[0] == 0x88 && !(p[1] & ~0x48) && !p[7]))
        return enter(w, 8, FC_TUNNEL_VXLAN, vni, FC_STEP_ETHERNET, step);
    enum fc_step next = gpe_step(p[3]);
    if (clean && (p[0] & 0xfa) == 0x08 && next != FC_STEP_DONE &&
        (p[0] & 0x04 ||
         (next == FC_STEP_ETHERNET ? fc_ethernet_at(w, 8, wire - 8, true) : fc_ip_at(w, 8, wire - 8, true))))
        return enter(w, 8, FC_TUNNEL_VXLAN_GPE, vni, next, step);
    if (fc_ethernet_at(w, 8, wire - 8, true))
        return enter(w, 8, FC_TUNNEL_VXLAN, vni, FC_STEP_ETHERNET, step);
    return false;
}

/* EtherTypes that tunnels over UDP carry. */
static bool is_carried(uint32_t type)
{
    switch (type) {
    case FC_ETHERTYPE_IPV4:
    case FC_ETHERTYPE_IPV6:
    case FC_ETHERTYPE_TEB:
    case FC_ETHERTYPE_MPLS:
    case FC_ETHERTYPE_MPLS_MCAST:
    case FC_ETHERTYPE_ERSPAN:
    case FC_ETHERTYPE_ERSPAN3:
    case FC_ETHERTYPE_NSH:
        return true;
    default:
        return false;
    }
}

/* RFC 8926: version 0, reserved bits zero, options that fill their space exactly, a payload type we can go into. */
static bool geneve(struct fc_walk *w, uint32_t wire, enum fc_step *step)
{
    const uint8_t *p = fc_here(w);
    uint32_t size = fc_left(w) >= 8 ? 8 + (p[0] & 0x3fu) * 4 : 0;

    if (!size || wire < size || p[0] >> 6 || p[1] & 0x3f || p[7] || fc_left(w) < size)
        return false;
    uint32_t type = fc_be16(p + 2), at = 8;
    while (at + 4 <= size)
        at += 4 + (p[at + 3] & 0x1fu) * 4;
    if (at != size || !is_carried(type))
        return false;
    if (!enter(w, size, FC_TUNNEL_GENEVE, fc_be32(p + 4) >> 8, FC_STEP_ETHERTYPE, step))
        return false;
    w->next = type;
    return true;
}

/*
 * TS 29.281: version 1, GTP not GTP', a G-PDU of the right length, extension headers that chain, IP or Ethernet at the
 * end.
 */
static bool gtpu(struct fc_walk *w, uint32_t wire, enum fc_step *step)
{
    const uint8_t *p = fc_here(w);
    uint32_t left = fc_left(w), size = 8;

    if (left < 8 || p[0] >> 5 != 1 || (p[0] & 0x18) != 0x10 || p[1] != 255)
        return false;
    uint32_t end = 8u + fc_be16(p + 2);
    if (end > wire)
        return false;
    if (p[0] & 7) { /* any of E, S, PN: all three fields are there */
        if (left < 12)
            return false;
        uint8_t next = p[0] & 4 ? p[11] : 0;
        for (size = 12; next; size += p[size] * 4u) {
            if (left < size + 1 || p[size] == 0 || left < size + p[size] * 4u)
                return false;
            next = p[size + p[size] * 4u - 1];
        }
    }
    if (end < size)
        return false;
    bool ip = fc_ip_at(w, size, end - size, false);
    if (!ip || !fc_ip_at(w, size, end - size, true)) {
        if (fc_ethernet_at(w, size, end - size, true))
            return enter(w, size, FC_TUNNEL_GTPU, fc_be32(p + 4), FC_STEP_ETHERNET, step);
        /* one that was cut before it came into the tunnel says more than there is */
        if (!ip && !(end == wire && fc_ip_at(w, size, UINT32_MAX, false)))
            return false;
    }
    return enter(w, size, FC_TUNNEL_GTPU, fc_be32(p + 4), FC_STEP_IP, step);
}

/* A PPP protocol that has a name, with or without address and control in front, perhaps compressed to a byte. */
static bool is_ppp(const uint8_t *p, uint32_t left)
{
    uint32_t at = left >= 2 && p[0] == 0xff && p[1] == 0x03 ? 2 : 0;

    if (left > at && p[at] & 1)
        return fc_proto_name(FC_PROTO_PPP | p[at]) != NULL;
    return left >= at + 2 && fc_proto_name(FC_PROTO_PPP | fc_be16(p + at)) != NULL;
}

/* RFC 2661: a data message of version 2, reserved bits zero, optional fields as the flags say, PPP. */
static bool l2tpv2(struct fc_walk *w, uint32_t flags, uint32_t wire, enum fc_step *step)
{
    const uint8_t *p = fc_here(w);
    uint32_t left = fc_left(w), size = 2;

    if (flags & 0x34f0 || left < 6)
        return false;
    if (flags & 0x4000) { /* length, of all from the flags on */
        if (fc_be16(p + 2) > wire)
            return false;
        size += 2;
    }
    if (left < size + 4)
        return false;
    uint32_t id = fc_be32(p + size);
    size += 4 + (flags & 0x0800 ? 4 : 0);
    if (flags & 0x0200) {
        if (left < size + 2)
            return false;
        size += 2u + fc_be16(p + size);
    }
    if (left < size || wire < size || !(id & 0xffff) || !is_ppp(p + size, left - size)) /* session 0 is control's */
        return false;
    return enter(w, size, FC_TUNNEL_L2TP, id, FC_STEP_PPP, step);
}

static bool l2tp(struct fc_walk *w, uint32_t wire, enum fc_step *step)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 8 || p[0] & 0x80) /* control */
        return false;
    uint32_t flags = fc_be16(p);
    if ((flags & 15) == 2)
        return l2tpv2(w, flags, wire, step);
    if (fc_be32(p) != 0x00030000 || !fc_be32(p + 4) || w->tunnel_count == FC_TUNNEL_MAX) /* RFC 3931, 4.1.2.1 */
        return false;
    fc_skip(w, 4);
    *step = fc_l2tpv3(w, wire > 4 ? wire - 4 : 0);
    return true;
}

/* RFC 4380, 5.1.1: perhaps authentication, perhaps origin, then IPv6 with a Teredo or link-local address. */
static bool teredo(struct fc_walk *w, uint32_t wire, enum fc_step *step)
{
    const uint8_t *p = fc_here(w);
    uint32_t left = fc_left(w), size = 0;

    if (left >= 4 && fc_be16(p) == 0x0001)
        size = 4u + p[2] + p[3] + 8 + 1;
    if (left >= size + 8 && fc_be16(p + size) == 0x0000)
        size += 8;
    if (left < size + 40 || wire < size + 40 || p[size] >> 4 != 6)
        return false;
    p += size;
    uint32_t total = 40u + fc_be16(p + 4);
    bool prefix = false;
    for (unsigned end = 8; end <= 24; end += 16)
        prefix |= fc_be32(p + end) == 0x20010000 || fc_be16(p + end) >> 6 == 0xfe80 >> 6;
    if (!prefix || total > wire - size)
        return false;
    return enter(w, size, FC_TUNNEL_TEREDO, 0, FC_STEP_IP, step);
}

/*
 * Where an optional part of CAPWAP's header that starts at `at`, with `before` bytes and a length, ends; UINT32_MAX:
 * not inside.
 */
static uint32_t capwap_part(const uint8_t *p, uint32_t at, uint32_t before, uint32_t size)
{
    return at < size && before < size - at ? at + ((before + 1 + p[at + before] + 3) & ~3u) : UINT32_MAX;
}

/*
 * RFC 5415, 4.3: version 0, not DTLS, reserved bits zero, a header length that its optional parts add up to. Only the
 * first of CAPWAP's own fragments has what can be read.
 */
static bool capwap(struct fc_walk *w, uint32_t wire, enum fc_step *step)
{
    const uint8_t *p = fc_here(w);
    uint32_t left = fc_left(w), at = 8;

    if (left < 8 || p[0] != 0 || p[7] & 7)
        return false;
    uint32_t bits = fc_be32(p), size = (bits >> 19 & 31) * 4, binding = bits >> 9 & 31;
    bool native = bits & 0x100, later = bits & 0x80 && fc_be16(p + 6) >> 3, keepalive = bits & 8;
    if (bits & 7 || keepalive || size < 8 || left < size || wire < size)
        return false;
    if (bits & 0x10) /* radio MAC address */
        at = capwap_part(p, at, 0, size);
    if (bits & 0x20 && capwap_part(p, at, 0, size) == size) /* wireless information */
        at = size;
    else if (bits & 0x20) /* of a draft, as Cisco writes it: which wireless technology it is stands before its length */
        at = capwap_part(p, at, 1, size);
    if (at != size)
        return false;
    if (native && binding == 1 && !later)
        return enter_link(w, size, FC_TUNNEL_CAPWAP, fc_link_wlan_capwap, step);
    return enter(w, size, FC_TUNNEL_CAPWAP, 0, native || later ? FC_STEP_DONE : FC_STEP_ETHERNET, step);
}

/* Version 1, a received or sent frame, tags that end. No standard; Network Chemistry's note AN001. */
static bool tzsp(struct fc_walk *w, uint32_t wire, enum fc_step *step)
{
    enum { TAG_PADDING, TAG_END };
    const uint8_t *p = fc_here(w);
    uint32_t left = fc_left(w), at = 4;

    if (left < 5 || p[0] != 1 || p[1] > 1)
        return false;
    while (p[at] != TAG_END) {
        at += p[at] == TAG_PADDING ? 1u : left > at + 1 ? 2u + p[at + 1] : left;
        if (at >= left)
            return false;
    }
    at++;
    if (at > wire)
        return false;
    switch (fc_be16(p + 2)) {
    case 1:
        return enter(w, at, FC_TUNNEL_TZSP, 0, FC_STEP_ETHERNET, step);
    case 4:
        return enter(w, at, FC_TUNNEL_TZSP, 0, FC_STEP_PPP, step);
    case 7:
        return enter(w, at, FC_TUNNEL_TZSP, 0, FC_STEP_IP, step);
    case 18:
        return enter_link(w, at, FC_TUNNEL_TZSP, fc_link_wlan, step);
    case 119:
        return enter_link(w, at, FC_TUNNEL_TZSP, fc_link_prism, step);
    case 127:
        return enter_link(w, at, FC_TUNNEL_TZSP, fc_link_avs, step);
    default:
        return false;
    }
}

/* draft-massar-v6ops-ayiya: a forwarded packet behind identity and signature, of sizes and methods that exist. */
static bool ayiya(struct fc_walk *w, uint32_t wire, enum fc_step *step)
{
    const uint8_t *p = fc_here(w);
    uint32_t left = fc_left(w);

    if (left < 8 || (p[2] & 15) != 1 || (p[0] & 15) > 2 || (p[1] & 15) > 3 || p[2] >> 4 > 2)
        return false;
    uint32_t size = 8 + (1u << (p[0] >> 4)) + (p[1] >> 4) * 4u;
    if ((p[3] != FC_IPPROTO_IPV6 && p[3] != FC_IPPROTO_IPV4) || size >= wire || !fc_ip_at(w, size, wire - size, false))
        return false;
    return enter(w, size, FC_TUNNEL_AYIYA, 0, FC_STEP_IP, step);
}

/* RFC 9300: the length of the IP packet inside must be what is left. */
static bool lisp(struct fc_walk *w, uint32_t wire, enum fc_step *step)
{
    return wire > 8 && fc_ip_at(w, 8, wire - 8, true) && enter(w, 8, FC_TUNNEL_LISP, 0, FC_STEP_IP, step);
}

/* RFC 7510: a stack of labels with a bottom, and below it IP or Ethernet with IP, of the right length. */
static bool mpls(struct fc_walk *w, uint32_t wire, enum fc_step *step)
{
    uint32_t at = 0;

    do {
        if (fc_left(w) < at + 4 || wire < at + 4 || at == FC_MPLS_MAX * 4)
            return false;
        at += 4;
    } while (!(fc_here(w)[at - 2] & 1));
    wire -= at;
    if (!fc_ip_at(w, at, wire, true) && !fc_ethernet_at(w, at, wire, true) &&
        !(wire >= 4 && fc_ethernet_at(w, at + 4, wire - 4, true)))
        return false;
    if (!fc_enter(w, FC_TUNNEL_MPLS, 0))
        return false;
    *step = FC_STEP_MPLS;
    return true;
}

/* RFC 8086: version 0, neither routing nor reserved bits, a payload type that is carried. */
static bool gre(struct fc_walk *w, enum fc_step *step)
{
    const uint8_t *p = fc_here(w);

    return fc_left(w) >= 4 && !(fc_be16(p) & ~0xb000) && is_carried(fc_be16(p + 2)) &&
           w->tunnel_count < FC_TUNNEL_MAX && fc_gre(w, step);
}

static bool by_port(struct fc_walk *w, uint16_t port, uint32_t wire, enum fc_step *step)
{
    switch (port) {
    case FC_PORT_L2TP:
        return l2tp(w, wire, step);
    case FC_PORT_GTPU:
        return gtpu(w, wire, step);
    case FC_PORT_TEREDO:
        return teredo(w, wire, step);
    case FC_PORT_LISP:
        return lisp(w, wire, step);
    case FC_PORT_GRE:
        return gre(w, step);
    case FC_PORT_VXLAN:
    case FC_PORT_VXLAN_GPE:
    case FC_PORT_VXLAN_LINUX:
        return vxlan(w, wire, step);
    case FC_PORT_AYIYA:
        return ayiya(w, wire, step);
    case FC_PORT_CAPWAP:
        return capwap(w, wire, step);
    case FC_PORT_GENEVE:
        return geneve(w, wire, step);
    case FC_PORT_MPLS:
        return mpls(w, wire, step);
    case FC_PORT_TZSP:
        return tzsp(w, wire, step);
    default:
        return false;
    }
}

bool fc_udp_tunnel(struct fc_walk *w, uint32_t wire, enum fc_step *step)
{
    uint16_t from = w->port[0], to = w->port[1];

    return by_port(w, to, wire, step) || (from != to && by_port(w, from, wire, step));
}
