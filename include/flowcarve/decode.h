/* SPDX-License-Identifier: MIT */
/*
 * Decoding of layer 2 to 4 headers, as far as a bitmask asks and no further.
 *
 * fc_decode() is pure: it reads only the given bytes, allocates nothing, keeps nothing, never fails and never
 * reads past `caplen`. It does not reassemble, does not verify checksums and does not look into payload.
 *
 * Threads: any, no shared state. Memory: the caller's only.
 * Limits: FC_VLAN_MAX tags and FC_MPLS_MAX labels are reported (more are skipped over), FC_LAYERS_MAX layers are
 * listed, FC_DEPTH_MAX headers and FC_TUNNEL_MAX tunnels are followed; past that the rest is payload.
 * Source: IEEE 802.1Q/802.3, RFC 791, 8200, 9293, 768, 9260, 792, 4443, 826, 3032, 2516, 1661; encapsulations as
 * docs/formats.md lists them; link types as listed by tcpdump.org; ICMP pairing as in Community ID v1.
 */
#ifndef FLOWCARVE_DECODE_H
#define FLOWCARVE_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What to decode. May differ from packet to packet. The key needs all but nothing more of what it names. */
enum {
    FC_WANT_KEY = 1u << 0,     /* flow key, direction, fragment state */
    FC_WANT_TCP = 1u << 1,     /* TCP flags, sequence and acknowledgement numbers */
    FC_WANT_MAC = 1u << 2,     /* link addresses */
    FC_WANT_VLAN = 1u << 3,    /* 802.1Q / 802.1ad ids, outermost first */
    FC_WANT_MPLS = 1u << 4,    /* MPLS labels, top of stack first */
    FC_WANT_TTL = 1u << 5,     /* TTL or hop limit */
    FC_WANT_DSCP = 1u << 6,    /* DSCP, 0-63 */
    FC_WANT_PAYLOAD = 1u << 7, /* payload length above layer 4, from the IP lengths */
    FC_WANT_TUNNEL = 1u << 8,  /* encapsulations around the IP layer of the key, outermost first */
    FC_WANT_SESSION = FC_WANT_KEY | FC_WANT_TCP,
    FC_WANT_ALL = 0x1ff,
    /* how to build the key */
    FC_KEY_VLAN = 1u << 16,   /* VLAN ids become part of the key (`domain`) */
    FC_KEY_TUNNEL = 1u << 17, /* so do encapsulations with their ids */
    FC_KEY_OUTER = 1u << 18   /* the key is that of the outermost IP layer, not of the innermost */
};

/* Protocol numbers, one space for all: 0-255 are IP protocols, the others carry their class in the upper half. */
enum {
    FC_PROTO_ETHERTYPE = 0x10000, /* | EtherType */
    FC_PROTO_LLC = 0x20000,       /* | DSAP << 8 | SSAP */
    FC_PROTO_LINK = 0x30000,      /* | link type: without a decoder, or a frame that carries nothing readable */
    FC_PROTO_PPP = 0x40000,       /* | PPP protocol */
    FC_PROTO_MALFORMED = 0x50000, /* records that cannot be decoded */
    FC_PROTO_ARP = FC_PROTO_ETHERTYPE | 0x0806
};

/* What the two addresses of a key are. */
enum fc_addr_kind {
    FC_ADDR_NONE = 0, /* no addresses: both all zero */
    FC_ADDR_IPV4 = 4, /* first 4 bytes */
    FC_ADDR_IPV6 = 6, /* 16 bytes */
    FC_ADDR_MAC = 1   /* first 6 bytes */
};

/*
 * Key of a bidirectional session. Canonical: endpoint 0 is the lower one by (address bytes, port), unless the packet
 * is an ICMP message without counterpart, whose endpoint 0 is the sender. Unused bytes are zero, so that two keys are
 * equal exactly when memcmp() says so. 48 bytes, no padding.
 */
struct fc_flow_key {
    uint8_t addr[2][16];
    uint16_t port[2];       /* host order; ICMP: type and its counterpart (or type and code); 0: there is none */
    uint32_t proto : 24;    /* FC_PROTO_* space */
    uint32_t addr_kind : 7; /* enum fc_addr_kind */
    uint32_t one_way : 1;   /* 1: ICMP message without counterpart, endpoints not sorted */
    /*
     * What keeps sessions with the same addresses apart: VLAN ids with FC_KEY_VLAN, encapsulations with FC_KEY_TUNNEL,
     * the SPI of ESP always; 0 when there is none. Up to two VLAN ids and one encapsulation of a kind below 32 are
     * written out, so that equal domains are equal stacks:
     *   bits 0-12   outermost VLAN id + 1      bits 26-30  enum fc_tunnel_kind
     *   bits 13-25  second VLAN id + 1         bits 31-62  its id
     * More than that is a 63-bit hash of the whole stack, with bit 63 set.
     */
    uint64_t domain;
};
#ifndef __cplusplus
_Static_assert(sizeof(struct fc_flow_key) == 48, "fc_flow_key must have no padding");
#endif

enum fc_frag {
    FC_FRAG_NONE = 0,  /* whole datagram (also an IPv6 atomic fragment) */
    FC_FRAG_FIRST = 1, /* offset 0, more to come: has the ports */
    FC_FRAG_LATER = 2  /* offset > 0: ports in the key are 0 and unknown */
};

enum {
    FC_TCP_FIN = 0x01,
    FC_TCP_SYN = 0x02,
    FC_TCP_RST = 0x04,
    FC_TCP_PSH = 0x08,
    FC_TCP_ACK = 0x10,
    FC_TCP_URG = 0x20
};

enum fc_layer_type {
    FC_LAYER_LINK = 1, /* link header of the capture's link type, offset 0 */
    FC_LAYER_VLAN,
    FC_LAYER_MPLS,
    FC_LAYER_PPPOE,
    FC_LAYER_PPP,
    FC_LAYER_LLC,
    FC_LAYER_ARP,
    FC_LAYER_IPV4,
    FC_LAYER_IPV6,
    FC_LAYER_IPV6_EXT,
    FC_LAYER_TCP,
    FC_LAYER_UDP,
    FC_LAYER_SCTP,
    FC_LAYER_ICMP,
    FC_LAYER_ICMPV6,
    FC_LAYER_OTHER,    /* another IP protocol's header */
    FC_LAYER_ETHERNET, /* Ethernet header inside an encapsulation */
    FC_LAYER_TUNNEL,   /* header of an encapsulation that has no type above */
    FC_LAYER_PAYLOAD
};

/* Encapsulations. The names, and where the ids come from, are in docs/formats.md. Numbers are kept in indexes. */
enum fc_tunnel_kind {
    FC_TUNNEL_IPIP = 1, /* IPv4 in IPv4 */
    FC_TUNNEL_6IN4,
    FC_TUNNEL_4IN6,
    FC_TUNNEL_6IN6,
    FC_TUNNEL_GRE,     /* without a key */
    FC_TUNNEL_GRE_KEY, /* id: key */
    FC_TUNNEL_NVGRE,   /* id: virtual subnet */
    FC_TUNNEL_PPTP,    /* id: call */
    FC_TUNNEL_ERSPAN1,
    FC_TUNNEL_ERSPAN2, /* id: session; so type III */
    FC_TUNNEL_ERSPAN3,
    FC_TUNNEL_VXLAN,     /* id: VNI; so the next two */
    FC_TUNNEL_VXLAN_GPE, /* */
    FC_TUNNEL_GENEVE,
    FC_TUNNEL_GTPU,   /* id: TEID */
    FC_TUNNEL_L2TP,   /* id: tunnel << 16 | session */
    FC_TUNNEL_L2TPV3, /* id: session */
    FC_TUNNEL_PPPOE,  /* id: session */
    FC_TUNNEL_PW,     /* Ethernet pseudowire; its label is among the MPLS labels */
    FC_TUNNEL_PBB,    /* IEEE 802.1ah; id: I-SID */
    FC_TUNNEL_VNTAG,
    FC_TUNNEL_TEREDO,
    FC_TUNNEL_CAPWAP,
    FC_TUNNEL_TZSP,
    FC_TUNNEL_ETHERIP,
    FC_TUNNEL_ESP, /* id: SPI; what it carries is not read */
    FC_TUNNEL_NSH, /* id: service path */
    FC_TUNNEL_LISP,
    FC_TUNNEL_MPLS, /* MPLS in IP or UDP */
    FC_TUNNEL_PIM,  /* register message */
    FC_TUNNEL_EOIP, /* MikroTik; id: tunnel */
    FC_TUNNEL_AYIYA,
    FC_TUNNEL_KINDS
};

struct fc_tunnel {
    uint32_t kind; /* enum fc_tunnel_kind */
    uint32_t id;   /* 0 where the kind has none */
};

enum {
    FC_VLAN_MAX = 4,
    FC_MPLS_MAX = 8,
    FC_TUNNEL_MAX = 8,
    FC_DATAGRAM_MAX = 4,
    FC_LAYERS_MAX = 16,
    FC_DEPTH_MAX = 128
};

/* A layer that a packet has. The header of an encapsulation in UDP counts as inside of it, others as outside. */
struct fc_layer {
    uint32_t off;   /* bytes from the start of the record's data */
    uint16_t type;  /* enum fc_layer_type */
    uint16_t depth; /* encapsulations around it, of which tunnel[depth - 1] is the innermost */
};

/*
 * Result of fc_decode(). Only members whose group is named in `got` are written; the rest is left as it was, so that
 * a caller need not clear the struct between packets.
 */
struct fc_packet {
    uint32_t got;           /* FC_WANT_* bits delivered; always a subset of the mask */
    struct fc_flow_key key; /* FC_WANT_KEY: always delivered */
    uint8_t dir;            /* FC_WANT_KEY: 0 when endpoint 0 sent this packet, else 1 */
    uint8_t frag;           /* FC_WANT_KEY: enum fc_frag, the last of the datagrams below */
    uint8_t malformed;      /* FC_WANT_KEY: 1 when the key is FC_PROTO_MALFORMED (a header is broken or cut) */
    uint8_t datagram_count; /* FC_WANT_KEY: fragmented datagrams that this packet is a piece of */
    uint8_t tcp_flags;      /* FC_WANT_TCP: as on the wire; absent unless 14 bytes of the TCP header are there */
    uint32_t tcp_seq;       /* FC_WANT_TCP */
    uint32_t tcp_ack;       /* FC_WANT_TCP */
    uint8_t mac[2][6];      /* FC_WANT_MAC: [0] sender, [1] receiver; a cooked header has the sender only */
    uint8_t vlan_count;     /* FC_WANT_VLAN: 1-FC_VLAN_MAX */
    uint8_t mpls_count;     /* FC_WANT_MPLS: 1-FC_MPLS_MAX */
    uint8_t ttl;            /* FC_WANT_TTL, of the IP layer of the key */
    uint8_t dscp;           /* FC_WANT_DSCP, of the IP layer of the key */
    uint8_t tunnel_count;   /* FC_WANT_TUNNEL: 1-FC_TUNNEL_MAX */
    uint16_t vlan[FC_VLAN_MAX];
    uint32_t mpls[FC_MPLS_MAX];
    struct fc_tunnel tunnel[FC_TUNNEL_MAX]; /* may be written without being delivered */
    uint32_t payload_bytes;                 /* FC_WANT_PAYLOAD: on the wire, in this record; link padding not counted */
    uint32_t payload_off;                   /* FC_WANT_PAYLOAD: where it starts in the record's data, or would if cut */
    uint8_t layer_count;                    /* always delivered: layers in order, each with its offset */
    struct fc_layer layer[FC_LAYERS_MAX];
    /*
     * Names of the datagrams that this packet is a fragment of, outermost first: a datagram may be a fragment and carry
     * one. Of all but the last it is the first fragment; of the last, what `frag` says. Two fragments belong together
     * when their names are equal. A name has the addresses of sender and receiver, not sorted, the identification
     * as ports, the protocol (IPv4 only) and the domain outside of it.
     */
    struct fc_flow_key datagram[FC_DATAGRAM_MAX];
};

/*
 * Decodes one record.
 *   link_type  LINKTYPE_ value of the record's interface (FCS bits removed)
 *   data       captured bytes; may be NULL when caplen is 0
 *   caplen     captured bytes at `data`
 *   origlen    length on the wire, bytes
 *   mask       FC_WANT_* and FC_KEY_*
 *   out        result
 * Always delivers a key when FC_WANT_KEY is in the mask: that of the innermost IP header that is whole. What a tunnel
 * carries beside IP, or what is broken or cut inside it, is payload of the tunnel. Without any IP header an unknown
 * link type gives FC_PROTO_LINK, link-layer traffic gives link addresses and EtherType, a broken or cut header gives
 * FC_PROTO_MALFORMED.
 */
void fc_decode(uint32_t link_type, const uint8_t *data, uint32_t caplen, uint32_t origlen, uint32_t mask,
               struct fc_packet *out);

/*
 * The payload of a packet that was decoded with FC_WANT_PAYLOAD, inside of the record's `data`, which has caplen bytes:
 * *payload and how much of it was captured, at most packet->payload_bytes. Of a fragment, what this record has of the
 * datagram: behind the layer 4 header in the first one, behind the IP header in others. NULL and 0 when there is none.
 */
const uint8_t *fc_packet_payload(const struct fc_packet *packet, const uint8_t *data, uint32_t caplen,
                                 uint32_t *captured);

/* True when link_type has a decoder of its own. */
bool fc_link_type_known(uint32_t link_type);

/* Name of a link type as tcpdump.org writes it without LINKTYPE_ ("ETHERNET"), or NULL. Static string. */
const char *fc_link_type_name(uint32_t link_type);

/* What is read of a link type, in a phrase for people, or NULL when it has no decoder. Static string. */
const char *fc_link_type_about(uint32_t link_type);

/* Lower-case name of a protocol number ("tcp", "arp"), or NULL where it has none. Static string. */
const char *fc_proto_name(uint32_t proto);

/* Number of a protocol by name; -1 when unknown. */
int64_t fc_proto_number(const char *name);

/* The i-th named protocol, for filling a table: returns its number and sets *name, or -1 past the end. */
int64_t fc_proto_at(unsigned i, const char **name);

/*
 * Encapsulations as text, outermost first: "vxlan:42/gre". Returns its whole length, also when no more than size - 1
 * bytes of it and a NUL are written; `size` of FC_TUNNEL_TEXT is always enough.
 */
enum { FC_TUNNEL_TEXT = FC_TUNNEL_MAX * 24 };
size_t fc_tunnel_text(const struct fc_tunnel *tunnel, unsigned count, char *text, size_t size);

/*
 * Name of a kind ("vxlan"), or NULL past the last; and what its id is ("VNI"), NULL when it has none. Static strings.
 */
const char *fc_tunnel_name(unsigned kind, const char **id);

/* True when keys of this protocol have ports (ICMP types count as ports). */
bool fc_proto_has_ports(uint32_t proto);

/*
 * Community ID v1 (seed 0) of a key's session: "1:" and 28 characters of base64, NUL-terminated. The endpoints may come
 * in any order, unless the key is one_way. False, and text as it was, when there is none: the key is not of IP. Source:
 * github.com/corelight/community-id-spec.
 */
enum { FC_COMMUNITY_ID_SIZE = 31 };
bool fc_community_id(const struct fc_flow_key *key, char text[FC_COMMUNITY_ID_SIZE]);

#ifdef __cplusplus
}
#endif
#endif
