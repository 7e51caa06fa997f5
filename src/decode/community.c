/* SPDX-License-Identifier: MIT */
/* Community ID v1 with seed 0: "1:" and base64 of a SHA-1 over addresses, protocol and ports. */
#include "base/export.h"
#include "base/sha1.h"

#include <flowcarve/decode.h>
#include <stddef.h>
#include <string.h>

/* Protocols whose ports (of ICMP: types) are part of the ID; DCCP's are not. */
static bool hashes_ports(uint32_t proto)
{
    return proto == 6 || proto == 17 || proto == 132 || proto == 1 || proto == 58;
}

static bool is_swapped(const struct fc_flow_key *key)
{
    int order = memcmp(key->addr[0], key->addr[1], sizeof key->addr[0]);

    return !key->one_way && (order > 0 || (order == 0 && key->port[0] > key->port[1]));
}

static void put_base64(const uint8_t digest[FC_SHA1_SIZE], char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    unsigned have = 0;

    for (unsigned i = 0; i < FC_SHA1_SIZE; i++) {
        bits = bits << 8 | digest[i];
        for (have += 8; have >= 6; have -= 6)
            *text++ = digits[bits >> (have - 6) & 63];
    }
    *text++ = digits[bits << (6 - have) & 63];
    *text++ = '=';
    *text = '\0';
}

FC_EXPORT bool fc_community_id(const struct fc_flow_key *key, char text[FC_COMMUNITY_ID_SIZE])
{
    size_t size = key->addr_kind == FC_ADDR_IPV4 ? 4 : 16;
    uint8_t message[FC_SHA1_SHORT] = {0, 0}, digest[FC_SHA1_SIZE], *p = message + 2; /* the seed in front */
    int first = is_swapped(key);

    if ((key->addr_kind != FC_ADDR_IPV4 && key->addr_kind != FC_ADDR_IPV6) || key->proto > 255)
        return false;
    for (int i = 0; i < 2; i++, p += size)
        memcpy(p, key->addr[first ^ i], size);
    *p++ = (uint8_t)key->proto;
    *p++ = 0;
    for (int i = 0; i < 2 && hashes_ports(key->proto); i++) {
        *p++ = (uint8_t)(key->port[first ^ i] >> 8);
        *p++ = (uint8_t)key->port[first ^ i];
    }
    fc_sha1_short(message, (size_t)(p - message), digest);
    memcpy(text, "1:", 2);
    put_base64(digest, text + 2);
    return true;
}
