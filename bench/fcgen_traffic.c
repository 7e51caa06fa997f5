/* SPDX-License-Identifier: MIT */
#include "fcgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A slot silent for IDLE_NS is made to speak; every slot is looked at once in SWEEP_NS. With options.c's bound on
 * --concurrent / --rate, no session is silent for 50 s. */
#define IDLE_NS (15 * FCGEN_NS)
#define SWEEP_NS (10 * FCGEN_NS)
#define HELD_NS (5 * FCGEN_NS)
#define BACKWARD_NS 100000000u

int fcgen_gen_init(struct fcgen_gen *g, const struct fcgen_options *opt)
{
    memset(g, 0, sizeof *g);
    g->opt = opt;
    fcgen_rng_init(&g->rng, opt->seed);
    g->clock_ns = opt->start_sec * FCGEN_NS;
    g->gap_fp = FCGEN_NS * 256 / opt->rate;
    g->slot_count = opt->concurrent;
    if (opt->sessions && opt->sessions < g->slot_count)
        g->slot_count = (uint32_t)opt->sessions;
    g->slots = aligned_alloc(64, (size_t)g->slot_count * sizeof *g->slots);
    if (g->slots == NULL || fcgen_builder_init(&g->build, opt, &g->rng) != 0 ||
        fcgen_endpoints_init(&g->ends, opt) != 0)
        goto memory;
    memset(g->slots, 0, (size_t)g->slot_count * sizeof *g->slots);
    for (uint32_t i = 0; opt->fragment_disorder && i < FCGEN_HELD_MAX; i++) {
        g->held[i].frame = malloc(FCGEN_MAX_FRAME);
        if (g->held[i].frame == NULL)
            goto memory;
    }
    for (uint32_t i = 0; i < FCGEN_LOOKAHEAD; i++)
        g->ahead[i] = fcgen_below(&g->rng, g->slot_count);
    if (fcgen_truth_open(&g->truth, opt) != 0)
        return -1;
    g->out = fcgen_writer_open(opt, &g->rng);
    return g->out == NULL ? -1 : 0;
memory:
    fprintf(stderr, "fcgen: out of memory\n");
    return -1;
}

int fcgen_gen_fini(struct fcgen_gen *g)
{
    int rc = 0;
    if (g->out != NULL && fcgen_writer_close(g->out) != 0)
        rc = -1;
    if (g->truth != NULL && fcgen_truth_close(g->truth) != 0)
        rc = -1;
    for (uint32_t i = 0; i < FCGEN_HELD_MAX; i++)
        free(g->held[i].frame);
    fcgen_endpoints_fini(&g->ends);
    fcgen_builder_fini(&g->build);
    free(g->slots);
    return rc;
}

/* Packets that may still be promised; those held back are promised already. */
static uint64_t packets_left(const struct fcgen_gen *g)
{
    uint64_t promised = g->packets + g->held_count;
    if (g->opt->bytes && fcgen_writer_bytes(g->out) >= g->opt->bytes)
        return 0;
    if (g->opt->packets == 0)
        return UINT64_MAX;
    return g->opt->packets > promised ? g->opt->packets - promised : 0;
}

static void commit(struct fcgen_gen *g, uint32_t number, uint8_t iface, int dir, bool flip, uint32_t len)
{
    struct fcgen_position pos;
    uint64_t ts = g->clock_ns;
    if (fcgen_chance(&g->rng, g->opt->backward_bp))
        ts -= fcgen_below(&g->rng, BACKWARD_NS);
    fcgen_writer_commit(g->out, len, ts, iface, &pos);
    g->packets++;
    if (g->truth != NULL)
        fcgen_truth_packet(g->truth, number, dir, flip, len, &pos);
}

/* Sends the fragment held back the longest. */
static void release_held(struct fcgen_gen *g)
{
    struct fcgen_held *h = &g->held[g->held_first];
    uint8_t *out = fcgen_writer_begin(g->out);
    if (out == NULL) {
        g->failed = true;
        return;
    }
    memcpy(out, h->frame, h->len);
    g->held_first = (g->held_first + 1) % FCGEN_HELD_MAX;
    g->held_count--;
    commit(g, h->number, h->iface, h->dir, false, h->len);
}

static void send_fragment(struct fcgen_gen *g, const struct fcgen_session *s, const struct fcgen_datagram *d,
                          uint32_t first, uint32_t len)
{
    if (g->opt->fragment_disorder && g->held_count < FCGEN_HELD_MAX && fcgen_below(&g->rng, 3) == 0) {
        struct fcgen_held *h = &g->held[(g->held_first + g->held_count++) % FCGEN_HELD_MAX];
        h->since_ns = g->clock_ns;
        h->number = s->number;
        h->dir = d->dir;
        h->iface = s->iface;
        h->len = fcgen_build_udp_fragment(&g->build, h->frame, s, d, first, len);
        return;
    }
    uint8_t *out = fcgen_writer_begin(g->out);
    if (out == NULL)
        g->failed = true;
    else
        commit(g, s->number, s->iface, d->dir, false, fcgen_build_udp_fragment(&g->build, out, s, d, first, len));
}

/* A datagram in two to four fragments, all sent or held, so that a capture never ends inside one. */
static void send_fragmented(struct fcgen_gen *g, struct fcgen_session *s, uint64_t gap_ns)
{
    uint32_t size = fcgen_draw_size(g), head = fcgen_headers_bytes(s) + 8;
    uint32_t count = 2 + fcgen_below(&g->rng, 3);
    /* Even the smallest first fragment holds a DNS question. */
    uint32_t unit = size > head + 40 ? (size - head) & ~7u : 40;
    if (unit * count > 65000)
        unit = 65000 / count & ~7u;
    uint32_t last = 1 + fcgen_below(&g->rng, unit), order[4] = {0, 1, 2, 3};
    struct fcgen_datagram d = {
        .dir = (uint8_t)(s->step < 2 ? (int)s->step : fcgen_draw_dir(g, s, size)),
        .id = ++g->frag_id,
        .payload_bytes = unit * (count - 1) + last - 8,
    };
    d.payload_off = fcgen_draw_datagram_off(g, s, d.dir);
    for (uint32_t i = count - 1; g->opt->fragment_disorder && i > 0; i--) {
        uint32_t j = fcgen_below(&g->rng, i + 1), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    for (uint32_t i = 0; i < count && !g->failed; i++) {
        send_fragment(g, s, &d, order[i] * unit, order[i] + 1 == count ? last : unit);
        g->clock_ns += i + 1 < count ? gap_ns : 0;
    }
    s->left = s->left > count ? s->left - count : 0;
    s->step++;
}

static void send_one(struct fcgen_gen *g, struct fcgen_session *s, uint64_t gap_ns)
{
    uint64_t silence = s->last_ns ? g->clock_ns - s->last_ns : 0;
    if (silence > g->max_gap_ns)
        g->max_gap_ns = silence;
    if (s->proto == FCGEN_UDP && packets_left(g) >= 4 && fcgen_chance(&g->rng, g->opt->fragments_bp)) {
        send_fragmented(g, s, gap_ns);
    } else {
        int dir;
        bool flip;
        uint8_t *out = fcgen_writer_begin(g->out);
        if (out == NULL) {
            g->failed = true;
            return;
        }
        uint32_t len = fcgen_session_next(g, s, out, &dir, &flip);
        commit(g, s->number, s->iface, dir, flip, len);
    }
    s->last_ns = g->clock_ns;
}

/* Draws the time for `count` packets: its mean is that of --rate, its tail longer than a uniform one's. */
static uint64_t draw_time(struct fcgen_gen *g, uint32_t count)
{
    uint64_t r = fcgen_rand(&g->rng);
    uint64_t v = ((r & 0xffff) * (r >> 48)) >> 14; /* 4 * u1 * u2, mean 1, times 65536 */
    return (count * g->gap_fp * v) >> 24;
}

/* When no more sessions may start, the last few go on until the capture is long enough. 4 packets are left: a closing
 * that has begun is not taken back. */
static bool must_go_on(const struct fcgen_gen *g, const struct fcgen_session *s)
{
    return g->active <= 4 && g->opt->sessions && g->started >= g->opt->sessions &&
           (s->left == 4 || (s->left < 4 && s->proto == FCGEN_TCP && s->end != FCGEN_END_FIN));
}

/* Gives the slot's session up to `count` packets; starts one in a free slot. */
static void run_burst(struct fcgen_gen *g, uint32_t slot, uint32_t count)
{
    struct fcgen_session *s = &g->slots[slot];
    uint64_t all = draw_time(g, count), step = all / 8 / count;
    g->clock_ns += all - step * (count - 1) + 1;
    if (s->number == 0) {
        if (g->opt->sessions && g->started >= g->opt->sessions) {
            *s = g->slots[--g->slot_count];
            return;
        }
        fcgen_session_start(g, s);
        g->active++;
        if (g->truth != NULL && fcgen_truth_session(g->truth, s) != 0) {
            g->failed = true;
            return;
        }
    }
    for (uint32_t i = 0; i < count && s->left > 0 && !g->failed && packets_left(g) > 0; i++) {
        if (must_go_on(g, s))
            fcgen_session_extend(s, 1000);
        g->clock_ns += i ? step + 1 : 0;
        send_one(g, s, step);
    }
    if (s->left == 0) {
        fcgen_endpoints_bury(g, s);
        g->active--;
        s->number = 0;
    }
}

/* Looks at the next slots in turn, so that all are seen once in SWEEP_NS of capture time. */
static void sweep(struct fcgen_gen *g, uint64_t since_ns)
{
    g->sweep_due += (g->clock_ns - since_ns) * g->slot_count;
    while (g->sweep_due >= SWEEP_NS && g->slot_count > 0 && packets_left(g) > 0 && !g->failed) {
        uint64_t before = g->clock_ns;
        g->sweep_due -= SWEEP_NS;
        g->sweep_at = g->sweep_at + 1 < g->slot_count ? g->sweep_at + 1 : 0;
        const struct fcgen_session *s = &g->slots[g->sweep_at];
        if (s->number != 0 && g->clock_ns - s->last_ns > IDLE_NS)
            run_burst(g, g->sweep_at, 1);
        g->sweep_due += (g->clock_ns - before) * g->slot_count;
    }
}

/* The next slot to speak; its successors' cache lines are on their way. */
static uint32_t choose_slot(struct fcgen_gen *g)
{
    uint32_t at = g->ahead_at++ % FCGEN_LOOKAHEAD, slot = g->ahead[at];
    g->ahead[at] = fcgen_below(&g->rng, g->slot_count);
    __builtin_prefetch(&g->slots[g->ahead[at]], 1);
    return slot < g->slot_count ? slot : fcgen_below(&g->rng, g->slot_count);
}

int fcgen_gen_run(struct fcgen_gen *g)
{
    while (!g->failed && g->slot_count > 0 && packets_left(g) > 0) {
        uint64_t before = g->clock_ns;
        uint32_t slot = choose_slot(g);
        uint32_t burst = g->slots[slot].burst;
        run_burst(g, slot, burst > 1 ? 1 + fcgen_below(&g->rng, 2 * burst - 1) : 1);
        if (g->held_count > 0 &&
            (g->clock_ns - g->held[g->held_first].since_ns > HELD_NS || fcgen_below(&g->rng, 4) == 0))
            release_held(g);
        sweep(g, before);
    }
    while (!g->failed && g->held_count > 0)
        release_held(g);
    return g->failed ? -1 : 0;
}
