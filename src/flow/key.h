/* SPDX-License-Identifier: MIT */
/*
 * The key of most flows in two words: IPv4, a protocol number of IP, no domain. And what a later fragment shows of its
 * flow's key: at the most the addresses; whether packets fit a key; and the parts of a key that can be asked for.
 */
#ifndef FC_FLOW_KEY_H
#define FC_FLOW_KEY_H

#include "base/hash.h"

#include <flowcarve/decode.h>
#include <string.h>

/*
 * ends: the two addresses. rest: bits 0-31 the ports, 32-39 the protocol, 40-47 one_way; bits 48-63 are the owner's.
 * Of a wide key, which does not fit: ends is its hash, and bits 40-47 are FC_SHORT_WIDE; equal ones may have other
 * keys.
 */
struct fc_short_key {
    uint64_t ends, rest;
};
#define FC_SHORT_WIDE ((uint64_t)2 << 40)
#define FC_SHORT_MASK (((uint64_t)1 << 48) - 1)

static inline uint64_t fc_short_rest(const struct fc_flow_key *key)
{
    return key->port[0] | (uint32_t)key->port[1] << 16 | (uint64_t)(key->proto & 0xff) << 32;
}

/* Makes the short key and the hash that the flow table goes by. False: the key is wide. */
static inline bool fc_key_shorten(const struct fc_flow_key *key, uint64_t seed, struct fc_short_key *out,
                                  uint64_t *hash)
{
    uint32_t low, high;

    if (key->addr_kind == FC_ADDR_IPV4 && key->proto <= UINT8_MAX && !key->domain) {
        memcpy(&low, key->addr[0], 4);
        memcpy(&high, key->addr[1], 4);
        out->ends = low | (uint64_t)high << 32;
        out->rest = fc_short_rest(key) | (uint64_t)key->one_way << 40;
        *hash = fc_hash_fold(fc_hash_mix(seed, out->ends, out->rest) ^ seed, 0xeb44accab455d165ull);
        return true;
    }
    *hash = out->ends = fc_hash48(key, seed);
    out->rest = fc_short_rest(key) | FC_SHORT_WIDE;
    return false;
}

/* The key of a short one that is not wide. */
static inline void fc_key_lengthen(const struct fc_short_key *in, struct fc_flow_key *key)
{
    uint32_t low = (uint32_t)in->ends, high = (uint32_t)(in->ends >> 32);

    memset(key, 0, sizeof *key);
    memcpy(key->addr[0], &low, 4);
    memcpy(key->addr[1], &high, 4);
    key->port[0] = (uint16_t)in->rest;
    key->port[1] = (uint16_t)(in->rest >> 16);
    key->proto = in->rest >> 32 & 0xff;
    key->addr_kind = FC_ADDR_IPV4;
    key->one_way = in->rest >> 40 & 1;
}

/* True when the packet has the key's two addresses. */
static inline bool fc_key_same_ends(const struct fc_flow_key *key, const struct fc_packet *packet)
{
    const struct fc_flow_key *p = &packet->key;
    bool straight = memcmp(key->addr, p->addr, sizeof key->addr) == 0;
    bool turned = memcmp(key->addr[0], p->addr[1], 16) == 0 && memcmp(key->addr[1], p->addr[0], 16) == 0;

    return key->addr_kind == p->addr_kind && (straight || turned);
}

/*
 * Direction within `key` of a packet of which only the addresses count; -1: they are others, or the same at both ends.
 */
static inline int fc_key_dir(const struct fc_flow_key *key, const struct fc_packet *packet)
{
    if (!fc_key_same_ends(key, packet) || memcmp(key->addr[0], key->addr[1], 16) == 0)
        return -1;
    return packet->dir ^ (memcmp(key->addr[0], packet->key.addr[0], 16) != 0);
}

/*
 * True when a packet, decoded with `mask`, may belong to the session of `key` (as the index gives it back). Exact, but
 * for a later fragment, which shows its addresses only (or, of a protocol that carries tunnels, those around the
 * session's), and for a record that cannot be decoded.
 */
bool fc_key_fits(const struct fc_flow_key *key, const struct fc_packet *packet, uint32_t mask);

/*
 * What the packets of a session have shown, for fc_shown_fits(), which is false when some have the addresses of a
 * tunnel and the session is in none. Decoding must ask for FC_WANT_TUNNEL.
 */
uint8_t fc_key_shown(const struct fc_flow_key *key, const struct fc_packet *packet);
bool fc_shown_fits(uint8_t shown);

/*
 * What `index --key` takes and an index remembers: "vlan", "tunnel", "outer", comma-separated. Adds FC_KEY_* bits to
 * *mask and writes the list in a fixed order to `normal` (FC_KEY_PARTS_TEXT bytes, or NULL). FC_E_USAGE: another word.
 */
enum { FC_KEY_PARTS_TEXT = 24 };
int fc_key_parts(const char *list, uint32_t *mask, char *normal);

#endif
