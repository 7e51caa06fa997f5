/* SPDX-License-Identifier: MIT */
/* What an IP protocol number leads to: transport headers, ICMP, IPv6 extension headers, AH. */
#include "decode/tunnel.h"
#include "decode/udp_tunnel.h"

/* Notes how long the payload is that starts `size` bytes behind `off`. */
static void payload_from(struct fc_walk *w, uint32_t size)
{
    uint64_t start = (uint64_t)w->off + size;

    w->payload_off = (uint32_t)start;
    w->payload_bytes = w->carried_end > start ? (uint32_t)(w->carried_end - start) : 0;
    w->payload_known = 1;
}

void fc_walk_payload(struct fc_walk *w)
{
    payload_from(w, 0);
    fc_push_layer(w, FC_LAYER_PAYLOAD);
}

/* Payload behind a header of `size` bytes, however much of that was captured. */
static enum fc_step payload_behind(struct fc_walk *w, uint32_t size)
{
    payload_from(w, size);
    fc_skip(w, size);
    fc_push_layer(w, FC_LAYER_PAYLOAD);
    return FC_STEP_DONE;
}

static void ports(struct fc_walk *w, enum fc_layer_type type)
{
    fc_push_layer(w, type);
    if (fc_left(w) >= 4) {
        w->port[0] = fc_be16(fc_here(w));
        w->port[1] = fc_be16(fc_here(w) + 2);
    }
}

static enum fc_step tcp(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    ports(w, FC_LAYER_TCP);
    if (fc_left(w) >= 14 && w->mask & FC_WANT_TCP) {
        w->out->tcp_seq = fc_be32(p + 4);
        w->out->tcp_ack = fc_be32(p + 8);
        w->out->tcp_flags = p[13];
        w->got |= FC_WANT_TCP;
    }
    if (fc_left(w) < 13 || p[12] < 0x50) /* no telling where the payload starts */
        return FC_STEP_DONE;
    return payload_behind(w, (p[12] >> 4) * 4u);
}

static enum fc_step udp(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    ports(w, FC_LAYER_UDP);
    if (fc_left(w) > 8 && fc_tunnel_ports(w->port[0], w->port[1])) {
        enum fc_step step;
        uint32_t length = fc_be16(p + 4);
        payload_from(w, 8);
        w->off += 8;
        if (fc_udp_tunnel(w, length > 8 ? length - 8 : w->payload_bytes, &step))
            return step;
        fc_push_layer(w, FC_LAYER_PAYLOAD);
        return FC_STEP_DONE;
    }
    return payload_behind(w, 8);
}

static enum fc_step dccp(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    ports(w, FC_LAYER_OTHER);
    return fc_left(w) < 5 || p[4] < 3 ? FC_STEP_DONE : payload_behind(w, p[4] * 4u);
}

/*
 * The message type that answers a type, or the type it answers: Community ID v1's table, which is Zeek's.
 * -1 where there is none.
 */
static int icmp_counterpart(uint32_t proto, uint8_t type)
{
    static const uint8_t v4[][2] = {{8, 0}, {13, 14}, {15, 16}, {10, 9}, {17, 18}};
    static const uint8_t v6[][2] = {{128, 129}, {130, 131}, {133, 134}, {135, 136}, {139, 140}, {144, 145}};
    const uint8_t(*pair)[2] = proto == FC_IPPROTO_ICMP ? v4 : v6;
    unsigned count = proto == FC_IPPROTO_ICMP ? sizeof(v4) / sizeof(v4[0]) : sizeof(v6) / sizeof(v6[0]);

    for (unsigned i = 0; i < count; i++) {
        if (pair[i][0] == type)
            return pair[i][1];
        if (pair[i][1] == type)
            return pair[i][0];
    }
    return -1;
}

static enum fc_step icmp(struct fc_walk *w, enum fc_layer_type type)
{
    const uint8_t *p = fc_here(w);

    fc_push_layer(w, type);
    if (fc_left(w) >= 2) {
        int other = icmp_counterpart(w->next, p[0]);
        w->port[0] = p[0];
        w->port[1] = other < 0 ? p[1] : (uint16_t)other;
        w->one_way = other < 0;
    }
    return payload_behind(w, 8);
}

/* AH and IPv6 extension headers start with the next header's number and a length; `size` is what that comes to. */
static enum fc_step skip_extension(struct fc_walk *w, uint32_t size, enum fc_layer_type type)
{
    w->next = *fc_here(w);
    w->proto = w->next;
    fc_push_layer(w, type);
    fc_skip(w, size);
    return FC_STEP_IPPROTO;
}

static enum fc_step ah(struct fc_walk *w)
{
    if (fc_left(w) < 12) {
        fc_push_layer(w, FC_LAYER_OTHER);
        return FC_STEP_DONE;
    }
    return skip_extension(w, (fc_here(w)[1] + 2u) * 4, w->ip_version == 6 ? FC_LAYER_IPV6_EXT : FC_LAYER_OTHER);
}

static enum fc_step ipv6_extension(struct fc_walk *w)
{
    if (fc_left(w) < 2) {
        fc_push_layer(w, FC_LAYER_IPV6_EXT);
        return FC_STEP_DONE;
    }
    return skip_extension(w, (fc_here(w)[1] + 1u) * 8, FC_LAYER_IPV6_EXT);
}

static enum fc_step ipv6_fragment(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 8) {
        fc_push_layer(w, FC_LAYER_IPV6_EXT);
        return FC_STEP_DONE;
    }
    uint32_t offset_more = fc_be16(p + 2) & 0xfff9;
    if (offset_more) /* else atomic (RFC 6946): a whole datagram */
        fc_note_fragment(w, offset_more & 0xfff8 ? FC_FRAG_LATER : FC_FRAG_FIRST, fc_be32(p + 4));
    enum fc_step step = skip_extension(w, 8, FC_LAYER_IPV6_EXT);
    if (w->frag != FC_FRAG_LATER)
        return step;
    fc_walk_payload(w);
    return FC_STEP_DONE;
}

/* A protocol without a decoder: all behind the IP header counts as its payload. */
enum fc_step fc_walk_other(struct fc_walk *w)
{
    payload_from(w, 0);
    fc_push_layer(w, FC_LAYER_OTHER);
    return FC_STEP_DONE;
}

enum fc_step fc_step_ipproto(struct fc_walk *w)
{
    w->proto = w->next;
    switch (w->next) {
    case FC_IPPROTO_TCP:
        return tcp(w);
    case FC_IPPROTO_UDP:
        return udp(w);
    case FC_IPPROTO_ICMP:
        return icmp(w, FC_LAYER_ICMP);
    case FC_IPPROTO_ICMPV6:
        return icmp(w, FC_LAYER_ICMPV6);
    case FC_IPPROTO_SCTP:
        ports(w, FC_LAYER_SCTP);
        return payload_behind(w, 12);
    case FC_IPPROTO_UDPLITE:
        ports(w, FC_LAYER_OTHER);
        return payload_behind(w, 8);
    case FC_IPPROTO_DCCP:
        return dccp(w);
    case FC_IPPROTO_AH:
        return ah(w);
    case FC_IPPROTO_HOPOPTS:
    case FC_IPPROTO_ROUTING:
    case FC_IPPROTO_DSTOPTS:
        return w->ip_version == 6 ? ipv6_extension(w) : fc_walk_other(w);
    case FC_IPPROTO_FRAGMENT:
        return w->ip_version == 6 ? ipv6_fragment(w) : fc_walk_other(w);
    default:
        payload_from(w, 0);
        return fc_ip_tunnel(w);
    }
}
