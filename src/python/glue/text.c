/* SPDX-License-Identifier: MIT */
/* Columns as texts with a line feed behind each: Python makes strings of them all at once. */
#include "text.h"

#include <string.h>

static const uint8_t *at(const void *column, uint64_t stride, size_t row)
{
    return (const uint8_t *)column + row * stride;
}

static bool is_mapped(const uint8_t *addr)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    return memcmp(addr, mapped, 12) == 0;
}

/*
 * As fc_text_addr(), in a third of the time: most addresses are of this kind, and strings of them are made by the
 * million.
 */
static char *put_ip4(char *p, const uint8_t addr[4])
{
    for (int i = 0; i < 4; i++) {
        unsigned v = addr[i];

        if (v >= 100) {
            *p++ = (char)('0' + v / 100);
            v %= 100;
            *p++ = (char)('0' + v / 10);
        } else if (v >= 10) {
            *p++ = (char)('0' + v / 10);
        }
        *p++ = (char)('0' + v % 10);
        *p++ = '.';
    }
    return p - 1;
}

char *fcpy_addr_text(char *p, int kind, const uint8_t addr[16])
{
    return kind == FC_ADDR_IPV4 ? put_ip4(p, addr + 12) : fc_text_addr(p, kind, addr);
}

size_t fcpy_addr_texts(const void *column, uint64_t stride, const void *kind, uint64_t kind_stride, size_t rows,
                       char *out)
{
    char *p = out;

    for (size_t i = 0; i < rows; i++) {
        const uint8_t *addr = at(column, stride, i);
        int what = kind ? *at(kind, kind_stride, i) : is_mapped(addr) ? FC_ADDR_IPV4 : FC_ADDR_IPV6;
        p = fcpy_addr_text(p, what, addr);
        *p++ = '\n';
    }
    return (size_t)(p - out);
}

size_t fcpy_mac_texts(const void *column, uint64_t stride, size_t rows, char *out)
{
    static const uint8_t none[6];
    char *p = out;

    for (size_t i = 0; i < rows; i++) {
        const uint8_t *mac = at(column, stride, i);
        if (memcmp(mac, none, 6) != 0)
            p = fc_text_addr(p, FC_ADDR_MAC, mac);
        *p++ = '\n';
    }
    return (size_t)(p - out);
}
