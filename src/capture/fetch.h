/* SPDX-License-Identifier: MIT */
/*
 * A range of bytes of an object, by one GET; what fails for the moment alone (no connection, time-outs, 408, 429, 500,
 * 502 to 504, a body that ends early) is tried again a few times. Redirects are followed, five at the most, never from
 * https to http, and not for s3://, whose requests are signed for one host. A connection that gives next to nothing
 * for $FLOWCARVE_ARCHIVE_TIMEOUT seconds (30) is given up. Certificates are checked, by $CURL_CA_BUNDLE or
 * $SSL_CERT_FILE where one is set.
 *
 * Threads: any. Connections are kept, and used again by whoever comes next.
 */
#ifndef FC_CAPTURE_FETCH_H
#define FC_CAPTURE_FETCH_H

#include "capture/url.h"

#include <stddef.h>
#include <stdint.h>

enum { FC_FETCH_TAG_MAX = 256 };

/* What an object is known by: two answers that differ in it are of different ones. */
struct fc_version {
    uint64_t size;                   /* bytes of all of it */
    char etag[FC_FETCH_TAG_MAX];     /* as the server writes it; "": it has none */
    char modified[FC_FETCH_TAG_MAX]; /* the header Last-Modified; "": there is none */
};

struct fc_fetch {
    const char *url;
    uint64_t off;
    size_t n; /* bytes, more than 0 */
    uint8_t *buf;
    const struct fc_version *pinned; /* what the object must be; NULL: whatever it is */
    const int *stop;                 /* may be NULL */
    /* the answer */
    size_t got; /* less than n only at the end of the object */
    struct fc_version version;
    unsigned requests; /* tried, the last one included */
};

/*
 * 0; FC_E_MISSING: there is no such object; FC_E_CHANGED: another one than `pinned`; FC_E_IO: it cannot be had, or the
 * server gives no ranges, FC_E_USAGE, FC_E_NOMEM, FC_E_INTERRUPTED.
 */
int fc_fetch(struct fc_fetch *fetch, struct fc_error *err);

/* Loads what it takes, so that a program may give up the right to do so. FC_E_IO: it cannot be, or is not built in. */
int fc_fetch_prepare(struct fc_error *err);

#endif
