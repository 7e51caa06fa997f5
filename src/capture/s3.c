/* SPDX-License-Identifier: MIT */
#include "capture/s3.h"
#include "base/error.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first of two variables that says anything; NULL: neither does. */
static const char *variable(const char *first, const char *second)
{
    const char *value = getenv(first);

    if (value && *value)
        return value;
    value = second ? getenv(second) : NULL;
    return value && *value ? value : NULL;
}

static int find_keys(struct fc_s3_keys *keys, struct fc_error *err)
{
    const char *region = variable("AWS_REGION", "AWS_DEFAULT_REGION");

    keys->id = variable("AWS_ACCESS_KEY_ID", NULL);
    keys->secret = variable("AWS_SECRET_ACCESS_KEY", NULL);
    keys->token = variable("AWS_SESSION_TOKEN", NULL);
    keys->region = region ? region : "us-east-1";
    if (!keys->id != !keys->secret)
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET,
                            "of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set");
    /* they become parts of a header */
    if (strpbrk(keys->region, "/\r\n") || (keys->id && strpbrk(keys->id, "/, \r\n")) ||
        (keys->token && strpbrk(keys->token, " \r\n")))
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET,
                            "AWS_ACCESS_KEY_ID, AWS_SESSION_TOKEN or AWS_REGION cannot be what it is set to");
    return 0;
}

/* Without the port that the scheme means anyway, which libcurl would not send either. */
static void take_host(char *host, size_t size, const char *authority, size_t len, bool tls)
{
    const char *port = tls ? ":443" : ":80";
    size_t n = strlen(port);

    if (len > n && strncmp(authority + len - n, port, n) == 0)
        len -= n;
    snprintf(host, size, "%.*s", (int)len, authority);
}

int fc_s3_place(const char *url, struct fc_s3_place *place, struct fc_error *err)
{
    const char *endpoint = variable("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
    const char *bucket = url + strlen("s3://"), *key = bucket + strcspn(bucket, "/");
    int len = (int)(key - bucket), rc = find_keys(&place->keys, err);
    struct fc_error why;

    if (rc)
        return rc;
    if (endpoint && (strncmp(endpoint, "s3:", 3) == 0 || fc_url_check(endpoint, &why)))
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET,
                            "AWS_ENDPOINT_URL is no URL of http:// or https:// without a user");
    if (endpoint) {
        size_t n = strlen(endpoint);
        while (endpoint[n - 1] == '/')
            n--;
        snprintf(place->url, sizeof place->url, "%.*s/%.*s", (int)n, endpoint, len, bucket);
    } else if (memchr(bucket, '.', (size_t)len)) { /* no certificate has names of two parts in front */
        snprintf(place->url, sizeof place->url, "https://s3.%s.amazonaws.com/%.*s", place->keys.region, len, bucket);
    } else {
        snprintf(place->url, sizeof place->url, "https://%.*s.s3.%s.amazonaws.com", len, bucket, place->keys.region);
    }
    if (!fc_url_encode(place->url, sizeof place->url, key))
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "the key is too long");
    const char *authority = strstr(place->url, "://") + 3;
    size_t host_len = strcspn(authority, "/");
    place->path = authority + host_len;
    take_host(place->host, sizeof place->host, authority, host_len, place->url[4] == 's');
    return 0;
}

#if defined FC_LIBCURL

enum { HASH = 32, HEX = 2 * HASH + 1 };

/* of no bytes, which is what the body of a GET has */
static const char no_body[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void to_hex(const uint8_t *hash, char *out)
{
    for (int i = 0; i < HASH; i++)
        sprintf(out + 2 * i, "%02x", hash[i]);
}

static void next_key(const struct fc_curl *library, uint8_t *key, const char *text)
{
    uint8_t out[HASH];

    library->hmac(GNUTLS_MAC_SHA256, key, HASH, text, strlen(text), out);
    memcpy(key, out, HASH);
}

/* The key of a day, a region and a service. False: without memory. */
static bool make_key(const struct fc_curl *library, const struct fc_s3_keys *keys, const char *day, uint8_t *key)
{
    char *secret = NULL;

    if (asprintf(&secret, "AWS4%s", keys->secret) < 0)
        return false;
    library->hmac(GNUTLS_MAC_SHA256, secret, strlen(secret), day, strlen(day), key);
    explicit_bzero(secret, strlen(secret));
    free(secret);
    next_key(library, key, keys->region);
    next_key(library, key, "s3");
    next_key(library, key, "aws4_request");
    return true;
}

int fc_s3_sign(const struct fc_curl *library, const struct fc_s3_place *place, const char *range, time_t now,
               char headers[FC_S3_HEADERS][FC_S3_HEADER_MAX])
{
    const struct fc_s3_keys *keys = &place->keys;
    const char *names = keys->token ? "host;range;x-amz-content-sha256;x-amz-date;x-amz-security-token"
                                    : "host;range;x-amz-content-sha256;x-amz-date";
    char when[20], day[12], scope[300], *request = NULL, *text = NULL, hex[HEX];
    uint8_t hash[HASH], key[HASH];
    struct tm tm;
    int n = 0;

    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &tm);
    strftime(day, sizeof day, "%Y%m%d", &tm);
    snprintf(scope, sizeof scope, "%s/%.200s/s3/aws4_request", day, keys->region);
    if (asprintf(&request, "GET\n%s\n\nhost:%s\nrange:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\n%s%s%s\n%s\n%s",
                 place->path, place->host, range, no_body, when, keys->token ? "x-amz-security-token:" : "",
                 keys->token ? keys->token : "", keys->token ? "\n" : "", names, no_body) < 0)
        return 0;
    library->hash(GNUTLS_DIG_SHA256, request, strlen(request), hash);
    to_hex(hash, hex);
    if (asprintf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", when, scope, hex) >= 0 && make_key(library, keys, day, key)) {
        library->hmac(GNUTLS_MAC_SHA256, key, sizeof key, text, strlen(text), hash);
        to_hex(hash, hex);
        n = snprintf(headers[0], FC_S3_HEADER_MAX,
                     "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%s", keys->id, scope,
                     names, hex) < FC_S3_HEADER_MAX;
        snprintf(headers[1], FC_S3_HEADER_MAX, "x-amz-content-sha256: %s", no_body);
        snprintf(headers[2], FC_S3_HEADER_MAX, "x-amz-date: %s", when);
        n = n ? 3 : 0;
        if (n && keys->token)
            n = snprintf(headers[3], FC_S3_HEADER_MAX, "x-amz-security-token: %s", keys->token) < FC_S3_HEADER_MAX ? 4
                                                                                                                   : 0;
    }
    explicit_bzero(key, sizeof key);
    free(request);
    free(text);
    return n;
}

#endif
