/* SPDX-License-Identifier: MIT */
/* The walk over a record's headers, step by step, and what is delivered of it. */
#include <flowcarve/decode.h>
#include <stddef.h>

#include "base/export.h"
#include "decode/key.h"
#include "decode/walk.h"

#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Groups that need work of their own beside key and TCP fields. */
#define OPTIONAL                                                                                                       \
    (FC_WANT_MAC | FC_WANT_VLAN | FC_WANT_MPLS | FC_WANT_TTL | FC_WANT_DSCP | FC_WANT_PAYLOAD | FC_WANT_TUNNEL)

_Static_assert(offsetof(struct fc_flow_key, domain) == offsetof(struct fc_flow_key, port) + 8,
               "fc_key_tail() writes this layout");

const uint8_t fc_no_addr[16];

static fc_step_fn *const steps[FC_STEP_COUNT] = {
    [FC_STEP_ETHERTYPE] = fc_step_ethertype,
    [FC_STEP_ETHERNET] = fc_step_ethernet,
    [FC_STEP_NSH] = fc_step_nsh,
    [FC_STEP_LLC] = fc_step_llc,
    [FC_STEP_MPLS] = fc_step_mpls,
    [FC_STEP_PPPOE] = fc_step_pppoe,
    [FC_STEP_PPP] = fc_step_ppp,
    [FC_STEP_CHDLC] = fc_step_chdlc,
    [FC_STEP_IP] = fc_step_ip,
    [FC_STEP_IPPROTO] = fc_step_ipproto,
};

/* Bytes of an address that count. */
static size_t addr_size(uint8_t kind)
{
    return kind == FC_ADDR_IPV6 ? 16 : kind == FC_ADDR_IPV4 ? 4 : kind == FC_ADDR_MAC ? 6 : 0;
}

/* Link sessions, and ICMP messages that are not sorted: the rarer keys, written plainly. */
static unsigned key_other(const struct fc_walk *w, struct fc_flow_key *key, uint64_t domain)
{
    size_t size = addr_size(w->addr_kind);
    unsigned swap = 0;

    if (!w->one_way && size)
        swap = memcmp(w->addr[0], w->addr[1], size) > 0;
    memset(key->addr, 0, sizeof(key->addr));
    if (size) {
        memcpy(key->addr[swap], w->addr[0], size);
        memcpy(key->addr[swap ^ 1], w->addr[1], size);
    }
    fc_key_tail(key, swap, w->port[0], w->port[1], w->addr_kind, w->one_way, w->proto, domain);
    return swap;
}

static unsigned key_write(const struct fc_walk *w, struct fc_flow_key *key, uint64_t domain)
{
    if (w->one_way)
        return key_other(w, key, domain);
    if (w->addr_kind == FC_ADDR_IPV4)
        return fc_key_ipv4(key, w->addr[0], w->addr[1], w->port[0], w->port[1], w->proto, domain);
    if (w->addr_kind == FC_ADDR_IPV6)
        return fc_key_ipv6(key, w->addr[0], w->addr[1], w->port[0], w->port[1], w->proto, domain);
    return key_other(w, key, domain);
}

static void deliver_session(struct fc_walk *w, enum fc_step last)
{
    struct fc_packet *out = w->out;

    if (last == FC_STEP_MALFORMED) {
        /* one session for all of them: whatever was read before may be as wrong as what broke */
        w->addr_kind = FC_ADDR_NONE;
        w->proto = FC_PROTO_MALFORMED;
        w->port[0] = w->port[1] = 0;
        w->one_way = 0;
    }
    uint64_t domain = last == FC_STEP_MALFORMED ? 0 : fc_walk_domain(w);
    out->dir = (uint8_t)key_write(w, &out->key, domain);
    out->frag = w->frag;
    out->datagram_count = w->datagram_count;
    out->malformed = last == FC_STEP_MALFORMED;
    w->got |= FC_WANT_KEY;
}

static void deliver_ip(struct fc_walk *w)
{
    struct fc_packet *out = w->out;
    const uint8_t *ip = w->ip;

    if (w->mask & FC_WANT_TTL)
        out->ttl = w->ip_version == 4 ? ip[8] : ip[7];
    if (w->mask & FC_WANT_DSCP)
        out->dscp = w->ip_version == 4 ? ip[1] >> 2 : (uint8_t)((ip[0] & 15) << 2 | ip[1] >> 6);
    w->got |= w->mask & (FC_WANT_TTL | FC_WANT_DSCP);
    if (w->mask & FC_WANT_PAYLOAD && w->payload_known) {
        out->payload_bytes = w->payload_bytes;
        out->payload_off = w->payload_off;
        w->got |= FC_WANT_PAYLOAD;
    }
}

static void deliver_optional(struct fc_walk *w)
{
    struct fc_packet *out = w->out;

    if (w->mask & FC_WANT_MAC && w->link_kind == FC_ADDR_MAC) {
        memcpy(out->mac[0], w->link_addr[0], 6);
        memcpy(out->mac[1], w->link_addr[1], 6);
        w->got |= FC_WANT_MAC;
    }
    if (w->mask & FC_WANT_VLAN && w->vlan_count) {
        memcpy(out->vlan, w->vlan, w->vlan_count * sizeof(w->vlan[0]));
        out->vlan_count = w->vlan_count;
        w->got |= FC_WANT_VLAN;
    }
    if (w->mask & FC_WANT_MPLS && w->mpls_count) { /* the labels were written on the way */
        out->mpls_count = w->mpls_count;
        w->got |= FC_WANT_MPLS;
    }
    if (w->mask & FC_WANT_TUNNEL && w->tunnel_count) { /* these too */
        out->tunnel_count = w->tunnel_count;
        w->got |= FC_WANT_TUNNEL;
    }
    if (w->ip)
        deliver_ip(w);
}

/* Goes back to the session of the outermost IP layer; of what is inside, only its encapsulations are told. */
static void back_to_outer(struct fc_walk *w)
{
    uint8_t tunnels = w->tunnel_count;

    *w = *w->outer;
    w->tunnel_count = tunnels;
}

FC_EXPORT const uint8_t *fc_packet_payload(const struct fc_packet *packet, const uint8_t *data, uint32_t caplen,
                                           uint32_t *captured)
{
    *captured = 0;
    if (!(packet->got & FC_WANT_PAYLOAD) || packet->payload_off >= caplen || !packet->payload_bytes)
        return NULL;
    *captured = caplen - packet->payload_off;
    if (*captured > packet->payload_bytes)
        *captured = packet->payload_bytes;
    return data + packet->payload_off;
}

void fc_decode_walk(uint32_t link_type, const uint8_t *data, uint32_t caplen, uint32_t origlen, uint32_t mask,
                    struct fc_packet *out)
{
    struct fc_walk outer,
        w = {
            .data = caplen ? data : fc_no_addr, /* no arithmetic on a null pointer */
            .end = caplen,
            .wire_len = caplen > origlen ? caplen : origlen, /* some writers leave the original length too small */
            .carried_end = caplen > origlen ? caplen : origlen,
            .mask = mask,
            .link_type = link_type,
            .out = out,
            .outer = mask & FC_KEY_OUTER ? &outer : NULL,
        };
    fc_step_fn *first = fc_link_step(link_type);
    enum fc_step step = FC_STEP_DONE;

    if (first)
        step = first(&w);
    else
        w.proto = FC_PROTO_LINK | (link_type & 0xffff);
    for (unsigned depth = 1; step > FC_STEP_MALFORMED && depth < FC_DEPTH_MAX; depth++)
        step = steps[step](&w);
    if (step == FC_STEP_MALFORMED && w.ip) /* inside a tunnel: the session of the IP layer around it */
        step = FC_STEP_DONE;
    if (w.outer_noted)
        back_to_outer(&w);

    if (mask & FC_WANT_KEY)
        deliver_session(&w, step);
    if (UNLIKELY(mask & OPTIONAL))
        deliver_optional(&w);
    out->layer_count = w.layer_count;
    out->got = w.got;
}
