/* SPDX-License-Identifier: MIT */
#include "flow/fragment.h"

#include <stdlib.h>

/*
 * Two queues in the order of places, each with a hash index by name. Items have numbers that rise; item n is at
 * items[n & (room - 1)], those from `begin` to `end` are there. A chain leads from the latest of a bucket to earlier
 * ones.
 */
struct queue {
    void *items;
    uint64_t *chain;   /* item -> the one before in its bucket, + 1 */
    uint64_t *buckets; /* the latest, + 1; `room` of them */
    size_t size, room;
    uint64_t begin, end;
};

struct fc_fragments {
    struct fc_table *table;
    uint64_t seed;
    struct fc_lanes lanes;
    struct queue firsts, waiting;
    uint64_t timed; /* number in `waiting`: those before have no counted time */
    size_t waiting_count;
    struct fc_unit *out;
    /* of the index, in order: they come in their places, as new captures may be in front of them */
    struct fc_first *prior_firsts;
    struct fc_waiting *prior_waiting;
    size_t prior_first_count, prior_first_room, prior_waiting_count, prior_waiting_room;
    size_t next_first, next_waiting;
    struct fc_place at; /* of the fragment being settled; sub counts on */
    uint64_t given_up;
};

static void *item(const struct queue *q, uint64_t n)
{
    return (uint8_t *)q->items + (n & (q->room - 1)) * q->size;
}

static uint64_t *bucket(const struct fc_fragments *f, const struct queue *q, const struct fc_flow_key *name)
{
    return &q->buckets[fc_hash48(name, f->seed) & (q->room - 1)];
}

/* The name is the first member of both kinds of item. */
static void link_item(const struct fc_fragments *f, struct queue *q, uint64_t n)
{
    uint64_t *b = bucket(f, q, item(q, n));

    q->chain[n & (q->room - 1)] = *b;
    *b = n + 1;
}

static void unlink_item(const struct fc_fragments *f, struct queue *q, uint64_t n)
{
    uint64_t *at = bucket(f, q, item(q, n));

    while (*at > q->begin && *at != n + 1)
        at = &q->chain[(*at - 1) & (q->room - 1)];
    if (*at == n + 1)
        *at = q->chain[n & (q->room - 1)];
}

static int grow(const struct fc_fragments *f, struct queue *q)
{
    size_t room = q->room ? q->room * 2 : 64;
    struct queue bigger = {malloc(room * q->size),
                           calloc(room, sizeof *q->chain),
                           calloc(room, sizeof *q->buckets),
                           q->size,
                           room,
                           q->begin,
                           q->end};

    if (!bigger.items || !bigger.chain || !bigger.buckets) {
        free(bigger.items);
        free(bigger.chain);
        free(bigger.buckets);
        return FC_E_NOMEM;
    }
    for (uint64_t n = q->begin; n < q->end; n++) {
        memcpy(item(&bigger, n), item(q, n), q->size);
        link_item(f, &bigger, n);
    }
    free(q->items);
    free(q->chain);
    free(q->buckets);
    *q = bigger;
    return 0;
}

static int push(struct fc_fragments *f, struct queue *q, const void *what)
{
    if (q->end - q->begin == q->room && grow(f, q))
        return FC_E_NOMEM;
    memcpy(item(q, q->end), what, q->size);
    link_item(f, q, q->end++);
    return 0;
}

static void queue_fini(struct queue *q)
{
    free(q->items);
    free(q->chain);
    free(q->buckets);
}

struct fc_fragments *fc_fragments_new(struct fc_table *table)
{
    struct fc_fragments *f = calloc(1, sizeof *f);

    if (!f)
        return NULL;
    f->table = table;
    f->seed = fc_table_seed(table);
    f->firsts.size = sizeof(struct fc_first);
    f->waiting.size = sizeof(struct fc_waiting);
    return f;
}

void fc_fragments_free(struct fc_fragments *f)
{
    struct fc_shelf shelf;

    if (!f)
        return;
    fc_shelf_init(&shelf, fc_table_stock(f->table));
    fc_lanes_fini(&f->lanes, &shelf);
    fc_unit_free(f->out, &shelf);
    fc_shelf_fini(&shelf);
    for (uint64_t n = f->waiting.begin; n < f->waiting.end; n++)
        free(((struct fc_waiting *)item(&f->waiting, n))->extra);
    for (size_t i = f->next_waiting; i < f->prior_waiting_count; i++)
        free(f->prior_waiting[i].extra);
    free(f->prior_firsts);
    free(f->prior_waiting);
    queue_fini(&f->firsts);
    queue_fini(&f->waiting);
    free(f);
}

static bool near(int64_t a, int64_t b)
{
    if (a == FC_TIME_NONE || b == FC_TIME_NONE)
        return true;
    uint64_t distance = a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
    return distance <= (uint64_t)FC_FRAGMENT_WINDOW_NS;
}

/*
 * The latest first fragment of the name that is near. Those of a name come in order, so that if the latest is not, none
 * is.
 */
static const struct fc_first *find_first(const struct fc_fragments *f, const struct fc_flow_key *name, int64_t ns)
{
    const struct queue *q = &f->firsts;

    for (uint64_t n = q->room ? *bucket(f, q, name) : 0; n > q->begin; n = q->chain[(n - 1) & (q->room - 1)]) {
        const struct fc_first *first = item(q, n - 1);
        if (memcmp(&first->name, name, sizeof *name) == 0)
            return near(first->ns, ns) ? first : NULL;
    }
    return NULL;
}

/* Hands a fragment on, to come at `place`. It is not waited for any more. */
static int hand_on(struct fc_fragments *f, struct fc_waiting *w, const struct fc_flow_key *key, uint8_t dir,
                   const struct fc_place *place, struct fc_shelf *shelf)
{
    struct fc_placed placed = {.place = *place, .off = w->off, .file = w->file, .late = place->file == UINT32_MAX};
    struct fc_side side = {.placed = &placed};
    struct fc_note note = {.ts_ns = w->ts_ns, .origlen = w->origlen};
    uint8_t bits = (uint8_t)(FC_NOTE_PLACED | FC_NOTE_FRAG | FC_NOTE_LATER | dir | (w->old ? FC_NOTE_OLD : 0));

    if (!f->out && (!(f->out = fc_unit_new(fc_table_stock(f->table))) || fc_unit_begin(f->out, w->file, 0)))
        return FC_E_NOMEM;
    if (w->extra) {
        if (dir != w->dir)
            fc_extra_turn(w->extra);
        side.extra = w->extra;
        side.extra_size = (uint32_t)fc_extra_size(w->extra);
    }
    int rc = fc_unit_put(f->out, shelf, &note, key, bits, 0, &side, f->seed);
    free(w->extra);
    w->extra = NULL;
    w->gone = 1;
    return rc;
}

/* Follows names to a flow: hands the fragment on and returns 1; 0: it has to wait under w->name. */
static int settle(struct fc_fragments *f, struct fc_waiting *w, const struct fc_place *place, struct fc_shelf *shelf)
{
    const struct fc_first *first;

    for (int hops = 0; (first = find_first(f, &w->name, w->ns)) && first->alias && hops < FC_FRAGMENT_HOPS; hops++)
        w->name = first->leads_to;
    if (!first || first->alias)
        return 0;
    int rc = hand_on(f, w, &first->leads_to, first->dir, place, shelf);
    return rc ? rc : 1;
}

/* Takes those that are gone off the front. */
static void trim(struct fc_fragments *f)
{
    struct queue *q = &f->waiting;

    while (q->begin < q->end && ((struct fc_waiting *)item(q, q->begin))->gone)
        q->begin++;
    f->timed = f->timed > q->begin ? f->timed : q->begin;
    while (f->timed < q->end) {
        const struct fc_waiting *w = item(q, f->timed);
        if (!w->gone && w->ns != FC_TIME_NONE)
            break;
        f->timed++;
    }
}

/* Without a first fragment it is a packet of the flow that it shows itself. */
static int give_up(struct fc_fragments *f, uint64_t n, const struct fc_place *place, struct fc_shelf *shelf)
{
    struct fc_waiting *w = item(&f->waiting, n);

    unlink_item(f, &f->waiting, n);
    f->waiting_count--;
    return hand_on(f, w, &w->key, w->dir, place, shelf);
}

/* Those that have waited too long when the order comes to ns. */
static int expire(struct fc_fragments *f, int64_t ns, struct fc_shelf *shelf)
{
    int rc = 0;

    for (trim(f); rc == 0 && f->timed < f->waiting.end; trim(f)) {
        const struct fc_waiting *w = item(&f->waiting, f->timed);
        if (ns <= w->ns || near(ns, w->ns))
            break;
        struct fc_place place = {fc_time_add(w->ns, FC_FRAGMENT_WINDOW_NS), f->given_up++, UINT32_MAX, 0};
        rc = give_up(f, f->timed, &place, shelf);
    }
    /* names: memory only, find_first() looks at the time itself; who has waited may ask for what was a window before */
    struct queue *q = &f->firsts;
    while (q->begin < q->end && f->timed == f->waiting.begin) {
        const struct fc_first *first = item(q, q->begin);
        if (first->ns == FC_TIME_NONE || ns <= first->ns ||
            (uint64_t)ns - (uint64_t)first->ns <= 2 * (uint64_t)FC_FRAGMENT_WINDOW_NS)
            break;
        q->begin++;
    }
    return rc;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Place directly behind the fragment at hand. */
static struct fc_place *next_behind(struct fc_fragments *f)
{
    f->at.sub++;
    return &f->at;
}

/* Numbers of those that wait under a name, added to a list. */
static int find_waiting(struct fc_fragments *f, const struct fc_flow_key *name, uint64_t **list, size_t *count,
                        size_t *room)
{
    struct queue *q = &f->waiting;

    for (uint64_t n = q->room ? *bucket(f, q, name) : 0; n > q->begin; n = q->chain[(n - 1) & (q->room - 1)]) {
        const struct fc_waiting *w = item(q, n - 1);
        if (w->gone || memcmp(&w->name, name, sizeof *name) != 0)
            continue;
        if (fc_vector_reserve(list, room, *count + 1, sizeof **list))
            return FC_E_NOMEM;
        (*list)[(*count)++] = n - 1;
    }
    return 0;
}

/* First fragments of these names have come: those that wait for one of them go on, in their order. */
static int wake(struct fc_fragments *f, const struct fc_flow_key *names, unsigned name_count, struct fc_shelf *shelf)
{
    struct queue *q = &f->waiting;
    uint64_t *list = NULL;
    size_t count = 0, room = 0;
    int rc = 0;

    for (unsigned i = 0; i < name_count && rc == 0; i++)
        rc = find_waiting(f, &names[i], &list, &count, &room);
    if (count > 1)
        qsort(list, count, sizeof *list, compare_numbers);
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct fc_waiting *w = item(q, list[i]);
        unlink_item(f, q, list[i]);
        struct fc_place place = f->at;
        place.sub++;
        if ((rc = settle(f, w, &place, shelf)) == 1) {
            f->at.sub++;
            f->waiting_count--;
            rc = 0;
        } else if (rc == 0) {
            link_item(f, q, list[i]);
        }
    }
    free(list);
    return rc;
}

static int add_first(struct fc_fragments *f, const struct fc_first *first)
{
    if (f->firsts.end - f->firsts.begin == FC_FRAGMENT_MAX)
        f->firsts.begin++;
    return push(f, &f->firsts, first);
}

static int add_waiting(struct fc_fragments *f, const struct fc_waiting *w, struct fc_shelf *shelf)
{
    trim(f);
    if (f->waiting_count == FC_FRAGMENT_MAX) {
        uint64_t oldest = f->waiting.begin; /* not gone: trimmed */
        int rc = give_up(f, oldest, next_behind(f), shelf);
        if (rc) {
            free(w->extra);
            return rc;
        }
        trim(f);
    }
    if (push(f, &f->waiting, w)) {
        free(w->extra);
        return FC_E_NOMEM;
    }
    f->waiting_count++;
    return 0;
}

/* A later fragment that goes on, or has to wait: what it is then. 1: it goes on. */
static int settle_later(struct fc_fragments *f, const struct fc_note *n, const struct fc_side *side,
                        struct fc_waiting *w, struct fc_shelf *shelf)
{
    *w = (struct fc_waiting){.name = side->names[side->name_count - 1],
                             .key = *side->key,
                             .ns = f->at.ns,
                             .ts_ns = n->ts_ns,
                             .off = f->at.off,
                             .file = f->at.file,
                             .origlen = n->origlen,
                             .dir = fc_note_bits(n) & FC_NOTE_DIR};
    if (side->extra_size) {
        if (!(w->extra = calloc(1, sizeof *w->extra)))
            return FC_E_NOMEM;
        memcpy(w->extra, side->extra, side->extra_size);
    }
    int rc = settle(f, w, &f->at, shelf);
    if (rc < 0)
        free(w->extra);
    return rc;
}

static int admit_firsts(struct fc_fragments *f, int64_t ns)
{
    int rc = 0;

    for (; f->next_first < f->prior_first_count && f->prior_firsts[f->next_first].ns <= ns && rc == 0; f->next_first++)
        rc = add_first(f, &f->prior_firsts[f->next_first]);
    return rc;
}

/* What the index holds of fragments in front of `limit` takes its place. */
static int admit(struct fc_fragments *f, const struct fc_place *limit, struct fc_shelf *shelf)
{
    int rc = 0;

    while (rc == 0 && f->next_waiting < f->prior_waiting_count) {
        struct fc_waiting w = f->prior_waiting[f->next_waiting];
        struct fc_place place = {w.ns, w.off, w.file, 0};
        if (!fc_place_before(&place, limit))
            break;
        if ((rc = admit_firsts(f, w.ns)) || (rc = expire(f, w.ns, shelf)))
            return rc;
        f->next_waiting++;
        f->at = place;
        if ((rc = settle(f, &w, &place, shelf)) < 0)
            free(w.extra);
        rc = rc ? (rc < 0 ? rc : 0) : add_waiting(f, &w, shelf);
    }
    return rc ? rc : admit_firsts(f, limit->ns);
}

static int add_fragment(struct fc_fragments *f, const struct fc_lane *lane, struct fc_shelf *shelf)
{
    const struct fc_note *n = fc_lane_note(lane);
    bool later = fc_note_bits(n) & FC_NOTE_LATER, waits = false;
    struct fc_waiting w;
    struct fc_side side;
    int rc;

    fc_side_read(lane->unit, n, &side);
    if ((rc = admit(f, &lane->head, shelf)) || (rc = expire(f, lane->head.ns, shelf)))
        return rc;
    f->at = lane->head;
    if (later) {
        if ((rc = settle_later(f, n, &side, &w, shelf)) < 0)
            return rc;
        waits = rc == 0;
        rc = 0;
    }
    unsigned told = side.name_count - later;
    for (unsigned i = 0; i < told && rc == 0; i++) {
        struct fc_first first = {.name = side.names[i],
                                 .leads_to = later ? side.names[side.name_count - 1] : *side.key,
                                 .ns = f->at.ns,
                                 .dir = fc_note_bits(n) & FC_NOTE_DIR,
                                 .alias = later};
        rc = add_first(f, &first);
    }
    if (rc == 0 && told)
        rc = wake(f, side.names, told, shelf);
    if (!waits)
        return rc;
    /* it does not wait for itself */
    if (rc == 0)
        return add_waiting(f, &w, shelf);
    free(w.extra);
    return rc;
}

/* What was handed on becomes visible. */
static void hand_over(struct fc_fragments *f, struct fc_shelf *shelf)
{
    if (f->out)
        fc_table_hand_over(f->table, f->out, shelf);
    f->out = NULL;
}

int fc_fragments_advance(struct fc_fragments *f, const struct fc_place *limit, struct fc_shelf *shelf)
{
    int rc = fc_table_take(f->table, FC_FRAGMENT_PART, &f->lanes, shelf);

    while (rc == 0 && f->lanes.count && fc_place_before(&f->lanes.heap[0].head, limit)) {
        rc = add_fragment(f, &f->lanes.heap[0], shelf);
        if (!fc_lane_step(&f->lanes.heap[0], shelf))
            fc_lanes_drop(&f->lanes, shelf);
        else
            fc_lanes_sift(&f->lanes);
    }
    if (rc == 0)
        rc = admit(f, limit, shelf);
    if (rc == 0 && limit->ns != INT64_MAX)
        rc = expire(f, limit->ns, shelf);
    hand_over(f, shelf);
    return rc;
}

int fc_fragments_finish(struct fc_fragments *f, int64_t clock_ns, struct fc_shelf *shelf)
{
    struct fc_place end = {clock_ns, 0, UINT32_MAX, 0};
    int rc = fc_fragments_advance(f, &FC_PLACE_END, shelf);

    if (rc == 0)
        rc = expire(f, clock_ns, shelf);
    for (uint64_t n = f->waiting.begin; n < f->timed && rc == 0; n++) {
        const struct fc_waiting *w = item(&f->waiting, n);
        end.off = f->given_up++;
        if (!w->gone)
            rc = give_up(f, n, &end, shelf);
    }
    trim(f);
    hand_over(f, shelf);
    return rc;
}

const struct fc_first *fc_fragments_first(const struct fc_fragments *f, size_t i)
{
    return item(&f->firsts, f->firsts.begin + i);
}

size_t fc_fragments_first_count(const struct fc_fragments *f)
{
    return (size_t)(f->firsts.end - f->firsts.begin);
}

const struct fc_waiting *fc_fragments_waiting(const struct fc_fragments *f, size_t i)
{
    const struct fc_waiting *w = item(&f->waiting, f->waiting.begin + i);

    return w->gone ? NULL : w;
}

size_t fc_fragments_waiting_count(const struct fc_fragments *f)
{
    return (size_t)(f->waiting.end - f->waiting.begin);
}

int fc_fragments_restore_first(struct fc_fragments *f, const struct fc_first *first)
{
    if (fc_vector_reserve(&f->prior_firsts, &f->prior_first_room, f->prior_first_count + 1, sizeof *first))
        return FC_E_NOMEM;
    f->prior_firsts[f->prior_first_count++] = *first;
    return 0;
}

int fc_fragments_restore_waiting(struct fc_fragments *f, const struct fc_waiting *w)
{
    if (fc_vector_reserve(&f->prior_waiting, &f->prior_waiting_room, f->prior_waiting_count + 1, sizeof *w)) {
        free(w->extra);
        return FC_E_NOMEM;
    }
    f->prior_waiting[f->prior_waiting_count++] = *w;
    return 0;
}
