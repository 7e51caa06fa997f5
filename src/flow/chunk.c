/* SPDX-License-Identifier: MIT */
#include "flow/chunk.h"
#include "base/varint.h"

#include <stdlib.h>

enum {
    START_FLOWS = 4096,
    START_RECORDS = 65536,
    START_ANCHORS = 256,
    PREFETCH = 12,
    STAY = 64 /* runs published before others get a chance to reclaim memory */
};

int fc_chunk_init(struct fc_chunk *c, const struct fc_table *table, const struct fc_rules *rules, bool want_extra)
{
    memset(c, 0, sizeof *c);
    c->seed = fc_table_seed(table);
    fc_gaps_init(&c->gaps, rules);
    c->want_extra = want_extra;
    c->flow_room = c->run_room = START_FLOWS;
    c->pos_room = START_RECORDS;
    c->slot_mask = 2 * START_FLOWS - 1;
    c->flows = aligned_alloc(64, c->flow_room * sizeof *c->flows);
    c->slots = calloc((size_t)c->slot_mask + 1, sizeof *c->slots);
    c->runs = malloc(c->run_room * sizeof *c->runs);
    c->run_flow = malloc(c->run_room * sizeof *c->run_flow);
    c->extras = want_extra ? malloc(c->run_room * sizeof *c->extras) : NULL;
    c->pos = malloc(c->pos_room * sizeof *c->pos);
    if (c->flows && c->slots && c->runs && c->run_flow && c->pos && (c->extras || !want_extra))
        return 0;
    fc_chunk_fini(c);
    return FC_E_NOMEM;
}

static void drop_events(struct fc_chunk *c)
{
    for (size_t i = 0; i < c->event_count; i++)
        free(c->events[i].node);
    c->event_count = 0;
}

void fc_chunk_fini(struct fc_chunk *c)
{
    drop_events(c);
    free(c->flows);
    free(c->slots);
    free(c->runs);
    free(c->run_flow);
    free(c->extras);
    free(c->pos);
    free(c->events);
    free(c->anchors);
    free(c->first_ns);
    free(c->sorted);
    free(c->starts);
    free(c->bytes);
    memset(c, 0, sizeof *c);
}

uint64_t fc_chunk_bytes(const struct fc_chunk *c)
{
    uint64_t flows = c->flow_count * (uint64_t)sizeof *c->flows + (c->slot_mask + 1ull) * sizeof *c->slots;
    uint64_t runs = c->run_count * (uint64_t)(sizeof *c->runs + sizeof *c->run_flow + sizeof *c->starts +
                                              (c->want_extra ? sizeof *c->extras : 0));
    uint64_t bytes = flows + runs + c->pos_count * (sizeof *c->pos + sizeof *c->sorted);

    return bytes > c->touched ? bytes : c->touched;
}

void fc_chunk_begin(struct fc_chunk *c, uint32_t file, uint64_t base_off)
{
    drop_events(c);
    c->touched = fc_chunk_bytes(c);
    c->file = file;
    c->base_off = base_off;
    if (c->flow_count)
        memset(c->slots, 0, ((size_t)c->slot_mask + 1) * sizeof *c->slots);
    if (c->anchors)
        memset(c->anchors, 0, ((size_t)c->anchor_mask + 1) * sizeof *c->anchors);
    c->flow_count = c->run_count = c->first_count = 0;
    c->pos_count = 0;
    c->queued = 0;
}

/* Grows *list to hold one more; room in items. */
static int grow(void *list, uint32_t *room, size_t size)
{
    void **p = list, *bigger = realloc(*p, (size_t)*room * 2 * size);

    if (!bigger)
        return FC_E_NOMEM;
    *p = bigger;
    return 0;
}

static int grow_flows(struct fc_chunk *c)
{
    uint32_t mask = c->slot_mask * 2 + 1;
    uint32_t *slots = calloc((size_t)mask + 1, sizeof *slots);

    struct fc_chunk_flow *flows = aligned_alloc(64, (size_t)c->flow_room * 2 * sizeof *flows);

    if (!slots || !flows) {
        free(slots);
        free(flows);
        return FC_E_NOMEM;
    }
    memcpy(flows, c->flows, c->flow_count * sizeof *flows);
    free(c->flows);
    c->flows = flows;
    c->flow_room *= 2;
    free(c->slots);
    c->slots = slots;
    c->slot_mask = mask;
    for (uint32_t i = 0; i < c->flow_count; i++) {
        uint32_t s = (uint32_t)c->flows[i].hash & mask;
        while (slots[s])
            s = (s + 1) & mask;
        slots[s] = i + 1;
    }
    return 0;
}

static int new_run(struct fc_chunk *c, uint32_t flow)
{
    if (c->run_count == c->run_room) {
        if (grow(&c->runs, &c->run_room, sizeof *c->runs) || grow(&c->run_flow, &c->run_room, sizeof *c->run_flow) ||
            (c->want_extra && grow(&c->extras, &c->run_room, sizeof *c->extras)))
            return FC_E_NOMEM;
        c->run_room *= 2;
    }
    fc_run_init(&c->runs[c->run_count]);
    c->run_flow[c->run_count] = flow;
    if (c->want_extra)
        memset(&c->extras[c->run_count], 0, sizeof *c->extras);
    c->flows[flow].run = c->run_count++;
    return 0;
}

/* A flow with an empty run. UINT32_MAX without memory. */
static __attribute__((noinline)) uint32_t add_flow(struct fc_chunk *c, const struct fc_flow_key *key, uint64_t hash)
{
    if (c->flow_count == c->flow_room && grow_flows(c))
        return UINT32_MAX;
    uint32_t i = c->flow_count, s = (uint32_t)hash & c->slot_mask;
    while (c->slots[s])
        s = (s + 1) & c->slot_mask;
    c->flows[i].key = *key;
    c->flows[i].hash = hash;
    if (new_run(c, i))
        return UINT32_MAX;
    c->flow_count++;
    c->slots[s] = i + 1;
    return i;
}

/* The flow of key; made, with an empty run, when new. UINT32_MAX without memory. */
static inline __attribute__((always_inline)) uint32_t find_flow(struct fc_chunk *c, const struct fc_flow_key *key,
                                                                uint64_t hash)
{
    uint32_t s = (uint32_t)hash & c->slot_mask, slot;

    for (; (slot = c->slots[s]) != 0; s = (s + 1) & c->slot_mask) {
        const struct fc_chunk_flow *flow = &c->flows[slot - 1];
        if (flow->hash == hash && memcmp(&flow->key, key, sizeof *key) == 0)
            return slot - 1;
    }
    return add_flow(c, key, hash);
}

static uint32_t find_key(struct fc_chunk *c, const struct fc_flow_key *key)
{
    return find_flow(c, key, fc_hash48(key, c->seed));
}

static __attribute__((noinline)) int grow_pos(struct fc_chunk *c)
{
    struct fc_chunk_pos *bigger = realloc(c->pos, c->pos_room * 2 * sizeof *bigger);

    if (!bigger)
        return FC_E_NOMEM;
    c->pos = bigger;
    c->pos_room *= 2;
    return 0;
}

static inline __attribute__((always_inline)) int
add_packet(struct fc_chunk *c, uint32_t flow, const struct fc_chunk_packet *rec, const struct fc_packet *packet)
{
    struct fc_run *run = &c->runs[c->flows[flow].run];

    if (run->first_dir != FC_NO_DIR &&
        fc_run_breaks(run, packet, rec->ts_ns, fc_gap_ns(&c->gaps, c->flows[flow].key.proto))) {
        if (new_run(c, flow))
            return FC_E_NOMEM;
        run = &c->runs[c->flows[flow].run];
    }
    fc_run_add(run, packet, rec->ts_ns, rec->origlen);
    if (c->want_extra)
        fc_extra_add(&c->extras[c->flows[flow].run], packet);
    if (c->pos_count == c->pos_room && grow_pos(c))
        return FC_E_NOMEM;
    c->pos[c->pos_count++] = (struct fc_chunk_pos){c->flows[flow].run, (uint32_t)(rec->off - c->base_off)};
    return 0;
}

static int add_event(struct fc_chunk *c, const struct fc_fragment *event)
{
    if (c->event_count == c->event_room) {
        size_t room = c->event_room ? c->event_room * 2 : 64;
        struct fc_fragment *bigger = realloc(c->events, room * sizeof *bigger);
        if (!bigger)
            return FC_E_NOMEM;
        c->events = bigger;
        c->event_room = room;
    }
    c->events[c->event_count++] = *event;
    return 0;
}

/* Slot of a datagram's latest first fragment in this chunk. */
static uint32_t *anchor_slot(struct fc_chunk *c, const struct fc_flow_key *datagram)
{
    uint32_t s = (uint32_t)fc_hash48(datagram, c->seed) & c->anchor_mask;

    while (c->anchors[s] && memcmp(&c->events[c->anchors[s] - 1].datagram, datagram, sizeof *datagram) != 0)
        s = (s + 1) & c->anchor_mask;
    return &c->anchors[s];
}

/* Keeps the anchor table less than half full: every event may become an entry. */
static int grow_anchors(struct fc_chunk *c)
{
    uint32_t *old = c->anchors, old_mask = c->anchor_mask;

    if (old && c->event_count * 2 < old_mask)
        return 0;
    uint32_t mask = old ? old_mask * 2 + 1 : START_ANCHORS - 1;
    while (c->event_count * 2 >= mask)
        mask = mask * 2 + 1;
    uint32_t *fresh = calloc((size_t)mask + 1, sizeof *fresh);
    if (!fresh)
        return FC_E_NOMEM;
    c->anchors = fresh;
    c->anchor_mask = mask;
    for (uint32_t i = 0; old && i <= old_mask; i++)
        if (old[i])
            *anchor_slot(c, &c->events[old[i] - 1].datagram) = old[i];
    free(old);
    return 0;
}

static struct fc_fragment event_of(const struct fc_chunk *c, const struct fc_chunk_packet *rec,
                                   const struct fc_packet *packet)
{
    return (struct fc_fragment){.datagram = packet->datagram[packet->datagram_count - 1],
                                .flow = packet->key,
                                .off = rec->off,
                                .ts_ns = rec->ts_ns,
                                .ordinal = c->first_count,
                                .file = c->file,
                                .dir = packet->dir};
}

static int add_anchor(struct fc_chunk *c, struct fc_fragment *event)
{
    int rc = grow_anchors(c);

    if (rc)
        return rc;
    if (c->first_count == c->first_room) {
        uint32_t room = c->first_room ? c->first_room * 2 : 64;
        int64_t *bigger = realloc(c->first_ns, room * sizeof *bigger);
        if (!bigger)
            return FC_E_NOMEM;
        c->first_ns = bigger;
        c->first_room = room;
    }
    c->first_ns[c->first_count] = event->ts_ns;
    event->ordinal = ++c->first_count;
    uint32_t *slot = anchor_slot(c, &event->datagram);
    if ((rc = add_event(c, event)))
        return rc;
    *slot = (uint32_t)c->event_count;
    return 0;
}

/* First fragment of all its datagrams. */
static int add_first(struct fc_chunk *c, const struct fc_chunk_packet *rec, const struct fc_packet *packet)
{
    struct fc_fragment event = event_of(c, rec, packet);
    int rc = 0;

    for (unsigned i = 0; i < packet->datagram_count && rc == 0; i++) {
        event.datagram = packet->datagram[i];
        rc = add_anchor(c, &event);
    }
    uint32_t flow = rc ? UINT32_MAX : find_key(c, &packet->key);
    return flow == UINT32_MAX ? FC_E_NOMEM : add_packet(c, flow, rec, packet);
}

/* A later fragment of the last of its datagrams: where it belongs, the others belong too. */
static int add_aliases(struct fc_chunk *c, const struct fc_chunk_packet *rec, const struct fc_packet *packet)
{
    struct fc_fragment event = event_of(c, rec, packet);
    int rc = 0;

    event.flow = event.datagram;
    event.alias = 1;
    for (unsigned i = 0; i + 1 < packet->datagram_count && rc == 0; i++) {
        event.datagram = packet->datagram[i];
        rc = add_anchor(c, &event);
    }
    return rc;
}

/* One that fc_fragments has given up by now does not count here either. */
static bool given_up(const struct fc_chunk *c, const struct fc_fragment *first)
{
    uint32_t behind = c->first_count - first->ordinal;

    if (behind >= FC_FRAGMENT_MAX)
        return true;
    for (uint32_t n = FC_FRAGMENT_STEP; n <= behind; n += FC_FRAGMENT_STEP)
        if (!fc_fragment_near(first->ts_ns, c->first_ns[first->ordinal - 1 + n]))
            return true;
    return false;
}

/* The first fragment in this chunk of the datagram of a later one, which is led through aliases; NULL: there is none. */
static const struct fc_fragment *anchor_of(struct fc_chunk *c, struct fc_fragment *later)
{
    for (;;) {
        uint32_t slot = *anchor_slot(c, &later->datagram);
        const struct fc_fragment *first = slot ? &c->events[slot - 1] : NULL;
        if (!first || !fc_fragment_near(first->ts_ns, later->ts_ns) || given_up(c, first))
            return NULL;
        if (!first->alias)
            return first;
        if (later->hops == FC_FRAGMENT_HOPS)
            return NULL;
        later->hops++;
        later->datagram = first->flow;
    }
}

static struct fc_node *node_of_one(const struct fc_chunk *c, const struct fc_chunk_packet *rec,
                                   const struct fc_packet *packet)
{
    uint8_t pos[3 * FC_VARINT_MAX];
    uint8_t *p = fc_varint_put(fc_varint_put(fc_varint_put(pos, c->file), 1), rec->off);
    struct fc_node *node = fc_node_new(c->want_extra, (size_t)(p - pos));

    if (!node)
        return NULL;
    memcpy(node->pos, pos, node->pos_len);
    node->first_file = node->last_file = c->file;
    node->first_off = node->last_off = rec->off;
    fc_run_add(&node->run, packet, rec->ts_ns, rec->origlen);
    if (c->want_extra)
        fc_extra_add(node->extra, packet);
    return node;
}

static int add_later(struct fc_chunk *c, const struct fc_chunk_packet *rec, const struct fc_packet *packet)
{
    struct fc_fragment event = event_of(c, rec, packet);
    int rc = grow_anchors(c);

    if (rc || (rc = add_aliases(c, rec, packet)))
        return rc;
    const struct fc_fragment *first = anchor_of(c, &event);
    if (first) {
        struct fc_packet like_first = *packet;
        like_first.dir = first->dir;
        uint32_t flow = find_key(c, &first->flow);
        return flow == UINT32_MAX ? FC_E_NOMEM : add_packet(c, flow, rec, &like_first);
    }
    event.node = node_of_one(c, rec, packet);
    if (!event.node)
        return FC_E_NOMEM;
    if ((rc = add_event(c, &event)))
        free(event.node);
    return rc;
}

static int add_fragment(struct fc_chunk *c, const struct fc_chunk_packet *rec)
{
    const struct fc_packet *packet = &rec->packet;

    return packet->frag == FC_FRAG_FIRST ? add_first(c, rec, packet) : add_later(c, rec, packet);
}

/* Every pass fetches what the next one looks at: flow, run. The slots were fetched as the packets came in. */
int fc_chunk_end(struct fc_chunk *c)
{
    struct fc_chunk_packet *q = c->queue;
    unsigned n = c->queued;
    int rc = 0;

    c->queued = 0;
    for (unsigned i = 0; i < n; i++) {
        uint32_t slot = c->slots[(uint32_t)q[i].hash & c->slot_mask];
        __builtin_prefetch(&c->flows[slot ? slot - 1 : c->flow_count], 1);
    }
    for (unsigned i = 0; i < n; i++) {
        if (q[i].packet.frag != FC_FRAG_NONE)
            continue;
        q[i].flow = find_flow(c, &q[i].packet.key, q[i].hash);
        if (q[i].flow == UINT32_MAX)
            return FC_E_NOMEM;
        const uint8_t *run = (const uint8_t *)&c->runs[c->flows[q[i].flow].run];
        __builtin_prefetch(run, 1);
        __builtin_prefetch(run + 64, 1);
    }
    for (unsigned i = 0; i < n && rc == 0; i++)
        rc = __builtin_expect(q[i].packet.frag != FC_FRAG_NONE, 0) ? add_fragment(c, &q[i])
                                                                   : add_packet(c, q[i].flow, &q[i], &q[i].packet);
    return rc;
}

/* Counting sort of the offsets by run: starts[r] .. starts[r + 1] of `sorted` are those of run r, in file order. */
static int sort_positions(struct fc_chunk *c)
{
    if (c->starts_room < (size_t)c->run_count + 2) {
        free(c->starts);
        c->starts_room = (size_t)c->run_room + 2;
        c->starts = malloc(c->starts_room * sizeof *c->starts);
    }
    if (c->sorted_room < c->pos_count) {
        free(c->sorted);
        c->sorted_room = c->pos_room;
        c->sorted = malloc(c->sorted_room * sizeof *c->sorted);
    }
    if (!c->starts || !c->sorted) {
        c->starts_room = c->starts ? c->starts_room : 0;
        c->sorted_room = c->sorted ? c->sorted_room : 0;
        return c->pos_count ? FC_E_NOMEM : 0;
    }
    memset(c->starts, 0, ((size_t)c->run_count + 2) * sizeof *c->starts);
    for (size_t i = 0; i < c->pos_count; i++)
        c->starts[c->pos[i].run + 2]++;
    for (uint32_t r = 2; r < c->run_count + 2; r++)
        c->starts[r] += c->starts[r - 1];
    /* starts[r + 1] is the fill mark of run r now, and its end afterwards */
    for (size_t i = 0; i < c->pos_count; i++)
        c->sorted[c->starts[c->pos[i].run + 1]++] = c->pos[i].off;
    return 0;
}

/* Writes the positions of a run as one segment, for the node. FC_E_NOMEM. */
static int write_positions(struct fc_chunk *c, const uint32_t *offs, uint32_t n, struct fc_node *node)
{
    size_t most = ((size_t)n + 3) * FC_VARINT_MAX;

    if (c->bytes_room < most) {
        free(c->bytes);
        c->bytes = malloc(most * 2);
        c->bytes_room = c->bytes ? most * 2 : 0;
        if (!c->bytes)
            return FC_E_NOMEM;
    }
    uint8_t *p = fc_varint_put(fc_varint_put(fc_varint_put(c->bytes, c->file), n), c->base_off + offs[0]);
    node->deltas = p;
    for (uint32_t i = 1; i < n; i++)
        p = fc_varint_put(p, offs[i] - offs[i - 1]);
    node->pos = c->bytes;
    node->pos_len = (size_t)(p - c->bytes);
    return 0;
}

static int publish_run(struct fc_chunk *c, struct fc_table *table, struct fc_pool *pool, uint32_t run, uint32_t seq)
{
    const uint32_t *offs = c->sorted + c->starts[run];
    uint32_t n = c->starts[run + 1] - c->starts[run];
    const struct fc_chunk_flow *flow = &c->flows[c->run_flow[run]];

    if (!n)
        return 0;
    struct fc_node node = {
        .run = c->runs[run],
        .first_file = c->file,
        .last_file = c->file,
        .first_off = c->base_off + offs[0],
        .last_off = c->base_off + offs[n - 1],
        .seq = seq,
        .extra = c->want_extra ? &c->extras[run] : NULL,
    };
    int rc = write_positions(c, offs, n, &node);
    return rc ? rc : fc_table_publish_inside(table, pool, &flow->key, flow->hash, &node);
}

int fc_chunk_publish(struct fc_chunk *c, struct fc_table *table, struct fc_pool *pool, uint32_t seq)
{
    int rc = sort_positions(c);

    fc_table_enter();
    for (uint32_t r = 0; r < c->run_count && rc == 0; r++) {
        if (r % STAY == STAY - 1) {
            fc_table_leave();
            fc_table_enter();
        }
        if (r + 2 * PREFETCH < c->run_count)
            fc_table_prefetch(table, c->flows[c->run_flow[r + 2 * PREFETCH]].hash);
        if (r + PREFETCH < c->run_count)
            fc_table_prefetch_flow(table, c->flows[c->run_flow[r + PREFETCH]].hash);
        rc = publish_run(c, table, pool, r, seq);
    }
    fc_table_leave();
    return rc;
}
