/* SPDX-License-Identifier: MIT */
/*
 * The positions blob: lists of 20 packets, some hundred bytes to some ten thousand apart, that come in four runs.
 * Encoding is what a session that grows does (run behind run into one blob), decoding is what a carve does.
 */
#include "base/varint.h"
#include "flow/positions.h"
#include "micro.h"

#include <flowcarve/error.h>
#include <stdio.h>
#include <stdlib.h>

enum { LISTS = 4096, RUNS = 4, EACH = 5, BYTES = 256 };

struct lists {
    uint8_t runs[LISTS][BYTES]; /* as they come */
    size_t run_len[LISTS];
    uint8_t whole[LISTS][BYTES]; /* as they are stored */
    size_t whole_len[LISTS];
    uint64_t sum[LISTS]; /* of the offsets */
};

static void make_lists(struct lists *l)
{
    uint64_t state = 88172645463325252u;

    for (unsigned i = 0; i < LISTS; i++) {
        uint64_t off = 24 + (micro_random(&state) >> 32);
        uint8_t *p = l->runs[i];
        l->sum[i] = 0;
        for (unsigned r = 0; r < RUNS; r++) {
            p = fc_varint_put(fc_varint_put(fc_varint_put(p, 1), EACH), off);
            for (unsigned k = 0; k < EACH; k++) {
                uint64_t step = 100 + (micro_random(&state) >> (micro_random(&state) % 2 ? 50 : 54));
                l->sum[i] += off;
                off += step;
                if (k + 1 < EACH)
                    p = fc_varint_put(p, step);
            }
        }
        l->run_len[i] = (size_t)(p - l->runs[i]);
    }
}

static int encode(struct lists *l, struct fc_positions *positions)
{
    for (unsigned i = 0; i < LISTS; i++) {
        fc_positions_clear(positions);
        if (fc_positions_add(positions, l->runs[i], l->run_len[i]) || fc_positions_size(positions) > BYTES)
            return 0;
        l->whole_len[i] = fc_positions_write(positions, l->whole[i]);
    }
    return 1;
}

static int decode(const struct lists *l)
{
    for (unsigned i = 0; i < LISTS; i++) {
        const uint8_t *p = l->whole[i], *end = p + l->whole_len[i];
        uint64_t sum = 0;
        while (p && p < end) {
            struct fc_segment s;
            if (!(p = fc_segment_head(p, end, &s)))
                return 0;
            uint64_t off = s.first_off;
            sum += off;
            for (uint64_t k = 1; k < s.count && p; k++) {
                p = fc_segment_next(p, end, &off);
                sum += off;
            }
        }
        if (!p || sum != l->sum[i])
            return 0;
    }
    return 1;
}

int micro_positions(int argc, char **argv)
{
    int64_t n = micro_count(argc, argv, 1000000);
    struct lists *l = malloc(sizeof *l);
    struct fc_positions positions = {0};
    double encoded[MICRO_ROUNDS], decoded[MICRO_ROUNDS];
    int64_t rounds = n / (LISTS * RUNS * EACH) + 1;
    double each = 1e9 / (double)(rounds * LISTS * RUNS * EACH);
    char note[64];
    size_t bytes = 0;
    int ok = 1;

    if (n < 0 || !l) {
        free(l);
        return 2;
    }
    make_lists(l);
    for (int r = 0; r < MICRO_ROUNDS && ok; r++) {
        double start = micro_now();
        for (int64_t i = 0; i < rounds && ok; i++)
            ok = encode(l, &positions);
        encoded[r] = (micro_now() - start) * each;
        start = micro_now();
        for (int64_t i = 0; i < rounds && ok; i++)
            ok = decode(l);
        decoded[r] = (micro_now() - start) * each;
    }
    for (unsigned i = 0; i < LISTS; i++)
        bytes += l->whole_len[i];
    fc_positions_fini(&positions);
    free(l);
    if (!ok)
        return micro_fail("positions", "offsets are not those that went in");
    snprintf(note, sizeof note, "%.2f bytes a position", (double)bytes / (LISTS * RUNS * EACH));
    micro_row("positions", "encode, 4 runs of 5", micro_median(encoded, MICRO_ROUNDS), "ns a packet", note);
    micro_row("positions", "decode", micro_median(decoded, MICRO_ROUNDS), "ns a packet", "sums checked");
    return 0;
}
