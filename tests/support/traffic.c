/* SPDX-License-Identifier: MIT */
#include "traffic.h"

#include <string.h>

enum { KEYS_MAX = 16, START_S = 1700000000 };
#define S 1000000000LL

struct flow {
    uint8_t proto;
    uint8_t host[2];
    uint16_t port[2];
};
struct frame {
    uint8_t at[128];
    unsigned n;
};

static void put16(struct frame *f, unsigned v)
{
    f->at[f->n++] = (uint8_t)(v >> 8);
    f->at[f->n++] = (uint8_t)v;
}

static void put32(struct frame *f, uint32_t v)
{
    put16(f, v >> 16);
    put16(f, v & 0xffff);
}

static void put_mac(struct frame *f, unsigned last)
{
    put32(f, 0x02000000);
    put16(f, last);
}

static void put_ip(struct frame *f, struct rng *r, const struct flow *flow, unsigned d, unsigned fragment, unsigned len)
{
    static const uint8_t ttls[] = {1, 63, 64, 128};

    put16(f, 0x4500 | (unsigned)rng_below(r, 3) << 2);
    put16(f, 20 + len);
    put16(f, (unsigned)rng_below(r, 2)); /* identification: few, so that datagrams meet */
    put16(f, fragment);
    put16(f, (unsigned)ttls[rng_below(r, sizeof ttls)] << 8 | flow->proto);
    put16(f, 0);
    put32(f, 0x0a000000u | flow->host[d]);
    put32(f, 0x0a000000u | flow->host[!d]);
}

static unsigned tcp_flags(struct rng *r)
{
    static const uint8_t flags[] = {
        FC_TCP_SYN,
        FC_TCP_SYN,
        FC_TCP_SYN,
        FC_TCP_SYN | FC_TCP_ACK,
        FC_TCP_SYN | FC_TCP_ACK,
        FC_TCP_ACK,
        FC_TCP_ACK,
        FC_TCP_ACK,
        FC_TCP_ACK,
        FC_TCP_FIN | FC_TCP_ACK,
        FC_TCP_RST,
        0,
    };
    return flags[rng_below(r, sizeof flags)];
}

static void put_transport(struct frame *f, struct rng *r, const struct flow *flow, unsigned d)
{
    static const uint32_t numbers[] = {1000, 1001, 2000, 2001, 0, 0xffffffff};

    if (flow->proto == 1) {
        put16(f, d ? 0x0000 : 0x0800); /* echo request and reply */
        put16(f, 0);
        put32(f, 0x00010001);
        return;
    }
    put16(f, flow->port[d]);
    put16(f, flow->port[!d]);
    if (flow->proto == 17) {
        put16(f, 8);
        put16(f, 0);
        return;
    }
    put32(f, numbers[rng_below(r, 6)]);
    put32(f, numbers[rng_below(r, 6)]);
    put16(f, 0x5000 | tcp_flags(r));
    put16(f, 1024);
    put32(f, 0);
}

/* A header of IP around that of the flow: of a later fragment, a first one, or neither. */
static void put_outer(struct frame *f, struct rng *r, const struct flow *flow, unsigned d, unsigned len)
{
    struct flow around = *flow;
    unsigned fragment = rng_chance(r, 40) ? 1 : rng_chance(r, 80) ? 0x2000 : 0;

    around.proto = 4;
    put_ip(f, r, &around, d, fragment, 20 + len);
}

static void make_frame(struct frame *f, struct rng *r, const struct flow *flow, const struct traffic_options *o)
{
    unsigned d = (unsigned)rng_below(r, 2), payload = (unsigned)rng_below(r, 9);
    bool fragment = rng_chance(r, o->fragments), later = fragment && rng_chance(r, 60);

    f->n = 0;
    put_mac(f, (unsigned)rng_below(r, 2));
    put_mac(f, 2 + (unsigned)rng_below(r, 2));
    if (rng_chance(r, 20)) {
        put16(f, 0x8100);
        put16(f, 1 + (unsigned)rng_below(r, 3));
    }
    put16(f, rng_chance(r, 97) ? 0x0800 : 0x0806);
    unsigned head = later ? 8 : flow->proto == 6 ? 20 : 8;
    if (fragment && o->aliases && rng_chance(r, o->aliases))
        put_outer(f, r, flow, d, head + payload);
    put_ip(f, r, flow, d, later ? 1 : fragment ? 0x2000 : 0, head + payload);
    if (later) {
        put32(f, 0x11111111);
        put32(f, 0x22222222);
    } else {
        put_transport(f, r, flow, d);
    }
    memset(f->at + f->n, 0x33, payload);
    f->n += payload;
    if (rng_chance(r, 2))
        f->n = 14 + (unsigned)rng_below(r, 8); /* cut: malformed */
}

/* A step of the clock, often one that matters to the rules. */
static int64_t step(struct rng *r, const struct traffic_options *o)
{
    static const int64_t small[] = {0, 1, 1000, S / 10, S, 2 * S};
    static const int64_t beside[] = {-1, 0, 1};

    if (rng_chance(r, o->backwards)) {
        int64_t back = -(int64_t)rng_below(r, rng_chance(r, 50) ? 3 * S : 700 * S);
        return back;
    }
    int64_t t = o->rules->timeout_ns[rng_below(r, FC_TIMEOUT_COUNT)];
    if (t == FC_NEVER || rng_chance(r, 55))
        return small[rng_below(r, 6)];
    if (rng_chance(r, 30))
        return (int64_t)rng_below(r, (uint64_t)t + 1);
    return t + beside[rng_below(r, 3)];
}

static int64_t glitch(struct rng *r)
{
    static const int64_t off[] = {1, S, 61 * S, 3600 * S, 31536000 * S};
    int64_t by = off[rng_below(r, 5)];

    return rng_chance(r, 50) ? by : -by;
}

/* What a pcap can hold. */
static int64_t within(int64_t ts)
{
    return ts < S ? S : ts > 4000000000 * S ? 4000000000 * S : ts;
}

static void make_flows(struct flow *flows, unsigned n, struct rng *r, bool mirrored)
{
    static const uint8_t protos[] = {6, 6, 6, 17, 17, 1, 132};

    for (unsigned i = 0; i < n; i++) {
        flows[i].proto = protos[rng_below(r, sizeof protos)];
        flows[i].host[0] = (uint8_t)rng_between(r, 1, 3);
        flows[i].host[1] = mirrored && rng_chance(r, 20) ? flows[i].host[0] : (uint8_t)rng_between(r, 4, 5);
        flows[i].port[0] = (uint16_t)rng_between(r, 1, 3);
        flows[i].port[1] = (uint16_t)rng_between(r, 1, 3);
    }
}

static void put_frame(struct traffic_file *f, struct rng *r, const struct frame *frame, int64_t ts,
                      const struct traffic_options *o, bool ng)
{
    struct maker with = {0};

    make_bytes(&with, frame->at, frame->n);
    make_fill(&with, 0x55, o->padding);
    uint32_t n = (uint32_t)with.len, more = (uint32_t)rng_below(r, 3);
    if (!ng)
        make_record(&f->bytes, 16, (uint32_t)(ts / S), (uint32_t)(ts % S), n, n + more, with.at);
    else if (rng_chance(r, o->untimed))
        make_spb(&f->bytes, n, n, with.at);
    else
        make_epb(&f->bytes, (uint32_t)rng_below(r, 2), (uint64_t)ts, n, n + more, with.at);
    make_fini(&with);
}

/* Returns the time at the end. */
static int64_t fill_file(struct traffic_file *f, struct rng *r, const struct flow *flows, int64_t ts,
                         const struct traffic_options *o)
{
    bool ng = o->untimed || rng_chance(r, 20);
    struct frame frame;

    if (ng) {
        make_shb(&f->bytes);
        make_idb(&f->bytes, 1, 0, 9, 0);
        make_idb(&f->bytes, 1, 0, 9, 0);
    } else {
        make_pcap(&f->bytes, (uint32_t)MAKE_NS, 4, 262144, 1);
    }
    for (unsigned i = 0; i < o->packets / o->files + 1; i++) {
        make_frame(&frame, r, &flows[rng_below(r, o->keys)], o);
        put_frame(f, r, &frame, o->glitches && rng_chance(r, o->glitches) ? within(ts + glitch(r)) : ts, o, ng);
        ts = within(ts + step(r, o));
    }
    f->path = make_file(&f->bytes, f->bytes.len);
    return ts;
}

static void count_in(struct traffic *t, struct traffic_file *f, uint32_t id, uint32_t mask)
{
    struct fc_file file;
    struct fc_reader reader;
    struct fc_record rec;

    f->first_ns = FC_TIME_NONE;
    f->first = t->count;
    if (fc_file_open(f->path, &file, NULL) || fc_reader_init(&reader, 65536) ||
        fc_reader_start(&reader, &file, 0, UINT64_MAX, NULL))
        abort();
    while (fc_reader_next(&reader, &rec) == 1) {
        if ((t->count & (t->count - 1)) == 0 &&
            !(t->packets = realloc(t->packets, (t->count ? 2 * t->count : 1) * sizeof *t->packets)))
            abort();
        struct traffic_packet *p = &t->packets[t->count++];
        memset(p, 0, sizeof *p);
        fc_decode(rec.link_type, rec.data, rec.caplen, rec.origlen, mask, &p->packet);
        p->rec = rec;
        p->rec.data = NULL;
        p->file = id;
        if (p->packet.malformed)
            p->packet.key.port[1] = (uint16_t)id; /* a session a file, as src/index/claim.c has it */
        if (f->first_ns == FC_TIME_NONE)
            f->first_ns = rec.ts_ns;
        if (rec.ts_ns > t->clock_ns)
            t->clock_ns = rec.ts_ns;
    }
    f->count = t->count - f->first;
    f->ifaces = reader.met;
    f->iface_count = reader.met_count;
    reader.met = NULL;
    fc_reader_fini(&reader);
    fc_file_close(&file);
}

void traffic_make(struct traffic *t, struct rng *rng, const struct traffic_options *o)
{
    struct flow flows[KEYS_MAX];
    int64_t ts = START_S * S, end = ts;

    memset(t, 0, sizeof *t);
    t->clock_ns = FC_TIME_NONE;
    t->file_count = o->files;
    make_flows(flows, o->keys, rng, o->mirrored);
    for (unsigned i = 0; i < o->files; i++) {
        end = fill_file(&t->files[i], rng, flows, ts, o);
        if (!o->overlap)
            ts = end;
        else if (end > ts && rng_chance(rng, 70))
            ts += (int64_t)rng_below(rng, (uint64_t)(end - ts) + 1);
    }
    /* file ids go by the first time, as the index's plan gives them */
    for (unsigned i = 0; i < o->files; i++)
        count_in(t, &t->files[i], 1, o->mask);
    for (unsigned i = 1; i < o->files; i++)
        for (unsigned k = i; k && t->files[k].first_ns < t->files[k - 1].first_ns; k--) {
            struct traffic_file swap = t->files[k];
            t->files[k] = t->files[k - 1];
            t->files[k - 1] = swap;
        }
    t->count = 0;
    for (unsigned i = 0; i < o->files; i++) {
        free(t->files[i].ifaces);
        count_in(t, &t->files[i], i + 1, o->mask);
    }
}

void traffic_free(struct traffic *t)
{
    for (unsigned i = 0; i < t->file_count; i++) {
        make_close(t->files[i].path);
        make_fini(&t->files[i].bytes);
        free(t->files[i].ifaces);
    }
    free(t->packets);
}
