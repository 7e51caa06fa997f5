/* SPDX-License-Identifier: MIT */
#include "serve/params.h"

#include <string.h>

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decodes in place. False: it is no percent-encoding of text. */
static bool decode(char *text)
{
    char *to = text;

    for (const char *p = text; *p; p++) {
        if (*p == '%') {
            int high = digit(p[1]), low = high < 0 ? -1 : digit(p[2]);
            if (low < 0 || (high | low) == 0)
                return false;
            *to++ = (char)(high << 4 | low);
            p += 2;
        } else {
            *to++ = *p == '+' ? ' ' : *p;
        }
    }
    *to = '\0';
    return fc_is_utf8(text);
}

const char *fc_params_read(char *target, struct fc_params *params)
{
    char *query = strchr(target, '?');

    params->path = target;
    params->count = 0;
    if (*target != '/')
        return "the target of a request begins with a slash";
    if (query)
        *query++ = '\0';
    while (query && *query) {
        char *next = strchr(query, '&'), *value;
        if (next)
            *next++ = '\0';
        if (params->count == FC_PARAMS_MAX)
            return "too many parameters";
        if (*query) {
            value = strchr(query, '=');
            if (value)
                *value++ = '\0';
            if (!decode(query) || (value && !decode(value)))
                return "a parameter is no percent-encoded UTF-8";
            for (size_t i = 0; i < params->count; i++)
                if (strcmp(params->item[i].name, query) == 0)
                    return "a parameter comes twice";
            params->item[params->count++] = (struct fc_param){query, value ? value : "", false};
        }
        query = next;
    }
    return NULL;
}

const char *fc_params_get(struct fc_params *params, const char *name)
{
    for (size_t i = 0; i < params->count; i++)
        if (strcmp(params->item[i].name, name) == 0) {
            params->item[i].used = true;
            return params->item[i].value;
        }
    return NULL;
}

const char *fc_params_unknown(const struct fc_params *params)
{
    for (size_t i = 0; i < params->count; i++)
        if (!params->item[i].used)
            return params->item[i].name;
    return NULL;
}

/* Bytes of the character at p, 0: none. */
static size_t character(const unsigned char *p)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

bool fc_is_utf8(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t len;

    for (; *p; p += len)
        if ((len = character(p)) == 0)
            return false;
    return true;
}

size_t fc_utf16_length(const char *text, size_t len)
{
    size_t units = 0;

    for (size_t i = 0; i < len && text[i]; i++) {
        unsigned char c = (unsigned char)text[i];
        units += (c & 0xc0) != 0x80 ? 1 + (c >= 0xf0) : 0;
    }
    return units;
}

size_t fc_utf16_place(const char *text, size_t units)
{
    size_t at = 0;

    while (text[at] && units) {
        unsigned char c = (unsigned char)text[at];
        size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        if (len == 4 && units == 1)
            break;
        units -= 1 + (len == 4);
        at += len;
    }
    return at;
}
