/* SPDX-License-Identifier: MIT */
/*
 * Folding the runs of a flow that stays: where each chunk has brought a run of a packet or two, one run takes a fraction of their
 * memory. It is the run that there would be if the chunks had been one, so it is joined to the same sessions.
 */
#include "base/varint.h"
#include "flow/table_internal.h"

#include <stdlib.h>
#include <string.h>

enum { POSITIONS_MAX = 1024 /* bytes: what has more gains little */ };

/* A run of the flow. */
struct part {
    struct fc_node node; /* what it holds lies in `packed` */
    struct fc_packed *packed;
    bool whole; /* fit to be folded */
};

/* Room for n items in a scratch of the join. */
static void *room(void **list, size_t *have, size_t n, size_t size)
{
    if (*have < n) {
        free(*list);
        *have = 0;
        if (!(*list = malloc(2 * n * size)))
            return NULL;
        *have = 2 * n;
    }
    return *list;
}

/* A run of packets with times, of a chunk with none in front of it that is still to come. */
static bool is_whole(const struct fc_node *n, uint64_t seq)
{
    return n->deltas && n->seq && n->seq < seq && !n->run.fragile && n->run.first_ns != FC_TIME_NONE &&
           n->pos_len <= POSITIONS_MAX;
}

static int compare_part(const void *a, const void *b)
{
    const struct fc_node *x = &((const struct part *)a)->node, *y = &((const struct part *)b)->node;

    if (x->first_file != y->first_file)
        return x->first_file < y->first_file ? -1 : 1;
    return x->first_off < y->first_off ? -1 : x->first_off > y->first_off;
}

/* True when a chunk that had both would have made one run of them: see fc_run_breaks(). */
static bool goes_on(const struct fc_node *node, const struct part *next, int64_t min_gap_ns)
{
    const struct fc_run *a = &node->run, *b = &next->node.run;

    return next->whole && next->node.first_file == node->last_file && next->node.first_off > node->last_off &&
           b->syn_dir == FC_NO_DIR && node->pos_len <= POSITIONS_MAX &&
           (b->first_ns <= a->max_ns || (uint64_t)b->first_ns - (uint64_t)a->max_ns <= (uint64_t)min_gap_ns);
}

/* Folds parts [0, n) to one node; its positions go to `pos`, its optional fields to `extra`. */
static void fold_parts(const struct part *parts, size_t n, struct fc_node *node, struct fc_extra *extra, uint8_t *pos)
{
    uint64_t count;
    uint8_t *p;

    *node = parts[0].node;
    if (node->extra) {
        *extra = *node->extra;
        node->extra = extra;
    }
    for (size_t i = 1; i < n; i++) {
        const struct fc_node *next = &parts[i].node;
        fc_run_fold(&node->run, &next->run);
        if (node->extra)
            fc_extra_fold(extra, next->extra);
        node->seq = next->seq > node->seq ? next->seq : node->seq;
    }
    count = node->run.packets[0] + node->run.packets[1];
    p = fc_varint_put(fc_varint_put(fc_varint_put(pos, node->first_file), count), node->first_off);
    const uint8_t *deltas = p;
    for (size_t i = 0; i < n; i++)
        p = fc_node_append(p, i ? &parts[i - 1].node : NULL, &parts[i].node);
    node->last_off = parts[n - 1].node.last_off;
    node->pos = pos;
    node->pos_len = (size_t)(p - pos);
    node->deltas = deltas;
}

/* Parts [0, n) as one packed node; NULL without memory. */
static struct fc_packed *pack_parts(struct fc_pool *pool, struct fc_join *join, const struct part *parts, size_t n)
{
    uint8_t head[FC_PACKED_HEAD_MAX];
    struct fc_extra extra;
    struct fc_node node;
    size_t bytes = 3 * FC_VARINT_MAX, size;

    for (size_t i = 0; i < n; i++)
        bytes += parts[i].node.pos_len + FC_VARINT_MAX;
    uint8_t *pos = room(&join->fold_bytes, &join->fold_byte_room, bytes, 1);
    if (!pos)
        return NULL;
    fold_parts(parts, n, &node, &extra, pos);
    size_t head_len = fc_packed_head(&node, head, &size);
    struct fc_packed *packed = fc_pool_take(pool, size);
    if (packed)
        fc_packed_write(packed, &node, head, head_len, size);
    return packed;
}

/* Unpacks the runs, in the order of their positions. NULL without memory. */
static struct part *unpack_parts(struct fc_join *join, const struct fc_flow *flow, uint64_t seq, size_t *count)
{
    struct part *parts;
    bool ordered = true;
    size_t n = 0;

    for (const struct fc_packed *packed = flow->owned; packed; packed = packed->next)
        n++;
    if (!(parts = room(&join->fold_parts, &join->fold_part_room, n, sizeof *parts)))
        return NULL;
    n = 0;
    for (struct fc_packed *packed = flow->owned; packed; packed = packed->next, n++) {
        parts[n].packed = packed;
        fc_packed_read(packed, &parts[n].node);
        parts[n].whole = is_whole(&parts[n].node, seq);
        ordered &= n == 0 || compare_part(&parts[n - 1], &parts[n]) <= 0;
    }
    if (!ordered)
        qsort(parts, n, sizeof *parts, compare_part);
    *count = n;
    return parts;
}

int fc_table_fold(struct fc_pool *pool, struct fc_join *join, struct fc_flow *flow, int64_t min_gap_ns, uint64_t seq)
{
    size_t n;
    struct part *parts = unpack_parts(join, flow, seq, &n);
    struct fc_packed *list = NULL, *packed;
    int rc = 0;

    if (!parts)
        return FC_E_NOMEM;
    for (size_t i = 0, end; i < n; i = end) {
        struct fc_node so_far = parts[i].node; /* as far as goes_on() looks at it */
        for (end = i + 1; parts[i].whole && end < n && goes_on(&so_far, &parts[end], min_gap_ns); end++) {
            const struct fc_node *next = &parts[end].node;
            so_far.last_off = next->last_off;
            so_far.pos_len += next->pos_len;
            so_far.run.max_ns = next->run.max_ns > so_far.run.max_ns ? next->run.max_ns : so_far.run.max_ns;
        }
        packed = end > i + 1 && rc == 0 ? pack_parts(pool, join, parts + i, end - i) : NULL;
        if (end > i + 1 && !packed)
            rc = FC_E_NOMEM; /* they stay as they are */
        int64_t bytes = packed ? packed->size : 0;
        for (size_t k = i; k < end; k++) {
            struct fc_packed *old = parts[k].packed;
            if (packed) {
                bytes -= old->size;
                fc_pool_give(pool, old, old->size);
            } else {
                old->next = list;
                list = old;
            }
        }
        if (packed) {
            packed->next = list;
            list = packed;
            fc_tally_add(&pool->tally, bytes, 0);
        }
    }
    flow->owned = list;
    return rc;
}
