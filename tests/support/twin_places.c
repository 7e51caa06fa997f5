/* SPDX-License-Identifier: MIT */
#include "twin_places.h"

enum { VOTERS = 16, BEHIND = 16, ALIASES = 4 };
#define WINDOW_NS 60000000000LL

struct first {
    const struct fc_flow_key *name;
    struct twin_member *m;
};
struct fragments {
    struct first *firsts; /* the oldest at the front */
    size_t first_count;
    struct twin_list waiting; /* in the order of section 2 */
    struct twin_list *out;
    size_t max_firsts, max_waiting;
    int64_t clock_ns;
};

/* Sum and difference, at the most the ends of 64 bits. */
static int64_t plus(int64_t a, int64_t b)
{
    int64_t sum;

    return !__builtin_add_overflow(a, b, &sum) ? sum : b < 0 ? INT64_MIN : INT64_MAX;
}

static int64_t minus(int64_t a, int64_t b)
{
    int64_t difference;

    return !__builtin_sub_overflow(a, b, &difference) ? difference : b < 0 ? INT64_MAX : INT64_MIN;
}

bool twin_past(int64_t a, int64_t b, int64_t most)
{
    return a != FC_TIME_NONE && b != FC_TIME_NONE && most != FC_NEVER && minus(b, a) > most;
}

/* ---------------------------------------------------------------- 1. counted time */

/*
 * True when most of the next records of the capture say that u, the time of record i of n, is none. *least: of theirs.
 */
static bool is_glitch(const struct twin_member *m, size_t i, size_t n, int64_t shift, int64_t u, int64_t *least)
{
    unsigned votes = 0, glitch = 0;

    *least = u;
    for (size_t k = i + 1; k < n && k <= i + VOTERS; k++) {
        int64_t t = m[k].p->rec.ts_ns;
        if (t == FC_TIME_NONE)
            continue;
        votes++;
        glitch += plus(t, shift) < u;
        *least = plus(t, shift) < *least ? plus(t, shift) : *least;
    }
    return 2 * glitch > votes;
}

/* The n records of one capture. */
static void count_times(struct twin_member *m, size_t n)
{
    int64_t counted = FC_TIME_NONE, shift = 0, least;
    unsigned behind = 0;

    for (size_t i = 0; i < n; i++) {
        int64_t t = m[i].p->rec.ts_ns, u = t == FC_TIME_NONE ? counted : plus(t, shift);
        if (t == FC_TIME_NONE) {
            /* as the one in front of it */
        } else if (counted == FC_TIME_NONE || u > counted) {
            if (!is_glitch(m, i, n, shift, u, &least)) {
                counted = u;
                behind = 0;
            } else if (counted == FC_TIME_NONE) {
                counted = least;
            }
        } else if (u == counted) {
            behind = 0;
        } else if (++behind >= BEHIND && minus(counted, u) > 1000000000) {
            shift = plus(shift, minus(counted, u));
            behind = 0;
        }
        m[i].counted = m[i].place = counted;
    }
}

static struct twin_member *find_members(const struct traffic *t)
{
    struct twin_member *m = twin_need(calloc(t->count + 1, sizeof *m));

    for (size_t i = 0; i < t->count; i++) {
        m[i].p = &t->packets[i];
        m[i].key = t->packets[i].packet.key;
        m[i].dir = t->packets[i].packet.dir;
    }
    for (size_t i = 0, n; i < t->count; i += n) {
        for (n = 1; i + n < t->count && m[i + n].p->file == m[i].p->file; n++) {
        }
        count_times(m + i, n);
    }
    return m;
}

/* ---------------------------------------------------------------- 2. order */

static int compare(const void *a, const void *b)
{
    const struct twin_member *x = *(struct twin_member *const *)a, *y = *(struct twin_member *const *)b;

    if (x->counted != y->counted)
        return x->counted < y->counted ? -1 : 1;
    if (x->p->file != y->p->file)
        return x->p->file < y->p->file ? -1 : 1;
    return x->p->rec.off < y->p->rec.off ? -1 : x->p->rec.off > y->p->rec.off;
}

struct twin_list twin_list_new(size_t most)
{
    return (struct twin_list){twin_need(malloc((most + 1) * sizeof(struct twin_member *))), 0};
}

static struct twin_list in_order(struct twin_member *m, size_t n)
{
    struct twin_list list = twin_list_new(n);

    for (; list.n < n; list.n++)
        list.at[list.n] = &m[list.n];
    qsort(list.at, n, sizeof list.at[0], compare);
    return list;
}

/* ---------------------------------------------------------------- 3. fragments */

static bool is_near(const struct twin_member *a, const struct twin_member *b)
{
    return !twin_past(a->counted, b->counted, WINDOW_NS) && !twin_past(b->counted, a->counted, WINDOW_NS);
}

static const struct fc_flow_key *last_name(const struct twin_member *m)
{
    return &m->p->packet.datagram[m->p->packet.datagram_count - 1];
}

/* How many of its names, from the outermost on, m tells to those that come. */
static size_t told(const struct twin_member *m)
{
    unsigned n = m->p->packet.datagram_count;

    return m->p->packet.frag == FC_FRAG_FIRST ? n : n ? n - 1u : 0;
}

static bool tells(const struct twin_member *m, const struct fc_flow_key *name)
{
    for (size_t i = 0; i < told(m); i++)
        if (twin_same(&m->p->packet.datagram[i], name))
            return true;
    return false;
}

static void forget(struct fragments *f, size_t i)
{
    f->first_count--;
    memmove(&f->firsts[i], &f->firsts[i + 1], (f->first_count - i) * sizeof f->firsts[0]);
}

static void tell(struct fragments *f, struct twin_member *m)
{
    for (size_t i = 0; i < told(m); i++) {
        const struct fc_flow_key *name = &m->p->packet.datagram[i];
        for (size_t k = 0; k < f->first_count; k++)
            if (twin_same(f->firsts[k].name, name))
                forget(f, k);
        f->firsts[f->first_count++] = (struct first){name, m};
        if (f->first_count > f->max_firsts)
            forget(f, 0);
    }
}

/*
 * The first fragment that m follows, from a name that so many aliases have led to. NULL: there is none, and m->waits is
 * the name where it got stuck.
 */
static struct twin_member *follow(const struct fragments *f, struct twin_member *m, const struct fc_flow_key *name,
                                  unsigned aliases)
{
    for (;; aliases++) {
        struct twin_member *q = NULL;
        for (size_t i = 0; i < f->first_count; i++)
            if (twin_same(f->firsts[i].name, name))
                q = f->firsts[i].m;
        m->waits = name;
        if (!q || !is_near(m, q))
            return NULL;
        if (q->p->packet.frag == FC_FRAG_FIRST)
            return q;
        if (aliases == ALIASES)
            return NULL;
        name = last_name(q);
    }
}

void twin_list_put(struct twin_list *list, struct twin_member *m)
{
    list->at[list->n++] = m;
}

static void join(struct fragments *f, struct twin_member *m, const struct twin_member *first, int64_t place)
{
    m->key = first->key;
    m->dir = first->dir;
    m->place = place;
    twin_list_put(f->out, m);
}

static void stop_waiting(struct fragments *f, size_t i)
{
    f->waiting.n--;
    memmove(&f->waiting.at[i], &f->waiting.at[i + 1], (f->waiting.n - i) * sizeof f->waiting.at[0]);
}

static void give_up(struct fragments *f, size_t i)
{
    struct twin_member *m = f->waiting.at[i];

    m->place = m->counted == FC_TIME_NONE ? f->clock_ns : plus(m->counted, WINDOW_NS);
    m->late = true;
    twin_list_put(f->out, m);
    stop_waiting(f, i);
}

/* Those that wait for m, which has told its names: behind m, or they go on to where it leads. */
static void take(struct fragments *f, struct twin_member *m)
{
    for (size_t i = 0; i < f->waiting.n;) {
        struct twin_member *w = f->waiting.at[i], *first = NULL;
        if (tells(m, w->waits))
            first = m->p->packet.frag == FC_FRAG_FIRST ? m : follow(f, w, last_name(m), 1);
        if (first) {
            join(f, w, first, m->counted);
            stop_waiting(f, i);
        } else {
            i++;
        }
    }
}

static void settle(struct fragments *f, struct twin_member *m)
{
    struct twin_member *first = NULL;
    bool later = m->p->packet.frag == FC_FRAG_LATER;

    for (size_t i = 0; i < f->waiting.n;) {
        if (twin_past(f->waiting.at[i]->counted, m->counted, WINDOW_NS))
            give_up(f, i);
        else
            i++;
    }
    if (later)
        first = follow(f, m, last_name(m), 0);
    if (first)
        join(f, m, first, m->counted);
    else if (!later)
        twin_list_put(f->out, m);
    tell(f, m);
    take(f, m);
    if (later && !first) {
        twin_list_put(&f->waiting, m);
        if (f->waiting.n > f->max_waiting)
            give_up(f, 0);
    }
}

/* Puts all packets in their places; returns those that wait at the end. */
static struct twin_list settle_all(const struct twin_list *all, struct twin_list *out, size_t max_firsts,
                                   size_t max_waiting)
{
    struct fragments f = {.out = out,
                          .max_firsts = max_firsts,
                          .max_waiting = max_waiting,
                          .clock_ns = all->n ? all->at[all->n - 1]->counted : FC_TIME_NONE};

    f.firsts = twin_need(malloc((all->n * FC_DATAGRAM_MAX + 1) * sizeof *f.firsts));
    f.waiting = twin_list_new(all->n);
    for (size_t i = 0; i < all->n; i++)
        settle(&f, all->at[i]);
    while (f.waiting.n && f.waiting.at[0]->counted == FC_TIME_NONE)
        give_up(&f, 0);
    free(f.firsts);
    return f.waiting;
}

void twin_places_make(struct twin_places *places, const struct traffic *t, size_t max_names, size_t max_waiting)
{
    struct twin_member *m = find_members(t);
    struct twin_list all = in_order(m, t->count);

    places->members = m;
    places->clock_ns = all.n ? all.at[all.n - 1]->counted : FC_TIME_NONE;
    places->placed = twin_list_new(all.n);
    places->waiting = settle_all(&all, &places->placed, max_names, max_waiting);
    free(all.at);
}

void twin_places_free(struct twin_places *places)
{
    free(places->waiting.at);
    free(places->placed.at);
    free(places->members);
}
