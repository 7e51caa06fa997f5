/* SPDX-License-Identifier: MIT */
#include "flow/table.h"
#include "base/error.h"
#include "base/varint.h"
#include "flow/partition.h"
#include "flow/stow.h"

#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>

enum { FETCH_SLOT = 16, FETCH_FLOW = 8, WALK_AHEAD = 16, RESUME_TURN = 0x3ff };

static void *nothing(void *arg)
{
    return arg;
}

/* liburcu ends the process when it cannot start its thread: so that is tried out, and the thread started at once. */
static bool can_start_rcu(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, nothing, NULL) != 0)
        return false;
    pthread_join(thread, NULL);
    return get_default_call_rcu_data() != NULL;
}

void fc_table_later(struct fc_table *t, struct rcu_head *head, void (*done)(struct rcu_head *))
{
    if (!t->alone) {
        call_rcu(head, done);
        return;
    }
    synchronize_rcu();
    done(head);
}

struct fence {
    struct rcu_head rcu;
    sem_t passed;
};

static void pass(struct rcu_head *head)
{
    sem_post(&caa_container_of(head, struct fence, rcu)->passed);
}

/*
 * Waits for the callbacks that were given flows: one thread calls all, in their order. Not rcu_barrier(), whose end
 * tools that watch for races cannot follow.
 */
static void wait_for_callbacks(const struct fc_table *t)
{
    struct fence fence;

    if (t->alone)
        return;
    sem_init(&fence.passed, 0, 0);
    call_rcu(&fence.rcu, pass);
    while (sem_wait(&fence.passed) != 0)
        ; /* a signal */
    sem_destroy(&fence.passed);
}

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
    t->alone = !can_start_rcu();
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
    wait_for_callbacks(t);
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

/* ---- sessions */

void fc_flow_drop_positions(struct fc_partition *p, struct fc_flow *f)
{
    if (f->pos_room)
        fc_slabs_give(&p->slabs, f->pos, f->pos_room + 4);
    f->pos_room = 0;
    f->pos_len = 0;
}

static void session_of(const struct fc_flow *f, struct fc_session_sum *s)
{
    const struct fc_rare *r = f->rare;

    *s = (struct fc_session_sum){
        .first_ns = f->first_ns,
        .last_ns = f->last_ns,
        .min_ns = r && r->times ? r->min_ns : f->first_ns,
        .max_ns = r && r->times ? r->max_ns : f->last_ns,
        .base_set = f->bits & FC_FLOW_BASE,
        .first_dir = (f->bits & FC_FLOW_FIRST_DIR) != 0,
        .first_synack = (f->bits & FC_FLOW_SYNACK) != 0,
    };
    for (int d = 0; d < 2; d++) {
        s->packets[d] = f->packets[d] + (r ? (uint64_t)r->wraps[d] << 32 : 0);
        s->bytes[d] = f->bytes[d];
        s->base[d] = f->base[d];
        s->tcp_flags[d] = f->tcp_flags[d];
    }
}

int fc_flow_emit(struct fc_partition *p, const struct fc_flow *f, bool last, struct fc_advancer *a)
{
    const struct fc_rare *r = f->rare;
    struct fc_ended e;

    (void)p;
    if (fc_flow_is_wide(f))
        e.key = r->key;
    else
        fc_key_lengthen(&f->key, &e.key);
    session_of(f, &e.session);
    e.id = r ? r->id : 0;
    e.prior_packets = r ? r->prior_packets : 0;
    e.first_off = f->first_off;
    e.first_file = f->first_file;
    e.last = last;
    e.late = f->bits & FC_FLOW_LATE;
    e.pos = f->pos_room ? f->pos : f->inside;
    e.pos_len = f->pos_len;
    e.pos_plain = !(f->bits & FC_FLOW_ESCAPED);
    e.extra = p->table->extra && r ? &r->extra : NULL;
    return a->sink.emit(a->sink.ctx, &e);
}

/* Room for n more bytes of positions. */
static __attribute__((noinline)) int grow_positions(struct fc_partition *p, struct fc_flow *f, size_t n)
{
    unsigned room = f->pos_room;
    uint8_t *bigger;

    do
        room++;
    while (((size_t)FC_POS_INSIDE << room) < f->pos_len + n);
    if (room > 27 || !(bigger = fc_slabs_take(&p->slabs, room + 4)))
        return FC_E_NOMEM;
    memcpy(bigger, f->pos_room ? f->pos : f->inside, f->pos_len);
    if (f->pos_room)
        fc_slabs_give(&p->slabs, f->pos, f->pos_room + 4u);
    f->pos = bigger;
    f->pos_room = (uint8_t)room;
    return 0;
}

/* As fc_positions_canonical() says: distances, or 0, a file and an offset. */
static inline int add_position(struct fc_partition *p, struct fc_flow *f, uint32_t file, uint64_t off)
{
    enum { MOST = 1 + 2 * FC_VARINT_MAX };
    uint8_t tmp[MOST], *end;

    if (__builtin_expect(file == f->last_file && off > f->last_off, 1)) {
        end = fc_varint_put(tmp, off - f->last_off);
    } else {
        tmp[0] = 0;
        end = fc_varint_put(fc_varint_put(tmp + 1, file), off);
        f->bits |= FC_FLOW_ESCAPED;
        f->last_file = file;
    }
    f->last_off = off;
    size_t n = (size_t)(end - tmp);
    if (f->pos_len + n > (size_t)FC_POS_INSIDE << f->pos_room && grow_positions(p, f, n))
        return FC_E_NOMEM;
    uint8_t *to = (f->pos_room ? f->pos : f->inside) + f->pos_len;
    for (size_t i = 0; i < n; i++)
        to[i] = tmp[i];
    f->pos_len += (uint32_t)n;
    return 0;
}

/* Whether the packet begins another session: docs/sessions.md, section 4. */
static inline bool splits(const struct fc_partition *p, const struct fc_flow *f, const struct fc_note *n, int64_t at_ns)
{
    uint64_t active = p->table->timeout[FC_TIMEOUT_ACTIVE];
    uint8_t bits = fc_note_bits(n);
    unsigned d = bits & FC_NOTE_DIR;

    if ((fc_note_flags(n) & (FC_TCP_SYN | FC_TCP_ACK)) == FC_TCP_SYN && !(bits & FC_NOTE_FRAG) && (f->bits >> d & 1) &&
        f->base[d] != n->seq)
        return true;
    if (at_ns > f->last_ns && f->last_ns != FC_TIME_NONE &&
        (uint64_t)at_ns - (uint64_t)f->last_ns > p->table->timeout[f->timeout])
        return true;
    return active != UINT64_MAX && at_ns > f->first_ns && f->first_ns != FC_TIME_NONE &&
           (uint64_t)at_ns - (uint64_t)f->first_ns > active;
}

static inline void add_bases(struct fc_flow *f, const struct fc_note *n, unsigned d)
{
    uint8_t flags = fc_note_flags(n);

    if ((flags & (FC_TCP_SYN | FC_TCP_ACK)) == (FC_TCP_SYN | FC_TCP_ACK))
        f->base[d] = n->seq;
    else if (!(f->bits >> d & 1))
        f->base[d] = flags & FC_TCP_SYN ? n->seq : n->seq - 1;
    f->bits |= (uint8_t)(1u << d);
    if ((flags & FC_TCP_ACK) && !(f->bits >> !d & 1)) {
        f->base[!d] = n->ack - 1;
        f->bits |= (uint8_t)(1u << !d);
    }
}

/* Times as captured, where they are not those of the order. */
static __attribute__((noinline)) int add_times(struct fc_partition *p, struct fc_flow *f, bool first, int64_t ts_ns)
{
    struct fc_rare *r = fc_flow_rare(p, f);

    if (!r)
        return FC_E_NOMEM;
    if (!r->times) {
        r->times = true;
        r->min_ns = first ? FC_TIME_NONE : f->first_ns;
        r->max_ns = first ? FC_TIME_NONE : f->last_ns;
    }
    if (ts_ns == FC_TIME_NONE)
        return 0;
    r->min_ns = r->min_ns == FC_TIME_NONE || ts_ns < r->min_ns ? ts_ns : r->min_ns;
    r->max_ns = ts_ns > r->max_ns ? ts_ns : r->max_ns;
    return 0;
}

/* A flow that is in no session begins one; the key and what belongs to it stay. */
static void begin_session(struct fc_flow *f, const struct fc_note *n, const struct fc_place *record, bool late)
{
    uint8_t flags = fc_note_flags(n);
    unsigned d = fc_note_bits(n) & FC_NOTE_DIR;
    struct fc_rare *r = f->rare;

    f->bits = (uint8_t)((f->bits & (FC_FLOW_TCP | FC_FLOW_UDP)) | (d ? FC_FLOW_FIRST_DIR : 0) |
                        ((flags & (FC_TCP_SYN | FC_TCP_ACK)) == (FC_TCP_SYN | FC_TCP_ACK) ? FC_FLOW_SYNACK : 0) |
                        (late ? FC_FLOW_LATE : 0));
    f->first_ns = record->ns;
    f->first_file = f->last_file = record->file;
    f->first_off = f->last_off = record->off;
    f->seen = 0;
    f->tcp_flags[0] = f->tcp_flags[1] = 0;
    for (int i = 0; i < 2; i++) {
        __atomic_store_n(&f->packets[i], 0, __ATOMIC_RELAXED);
        __atomic_store_n(&f->bytes[i], 0, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&f->last_ns, FC_TIME_NONE, __ATOMIC_RELAXED);
    if (r) {
        r->id = 0;
        r->prior_packets = 0;
        r->wraps[0] = r->wraps[1] = 0;
        r->times = r->changed = false;
    }
}

static void clear_extra(struct fc_partition *p, struct fc_flow *f)
{
    if (p->table->extra && f->rare)
        memset(&f->rare->extra, 0, sizeof f->rare->extra);
}

static int append_extra(struct fc_partition *p, struct fc_flow *f, const struct fc_side *side)
{
    struct fc_rare *r = fc_flow_rare(p, f);
    struct fc_extra x = {0};

    if (!r)
        return FC_E_NOMEM;
    memcpy(&x, side->extra, side->extra_size);
    fc_extra_append(&r->extra, &x);
    return 0;
}

/* The flow's kind of timeout; set once. */
static void set_kind(struct fc_flow *f, uint32_t proto)
{
    enum fc_timeouts kind = fc_timeouts_of(proto);

    if (kind == FC_TIMEOUTS_TCP)
        f->bits |= FC_FLOW_TCP;
    else if (kind == FC_TIMEOUTS_UDP)
        f->bits |= FC_FLOW_UDP;
    else
        f->timeout = (uint8_t)kind;
}

static inline uint8_t timeout_now(const struct fc_flow *f)
{
    if (f->bits & FC_FLOW_TCP)
        return (uint8_t)fc_timeout_of(FC_TIMEOUTS_TCP, f->tcp_flags, f->seen == 3);
    return f->bits & FC_FLOW_UDP ? (uint8_t)fc_timeout_of(FC_TIMEOUTS_UDP, f->tcp_flags, f->seen == 3) : f->timeout;
}

static inline __attribute__((always_inline)) int add_packet(struct fc_partition *p, struct fc_flow *f,
                                                            const struct fc_note *n, const struct fc_place *place,
                                                            const struct fc_place *record, const struct fc_side *side,
                                                            bool first)
{
    unsigned bits = fc_note_bits(n), d = bits & FC_NOTE_DIR;
    int rc = 0;

    /* of a packet without a time first_ns and last_ns tell nothing of those as captured */
    if (__builtin_expect(n->ts_ns != place->ns || place->ns == FC_TIME_NONE || (f->rare && f->rare->times), 0) &&
        (rc = add_times(p, f, first, n->ts_ns)))
        return rc;
    if (place->ns > f->last_ns)
        __atomic_store_n(&f->last_ns, place->ns, __ATOMIC_RELAXED);
    __atomic_store_n(&f->packets[d], f->packets[d] + 1, __ATOMIC_RELAXED);
    if (__builtin_expect(f->packets[d] == 0, 0)) {
        if (!fc_flow_rare(p, f))
            return FC_E_NOMEM;
        f->rare->wraps[d]++;
    }
    __atomic_store_n(&f->bytes[d], f->bytes[d] + n->origlen, __ATOMIC_RELAXED);
    f->seen |= (uint8_t)(1u << d);
    if (bits & FC_NOTE_TCP) {
        f->tcp_flags[d] |= fc_note_flags(n);
        if (!(bits & FC_NOTE_FRAG) && ((f->bits & FC_FLOW_BASE) != FC_FLOW_BASE || fc_note_flags(n) & FC_TCP_SYN))
            add_bases(f, n, d);
    }
    if (__builtin_expect(side != NULL, 0)) {
        if (side->extra_size && (rc = append_extra(p, f, side)))
            return rc;
        if (bits & FC_NOTE_OLD) {
            if (!fc_flow_rare(p, f))
                return FC_E_NOMEM;
            f->rare->prior_packets++;
        }
    }
    if (f->rare)
        f->rare->changed = true;
    return first && !(f->rare && f->rare->id) ? 0 : add_position(p, f, record->file, record->off);
}

/* ---- sessions of the index */

static void set_counts(struct fc_flow *f, int d, uint64_t packets, uint64_t bytes)
{
    __atomic_store_n(&f->packets[d], (uint32_t)packets, __ATOMIC_RELAXED);
    __atomic_store_n(&f->bytes[d], bytes, __ATOMIC_RELAXED);
}

static int restore(struct fc_partition *p, struct fc_flow *f, const struct fc_prior *prior)
{
    const struct fc_session_sum *s = &prior->session;
    struct fc_rare *r = fc_flow_rare(p, f);

    if (!r)
        return FC_E_NOMEM;
    f->bits = (uint8_t)((f->bits & (FC_FLOW_TCP | FC_FLOW_UDP)) | (s->base_set & FC_FLOW_BASE) |
                        (s->first_dir ? FC_FLOW_FIRST_DIR : 0) | (s->first_synack ? FC_FLOW_SYNACK : 0));
    f->first_ns = s->first_ns;
    __atomic_store_n(&f->last_ns, s->last_ns, __ATOMIC_RELAXED);
    f->first_file = f->last_file = 0;
    f->first_off = f->last_off = 0;
    f->pos_len = 0;
    f->seen = (uint8_t)((s->packets[0] != 0) | (s->packets[1] != 0) << 1);
    for (int d = 0; d < 2; d++) {
        r->wraps[d] = (uint32_t)(s->packets[d] >> 32);
        set_counts(f, d, s->packets[d], s->bytes[d]);
        f->base[d] = s->base[d];
        f->tcp_flags[d] = s->tcp_flags[d];
    }
    r->times = true;
    r->min_ns = s->min_ns;
    r->max_ns = s->max_ns;
    r->id = prior->id;
    r->prior_packets = s->packets[0] + s->packets[1];
    r->changed = false;
    clear_extra(p, f);
    return 0;
}

/* A session of new packets goes on as one of the index, which begins inside of it. */
static int absorb(struct fc_partition *p, struct fc_flow *f, const struct fc_prior *prior)
{
    const struct fc_session_sum *s = &prior->session;
    struct fc_rare *r = fc_flow_rare(p, f);
    uint8_t pos[1 + 2 * FC_VARINT_MAX];
    size_t n;

    if (!r || add_times(p, f, false, s->min_ns) || add_times(p, f, false, s->max_ns))
        return FC_E_NOMEM;
    /* its first packet has not been among the positions until now */
    n = (size_t)(fc_varint_put(fc_varint_put(pos + 1, f->first_file), f->first_off) - pos);
    pos[0] = 0;
    if (f->pos_len + n > (size_t)FC_POS_INSIDE << f->pos_room && grow_positions(p, f, n))
        return FC_E_NOMEM;
    uint8_t *to = f->pos_room ? f->pos : f->inside;
    memmove(to + n, to, f->pos_len);
    memcpy(to, pos, n);
    f->pos_len += (uint32_t)n;
    f->bits |= FC_FLOW_ESCAPED;
    r->id = prior->id;
    r->prior_packets += s->packets[0] + s->packets[1];
    if (s->last_ns > f->last_ns)
        __atomic_store_n(&f->last_ns, s->last_ns, __ATOMIC_RELAXED);
    for (int d = 0; d < 2; d++) {
        uint64_t packets = f->packets[d] + s->packets[d];
        r->wraps[d] += (uint32_t)(packets >> 32);
        set_counts(f, d, packets, f->bytes[d] + s->bytes[d]);
        f->tcp_flags[d] |= s->tcp_flags[d];
        f->seen |= (uint8_t)((s->packets[d] != 0) << d);
        if ((s->base_set >> d & 1) && !(f->bits >> d & 1)) {
            f->base[d] = s->base[d];
            f->bits |= (uint8_t)(1u << d);
        }
    }
    return 0;
}

/* Whether a session of the index that begins here is another one than that at hand. */
static bool prior_splits(const struct fc_partition *p, const struct fc_flow *f, const struct fc_session_sum *s)
{
    if (f->rare && f->rare->id)
        return true; /* two that the index holds stay two */
    for (int d = 0; d < 2; d++)
        if ((f->bits >> d & 1) && (s->base_set >> d & 1) && f->base[d] != s->base[d])
            return true;
    return f->last_ns != FC_TIME_NONE && s->first_ns > f->last_ns &&
           (uint64_t)s->first_ns - (uint64_t)f->last_ns > p->table->timeout[f->timeout];
}

/* A flow that is new to the table goes on with the session that the index has of it: 1; 0: it has none. */
static int recall(struct fc_partition *p, struct fc_flow *f, const struct fc_short_key *key,
                  const struct fc_flow_key *wide, struct fc_advancer *a)
{
    const struct fc_recaller *by = &p->table->recaller;
    struct fc_flow_key whole;
    struct fc_prior prior;
    int rc;

    if (!wide)
        fc_key_lengthen(key, &whole);
    if ((rc = by->find(by->ctx, wide ? wide : &whole, &prior, &a->err)) != 1)
        return rc;
    if ((rc = restore(p, f, &prior)))
        return rc;
    f->timeout = timeout_now(f);
    return 1;
}

/* ---- notes */

static int finish_session(struct fc_partition *p, struct fc_flow *f, bool last, struct fc_advancer *a)
{
    int rc = fc_flow_emit(p, f, last, a);

    fc_flow_drop_positions(p, f);
    return rc;
}

int fc_partition_apply(struct fc_partition *p, const struct fc_note *n, const struct fc_place *place,
                       const struct fc_side *side, struct fc_advancer *a)
{
    const struct fc_flow_key *wide = side ? side->key : NULL;
    const struct fc_prior *prior = side ? side->prior : NULL;
    uint32_t number = fc_partition_find(p, n->hash, &n->key, wide);
    struct fc_place record = *place;
    bool fresh = number == FC_NO_FLOW, idle = fresh, late = false, first; /* idle: in no session */
    struct fc_flow *f;
    int rc = 0;

    if (fresh) {
        if ((number = fc_partition_new_flow(p, n->hash, &n->key, wide)) == FC_NO_FLOW)
            return FC_E_NOMEM;
        set_kind(fc_flow_at(p, number), wide ? wide->proto : n->key.rest >> 32 & 0xff);
    }
    f = fc_flow_at(p, number);
    if (fresh && p->table->recaller.find) {
        if ((rc = recall(p, f, &n->key, wide, a)) < 0)
            return rc;
        idle = rc == 0;
    }
    if (side && side->placed) {
        record.file = side->placed->file;
        record.off = side->placed->off;
        late = side->placed->late;
    }
    first = idle || (prior ? prior_splits(p, f, &prior->session) : splits(p, f, n, place->ns));
    if (first && !idle && (rc = finish_session(p, f, false, a)))
        return rc;
    if (prior) {
        rc = first ? restore(p, f, prior) : absorb(p, f, prior);
    } else {
        if (first) {
            begin_session(f, n, &record, late);
            clear_extra(p, f);
        }
        rc = add_packet(p, f, n, place, &record, side, first);
    }
    if (fresh)
        fc_partition_show(p, number);
    if (rc)
        return rc;
    uint8_t timeout = timeout_now(f);
    if (timeout == f->timeout && !fresh)
        return 0;
    f->timeout = timeout;
    return fc_wheel_enter(p, number, a, place->ns);
}

/* Most notes: nothing at its side, and the flow's session goes on. Anything else: fc_partition_apply(). */
static inline int apply_plain(struct fc_partition *p, const struct fc_note *n, const struct fc_place *place,
                              struct fc_advancer *a)
{
    uint32_t number = p->latest;
    struct fc_flow *f = number < p->block_count * FC_FLOWS_A_BLOCK ? fc_flow_at(p, number) : NULL;

    /* packets come in bursts: the latest flow is tried first */
    if (!f || f->key.ends != n->key.ends || f->key.rest != (n->key.rest & FC_SHORT_MASK) || !f->seen) {
        if ((number = fc_partition_find(p, n->hash, &n->key, NULL)) == FC_NO_FLOW)
            return fc_partition_apply(p, n, place, NULL, a);
        p->latest = number;
        f = fc_flow_at(p, number);
    }
    if (splits(p, f, n, place->ns))
        return fc_partition_apply(p, n, place, NULL, a);
    int rc = add_packet(p, f, n, place, place, NULL, false);
    uint8_t timeout = timeout_now(f);
    if (rc || timeout == f->timeout)
        return rc;
    f->timeout = timeout;
    return fc_wheel_enter(p, number, a, place->ns);
}

static inline void fetch_flow(const struct fc_partition *p, uint32_t number)
{
    const uint8_t *f = (const uint8_t *)fc_flow_at(p, number);

    __builtin_prefetch(f, 1);
    __builtin_prefetch(f + 64, 1);
}

static void fetch_ahead(const struct fc_partition *p, const struct fc_lane *lane)
{
    const struct fc_flow_index *x = atomic_load_explicit(&p->index, memory_order_relaxed);
    const struct fc_block *next = lane->block->next;
    const struct fc_note *n;

    if (next) /* a little of it a note, so that it is there in its turn */
        __builtin_prefetch((const uint8_t *)next + lane->at * sizeof(struct fc_note));
    if (!x)
        return;
    if ((n = fc_lane_ahead(lane, FETCH_SLOT)))
        __builtin_prefetch(&x->slots[n->hash & x->mask]);
    if ((n = fc_lane_ahead(lane, FETCH_FLOW))) {
        uint64_t slot = atomic_load_explicit(&x->slots[n->hash & x->mask], memory_order_relaxed);
        if (slot && slot != FC_SLOT_GONE)
            fetch_flow(p, (uint32_t)slot - 1);
    }
}

/* Applies the notes of the lane on top up to `stop`. 1: the lane is at its end. */
static int follow(struct fc_partition *p, const struct fc_place *stop, struct fc_advancer *a)
{
    struct fc_lane *lane = &p->lanes.heap[0];
    struct fc_side side;
    int rc;

    do {
        const struct fc_note *n = fc_lane_note(lane);
        fetch_ahead(p, lane);
        if (__builtin_expect(n->side != 0, 0)) {
            fc_side_read(lane->unit, n, &side);
            rc = fc_partition_apply(p, n, &lane->head, &side, a);
        } else {
            rc = apply_plain(p, n, &lane->head, a);
        }
        if (rc)
            return rc;
        if (!fc_lane_step(lane, &a->shelf))
            return 1;
    } while (fc_place_before(&lane->head, stop));
    return 0;
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
        rc = p->suspended ? log_notes(p, &p->notes_log, &stop, a) : follow(p, &stop, a);
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
            fetch_flow(p, (uint32_t)slot - 1);
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
        wait_for_callbacks(t);
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
    int rc = finish_session(p, f, true, a);

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
