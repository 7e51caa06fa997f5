/* SPDX-License-Identifier: MIT */
/*
 * The key of most flows in a third of its size: IPv4, a protocol number of IP, no domain. Who keeps many keys keeps them in
 * this form where they fit. And what a later fragment shows of its flow's key: at the most the addresses.
 */
#ifndef FC_FLOW_KEY_H
#define FC_FLOW_KEY_H

#include <flowcarve/decode.h>
#include <string.h>

struct fc_narrow_key {
    uint8_t addr[2][4];
    uint16_t port[2];
    uint8_t proto, one_way;
    uint8_t spare[2]; /* zero */
};

/* False when the key needs its full size. */
static inline bool fc_key_narrow(const struct fc_flow_key *key, struct fc_narrow_key *narrow)
{
    if (key->addr_kind != FC_ADDR_IPV4 || key->proto > UINT8_MAX || key->domain)
        return false;
    memset(narrow, 0, sizeof *narrow);
    memcpy(narrow->addr[0], key->addr[0], 4);
    memcpy(narrow->addr[1], key->addr[1], 4);
    memcpy(narrow->port, key->port, sizeof narrow->port);
    narrow->proto = (uint8_t)key->proto;
    narrow->one_way = key->one_way;
    return true;
}

static inline void fc_key_widen(const struct fc_narrow_key *narrow, struct fc_flow_key *key)
{
    memset(key, 0, sizeof *key);
    memcpy(key->addr[0], narrow->addr[0], 4);
    memcpy(key->addr[1], narrow->addr[1], 4);
    memcpy(key->port, narrow->port, sizeof key->port);
    key->addr_kind = FC_ADDR_IPV4;
    key->proto = narrow->proto;
    key->one_way = narrow->one_way;
}

/* True when the packet has the key's two addresses. */
static inline bool fc_key_same_ends(const struct fc_flow_key *key, const struct fc_packet *packet)
{
    const struct fc_flow_key *p = &packet->key;
    bool straight = memcmp(key->addr, p->addr, sizeof key->addr) == 0;
    bool turned = memcmp(key->addr[0], p->addr[1], 16) == 0 && memcmp(key->addr[1], p->addr[0], 16) == 0;

    return key->addr_kind == p->addr_kind && (straight || turned);
}

/* Direction within `key` of a packet of which only the addresses count; -1: they are others, or the same at both ends. */
static inline int fc_key_dir(const struct fc_flow_key *key, const struct fc_packet *packet)
{
    if (!fc_key_same_ends(key, packet) || memcmp(key->addr[0], key->addr[1], 16) == 0)
        return -1;
    return packet->dir ^ (memcmp(key->addr[0], packet->key.addr[0], 16) != 0);
}

#endif
