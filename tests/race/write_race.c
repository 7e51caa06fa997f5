/* SPDX-License-Identifier: MIT */
/*
 * The threads of the writing half: a merge that runs ahead of who reads it (store/ahead.h) gives what the merge alone
 * gives, and what is written behind the caller's back (store/behind.h) is in the file as if it had been written at
 * once.
 */
#include "base/error.h"
#include "base/io.h"
#include "rng.h"
#include "store/ahead.h"
#include "store/behind.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORDS = 30000, SPOOLS = 2, BUFFER = 256 << 10, BUFFERS = 600, AREA = 3 /* buffers the file is long */ };

#define HOLDS(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "write_race: %s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static void fill(struct fc_spool *spool, struct rng *rng, uint64_t *id)
{
    uint8_t blob[300];

    for (unsigned i = 0; i < RECORDS / SPOOLS; i++, ++*id) {
        struct fc_session_record r;
        memset(&r, 0, sizeof r);
        r.key.proto = (uint32_t)*id;
        r.session.first_ns = r.session.min_ns = r.session.max_ns = (int64_t)rng_below(rng, 5000);
        r.session.packets[0] = *id;
        r.first_file = 1;
        r.first_off = *id;
        r.has_extra = rng_chance(rng, 30);
        r.extra.payload[0] = r.has_extra ? ~*id : 0;
        r.blob_len = (uint32_t)rng_below(rng, sizeof blob);
        memset(blob, (int)*id, sizeof blob);
        r.blob = blob;
        HOLDS(fc_spool_add(spool, &r, NULL) == 0);
    }
}

static void check_record(const struct fc_session_record *r, uint64_t *sum)
{
    for (uint32_t i = 0; i < r->blob_len; i++)
        HOLDS(r->blob[i] == (uint8_t)r->session.packets[0]);
    HOLDS(!r->has_extra || r->extra.payload[0] == ~r->session.packets[0]);
    *sum = (*sum ^ r->session.packets[0] ^ (uint64_t)r->session.min_ns << 32 ^ r->blob_len) * 0x9e3779b97f4a7c15u;
}

/* most: records to read; UINT64_MAX: all. Returns a sum over them in their order. */
static uint64_t read_records(struct fc_spool *const *spools, bool ahead, uint64_t most)
{
    struct fc_session_record *r;
    struct fc_ahead *a = NULL;
    struct fc_merge *merge;
    uint64_t n = 0, sum = 0;
    int rc = 1;

    HOLDS(fc_merge_open(spools, SPOOLS, &merge, NULL) == 0);
    if (ahead)
        HOLDS((a = fc_ahead_open(merge, RECORDS, false)));
    for (; n < most && (rc = a ? fc_ahead_next(a, &r, NULL) : fc_merge_next(merge, &r, NULL)) == 1; n++)
        check_record(r, &sum);
    if (most == UINT64_MAX)
        HOLDS(rc == 0 && n == RECORDS && (a ? fc_ahead_next(a, &r, NULL) : 0) == 0);
    fc_ahead_close(a);
    fc_merge_close(merge);
    return sum;
}

static void ahead_is_the_merge(void)
{
    struct fc_spool *spools[SPOOLS];
    struct rng rng = {7};
    uint64_t id = 1;

    for (unsigned i = 0; i < SPOOLS; i++) {
        HOLDS((spools[i] = fc_spool_new("/tmp", i ? 64 << 20 : 200000))); /* one of them goes to disk */
        fill(spools[i], &rng, &id);
    }
    HOLDS(read_records(spools, true, UINT64_MAX) == read_records(spools, false, UINT64_MAX));
    for (uint64_t most = 0; most < 3000; most = 2 * most + 1) /* given up early */
        HOLDS(read_records(spools, true, most) == read_records(spools, false, most));
    for (unsigned i = 0; i < SPOOLS; i++)
        fc_spool_free(spools[i]);
}

static void behind_is_in_order(void)
{
    static uint8_t want[AREA * BUFFER], got[AREA * BUFFER], noise[2 * BUFFER];
    struct fc_behind behind;
    struct rng rng = {11};
    uint64_t last = 0;
    uint8_t *data = malloc(BUFFER);
    int fd = fc_io_temporary("/tmp", NULL);

    HOLDS(data && fd >= 0 && ftruncate(fd, sizeof want) == 0);
    rng_fill(&rng, noise, sizeof noise);
    fc_behind_init(&behind, fd, "a file", BUFFER, false);
    for (unsigned i = 0; i < BUFFERS; i++) {
        bool direct = rng_chance(&rng, 30); /* on the heels of what was passed just now, and shorter */
        size_t len = direct ? 100 : BUFFER;
        uint64_t off = direct ? last + BUFFER - len : rng_below(&rng, sizeof want - BUFFER);
        memcpy(data, noise + rng_below(&rng, BUFFER), len); /* made faster than written */
        memcpy(want + off, data, len);
        if (direct) {
            fc_behind_settle(&behind, off, len);
            HOLDS(fc_io_write(fd, data, len, off, "a file", NULL) == 0);
        } else {
            HOLDS(fc_behind_pass(&behind, off, &data, len, NULL) == 0);
        }
        last = direct ? last : off;
    }
    HOLDS(fc_behind_stop(&behind, NULL) == 0);
    HOLDS(fc_io_read(fd, got, sizeof got, 0, "a file", NULL) == 0 && memcmp(got, want, sizeof want) == 0);
    fc_behind_fini(&behind);
    close(fd);
    free(data);
}

/* A disk that is full: told at the latest in the end, and nothing is lost or freed twice. */
static void behind_fails(void)
{
    struct fc_behind behind;
    struct fc_error err = {.code = 0};
    uint8_t *data = calloc(1, BUFFER);
    int fd = open("/dev/full", O_WRONLY), null = open("/dev/null", O_WRONLY), rc = 0;

    HOLDS(data && fd >= 0 && null >= 0);
    fc_behind_init(&behind, null, "a full disk", BUFFER, false);
    for (unsigned i = 0; i < BUFFERS && rc == 0; i++) {
        if (i == BUFFERS / 2)
            HOLDS(dup2(fd, null) == null); /* while its thread is writing */
        rc = fc_behind_pass(&behind, 0, &data, BUFFER, &err);
    }
    if (rc == 0)
        rc = fc_behind_stop(&behind, &err);
    HOLDS(rc == FC_E_IO && err.code == FC_E_IO && strstr(err.cause, "cannot write"));
    fc_behind_fini(&behind);
    free(data);
    close(fd);
    close(null);
}

int main(void)
{
    ahead_is_the_merge();
    behind_is_in_order();
    behind_fails();
    return 0;
}
