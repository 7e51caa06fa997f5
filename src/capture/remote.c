/* SPDX-License-Identifier: MIT */
#include "capture/remote.h"
#include "base/error.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    HEAD = 32 << 10,  /* which opening a capture looks at */
    LEAST = 4 << 10,  /* a request costs more than so many bytes */
    AHEAD = 16 << 10, /* fetched ahead at first, twice as much each time that reads join, */
    MOST = 4 << 20,   /* and no more than that */
    HEADS = 64 << 20, /* of all heads that are kept: beyond that they are fetched again */
};

#define SEED 0x8ebc6af09c88c6e3ull

struct fc_remote {
    char *url;
    const int *stop;
    struct fc_version version;
    uint8_t *head, *window; /* the first bytes, and those at window_off; NULL: not here */
    size_t head_len, window_len, window_room;
    uint64_t window_off;
    unsigned joined; /* reads in a row that began where the window ended */
    uint64_t expect_off, expect_end;
    uint64_t fetched;
    struct fc_error why;
};

static uint64_t heads; /* bytes, atomic */

static void drop_head(struct fc_remote *r)
{
    if (r->head)
        __atomic_fetch_sub(&heads, HEAD, __ATOMIC_RELAXED);
    free(r->head);
    r->head = NULL;
    r->head_len = 0;
}

static int fetch(struct fc_remote *r, uint8_t *buf, size_t n, uint64_t off, bool first, size_t *got)
{
    struct fc_fetch f = {
        .url = r->url, .off = off, .n = n, .buf = buf, .pinned = first ? NULL : &r->version, .stop = r->stop};
    int rc = fc_fetch(&f, &r->why);

    if (rc)
        return rc;
    r->fetched += f.got;
    *got = f.got;
    if (first)
        r->version = f.version;
    return 0;
}

static int fetch_head(struct fc_remote *r, bool first)
{
    if (!(r->head = malloc(HEAD)))
        return fc_error_set(&r->why, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    __atomic_fetch_add(&heads, HEAD, __ATOMIC_RELAXED);
    int rc = fetch(r, r->head, HEAD, 0, first, &r->head_len);
    if (rc)
        drop_head(r);
    return rc;
}

int fc_remote_open(const char *url, const int *stop, struct fc_remote **out, struct fc_error *err)
{
    struct fc_remote *r = calloc(1, sizeof *r);
    int rc = r && (r->url = strdup(url)) ? 0 : FC_E_NOMEM;

    *out = NULL;
    if (rc) {
        free(r);
        return fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
    }
    r->stop = stop;
    if ((rc = fetch_head(r, true))) {
        if (err)
            *err = r->why;
        fc_remote_close(r);
        return rc;
    }
    *out = r;
    return 0;
}

void fc_remote_close(struct fc_remote *r)
{
    if (!r)
        return;
    drop_head(r);
    free(r->window);
    free(r->url);
    free(r);
}

void fc_remote_rest(struct fc_remote *r)
{
    free(r->window);
    r->window = NULL;
    r->window_len = r->window_room = 0;
    if (__atomic_load_n(&heads, __ATOMIC_RELAXED) > HEADS)
        drop_head(r);
}

uint64_t fc_remote_size(const struct fc_remote *r)
{
    return r->version.size;
}

uint64_t fc_remote_version(const struct fc_remote *r)
{
    const char *text = r->version.etag[0] ? r->version.etag : r->version.modified;

    return *text ? fc_hash_bytes((const uint8_t *)text, strlen(text), SEED) | 1 : 0;
}

int64_t fc_remote_modified_ns(const struct fc_remote *r)
{
    struct tm tm = {0};
    const char *end = strptime(r->version.modified, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    int64_t ns;

    return end && !*end && !__builtin_mul_overflow((int64_t)timegm(&tm), 1000000000, &ns) ? ns : 0;
}

uint64_t fc_remote_fetched(const struct fc_remote *r)
{
    return r->fetched;
}

const struct fc_error *fc_remote_why(const struct fc_remote *r)
{
    return &r->why;
}

void fc_remote_expect(struct fc_remote *r, uint64_t off, uint64_t end)
{
    r->expect_off = off;
    r->expect_end = end;
}

/* Makes the window hold what is at `off`, `want` bytes of it at least. */
static int fetch_window(struct fc_remote *r, uint64_t off, size_t want)
{
    size_t ahead = 0;

    r->joined = r->window_len && off == r->window_off + r->window_len ? r->joined + 1 : 0;
    if (!r->joined && want < LEAST && off > LEAST / 2) { /* who looks at a little may look at what is before next */
        off -= LEAST / 2;
        want += LEAST / 2;
    }
    uint64_t left = r->version.size - off;
    if (r->joined)
        ahead = r->joined < 9 ? (size_t)AHEAD << r->joined : MOST;
    if (off >= r->expect_off && off < r->expect_end)
        ahead = r->expect_end - off < MOST ? (size_t)(r->expect_end - off) : MOST;
    want = want < LEAST ? LEAST : want;
    want = want < ahead ? ahead : want;
    want = left < want ? (size_t)left : want;
    if (want > r->window_room) {
        free(r->window);
        r->window_len = r->window_room = 0;
        if (!(r->window = malloc(want)))
            return fc_error_set(&r->why, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        r->window_room = want;
    }
    r->window_off = off;
    r->window_len = 0;
    return fetch(r, r->window, want, off, false, &r->window_len);
}

/* What is here of the bytes at `off`; 0: nothing. */
static size_t take(const struct fc_remote *r, uint8_t *buf, size_t n, uint64_t off)
{
    const uint8_t *from = NULL;
    size_t have = 0;

    if (off < r->head_len) {
        from = r->head + off;
        have = r->head_len - (size_t)off;
    } else if (off >= r->window_off && off - r->window_off < r->window_len) {
        from = r->window + (off - r->window_off);
        have = r->window_len - (size_t)(off - r->window_off);
    }
    have = have < n ? have : n;
    if (have)
        memcpy(buf, from, have);
    return have;
}

int64_t fc_remote_read(struct fc_remote *r, void *buf, size_t n, uint64_t off, struct fc_error *err)
{
    uint64_t left = off < r->version.size ? r->version.size - off : 0;
    size_t done = 0;
    int rc = 0;

    n = left < n ? (size_t)left : n;
    /* another version does not become the old one again: it is not asked for each record of a session */
    if (r->why.code == FC_E_CHANGED || r->why.code == FC_E_MISSING)
        rc = r->why.code;
    while (done < n && rc == 0) {
        size_t had = take(r, (uint8_t *)buf + done, n - done, off + done);
        done += had;
        if (!had)
            rc = off + done < HEAD && !r->head ? fetch_head(r, false) : fetch_window(r, off + done, n - done);
    }
    if (rc && err)
        *err = r->why;
    return rc ? rc : (int64_t)done;
}
