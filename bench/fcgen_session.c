/* SPDX-License-Identifier: MIT */
#include "fcgen.h"

#include <string.h>

#define PARETO_SPAN 16384u    /* longest over shortest session, before rounding */
#define PARETO_MEAN_1000 9705 /* ln(16384) * 16384 / 16383, times 1000: mean over shortest */

/* How many packets, on average (times 256), the next session should have. */
static uint64_t mean_fp(const struct fcgen_gen *g)
{
    const struct fcgen_options *opt = g->opt;
    if (opt->sessions == 0)
        return opt->per_session * 256;
    uint64_t left = UINT64_MAX, all = UINT64_MAX;
    if (opt->packets) {
        all = opt->packets;
        left = all > g->packets ? all - g->packets : 0;
    }
    if (opt->bytes) {
        uint64_t done = fcgen_writer_bytes(g->out);
        uint64_t size = g->packets > 1000 ? done / g->packets + 1 : 800;
        uint64_t by_bytes = opt->bytes > done ? (opt->bytes - done) / size : 0;
        left = by_bytes < left ? by_bytes : left;
        all = opt->bytes / size < all ? opt->bytes / size : all;
    }
    uint64_t plain = all * 256 / opt->sessions;
    if (opt->sessions <= opt->concurrent)
        return plain;
    /* Steering towards the wanted number; the bounds keep the last few sessions of a capture sane. */
    uint64_t mean = left * 256 / (opt->sessions - g->started + 1);
    return mean < plain / 8 ? plain / 8 : mean > plain * 4 ? plain * 4 : mean;
}

/* Bounded Pareto with alpha 1, whose inverse needs no power: x = L * H / (H - u * (H - L)). */
static uint64_t pareto(struct fcgen_rng *rng, uint64_t mean)
{
    uint64_t low = mean * 1000 / PARETO_MEAN_1000;
    uint64_t r = fcgen_rand(rng);
    uint64_t denominator = (((uint64_t)PARETO_SPAN << 32) - (r >> 32) * (PARETO_SPAN - 1)) >> 20;
    if (low > (UINT64_MAX >> 27))
        low = UINT64_MAX >> 27;
    uint64_t x = low * ((uint64_t)PARETO_SPAN << 12) / denominator;
    return (x + (r & 255)) >> 8;
}

static uint32_t draw_length(struct fcgen_gen *g, uint8_t proto)
{
    static const uint32_t base_of[FCGEN_PROTO_COUNT] = {7 * 256, 2 * 256, 2 * 256, 2 * 256, 9 * 256};
    uint64_t mean = mean_fp(g), len;
    if (g->opt->sessions && g->opt->sessions <= g->opt->concurrent) {
        len = (mean / 2 + fcgen_rand(&g->rng) % (mean + 1)) >> 8;
    } else {
        /* A conversation needs some packets anyway; only what is above them is heavy-tailed. */
        uint64_t base = base_of[proto] < mean / 2 ? base_of[proto] : mean / 2;
        len = ((base + (fcgen_rand(&g->rng) & 255)) >> 8) + pareto(&g->rng, mean - base);
    }
    if (proto == FCGEN_ARP && len > 4)
        len = 4;
    if (proto == FCGEN_ICMP && len > 100)
        len = 100;
    return len == 0 ? 1 : len > UINT32_MAX ? UINT32_MAX : (uint32_t)len;
}

/* What becomes of a TCP session: full, refused, unanswered, or seen from the middle on; and how it ends. */
static void plan_tcp(struct fcgen_gen *g, struct fcgen_session *s, bool syn_only)
{
    uint32_t r = fcgen_below(&g->rng, 100), end = fcgen_below(&g->rng, 100);
    s->end = end < 75 ? FCGEN_END_FIN : end < 88 ? FCGEN_END_RST : FCGEN_END_OPEN;
    if (s->left < 6 && s->end == FCGEN_END_FIN)
        s->end = s->left < 4 ? FCGEN_END_OPEN : FCGEN_END_RST;
    if (s->left == 1 || (s->left <= 4 && r < 30) || r < 3) {
        s->kind = FCGEN_KIND_UNANSWERED;
        if (s->left > 6)
            s->left = 2 + r % 5;
    } else if (s->left == 2 && r < 70) {
        s->kind = FCGEN_KIND_REFUSED;
    } else if (r >= 96 && !syn_only) {
        /* The first packets were before the capture began; 1: its first packet is the SYN-ACK. */
        s->step = r == 99 ? 1 : 3;
        s->seq[0] += r == 99;
        s->seq[1] += r == 99 ? 0 : 1;
    }
}

static uint8_t draw_proto(struct fcgen_gen *g)
{
    uint32_t r = fcgen_below(&g->rng, 100), proto = 0;
    while (proto + 1 < FCGEN_PROTO_COUNT && r >= g->opt->proto[proto])
        r -= g->opt->proto[proto++];
    return (uint8_t)proto;
}

static uint8_t draw_burst(struct fcgen_gen *g, uint32_t left)
{
    /* The square root: big transfers are fast, and no session needs the whole capture to end. */
    uint32_t root = 1;
    while (root < g->opt->burst && (uint64_t)root * root < left)
        root++;
    return (uint8_t)root;
}

void fcgen_session_start(struct fcgen_gen *g, struct fcgen_session *s)
{
    const struct fcgen_options *opt = g->opt;
    uint64_t r = fcgen_rand(&g->rng);
    memset(s, 0, sizeof *s);
    s->number = (uint32_t)++g->started;
    s->proto = draw_proto(g);
    s->left = draw_length(g, s->proto);
    if (s->proto != FCGEN_ARP && fcgen_chance(&g->rng, opt->ipv6_bp))
        s->flags |= FCGEN_F_IPV6;
    /* Options that would make a SYN longer than the wanted sizes are left out. */
    uint32_t room = opt->sizes == FCGEN_SIZES_RANGE ? opt->size_max : 1514;
    if ((r & 1) && room >= (s->flags & FCGEN_F_IPV6 ? 102u : 82u))
        s->flags |= FCGEN_F_TIMESTAMPS;
    if (fcgen_chance(&g->rng, opt->vlan_bp)) {
        s->vlan = (uint16_t)(10 + 10 * (r >> 8 & 7));
        s->flags |= (r >> 16 & 7) == 0 ? FCGEN_F_QINQ : 0;
    }
    if ((r >> 20 & 7) != 0)
        s->flags |= FCGEN_F_BULK_SERVER;
    bool syn_only = fcgen_endpoints_take(g, s);
    r = fcgen_rand(&g->rng);
    s->seq[0] = (uint32_t)r;
    s->seq[1] = (uint32_t)(r >> 32);
    s->ipid[0] = (uint16_t)(r >> 7);
    s->ipid[1] = (uint16_t)(r >> 41);
    s->iface = (uint8_t)(s->number % opt->interfaces);
    if (s->proto == FCGEN_TCP)
        plan_tcp(g, s, syn_only);
    s->burst = draw_burst(g, s->left);
}

void fcgen_session_extend(struct fcgen_session *s, uint32_t more)
{
    s->left += more;
    if (s->kind == FCGEN_KIND_FULL)
        return;
    if (s->kind == FCGEN_KIND_UNANSWERED && s->step > 0) {
        s->step = 1;
        s->seq[0]++;
    }
    s->kind = FCGEN_KIND_FULL;
}

uint32_t fcgen_draw_size(struct fcgen_gen *g)
{
    const struct fcgen_options *opt = g->opt;
    uint32_t r = (uint32_t)(fcgen_rand(&g->rng) >> 32);
    uint32_t percent = (uint32_t)(((uint64_t)r * 100) >> 32);
    switch (opt->sizes) {
    case FCGEN_SIZES_MIX:
        return percent < 32 ? 60 + r % 40 : percent < 47 ? 100 + r % 1300 : 1514;
    case FCGEN_SIZES_IMIX:
        return r % 12 < 7 ? 60 : r % 12 < 11 ? 590 : 1514;
    case FCGEN_SIZES_FULL:
        return r % 16 ? 1514 : 66;
    case FCGEN_SIZES_RANGE:
        break;
    }
    return opt->size_min + (uint32_t)(((uint64_t)r * (opt->size_max - opt->size_min + 1)) >> 32);
}

int fcgen_draw_dir(struct fcgen_gen *g, const struct fcgen_session *s, uint32_t size)
{
    int bulk = s->flags & FCGEN_F_BULK_SERVER ? 1 : 0;
    /* Small ones are mostly acknowledgements of the other direction's data. */
    uint32_t against = size < 100 ? 70 : 8;
    return fcgen_below(&g->rng, 100) < against ? 1 - bulk : bulk;
}

/* Starts at a byte 0x40-0x4f, as a QUIC short header does, so that few dissectors guess at what the payload could be.
 */
static uint32_t draw_payload_off(struct fcgen_gen *g)
{
    return g->build.starts[fcgen_below(&g->rng, g->build.start_count)];
}

uint32_t fcgen_draw_datagram_off(struct fcgen_gen *g, const struct fcgen_session *s, int dir)
{
    if (s->port[1] == 53)
        return FCGEN_DNS_OFF + (dir ? FCGEN_DNS_SPAN : 0);
    return draw_payload_off(g);
}

static void plan_segment(struct fcgen_gen *g, struct fcgen_session *s, struct fcgen_segment *seg)
{
    int bulk = s->flags & FCGEN_F_BULK_SERVER ? 1 : 0;
    seg->flags = FCGEN_ACK;
    if (s->kind == FCGEN_KIND_UNANSWERED || s->step == 0) {
        seg->flags = FCGEN_SYN;
    } else if (s->kind == FCGEN_KIND_REFUSED) {
        seg->flags = FCGEN_RST | FCGEN_ACK;
        seg->dir = 1;
    } else if (s->step == 1) {
        seg->flags = FCGEN_SYN | FCGEN_ACK;
        seg->dir = 1;
    } else if (s->step == 2) {
        seg->dir = 0;
    } else if (s->end == FCGEN_END_FIN && s->left <= 3) {
        seg->flags |= s->left > 1 ? FCGEN_FIN : 0;
        seg->dir = (uint8_t)(s->left == 2 ? 1 - bulk : bulk);
    } else if (s->end == FCGEN_END_RST && s->left == 1) {
        seg->flags |= FCGEN_RST;
        seg->dir = (uint8_t)fcgen_draw_dir(g, s, 60);
    } else {
        uint32_t size = fcgen_draw_size(g);
        uint32_t head = fcgen_headers_bytes(s) + (s->flags & FCGEN_F_TIMESTAMPS ? 32 : 20);
        seg->dir = (uint8_t)fcgen_draw_dir(g, s, size);
        seg->payload_bytes = size > head ? size - head : 0;
        seg->payload_off = draw_payload_off(g);
        seg->flags |= seg->payload_bytes ? FCGEN_PSH : 0;
    }
}

static uint32_t next_tcp(struct fcgen_gen *g, struct fcgen_session *s, uint8_t *out, int *dir, bool *flip)
{
    struct fcgen_segment seg = {.now_ns = g->clock_ns};
    plan_segment(g, s, &seg);
    seg.seq = s->seq[seg.dir];
    if (seg.flags & FCGEN_ACK)
        seg.ack = s->seq[1 - seg.dir];
    if (seg.flags == (FCGEN_RST | FCGEN_ACK) && s->kind == FCGEN_KIND_REFUSED)
        seg.seq = 0;
    /* A retransmitted SYN keeps its number; SYN and FIN count as one byte. */
    if (s->kind != FCGEN_KIND_UNANSWERED)
        s->seq[seg.dir] += seg.payload_bytes + (seg.flags & (FCGEN_SYN | FCGEN_FIN) ? 1 : 0);
    *dir = seg.dir;
    *flip = (seg.flags & (FCGEN_SYN | FCGEN_ACK)) == (FCGEN_SYN | FCGEN_ACK);
    return fcgen_build_tcp(&g->build, out, s, &seg);
}

static uint32_t next_udp(struct fcgen_gen *g, struct fcgen_session *s, uint8_t *out, int *dir)
{
    uint32_t size = fcgen_draw_size(g), head = fcgen_headers_bytes(s) + 8;
    /* A question first, then an answer, then whatever. */
    *dir = s->step < 2 ? (int)s->step : fcgen_draw_dir(g, s, size);
    struct fcgen_datagram d = {
        .dir = (uint8_t)*dir,
        .payload_bytes = size > head ? size - head : 0,
        .payload_off = fcgen_draw_datagram_off(g, s, *dir),
    };
    if (s->port[1] == 53 && d.payload_bytes < FCGEN_DNS_BYTES)
        d.payload_bytes = FCGEN_DNS_BYTES;
    return fcgen_build_udp(&g->build, out, s, &d);
}

static uint32_t next_icmp(struct fcgen_gen *g, struct fcgen_session *s, uint8_t *out, int *dir)
{
    uint32_t size = g->opt->sizes == FCGEN_SIZES_RANGE ? fcgen_draw_size(g) : 98;
    uint32_t head = fcgen_headers_bytes(s) + 8;
    *dir = (int)(s->step & 1);
    return fcgen_build_icmp_echo(&g->build, out, s, s->step & 1, size > head ? size - head : 0);
}

static void chunk_head(uint8_t *chunk, uint8_t type, uint8_t flags, uint32_t bytes)
{
    chunk[0] = type;
    chunk[1] = flags;
    chunk[2] = (uint8_t)(bytes >> 8);
    chunk[3] = (uint8_t)bytes;
}

static void chunk_word(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* DATA or SACK, by the drawn size. Returns the chunk's bytes. */
static uint32_t sctp_data(struct fcgen_gen *g, struct fcgen_session *s, uint8_t *chunk, int *dir)
{
    uint32_t size = fcgen_draw_size(g), head = fcgen_headers_bytes(s) + 12 + 16;
    *dir = fcgen_draw_dir(g, s, size);
    if (size > 2000)
        size = 2000;
    if (size < head + 1 || size < 100) {
        chunk_head(chunk, 3, 0, 16);
        chunk_word(chunk + 4, s->seq[1 - *dir] - 1);
        chunk_word(chunk + 8, 65536);
        chunk_word(chunk + 12, 0);
        return 16;
    }
    uint32_t len = size - head;
    chunk_head(chunk, 0, 3, 16 + len);
    chunk_word(chunk + 4, s->seq[*dir]++);
    chunk_word(chunk + 8, s->step & 0xffff);
    chunk_word(chunk + 12, 0);
    memcpy(chunk + 16, g->build.pool + draw_payload_off(g), len);
    return 16 + len;
}

static uint32_t next_sctp(struct fcgen_gen *g, struct fcgen_session *s, uint8_t *out, int *dir)
{
    /* Script: INIT, INIT-ACK, COOKIE-ECHO, COOKIE-ACK ... SHUTDOWN, SHUTDOWN-ACK, SHUTDOWN-COMPLETE. */
    static const uint8_t opening[4] = {1, 2, 10, 11}, closing[3] = {7, 8, 14};
    uint8_t chunk[2048] = {0};
    uint32_t tag[2] = {s->number * 2654435761u | 1, s->number * 2246822519u | 1}, bytes = 4;
    *dir = (int)(s->step & 1);
    if (s->step < 4) {
        bytes = s->step == 0 ? 20 : s->step == 1 ? 20 + 4 + 8 : s->step == 2 ? 12 : 4;
        chunk_head(chunk, opening[s->step], 0, bytes);
        if (s->step < 2) {
            chunk_word(chunk + 4, tag[*dir]);
            chunk_word(chunk + 8, 65536);
            chunk_word(chunk + 12, 0x000a000a);
            chunk_word(chunk + 16, s->seq[*dir]);
        }
        if (s->step == 1)
            chunk_word(chunk + 20, 7u << 16 | 12u); /* state cookie parameter */
    } else if (s->left <= 3) {
        *dir = s->left == 2;
        bytes = s->left == 3 ? 8 : 4;
        chunk_head(chunk, closing[3 - s->left], 0, bytes);
        if (s->left == 3)
            chunk_word(chunk + 4, s->seq[1] - 1);
    } else {
        bytes = sctp_data(g, s, chunk, dir);
    }
    return fcgen_build_sctp(out, s, *dir, s->step == 0 ? 0 : tag[1 - *dir], chunk, bytes);
}

uint32_t fcgen_session_next(struct fcgen_gen *g, struct fcgen_session *s, uint8_t *out, int *dir, bool *flip)
{
    uint32_t len = 0;
    *flip = false;
    switch (s->proto) {
    case FCGEN_TCP:
        len = next_tcp(g, s, out, dir, flip);
        break;
    case FCGEN_UDP:
        len = next_udp(g, s, out, dir);
        break;
    case FCGEN_ICMP:
        len = next_icmp(g, s, out, dir);
        break;
    case FCGEN_ARP:
        *dir = (int)(s->step & 1);
        len = fcgen_build_arp(out, s, s->step & 1);
        break;
    default:
        len = next_sctp(g, s, out, dir);
        break;
    }
    s->left--;
    s->step++;
    return len;
}
