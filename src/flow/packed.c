/* SPDX-License-Identifier: MIT */
#include "flow/packed.h"
#include "base/varint.h"
#include "flow/positions.h"

enum {
    FIRST_DIR = 0, /* 2 bits each */
    SYN_DIR = 2,
    BASE_SET = 4,
    BASE_SYNACK = 6,
    FIRST_SYNACK = 1 << 8,
    BACKWARD = 1 << 9,
    FRAGILE = 1 << 10,
    TIMED = 1 << 11,
    EARLIER = 1 << 12, /* min_ns is not first_ns */
    FLAGS = 1 << 13,   /* TCP flags */
    MARK = 1 << 14
};

static inline uint8_t *put32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}

static inline const uint8_t *get32(const uint8_t *p, uint32_t *v)
{
    memcpy(v, p, sizeof *v);
    return p + sizeof *v;
}

/* Small differences of either sign are short. */
static inline uint8_t *put_signed(uint8_t *p, int64_t v)
{
    return fc_varint_put(p, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

/* What was packed is never cut: no end to look for. */
static inline const uint8_t *get(const uint8_t *p, uint64_t *v)
{
    uint64_t r = *p & 0x7f;

    for (unsigned shift = 7; *p++ & 0x80; shift += 7)
        r |= (uint64_t)(*p & 0x7f) << shift;
    *v = r;
    return p;
}

static inline const uint8_t *get_signed(const uint8_t *p, int64_t *v)
{
    uint64_t u;

    p = get(p, &u);
    *v = (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
    return p;
}

static inline int64_t sub(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static inline int64_t add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

uint8_t *fc_run_pack(uint8_t *p, const struct fc_run *run, bool mark)
{
    unsigned flags = (unsigned)run->first_dir << FIRST_DIR | (unsigned)run->syn_dir << SYN_DIR |
                     (unsigned)run->base_set << BASE_SET | (unsigned)run->base_synack << BASE_SYNACK;

    flags |= run->first_synack ? FIRST_SYNACK : 0;
    flags |= run->backward ? BACKWARD : 0;
    flags |= run->fragile ? FRAGILE : 0;
    flags |= run->first_ns != FC_TIME_NONE ? TIMED : 0;
    flags |= run->min_ns != run->first_ns ? EARLIER : 0;
    flags |= run->tcp_flags[0] | run->tcp_flags[1] ? FLAGS : 0;
    flags |= mark ? MARK : 0;
    *p++ = (uint8_t)flags;
    *p++ = (uint8_t)(flags >> 8);
    if (flags & TIMED) {
        memcpy(p, &run->first_ns, sizeof run->first_ns);
        p = fc_varint_put(p + sizeof run->first_ns, (uint64_t)sub(run->max_ns, run->first_ns));
        if (flags & EARLIER)
            p = put_signed(p, sub(run->min_ns, run->first_ns));
    }
    for (unsigned d = 0; d < 2; d++) {
        p = fc_varint_put(p, run->packets[d]);
        p = fc_varint_put(p, run->bytes[d]);
    }
    if (flags & FLAGS) {
        *p++ = run->tcp_flags[0];
        *p++ = run->tcp_flags[1];
    }
    for (unsigned d = 0; d < 2; d++) {
        if (!(run->base_set >> d & 1))
            continue;
        p = put32(p, run->base[d]);
        p = put_signed(p, sub(run->base_ns[d], run->first_ns));
    }
    if (run->syn_dir != FC_NO_DIR)
        p = put32(p, run->syn_seq);
    return p;
}

const uint8_t *fc_run_unpack(const uint8_t *p, struct fc_run *run, bool *mark)
{
    unsigned flags = p[0] | (unsigned)p[1] << 8;
    uint64_t v;

    p += 2;
    fc_run_init(run);
    run->first_dir = flags >> FIRST_DIR & 3;
    run->syn_dir = flags >> SYN_DIR & 3;
    run->base_set = flags >> BASE_SET & 3;
    run->base_synack = flags >> BASE_SYNACK & 3;
    run->first_synack = (flags & FIRST_SYNACK) != 0;
    run->backward = (flags & BACKWARD) != 0;
    run->fragile = (flags & FRAGILE) != 0;
    *mark = (flags & MARK) != 0;
    if (flags & TIMED) {
        memcpy(&run->first_ns, p, sizeof run->first_ns);
        p = get(p + sizeof run->first_ns, &v);
        run->max_ns = add(run->first_ns, (int64_t)v);
        run->min_ns = run->first_ns;
        if (flags & EARLIER) {
            p = get_signed(p, &run->min_ns);
            run->min_ns = add(run->min_ns, run->first_ns);
        }
    }
    for (unsigned d = 0; d < 2; d++) {
        p = get(p, &run->packets[d]);
        p = get(p, &run->bytes[d]);
    }
    if (flags & FLAGS) {
        run->tcp_flags[0] = *p++;
        run->tcp_flags[1] = *p++;
    }
    for (unsigned d = 0; d < 2; d++) {
        if (!(run->base_set >> d & 1))
            continue;
        p = get32(p, &run->base[d]);
        p = get_signed(p, &run->base_ns[d]);
        run->base_ns[d] = add(run->base_ns[d], run->first_ns);
    }
    if (run->syn_dir != FC_NO_DIR)
        p = get32(p, &run->syn_seq);
    return p;
}

/* False when file and offsets of the node can be read off its positions: one segment of all its packets. */
static bool needs_places(const struct fc_node *node)
{
    const struct fc_run *run = &node->run;
    const uint8_t *end = node->pos + node->pos_len;
    struct fc_segment s;

    if (node->deltas)
        return false;
    return node->db_id || node->prior_packets || node->first_file != node->last_file ||
           node->last_off < node->first_off || !fc_segment_head(node->pos, end, &s) || s.file != node->first_file ||
           s.first_off != node->first_off || s.count != run->packets[0] + run->packets[1];
}

size_t fc_packed_head(const struct fc_node *node, uint8_t head[FC_PACKED_HEAD_MAX], size_t *size)
{
    bool places = needs_places(node);
    uint8_t *p = fc_run_pack(head, &node->run, places);

    if (places) {
        p = fc_varint_put(p, (uint64_t)node->db_id);
        p = fc_varint_put(p, node->prior_packets);
        p = fc_varint_put(p, node->first_file);
        p = fc_varint_put(p, node->first_off);
        p = fc_varint_put(p, node->last_file);
        p = fc_varint_put(p, node->last_off);
    } else {
        p = fc_varint_put(p, node->last_off - node->first_off);
    }
    *size = sizeof(struct fc_packed) + (node->extra ? sizeof *node->extra : 0) + (size_t)(p - head) + node->pos_len;
    return (size_t)(p - head);
}

void fc_packed_write(struct fc_packed *packed, const struct fc_node *node, const uint8_t *head, size_t head_len,
                     size_t size)
{
    uint8_t *p = packed->data;

    packed->max_ns = node->run.max_ns;
    packed->seq = node->seq;
    packed->size = (uint32_t)size & 0x7fffffff;
    packed->has_extra = node->extra != NULL;
    if (node->extra) {
        memcpy(p, node->extra, sizeof *node->extra);
        p += sizeof *node->extra;
    }
    memcpy(p, head, head_len);
    if (node->pos_len)
        memcpy(p + head_len, node->pos, node->pos_len);
}

static const uint8_t *read_places(const uint8_t *p, bool places, struct fc_node *node)
{
    uint64_t v;

    node->db_id = 0;
    node->prior_packets = 0;
    if (places) {
        p = get(p, &v);
        node->db_id = (int64_t)v;
        p = get(p, &node->prior_packets);
        p = get(p, &v);
        node->first_file = (uint32_t)v;
        p = get(p, &node->first_off);
        p = get(p, &v);
        node->last_file = (uint32_t)v;
        node->deltas = NULL;
        return get(p, &node->last_off);
    }
    p = get(p, &node->last_off);
    const uint8_t *q = get(p, &v); /* the segment's head: file, count, first offset */
    node->first_file = node->last_file = (uint32_t)v;
    q = get(q, &v);
    node->deltas = get(q, &node->first_off);
    node->last_off += node->first_off;
    return p;
}

void fc_packed_read(const struct fc_packed *packed, struct fc_node *node)
{
    const uint8_t *p = packed->data, *end = (const uint8_t *)packed + packed->size;
    bool places;

    node->next = NULL;
    node->seq = packed->seq;
    node->extra = packed->has_extra ? (struct fc_extra *)(uintptr_t)p : NULL;
    p = fc_run_unpack(p + (packed->has_extra ? sizeof *node->extra : 0), &node->run, &places);
    p = read_places(p, places, node);
    node->pos = (uint8_t *)(uintptr_t)p;
    node->pos_len = (size_t)(end - p);
}
