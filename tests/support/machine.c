/* SPDX-License-Identifier: MIT */
#include "machine.h"
#include "flow/fragment.h"
#include "flow/positions.h"
#include "index/chunk.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <urcu.h>

enum { THREADS_MAX = 8, NO_UNIT = -1 };

/* A stretch of a capture's packets, [first, end) of all. */
struct piece {
    unsigned file; /* from 0 */
    size_t first, end;
    struct fc_chunk *chunk;
};

/* What is handed over at once: a piece, or two of captures that follow one another. */
struct batch {
    struct piece pieces[TRAFFIC_FILES];
    unsigned count;
    int behind; /* batch of the same capture that comes before, or NO_UNIT */
    struct fc_unit *unit;
    enum { EMPTY, FILLING, FILLED, HANDING, DONE } state;
};

struct machine {
    const struct traffic *traffic;
    const struct machine_options *options;
    struct fc_table *table;
    struct fc_fragments *fragments;
    struct fc_scan_file *files;
    int64_t *counted; /* of each packet, by a clock that sees all of its capture */
    int64_t clock_ns;
    pthread_mutex_t lock;
    /* under the lock */
    struct batch *batches;
    size_t batch_count, batch_room, done;
    struct fc_place tide, settled;
    bool settling;
    int failed;
    uint64_t suspended;
    atomic_uint partition;
};
struct worker {
    struct machine *m;
    struct rng rng;
    struct fc_advancer advancer;
    struct machine_result out;
    uint8_t *plain;
    size_t plain_room;
    pthread_t thread;
};

static void *need(void *p)
{
    if (!p)
        abort();
    return p;
}

/* ---- sessions that come out */

static struct machine_session *new_session(struct machine_result *result)
{
    if (fc_vector_reserve(&result->sessions, &result->room, result->count + 1, sizeof *result->sessions))
        abort();
    struct machine_session *s = &result->sessions[result->count++];
    memset(s, 0, sizeof *s);
    return s;
}

static void add_position(struct machine_session *s, uint32_t file, uint64_t off)
{
    if ((s->count & (s->count - 1)) == 0) {
        size_t room = s->count ? 2 * s->count : 1;
        s->files = need(realloc(s->files, room * sizeof *s->files));
        s->offs = need(realloc(s->offs, room * sizeof *s->offs));
    }
    s->files[s->count] = file;
    s->offs[s->count++] = off;
}

static int read_positions(struct machine_session *s, const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len;
    struct fc_segment segment;

    while (p < end) {
        if (!(p = fc_segment_head(p, end, &segment)))
            return FC_E_DAMAGED;
        uint64_t off = segment.first_off;
        for (uint64_t i = 0; i < segment.count; i++) {
            if (i && !(p = fc_segment_next(p, end, &off)))
                return FC_E_DAMAGED;
            add_position(s, segment.file, off);
        }
    }
    return 0;
}

static int emit(void *ctx, const struct fc_ended *e)
{
    struct worker *w = ctx;
    struct machine_session *s = new_session(&w->out);
    size_t len;

    s->key = e->key;
    s->sum = e->session;
    s->first_file = e->first_file;
    s->first_off = e->first_off;
    s->late = e->late;
    if (e->extra)
        s->extra = *e->extra;
    s->open = e->last && fc_session_expiry_ns(w->m->options->rules, e->key.proto, &e->session) >= w->m->clock_ns;
    int rc = fc_positions_canonical(e->first_file, e->first_off, e->pos, e->pos_len, e->pos_plain, &w->plain,
                                    &w->plain_room, &len);
    return rc ? rc : read_positions(s, w->plain, len);
}

/* ---- making batches */

static struct batch *new_batch(struct machine *m)
{
    if (fc_vector_reserve(&m->batches, &m->batch_room, m->batch_count + 1, sizeof *m->batches))
        abort();
    struct batch *b = &m->batches[m->batch_count++];
    memset(b, 0, sizeof *b);
    b->behind = NO_UNIT;
    return b;
}

static void add_piece(struct batch *b, unsigned file, size_t first, size_t end)
{
    b->pieces[b->count++] = (struct piece){.file = file, .first = first, .end = end};
}

/* The last batch, when it ends with a whole capture that comes before this one. */
static struct batch *to_share(struct machine *m, unsigned file)
{
    struct batch *b = m->batch_count ? &m->batches[m->batch_count - 1] : NULL;
    const struct piece *last = b ? &b->pieces[b->count - 1] : NULL;

    if (!b || b->behind != NO_UNIT || last->end - last->first != m->traffic->files[last->file].count ||
        m->counted[last->end - 1] > m->counted[m->traffic->files[file].first])
        return NULL;
    return b;
}

static void cut(struct machine *m, struct rng *rng)
{
    const struct traffic *t = m->traffic;

    for (unsigned i = 0; i < t->file_count; i++) {
        size_t at = t->files[i].first, end = at + t->files[i].count;
        int behind = NO_UNIT;
        while (at < end) {
            size_t n = 1;
            while (at + n < end && !rng_chance(rng, m->options->cut))
                n++;
            struct batch *b = behind == NO_UNIT && rng_chance(rng, m->options->share) ? to_share(m, i) : NULL;
            if (!b) {
                b = new_batch(m);
                b->behind = behind;
            }
            add_piece(b, i, at, at + n);
            behind = (int)(b - m->batches);
            at += n;
        }
    }
}

static size_t look_ahead(const struct machine *m, unsigned file, size_t at, int64_t ahead[FC_CLOCK_AHEAD])
{
    size_t end = m->traffic->files[file].first + m->traffic->files[file].count, n = 0;

    while (n < FC_CLOCK_AHEAD && at < end)
        ahead[n++] = m->traffic->packets[at++].rec.ts_ns;
    return n;
}

static void count_all(struct machine *m)
{
    m->clock_ns = FC_TIME_NONE;
    for (unsigned i = 0; i < m->traffic->file_count; i++) {
        const struct traffic_file *f = &m->traffic->files[i];
        struct fc_clock clock;
        fc_clock_init(&clock);
        for (size_t k = f->first; k < f->first + f->count; k++) {
            int64_t ahead[FC_CLOCK_AHEAD];
            size_t n = look_ahead(m, i, k + 1, ahead);
            m->counted[k] = fc_clock_count(&clock, m->traffic->packets[k].rec.ts_ns, ahead, n);
        }
        m->clock_ns = clock.counted_ns > m->clock_ns ? clock.counted_ns : m->clock_ns;
    }
}

/* ---- steps */

static int fill_piece(struct worker *w, struct batch *b, struct piece *piece)
{
    struct machine *m = w->m;
    const struct traffic_packet *p = &m->traffic->packets[piece->first];
    struct fc_chunk *c = piece->chunk = need(fc_chunk_new(&m->files[piece->file]));
    int rc = fc_unit_begin(b->unit, piece->file + 1, p->rec.off);

    c->unit = b->unit;
    c->stretch = b->unit->stretch_count - 1;
    fc_chunk_begin(c);
    for (; rc == 0 && p < &m->traffic->packets[piece->end]; p++) {
        rc = fc_chunk_time(c, p->rec.ts_ns, p->rec.off);
        if (rc == 0)
            rc = fc_unit_add(b->unit, &w->advancer.shelf, &p->packet, p->rec.off, p->rec.ts_ns, p->rec.origlen,
                             fc_table_seed(m->table), m->options->extra);
    }
    return rc;
}

static int fill(struct worker *w, struct batch *b)
{
    int rc = 0;

    b->unit = need(fc_unit_new(fc_table_stock(w->m->table)));
    for (unsigned i = 0; i < b->count && rc == 0; i++)
        rc = fill_piece(w, b, &b->pieces[i]);
    return rc;
}

static int hand_over(struct worker *w, struct batch *b)
{
    struct machine *m = w->m;
    int rc = 0;

    for (unsigned i = 0; i < b->count && rc == 0; i++) {
        struct piece *piece = &b->pieces[i];
        int64_t ahead[FC_CLOCK_AHEAD];
        rc = fc_chunk_count_times(piece->chunk, ahead, look_ahead(m, piece->file, piece->end, ahead));
    }
    fc_table_hand_over(m->table, b->unit, &w->advancer.shelf);
    b->unit = NULL;
    return rc;
}

/* The first place that packets still to come have. Under the lock. */
static struct fc_place lowest(const struct machine *m)
{
    struct fc_place low = FC_PLACE_END;

    for (size_t i = 0; i < m->batch_count; i++) {
        const struct batch *b = &m->batches[i];
        const struct piece *p = &b->pieces[0];
        if (b->state == DONE)
            continue;
        struct fc_place at = {m->counted[p->first], m->traffic->packets[p->first].rec.off, p->file + 1, 0};
        low = fc_place_before(&at, &low) ? at : low;
    }
    return low;
}

/* Raises the tide as far as it may be, or not quite. Under the lock. */
static void raise_tide(struct worker *w)
{
    struct machine *m = w->m;
    struct fc_place to = lowest(m);

    if (rng_chance(&w->rng, 50)) {
        size_t i = rng_below(&w->rng, m->traffic->count);
        struct fc_place some = {fc_time_add(m->counted[i], (int64_t)rng_below(&w->rng, 3) - 1),
                                m->traffic->packets[i].rec.off, m->traffic->packets[i].file, 0};
        if (m->counted[i] != FC_TIME_NONE && some.ns <= m->clock_ns && fc_place_before(&some, &to))
            to = some;
    }
    if (fc_place_before(&m->tide, &to))
        m->tide = to;
}

/* Under the lock, which it leaves meanwhile. */
static int settle(struct worker *w)
{
    struct machine *m = w->m;
    int rc = 0;

    raise_tide(w);
    if (m->settling || !fc_place_before(&m->settled, &m->tide))
        return 0;
    struct fc_place to = m->tide;
    m->settling = true;
    pthread_mutex_unlock(&m->lock);
    rc = fc_fragments_advance(m->fragments, &to, &w->advancer.shelf);
    pthread_mutex_lock(&m->lock);
    m->settled = to;
    m->settling = false;
    return rc;
}

/* The partition of some packet. */
static unsigned partition_in_use(struct worker *w)
{
    const struct traffic *t = w->m->traffic;
    struct fc_short_key key;
    uint64_t hash;

    fc_key_shorten(&t->packets[rng_below(&w->rng, t->count)].packet.key, fc_table_seed(w->m->table), &key, &hash);
    return (unsigned)(hash >> (64 - FC_PARTITION_BITS));
}

/* Advances some partitions, or all, to the place at hand; suspends one. Under the lock, which it leaves meanwhile. */
static int advance(struct worker *w)
{
    struct machine *m = w->m;
    struct fc_place to = m->settled;
    unsigned from = (unsigned)rng_below(&w->rng, FC_PARTITIONS), n = (unsigned)rng_between(&w->rng, 1, FC_PARTITIONS);
    bool suspend = rng_chance(&w->rng, m->options->suspend);
    int rc = 0;

    pthread_mutex_unlock(&m->lock);
    for (unsigned i = 0; i < n && rc >= 0; i++)
        rc = fc_table_advance(m->table, (from + i) % FC_PARTITIONS, &to, &w->advancer);
    if (rc >= 0 && suspend)
        rc = fc_table_suspend(m->table, partition_in_use(w), &w->advancer);
    pthread_mutex_lock(&m->lock);
    m->suspended += suspend && rc == 0;
    return rc < 0 ? rc : 0;
}

/* A batch that something can be done for, at random. Under the lock. */
static struct batch *choose(struct worker *w)
{
    struct machine *m = w->m;
    size_t from = rng_below(&w->rng, m->batch_count);

    for (size_t i = 0; i < m->batch_count; i++) {
        struct batch *b = &m->batches[(from + i) % m->batch_count];
        bool turn = b->behind == NO_UNIT || m->batches[b->behind].state == DONE;
        if (b->state == EMPTY || (b->state == FILLED && turn))
            return b;
    }
    return NULL;
}

/* Under the lock, which it leaves meanwhile. */
static int tend(struct worker *w, struct batch *b)
{
    struct machine *m = w->m;
    bool filled = b->state == FILLED;

    b->state = filled ? HANDING : FILLING;
    pthread_mutex_unlock(&m->lock);
    int rc = filled ? hand_over(w, b) : fill(w, b);
    pthread_mutex_lock(&m->lock);
    b->state = filled ? DONE : FILLED;
    m->done += filled;
    return rc;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct machine *m = w->m;
    const struct machine_options *o = m->options;
    int rc = 0;

    rcu_register_thread();
    pthread_mutex_lock(&m->lock);
    while (rc == 0 && !m->failed && m->done < m->batch_count) {
        uint64_t draw = rng_below(&w->rng, 100 + o->settle + o->advance);
        struct batch *b = draw < 100 ? choose(w) : NULL;
        if (b) {
            rc = tend(w, b);
        } else if (draw < 100) { /* others are about them */
            pthread_mutex_unlock(&m->lock);
            sched_yield();
            pthread_mutex_lock(&m->lock);
        } else {
            rc = draw < 100 + o->settle ? settle(w) : advance(w);
        }
    }
    if (rc)
        m->failed = rc;
    pthread_mutex_unlock(&m->lock);
    fc_shelf_fini(&w->advancer.shelf);
    rcu_unregister_thread();
    return NULL;
}

static void *finish(void *arg)
{
    struct worker *w = arg;
    struct machine *m = w->m;
    unsigned i;
    int rc = 0;

    rcu_register_thread();
    while (rc == 0 && (i = atomic_fetch_add(&m->partition, 1)) < FC_PARTITIONS)
        rc = fc_table_finish(m->table, i, true, &w->advancer);
    if (rc) {
        pthread_mutex_lock(&m->lock);
        m->failed = rc;
        pthread_mutex_unlock(&m->lock);
    }
    fc_shelf_fini(&w->advancer.shelf);
    rcu_unregister_thread();
    return NULL;
}

static void run_all(struct worker *w, unsigned n, void *(*step)(void *))
{
    for (unsigned i = 1; i < n; i++)
        if (pthread_create(&w[i].thread, NULL, step, &w[i]))
            abort();
    step(&w[0]);
    for (unsigned i = 1; i < n; i++)
        pthread_join(w[i].thread, NULL);
}

/* ---- what comes of it */

static void add_waiting(struct machine_session *s, const struct fc_waiting *w)
{
    struct fc_session_sum *sum = &s->sum;

    if (!s->count) {
        s->key = w->key;
        s->first_file = w->file;
        s->first_off = w->off;
        s->provisional = true;
        *sum = (struct fc_session_sum){
            .first_ns = w->ns, .min_ns = FC_TIME_NONE, .max_ns = FC_TIME_NONE, .first_dir = w->dir};
    }
    sum->last_ns = w->ns;
    sum->packets[w->dir]++;
    sum->bytes[w->dir] += w->origlen;
    if (w->ts_ns != FC_TIME_NONE) {
        sum->min_ns = sum->min_ns == FC_TIME_NONE || w->ts_ns < sum->min_ns ? w->ts_ns : sum->min_ns;
        sum->max_ns = w->ts_ns > sum->max_ns ? w->ts_ns : sum->max_ns;
    }
    if (w->extra)
        fc_extra_append(&s->extra, w->extra);
    add_position(s, w->file, w->off);
}

/* Sessions of those that wait, one a name. */
static void collect_waiting(const struct machine *m, struct machine_result *result)
{
    size_t n = fc_fragments_waiting_count(m->fragments);
    bool *done = need(calloc(n + 1, 1));

    for (size_t i = 0; i < n; i++) {
        const struct fc_waiting *first = fc_fragments_waiting(m->fragments, i);
        if (!first || done[i])
            continue;
        struct machine_session *s = new_session(result);
        for (size_t k = i; k < n; k++) {
            const struct fc_waiting *w = fc_fragments_waiting(m->fragments, k);
            if (!w || done[k] || memcmp(&w->name, &first->name, sizeof w->name) != 0)
                continue;
            done[k] = true;
            add_waiting(s, w);
        }
    }
    free(done);
}

static int compare(const void *a, const void *b)
{
    const struct machine_session *x = a, *y = b;

    if (x->provisional != y->provisional)
        return x->provisional - y->provisional;
    if (x->sum.first_ns != y->sum.first_ns)
        return x->sum.first_ns < y->sum.first_ns ? -1 : 1;
    if (x->late != y->late)
        return x->late - y->late;
    if (x->first_file != y->first_file)
        return x->first_file < y->first_file ? -1 : 1;
    return x->first_off < y->first_off ? -1 : x->first_off > y->first_off;
}

static void collect(struct machine *m, struct worker *workers, struct machine_result *result)
{
    for (unsigned i = 0; i < m->options->threads; i++) {
        struct machine_result *out = &workers[i].out;
        for (size_t k = 0; k < out->count; k++)
            *new_session(result) = out->sessions[k];
        free(out->sessions);
    }
    collect_waiting(m, result);
    if (result->count)
        qsort(result->sessions, result->count, sizeof *result->sessions, compare);
    result->units = m->batch_count;
    result->suspended = m->suspended;
}

static void init(struct machine *m, const struct traffic *t, const struct machine_options *o, struct rng *rng)
{
    memset(m, 0, sizeof *m);
    m->traffic = t;
    m->options = o;
    m->table = need(fc_table_new(o->rules, o->extra, "/tmp"));
    m->fragments = need(fc_fragments_new(m->table));
    m->files = need(calloc(t->file_count, sizeof *m->files));
    m->counted = need(malloc((t->count + 1) * sizeof *m->counted));
    m->tide = m->settled = (struct fc_place){INT64_MIN, 0, 0, 0};
    pthread_mutex_init(&m->lock, NULL);
    for (unsigned i = 0; i < t->file_count; i++)
        fc_clock_init(&m->files[i].clock);
    count_all(m);
    cut(m, rng);
}

static void fini(struct machine *m)
{
    struct fc_shelf shelf;

    fc_shelf_init(&shelf, fc_table_stock(m->table));
    for (size_t i = 0; i < m->batch_count; i++) {
        fc_unit_free(m->batches[i].unit, &shelf);
        for (unsigned k = 0; k < m->batches[i].count; k++)
            fc_chunk_free(m->batches[i].pieces[k].chunk);
    }
    fc_shelf_fini(&shelf);
    fc_fragments_free(m->fragments);
    fc_table_free(m->table);
    free(m->batches);
    free(m->counted);
    free(m->files);
    pthread_mutex_destroy(&m->lock);
}

int machine_run(const struct traffic *t, struct rng *rng, const struct machine_options *o,
                struct machine_result *result)
{
    struct worker workers[THREADS_MAX] = {0};
    struct machine m;
    int rc;

    memset(result, 0, sizeof *result);
    init(&m, t, o, rng);
    for (unsigned i = 0; i < o->threads; i++) {
        workers[i].m = &m;
        workers[i].rng.state = rng_next(rng);
        workers[i].advancer.sink = (struct fc_sink){emit, &workers[i]};
        fc_shelf_init(&workers[i].advancer.shelf, fc_table_stock(m.table));
    }
    run_all(workers, o->threads, work);
    if (!m.failed)
        m.failed = fc_fragments_finish(m.fragments, m.clock_ns, &workers[0].advancer.shelf);
    if (!m.failed)
        run_all(workers, o->threads, finish);
    collect(&m, workers, result);
    rc = m.failed;
    for (unsigned i = 0; i < o->threads; i++) {
        fc_shelf_fini(&workers[i].advancer.shelf);
        free(workers[i].plain);
    }
    fini(&m);
    return rc;
}

void machine_free(struct machine_result *result)
{
    for (size_t i = 0; i < result->count; i++) {
        free(result->sessions[i].files);
        free(result->sessions[i].offs);
    }
    free(result->sessions);
}
