/* SPDX-License-Identifier: MIT */
/*
 * fc_decode(): packets of the common kinds by way of a shortcut, all others by the walk (decode.c).
 *
 * Common is a whole TCP or UDP packet that no tunnel uses, with all headers captured, over IPv4 without options or IPv6
 * without extension headers, straight behind an Ethernet header: nearly every packet there is. A second shortcut, for
 * masks without most optional groups, takes VLAN tags, Linux cooked captures, loopback and raw IP too. Each says what
 * the walk would say (a test compares them), or false, which leaves the packet to the walk.
 */
#include <flowcarve/decode.h>

#include "base/export.h"
#include "decode/key.h"
#include "decode/udp_tunnel.h"
#include "decode/walk.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

enum {
    ETHERNET = 14,
    COMMON_MIN = ETHERNET + 20 + 8, /* Ethernet, IPv4 and UDP header */
    USUAL_MIN = 20 + 8,             /* IPv4 and UDP header; more than any link header here */
    LINKTYPE_NULL = 0,
    LINKTYPE_RAW = 101,
    LINKTYPE_LOOP = 108,
    LINKTYPE_SLL = 113,
    LINKTYPE_SLL2 = 276,
    ARPHRD_ETHER = 1,
    ARPHRD_LOOPBACK = 772,
    ARPHRD_NONE = 0xfffe,
    AF_IPV4 = 2,
    TAGS_MAX = 2
};

/*
 * TCP or UDP at `off` inside of a datagram that ends, as far as it was captured, at `end`; `layer` is this one's place
 * in the list. *payload: where the payload starts. False: not common.
 */
static inline __attribute__((always_inline)) bool transport(const uint8_t *data, uint32_t off, uint32_t end,
                                                            uint32_t proto, uint32_t mask, unsigned layer,
                                                            struct fc_packet *out, uint32_t *payload)
{
    const uint8_t *l4 = data + off;

    out->got = FC_WANT_KEY;
    if (proto == FC_IPPROTO_TCP) {
        if (UNLIKELY(end < off + 20 || l4[12] < 0x50))
            return false;
        *payload = off + (l4[12] >> 4) * 4u;
        if (mask & FC_WANT_TCP) {
            out->tcp_flags = l4[13];
            out->tcp_seq = fc_be32(l4 + 4);
            out->tcp_ack = fc_be32(l4 + 8);
            out->got |= FC_WANT_TCP;
        }
        out->layer[layer] = (struct fc_layer){.off = off, .type = FC_LAYER_TCP};
    } else if (LIKELY(proto == FC_IPPROTO_UDP && end >= off + 8)) {
        if (UNLIKELY(fc_tunnel_ports(fc_be16(l4), fc_be16(l4 + 2))))
            return false;
        *payload = off + 8;
        out->layer[layer] = (struct fc_layer){.off = off, .type = FC_LAYER_UDP};
    } else {
        return false;
    }
    out->layer[layer + 1] = (struct fc_layer){.off = *payload, .type = FC_LAYER_PAYLOAD};
    out->layer_count = (uint8_t)(layer + 1 + (*payload < end));
    out->frag = FC_FRAG_NONE;
    out->malformed = 0;
    out->datagram_count = 0;
    return true;
}

/* IPv4 at `off`, of which 28 bytes are there. */
static inline __attribute__((always_inline)) bool ipv4(const uint8_t *data, uint32_t off, uint32_t caplen,
                                                       uint32_t mask, unsigned layer, struct fc_packet *out,
                                                       uint32_t *payload)
{
    const uint8_t *ip = data + off, *l4 = ip + 20;

    if (UNLIKELY(ip[0] != 0x45 || fc_be16(ip + 6) & 0x3fff))
        return false;
    uint32_t end = off + fc_be16(ip + 2);
    if (!transport(data, off + 20, end < caplen ? end : caplen, ip[9], mask, layer + 1, out, payload))
        return false;
    out->layer[layer] = (struct fc_layer){.off = off, .type = FC_LAYER_IPV4};
    out->dir = (uint8_t)fc_key_ipv4(&out->key, ip + 12, ip + 16, fc_be16(l4), fc_be16(l4 + 2), ip[9], 0);
    return true;
}

/* IPv6 at `off`, of which 48 bytes are there. */
static inline __attribute__((always_inline)) bool ipv6(const uint8_t *data, uint32_t off, uint32_t caplen,
                                                       uint32_t mask, unsigned layer, struct fc_packet *out,
                                                       uint32_t *payload)
{
    const uint8_t *ip = data + off, *l4 = ip + 40;
    uint32_t end = off + 40 + fc_be16(ip + 4); /* of a jumbogram too near for any header */

    if (UNLIKELY(ip[0] >> 4 != 6))
        return false;
    if (!transport(data, off + 40, end < caplen ? end : caplen, ip[6], mask, layer + 1, out, payload))
        return false;
    out->layer[layer] = (struct fc_layer){.off = off, .type = FC_LAYER_IPV6};
    out->dir = (uint8_t)fc_key_ipv6(&out->key, ip + 8, ip + 24, fc_be16(l4), fc_be16(l4 + 2), ip[6], 0);
    return true;
}

/* IPv4 straight behind Ethernet. COMMON_MIN bytes are there. */
static inline bool decode_common(const uint8_t *data, uint32_t caplen, uint32_t mask, struct fc_packet *out,
                                 uint32_t *payload)
{
    if (UNLIKELY(fc_be16(data + 12) != FC_ETHERTYPE_IPV4 || !ipv4(data, ETHERNET, caplen, mask, 1, out, payload)))
        return false;
    out->layer[0] = (struct fc_layer){.off = 0, .type = FC_LAYER_LINK};
    return true;
}

/* Optional groups of such a packet. The others, FC_WANT_VLAN..., say nothing of one that has neither tag nor tunnel. */
#define OPTIONAL_HERE (FC_WANT_MAC | FC_WANT_TTL | FC_WANT_DSCP | FC_WANT_PAYLOAD)

/* The same with optional groups. */
static bool decode_optional(const uint8_t *data, uint32_t caplen, uint32_t origlen, uint32_t mask,
                            struct fc_packet *out)
{
    uint32_t payload, wire_len = caplen > origlen ? caplen : origlen, wire_end = ETHERNET + fc_be16(data + 16);

    if (!decode_common(data, caplen, mask, out, &payload))
        return false;
    if (wire_end > wire_len)
        wire_end = wire_len;
    if (mask & FC_WANT_MAC) {
        memcpy(out->mac[0], data + 6, 6);
        memcpy(out->mac[1], data, 6);
    }
    if (mask & FC_WANT_TTL)
        out->ttl = data[22];
    if (mask & FC_WANT_DSCP)
        out->dscp = data[15] >> 2;
    if (mask & FC_WANT_PAYLOAD) {
        out->payload_bytes = wire_end > payload ? wire_end - payload : 0;
        out->payload_off = payload;
    }
    out->got |= mask & OPTIONAL_HERE;
    return true;
}

/* Where a link header of a common kind ends and what EtherType follows; 0: another one. USUAL_MIN bytes are there. */
static uint32_t link_end(uint32_t link_type, const uint8_t *data, uint32_t *ethertype)
{
    uint32_t arphrd;

    switch (link_type) {
    case FC_LINKTYPE_ETHERNET:
        *ethertype = fc_be16(data + 12);
        return ETHERNET;
    case LINKTYPE_SLL:
        arphrd = fc_be16(data + 2);
        *ethertype = fc_be16(data + 14);
        return arphrd == ARPHRD_ETHER || arphrd == ARPHRD_LOOPBACK || arphrd == ARPHRD_NONE ? 16 : 0;
    case LINKTYPE_SLL2:
        arphrd = fc_be16(data + 8);
        *ethertype = fc_be16(data);
        return arphrd == ARPHRD_ETHER || arphrd == ARPHRD_LOOPBACK || arphrd == ARPHRD_NONE ? 20 : 0;
    case LINKTYPE_NULL:
    case LINKTYPE_LOOP:
        *ethertype = FC_ETHERTYPE_IPV4;
        return fc_be32(data) == AF_IPV4 || (link_type == LINKTYPE_NULL && fc_load32(data, false) == AF_IPV4) ? 4 : 0;
    default:
        return 0;
    }
}

/* The second shortcut; the mask asks for nothing that it does not know. USUAL_MIN bytes are there. */
static __attribute__((noinline)) bool decode_usual(uint32_t link_type, const uint8_t *data, uint32_t caplen,
                                                   uint32_t mask, struct fc_packet *out)
{
    uint32_t off = 0, ethertype, payload;
    unsigned layer = 0;

    if (link_type == LINKTYPE_RAW) {
        ethertype = data[0] >> 4 == 6 ? FC_ETHERTYPE_IPV6 : FC_ETHERTYPE_IPV4;
    } else {
        if (!(off = link_end(link_type, data, &ethertype)))
            return false;
        out->layer[layer++] = (struct fc_layer){.off = 0, .type = FC_LAYER_LINK};
    }
    for (unsigned tags = 0; tags < TAGS_MAX && (ethertype == FC_ETHERTYPE_VLAN || ethertype == FC_ETHERTYPE_QINQ);
         tags++) {
        if (mask & FC_KEY_VLAN || caplen < off + 4)
            return false;
        out->layer[layer++] = (struct fc_layer){.off = off, .type = FC_LAYER_VLAN};
        ethertype = fc_be16(data + off + 2);
        off += 4;
    }
    if (ethertype == FC_ETHERTYPE_IPV4)
        return caplen >= off + 28 && ipv4(data, off, caplen, mask, layer, out, &payload);
    return ethertype == FC_ETHERTYPE_IPV6 && caplen >= off + 48 && ipv6(data, off, caplen, mask, layer, out, &payload);
}

/* What is not the most common kind, or asked for more than usual. */
static __attribute__((noinline)) void decode_other(uint32_t link_type, const uint8_t *data, uint32_t caplen,
                                                   uint32_t origlen, uint32_t mask, struct fc_packet *out)
{
    if (mask & OPTIONAL_HERE && mask & FC_WANT_KEY && link_type == FC_LINKTYPE_ETHERNET && caplen >= COMMON_MIN &&
        decode_optional(data, caplen, origlen, mask, out))
        return;
    if (caplen >= USUAL_MIN && (mask & (FC_WANT_KEY | OPTIONAL_HERE | FC_WANT_VLAN)) == FC_WANT_KEY &&
        decode_usual(link_type, data, caplen, mask, out))
        return;
    fc_decode_walk(link_type, data, caplen, origlen, mask, out);
}

FC_EXPORT void fc_decode(uint32_t link_type, const uint8_t *data, uint32_t caplen, uint32_t origlen, uint32_t mask,
                         struct fc_packet *out)
{
    uint32_t payload;

    if (UNLIKELY(link_type != FC_LINKTYPE_ETHERNET || caplen < COMMON_MIN ||
                 (mask & (FC_WANT_KEY | OPTIONAL_HERE)) != FC_WANT_KEY ||
                 !decode_common(data, caplen, mask, out, &payload)))
        decode_other(link_type, data, caplen, origlen, mask, out);
}
