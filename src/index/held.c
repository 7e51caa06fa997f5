/* SPDX-License-Identifier: MIT */
/* What becomes of sessions that had loose fragments, and which session has each. */
#include "index/held.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static int compare_member(const void *a, const void *b)
{
    return fc_held_compare(((const struct fc_held_member *)a)->fragment, ((const struct fc_held_member *)b)->fragment);
}

static int compare_flow(const void *a, const void *b)
{
    const struct fc_held_member *x = *(struct fc_held_member *const *)a, *y = *(struct fc_held_member *const *)b;

    return memcmp(&x->fragment->flow, &y->fragment->flow, sizeof x->fragment->flow);
}

static int collect_members(struct fc_held *h, struct fc_fragments *fragments)
{
    size_t loose, returned;
    struct fc_fragment *a = fc_fragments_loose(fragments, &loose), *b = fc_fragments_returned(fragments, &returned);

    h->members = calloc(loose + returned + 1, sizeof *h->members);
    if (!h->members)
        return FC_E_NOMEM;
    for (size_t i = 0; i < loose; i++)
        if (a[i].held)
            h->members[h->member_count++] = (struct fc_held_member){.fragment = &a[i], .loose = true};
    for (size_t i = 0; i < returned; i++)
        h->members[h->member_count++] = (struct fc_held_member){.fragment = &b[i]};
    qsort(h->members, h->member_count, sizeof *h->members, compare_member);
    for (size_t i = 0; i < h->count; i++)
        h->sessions[i].count = 0;
    for (size_t i = 0; i < h->member_count; i++) {
        struct fc_held_member *m = &h->members[i];
        struct fc_held_session *s = fc_held_find(h, m->fragment->held);
        m->session = s;
        m->moved = memcmp(&m->fragment->flow, &s->key, sizeof s->key) != 0;
        s->first = s->count ? s->first : i;
        s->count++;
    }
    return 0;
}

/* Moved members by flow. */
struct moved {
    struct fc_held_member **items;
    size_t count;
};

/* Says of those of a flow that the index has a session of it. */
static void mark(const struct moved *m, const struct fc_flow_key *flow)
{
    size_t lo = 0, hi = m->count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (memcmp(&m->items[mid]->fragment->flow, flow, sizeof *flow) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < m->count && memcmp(&m->items[lo]->fragment->flow, flow, sizeof *flow) == 0; lo++)
        m->items[lo]->joined = true;
}

/* For fc_spool_extract(): takes nothing. */
static int mark_record(void *ctx, const struct fc_session_record *record)
{
    if (record->db_id)
        mark(ctx, &record->key);
    return 0;
}

static int collect_moved(struct fc_held *h, struct fc_pipeline *p, struct moved *m, struct fc_error *err)
{
    int rc = 0;

    m->items = calloc(h->member_count + 1, sizeof(struct fc_held_member *));
    if (!m->items)
        return no_memory(err);
    for (size_t i = 0; i < h->member_count; i++)
        if (h->members[i].moved)
            m->items[m->count++] = &h->members[i];
    if (!m->count)
        return 0;
    qsort(m->items, m->count, sizeof(struct fc_held_member *), compare_flow);
    for (size_t i = 0; i < h->count; i++)
        mark(m, &h->sessions[i].key);
    for (unsigned i = 0; i < p->jobs && rc == 0; i++)
        rc = fc_spool_extract(p->spools[i], NULL, mark_record, m, err);
    return rc;
}

static void add(struct fc_held *h, const struct fc_table *table, const struct fc_flow_key *key, struct fc_node *node)
{
    h->additions[h->addition_count++] = (struct fc_addition){*key, fc_table_hash(table, key), node};
}

static struct fc_node *copy_of(const struct fc_node *node)
{
    struct fc_node *copy = fc_node_new(node->extra, node->pos_len);

    if (!copy)
        return NULL;
    struct fc_extra *extra = copy->extra;
    uint8_t *pos = copy->pos;
    *copy = *node;
    copy->extra = extra;
    copy->pos = pos;
    copy->deltas = NULL;
    if (extra)
        *extra = *node->extra;
    if (node->pos_len)
        memcpy(pos, node->pos, node->pos_len);
    return copy;
}

void fc_held_foresee(const struct fc_held *h, struct fc_pipeline *p)
{
    size_t loose, returned;

    if (!h->writer)
        return; /* no session of an index */
    const struct fc_fragment *a = fc_fragments_loose(p->fragments, &loose),
                             *b = fc_fragments_returned(p->fragments, &returned);

    for (size_t i = 0; i < h->count; i++)
        fc_table_note_late(p->table, fc_table_hash(p->table, &h->sessions[i].key));
    for (size_t i = 0; i < loose; i++)
        fc_table_note_late(p->table, fc_table_hash(p->table, &a[i].flow));
    for (size_t i = 0; i < returned; i++)
        fc_table_note_late(p->table, fc_table_hash(p->table, &b[i].flow));
}

/* The node of a fragment, to be joined; its owner keeps one too while it is loose. */
static int add_fragment(struct fc_held *h, const struct fc_table *table, struct fc_fragment *f, bool loose,
                        int64_t db_id)
{
    struct fc_node *node = loose ? copy_of(f->node) : f->node;

    if (!node)
        return FC_E_NOMEM;
    if (!loose)
        f->node = NULL;
    node->db_id = db_id;
    node->prior_packets = f->held != 0;
    add(h, table, &f->flow, node);
    return 0;
}

/* Which member the session's ID goes to; NULL: to the rest, or to none. */
static struct fc_held_member *find_heir(struct fc_held_session *s, struct fc_held_member *members)
{
    if (s->rest)
        return NULL;
    for (size_t i = 0; i < s->count; i++)
        if (!members[i].moved)
            return &members[i];
    for (size_t i = 0; i < s->count; i++)
        if (!members[i].joined)
            return &members[i];
    return NULL;
}

static int take_apart(struct fc_held *h, struct fc_pipeline *p, struct fc_held_session *s, const struct moved *moved)
{
    struct fc_held_member *members = h->members + s->first, *heir = find_heir(s, members);
    int rc = 0;

    s->gone = !heir && !s->rest;
    s->moved = heir && heir->moved;
    if (s->moved) /* a flow needs one ID only */
        mark(moved, &heir->fragment->flow);
    if (s->rest) {
        s->rest->db_id = s->id;
        s->rest->prior_packets = s->rest->run.packets[0] + s->rest->run.packets[1];
        s->keeps = true;
        add(h, p->table, &s->key, s->rest);
        s->rest = NULL;
    }
    for (size_t i = 0; i < s->count && rc == 0; i++)
        rc = add_fragment(h, p->table, members[i].fragment, members[i].loose, &members[i] == heir ? s->id : 0);
    return rc;
}

static int compare_loose(const void *a, const void *b)
{
    const struct fc_fragment *x = ((const struct fc_held_loose *)a)->fragment,
                             *y = ((const struct fc_held_loose *)b)->fragment;
    int order = memcmp(&x->flow, &y->flow, sizeof x->flow);

    return order ? order : fc_held_compare_place(x, y);
}

/* Those of this run are added too. */
static int collect_loose(struct fc_held *h, struct fc_pipeline *p)
{
    size_t count;
    struct fc_fragment *all = fc_fragments_loose(p->fragments, &count);
    int rc = 0;

    if (!(h->loose = calloc(count + 1, sizeof *h->loose)))
        return FC_E_NOMEM;
    for (size_t i = 0; i < count && rc == 0; i++) {
        h->loose[h->loose_count++].fragment = &all[i];
        if (!all[i].held)
            rc = add_fragment(h, p->table, &all[i], true, 0);
    }
    qsort(h->loose, h->loose_count, sizeof *h->loose, compare_loose);
    return rc;
}

int fc_held_decide(struct fc_held *h, struct fc_pipeline *p, struct fc_error *err)
{
    struct moved moved = {0};
    size_t loose;
    int rc;

    fc_fragments_loose(p->fragments, &loose);
    if (!h->count && !loose)
        return 0;
    if (collect_members(h, p->fragments))
        return no_memory(err);
    if (!(h->additions = calloc(h->member_count + loose + h->count + 1, sizeof *h->additions)))
        return no_memory(err);
    rc = collect_moved(h, p, &moved, err);
    for (size_t i = 0; i < h->count && rc == 0; i++)
        if (take_apart(h, p, &h->sessions[i], &moved))
            rc = no_memory(err);
    if (rc == 0 && collect_loose(h, p))
        rc = no_memory(err);
    free(moved.items);
    return rc;
}

/* The loose fragment at a place, or where it would be. */
static size_t lower(const struct fc_held *h, const struct fc_flow_key *flow, uint32_t file, uint64_t off)
{
    struct fc_fragment want = {.flow = *flow, .file = file, .off = off};
    struct fc_held_loose key = {.fragment = &want};
    size_t lo = 0, hi = h->loose_count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare_loose(&h->loose[mid], &key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct fc_held_loose *loose_at(const struct fc_held *h, const struct fc_flow_key *flow,
                                      const struct fc_node *node)
{
    size_t i = node->pos_len ? lower(h, flow, node->first_file, node->first_off) : h->loose_count;
    struct fc_held_loose *l = &h->loose[i];

    if (i == h->loose_count || memcmp(&l->fragment->flow, flow, sizeof *flow) != 0 ||
        l->fragment->file != node->first_file || l->fragment->off != node->first_off)
        return NULL;
    return l;
}

/* Adds to what a session is without its loose fragments; nodes come in the flow's order, mixed: as in struct fc_join. */
static int add_rest(struct fc_node **rest, const struct fc_node *node, bool mixed)
{
    struct fc_node *r = *rest;

    if (!r) {
        if (!(r = *rest = fc_node_new(node->extra, 0)))
            return FC_E_NOMEM;
        r->run = node->run;
        r->first_file = node->first_file;
        r->first_off = node->first_off;
        if (node->extra)
            *r->extra = *node->extra;
    } else {
        if (mixed)
            fc_run_mix(&r->run, &node->run);
        else
            fc_run_fold(&r->run, &node->run);
        if (node->extra)
            fc_extra_fold(r->extra, node->extra);
    }
    if (node->last_file > r->last_file || (node->last_file == r->last_file && node->last_off > r->last_off)) {
        r->last_file = node->last_file;
        r->last_off = node->last_off;
    }
    return 0;
}

/* Drops what is of use only while packets can be read again, and goes by the pieces that there were: open sessions are without, too. */
static void forget_pieces(struct fc_run *run)
{
    run->base_ns[0] = run->base_ns[1] = 0;
    run->backward = run->fragile = 0;
}

int fc_held_note(struct fc_held *h, const struct fc_flow_key *key, const struct fc_joined *s,
                 struct fc_node *const *nodes, const bool *mixed)
{
    struct fc_held_loose *leader = NULL, *l;
    struct fc_node *rest = NULL;
    size_t i = lower(h, key, 0, 0);
    int rc = 0;

    if (i == h->loose_count || memcmp(&h->loose[i].fragment->flow, key, sizeof *key) != 0)
        return 0;
    for (i = 0; i < s->count && rc == 0; i++) {
        if (!(l = loose_at(h, key, nodes[i]))) {
            rc = add_rest(&rest, nodes[i], mixed[i]);
            continue;
        }
        l->fragment->held = s->db_id;
        l->first_file = nodes[0]->first_file;
        l->first_off = nodes[0]->first_off;
        leader = leader ? leader : l;
    }
    if (rest)
        forget_pieces(&rest->run);
    if (leader && rc == 0)
        leader->rest = rest;
    else
        free(rest);
    return rc;
}
