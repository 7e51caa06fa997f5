/* SPDX-License-Identifier: MIT */
/* Link types of local networks other than 802.11, and of switches that put tags into Ethernet. */
#include "decode/link.h"

enum {
    ARCNET_IPV6 = 0xc4,
    ARCNET_IPV4 = 0xd4,
    ARCNET_ARP = 0xd5,
    ARCNET_RARP = 0xd6,
    ARCNET_IPV4_OLD = 0xf0, /* RFC 1051: no fragmentation header */
    ARCNET_ARP_OLD = 0xf1,
    ARCNET_DIAGNOSE = 0x80,
    ARCNET_EXCEPTION = 0xff /* as flag: padding stands in front of the real one */
};

enum {
    TOKEN_RING_LLC = 0x40,   /* frame control, of bits C0 */
    FDDI_LLC = 0x50,         /* frame control, of bits 70: asynchronous or synchronous */
    SOURCE_ROUTED = 0x80,    /* first bit of a Token Ring sender */
    DSA_TAGGED = 0x20,       /* the frame had an 802.1Q tag, whose place the DSA tag has taken */
    ETHERNET_ADDRESSES = 12, /* bytes */
    ISL = 26                 /* bytes in front of the frame */
};

/* Cisco's Inter-Switch Link goes to groups of its own; type 0 is Ethernet. */
static bool is_isl(const uint8_t *p)
{
    return (p[0] == 0x01 || p[0] == 0x03) && fc_be32(p + 1) == 0x000c0000 && p[5] >> 4 == 0;
}

/* Receiver (5), type, sender (6), length (2), LLC (3), vendor (3), VLAN (2), port (2), reserved (2); a frame. */
static enum fc_step isl(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < ISL + 14)
        return FC_STEP_MALFORMED;
    if (w->vlan_count < FC_VLAN_MAX)
        w->vlan[w->vlan_count++] = fc_be16(p + 20) >> 1 & 0xfff;
    w->off += ISL;
    fc_link_macs(w, p + ISL + 6, p + ISL);
    return FC_STEP_ETHERNET;
}

enum fc_step fc_link_ethernet(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 14)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    w->next = fc_be16(p + 12);
    if (w->next < FC_ETHERTYPE_MIN && is_isl(p))
        return isl(w);
    fc_link_macs(w, p + 6, p);
    w->off += 14;
    return FC_STEP_ETHERTYPE;
}

/* Access control, frame control, receiver, sender, perhaps a routing field, LLC. */
enum fc_step fc_link_token_ring(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 14)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    memcpy(w->own_addr, p + 8, 6);
    w->own_addr[0] &= (uint8_t)~SOURCE_ROUTED; /* only a sender has it: both ways are one session */
    fc_link_macs(w, w->own_addr, p + 2);
    w->off += 14;
    if ((p[1] & 0xc0) != TOKEN_RING_LLC)
        return fc_link_opaque(w, FC_LINKTYPE_IEEE802_5);
    if (p[8] & SOURCE_ROUTED) {
        uint32_t size = fc_left(w) ? *fc_here(w) & 0x1fu : 0;
        if (size < 2 || size > fc_left(w))
            return FC_STEP_MALFORMED;
        w->off += size;
    }
    return FC_STEP_LLC;
}

/* Frame control, receiver, sender, LLC. */
enum fc_step fc_link_fddi(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 13)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    fc_link_macs(w, p + 7, p + 1);
    w->off += 13;
    return (p[0] & 0x70) == FDDI_LLC ? FC_STEP_LLC : fc_link_opaque(w, FC_LINKTYPE_FDDI);
}

static enum fc_step arcnet_payload(struct fc_walk *w, uint8_t type)
{
    switch (type) {
    case ARCNET_IPV4:
    case ARCNET_IPV4_OLD:
    case ARCNET_IPV6:
        return FC_STEP_IP;
    case ARCNET_ARP:
    case ARCNET_ARP_OLD:
        w->next = FC_ETHERTYPE_ARP;
        return FC_STEP_ETHERTYPE;
    case ARCNET_RARP:
        w->next = FC_ETHERTYPE_RARP;
        return FC_STEP_ETHERTYPE;
    default:
        return fc_link_opaque(w, FC_LINKTYPE_ARCNET);
    }
}

static bool arcnet_is_short(uint8_t type)
{
    return type == ARCNET_IPV4_OLD || type == ARCNET_ARP_OLD || type == ARCNET_DIAGNOSE;
}

/* Sender, receiver (one byte each), type; then, but for old types, split flag and sequence (2). */
enum fc_step fc_link_arcnet(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);
    uint32_t size = 3;

    if (fc_left(w) < 3)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    if (!arcnet_is_short(p[2])) {
        if (fc_left(w) < 4)
            return FC_STEP_MALFORMED;
        size = p[3] == ARCNET_EXCEPTION ? 10 : 6;
    }
    if (fc_left(w) < size)
        return FC_STEP_MALFORMED;
    w->off += size;
    uint8_t flag = size == 3 ? 0 : p[size - 3];
    if (flag && !(flag & 1)) /* the middle or end of a split packet has no header */
        return fc_link_opaque(w, FC_LINKTYPE_ARCNET);
    return arcnet_payload(w, p[2]);
}

/* Sender, receiver, offset (2), type; then, but for old types, split flag and sequence. Never split. */
enum fc_step fc_link_arcnet_linux(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 5)
        return FC_STEP_MALFORMED;
    uint32_t size = arcnet_is_short(p[4]) ? 5 : 8;
    if (fc_left(w) < size)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    w->off += size;
    return arcnet_payload(w, p[4]);
}

/* `size` bytes whose last two, but for `behind`, are an EtherType; addresses are longer than a MAC address. */
static enum fc_step ethertype_header(struct fc_walk *w, uint32_t size, uint32_t behind)
{
    if (fc_left(w) < size)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    w->next = fc_be16(fc_here(w) + size - behind - 2);
    w->off += size;
    return FC_STEP_ETHERTYPE;
}

/* Receiver and sender of 8 bytes, EtherType. */
enum fc_step fc_link_ieee1394(struct fc_walk *w)
{
    return ethertype_header(w, 18, 0);
}

/* Global routing header of 40 bytes, EtherType, 2 reserved bytes. */
enum fc_step fc_link_ipoib(struct fc_walk *w)
{
    return ethertype_header(w, 44, 2);
}

/* Receiver and sender: 2 bytes of address authority, a MAC address; LLC. */
enum fc_step fc_link_ip_over_fc(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 16)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    fc_link_macs(w, p + 10, p + 2);
    w->off += 16;
    return FC_STEP_LLC;
}

/* Ethernet with `tag` bytes between the addresses and the EtherType. */
static enum fc_step switch_tag(struct fc_walk *w, uint32_t tag)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < ETHERNET_ADDRESSES + tag + 2)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    fc_link_macs(w, p + 6, p);
    w->next = fc_be16(p + ETHERNET_ADDRESSES + tag);
    w->off += ETHERNET_ADDRESSES + tag + 2;
    return FC_STEP_ETHERTYPE;
}

enum fc_step fc_link_brcm(struct fc_walk *w)
{
    return switch_tag(w, 4);
}

enum fc_step fc_link_brcm_prepend(struct fc_walk *w)
{
    if (fc_left(w) < 4)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    w->off += 4;
    return fc_link_ethernet(w);
}

/* The DSA tag is the last 4 of `tag` bytes. */
static enum fc_step dsa(struct fc_walk *w, uint32_t tag)
{
    enum fc_step step = switch_tag(w, tag);

    if (step != FC_STEP_MALFORMED) {
        const uint8_t *p = fc_here(w) - 6; /* an EtherType is between */
        if (p[0] & DSA_TAGGED && w->vlan_count < FC_VLAN_MAX)
            w->vlan[w->vlan_count++] = fc_be16(p + 2) & 0xfff;
    }
    return step;
}

enum fc_step fc_link_dsa(struct fc_walk *w)
{
    return dsa(w, 4);
}

/* A programmable EtherType and 2 zero bytes in front of the tag. */
enum fc_step fc_link_edsa(struct fc_walk *w)
{
    return dsa(w, 8);
}
