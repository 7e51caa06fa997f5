/* SPDX-License-Identifier: MIT */
/* Packets, in their order, become sessions: what a note does to its flow. */
#include "base/varint.h"
#include "flow/partition.h"

enum { FETCH_SLOT = 16, FETCH_FLOW = 8 };

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

int fc_flow_finish(struct fc_partition *p, struct fc_flow *f, bool last, struct fc_advancer *a)
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
    if (first && !idle && (rc = fc_flow_finish(p, f, false, a)))
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
            fc_flow_fetch(p, (uint32_t)slot - 1);
    }
}

int fc_partition_follow(struct fc_partition *p, const struct fc_place *stop, struct fc_advancer *a)
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
