/* SPDX-License-Identifier: MIT */
/* Packets built by hand, header by header. No checksums: the decoder does not look at them. */
#ifndef FC_TEST_DECODE_PACKETS_H
#define FC_TEST_DECODE_PACKETS_H

#include <flowcarve/decode.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    LT_NULL = 0,
    LT_ETH = 1,
    LT_TOKEN_RING = 6,
    LT_ARCNET = 7,
    LT_SLIP = 8,
    LT_PPP = 9,
    LT_FDDI = 10,
    LT_HDLC = 50,
    LT_PPPOE = 51,
    LT_ATM = 100,
    LT_RAW = 101,
    LT_CHDLC = 104,
    LT_WLAN = 105,
    LT_ATM_CLIP = 106,
    LT_FRELAY = 107,
    LT_LOOP = 108,
    LT_ENC = 109,
    LT_SLL = 113,
    LT_PFLOG = 117,
    LT_PRISM = 119,
    LT_IP_OVER_FC = 122,
    LT_SUNATM = 123,
    LT_RADIOTAP = 127,
    LT_ARCNET_LINUX = 129,
    LT_IEEE1394 = 138,
    LT_AVS = 163,
    LT_USER2 = 149,
    LT_PPPD = 166,
    LT_JUNIPER_PPPOE = 167,
    LT_JUNIPER_ETHER = 178,
    LT_JUNIPER_PPP = 179,
    LT_JUNIPER_FRELAY = 180,
    LT_JUNIPER_CHDLC = 181,
    LT_PPI = 192,
    LT_ERF = 197,
    LT_PPP_DIR = 204,
    LT_CHDLC_DIR = 205,
    LT_FRELAY_DIR = 206,
    LT_MPLS = 219,
    LT_IPNET = 226,
    LT_IPV4 = 228,
    LT_IPV6 = 229,
    LT_NFLOG = 239,
    LT_IPOIB = 242,
    LT_PKTAP = 258,
    LT_SLL2 = 276,
    LT_BRCM = 281,
    LT_BRCM_PREPEND = 282,
    LT_DSA = 284,
    LT_EDSA = 285
};

/* Headers written one behind the other; start with .n = 0. */
struct bytes {
    uint8_t at[2048];
    uint32_t n;
};

void put_hex(struct bytes *b, const char *hex); /* spaces are skipped */
void put16(struct bytes *b, unsigned value);
void put32(struct bytes *b, uint32_t value);
void put_zeros(struct bytes *b, unsigned count);

/* Ethernet from 02:00:00:00:00:0<src> to 02:00:00:00:00:0<dst>. */
void put_eth(struct bytes *b, unsigned src, unsigned dst, unsigned type);
/* IPv4 from 10.0.0.<src> to 10.0.0.<dst>, 20 bytes; `follows` is what comes behind it. */
void put_ip4(struct bytes *b, unsigned src, unsigned dst, unsigned proto, unsigned follows);
/* IPv4 with identification and the fragment field given, no length. */
void put_ip4_frag(struct bytes *b, unsigned src, unsigned dst, unsigned proto, unsigned id, unsigned fragment);
/* IPv6 from 2001:db8::<src> to 2001:db8::<dst>. */
void put_ip6(struct bytes *b, unsigned src, unsigned dst, unsigned next, unsigned follows);
/* 20 bytes: seq 0x01020304, ack 0x05060708. */
void put_tcp(struct bytes *b, unsigned sport, unsigned dport, unsigned flags);
void put_udp(struct bytes *b, unsigned sport, unsigned dport, unsigned payload);

/* The whole of it: Ethernet, IPv4, TCP or UDP. */
struct bytes tcp4(unsigned src, unsigned sport, unsigned dst, unsigned dport);
struct bytes udp4(unsigned src, unsigned sport, unsigned dst, unsigned dport);

/* UDP from 10.0.0.2:1024 to 10.0.0.1:53, or from 2001:db8::2, behind the bytes given; and only these. */
struct bytes with_ip4(const char *hex);
struct bytes with_ip6(const char *hex);
struct bytes only(const char *hex);

/* Decodes with FC_WANT_ALL; the result was filled with 0xa5 before. */
struct fc_packet decode(uint32_t link_type, const struct bytes *b);
struct fc_packet decode_mask(uint32_t link_type, const struct bytes *b, uint32_t mask);

/* "tcp 10.0.0.1:1000 10.0.0.2:80", with MAC addresses as their last byte, "-" for none; protocol as number in hex
 * above 255. Static buffer. */
const char *key_text(const struct fc_flow_key *key);

/* Offset of the first layer of a type, or -1. */
int layer_off(const struct fc_packet *p, enum fc_layer_type type);

/* Key and direction in one comparison. */
#define EXPECT_KEY(packet, text, direction)                                                                            \
    do {                                                                                                               \
        const struct fc_packet seen = (packet);                                                                        \
        cr_assert_str_eq(key_text(&seen.key), text, "%s", key_text(&seen.key));                                        \
        cr_assert_eq(seen.dir, direction);                                                                             \
    } while (0)

/* Sample packets of every kind, for the suites that are about all of them. */
struct sample {
    uint32_t link_type;
    struct bytes bytes;
};
/* The i-th sample; false past the end. */
bool sample_at(unsigned i, struct sample *s);

#endif
