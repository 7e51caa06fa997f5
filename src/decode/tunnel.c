/* SPDX-License-Identifier: MIT */
/* Tunnels over IP: IP in IP, GRE and what it is used for, EtherIP, L2TPv3, PIM registers, ESP; NSH. */
#include "decode/tunnel.h"
#include "decode/link.h"

enum {
    GRE_CHECKSUM = 0x8000,
    GRE_ROUTING = 0x4000,
    GRE_KEY = 0x2000,
    GRE_SEQUENCE = 0x1000,
    GRE_ACK = 0x0080, /* version 1 only */
    GRE_VERSION = 0x0007,
    NVGRE_VSID_MIN = 0x1000, /* RFC 7637, 3.2: the numbers below and the last one are reserved */
    NVGRE_VSID_LAST = 0xffffff
};

bool fc_ip_at(const struct fc_walk *w, uint32_t ahead, uint32_t wire, bool whole)
{
    uint32_t left = fc_left(w), total, least;

    if (ahead >= left)
        return false;
    const uint8_t *p = fc_here(w) + ahead;
    left -= ahead;
    if (p[0] >> 4 == 4 && (p[0] & 15) >= 5) {
        least = (p[0] & 15) * 4u;
        total = left >= 4 ? fc_be16(p + 2) : 0;
    } else if (p[0] >> 4 == 6) {
        least = 40;
        total = left >= 6 && (whole || fc_be16(p + 4)) ? 40u + fc_be16(p + 4) : 0;
    } else {
        return false;
    }
    if (whole)
        return total >= least && total == wire;
    return total == 0 || (total >= least && total <= wire);
}

static bool is_vlan(uint32_t type)
{
    return type == FC_ETHERTYPE_VLAN || type == FC_ETHERTYPE_QINQ || type == 0x9100;
}

/* IP at `ahead`, where the frame that it stands in may be padded to 60 bytes. */
static bool framed_ip_at(const struct fc_walk *w, uint32_t ahead, uint32_t wire, uint32_t header, bool whole)
{
    uint32_t room = wire - header;

    if (!whole || wire > 60)
        return fc_ip_at(w, ahead, room, whole);
    for (uint32_t padding = 0; padding < room; padding++)
        if (fc_ip_at(w, ahead, room - padding, true))
            return true;
    return false;
}

/* IEEE 802.2 behind an 802.3 length: a service access point in common use. */
static bool llc_at(const struct fc_walk *w, uint32_t ahead, uint32_t length, uint32_t room)
{
    if (length > room || fc_left(w) < ahead + 3)
        return false;
    const uint8_t *p = fc_here(w) + ahead;
    return p[0] == p[1] && p[2] == 3 &&
           (p[0] == 0x06 || p[0] == 0x42 || p[0] == 0xaa || p[0] == 0xe0 || p[0] == 0xf0 || p[0] == 0xfe);
}

bool fc_ethernet_at(const struct fc_walk *w, uint32_t ahead, uint32_t wire, bool whole)
{
    uint32_t left = fc_left(w), header = 14, type;

    for (unsigned tags = 0;; tags++, header += 4) {
        if (left < ahead + header || wire < header)
            return false;
        type = fc_be16(fc_here(w) + ahead + header - 2);
        if (!is_vlan(type) || tags == FC_VLAN_MAX)
            break;
    }
    const uint8_t *next = fc_here(w) + ahead + header;
    switch (type) {
    case FC_ETHERTYPE_IPV4:
    case FC_ETHERTYPE_IPV6:
        return left > ahead + header && *next >> 4 == (type == FC_ETHERTYPE_IPV4 ? 4 : 6) &&
               framed_ip_at(w, ahead + header, wire, header, whole);
    case FC_ETHERTYPE_ARP:
        return left >= ahead + header + 4 && fc_be16(next) == 1 && fc_be16(next + 2) == FC_ETHERTYPE_IPV4;
    case FC_ETHERTYPE_RARP:
    case FC_ETHERTYPE_PPPOE - 1: /* discovery */
    case FC_ETHERTYPE_PPPOE:
    case FC_ETHERTYPE_MPLS:
    case FC_ETHERTYPE_MPLS_MCAST:
    case FC_ETHERTYPE_MACSEC:
    case FC_ETHERTYPE_PBB:
    case FC_ETHERTYPE_VNTAG:
    case FC_ETHERTYPE_HSR:
    case FC_ETHERTYPE_NSH:
    case 0x8809: /* slow protocols */
    case 0x888e: /* EAPOL */
    case 0x88cc: /* LLDP */
    case 0x8902: /* CFM */
    case 0x9000: /* loopback */
        return !whole;
    default:
        return !whole && type < FC_ETHERTYPE_MIN && llc_at(w, ahead + header, type, wire - header);
    }
}

/* Enters and goes on; a stack that is full already leaves the rest as payload. */
static enum fc_step enter(struct fc_walk *w, enum fc_tunnel_kind kind, uint32_t id, enum fc_step step)
{
    if (fc_enter(w, kind, id))
        return step;
    fc_push_layer(w, FC_LAYER_PAYLOAD);
    return FC_STEP_DONE;
}

enum fc_step fc_step_nsh(struct fc_walk *w)
{
    static const enum fc_step steps[] = {FC_STEP_DONE,     FC_STEP_IP,  FC_STEP_IP,
                                         FC_STEP_ETHERNET, FC_STEP_NSH, FC_STEP_MPLS};
    const uint8_t *p = fc_here(w);
    uint32_t size = fc_left(w) >= 8 ? (p[1] & 0x3fu) * 4 : 0, next;

    if (size < 8 || size > fc_left(w) || p[0] >> 6)
        return FC_STEP_MALFORMED;
    next = p[3];
    fc_push_layer(w, FC_LAYER_TUNNEL);
    w->off += size;
    return enter(w, FC_TUNNEL_NSH, fc_be32(p + 4) >> 8, next < sizeof(steps) / sizeof(steps[0]) ? steps[next] : 0);
}

/* Type II has a header of 8 bytes, type III one of 12 and perhaps 8 more; both name version, session. */
static enum fc_step erspan(struct fc_walk *w, uint32_t type)
{
    const uint8_t *p = fc_here(w);
    uint32_t left = fc_left(w), version = left ? p[0] >> 4 : 0, size;
    enum fc_step step = FC_STEP_ETHERNET;

    if (version == 2 && left >= 12) {
        size = p[11] & 1 ? 20 : 12;
        if (((fc_be16(p + 10) >> 10) & 31) == 2) /* frame type: IP without a link header */
            step = FC_STEP_IP;
    } else if (version == 1 && type == FC_ETHERTYPE_ERSPAN && left >= 8) {
        size = 8;
    } else {
        return FC_STEP_DONE;
    }
    if (left < size)
        return FC_STEP_DONE;
    w->off += size;
    return enter(w, version == 1 ? FC_TUNNEL_ERSPAN2 : FC_TUNNEL_ERSPAN3, fc_be16(p + 2) & 0x3ff, step);
}

/* RFC 1701: source routes follow the other fields, up to an empty one. Returns the size with them, 0 when cut. */
static uint32_t skip_routes(const struct fc_walk *w, uint32_t size)
{
    for (;;) {
        if (fc_left(w) < size + 4)
            return 0;
        const uint8_t *p = fc_here(w) + size;
        size += 4u + p[3];
        if (fc_be16(p) == 0 && p[3] == 0)
            return size;
    }
}

/* Version 1, RFC 2637: PPP under a call id. MikroTik's EoIP is made like it, but for a number of its own. */
static bool gre_v1(struct fc_walk *w, uint32_t flags, uint32_t type, enum fc_step *step)
{
    const uint8_t *p = fc_here(w);
    bool eoip = flags == (GRE_KEY | 1) && type == FC_ETHERTYPE_EOIP;
    uint32_t size = 8;

    if (!eoip && (type != FC_ETHERTYPE_PPP || (flags & (GRE_CHECKSUM | GRE_ROUTING | GRE_KEY)) != GRE_KEY))
        return false;
    size += eoip ? 0 : (flags & GRE_SEQUENCE ? 4 : 0) + (flags & GRE_ACK ? 4 : 0);
    if (fc_left(w) < size)
        return false;
    fc_push_layer(w, FC_LAYER_TUNNEL);
    w->off += size;
    if (eoip)
        *step = enter(w, FC_TUNNEL_EOIP, (uint32_t)(p[6] | p[7] << 8), FC_STEP_ETHERNET);
    else
        *step = enter(w, FC_TUNNEL_PPTP, fc_be16(p + 6), flags & GRE_SEQUENCE ? FC_STEP_PPP : FC_STEP_DONE);
    return true;
}

/* Aruba's access points number their virtual interfaces so; 802.11 follows. */
static bool is_aruba(uint32_t type)
{
    return type >= 0x8200 && type <= 0x8370 && !(type & 0xf);
}

/* Does PPP with IP stand `at` bytes from `off`? None of the headers' bytes may be escaped (RFC 1662). */
static bool hdlc_ip_at(const struct fc_walk *w, uint32_t at)
{
    const uint8_t *p = fc_here(w);
    uint32_t left = fc_left(w), wire = fc_wire_left(w), ip = at;

    if (left >= ip + 2 && fc_be16(p + ip) == 0xff03)
        ip += 2;
    if (left >= ip + 2 && p[ip] == 0)
        ip++;
    if (left < ip + 2 || wire < ip + 2 || (p[ip] != 0x21 && p[ip] != 0x57) ||
        !fc_ip_at(w, ip + 1, wire - ip - 1, false))
        return false;
    uint32_t end = ip + 1 + (p[ip + 1] >> 4 == 6 ? 40 : (p[ip + 1] & 15) * 4u) + 14; /* as far as the flags of TCP */
    return !memchr(p + at, 0x7d, (end < left ? end : left) - at);
}

/*
 * 3GPP2 A.S0008, A.S0012: attributes, of which the last one is marked, then a piece of a stream of PPP in HDLC framing.
 * It is gone into where a frame begins with it.
 */
static enum fc_step a10(struct fc_walk *w, uint32_t type)
{
    const uint8_t *p = fc_here(w);
    uint32_t left = fc_left(w), at = 0;
    bool last = type == FC_ETHERTYPE_A10;

    while (!last && left >= at + 2) {
        last = p[at] & 0x80;
        at += 2u + p[at + 1];
    }
    while (last && left > at && p[at] == 0x7e)
        at++;
    if (!last || at >= left || !hdlc_ip_at(w, at)) {
        fc_push_layer(w, FC_LAYER_PAYLOAD);
        return FC_STEP_DONE;
    }
    w->off += at;
    return FC_STEP_PPP;
}

/* What a GRE header of version 0 carries; `off` is behind it. */
static enum fc_step gre_payload(struct fc_walk *w, uint32_t flags, uint32_t type, uint32_t key)
{
    bool keyed = flags & GRE_KEY;
    enum fc_step step = FC_STEP_ETHERTYPE;

    if (type == FC_ETHERTYPE_ERSPAN3 || (type == FC_ETHERTYPE_ERSPAN && flags & GRE_SEQUENCE))
        return erspan(w, type);
    if (type == FC_ETHERTYPE_ERSPAN)
        return enter(w, FC_TUNNEL_ERSPAN1, 0, FC_STEP_ETHERNET);
    if (type == FC_ETHERTYPE_TEB) {
        uint32_t vsid = key >> 8;
        if ((flags & 0xf000) == GRE_KEY && vsid >= NVGRE_VSID_MIN && vsid != NVGRE_VSID_LAST)
            return enter(w, FC_TUNNEL_NVGRE, vsid, FC_STEP_ETHERNET);
        step = FC_STEP_ETHERNET;
    } else if (type == FC_ETHERTYPE_WCCP) {
        if (fc_left(w) >= 4 && *fc_here(w) >> 4 != 4) /* version 2 has a redirect header of 4 bytes */
            w->off += 4;
        step = FC_STEP_IP;
    } else if (type == FC_ETHERTYPE_CMD && fc_left(w) >= 8) { /* in GRE the EtherType comes first */
        type = fc_be16(fc_here(w));
        w->off += 8;
    } else if (type < FC_ETHERTYPE_MIN) { /* 0: a keepalive */
        step = FC_STEP_DONE;
    }
    if (!fc_enter(w, keyed ? FC_TUNNEL_GRE_KEY : FC_TUNNEL_GRE, keyed ? key : 0)) {
        fc_push_layer(w, FC_LAYER_PAYLOAD);
        return FC_STEP_DONE;
    }
    if (is_aruba(type))
        return fc_link_wlan(w);
    if (type == FC_ETHERTYPE_A10 || type == FC_ETHERTYPE_A10_PACKET)
        return a10(w, type);
    w->next = type;
    return step;
}

bool fc_gre(struct fc_walk *w, enum fc_step *step)
{
    const uint8_t *p = fc_here(w);
    uint32_t size = 4, key = 0;

    if (fc_left(w) < 4)
        return false;
    uint32_t flags = fc_be16(p), type = fc_be16(p + 2);
    if ((flags & GRE_VERSION) == 1)
        return gre_v1(w, flags, type, step);
    if (flags & GRE_VERSION)
        return false;
    if (flags & (GRE_CHECKSUM | GRE_ROUTING))
        size += 4;
    if (flags & GRE_KEY) {
        if (fc_left(w) < size + 4)
            return false;
        key = fc_be32(p + size);
        size += 4;
    }
    if (flags & GRE_SEQUENCE)
        size += 4;
    if (flags & GRE_ROUTING)
        size = skip_routes(w, size);
    if (!size || fc_left(w) < size)
        return false;
    fc_push_layer(w, FC_LAYER_TUNNEL);
    w->off += size;
    *step = gre_payload(w, flags, type, key);
    return true;
}

/* PPP or Cisco HDLC with an IP packet of exactly the right length, or just that packet. */
static bool l2tpv3_other(const struct fc_walk *w, uint32_t at, uint32_t wire, uint32_t *size)
{
    static const struct {
        uint8_t head[4];
        uint8_t size;
    } heads[] = {{{0xff, 0x03, 0x00, 0x21}, 4},
                 {{0xff, 0x03, 0x00, 0x57}, 4},
                 {{0x0f, 0x00, 0x08, 0x00}, 4},
                 {{0x0f, 0x00, 0x86, 0xdd}, 4},
                 {{0x00, 0x21}, 2},
                 {{0x00, 0x57}, 2},
                 {{0}, 0}};

    for (unsigned i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        *size = heads[i].size;
        if (fc_left(w) >= at + *size && wire >= at + *size && memcmp(fc_here(w) + at, heads[i].head, *size) == 0 &&
            fc_ip_at(w, at + *size, wire - at - *size, true))
            return true;
    }
    return false;
}

/*
 * Sizes of cookie (0, 4 or 8 bytes) and sublayer (0 or 4), and what is carried, are agreed upon elsewhere (RFC 3931,
 * 4.1): the frame is looked for where each of them would let it start.
 */
enum fc_step fc_l2tpv3(struct fc_walk *w, uint32_t wire)
{
    uint32_t session = fc_be32(fc_here(w)), size;

    fc_push_layer(w, FC_LAYER_TUNNEL);
    w->off += 4;
    wire = wire > 4 ? wire - 4 : 0;
    if (!fc_enter(w, FC_TUNNEL_L2TPV3, session))
        return FC_STEP_DONE;
    for (uint32_t at = 0; at <= 12 && at < wire; at += 4)
        if (fc_ethernet_at(w, at, wire - at, true)) {
            w->off += at;
            return FC_STEP_ETHERNET;
        }
    for (uint32_t at = 0; at <= 12 && at < wire; at += 4)
        if (l2tpv3_other(w, at, wire, &size)) {
            w->off += at + size;
            return FC_STEP_IP;
        }
    fc_push_layer(w, FC_LAYER_PAYLOAD);
    return FC_STEP_DONE;
}

/* A header of `size` bytes that says nothing which is needed. */
static enum fc_step behind(struct fc_walk *w, uint32_t size, enum fc_tunnel_kind kind, enum fc_step step)
{
    if (fc_left(w) < size || w->tunnel_count == FC_TUNNEL_MAX)
        return fc_walk_other(w);
    if (size)
        fc_push_layer(w, FC_LAYER_TUNNEL);
    w->off += size;
    return enter(w, kind, 0, step);
}

/* IP in IP. A header of another version than the protocol number says is believed where its length fits. */
static enum fc_step ip_in_ip(struct fc_walk *w, unsigned version, enum fc_tunnel_kind kind)
{
    bool fits = fc_left(w) && (*fc_here(w) >> 4 == version || fc_ip_at(w, 0, fc_wire_left(w), false));

    return behind(w, 0, kind, fits ? FC_STEP_IP : FC_STEP_MALFORMED);
}

static enum fc_step esp(struct fc_walk *w)
{
    if (fc_left(w) >= 4)
        fc_enter(w, FC_TUNNEL_ESP, fc_be32(fc_here(w)));
    return fc_walk_other(w);
}

enum fc_step fc_ip_tunnel(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);
    uint32_t left = fc_left(w);
    enum fc_step step;

    switch (w->next) {
    case FC_IPPROTO_IPV4:
        return ip_in_ip(w, 4, w->ip_version == 4 ? FC_TUNNEL_IPIP : FC_TUNNEL_4IN6);
    case FC_IPPROTO_IPV6:
        return ip_in_ip(w, 6, w->ip_version == 4 ? FC_TUNNEL_6IN4 : FC_TUNNEL_6IN6);
    case FC_IPPROTO_GRE:
        return fc_gre(w, &step) ? step : fc_walk_other(w);
    case FC_IPPROTO_ESP:
        return esp(w);
    case FC_IPPROTO_ETHERIP: /* RFC 3378: version 3, the rest zero */
        return left >= 2 && fc_be16(p) == 0x3000 ? behind(w, 2, FC_TUNNEL_ETHERIP, FC_STEP_ETHERNET) : fc_walk_other(w);
    case FC_IPPROTO_ETHERNET: /* RFC 8986 */
        return behind(w, 0, FC_TUNNEL_ETHERIP, FC_STEP_ETHERNET);
    case FC_IPPROTO_MPLS:
        return behind(w, 0, FC_TUNNEL_MPLS, FC_STEP_MPLS);
    case FC_IPPROTO_NSH:
        return FC_STEP_NSH;
    case FC_IPPROTO_PIM: /* version 2, register: RFC 7761, 4.9.3 */
        return left >= 8 && p[0] == 0x21 ? behind(w, 8, FC_TUNNEL_PIM, FC_STEP_IP) : fc_walk_other(w);
    case FC_IPPROTO_L2TP: /* session 0: control */
        return left >= 4 && fc_be32(p) ? fc_l2tpv3(w, fc_wire_left(w)) : fc_walk_other(w);
    default:
        return fc_walk_other(w);
    }
}
