/* SPDX-License-Identifier: MIT */
/* Link types, and what stands between them and IP: tags, labels, PPP, LLC, ARP. */
#include <stddef.h>

#include "base/export.h"
#include "decode/walk.h"

enum {
    /* Address families of a loopback header. IPv6 has another number on every system. */
    AF_IPV4 = 2,
    AF_IPV6_LINUX = 10,
    AF_IPV6_WINDOWS = 23,
    AF_IPV6_NETBSD = 24,
    AF_IPV6_FREEBSD = 28,
    AF_IPV6_DARWIN = 30
};

enum {
    /* ARPHRD_ values under which a cooked header's protocol is no EtherType */
    ARPHRD_FRAD = 770,
    ARPHRD_IEEE80211 = 801,
    ARPHRD_IEEE80211_PRISM = 802,
    ARPHRD_IEEE80211_RADIOTAP = 803,
    ARPHRD_NETLINK = 824,
    COOKED_LLC = 4 /* cooked protocol: an 802.2 header follows */
};

enum {
    PPP_IPV4 = 0x0021,
    PPP_IPV6 = 0x0057,
    PPP_MPLS = 0x0281,
    PPP_MPLS_MCAST = 0x0283,
    CHDLC_UNICAST = 0x0f,
    CHDLC_MULTICAST = 0x8f
};

static enum fc_step link_ethernet(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 14)
        return FC_STEP_MALFORMED;
    fc_push_layer(w, FC_LAYER_LINK);
    w->link_kind = FC_ADDR_MAC;
    w->link_addr[0] = p + 6;
    w->link_addr[1] = p;
    w->next = fc_be16(p + 12);
    w->off += 14;
    return FC_STEP_ETHERTYPE;
}

static enum fc_step link_raw(struct fc_walk *w)
{
    (void)w;
    return FC_STEP_IP;
}

static enum fc_step link_ipv4(struct fc_walk *w)
{
    (void)w;
    return FC_STEP_IPV4;
}

static enum fc_step link_ipv6(struct fc_walk *w)
{
    (void)w;
    return FC_STEP_IPV6;
}

static enum fc_step link_loopback(struct fc_walk *w)
{
    if (fc_left(w) < 4)
        return FC_STEP_MALFORMED;
    uint32_t family = fc_be32(w->data);
    if (family > 0xffff) /* the byte order is the capturing host's; families are small */
        family = __builtin_bswap32(family);
    fc_push_layer(w, FC_LAYER_LINK);
    w->off = 4;
    switch (family) {
    case AF_IPV4:
        return FC_STEP_IPV4;
    case AF_IPV6_LINUX:
    case AF_IPV6_WINDOWS:
    case AF_IPV6_NETBSD:
    case AF_IPV6_FREEBSD:
    case AF_IPV6_DARWIN:
        return FC_STEP_IPV6;
    default:
        fc_link_session(w, FC_PROTO_LINK | w->link_type);
        return FC_STEP_DONE;
    }
}

/* Both versions of Linux's cooked header: the same fields at other places. */
static enum fc_step cooked(struct fc_walk *w, uint32_t hatype, uint32_t addr_len, const uint8_t *addr,
                           uint32_t protocol)
{
    if (addr_len == 6) {
        w->link_kind = FC_ADDR_MAC;
        w->link_addr[0] = addr;
        w->link_addr[1] = fc_no_addr;
    }
    switch (hatype) {
    case ARPHRD_FRAD:
    case ARPHRD_IEEE80211:
    case ARPHRD_IEEE80211_PRISM:
    case ARPHRD_IEEE80211_RADIOTAP:
    case ARPHRD_NETLINK:
        w->link_kind = FC_ADDR_NONE;
        fc_link_session(w, FC_PROTO_LINK | w->link_type);
        return FC_STEP_DONE;
    default:
        break;
    }
    if (protocol == COOKED_LLC)
        return FC_STEP_LLC;
    if (protocol < FC_ETHERTYPE_MIN) { /* Linux's own ETH_P_ numbers: CAN, raw IPX ... */
        fc_link_session(w, FC_PROTO_ETHERTYPE | protocol);
        fc_push_layer(w, FC_LAYER_PAYLOAD);
        return FC_STEP_DONE;
    }
    w->next = protocol;
    return FC_STEP_ETHERTYPE;
}

static enum fc_step link_sll(struct fc_walk *w)
{
    const uint8_t *p = w->data;

    if (fc_left(w) < 16)
        return FC_STEP_MALFORMED;
    fc_push_layer(w, FC_LAYER_LINK);
    w->off = 16;
    return cooked(w, fc_be16(p + 2), fc_be16(p + 4), p + 6, fc_be16(p + 14));
}

static enum fc_step link_sll2(struct fc_walk *w)
{
    const uint8_t *p = w->data;

    if (fc_left(w) < 20)
        return FC_STEP_MALFORMED;
    fc_push_layer(w, FC_LAYER_LINK);
    w->off = 20;
    return cooked(w, fc_be16(p + 8), p[11], p + 12, fc_be16(p));
}

static enum fc_step link_ppp(struct fc_walk *w)
{
    fc_push_layer(w, FC_LAYER_LINK);
    return FC_STEP_PPP;
}

static enum fc_step link_ppp_with_dir(struct fc_walk *w)
{
    fc_push_layer(w, FC_LAYER_LINK);
    fc_skip(w, 1);
    return FC_STEP_PPP;
}

static enum fc_step link_hdlc(struct fc_walk *w)
{
    if (fc_left(w) < 1)
        return FC_STEP_MALFORMED;
    fc_push_layer(w, FC_LAYER_LINK);
    return w->data[0] == CHDLC_UNICAST || w->data[0] == CHDLC_MULTICAST ? FC_STEP_CHDLC : FC_STEP_PPP;
}

static enum fc_step link_pppoe(struct fc_walk *w)
{
    fc_push_layer(w, FC_LAYER_LINK);
    w->proto = FC_PROTO_ETHERTYPE | FC_ETHERTYPE_PPPOE;
    return FC_STEP_PPPOE;
}

/* The place for new link types: a first step here, its name in names.c. */
static fc_step_fn *const link_steps[] = {
    [0] = link_loopback, [FC_LINKTYPE_ETHERNET] = link_ethernet,
    [9] = link_ppp,      [12] = link_raw,
    [14] = link_raw,     [50] = link_hdlc,
    [51] = link_pppoe,   [101] = link_raw,
    [104] = link_hdlc,   [108] = link_loopback,
    [113] = link_sll,    [204] = link_ppp_with_dir,
    [228] = link_ipv4,   [229] = link_ipv6,
    [276] = link_sll2,
};

fc_step_fn *fc_link_step(uint32_t link_type)
{
    return link_type < sizeof(link_steps) / sizeof(link_steps[0]) ? link_steps[link_type] : NULL;
}

FC_EXPORT bool fc_link_type_known(uint32_t link_type)
{
    return fc_link_step(link_type) != NULL;
}

static enum fc_step vlan(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 4)
        return FC_STEP_MALFORMED;
    fc_push_layer(w, FC_LAYER_VLAN);
    if (w->vlan_count < FC_VLAN_MAX)
        w->vlan[w->vlan_count++] = fc_be16(p) & 0xfff;
    w->next = fc_be16(p + 2);
    w->off += 4;
    return FC_STEP_ETHERTYPE;
}

/* ARP and RARP alike: hardware type and address length do not matter, only where the protocol addresses stand. */
static enum fc_step arp(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 8 || fc_left(w) < 8 + 2u * p[4] + 2u * p[5])
        return FC_STEP_MALFORMED;
    fc_push_layer(w, FC_LAYER_ARP);
    if (fc_be16(p + 2) == FC_ETHERTYPE_IPV4 && p[5] == 4) {
        w->addr_kind = FC_ADDR_IPV4;
        w->addr[0] = p + 8 + p[4];
        w->addr[1] = p + 12 + 2 * p[4];
    }
    return FC_STEP_DONE;
}

enum fc_step fc_step_ethertype(struct fc_walk *w)
{
    fc_link_session(w, FC_PROTO_ETHERTYPE | w->next);
    switch (w->next) {
    case FC_ETHERTYPE_IPV4:
        return FC_STEP_IPV4;
    case FC_ETHERTYPE_IPV6:
        return FC_STEP_IPV6;
    case FC_ETHERTYPE_VLAN:
    case FC_ETHERTYPE_QINQ:
    case 0x9100: /* QinQ before 802.1ad had a number for it */
    case 0x9200:
    case 0x9300:
        return vlan(w);
    case FC_ETHERTYPE_ARP:
    case FC_ETHERTYPE_RARP:
        return arp(w);
    case FC_ETHERTYPE_MPLS:
    case FC_ETHERTYPE_MPLS_MCAST:
        return FC_STEP_MPLS;
    case FC_ETHERTYPE_PPPOE:
        return FC_STEP_PPPOE;
    case FC_ETHERTYPE_PPP:
        return FC_STEP_PPP;
    default:
        if (w->next < FC_ETHERTYPE_MIN)
            return FC_STEP_LLC;
        fc_push_layer(w, FC_LAYER_PAYLOAD);
        return FC_STEP_DONE;
    }
}

enum fc_step fc_step_llc(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 3)
        return FC_STEP_MALFORMED;
    uint32_t saps = fc_be16(p);
    if (saps != 0xffff) /* FF FF: IPX straight behind 802.3, no LLC at all */
        saps &= 0xfffe; /* the lowest bit says command or response: both are one session */
    fc_link_session(w, FC_PROTO_LLC | saps);
    fc_push_layer(w, FC_LAYER_LLC);
    if (p[0] == 0x06 && p[1] == 0x06 && p[2] == 0x03) {
        w->off += 3;
        return FC_STEP_IP;
    }
    if (p[0] == 0xaa && p[1] == 0xaa && p[2] == 0x03) { /* SNAP */
        if (fc_left(w) < 8)
            return FC_STEP_MALFORMED;
        uint32_t oui = fc_be32(p + 2) & 0xffffff;
        if (oui == 0x000000 || oui == 0x0000f8) {
            w->next = fc_be16(p + 6);
            w->off += 8;
            if (w->next >= FC_ETHERTYPE_MIN)
                return FC_STEP_ETHERTYPE;
        }
    }
    return FC_STEP_DONE;
}

enum fc_step fc_step_mpls(struct fc_walk *w)
{
    if (fc_left(w) < 4)
        return FC_STEP_MALFORMED;
    uint32_t entry = fc_be32(fc_here(w));
    fc_push_layer(w, FC_LAYER_MPLS);
    if (w->mpls_count < FC_MPLS_MAX) {
        if (w->mask & FC_WANT_MPLS)
            w->out->mpls[w->mpls_count] = entry >> 12;
        w->mpls_count++;
    }
    w->off += 4;
    if (!(entry & 0x100)) /* not yet the bottom of the stack */
        return FC_STEP_MPLS;
    if (fc_left(w) > 0) {
        /* Nothing names the payload (RFC 3032, 2.2). A first byte no IP header can have is a pseudowire's. */
        uint8_t first = *fc_here(w);
        if (first >> 4 == 6 || (first >> 4 == 4 && (first & 15) >= 5))
            return FC_STEP_IP;
        fc_push_layer(w, FC_LAYER_PAYLOAD);
    }
    return FC_STEP_DONE;
}

enum fc_step fc_step_pppoe(struct fc_walk *w)
{
    if (fc_left(w) < 6)
        return FC_STEP_MALFORMED;
    uint8_t code = fc_here(w)[1];
    if (w->off) /* under its own link type it is the link header */
        fc_push_layer(w, FC_LAYER_PPPOE);
    w->off += 6;
    if (code == 0)
        return FC_STEP_PPP;
    fc_push_layer(w, FC_LAYER_PAYLOAD);
    return FC_STEP_DONE;
}

enum fc_step fc_step_ppp(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);
    uint32_t left = fc_left(w), size = left >= 2 && p[0] == 0xff && p[1] == 0x03 ? 2 : 0, protocol;

    if (left > size && p[size] & 1) { /* compressed: the last byte of a protocol number is odd, the first even */
        protocol = p[size];
        size += 1;
    } else if (left >= size + 2) {
        protocol = fc_be16(p + size);
        size += 2;
    } else {
        return FC_STEP_MALFORMED;
    }
    if (w->off) /* else it is the link header, listed as such */
        fc_push_layer(w, FC_LAYER_PPP);
    w->off += size;
    fc_link_session(w, FC_PROTO_PPP | protocol);
    switch (protocol) {
    case PPP_IPV4:
        return FC_STEP_IPV4;
    case PPP_IPV6:
        return FC_STEP_IPV6;
    case PPP_MPLS:
    case PPP_MPLS_MCAST:
        return FC_STEP_MPLS;
    default:
        fc_push_layer(w, FC_LAYER_PAYLOAD);
        return FC_STEP_DONE;
    }
}

enum fc_step fc_step_chdlc(struct fc_walk *w)
{
    if (fc_left(w) < 4)
        return FC_STEP_MALFORMED;
    w->next = fc_be16(fc_here(w) + 2);
    w->off += 4;
    /* 8035 is SLARP here, not RARP, and there is no 802.3 length */
    if (w->next != FC_ETHERTYPE_RARP && w->next >= FC_ETHERTYPE_MIN)
        return FC_STEP_ETHERTYPE;
    fc_link_session(w, FC_PROTO_ETHERTYPE | w->next);
    fc_push_layer(w, FC_LAYER_PAYLOAD);
    return FC_STEP_DONE;
}
