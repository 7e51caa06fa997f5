/* SPDX-License-Identifier: MIT */
/* Link types in which a system hands IP over with a header of its own: loopback, pf, IPNET, NFLOG, cooked, raw. */
#include "decode/link.h"

enum {
    /* Address families. IPv6 has another number on every system. */
    AF_IPV4 = 2,
    AF_IPV6_LINUX = 10,
    AF_IPV6_WINDOWS = 23,
    AF_IPV6_NETBSD = 24, /* and OpenBSD */
    AF_IPV6_SOLARIS = 26,
    AF_IPV6_FREEBSD = 28,
    AF_IPV6_DARWIN = 30
};

enum {
    /*
     * ARPHRD_ values under which a cooked header's protocol means nothing; but where it is an EtherType, that is what
     * follows
     */
    ARPHRD_FRAD = 770,
    ARPHRD_IEEE80211 = 801,
    ARPHRD_IEEE80211_PRISM = 802,
    ARPHRD_IEEE80211_RADIOTAP = 803,
    ARPHRD_NETLINK = 824,
    /* cooked protocols that are no EtherType: what follows */
    COOKED_ETHERNET = 3,
    COOKED_LLC = 4,
    COOKED_PPP = 7
};

enum { PFLOG_MIN = 45, NFLOG_PACKET_HDR = 1, NFLOG_HWADDR = 8, NFLOG_PAYLOAD = 9 };

enum fc_step fc_link_raw(struct fc_walk *w)
{
    (void)w;
    return FC_STEP_IP;
}

enum fc_step fc_link_mpls(struct fc_walk *w)
{
    w->proto = FC_PROTO_ETHERTYPE | FC_ETHERTYPE_MPLS;
    return FC_STEP_MPLS;
}

static enum fc_step family_step(struct fc_walk *w, uint32_t family)
{
    switch (family) {
    case AF_IPV4:
    case AF_IPV6_LINUX:
    case AF_IPV6_WINDOWS:
    case AF_IPV6_NETBSD:
    case AF_IPV6_FREEBSD:
    case AF_IPV6_DARWIN:
        return FC_STEP_IP;
    default:
        return fc_link_opaque(w, w->link_type);
    }
}

/* A family in the byte order of the capturing host. Families are small. */
static uint32_t host_family(const uint8_t *p)
{
    uint32_t family = fc_be32(p);

    return family > 0xffff ? __builtin_bswap32(family) : family;
}

/* Some systems write an EtherType in place of the family, or PPP with address and control in place of all. */
enum fc_step fc_link_loopback(struct fc_walk *w)
{
    if (fc_left(w) < 4)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    if (fc_be16(fc_here(w)) == 0xff03)
        return FC_STEP_PPP;
    w->next = host_family(fc_here(w));
    w->off += 4;
    return w->next >= FC_ETHERTYPE_MIN && w->next <= 0xffff ? FC_STEP_ETHERTYPE : family_step(w, w->next);
}

/* Family, SPI, flags. */
enum fc_step fc_link_enc(struct fc_walk *w)
{
    if (fc_left(w) < 12)
        return FC_STEP_MALFORMED;
    uint32_t family = host_family(fc_here(w));
    fc_push_link(w);
    w->off += 12;
    return family_step(w, family);
}

/* Length without padding, family, ... : it differs by system and release, so only the length tells where IP is. */
enum fc_step fc_link_pflog(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 2 || p[0] < PFLOG_MIN)
        return FC_STEP_MALFORMED;
    uint32_t size = (p[0] + 3u) & ~3u;
    if (fc_left(w) < size)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    w->off += size;
    return family_step(w, p[1]);
}

/* Version, family, hook type (2), packet length (4), interfaces (8), zones (8). */
enum fc_step fc_link_ipnet(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 24)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    w->off += 24;
    return p[1] == AF_IPV6_SOLARIS ? FC_STEP_IP : family_step(w, p[1]);
}

struct nflog {
    const uint8_t *sender; /* link address, or NULL */
    uint32_t protocol;     /* EtherType, or 0 */
    uint32_t start, end;   /* of the payload */
};

/* Reads the attributes up to the payload in one byte order. False when they do not lead there. */
static bool nflog_walk(const struct fc_walk *w, bool big_endian, struct nflog *out)
{
    uint32_t off = w->off + 4;

    *out = (struct nflog){0};
    while (w->end - off >= 4) {
        const uint8_t *p = w->data + off;
        uint32_t len = fc_load16(p, big_endian), type = fc_load16(p + 2, big_endian), left = w->end - off;
        if (len < 4)
            return false;
        if (type == NFLOG_PAYLOAD) { /* the last one; it may be cut */
            out->start = off + 4;
            out->end = off + (len < left ? len : left);
            return true;
        }
        if (type == NFLOG_PACKET_HDR && len >= 6 && left >= 6)
            out->protocol = fc_be16(p + 4);
        if (type == NFLOG_HWADDR && len >= 14 && left >= 14 && fc_be16(p + 4) == 6)
            out->sender = p + 8;
        len = (len + 3) & ~3u;
        if (len > left)
            return false;
        off += len;
    }
    return false;
}

/* Family, version, resource, then attributes in the byte order of the capturing host, which shows in their lengths. */
enum fc_step fc_link_nflog(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);
    struct nflog log;

    if (fc_left(w) < 4)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    if (!nflog_walk(w, false, &log) && !nflog_walk(w, true, &log))
        return fc_link_opaque(w, w->link_type);
    if (log.sender)
        fc_link_macs(w, log.sender, fc_no_addr);
    w->off = log.start;
    w->end = log.end;
    if (p[0] == AF_IPV4 || p[0] == AF_IPV6_LINUX)
        return FC_STEP_IP;
    w->next = log.protocol; /* a bridge's or ARP's */
    return log.protocol >= FC_ETHERTYPE_MIN ? FC_STEP_ETHERTYPE : fc_link_opaque(w, w->link_type);
}

/* Both versions of Linux's cooked header: the same fields at other places. */
static enum fc_step cooked(struct fc_walk *w, uint32_t hatype, uint32_t addr_len, const uint8_t *addr,
                           uint32_t protocol)
{
    switch (protocol < FC_ETHERTYPE_MIN ? hatype : 0) {
    case ARPHRD_FRAD:
        return fc_link_frelay(w);
    case ARPHRD_IEEE80211:
        return fc_link_wlan(w);
    case ARPHRD_IEEE80211_PRISM:
        return fc_link_prism(w);
    case ARPHRD_IEEE80211_RADIOTAP:
        return fc_link_radiotap(w);
    case ARPHRD_NETLINK:
        return fc_link_opaque(w, w->link_type);
    default:
        break;
    }
    if (addr_len == 6)
        fc_link_macs(w, addr, fc_no_addr);
    if (protocol == COOKED_ETHERNET)
        return fc_link_ethernet(w);
    if (protocol == COOKED_LLC)
        return FC_STEP_LLC;
    if (protocol == COOKED_PPP)
        return FC_STEP_PPP;
    if (protocol < FC_ETHERTYPE_MIN) { /* Linux's own ETH_P_ numbers: CAN, raw IPX ... */
        fc_link_session(w, FC_PROTO_ETHERTYPE | protocol);
        fc_push_layer(w, FC_LAYER_PAYLOAD);
        return FC_STEP_DONE;
    }
    w->next = protocol;
    return FC_STEP_ETHERTYPE;
}

enum fc_step fc_link_sll(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 16)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    w->off += 16;
    return cooked(w, fc_be16(p + 2), fc_be16(p + 4), p + 6, fc_be16(p + 14));
}

enum fc_step fc_link_sll2(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 20)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    w->off += 20;
    return cooked(w, fc_be16(p + 8), p[11], p + 12, fc_be16(p));
}
