/* SPDX-License-Identifier: MIT */
#include "flow/table.h"
#include "base/error.h"
#include "flow/partition.h"
#include "flow/stow.h"

#include <sched.h>
#include <stdlib.h>

enum { WALK_AHEAD = 16, RESUME_TURN = 0x3ff };

struct fc_table *fc_table_new(const struct fc_rules *rules, bool extra, const char *folder)
{
    struct fc_table *t = aligned_alloc(64, (sizeof *t + 63) & ~(size_t)63);

    if (!t)
        return NULL;
    memset(t, 0, sizeof *t);
    t->rules = rules;
    for (int i = 0; i < FC_TIMEOUT_COUNT; i++)
        t->timeout[i] = rules->timeout_ns[i] == FC_NEVER ? UINT64_MAX : (uint64_t)rules->timeout_ns[i];
    t->seed = fc_hash_secret();
    t->extra = extra;
    fc_reclaim_init(&t->reclaim);
    fc_stock_init(&t->stock);
    fc_spill_file_init(&t->spill, folder);
    for (unsigned i = 0; i < FC_PARTS; i++) {
        struct fc_partition *p = &t->partitions[i];
        p->table = t;
        p->reached_ns = FC_TIME_NONE;
        cds_wfcq_init(&p->head, &p->tail);
        fc_wheel_init(p);
    }
    return t;
}

void fc_table_shrink(struct fc_table *t)
{
    fc_reclaim_wait(&t->reclaim);
    for (unsigned i = 0; i < FC_PARTS; i++) {
        struct fc_partition *p = &t->partitions[i];
        for (size_t k = 0; k < p->block_count; k++)
            for (unsigned f = 0; f < FC_FLOWS_A_BLOCK; f++)
                if (p->blocks[k][f].pos_room && p->blocks[k][f].seen)
                    fc_flow_drop_positions(p, &p->blocks[k][f]);
        fc_wheel_fini(p);
        fc_partition_clear(p);
    }
}

/* The next unit that was handed over for this part, or NULL. */
static struct fc_unit *dequeue(struct fc_partition *p, unsigned i)
{
    struct cds_wfcq_node *node;

    /*
     * A hand-over that is between its two stores hides what stands next to it in the queue, also units that the limit
     * has passed: so it is waited for.
     */
    while ((node = __cds_wfcq_dequeue_nonblocking(&p->head, &p->tail)) == CDS_WFCQ_WOULDBLOCK)
        sched_yield();
    if (!node)
        return NULL;
    FC_TSAN_ACQUIRE(&p->tail);
    struct fc_part *part = caa_container_of(node, struct fc_part, node);
    return (struct fc_unit *)((char *)(part - i) - offsetof(struct fc_unit, parts));
}

void fc_table_free(struct fc_table *t)
{
    struct fc_shelf shelf;

    if (!t)
        return;
    fc_shelf_init(&shelf, &t->stock);
    for (unsigned i = 0; i < FC_PARTS; i++) {
        struct fc_partition *p = &t->partitions[i];
        for (struct fc_unit *unit; (unit = dequeue(p, i));)
            fc_unit_drop(unit, i, &shelf);
        fc_lanes_fini(&p->lanes, &shelf);
        fc_spill_fini(&p->flows_log);
        fc_spill_fini(&p->notes_log);
    }
    fc_table_shrink(t);
    fc_reclaim_fini(&t->reclaim);
    fc_shelf_fini(&shelf);
    fc_spill_file_fini(&t->spill);
    fc_stock_fini(&t->stock);
    free(t);
}

void fc_table_recall_by(struct fc_table *t, const struct fc_recaller *recaller)
{
    t->recaller = *recaller;
}

uint64_t fc_table_seed(const struct fc_table *t)
{
    return t->seed;
}

struct fc_stock *fc_table_stock(struct fc_table *t)
{
    return &t->stock;
}

uint64_t fc_table_flows(const struct fc_table *t)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < FC_PARTITIONS; i++)
        n += atomic_load_explicit(&t->partitions[i].flows, memory_order_relaxed);
    return n;
}

uint64_t fc_table_peak_flows(const struct fc_table *t)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < FC_PARTITIONS; i++)
        n += t->partitions[i].peak_flows;
    return n;
}

uint64_t fc_table_bytes(const struct fc_table *t)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < FC_PARTITIONS; i++)
        n += atomic_load_explicit(&t->partitions[i].bytes, memory_order_relaxed);
    return n;
}

/* ---- handing over */

void fc_table_hand_over(struct fc_table *t, struct fc_unit *unit, struct fc_shelf *shelf)
{
    unsigned none = 0;

    for (unsigned i = 0; i < FC_PARTS; i++)
        none += !unit->parts[i].first;
    if (none == FC_PARTS) {
        fc_unit_free(unit, shelf);
        return;
    }
    /* before anybody else sees it */
    atomic_store_explicit(&unit->left, FC_PARTS - none, memory_order_relaxed);
    for (unsigned i = 0, left = FC_PARTS - none; left; i++) {
        struct fc_part *part = &unit->parts[i];
        if (!part->first)
            continue;
        left--; /* behind the last one the unit may be gone */
        cds_wfcq_node_init(&part->node);
        FC_TSAN_RELEASE(&t->partitions[i].tail);
        cds_wfcq_enqueue(&t->partitions[i].head, &t->partitions[i].tail, &part->node);
    }
}

int fc_table_take(struct fc_table *t, unsigned i, struct fc_lanes *lanes, struct fc_shelf *shelf)
{
    struct fc_unit *unit;

    while (fc_vector_reserve(&lanes->heap, &lanes->room, lanes->count + 1, sizeof *lanes->heap) == 0) {
        if (!(unit = dequeue(&t->partitions[i], i)))
            return 0;
        fc_lanes_add(lanes, unit, i, shelf);
    }
    return FC_E_NOMEM;
}

/* ---- suspended partitions: flows in a log, and behind them the notes that come; and notes that wait in stows */

static int log_write(struct fc_partition *p, struct fc_advancer *a, const void *data, size_t n)
{
    return n ? fc_spill_write(&p->table->spill, &p->flows_log, data, n, &a->err) : 0;
}

/* A flow, its rare part if it has one, its positions unless they are inside. */
static int log_one_flow(struct fc_partition *p, const struct fc_flow *f, struct fc_advancer *a)
{
    int rc = log_write(p, a, f, sizeof *f);

    if (rc == 0 && f->rare)
        rc = log_write(p, a, f->rare, p->table->extra ? sizeof *f->rare : offsetof(struct fc_rare, extra));
    return rc == 0 && f->pos_room ? log_write(p, a, f->pos, f->pos_len) : rc;
}

/* Writes the notes of the lane on top up to `stop`. 1: the lane is at its end. */
static int log_notes(struct fc_partition *p, struct fc_spill *log, const struct fc_place *stop, struct fc_advancer *a)
{
    struct fc_lane *lane = &p->lanes.heap[0];
    int rc;

    do {
        if ((rc = fc_stow_put(&p->table->spill, log, lane, &a->err)))
            return rc;
        if (!fc_lane_step(lane, &a->shelf))
            return 1;
    } while (fc_place_before(&lane->head, stop));
    return 0;
}

static int log_read(struct fc_partition *p, struct fc_advancer *a, void *data, size_t n)
{
    int rc = n ? fc_spill_read(&p->table->spill, &p->flows_log, data, n, &a->err) : 1;

    return rc == 0 ? fc_error_set(&a->err, FC_E_IO, p->table->spill.folder, FC_NO_OFFSET,
                                  "internal fault: the temporary file ends too early")
                   : rc;
}

/* 1; 0: there is none left. */
static int resume_flow(struct fc_partition *p, struct fc_advancer *a)
{
    struct fc_flow saved;
    uint32_t number;
    int rc = fc_spill_read(&p->table->spill, &p->flows_log, &saved, sizeof saved, &a->err);

    uint8_t rare[sizeof(struct fc_rare)];
    size_t rare_size = p->table->extra ? sizeof(struct fc_rare) : offsetof(struct fc_rare, extra);
    if (rc != 1)
        return rc;
    if (saved.rare && (rc = log_read(p, a, rare, rare_size)) < 0)
        return rc;
    number = fc_partition_new_flow(p, saved.tag, &saved.key,
                                   fc_flow_is_wide(&saved) ? &((struct fc_rare *)(void *)rare)->key : NULL);
    if (number == FC_NO_FLOW)
        return FC_E_NOMEM;
    struct fc_flow *f = fc_flow_at(p, number);
    struct fc_rare *r = saved.rare ? fc_flow_rare(p, f) : NULL;
    if (saved.rare && !r)
        return FC_E_NOMEM;
    if (r)
        memcpy(r, rare, rare_size);
    *f = saved;
    f->rare = r;
    if (saved.pos_room) {
        if (!(f->pos = fc_slabs_take(&p->slabs, saved.pos_room + 4u))) {
            f->pos_room = 0;
            f->pos_len = 0;
            return FC_E_NOMEM;
        }
        if ((rc = log_read(p, a, f->pos, saved.pos_len)) < 0)
            return rc;
    }
    fc_partition_show(p, number);
    rc = fc_wheel_enter(p, number, a, p->reached_ns);
    return rc ? rc : 1;
}

static int resume(struct fc_partition *p, struct fc_advancer *a)
{
    struct fc_stowed *one = malloc(sizeof *one);
    struct fc_side side;
    uint64_t count = 0;
    int rc = one ? 0 : FC_E_NOMEM;

    p->suspended = false;
    while (rc == 0 && (rc = resume_flow(p, a)) == 1)
        rc = 0;
    while (rc == 0 && (rc = fc_stow_get(&p->table->spill, &p->notes_log, one, &a->err)) == 1) {
        fc_stow_side(one, &side);
        p->reached_ns = one->place.ns;
        rc = fc_partition_apply(p, &one->note, &one->place, &side, a);
        if (rc == 0 && (++count & RESUME_TURN) == 0)
            rc = fc_wheel_turn(p, a, p->reached_ns);
    }
    free(one);
    fc_spill_fini(&p->flows_log);
    fc_spill_fini(&p->notes_log);
    return rc;
}

/* The lane on top is at its end, unless its stow has more. */
static int end_lane(struct fc_partition *p, struct fc_advancer *a)
{
    struct fc_lane *lane = &p->lanes.heap[0];
    int rc = 0;

    if (lane->stow) {
        fc_unit_clear(lane->unit, &a->shelf);
        rc = fc_stow_fill(lane->stow, lane->unit, lane->part, &a->shelf, &a->err);
    }
    if (rc == 1) {
        fc_lane_rewind(lane);
        fc_lanes_sift(&p->lanes);
        return 0;
    }
    fc_lanes_drop(&p->lanes, &a->shelf);
    return rc;
}

/* ---- partitions */

static bool own(struct fc_partition *p)
{
    /* acquire: pairs with disown(); guarantee B */
    return !atomic_exchange_explicit(&p->owned, true, memory_order_acquire);
}

static void disown(struct fc_partition *p)
{
    atomic_store_explicit(&p->bytes, p->slabs.bytes, memory_order_relaxed);
    atomic_store_explicit(&p->owned, false, memory_order_release);
}

static int advance(struct fc_partition *p, const struct fc_place *limit, struct fc_advancer *a)
{
    int rc = fc_table_take(p->table, (unsigned)(p - p->table->partitions), &p->lanes, &a->shelf);

    while (rc == 0 && p->lanes.count && fc_place_before(&p->lanes.heap[0].head, limit)) {
        struct fc_place stop = fc_lanes_stop(&p->lanes, limit);
        rc = p->suspended ? log_notes(p, &p->notes_log, &stop, a) : fc_partition_follow(p, &stop, a);
        if (rc == 1)
            rc = end_lane(p, a);
        else if (rc == 0)
            fc_lanes_sift(&p->lanes);
    }
    if (rc == 0 && !p->suspended && limit->ns != INT64_MAX) {
        p->reached_ns = limit->ns;
        rc = fc_wheel_turn(p, a, limit->ns);
    }
    fc_partition_retire(p);
    return rc;
}

int fc_table_advance(struct fc_table *t, unsigned i, const struct fc_place *limit, struct fc_advancer *a)
{
    struct fc_partition *p = &t->partitions[i];

    if (!own(p))
        return 1;
    int rc = advance(p, limit, a);
    disown(p);
    return rc;
}

/* Calls `each` for all flows that are in a session. */
static int walk(struct fc_partition *p, int (*each)(struct fc_partition *, struct fc_flow *, struct fc_advancer *),
                struct fc_advancer *a)
{
    struct fc_flow_index *x = atomic_load_explicit(&p->index, memory_order_relaxed);
    int rc = 0;

    for (uint32_t i = 0; x && i <= x->mask && rc == 0; i++) {
        uint64_t slot = atomic_load_explicit(&x->slots[(i + WALK_AHEAD) & x->mask], memory_order_relaxed);
        if (slot && slot != FC_SLOT_GONE)
            fc_flow_fetch(p, (uint32_t)slot - 1);
        slot = atomic_load_explicit(&x->slots[i], memory_order_relaxed);
        if (slot && slot != FC_SLOT_GONE)
            rc = each(p, fc_flow_at(p, (uint32_t)slot - 1), a);
    }
    return rc;
}

static int log_flow(struct fc_partition *p, struct fc_flow *f, struct fc_advancer *a)
{
    int rc = log_one_flow(p, f, a);

    fc_flow_drop_positions(p, f);
    f->seen = 0;
    return rc;
}

int fc_table_suspend(struct fc_table *t, unsigned i, struct fc_advancer *a)
{
    struct fc_partition *p = &t->partitions[i];
    int rc = 0;

    if (!own(p))
        return 1;
    if (!p->suspended) {
        rc = walk(p, log_flow, a);
        p->suspended = true;
        fc_reclaim_wait(&t->reclaim);
        fc_wheel_fini(p);
        fc_partition_clear(p);
    }
    disown(p);
    return rc;
}

int fc_table_stow(struct fc_table *t, unsigned i, struct fc_advancer *a)
{
    struct fc_partition *p = &t->partitions[i];
    struct fc_stow *stow;
    struct fc_unit *unit;
    int rc;

    if (!own(p))
        return 1;
    rc = fc_table_take(t, i, &p->lanes, &a->shelf);
    if (rc || p->lanes.count < 2) { /* one is in order as it is, and nothing waits for others in it alone */
        disown(p);
        return rc;
    }
    stow = fc_stow_new(&t->spill);
    unit = fc_unit_new(&t->stock);
    rc = stow && unit ? 0 : FC_E_NOMEM;
    while (rc == 0 && p->lanes.count) {
        struct fc_place stop = fc_lanes_stop(&p->lanes, &FC_PLACE_END);
        if ((rc = log_notes(p, &stow->log, &stop, a)) == 1)
            rc = end_lane(p, a);
        else if (rc == 0)
            fc_lanes_sift(&p->lanes);
    }
    if (unit)
        atomic_store_explicit(&unit->left, 1, memory_order_relaxed); /* nobody else sees it */
    if (rc == 0 && (rc = fc_stow_fill(stow, unit, i, &a->shelf, &a->err)) == 1) {
        rc = fc_lanes_add_stow(&p->lanes, stow, unit, i, &a->shelf);
    } else {
        fc_unit_free(unit, &a->shelf);
        if (stow)
            fc_stow_free(stow);
    }
    disown(p);
    return rc;
}

static int leave(struct fc_partition *p, struct fc_flow *f, struct fc_advancer *a)
{
    int rc = fc_flow_finish(p, f, true, a);

    f->seen = 0;
    return rc;
}

int fc_table_finish(struct fc_table *t, unsigned i, bool resumes, struct fc_advancer *a)
{
    struct fc_partition *p = &t->partitions[i];
    int rc;

    if (!own(p))
        return 1;
    rc = advance(p, &FC_PLACE_END, a);
    if (rc == 0 && p->suspended && resumes)
        rc = resume(p, a);
    if (rc == 0 && !p->suspended)
        rc = walk(p, leave, a);
    disown(p);
    return rc;
}
