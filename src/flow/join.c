/* SPDX-License-Identifier: MIT */
#include "flow/join.h"
#include "flow/key.h"
#include "flow/positions.h"

#include <stdlib.h>

/* A node's place in the flow's order. */
enum { FEW = 16 };

struct place {
    int64_t first_ns, last_ns; /* never before the packet in front of it in the same capture */
    struct fc_node *node;
    bool mixed; /* its packets interleave with those of nodes in front of it */
};

static int compare_file(const void *a, const void *b)
{
    const struct fc_node *x = ((const struct place *)a)->node, *y = ((const struct place *)b)->node;

    if (x->first_file != y->first_file)
        return x->first_file < y->first_file ? -1 : 1;
    if (x->first_off != y->first_off)
        return x->first_off < y->first_off ? -1 : 1;
    return x->db_id < y->db_id ? -1 : x->db_id > y->db_id;
}

static int compare_time(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->first_ns != y->first_ns)
        return x->first_ns < y->first_ns ? -1 : 1;
    return compare_file(a, b);
}

static int reserve(void **list, size_t *room, size_t want, size_t size)
{
    size_t more = *room ? *room : 16;

    if (want <= *room)
        return 0;
    while (more < want)
        more *= 2;
    void *bigger = realloc(*list, more * size);
    if (!bigger)
        return FC_E_NOMEM;
    *list = bigger;
    *room = more;
    return 0;
}

/*
 * Marks nodes that start inside another one by position, which a fragment does whose first one came later, and pieces of a
 * flow that were evicted by force. Places are in file order.
 */
static bool mark_inside(struct place *places, size_t n)
{
    uint64_t last_off = 0;
    uint32_t last_file = 0;
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        const struct fc_node *node = places[i].node;
        places[i].mixed = !node->db_id && (node->first_file < last_file ||
                                           (node->first_file == last_file && node->first_off <= last_off));
        any |= places[i].mixed;
        if (node->last_file > last_file || (node->last_file == last_file && node->last_off > last_off)) {
            last_file = node->last_file;
            last_off = node->last_off;
        }
    }
    return any;
}

/*
 * Marks nodes that start while a node of another capture lasts; equal times count, since the lower file's packet comes first.
 * Places are in time order. Nodes of one capture never overlap in these times.
 */
static bool mark_overlapping(struct place *places, size_t n)
{
    int64_t last_ns = FC_TIME_NONE, other_ns = FC_TIME_NONE; /* latest end, and latest end in other files than its */
    uint32_t last_file = 0;
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        const struct fc_node *node = places[i].node;
        int64_t against = node->first_file == last_file ? other_ns : last_ns;
        if (i && against != FC_TIME_NONE && places[i].first_ns <= against)
            places[i].mixed = true;
        any |= places[i].mixed;
        if (node->last_file == last_file) {
            last_ns = places[i].last_ns > last_ns ? places[i].last_ns : last_ns;
        } else if (places[i].last_ns >= last_ns) {
            other_ns = last_ns;
            last_ns = places[i].last_ns;
            last_file = node->last_file;
        } else if (places[i].last_ns > other_ns) {
            other_ns = places[i].last_ns;
        }
    }
    return any;
}

/* Stable. Most flows have two or three runs, for which qsort() takes longer than all the rest. */
static void sort_places(struct place *places, size_t n, int (*compare)(const void *, const void *))
{
    if (n > FEW) {
        qsort(places, n, sizeof *places, compare);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct place p = places[i];
        size_t k = i;
        for (; k > 0 && compare(&places[k - 1], &p) > 0; k--)
            places[k] = places[k - 1];
        places[k] = p;
    }
}

/* Puts places in the flow's order. True when some nodes interleave. */
static bool put_in_order(struct place *places, size_t n)
{
    int64_t last = FC_TIME_NONE, before = FC_TIME_NONE;
    bool overlap = false, inside;
    size_t around = 0; /* the node of this capture that reaches farthest */

    sort_places(places, n, compare_file);
    inside = mark_inside(places, n);
    for (size_t i = 0; i < n; i++) {
        const struct fc_node *node = places[i].node;
        bool same = i && places[i - 1].node->last_file == node->first_file && !node->db_id;
        if (!same) {
            before = last > before ? last : before; /* end of all captures in front */
            last = FC_TIME_NONE;
        }
        places[i].first_ns = node->run.first_ns > last ? node->run.first_ns : last;
        if (places[i].first_ns == FC_TIME_NONE)
            places[i].first_ns = before; /* no time at all: behind the captures in front */
        places[i].last_ns = node->run.max_ns > places[i].first_ns ? node->run.max_ns : places[i].first_ns;
        last = places[i].last_ns;
        /* what is behind it inside of another node counts as no earlier than it */
        if (same && places[i].mixed && places[around].last_ns < last)
            places[around].last_ns = last;
        if (!same || node->last_off > places[around].node->last_off)
            around = i;
        overlap |= before != FC_TIME_NONE && places[i].first_ns <= before;
    }
    if (!overlap)
        return inside;
    sort_places(places, n, compare_time);
    return mark_overlapping(places, n);
}

/* Whether a node that interleaves with the cluster in front of it (folded in `run`, `extra`) can be folded as a whole. */
static bool needs_packets(const struct fc_rules *rules, uint32_t proto, const struct fc_run *run,
                          const struct fc_extra *extra, const struct fc_node *node)
{
    int64_t gap = fc_rules_min_gap_ns(rules, proto);
    const struct fc_run *next = &node->run;

    if (run->fragile || next->fragile || next->syn_dir != FC_NO_DIR || run->backward || next->backward)
        return true;
    /* somewhere inside the cluster there might be a gap in front of it */
    if (next->first_ns == FC_TIME_NONE || run->first_ns == FC_TIME_NONE ||
        (next->first_ns > run->first_ns && (uint64_t)next->first_ns - (uint64_t)run->first_ns > (uint64_t)gap &&
         next->first_ns > run->max_ns))
        return true;
    if (next->first_ns < run->first_ns)
        return true;
    return fc_run_unclear(run, next) || (node->extra && fc_extra_unclear(extra, node->extra));
}

/*
 * True when a node cannot be folded as a whole: it interleaves with others in a way that could matter, or a session of the
 * flow could outlive the active timeout.
 */
static bool must_replay(const struct fc_rules *rules, uint32_t proto, const struct place *places, size_t n)
{
    int64_t active = rules->timeout_ns[FC_TIMEOUT_ACTIVE], low = FC_TIME_NONE, high = FC_TIME_NONE;
    struct fc_extra extra;
    struct fc_run run;
    bool replay = false, moved = false;

    for (size_t i = 0; i < n && !replay; i++) {
        const struct fc_node *node = places[i].node;
        /* times ran backwards in front of it: it counts as later than what its run says */
        bool late = places[i].first_ns != node->run.first_ns;
        if (node->run.first_ns != FC_TIME_NONE) {
            low = low == FC_TIME_NONE || node->run.min_ns < low ? node->run.min_ns : low;
            high = node->run.max_ns > high ? node->run.max_ns : high;
        }
        if (active != FC_NEVER && low != FC_TIME_NONE && (uint64_t)high - (uint64_t)low > (uint64_t)active)
            replay = true;
        replay |= n > 1 && node->run.fragile;
        if (!places[i].mixed) { /* a new cluster */
            run = node->run;
            moved = late;
            if (node->extra)
                extra = *node->extra;
            continue;
        }
        moved |= late;
        /* a session of the index that begins inside of a run takes what is behind it, and not by where chunks were cut */
        replay |= moved || node->db_id || needs_packets(rules, proto, &run, &extra, node);
        fc_run_mix(&run, &node->run);
        if (node->extra)
            fc_extra_fold(&extra, node->extra);
    }
    return replay;
}

/*
 * Direction of a later fragment of a piece `from` of the flow. True: all of the piece goes that way. False: a guess by
 * addresses, which its first fragment may correct.
 */
static bool later_direction(const struct fc_flow_key *key, const struct fc_node *from, struct fc_packet *packet)
{
    int dir = fc_key_dir(key, packet);
    bool sure = !from->run.packets[0] || !from->run.packets[1];

    if (sure)
        dir = !from->run.packets[0];
    packet->dir = dir < 0 ? packet->dir : (uint8_t)dir;
    return sure;
}

/* One packet as a node of its own. */
static int explode_packet(struct fc_join *join, const struct fc_flow_key *key, const struct fc_node *from,
                          uint32_t file, uint64_t off, const struct fc_replay *replay)
{
    struct fc_packet packet;
    uint32_t origlen;
    int64_t ts_ns;
    uint8_t pos[32];

    int rc = replay->read(replay->ctx, file, off, &packet, &ts_ns, &origlen);
    if (rc)
        return rc;
    bool sure = packet.frag == FC_FRAG_LATER && later_direction(key, from, &packet);
    struct fc_position_file one = {.file = file, .count = 1, .first_off = off};
    struct fc_positions list = {.files = &one, .count = 1};
    size_t len = fc_positions_write(&list, pos);
    struct fc_node *node = fc_node_new(from->extra, len);
    if (!node)
        return FC_E_NOMEM;
    memcpy(node->pos, pos, len);
    node->first_file = node->last_file = file;
    node->first_off = node->last_off = off;
    fc_run_add(&node->run, &packet, ts_ns, origlen);
    if (node->extra)
        fc_extra_add(node->extra, &packet);
    if (packet.datagram_count && (rc = fc_pieces_add(&join->pieces, &packet, node, sure))) {
        free(node);
        return rc;
    }
    rc = reserve((void **)&join->exploded, &join->exploded_room, join->exploded_count + 1, sizeof *join->exploded);
    if (rc) {
        free(node);
        return rc;
    }
    join->exploded[join->exploded_count++] = node;
    return 0;
}

static int explode_node(struct fc_join *join, const struct fc_flow_key *key, const struct fc_node *node,
                        const struct fc_replay *replay)
{
    const uint8_t *p = node->pos, *end = p + node->pos_len;
    struct fc_segment s;

    while (p < end) {
        if (!(p = fc_segment_head(p, end, &s)))
            return FC_E_DAMAGED;
        uint64_t off = s.first_off;
        for (uint64_t i = 0; i < s.count; i++) {
            if (i && !(p = fc_segment_next(p, end, &off)))
                return FC_E_DAMAGED;
            int rc = explode_packet(join, key, node, s.file, off, replay);
            if (rc)
                return rc;
        }
    }
    return 0;
}

static void drop_exploded(struct fc_join *join)
{
    for (size_t i = 0; i < join->exploded_count; i++)
        free(join->exploded[i]);
    join->exploded_count = 0;
    fc_pieces_clear(&join->pieces);
}

/* True for what the index holds, a session or a single fragment: its packets are not at hand. */
static bool is_prior(const struct fc_node *node)
{
    return node->db_id || node->prior_packets;
}

/* Replaces the places by those of single packets, but for priors. Leaves them as they were when a packet cannot be read. */
static int explode(struct fc_join *join, const struct fc_flow_key *key, struct place **places, size_t *n,
                   const struct fc_replay *replay)
{
    size_t priors = 0;

    for (size_t i = 0; i < *n; i++) {
        int rc = is_prior((*places)[i].node) ? 0 : explode_node(join, key, (*places)[i].node, replay);
        if (rc == FC_E_NOMEM)
            return rc;
        if (rc) {
            drop_exploded(join);
            return 0;
        }
    }
    fc_pieces_settle(&join->pieces);
    for (size_t i = 0; i < *n; i++)
        if (is_prior((*places)[i].node))
            (*places)[priors++].node = (*places)[i].node;
    *n = priors + join->exploded_count;
    int rc = reserve(&join->scratch, &join->scratch_room, *n * sizeof **places, 1);
    if (rc)
        return rc;
    *places = join->scratch;
    for (size_t i = priors; i < *n; i++)
        (*places)[i].node = join->exploded[i - priors];
    put_in_order(*places, *n);
    /* single packets in order are no mixture: of those of one time, too, the one in front has told first */
    for (size_t i = 0; i < *n; i++)
        (*places)[i].mixed = false;
    return 0;
}

static bool outlives(const struct fc_rules *rules, const struct fc_run *run, const struct fc_run *next)
{
    int64_t active = rules->timeout_ns[FC_TIMEOUT_ACTIVE];

    return active != FC_NEVER && run->min_ns != FC_TIME_NONE && next->first_ns != FC_TIME_NONE &&
           next->first_ns > run->min_ns && (uint64_t)next->first_ns - (uint64_t)run->min_ns > (uint64_t)active;
}

static void begin_session(struct fc_joined *s, const struct fc_node *node, size_t index)
{
    s->run = node->run;
    s->has_extra = node->extra;
    if (node->extra)
        s->extra = *node->extra;
    s->db_id = node->db_id;
    s->first = index;
    s->count = 1;
}

/* True when a session that goes on from `run` to `next` might have ended there with another past. */
static bool breakable(const struct fc_rules *rules, uint32_t proto, const struct fc_run *run, const struct fc_run *next)
{
    if (next->syn_dir != FC_NO_DIR || run->max_ns == FC_TIME_NONE)
        return true;
    return next->first_ns != FC_TIME_NONE && next->first_ns > run->max_ns &&
           (uint64_t)next->first_ns - (uint64_t)run->max_ns > (uint64_t)fc_rules_min_gap_ns(rules, proto);
}

static int make_sessions(struct fc_join *join, const struct fc_rules *rules, uint32_t proto)
{
    struct fc_joined *s = NULL;

    for (size_t i = 0; i < join->node_count; i++) {
        const struct fc_node *node = join->nodes[i];
        /* two sessions that the index holds stay two, whatever came to lie between them: IDs are kept */
        bool split = !s || (s->db_id && node->db_id) || fc_run_splits(rules, proto, &s->run, &node->run) ||
                     outlives(rules, &s->run, &node->run);
        if (split) {
            int rc = reserve((void **)&join->sessions, &join->session_room, join->session_count + 1, sizeof *s);
            if (rc)
                return rc;
            s = &join->sessions[join->session_count++];
            begin_session(s, node, i);
            continue;
        }
        /* as a piece of several captures it has no one place among them any more */
        s->run.fragile |= join->mixed[i] || node->last_file != join->nodes[s->first]->first_file ||
                          breakable(rules, proto, &s->run, &node->run);
        if (join->mixed[i])
            fc_run_mix(&s->run, &node->run);
        else
            fc_run_fold(&s->run, &node->run);
        if (s->has_extra && node->extra)
            fc_extra_fold(&s->extra, node->extra);
        if (node->db_id)
            s->db_id = node->db_id;
        s->count++;
    }
    return 0;
}

/* A run that is a session by itself, as most are: no order to find, nothing to fold. */
static int join_one(struct fc_join *join, struct fc_node *node)
{
    if (reserve((void **)&join->nodes, &join->node_room, 1, sizeof *join->nodes) ||
        reserve((void **)&join->mixed, &join->mixed_room, 1, sizeof *join->mixed) ||
        reserve((void **)&join->sessions, &join->session_room, 1, sizeof *join->sessions))
        return FC_E_NOMEM;
    join->nodes[0] = node;
    join->mixed[0] = false;
    join->node_count = 1;
    begin_session(&join->sessions[0], node, 0);
    join->session_count = 1;
    return 0;
}

struct fc_node *fc_join_views(struct fc_join *join, size_t count)
{
    if (reserve((void **)&join->views, &join->view_room, count, sizeof *join->views))
        return NULL;
    return join->views;
}

int fc_join_run(struct fc_join *join, const struct fc_rules *rules, const struct fc_flow_key *key,
                struct fc_node *nodes, const struct fc_replay *replay)
{
    struct place *places;
    size_t n = 0;
    int rc;

    drop_exploded(join);
    join->session_count = join->node_count = 0;
    if (nodes && !nodes->next && rules->timeout_ns[FC_TIMEOUT_ACTIVE] == FC_NEVER)
        return join_one(join, nodes);
    for (struct fc_node *node = nodes; node; node = node->next)
        n++;
    if ((rc = reserve(&join->scratch, &join->scratch_room, n * sizeof *places, 1)))
        return rc;
    places = join->scratch;
    n = 0;
    for (struct fc_node *node = nodes; node; node = node->next)
        places[n++].node = node;
    bool mixed = put_in_order(places, n);
    bool whole = !mixed && rules->timeout_ns[FC_TIMEOUT_ACTIVE] == FC_NEVER;
    for (size_t i = 0; i < n; i++)
        whole &= !places[i].node->run.fragile;
    if (replay && !whole && must_replay(rules, key->proto, places, n) && (rc = explode(join, key, &places, &n, replay)))
        return rc;
    if ((rc = reserve((void **)&join->nodes, &join->node_room, n, sizeof *join->nodes)) ||
        (rc = reserve((void **)&join->mixed, &join->mixed_room, n, sizeof *join->mixed)))
        return rc;
    for (size_t i = 0; i < n; i++) {
        join->nodes[i] = places[i].node;
        join->mixed[i] = places[i].mixed;
    }
    join->node_count = n;
    return make_sessions(join, rules, key->proto);
}

void fc_join_fini(struct fc_join *join)
{
    drop_exploded(join);
    free(join->nodes);
    free(join->mixed);
    free(join->sessions);
    free(join->exploded);
    fc_pieces_fini(&join->pieces);
    free(join->scratch);
    free(join->views);
    free(join->fold_parts);
    free(join->fold_bytes);
    memset(join, 0, sizeof *join);
}
