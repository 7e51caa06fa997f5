/* SPDX-License-Identifier: MIT */
#include "query/addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <flowcarve/decode.h>
#include <string.h>

int fc_addr_ipv4(const char *text, uint8_t addr[4])
{
    const char *p = text;

    memset(addr, 0, 4);
    for (int part = 0; part < 4; part++) {
        unsigned value = 0, digits = 0;

        for (; isdigit((unsigned char)*p) && digits < 4; p++, digits++)
            value = value * 10 + (unsigned)(*p - '0');
        /* a leading zero would be octal to some readers and decimal to others */
        if (digits == 0 || value > 255 || (digits > 1 && p[-(int)digits] == '0'))
            return 0;
        addr[part] = (uint8_t)value;
        if (*p == '\0')
            return part + 1;
        if (*p++ != '.')
            return 0;
    }
    return 0;
}

bool fc_addr_ipv6(const char *text, uint8_t addr[16])
{
    return inet_pton(AF_INET6, text, addr) == 1;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Groups of `digits` hex digits (fewer in a group of two), with or without a separator between them. */
static bool mac_groups(const char *p, unsigned digits, bool separated, uint8_t addr[6])
{
    unsigned groups = 12 / digits;

    for (unsigned g = 0; g < groups; g++) {
        unsigned value = 0, n = 0;

        if (g > 0 && separated) {
            if (*p != ':' && *p != '-' && *p != '.')
                return false;
            p++;
        }
        for (; n < digits && hex_digit(*p) >= 0; n++)
            value = value << 4 | (unsigned)hex_digit(*p++);
        if (n == 0 || (n < digits && digits != 2))
            return false;
        if (digits == 2) {
            addr[g] = (uint8_t)value;
        } else {
            addr[2 * g] = (uint8_t)(value >> 8);
            addr[2 * g + 1] = (uint8_t)value;
        }
    }
    return *p == '\0';
}

bool fc_addr_mac(const char *text, uint8_t addr[6])
{
    size_t len = strlen(text);

    if (len == 12 && !strpbrk(text, ":-."))
        return mac_groups(text, 2, false, addr);
    if (len == 14 && text[4] == '.')
        return mac_groups(text, 4, true, addr);
    return mac_groups(text, 2, true, addr);
}

const char *fc_addr_print(int family, const uint8_t *addr, char *buf)
{
    const char *text = inet_ntop(family == FC_ADDR_IPV6 ? AF_INET6 : AF_INET, addr, buf, INET6_ADDRSTRLEN);
    return text ? text : "";
}

void fc_addr_mask(uint8_t *mask, unsigned size, unsigned bits)
{
    for (unsigned i = 0; i < size; i++) {
        unsigned here = bits > i * 8 ? bits - i * 8 : 0;
        mask[i] = here >= 8 ? 0xff : (uint8_t)(0xff00u >> here);
    }
}

bool fc_addr_clip(uint8_t *addr, const uint8_t *mask, unsigned size)
{
    bool clipped = false;

    for (unsigned i = 0; i < size; i++) {
        clipped |= (addr[i] & ~mask[i]) != 0;
        addr[i] &= mask[i];
    }
    return clipped;
}

int fc_addr_prefix(const uint8_t *mask, unsigned size)
{
    uint8_t same[16];
    unsigned bits = 0;

    while (bits < size * 8 && mask[bits / 8] >> (7 - bits % 8) & 1)
        bits++;
    fc_addr_mask(same, size, bits);
    return memcmp(same, mask, size) == 0 ? (int)bits : -1;
}
