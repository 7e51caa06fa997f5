/* SPDX-License-Identifier: MIT */
#include "flow/join.h"
#include "flow/positions.h"

#include <stdlib.h>

/* A node's place in the flow's order. */
struct place {
    int64_t first_ns, last_ns; /* never before the packet in front of it in the same capture */
    struct fc_node *node;
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

/* Sorts places by file, gives them their times, then by time where files overlap. True when they do. */
static bool put_in_order(struct place *places, size_t n)
{
    int64_t last = FC_TIME_NONE, before = FC_TIME_NONE;
    bool overlap = false;

    if (n > 1)
        qsort(places, n, sizeof *places, compare_file);
    for (size_t i = 0; i < n; i++) {
        const struct fc_node *node = places[i].node;
        bool same = i && places[i - 1].node->first_file == node->first_file && !node->db_id;
        if (!same) {
            before = last > before ? last : before; /* end of all captures in front */
            last = FC_TIME_NONE;
        }
        places[i].first_ns = node->run.first_ns > last ? node->run.first_ns : last;
        if (places[i].first_ns == FC_TIME_NONE)
            places[i].first_ns = before; /* no time at all: behind the captures in front */
        places[i].last_ns = node->run.max_ns > places[i].first_ns ? node->run.max_ns : places[i].first_ns;
        last = places[i].last_ns;
        overlap |= places[i].first_ns < before;
    }
    if (overlap)
        qsort(places, n, sizeof *places, compare_time);
    return overlap;
}

/*
 * True when a run opens a session in the middle of another capture's run, or where one session of the flow could
 * outlive the active timeout.
 */
static bool must_replay(const struct fc_rules *rules, const struct place *places, size_t n, bool overlap)
{
    int64_t active = rules->timeout_ns[FC_TIMEOUT_ACTIVE];
    int64_t last = FC_TIME_NONE, first = n ? places[0].first_ns : 0;
    bool replay = false;

    for (size_t i = 0; i < n; i++) {
        const struct fc_node *node = places[i].node;
        if (node->db_id)
            return false; /* the packets of the index's sessions are not at hand */
        if (overlap && node->run.syn_dir != FC_NO_DIR && places[i].first_ns < last)
            replay = true;
        last = places[i].last_ns > last ? places[i].last_ns : last;
        if (active != FC_NEVER && first != FC_TIME_NONE && (uint64_t)last - (uint64_t)first > (uint64_t)active)
            replay = true;
    }
    return replay;
}

/* One packet as a node of its own. */
static int explode_packet(struct fc_join *join, const struct fc_flow_key *key, const struct fc_node *from,
                          uint32_t file, uint64_t off, const struct fc_replay *replay)
{
    struct fc_packet packet;
    uint32_t origlen;
    int64_t ts_ns;
    uint8_t pos[32];

    int rc = replay->read(replay->ctx, key, file, off, &packet, &ts_ns, &origlen);
    if (rc)
        return rc;
    struct fc_position_file one = {.file = file, .count = 1, .first_off = off};
    struct fc_positions list = {.files = &one, .count = 1};
    size_t len = fc_positions_write(&list, pos);
    struct fc_node *node = fc_node_new(from->has_extra, len);
    if (!node)
        return FC_E_NOMEM;
    memcpy(fc_node_positions(node), pos, len);
    node->first_file = file;
    node->first_off = off;
    fc_run_add(&node->run, &packet, ts_ns, origlen);
    if (node->has_extra)
        fc_extra_add(fc_node_extra(node), &packet);
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
    const uint8_t *p = fc_node_positions(node), *end = p + node->pos_len;
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
}

/* Replaces the places by those of single packets. Leaves them as they were when a packet cannot be read. */
static int explode(struct fc_join *join, const struct fc_flow_key *key, struct place **places, size_t *n,
                   const struct fc_replay *replay)
{
    for (size_t i = 0; i < *n; i++) {
        int rc = explode_node(join, key, (*places)[i].node, replay);
        if (rc == FC_E_NOMEM)
            return rc;
        if (rc) {
            drop_exploded(join);
            return 0;
        }
    }
    int rc = reserve(&join->scratch, &join->scratch_room, join->exploded_count * sizeof **places, 1);
    if (rc)
        return rc;
    *places = join->scratch;
    *n = join->exploded_count;
    for (size_t i = 0; i < *n; i++)
        (*places)[i].node = join->exploded[i];
    put_in_order(*places, *n);
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
    s->has_extra = node->has_extra;
    if (node->has_extra)
        s->extra = *fc_node_extra(node);
    s->db_id = node->db_id;
    s->first = index;
    s->count = 1;
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
        fc_run_fold(&s->run, &node->run);
        if (s->has_extra && node->has_extra)
            fc_extra_fold(&s->extra, fc_node_extra(node));
        if (node->db_id)
            s->db_id = node->db_id;
        s->count++;
    }
    return 0;
}

int fc_join_run(struct fc_join *join, const struct fc_rules *rules, const struct fc_flow_key *key,
                struct fc_node *nodes, const struct fc_replay *replay)
{
    struct place *places;
    size_t n = 0;
    int rc;

    drop_exploded(join);
    join->session_count = join->node_count = 0;
    for (struct fc_node *node = nodes; node; node = node->next)
        n++;
    if ((rc = reserve(&join->scratch, &join->scratch_room, n * sizeof *places, 1)))
        return rc;
    places = join->scratch;
    n = 0;
    for (struct fc_node *node = nodes; node; node = node->next)
        places[n++].node = node;
    bool overlap = put_in_order(places, n);
    if (replay && must_replay(rules, places, n, overlap) && (rc = explode(join, key, &places, &n, replay)))
        return rc;
    if ((rc = reserve((void **)&join->nodes, &join->node_room, n, sizeof *join->nodes)))
        return rc;
    for (size_t i = 0; i < n; i++)
        join->nodes[i] = places[i].node;
    join->node_count = n;
    return make_sessions(join, rules, key->proto);
}

void fc_join_fini(struct fc_join *join)
{
    drop_exploded(join);
    free(join->nodes);
    free(join->sessions);
    free(join->exploded);
    free(join->scratch);
    memset(join, 0, sizeof *join);
}
