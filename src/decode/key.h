/* SPDX-License-Identifier: MIT */
/*
 * Session keys: canonical order and layout.
 *
 * A key is written in whole 64-bit words, never cleared and patched: the caller hashes it right away, and a wide load
 * from narrow stores still in flight would stall. Which end a packet came from is close to random, so the order is
 * computed and used as an index, not branched on.
 */
#ifndef FC_DECODE_KEY_H
#define FC_DECODE_KEY_H

#include "decode/walk.h"

/* The key's words from the ports on; `swap` puts the sender second. */
static inline void fc_key_tail(struct fc_flow_key *key, unsigned swap, uint16_t sport, uint16_t dport, uint8_t kind,
                               uint8_t one_way, uint32_t proto, uint64_t domain)
{
    unsigned turn = swap * 16;
    uint64_t word[2];
    /* as GCC and Clang lay bit-fields out: from the lowest bit on little-endian machines, else from the highest */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint32_t ports = sport | (uint32_t)dport << 16;
    ports = ports << turn | ports >> (-turn & 31);
    word[0] = ports | (uint64_t)proto << 32 | (uint64_t)kind << 56 | (uint64_t)one_way << 63;
#else
    uint32_t ports = (uint32_t)sport << 16 | dport;
    ports = ports << turn | ports >> (-turn & 31);
    word[0] = (uint64_t)ports << 32 | (uint64_t)proto << 8 | (uint64_t)kind << 1 | one_way;
#endif
    word[1] = domain;
    memcpy(key->port, word, sizeof(word));
}

/* IPv4 endpoints, two-way. Returns 1 when the sender became endpoint 1. */
static inline unsigned fc_key_ipv4(struct fc_flow_key *key, const uint8_t *src, const uint8_t *dst, uint16_t sport,
                                   uint16_t dport, uint32_t proto, uint64_t domain)
{
    uint64_t from = (uint64_t)fc_be32(src) << 16 | sport;
    uint64_t to = (uint64_t)fc_be32(dst) << 16 | dport;
    unsigned swap = from > to;
    uint64_t word[2] = {0, 0};

    memcpy(word, src, 4);
    memcpy(key->addr[swap], word, sizeof(word));
    memcpy(word, dst, 4);
    memcpy(key->addr[swap ^ 1], word, sizeof(word));
    fc_key_tail(key, swap, sport, dport, FC_ADDR_IPV4, 0, proto, domain);
    return swap;
}

/* The same for IPv6. */
static inline unsigned fc_key_ipv6(struct fc_flow_key *key, const uint8_t *src, const uint8_t *dst, uint16_t sport,
                                   uint16_t dport, uint32_t proto, uint64_t domain)
{
    uint64_t from[2] = {fc_be64(src), fc_be64(src + 8)}, to[2] = {fc_be64(dst), fc_be64(dst + 8)};
    unsigned tie = from[1] > to[1] || (from[1] == to[1] && sport > dport);
    unsigned swap = from[0] > to[0] || (from[0] == to[0] && tie);

    memcpy(key->addr[swap], src, 16);
    memcpy(key->addr[swap ^ 1], dst, 16);
    fc_key_tail(key, swap, sport, dport, FC_ADDR_IPV6, 0, proto, domain);
    return swap;
}

#endif
