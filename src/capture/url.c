/* SPDX-License-Identifier: MIT */
#include "capture/url.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char scheme_http[] = "http://", scheme_https[] = "https://", scheme_s3[] = "s3://";
static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool is_http(const char *path)
{
    return begins(path, scheme_http) || begins(path, scheme_https);
}

bool fc_is_url(const char *path)
{
    return is_http(path) || begins(path, scheme_s3);
}

/* Of so many bytes, each a letter, a digit or one of `others`. */
static bool consists(const char *text, size_t len, const char *others)
{
    for (size_t i = 0; i < len; i++)
        if (!text[i] || (!strchr(letters, text[i]) && !strchr(others, text[i])))
            return false;
    return true;
}

/* "host", "host:80", "[::1]:80" */
static bool is_authority(const char *text, size_t len)
{
    const char *port = memrchr(text, ':', len);

    if (port && !memchr(port, ']', len - (size_t)(port - text))) {
        size_t digits = len - (size_t)(port + 1 - text);
        if (!digits || strspn(port + 1, "0123456789") < digits)
            return false;
        len = (size_t)(port - text);
    }
    return len && consists(text, len, "-._:[]");
}

static int refuse(struct fc_error *err, const char *cause)
{
    return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "the URL %s", cause);
}

int fc_url_check(const char *url, struct fc_error *err)
{
    if (!fc_is_url(url))
        return refuse(err, "is none of http://, https:// and s3://");
    const char *host = strstr(url, "://") + 3;
    size_t len = strcspn(host, "/");
    bool s3 = begins(url, scheme_s3);

    if (strlen(url) >= FC_URL_MAX)
        return refuse(err, "is too long");
    if (memchr(host, '@', len))
        return refuse(err, "has a user in it, which would stand in the index");
    if (!s3 && strpbrk(url, "?#"))
        return refuse(err, "has a query in it, which may be secret, and would stand in the index");
    if (s3 ? !len || !consists(host, len, "-._") : !is_authority(host, len))
        return refuse(err, s3 ? "has no name of a bucket" : "has no name of a host");
    for (const unsigned char *p = (const unsigned char *)host + len; *p; p++)
        if (*p < 0x20 || *p == 0x7f || (!s3 && (*p == ' ' || *p > 0x7f)))
            return refuse(err, "has a character in it that must be written as %XX");
    return 0;
}

bool fc_url_encode(char *to, size_t room, const char *text)
{
    size_t len = strlen(to);

    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (room - len < 4)
            return false;
        if (strchr(letters, *p) || strchr("-._~/", *p))
            to[len++] = (char)*p;
        else
            len += (size_t)sprintf(to + len, "%%%02X", *p);
        to[len] = '\0';
    }
    return true;
}

static int digit(char c)
{
    const char *p = c ? strchr("0123456789abcdef", c | (c >= 'A' ? 0x20 : 0)) : NULL;

    return p ? (int)(p - "0123456789abcdef") : -1;
}

/* %XX as what it stands for, in place; what would be a NUL stays. */
static void decode(char *text)
{
    char *to = text;

    for (const char *p = text; *p; p++) {
        int high = *p == '%' ? digit(p[1]) : -1, low = high >= 0 ? digit(p[2]) : -1;
        if (low >= 0 && (high || low)) {
            *to++ = (char)(high << 4 | low);
            p += 2;
        } else {
            *to++ = *p;
        }
    }
    *to = '\0';
}

char *fc_url_join(const char *folder, const char *rest, const char *from)
{
    size_t len = strlen(folder), room;
    char *plain = strdup(rest), *out;

    while (len && folder[len - 1] == '/')
        len--;
    if (plain && is_http(from) && !is_http(folder))
        decode(plain);
    room = len + 3 * strlen(rest) + 4;
    out = plain ? malloc(room) : NULL;
    if (out) {
        snprintf(out, room, "%.*s", (int)len, folder);
        if (is_http(folder) && !is_http(from))
            fc_url_encode(out, room, plain);
        else
            strcat(out, plain);
    }
    free(plain);
    return out;
}
