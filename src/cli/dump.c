/* SPDX-License-Identifier: MIT */
#include "cli/dump.h"

#include <stdio.h>

size_t fc_dump_row(char text[FC_DUMP_TEXT], uint64_t at, const uint8_t *data, uint64_t len)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t n = len < FC_DUMP_ROW ? len : FC_DUMP_ROW;
    char *p = text + snprintf(text, FC_DUMP_TEXT, "%08llx ", (unsigned long long)at);

    for (uint64_t i = 0; i < FC_DUMP_ROW; i++) {
        uint8_t c = i < n ? data[i] : 0;
        *p++ = ' ';
        if (i == FC_DUMP_ROW / 2)
            *p++ = ' ';
        *p++ = i < n ? digits[c >> 4] : ' ';
        *p++ = i < n ? digits[c & 15] : ' ';
    }
    *p++ = ' ';
    *p++ = ' ';
    for (uint64_t i = 0; i < n; i++)
        *p++ = data[i] >= 0x20 && data[i] < 0x7f ? (char)data[i] : '.';
    return (size_t)(p - text);
}

void fc_dump_base64(char group[4], const uint8_t *data, uint64_t len)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t word = (uint32_t)data[0] << 16 | (len > 1 ? (uint32_t)data[1] << 8 : 0) | (len > 2 ? data[2] : 0);

    group[0] = letters[word >> 18];
    group[1] = letters[word >> 12 & 63];
    group[2] = len > 1 ? letters[word >> 6 & 63] : '=';
    group[3] = len > 2 ? letters[word & 63] : '=';
}
