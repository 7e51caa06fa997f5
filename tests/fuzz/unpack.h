/* SPDX-License-Identifier: MIT */
/* What holds for any bytes that are read as a compressed file. */
#ifndef FC_TEST_FUZZ_UNPACK_H
#define FC_TEST_FUZZ_UNPACK_H

#include "fuzz.h"

#include "capture/codec.h"
#include "capture/source.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    UNPACK_MOST = 1 << 20, /* bytes: small inputs may hold gigabytes */
    UNPACK_POINTS = 24,    /* seek points kept */
    UNPACK_DAMAGES = 8,
};

/* All that a stream gives on its way. */
struct unpacked {
    uint8_t *bytes;
    size_t len;
    bool ended;
    uint64_t why_off; /* of the damage that ended it */
    char why[256];
    size_t points, damages;
    struct fc_seek_point point[UNPACK_POINTS];
    uint64_t damage_off[UNPACK_DAMAGES];
    char damage[UNPACK_DAMAGES][112];
};

static inline int unpack_point(void *ctx, const struct fc_seek_point *point)
{
    struct unpacked *u = ctx;

    if (u->points < UNPACK_POINTS) {
        uint8_t *state = malloc(point->state_len); /* its own size: reading behind it is seen */
        HOLDS(state || !point->state_len);
        if (point->state_len)
            memcpy(state, point->state, point->state_len);
        u->point[u->points] = *point;
        u->point[u->points].state = state;
    }
    HOLDS(!u->points || u->points > UNPACK_POINTS || point->off >= u->point[u->points - 1].off);
    u->points++;
    return 0;
}

static inline int unpack_damage(void *ctx, uint64_t off, const char *cause)
{
    struct unpacked *u = ctx;

    if (u->damages < UNPACK_DAMAGES) {
        u->damage_off[u->damages] = off;
        snprintf(u->damage[u->damages], sizeof u->damage[0], "%s", cause);
    }
    u->damages++;
    return 0;
}

static inline void unpack_free(struct unpacked *u)
{
    for (size_t i = 0; i < u->points && i < UNPACK_POINTS; i++)
        free((void *)u->point[i].state);
    free(u->bytes);
}

/* Sizes to read by, from a seed: all alike, or of every kind. */
static inline size_t unpack_step(unsigned seed, unsigned i)
{
    static const size_t sizes[] = {65536, 1, 3, 100, 4096, 7, 40000, 65536};

    return seed < 8 ? sizes[seed] : sizes[(seed * 2654435761u + i * 40503u) >> 7 & 7];
}

/* Reads a stream from where it stands, as far as UNPACK_MOST bytes in all. */
static inline void unpack_rest(struct fc_stream *s, struct unpacked *u)
{
    HOLDS((u->bytes = malloc(UNPACK_MOST + FC_STREAM_PIECE)));
    while (!s->ended && u->len < UNPACK_MOST) {
        size_t want = FC_STREAM_PIECE - (size_t)(s->off % FC_STREAM_PIECE);
        uint64_t before = s->off;
        int64_t n = fc_stream_read(s, u->bytes + u->len);
        HOLDS(n >= 0 && (size_t)n <= want && s->off == before + (uint64_t)n && (s->ended || (size_t)n == want));
        u->len += (size_t)n;
    }
    u->ended = s->ended;
    if (s->ended && s->why.code) {
        u->why_off = s->why.off;
        snprintf(u->why, sizeof u->why, "%.255s", s->why.cause);
    }
}

static inline void unpack_all(int fd, enum fc_compression compression, struct unpacked *u)
{
    const struct fc_stream_watch watch = {unpack_point, unpack_damage, u};
    struct fc_codec codec;
    struct fc_stream s;

    HOLDS(fc_stream_init(&s, compression, (struct fc_bytes){.fd = fd}, UINT64_MAX, &watch) == 0);
    codec = *s.codec;
    codec.spacing = codec.spacing ? 200 : 0; /* there is room for many points in a small input */
    s.codec = &codec;
    unpack_rest(&s, u);
    fc_stream_fini(&s);
}

/* Through a source, in steps of other sizes: the same bytes, and the same end. */
static inline void unpack_steps(int fd, enum fc_compression compression, unsigned seed, const struct unpacked *all)
{
    uint8_t *buf = malloc(1 << 16);
    struct fc_source *source;
    struct fc_error err;
    uint64_t off = 0;

    HOLDS(buf && fc_source_open((struct fc_bytes){.fd = fd}, "fuzz", UINT64_MAX, compression, &source) == 0);
    for (unsigned i = 0; off < all->len; i++) {
        size_t n = unpack_step(seed, i);
        int64_t got = source->read(source, buf, n, off, &err);
        HOLDS(got >= 0 && (size_t)got <= n);
        size_t left = all->len - (size_t)off, known = (size_t)got < left ? (size_t)got : left;
        HOLDS(memcmp(buf, all->bytes + off, known) == 0 && ((size_t)got == n || ((size_t)got == left && all->ended)));
        off += (uint64_t)got;
    }
    if (all->ended) {
        HOLDS(source->read(source, buf, 1, all->len, &err) == 0 && source->size(source) == all->len);
        HOLDS(source->why ? strcmp(source->why->cause, all->why) == 0 && source->why->off == all->why_off
                          : !all->why[0]);
    }
    source->close(source);
    free(buf);
}

/* From each seek point the same bytes come as from the start. */
static inline void unpack_from_points(int fd, enum fc_compression compression, unsigned seed,
                                      const struct unpacked *all)
{
    struct fc_stream s;

    HOLDS(fc_stream_init(&s, compression, (struct fc_bytes){.fd = fd}, UINT64_MAX, NULL) == 0);
    for (size_t i = 0; i < all->points && i < UNPACK_POINTS; i++) {
        const struct fc_seek_point *p =
            &all->point[(i + seed) % (all->points < UNPACK_POINTS ? all->points : UNPACK_POINTS)];
        struct unpacked rest = {.len = 0};
        if (p->off > all->len)
            continue;
        HOLDS(fc_stream_enter(&s, p) == 0);
        unpack_rest(&s, &rest);
        size_t len = all->len - (size_t)p->off;
        HOLDS((rest.len >= len || !rest.ended) &&
              memcmp(rest.bytes, all->bytes + p->off, rest.len < len ? rest.len : len) == 0);
        /* what was passed over takes part in the checks of a stream's end */
        if (all->ended && all->len < UNPACK_MOST && !all->why[0])
            HOLDS(rest.ended && rest.len == len && !rest.why[0]);
        unpack_free(&rest);
    }
    fc_stream_fini(&s);
}

static inline int unpack_find(void *ctx, uint64_t off, struct fc_seek_point *point, struct fc_seek_point *next,
                              struct fc_error *err)
{
    const struct unpacked *all = ctx;
    int found = 0;

    (void)err;
    (void)next;
    for (size_t i = 0; i < all->points && i < UNPACK_POINTS && all->point[i].off <= off; i++, found = 1)
        *point = all->point[i];
    return found;
}

/* Reads here and there, as carving does. */
static inline void unpack_jumps(int fd, enum fc_compression compression, unsigned seed, struct unpacked *all)
{
    static uint8_t buf[3000];
    struct fc_source *source;
    struct fc_error err;

    HOLDS(fc_source_open((struct fc_bytes){.fd = fd}, "fuzz", UINT64_MAX, compression, &source) == 0);
    fc_source_set_points(source, unpack_find, all);
    for (unsigned i = 0; i < 12; i++) {
        uint64_t off = (seed * 2654435761u + i * 2246822519u) % (all->len + 1);
        size_t n = unpack_step(i & 7, 0) % sizeof buf + 1, left = all->len - (size_t)off;
        int64_t got = source->read(source, buf, n, off, &err);
        HOLDS(got >= 0 && (size_t)got <= n);
        size_t known = (size_t)got < left ? (size_t)got : left;
        HOLDS(memcmp(buf, all->bytes + off, known) == 0);
        HOLDS((size_t)got == n || ((size_t)got == left && all->ended && source->size(source) == all->len));
    }
    source->close(source);
}

/* A seek point as a damaged index might have it: refused, or read from without harm. */
static inline void unpack_forged(int fd, enum fc_compression compression, const uint8_t *data, size_t size,
                                 const struct unpacked *all, unsigned seed)
{
    uint8_t *state = malloc(size + 1);
    struct fc_seek_point point = {.off = seed, .stored_off = seed * 31 % (size + 2), .state = state};
    struct unpacked rest = {.len = 0};
    struct fc_stream s;

    HOLDS(state);
    if (all->points && seed & 1) { /* a true one, and a byte of it wrong */
        const struct fc_seek_point *p =
            &all->point[seed / 2 % (all->points < UNPACK_POINTS ? all->points : UNPACK_POINTS)];
        state = realloc(state, p->state_len + 1);
        HOLDS(state);
        point = (struct fc_seek_point){p->off, p->stored_off + (seed & 4 ? 1 : 0), state, p->state_len};
        memcpy(state, p->state, p->state_len ? p->state_len : 0);
        if (p->state_len)
            state[seed * 7 % p->state_len] ^= data[size / 2];
    } else {
        point.state_len = seed % (size + 1);
        memcpy(state, data + size - point.state_len, point.state_len);
    }
    HOLDS(fc_stream_init(&s, compression, (struct fc_bytes){.fd = fd}, UINT64_MAX, NULL) == 0);
    int rc = fc_stream_enter(&s, &point);
    HOLDS(rc == 0 || rc == FC_E_DAMAGED);
    if (rc == 0)
        unpack_rest(&s, &rest);
    unpack_free(&rest);
    fc_stream_fini(&s);
    free(state);
}

/* The last two bytes of the input choose how the rest is read. */
static inline int unpack_bytes(enum fc_compression compression, const uint8_t *data, size_t size)
{
    struct unpacked whole = {.len = 0};
    int fd;

    if (size < 8)
        return 0;
    unsigned seed = data[size - 1] * 256u + data[size - 2];
    size -= 2;
    HOLDS((fd = memfd_create("fuzz", MFD_CLOEXEC)) >= 0 && write(fd, data, size) == (ssize_t)size);
    if (fc_stream_detect((struct fc_bytes){.fd = fd}) == (int)compression) {
        unpack_all(fd, compression, &whole);
        unpack_steps(fd, compression, seed % 64, &whole);
        unpack_from_points(fd, compression, seed, &whole);
        unpack_jumps(fd, compression, seed, &whole);
        unpack_forged(fd, compression, data, size, &whole, seed);
    }
    unpack_free(&whole);
    close(fd);
    return 0;
}

#endif
