/* SPDX-License-Identifier: MIT */
#include "flow/fragment.h"
#include "base/hash.h"

#include <stdlib.h>

/*
 * Three lists of events, each in the order of arrival, and a hash index over the datagram for each:
 *   near     first fragments of this capture, the latest of a datagram found first
 *   waiting  later fragments of this capture that no first fragment has settled yet
 *   far      first fragments of captures at their end, for fragments in other captures
 *   orphans  later fragments of captures at their end
 *   loose    those of them that are left in the end
 *   returned those that a session of the index holds, and that are settled now
 * A list is cut at the front (`begin`) and compacted when half of it is off.
 */
struct list {
    struct fc_fragment *items;
    uint32_t *chain;   /* item -> next item of the same bucket towards the front, + 1 */
    uint32_t *buckets; /* last item of each bucket, + 1; `mask` + 1 of them */
    size_t begin, count, room;
    uint32_t mask;
};

struct fc_fragments {
    struct list near, waiting, far, orphans, loose, returned;
    size_t far_left, orphans_left; /* when they were last looked through */
    int64_t next_ns;               /* as fc_fragments_begin_file() was told */
    int64_t orphan_ns;             /* earliest of the orphans then; INT64_MIN: any time; INT64_MAX: there were none */
    uint64_t seed;
    fc_fragment_settled *settled;
    void *ctx;
};

struct fc_fragments *fc_fragments_new(fc_fragment_settled *settled, void *ctx)
{
    struct fc_fragments *f = calloc(1, sizeof *f);

    if (!f)
        return NULL;
    f->seed = fc_hash_secret();
    f->next_ns = f->orphan_ns = INT64_MIN;
    f->settled = settled;
    f->ctx = ctx;
    return f;
}

static void list_fini(struct list *l)
{
    for (size_t i = l->begin; i < l->count; i++)
        free(l->items[i].node);
    free(l->items);
    free(l->chain);
    free(l->buckets);
}

void fc_fragments_free(struct fc_fragments *f)
{
    if (!f)
        return;
    list_fini(&f->near);
    list_fini(&f->waiting);
    list_fini(&f->far);
    list_fini(&f->orphans);
    list_fini(&f->loose);
    list_fini(&f->returned);
    free(f);
}

static void link_item(struct list *l, uint64_t seed, size_t i)
{
    uint32_t *bucket = &l->buckets[fc_hash48(&l->items[i].datagram, seed) & l->mask];

    l->chain[i] = *bucket;
    *bucket = (uint32_t)i + 1;
}

static void rebuild(struct list *l, uint64_t seed)
{
    memset(l->buckets, 0, ((size_t)l->mask + 1) * sizeof *l->buckets);
    for (size_t i = 0; i < l->count; i++)
        link_item(l, seed, i);
}

static void compact(struct list *l, uint64_t seed)
{
    if (l->begin < 64 || l->begin < l->count / 2)
        return;
    memmove(l->items, l->items + l->begin, (l->count - l->begin) * sizeof *l->items);
    l->count -= l->begin;
    l->begin = 0;
    rebuild(l, seed);
}

static int list_add(struct list *l, uint64_t seed, const struct fc_fragment *item)
{
    if (l->count == l->room) {
        size_t room = l->room ? l->room * 2 : 64;
        struct fc_fragment *items = realloc(l->items, room * sizeof *items);
        if (items)
            l->items = items;
        uint32_t *chain = realloc(l->chain, room * sizeof *chain);
        if (chain)
            l->chain = chain;
        uint32_t *buckets = realloc(l->buckets, room * sizeof *buckets);
        if (buckets) {
            l->buckets = buckets;
            if (!items || !chain)
                rebuild(l, seed);
        }
        if (!items || !chain || !buckets)
            return FC_E_NOMEM;
        l->room = room;
        l->mask = (uint32_t)room - 1;
        rebuild(l, seed);
    }
    l->items[l->count++] = *item;
    link_item(l, seed, l->count - 1);
    return 0;
}

/* How far to look for a fragment among those of one name: a hostile capture may have nothing but them. */
enum { FIRSTS_MAX = 1024, LATERS_MAX = 8192 /* a datagram cannot have more */ };

struct search {
    uint32_t at;   /* item found last, + 1 */
    uint32_t left; /* so many more are looked at */
};

/* Walks the items of a datagram from the latest to the earliest; NULL at the end. */
static struct fc_fragment *list_find(struct list *l, uint64_t seed, const struct fc_flow_key *datagram,
                                     struct search *search)
{
    if (!l->count || !search->left--)
        return NULL;
    uint32_t i = search->at ? l->chain[search->at - 1] : l->buckets[fc_hash48(datagram, seed) & l->mask];
    while (i > l->begin && (l->items[i - 1].gone || memcmp(&l->items[i - 1].datagram, datagram, sizeof *datagram) != 0))
        i = l->chain[i - 1];
    search->at = i;
    return i > l->begin ? &l->items[i - 1] : NULL;
}

/* Adds a later fragment, whose node changes hands. */
static int keep(struct fc_fragments *f, struct list *l, const struct fc_fragment *later)
{
    int rc = list_add(l, f->seed, later);

    if (rc)
        free(later->node);
    return rc;
}

/* Gives a fragment its session: that of `first`, or its own with ports 0 when first is NULL. */
static int settle(struct fc_fragments *f, struct fc_fragment *later, const struct fc_fragment *first)
{
    struct fc_fragment item = *later;

    later->node = NULL;
    if (first) {
        if (first->dir != item.dir) {
            /* the two keys put the ends in another order: the same address at both, or those around a tunnel */
            fc_run_turn(&item.node->run);
            if (item.node->extra)
                fc_extra_turn(item.node->extra);
        }
        item.flow = first->flow;
    }
    return item.held ? keep(f, &f->returned, &item) : f->settled(f->ctx, &item.flow, item.node);
}

/* Takes the front item off. */
static struct fc_fragment pop(struct list *l)
{
    struct fc_fragment item = l->items[l->begin];

    l->items[l->begin++].node = NULL;
    return item;
}

static bool full(const struct list *l)
{
    return l->count - l->begin > FC_FRAGMENT_MAX;
}

/* Makes it a later fragment of what an alias stands for. False: `first` is none, or there were too many. */
static bool follow(struct fc_fragment *later, const struct fc_fragment *first)
{
    if (!first->alias || later->hops == FC_FRAGMENT_HOPS)
        return false;
    later->datagram = first->flow;
    later->hops++;
    return true;
}

/* Nearest first fragment in another capture; in any, when an alias has led on from there. */
static const struct fc_fragment *nearest(struct fc_fragments *f, const struct fc_fragment *orphan)
{
    const struct fc_fragment *best = NULL, *first;
    uint64_t best_distance = 0;
    struct search at = {.left = FIRSTS_MAX};

    while ((first = list_find(&f->far, f->seed, &orphan->datagram, &at))) {
        if ((first->file == orphan->file && !orphan->hops) || !fc_fragment_near(first->ts_ns, orphan->ts_ns))
            continue;
        int64_t a = first->ts_ns, b = orphan->ts_ns;
        uint64_t distance = a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
        bool better =
            !best || distance < best_distance ||
            (distance == best_distance &&
             (a < best->ts_ns || (a == best->ts_ns && (first->file < best->file ||
                                                       (first->file == best->file && first->off < best->off)))));
        if (better) {
            best = first;
            best_distance = distance;
        }
    }
    return best;
}

/* Takes the node over. From from_ns on (INT64_MAX: never) it is loose when it has no first fragment. */
static int settle_orphan(struct fc_fragments *f, struct fc_fragment orphan, int64_t from_ns)
{
    const struct fc_fragment *first;

    while ((first = nearest(f, &orphan)) && follow(&orphan, first))
        ;
    if (!first && from_ns != INT64_MAX && (orphan.ts_ns == FC_TIME_NONE || orphan.ts_ns >= from_ns))
        return keep(f, &f->loose, &orphan);
    return settle(f, &orphan, first && !first->alias ? first : NULL);
}

/* Adds a first fragment to those that fragments in other captures may belong to. */
static int add_far(struct fc_fragments *f, const struct fc_fragment *first)
{
    int rc = list_add(&f->far, f->seed, first);

    if (rc == 0 && full(&f->far))
        pop(&f->far);
    compact(&f->far, f->seed);
    return rc;
}

/* Moves the front item of this capture's lists to those of captures at their end. */
static int retire_near(struct fc_fragments *f)
{
    struct fc_fragment item = pop(&f->near);
    int rc = item.gone ? 0 : add_far(f, &item);

    compact(&f->near, f->seed);
    return rc;
}

/* True when a time is in front of `edge` and not near it. */
static bool before(int64_t ns, int64_t edge)
{
    return ns < edge && !fc_fragment_near(ns, edge);
}

/* Gives up those of this capture's first fragments that its latest one is so far behind of. */
static int give_up(struct fc_fragments *f)
{
    struct list *l = &f->near;
    int64_t now = l->items[l->count - 1].ts_ns;
    size_t n = l->count - 1 - l->begin;
    int rc = 0;

    for (size_t back = FC_FRAGMENT_STEP; back <= n && rc == 0; back += FC_FRAGMENT_STEP) {
        struct fc_fragment *first = &l->items[l->count - 1 - back];
        if (first->gone || fc_fragment_near(first->ts_ns, now))
            continue;
        /* unless a later capture may need it, the index's open_fragment, or a fragment of an earlier capture */
        if (!before(first->ts_ns, f->next_ns == INT64_MAX ? now : f->next_ns) || !before(first->ts_ns, f->orphan_ns))
            rc = add_far(f, first);
        first->gone = 1;
    }
    while (l->begin < l->count && l->items[l->begin].gone)
        l->begin++;
    compact(l, f->seed);
    return rc;
}

static int retire_waiting(struct fc_fragments *f)
{
    struct fc_fragment item = pop(&f->waiting);
    int rc = 0;

    if (item.node && (rc = list_add(&f->orphans, f->seed, &item)))
        free(item.node);
    if (rc == 0 && full(&f->orphans))
        rc = settle_orphan(f, pop(&f->orphans), INT64_MAX);
    compact(&f->orphans, f->seed);
    compact(&f->waiting, f->seed);
    return rc;
}

/* The latest first fragment of this capture, in the right time. */
static const struct fc_fragment *latest(struct fc_fragments *f, const struct fc_fragment *later)
{
    const struct fc_fragment *first;
    struct search at = {.left = FIRSTS_MAX};

    while ((first = list_find(&f->near, f->seed, &later->datagram, &at)))
        if (fc_fragment_near(first->ts_ns, later->ts_ns))
            return first;
    return NULL;
}

static int later_fragment(struct fc_fragments *f, const struct fc_fragment *event)
{
    struct fc_fragment later = *event;
    const struct fc_fragment *first;

    while ((first = latest(f, &later)) && follow(&later, first))
        ;
    if (first)
        return settle(f, &later, first->alias ? NULL : first);
    int rc = list_add(&f->waiting, f->seed, &later);
    if (rc) {
        free(later.node);
        return rc;
    }
    return full(&f->waiting) ? retire_waiting(f) : 0;
}

/* Those that wait for an alias are settled, or wait on, for what it stands for. */
static int lead_on(struct fc_fragments *f, const struct fc_fragment *alias)
{
    struct fc_fragment *w, *led = NULL;
    size_t count = 0, room = 0;
    struct search at = {.left = LATERS_MAX};
    int rc = 0;

    while (rc == 0 && (w = list_find(&f->waiting, f->seed, &alias->datagram, &at))) {
        if (!w->node || !fc_fragment_near(w->ts_ns, alias->ts_ns) || w->hops == FC_FRAGMENT_HOPS)
            continue;
        if (count == room) {
            struct fc_fragment *bigger = realloc(led, (room = room ? room * 2 : 8) * sizeof *led);
            if (!bigger) {
                rc = FC_E_NOMEM;
                break;
            }
            led = bigger;
        }
        led[count] = *w;
        w->node = NULL;
        follow(&led[count++], alias);
    }
    while (count--) /* found from the latest on: back to the order of arrival */
        if (rc == 0)
            rc = later_fragment(f, &led[count]);
        else
            free(led[count].node);
    free(led);
    return rc;
}

static int first_fragment(struct fc_fragments *f, const struct fc_fragment *event)
{
    struct fc_fragment *w;
    struct search at = {.left = LATERS_MAX};
    int rc = event->alias ? lead_on(f, event) : 0;

    while (rc == 0 && !event->alias && (w = list_find(&f->waiting, f->seed, &event->datagram, &at)))
        if (w->node && fc_fragment_near(w->ts_ns, event->ts_ns))
            rc = settle(f, w, event);
    if (rc || (rc = list_add(&f->near, f->seed, event)) || (rc = give_up(f)))
        return rc;
    return full(&f->near) ? retire_near(f) : 0;
}

int fc_fragments_event(struct fc_fragments *f, const struct fc_fragment *event)
{
    return event->node ? later_fragment(f, event) : first_fragment(f, event);
}

int fc_fragments_end_of_file(struct fc_fragments *f, bool last, int64_t from_ns)
{
    int rc = 0;

    while (rc == 0 && f->near.begin < f->near.count)
        rc = retire_near(f);
    while (rc == 0 && f->waiting.begin < f->waiting.count)
        rc = retire_waiting(f);
    /* what is left of `far` then is for captures added to the index later */
    while (rc == 0 && last && f->orphans.begin < f->orphans.count)
        rc = settle_orphan(f, pop(&f->orphans), from_ns);
    return rc;
}

/* Whether a list has grown so much since it was last looked through that it pays to do it again. */
static bool has_grown(const struct list *l, size_t left)
{
    return l->count - l->begin > 2 * left + FC_FRAGMENT_STEP;
}

/* What is left of a list when its items are those in front of `end`. */
static size_t cut_behind(struct list *l, uint64_t seed, size_t end)
{
    l->count = end;
    l->begin = 0;
    if (l->room)
        rebuild(l, seed);
    return end;
}

/* Settles the orphans that no first fragment of this capture or a later one can be near. */
static int settle_early(struct fc_fragments *f, int64_t first_ns)
{
    struct list *l = &f->orphans;
    size_t to = 0;
    int rc = 0;

    for (size_t i = l->begin; i < l->count; i++) {
        struct fc_fragment orphan = l->items[i];
        l->items[i].node = NULL;
        if (rc == 0 && orphan.ts_ns != FC_TIME_NONE && before(orphan.ts_ns, first_ns))
            rc = settle_orphan(f, orphan, INT64_MAX);
        else
            l->items[to++] = orphan;
    }
    f->orphans_left = cut_behind(l, f->seed, to);
    return rc;
}

static void forget_far(struct fc_fragments *f, int64_t edge)
{
    struct list *l = &f->far;
    size_t to = 0;

    for (size_t i = l->begin; i < l->count; i++)
        if (l->items[i].ts_ns == FC_TIME_NONE || !before(l->items[i].ts_ns, edge))
            l->items[to++] = l->items[i];
    f->far_left = cut_behind(l, f->seed, to);
}

int fc_fragments_begin_file(struct fc_fragments *f, int64_t first_ns, int64_t next_ns)
{
    bool grown = has_grown(&f->orphans, f->orphans_left) || has_grown(&f->far, f->far_left);
    int rc = 0;

    f->next_ns = next_ns;
    if (grown && first_ns != FC_TIME_NONE)
        rc = settle_early(f, first_ns);
    f->orphan_ns = INT64_MAX;
    for (size_t i = f->orphans.begin; i < f->orphans.count; i++)
        if (f->orphans.items[i].ts_ns < f->orphan_ns)
            f->orphan_ns = f->orphans.items[i].ts_ns;
    if (grown && first_ns != FC_TIME_NONE && rc == 0)
        forget_far(f, first_ns < f->orphan_ns ? first_ns : f->orphan_ns);
    return rc;
}

const struct fc_fragment *fc_fragments_open(const struct fc_fragments *f, size_t *count)
{
    *count = f->far.count - f->far.begin;
    return *count ? f->far.items + f->far.begin : NULL;
}

int fc_fragments_restore(struct fc_fragments *f, const struct fc_fragment *first)
{
    return list_add(&f->far, f->seed, first);
}

static struct fc_fragment *items_of(struct list *l, size_t *count)
{
    *count = l->count - l->begin;
    return *count ? l->items + l->begin : NULL;
}

struct fc_fragment *fc_fragments_loose(struct fc_fragments *f, size_t *count)
{
    return items_of(&f->loose, count);
}

struct fc_fragment *fc_fragments_returned(struct fc_fragments *f, size_t *count)
{
    return items_of(&f->returned, count);
}

int fc_fragments_restore_loose(struct fc_fragments *f, const struct fc_fragment *later)
{
    return keep(f, &f->orphans, later);
}
