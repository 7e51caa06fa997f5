/* SPDX-License-Identifier: MIT */
#include "fcgen.h"

#include <stdlib.h>
#include <string.h>

enum {
    ETHERTYPE_IP = 0x0800,
    ETHERTYPE_ARP = 0x0806,
    ETHERTYPE_IPV6 = 0x86dd,
    IP_TCP = 6,
    IP_UDP = 17,
    IP_ICMP = 1,
    IP_ICMP6 = 58,
    IP_FRAGMENT = 44,
    IP_SCTP = 132,
    IP_DF = 0x4000,
    IP_MF = 0x2000,
};

static inline uint8_t *put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
    return p + 2;
}

static inline uint8_t *put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v);
    return p + 4;
}

static inline uint32_t sum32(uint32_t v)
{
    return (v >> 16) + (v & 0xffff);
}

static inline uint32_t fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint32_t)sum ^ 0xffff;
}

static uint64_t sum_bytes(const uint8_t *p, uint32_t len)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i + 1 < len; i += 2)
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    if (len & 1)
        sum += (uint32_t)p[len - 1] << 8;
    return sum;
}

static inline uint64_t sum_pool(const struct fcgen_builder *b, uint32_t off, uint32_t len)
{
    uint64_t sum = b->sums[(off + len) / 2] - b->sums[off / 2];
    if (len & 1)
        sum += (uint32_t)b->pool[off + len - 1] << 8;
    return sum;
}

/* Records of 60 to 90 bytes, one after another, with times of the capture: what a boundary guess looks for. */
static void fill_with_records(uint8_t *pool, const struct fcgen_options *opt, struct fcgen_rng *rng)
{
    uint32_t sec = (uint32_t)opt->start_sec;
    for (uint32_t at = 0; at + 106 <= FCGEN_POOL_BYTES;) {
        uint32_t len = 60 + fcgen_below(rng, 31);
        uint32_t fields[4] = {sec + at / 8192, fcgen_below(rng, 1000000), len, len};
        for (uint32_t i = 0; i < 4; i++) {
            for (uint32_t k = 0; k < 4; k++)
                pool[at + 4 * i + k] = (uint8_t)(fields[i] >> 8 * (opt->big_endian ? 3 - k : k));
        }
        at += 16 + len;
    }
}

/* www.test, A, IN. What follows it in a longer message is not looked at. */
static const uint8_t dns_message[FCGEN_DNS_BYTES] = {0x4a, 0x1d, 1,   0, 0,   1,   0,   0,   0, 0, 0, 0, 3,
                                                     'w',  'w',  'w', 4, 't', 'e', 's', 't', 0, 0, 1, 0, 1};

int fcgen_builder_init(struct fcgen_builder *b, const struct fcgen_options *opt, struct fcgen_rng *rng)
{
    b->pool = calloc(FCGEN_POOL_BYTES, 1);
    b->sums = calloc(FCGEN_POOL_BYTES / 2 + 1, sizeof *b->sums);
    b->starts = calloc(FCGEN_POOL_SPAN / 2, sizeof *b->starts);
    if (b->pool == NULL || b->sums == NULL || b->starts == NULL)
        return -1;
    if (opt->payload != FCGEN_PAYLOAD_ZERO) {
        for (uint32_t i = 0; i < FCGEN_POOL_BYTES; i++)
            b->pool[i] = (uint8_t)(fcgen_rand(rng) >> 56);
    }
    if (opt->payload == FCGEN_PAYLOAD_CAPTURE)
        fill_with_records(b->pool, opt, rng);
    memcpy(b->pool + FCGEN_DNS_OFF, dns_message, sizeof dns_message);
    memcpy(b->pool + FCGEN_DNS_OFF + FCGEN_DNS_SPAN, dns_message, sizeof dns_message);
    b->pool[FCGEN_DNS_OFF + FCGEN_DNS_SPAN + 2] |= 0x80;
    for (uint32_t i = 0; i < FCGEN_POOL_BYTES / 2; i++)
        b->sums[i + 1] = b->sums[i] + ((uint32_t)b->pool[2 * i] << 8 | b->pool[2 * i + 1]);
    for (uint32_t i = 2 * FCGEN_DNS_SPAN; i < FCGEN_POOL_SPAN; i += 2) {
        if (opt->payload != FCGEN_PAYLOAD_RANDOM || (b->pool[i] >> 4 == 4 && b->pool[i + 1] != 0x40))
            b->starts[b->start_count++] = i;
    }
    return 0;
}

void fcgen_builder_fini(struct fcgen_builder *b)
{
    free(b->pool);
    free(b->sums);
    free(b->starts);
}

void fcgen_address6(uint8_t out[16], uint32_t id, int who)
{
    /* RFC 3849's documentation prefix; clients and servers in different networks. */
    put32(out, 0x20010db8);
    put32(out + 4, who ? 0xffff0000u : 0x00010000u);
    put32(out + 8, 0);
    put32(out + 12, id);
}

static uint64_t sum_addresses(const struct fcgen_session *s)
{
    uint64_t sum = (uint64_t)sum32(s->addr[0]) + sum32(s->addr[1]);
    if (s->flags & FCGEN_F_IPV6)
        sum += 2 * sum32(0x20010db8) + sum32(0xffff0000u) + sum32(0x00010000u);
    return sum;
}

uint32_t fcgen_headers_bytes(const struct fcgen_session *s)
{
    uint32_t link = 14 + (s->vlan ? 4u : 0u) + (s->vlan && (s->flags & FCGEN_F_QINQ) ? 4u : 0u);
    return link + (s->flags & FCGEN_F_IPV6 ? 40u : 20u);
}

static uint8_t *put_mac(uint8_t *p, uint32_t id)
{
    return put32(put16(p, 0x0200), id);
}

static uint8_t *put_link(uint8_t *p, const struct fcgen_session *s, int dir, uint16_t ethertype)
{
    /* Servers are behind one router, but for ARP, which does not cross it. */
    uint32_t mac[2] = {s->addr[0], ethertype == ETHERTYPE_ARP ? s->addr[1] : 1u};
    p = put_mac(p, mac[1 - dir]);
    p = put_mac(p, mac[dir]);
    if (s->vlan && (s->flags & FCGEN_F_QINQ))
        p = put16(put16(p, 0x88a8), s->vlan + 1000u);
    if (s->vlan)
        p = put16(put16(p, 0x8100), s->vlan);
    return put16(p, ethertype);
}

static uint8_t *put_ip4(uint8_t *p, const struct fcgen_session *s, int dir, uint32_t proto, uint32_t l4_bytes,
                        uint32_t id, uint32_t frag)
{
    uint32_t total = 20 + l4_bytes, ttl_proto = (dir ? 57u : 64u) << 8 | proto;
    uint32_t src = s->addr[dir], dst = s->addr[1 - dir];
    id &= 0xffff;
    uint64_t sum = 0x4500u + total + id + frag + ttl_proto + sum32(src) + sum32(dst);
    put32(p, 0x45000000u | total);
    put32(p + 4, id << 16 | frag);
    put32(p + 8, ttl_proto << 16 | fold(sum));
    put32(p + 12, src);
    put32(p + 16, dst);
    return p + 20;
}

static uint8_t *put_ip6(uint8_t *p, const struct fcgen_session *s, int dir, uint32_t next, uint32_t l4_bytes)
{
    put32(p, 0x60000000u | (s->number & 0xfffff));
    put32(p + 4, l4_bytes << 16 | next << 8 | (dir ? 57u : 64u));
    fcgen_address6(p + 8, s->addr[dir], dir);
    fcgen_address6(p + 24, s->addr[1 - dir], 1 - dir);
    return p + 40;
}

/* Link and network header of a whole packet. */
static uint8_t *put_headers(uint8_t *p, struct fcgen_session *s, int dir, uint32_t proto, uint32_t l4_bytes)
{
    if (s->flags & FCGEN_F_IPV6)
        return put_ip6(put_link(p, s, dir, ETHERTYPE_IPV6), s, dir, proto, l4_bytes);
    return put_ip4(put_link(p, s, dir, ETHERTYPE_IP), s, dir, proto, l4_bytes, s->ipid[dir]++, IP_DF);
}

static uint32_t finish(uint8_t *out, const uint8_t *end)
{
    uint32_t len = (uint32_t)(end - out);
    if (len >= FCGEN_MIN_FRAME)
        return len;
    memset(out + len, 0, FCGEN_MIN_FRAME - len);
    return FCGEN_MIN_FRAME;
}

static uint8_t *put_tcp_options(uint8_t *p, const struct fcgen_session *s, const struct fcgen_segment *seg)
{
    uint32_t now = (uint32_t)(seg->now_ns / 1000000);
    if (seg->flags & FCGEN_SYN) {
        p = put32(p, 0x020405b4);
        if (!(s->flags & FCGEN_F_TIMESTAMPS))
            return put32(p, 0x01010402);
        p = put32(p, 0x0402080a);
        p = put32(p, now);
        p = put32(p, seg->flags & FCGEN_ACK ? now - 1 : 0);
        return put32(p, 0x01030307);
    }
    if (!(s->flags & FCGEN_F_TIMESTAMPS))
        return p;
    p = put32(p, 0x0101080a);
    p = put32(p, now);
    return put32(p, now - 1);
}

uint32_t fcgen_build_tcp(const struct fcgen_builder *b, uint8_t *out, struct fcgen_session *s,
                         const struct fcgen_segment *seg)
{
    uint32_t options = seg->flags & FCGEN_SYN            ? (s->flags & FCGEN_F_TIMESTAMPS ? 20 : 8)
                       : (s->flags & FCGEN_F_TIMESTAMPS) ? 12
                                                         : 0;
    uint32_t header = 20 + options, l4 = header + seg->payload_bytes;
    uint8_t *tcp = put_headers(out, s, seg->dir, IP_TCP, l4);
    uint8_t *p = put16(put16(tcp, s->port[seg->dir]), s->port[1 - seg->dir]);
    p = put32(put32(p, seg->seq), seg->ack);
    p = put16(p, (header / 4) << 12 | seg->flags);
    p = put16(p, seg->flags & FCGEN_RST ? 0 : 501);
    p = put32(p, 0);
    p = put_tcp_options(p, s, seg);
    uint64_t sum = sum_addresses(s) + IP_TCP + l4 + sum_bytes(tcp, header);
    sum += sum_pool(b, seg->payload_off, seg->payload_bytes);
    put16(tcp + 16, fold(sum));
    memcpy(p, b->pool + seg->payload_off, seg->payload_bytes);
    return finish(out, p + seg->payload_bytes);
}

static uint8_t *put_udp(uint8_t *p, const struct fcgen_builder *b, const struct fcgen_session *s,
                        const struct fcgen_datagram *d)
{
    uint32_t src = s->port[d->dir], dst = s->port[1 - d->dir], len = 8 + d->payload_bytes;
    uint64_t sum = sum_addresses(s) + IP_UDP + len + src + dst + len;
    uint32_t check = fold(sum + sum_pool(b, d->payload_off, d->payload_bytes));
    put32(p, src << 16 | dst);
    put32(p + 4, len << 16 | (check ? check : 0xffff));
    return p + 8;
}

uint32_t fcgen_build_udp(const struct fcgen_builder *b, uint8_t *out, struct fcgen_session *s,
                         const struct fcgen_datagram *d)
{
    uint8_t *p = put_udp(put_headers(out, s, d->dir, IP_UDP, 8 + d->payload_bytes), b, s, d);
    memcpy(p, b->pool + d->payload_off, d->payload_bytes);
    return finish(out, p + d->payload_bytes);
}

uint32_t fcgen_build_udp_fragment(const struct fcgen_builder *b, uint8_t *out, const struct fcgen_session *s,
                                  const struct fcgen_datagram *d, uint32_t first, uint32_t len)
{
    bool more = first + len < 8 + d->payload_bytes;
    uint8_t *p = out;
    if (s->flags & FCGEN_F_IPV6) {
        p = put_ip6(put_link(p, s, d->dir, ETHERTYPE_IPV6), s, d->dir, IP_FRAGMENT, 8 + len);
        p = put32(p, (uint32_t)IP_UDP << 24 | first | (more ? 1u : 0u));
        p = put32(p, d->id);
    } else {
        p = put_link(p, s, d->dir, ETHERTYPE_IP);
        p = put_ip4(p, s, d->dir, IP_UDP, len, d->id, (more ? (uint32_t)IP_MF : 0u) | first / 8);
    }
    uint32_t from = first;
    if (first == 0) {
        p = put_udp(p, b, s, d);
        len -= 8;
    } else {
        from -= 8;
    }
    memcpy(p, b->pool + d->payload_off + from, len);
    return finish(out, p + len);
}

uint32_t fcgen_build_icmp_echo(const struct fcgen_builder *b, uint8_t *out, struct fcgen_session *s, bool reply,
                               uint32_t payload_bytes)
{
    bool v6 = s->flags & FCGEN_F_IPV6;
    uint32_t type = v6 ? (reply ? 129 : 128) : (reply ? 0 : 8), l4 = 8 + payload_bytes;
    uint32_t id = s->number & 0xffff, seq = (s->step / 2 + 1) & 0xffff;
    uint8_t *p = put_headers(out, s, reply, v6 ? IP_ICMP6 : IP_ICMP, l4);
    uint64_t sum = (type << 8) + id + seq + sum_pool(b, 0, payload_bytes);
    if (v6)
        sum += sum_addresses(s) + IP_ICMP6 + l4;
    put32(p, type << 24 | fold(sum));
    put32(p + 4, id << 16 | seq);
    memcpy(p + 8, b->pool, payload_bytes);
    return finish(out, p + l4);
}

uint32_t fcgen_build_arp(uint8_t *out, const struct fcgen_session *s, bool reply)
{
    uint8_t *p = put_link(out, s, reply, ETHERTYPE_ARP);
    if (!reply)
        memset(out, 0xff, 6);
    p = put32(p, 0x00010800);
    p = put32(p, 0x06040000u | (reply ? 2u : 1u));
    p = put32(put_mac(p, s->addr[reply]), s->addr[reply]);
    if (reply)
        p = put_mac(p, s->addr[0]);
    else
        p = put32(put16(p, 0), 0);
    return finish(out, put32(p, s->addr[1 - reply]));
}

/* CRC-32C, bit by bit over bytes: SCTP is rare enough here. */
static uint32_t crc32c(const uint8_t *p, uint32_t len)
{
    static const uint32_t nibble[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    uint32_t crc = 0xffffffff;
    for (uint32_t i = 0; i < len; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return crc ^ 0xffffffff;
}

uint32_t fcgen_build_sctp(uint8_t *out, struct fcgen_session *s, int dir, uint32_t vtag, const uint8_t *chunk,
                          uint32_t chunk_bytes)
{
    uint32_t padded = (chunk_bytes + 3) & ~3u;
    uint8_t *sctp = put_headers(out, s, dir, IP_SCTP, 12 + padded);
    put32(sctp, (uint32_t)s->port[dir] << 16 | s->port[1 - dir]);
    put32(sctp + 4, vtag);
    put32(sctp + 8, 0);
    memcpy(sctp + 12, chunk, chunk_bytes);
    memset(sctp + 12 + chunk_bytes, 0, padded - chunk_bytes);
    /* RFC 9260 appendix A: the CRC goes out in little-endian byte order. */
    put32(sctp + 8, __builtin_bswap32(crc32c(sctp, 12 + padded)));
    return finish(out, sctp + 12 + padded);
}
