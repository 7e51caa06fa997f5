/* SPDX-License-Identifier: MIT */
#include "serve/body.h"

#include <stdint.h>
#include <string.h>

static const char no_object[] = "the body is no JSON object of texts, numbers, true and false";

static char *skip_blanks(char *p)
{
    return p + strspn(p, " \t\r\n");
}

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Four hex digits; -1: there are none. */
static int32_t read_unit(const char *p)
{
    int32_t unit = 0;

    for (int i = 0; i < 4; i++) {
        int d = digit(p[i]);
        if (d < 0)
            return -1;
        unit = unit << 4 | d;
    }
    return unit;
}

static char *put_character(char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 63));
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    }
    return to;
}

/* What stands behind \u, a pair of surrogates perhaps; moves *p behind it. False: it is no character of a text. */
static bool read_escaped(const char **p, uint32_t *c)
{
    int32_t first = read_unit(*p), second;

    if (first <= 0 || (first >= 0xdc00 && first < 0xe000))
        return false;
    *p += 4;
    *c = (uint32_t)first;
    if (first < 0xd800 || first >= 0xdc00)
        return true;
    if ((*p)[0] != '\\' || (*p)[1] != 'u' || (second = read_unit(*p + 2)) < 0xdc00 || second >= 0xe000)
        return false;
    *p += 6;
    *c = 0x10000u + ((uint32_t)(first - 0xd800) << 10) + (uint32_t)(second - 0xdc00);
    return true;
}

/* The text that begins at the quote *p, in its place; what it has as UTF-8 is never longer than what is written. */
static char *read_text(char **p)
{
    static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    char *text = *p + 1, *to = text;
    const char *from = text;

    if (**p != '"')
        return NULL;
    while (*from != '"') {
        const char *which;
        uint32_t c;
        if ((unsigned char)*from < ' ')
            return NULL;
        if (*from != '\\') {
            *to++ = *from++;
        } else if (from[1] == 'u') {
            from += 2;
            if (!read_escaped(&from, &c))
                return NULL;
            to = put_character(to, c);
        } else if (from[1] && (which = strchr(escapes, from[1]))) {
            *to++ = meant[which - escapes];
            from += 2;
        } else {
            return NULL;
        }
    }
    *p += from + 1 - *p;
    *to = '\0';
    return fc_is_utf8(text) ? text : NULL;
}

/* A value, from which what follows is cut off later: its end is *p. NULL: it is none. */
static char *read_value(char **p)
{
    char *value = *p;
    size_t len = strspn(value, "-+.0123456789abcdefghijklmnopqrstuvwxyzE");

    if (*value == '"')
        return read_text(p);
    *p += len;
    return len ? value : NULL;
}

static bool is_word(const char *value, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(value, word, len) == 0;
}

static bool has(const struct fc_params *params, const char *name)
{
    for (size_t i = 0; i < params->count; i++)
        if (strcmp(params->item[i].name, name) == 0)
            return true;
    return false;
}

/* "name": value, and the comma or brace behind it. NULL, or what is wrong. */
static const char *read_member(char **p, struct fc_params *params, char *behind)
{
    char *name = read_text(p), *value, *end;

    *p = skip_blanks(*p);
    if (!name || *(*p)++ != ':')
        return no_object;
    *p = skip_blanks(*p);
    bool text = **p == '"';
    if (!(value = read_value(p)))
        return no_object;
    end = *p;
    *p = skip_blanks(*p);
    *behind = *(*p)++;
    if (*behind != ',' && *behind != '}')
        return no_object;
    if (!text) {
        size_t len = (size_t)(end - value);
        if (is_word(value, len, "null"))
            return NULL;
        if (!strchr("-0123456789", *value) && !is_word(value, len, "true") && !is_word(value, len, "false"))
            return no_object;
        *end = '\0';
    }
    if (has(params, name))
        return "a member comes twice";
    if (params->count == FC_PARAMS_MAX)
        return "the body has too many members";
    params->item[params->count++] = (struct fc_param){name, value, false};
    return NULL;
}

const char *fc_body_read(char *body, size_t len, struct fc_params *params)
{
    char *p = skip_blanks(body), behind = ',';
    const char *wrong = NULL;

    params->count = 0;
    if (strlen(body) != len || *p++ != '{')
        return no_object;
    p = skip_blanks(p);
    if (*p == '}') {
        behind = '}';
        p++;
    }
    while (behind == ',' && !wrong) {
        wrong = read_member(&p, params, &behind);
        if (!wrong && behind == ',')
            p = skip_blanks(p);
    }
    return wrong ? wrong : *skip_blanks(p) ? no_object : NULL;
}
