/* SPDX-License-Identifier: MIT */
#include "serve/json.h"

#include <flowcarve/text.h>
#include <flowcarve/value.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *room(struct fc_json *j, size_t more)
{
    if (j->failed)
        return NULL;
    if (j->room - j->len < more) {
        size_t want = j->room * 2 > j->len + more ? j->room * 2 : j->len + more + 1024;
        char *bigger = realloc(j->text, want);
        if (!bigger) {
            j->failed = true;
            return NULL;
        }
        j->text = bigger;
        j->room = want;
    }
    return j->text + j->len;
}

void fc_json_raw(struct fc_json *j, const char *text, size_t len)
{
    char *to = room(j, len + 1);

    if (!to)
        return;
    if (j->len && !strchr("{[:\n", to[-1])) {
        *to++ = ',';
        j->len++;
    }
    memcpy(to, text, len);
    j->len += len;
}

/* What does not begin a value. */
static void put(struct fc_json *j, const char *text, size_t len)
{
    char *to = room(j, len);

    if (!to)
        return;
    memcpy(to, text, len);
    j->len += len;
}

void fc_json_bytes(struct fc_json *j, const uint8_t *data, size_t len)
{
    if (len)
        put(j, (const char *)data, len);
}

void fc_json_mark(struct fc_json *j, char mark)
{
    if (mark == '{' || mark == '[')
        fc_json_raw(j, &mark, 1);
    else
        put(j, &mark, 1);
}

void fc_json_key(struct fc_json *j, const char *key)
{
    fc_json_text(j, key);
    put(j, ":", 1);
}

void fc_json_text(struct fc_json *j, const char *text)
{
    enum { PIECE = 1024 };

    if (!text) {
        fc_json_null(j);
        return;
    }
    fc_json_raw(j, "\"", 1);
    while (*text) {
        char *to = room(j, PIECE);
        if (!to)
            return;
        j->len += fc_text_escape(FC_TEXT_JSON, &text, to, PIECE);
    }
    put(j, "\"", 1);
}

void fc_json_plain(struct fc_json *j, const char *text, const char *end)
{
    if (text == end) {
        fc_json_null(j);
        return;
    }
    fc_json_raw(j, "\"", 1);
    put(j, text, (size_t)(end - text));
    put(j, "\"", 1);
}

void fc_json_number(struct fc_json *j, uint64_t number)
{
    char buf[FC_TEXT_MAX];

    fc_json_raw(j, buf, (size_t)(fc_text_number(buf, number) - buf));
}

void fc_json_signed(struct fc_json *j, int64_t number)
{
    char buf[FC_TEXT_MAX + 1] = "-";
    bool below = number < 0;
    char *end = fc_text_number(buf + below, below ? -(uint64_t)number : (uint64_t)number);

    fc_json_raw(j, buf, (size_t)(end - buf));
}

void fc_json_bool(struct fc_json *j, bool value)
{
    fc_json_raw(j, value ? "true" : "false", value ? 4 : 5);
}

void fc_json_null(struct fc_json *j)
{
    fc_json_raw(j, "null", 4);
}

void fc_json_base64(struct fc_json *j, const uint8_t *data, size_t len)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    fc_json_raw(j, "\"", 1);
    char *p = room(j, (len + 2) / 3 * 4);
    if (!p)
        return;
    j->len += (len + 2) / 3 * 4;
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t word =
            (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) | (left > 2 ? data[i + 2] : 0);
        *p++ = letters[word >> 18];
        *p++ = letters[word >> 12 & 63];
        *p++ = left > 1 ? letters[word >> 6 & 63] : '=';
        *p++ = left > 2 ? letters[word & 63] : '=';
    }
    put(j, "\"", 1);
}

void fc_json_line(struct fc_json *j)
{
    put(j, "\n", 1);
}

void fc_json_put_text(struct fc_json *j, const char *key, const char *text)
{
    fc_json_key(j, key);
    fc_json_text(j, text);
}

void fc_json_put_number(struct fc_json *j, const char *key, uint64_t number)
{
    fc_json_key(j, key);
    fc_json_number(j, number);
}

void fc_json_put_bool(struct fc_json *j, const char *key, bool value)
{
    fc_json_key(j, key);
    fc_json_bool(j, value);
}

void fc_json_put_time(struct fc_json *j, const char *key, bool has, int64_t ns)
{
    char buf[FC_TEXT_MAX], name[64];

    fc_json_key(j, key);
    fc_json_plain(j, buf, has ? fc_text_time(buf, ns) : buf);
    snprintf(name, sizeof name, "%s_ns", key);
    fc_json_key(j, name);
    if (has)
        fc_json_signed(j, ns);
    else
        fc_json_null(j);
}

void fc_json_fini(struct fc_json *j)
{
    free(j->text);
    *j = (struct fc_json){0};
}
