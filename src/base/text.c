/* SPDX-License-Identifier: MIT */
#include "base/export.h"

#include <flowcarve/text.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the UTF-8 character at p (NUL-terminated) and its number; 0 when it is none. Source: RFC 3629, section 4. */
static size_t decode(const unsigned char *p, uint32_t *number)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

    *number = len < 2 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        *number = *number << 6 | (p[i] & 0x3fu);
    }
    if ((len == 3 && (*number < 0x800 || (*number >= 0xd800 && *number < 0xe000))) ||
        (len == 4 && (*number < 0x10000 || *number > 0x10ffff)))
        return 0;
    return len;
}

/*
 * True for what moves the cursor, ends a line, starts a terminal's command, or makes text read in another order than it
 * has.
 */
static bool steers(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* A backslash, a letter and the number in hex. */
static size_t write_hex(char *out, char letter, uint32_t number, unsigned digits)
{
    out[0] = '\\';
    out[1] = letter;
    for (unsigned i = 0; i < digits; i++)
        out[2 + i] = "0123456789abcdef"[number >> 4 * (digits - 1 - i) & 15];
    return 2 + digits;
}

static size_t write_pair(char *out, char first, char second)
{
    out[0] = first;
    out[1] = second;
    return 2;
}

static size_t write_steering(enum fc_text_form form, char *out, uint32_t c)
{
    if (form == FC_TEXT_JSON || c >= 0x80)
        return write_hex(out, 'u', c, 4);
    if (c == '\n' || c == '\r' || c == '\t')
        return write_pair(out, '\\', c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    return write_hex(out, 'x', c, 2);
}

/* One character, or one byte that is none; returns the bytes that it takes in out, and those of *used in p. */
static size_t escape(enum fc_text_form form, const unsigned char *p, size_t *used, char *out)
{
    uint32_t c;

    *used = decode(p, &c);
    if (*used == 0) {
        *used = 1;
        if (form != FC_TEXT_JSON)
            return write_hex(out, 'x', *p, 2);
        memcpy(out, "\xef\xbf\xbd", 3);
        return 3;
    }
    if (steers(c))
        return write_steering(form, out, c);
    if (c == '\\' && form != FC_TEXT_MESSAGE)
        return write_pair(out, '\\', '\\');
    if (c == '"' && (form == FC_TEXT_CSV || form == FC_TEXT_JSON))
        return write_pair(out, form == FC_TEXT_CSV ? '"' : '\\', '"');
    memcpy(out, p, *used);
    return *used;
}

FC_EXPORT size_t fc_text_escape(enum fc_text_form form, const char **text, char *buf, size_t size)
{
    const unsigned char *p = (const unsigned char *)*text;
    char out[FC_TEXT_CHARACTER_MAX];
    size_t len = 0, used;

    for (; *p; p += used) {
        size_t n = escape(form, p, &used, out);
        if (size - len < n)
            break;
        memcpy(buf + len, out, n);
        len += n;
    }
    *text = (const char *)p;
    return len;
}

FC_EXPORT const char *fc_text_show(const char *text, char *buf, size_t size)
{
    buf[fc_text_escape(FC_TEXT_MESSAGE, &text, buf, size - 1)] = '\0';
    return buf;
}
