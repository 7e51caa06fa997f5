/* SPDX-License-Identifier: MIT */
/*
 * The walk over one record's headers: its state, the steps it is made of, and readers of network byte order.
 *
 * A step reads one header at `off`, notes what the session key needs of it, moves `off` behind it and names the step
 * that reads the next header. The loop in decode.c counts steps against FC_DEPTH_MAX, so no chain of headers, however
 * it nests, recurses or runs on. A tunnel is a step that calls fc_enter() and returns FC_STEP_IP, FC_STEP_PPP,
 * FC_STEP_ETHERNET ...: an inner IP header overwrites the session noted so far. Nothing else does once there is one:
 * what a tunnel carries beside IP, and what is broken or cut inside it, belongs to the tunnel's own session.
 *
 * Invariant: off <= end <= the record's caplen. A step checks fc_left() before it reads.
 */
#ifndef FC_DECODE_WALK_H
#define FC_DECODE_WALK_H

#include <flowcarve/decode.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

enum { FC_LINKTYPE_ETHERNET = 1 };

enum {
    FC_IPPROTO_HOPOPTS = 0,
    FC_IPPROTO_ICMP = 1,
    FC_IPPROTO_IPV4 = 4,
    FC_IPPROTO_TCP = 6,
    FC_IPPROTO_UDP = 17,
    FC_IPPROTO_DCCP = 33,
    FC_IPPROTO_IPV6 = 41,
    FC_IPPROTO_ROUTING = 43,
    FC_IPPROTO_FRAGMENT = 44,
    FC_IPPROTO_GRE = 47,
    FC_IPPROTO_ESP = 50,
    FC_IPPROTO_AH = 51,
    FC_IPPROTO_ICMPV6 = 58,
    FC_IPPROTO_DSTOPTS = 60,
    FC_IPPROTO_ETHERIP = 97,
    FC_IPPROTO_PIM = 103,
    FC_IPPROTO_L2TP = 115,
    FC_IPPROTO_SCTP = 132,
    FC_IPPROTO_UDPLITE = 136,
    FC_IPPROTO_MPLS = 137,
    FC_IPPROTO_ETHERNET = 143,
    FC_IPPROTO_NSH = 145
};

/* EtherTypes the walk goes into. */
enum {
    FC_ETHERTYPE_MIN = 0x0600, /* below: an 802.3 length */
    FC_ETHERTYPE_IPV4 = 0x0800,
    FC_ETHERTYPE_ARP = 0x0806,
    FC_ETHERTYPE_ERSPAN3 = 0x22eb,
    FC_ETHERTYPE_TRILL = 0x22f3,
    FC_ETHERTYPE_BATMAN = 0x4305, /* B.A.T.M.A.N. advanced */
    FC_ETHERTYPE_EOIP = 0x6400,   /* MikroTik, in GRE */
    FC_ETHERTYPE_TEB = 0x6558,    /* transparent Ethernet bridging */
    FC_ETHERTYPE_RARP = 0x8035,
    FC_ETHERTYPE_VLAN = 0x8100,
    FC_ETHERTYPE_IPV6 = 0x86dd,
    FC_ETHERTYPE_PPP = 0x880b,
    FC_ETHERTYPE_WCCP = 0x883e, /* in GRE */
    FC_ETHERTYPE_MPLS = 0x8847,
    FC_ETHERTYPE_MPLS_MCAST = 0x8848,
    FC_ETHERTYPE_PPPOE = 0x8864,
    FC_ETHERTYPE_JUMBO_LLC = 0x8870, /* LLC, of a frame longer than an 802.3 length can say */
    FC_ETHERTYPE_A10 = 0x8881,       /* 3GPP2's A10 interface, in GRE: an unstructured byte stream, */
    FC_ETHERTYPE_QINQ = 0x88a8,
    FC_ETHERTYPE_ERSPAN = 0x88be,
    FC_ETHERTYPE_A10_PACKET = 0x88d2, /* or with attributes in front */
    FC_ETHERTYPE_MACSEC = 0x88e5,
    FC_ETHERTYPE_PBB = 0x88e7,
    FC_ETHERTYPE_FABRICPATH = 0x8903,
    FC_ETHERTYPE_CMD = 0x8909, /* Cisco metadata */
    FC_ETHERTYPE_VNTAG = 0x8926,
    FC_ETHERTYPE_HSR = 0x892f,
    FC_ETHERTYPE_ETAG = 0x893f, /* IEEE 802.1BR */
    FC_ETHERTYPE_NSH = 0x894f,
    FC_ETHERTYPE_RTAG = 0xf1c1 /* IEEE 802.1CB */
};

enum fc_step {
    FC_STEP_DONE = 0,  /* the session is known */
    FC_STEP_MALFORMED, /* the header at `off` is broken or cut */
    FC_STEP_ETHERTYPE, /* `next` is an EtherType */
    FC_STEP_ETHERNET,  /* Ethernet inside an encapsulation */
    FC_STEP_NSH,       /* network service header, RFC 8300 */
    FC_STEP_LLC,       /* IEEE 802.2 */
    FC_STEP_MPLS,      /* one label */
    FC_STEP_PPPOE,     /* session header, RFC 2516 */
    FC_STEP_PPP,       /* RFC 1661/1662, with or without address and control, with or without compressed protocol */
    FC_STEP_CHDLC,     /* Cisco HDLC */
    FC_STEP_IP,        /* IPv4 or IPv6 by the first nibble, whatever the header in front of it says */
    FC_STEP_IPPROTO,   /* `next` is an IP protocol or an IPv6 extension header */
    FC_STEP_COUNT
};

struct fc_walk {
    /* the record; only `off` and `end` move */
    const uint8_t *data;
    uint32_t off;      /* next header */
    uint32_t end;      /* end of what was captured, without what an IP length calls padding */
    uint32_t wire_len; /* record's length on the wire */
    uint32_t mask;
    uint32_t link_type;
    uint32_t next; /* EtherType or IP protocol for the next step */
    struct fc_packet *out;

    /* the session noted so far, sender's side first */
    const uint8_t *addr[2];
    uint32_t proto;
    uint16_t port[2];
    uint8_t addr_kind;
    uint8_t one_way;
    uint8_t frag; /* of the last of the datagrams */
    uint8_t datagram_count;
    uint8_t tunnel_count;
    uint8_t outer_noted;   /* `outer` is filled */
    struct fc_walk *outer; /* FC_KEY_OUTER: the walk where the first tunnel began; else NULL */

    /* what optional groups are made of */
    uint8_t link_kind;  /* FC_ADDR_MAC or FC_ADDR_NONE */
    uint8_t ip_version; /* of `ip`: 4 or 6 */
    uint8_t payload_known;
    uint8_t layer_count;
    uint8_t mpls_count;
    uint8_t vlan_count;
    uint16_t vlan[FC_VLAN_MAX];
    uint32_t got;
    uint32_t payload_bytes;
    uint32_t payload_off;
    const uint8_t *link_addr[2];
    uint8_t own_addr[6];  /* a link address that does not stand in the record as such */
    const uint8_t *ip;    /* IP header of the session */
    uint64_t ip_wire_end; /* where its datagram ends on the wire; 64 bits: off + 65535 may pass 2^32 */
    uint64_t
        carried_end; /* the same, but no further than the record and what the datagram is carried in, or its piece */
};

typedef enum fc_step fc_step_fn(struct fc_walk *w);

/* Zeros, for an address a header does not carry. */
extern const uint8_t fc_no_addr[16];

/* decode.c: fc_decode() without its shortcuts for common packets (shortcut.c); says the same. */
void fc_decode_walk(uint32_t link_type, const uint8_t *data, uint32_t caplen, uint32_t origlen, uint32_t mask,
                    struct fc_packet *out);

/* link_types.c: the link type's first step, or NULL when it has no decoder. */
fc_step_fn *fc_link_step(uint32_t link_type);

/* link.c */
fc_step_fn fc_step_ethertype, fc_step_llc, fc_step_mpls, fc_step_pppoe, fc_step_ppp, fc_step_chdlc;
/* ip.c */
fc_step_fn fc_step_ip;
/* transport.c */
fc_step_fn fc_step_ipproto;
/* transport.c: what follows at `off` is payload above layer 4. */
void fc_walk_payload(struct fc_walk *w);
/* transport.c: `off` is at an IP protocol's header that is not gone into: all from there on is payload. */
enum fc_step fc_walk_other(struct fc_walk *w);

/* tunnel.c */
fc_step_fn fc_step_nsh;
/* shim.c: the EtherTypes that wrap a frame; Ethernet inside of something; what is below the last MPLS label */
fc_step_fn fc_step_shim, fc_step_ethernet, fc_step_mpls_payload;

/*
 * domain.c: notes an encapsulation whose own header is whole; `off` is at what it carries. False: there are
 * FC_TUNNEL_MAX already, what this one carries is payload.
 */
bool fc_enter(struct fc_walk *w, enum fc_tunnel_kind kind, uint32_t id);

/* domain.c: the domain of the session noted so far, see struct fc_flow_key. */
uint64_t fc_walk_domain(const struct fc_walk *w);

/* domain.c: the packet is a fragment of the datagram of the IP header noted last. */
void fc_note_fragment(struct fc_walk *w, enum fc_frag frag, uint32_t id);

static inline uint16_t fc_be16(const uint8_t *p)
{
    return fc_load16(p, true);
}

static inline uint32_t fc_be32(const uint8_t *p)
{
    return fc_load32(p, true);
}

static inline uint64_t fc_be64(const uint8_t *p)
{
    return fc_load64(p, true);
}

static inline uint32_t fc_left(const struct fc_walk *w)
{
    return w->end - w->off;
}

static inline const uint8_t *fc_here(const struct fc_walk *w)
{
    return w->data + w->off;
}

/* Moves behind a header of `bytes`, or to the end where it was cut. */
static inline void fc_skip(struct fc_walk *w, uint32_t bytes)
{
    w->off += bytes < fc_left(w) ? bytes : fc_left(w);
}

/* Lists the layer at `off`, if any of it was captured. */
static inline void fc_push_layer(struct fc_walk *w, enum fc_layer_type type)
{
    if (w->layer_count < FC_LAYERS_MAX && w->off < w->end)
        w->out->layer[w->layer_count++] =
            (struct fc_layer){.off = w->off, .type = (uint16_t)type, .depth = w->tunnel_count};
}

/* The session has no IP addresses: it goes by link addresses, where there are any. Inside a tunnel over IP it has. */
static inline void fc_link_session(struct fc_walk *w, uint32_t proto)
{
    if (w->ip)
        return;
    w->proto = proto;
    w->addr_kind = w->link_kind;
    w->addr[0] = w->link_addr[0];
    w->addr[1] = w->link_addr[1];
}

#endif
