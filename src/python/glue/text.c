/* SPDX-License-Identifier: MIT */
/* Columns as texts with a line feed behind each: Python makes strings of them all at once. */
#include "glue.h"

#include <string.h>

int fcpy_has_none(const void *column, int cell, size_t rows)
{
    int64_t some = 0;

    for (size_t i = 0; i < rows; i++)
        if (cell == FC_CELL_TIME)
            some |= ((const int64_t *)column)[i] == INT64_MIN ? -1 : 0;
        else if (cell == FC_CELL_NUMBER)
            some |= ((const int64_t *)column)[i];
        else if (cell == FC_CELL_PORT)
            some |= ((const int32_t *)column)[i];
        else
            some |= ((const int16_t *)column)[i];
    return some < 0;
}

static const uint8_t *at(const void *column, uint64_t stride, size_t row)
{
    return (const uint8_t *)column + row * stride;
}

/* What is in an index may be anybody's: a line feed inside of a text would be two. */
size_t fcpy_texts(const void *column, uint64_t stride, uint32_t size, size_t rows, char *out)
{
    char *p = out;

    for (size_t i = 0; i < rows; i++) {
        const char *text = (const char *)at(column, stride, i);
        size_t len = strnlen(text, size);
        for (size_t k = 0; k < len; k++)
            *p++ = text[k] == '\n' ? ' ' : text[k];
        *p++ = '\n';
    }
    return (size_t)(p - out);
}

static bool is_mapped(const uint8_t *addr)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    return memcmp(addr, mapped, 12) == 0;
}

/* As fc_text_addr(), in a third of the time: most addresses are of this kind, and strings of them are made by the million. */
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

size_t fcpy_addr_texts(const void *column, uint64_t stride, const void *kind, uint64_t kind_stride, size_t rows,
                       char *out)
{
    char *p = out;

    for (size_t i = 0; i < rows; i++) {
        const uint8_t *addr = at(column, stride, i);
        int what = kind ? *at(kind, kind_stride, i) : is_mapped(addr) ? FC_ADDR_IPV4 : FC_ADDR_IPV6;
        p = what == FC_ADDR_IPV4 ? put_ip4(p, addr + 12) : fc_text_addr(p, what, addr);
        *p++ = '\n';
    }
    return (size_t)(p - out);
}

static unsigned hash(const uint8_t *addr, unsigned kind)
{
    uint64_t word[2];

    memcpy(word, addr, sizeof word);
    return (unsigned)((word[0] * 31 + word[1] + kind) * UINT64_C(0x9e3779b97f4a7c15) >> 53);
}

size_t fcpy_distinct_addr_texts(const void *column, uint64_t stride, const void *kind, uint64_t kind_stride,
                                size_t rows, uint16_t *index, char *out)
{
    enum { PLACES = 2 * FCPY_DISTINCT };
    uint16_t place[PLACES] = {0}, first[FCPY_DISTINCT], count = 0; /* place: which one, from 1 on */
    char *p = out;

    for (size_t i = 0; i < rows; i++) {
        const uint8_t *addr = at(column, stride, i), *is = at(kind, kind_stride, i);
        unsigned h = hash(addr, *is) % PLACES;

        while (place[h] && (memcmp(at(column, stride, first[place[h] - 1]), addr, 16) != 0 ||
                            *at(kind, kind_stride, first[place[h] - 1]) != *is))
            h = (h + 1) % PLACES;
        if (!place[h]) {
            first[count] = (uint16_t)i;
            place[h] = ++count;
            p += fcpy_addr_texts(addr, stride, is, kind_stride, 1, p);
        }
        index[i] = (uint16_t)(place[h] - 1);
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
