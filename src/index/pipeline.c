/* SPDX-License-Identifier: MIT */
#include "index/pipeline.h"
#include "base/error.h"
#include "capture/print.h"
#include "index/chunk.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <urcu.h>

enum {
    SMALL_BYTES = 1 << 20, /* captures up to here share units, */
    UNIT_BYTES = 8 << 20,  /* which have so many bytes of them */
    CHUNK_LEAST = 64 << 10,
    CHUNK_MOST = 16 << 20,
    FLIGHT = 2,  /* chunks of one capture in flight, a worker, and a few */
    LOOK = 0xfff /* records between looks at whether to stop */
};

#define MIB ((uint64_t)1 << 20)

/* Shared by the workers of one run. Everything behind `lock` is guarded by it. */
struct shared {
    struct fc_pipeline *p;
    uint64_t notes_bytes;    /* of notes, from which on partitions are advanced */
    uint64_t flow_bytes;     /* of flows, from which on partitions are suspended */
    struct fc_place *beyond; /* of file i and those behind it: none of their packets is before */
    atomic_int failed;       /* code of the first failure; workers look at it between records */
    /* shared: under the lock */
    _Alignas(64) pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t next_file;           /* the first that is not begun */
    struct fc_scan_file **open; /* begun and not done */
    size_t open_count, open_room;
    unsigned reading;        /* workers that scan */
    struct fc_place tide;    /* nothing before it is missing any more, */
    struct fc_place settled; /* and fragments before it are settled */
    bool settling;
    struct fc_place round; /* partitions are being advanced to it: */
    unsigned cursor;       /* the next of them; FC_PARTITIONS: none */
    unsigned advancing;    /* workers that do so */
    bool stowing;          /* in this round partitions put away what waits for others */
    uint64_t stow_bytes;   /* of notes, from which on that is done */
    bool resume;           /* the last round: suspended partitions are finished too */
    struct fc_error why;
};

struct worker {
    struct shared *s;
    pthread_t thread;
    bool started;
    struct fc_reader reader;
    struct fc_door door;
    struct fc_advancer advancer;
    struct fc_emitter emitter;
};

/* Under the lock. */
static void fail_locked(struct shared *s, int code, const struct fc_error *why)
{
    if (!s->failed) {
        s->why = *why;
        if (s->why.code != code)
            fc_error_set(&s->why, code, NULL, FC_NO_OFFSET, "%s", fc_strerror(code));
        atomic_store_explicit(&s->failed, code, memory_order_relaxed); /* the lock orders it for those who care */
    }
    pthread_cond_broadcast(&s->changed);
}

static void fail(struct shared *s, int code, const struct fc_error *why)
{
    pthread_mutex_lock(&s->lock);
    fail_locked(s, code, why);
    pthread_mutex_unlock(&s->lock);
}

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

/* News of the feeder. */
static void told(void *ctx, int code, const struct fc_error *why)
{
    struct shared *s = ctx;

    pthread_mutex_lock(&s->lock);
    if (code)
        fail_locked(s, code, why);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static bool interrupted(const struct fc_pipeline *p)
{
    return p->stop && __atomic_load_n(p->stop, __ATOMIC_RELAXED) != 0;
}

/*
 * The run cannot have this file: what it has given so far is everywhere, so the run fails, and the caller begins anew
 * without.
 */
static int spoiled(struct fc_pipeline *p, const struct fc_scan_file *f, int code)
{
    __atomic_store_n(&p->bad_file, (size_t)(f - p->files), __ATOMIC_RELAXED);
    return code;
}

/* ---- reading */

static int scan_record(struct worker *w, struct fc_chunk *c, const struct fc_record *rec, struct fc_error *err)
{
    const struct fc_settings *settings = w->s->p->settings;
    struct fc_packet packet;

    if (settings->filter[0]) {
        int match = fc_door_match(&w->door, rec, err);
        if (match < 0) {
            if (!err->file[0])
                snprintf(err->file, sizeof err->file, "%s", c->file->plan->file.path);
            return match;
        }
        if (!match) {
            c->ignored++;
            return 0;
        }
    }
    fc_decode(rec->link_type, rec->data, rec->caplen, rec->origlen, settings->mask, &packet);
    if (settings->net_count && fc_settings_excludes(settings, &packet.key)) {
        c->ignored++;
        return 0;
    }
    if (packet.malformed) {
        c->malformed++;
        packet.key.domain = c->file->plan->id; /* a session of this file's own */
    }
    if (fc_unit_add(c->unit, &w->advancer.shelf, &packet, rec->off, rec->ts_ns, rec->origlen,
                    fc_table_seed(w->s->p->table), settings->fields != 0))
        return no_memory(err);
    return 0;
}

/*
 * Reads the chunk's records from c->start on. 0; FC_E_NOMEM, FC_E_USAGE, FC_E_IO, FC_E_INTERRUPTED. Damage is a result.
 */
static int scan(struct worker *w, struct fc_chunk *c, struct fc_error *err)
{
    struct fc_pipeline *p = w->s->p;
    const struct fc_file *file = &c->file->plan->file;
    struct fc_record rec;
    int rc;

    fc_chunk_begin(c);
    if (fc_unit_begin(c->unit, c->file->plan->id, c->start))
        return no_memory(err);
    c->stretch = c->unit->stretch_count - 1;
    rc = fc_reader_start(&w->reader, file, c->start, c->until, c->section.number != UINT32_MAX ? &c->section : NULL);
    if (rc == FC_E_NOMEM)
        return no_memory(err);
    if (rc)
        w->reader.failed = rc;
    else if (c->open.off != FC_NO_OFFSET)
        fc_reader_resume(&w->reader, &c->open);
    while ((rc = fc_reader_walk(&w->reader, &rec, c->until)) == 1) {
        c->record_bytes += rec.next_off - rec.off;
        if (fc_chunk_time(c, rec.ts_ns, rec.off))
            return no_memory(err);
        if ((c->records & LOOK) == 0 && (interrupted(p) || atomic_load_explicit(&w->s->failed, memory_order_relaxed)))
            return fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
        if ((rc = scan_record(w, c, &rec, err)))
            return rc;
    }
    if (rc < 0 && rc != FC_E_DAMAGED) {
        *err = w->reader.why;
        return rc == FC_E_NOMEM || rc == FC_E_INTERRUPTED ? rc : spoiled(p, c->file, rc);
    }
    return fc_chunk_end(c, &w->reader, err);
}

/*
 * Where to start: known when everything before is committed, else a guess. Without a section a pcapng is not guessed
 * at: nothing could be read from there on.
 */
static int choose_start(struct worker *w, struct fc_chunk *c, struct fc_error *err)
{
    struct shared *s = w->s;
    struct fc_scan_file *f = c->file;
    const struct fc_section *section = &f->section;
    int rc;

    pthread_mutex_lock(&s->lock);
    bool known = f->uncommitted == c;
    rc = fc_plan_reopen(f->plan, err);
    fc_section_free(&c->section);
    if (!known && section->number == UINT32_MAX && f->plan->head)
        section = f->plan->head;
    if (rc == 0 && fc_section_copy(&c->section, section))
        rc = no_memory(err);
    c->start = known ? f->next_off : UINT64_MAX;
    c->open.off = FC_NO_OFFSET;
    if (known)
        c->open = f->open;
    pthread_mutex_unlock(&s->lock);
    if (rc == FC_E_IO || rc == FC_E_CHANGED || rc == FC_E_FORMAT)
        return spoiled(s->p, f, rc);
    if (rc || known || c->section.number == UINT32_MAX)
        return rc;
    c->start = fc_reader_guess(&w->reader, &f->plan->file, c->from, c->until, &c->section);
    return 0;
}

static int read_chunk(struct worker *w, struct fc_chunk *c, struct fc_error *err)
{
    int rc = choose_start(w, c, err);
    struct fc_prints prints;

    if (rc == 0 && c->first && !c->file->feed &&
        (rc = fc_file_prints(&c->file->plan->file, c->file->plan->file.stored_size, &prints, err)))
        rc = spoiled(w->s->p, c->file, rc);
    if (rc == 0 && c->first && !c->file->feed) {
        c->file->fingerprint = prints.samples;
        c->file->stored_fingerprint = prints.stored;
    }
    return rc == 0 && c->start != UINT64_MAX ? scan(w, c, err) : rc;
}

/* ---- committing: by the worker that is busy with the file */

/* 1: it is right; 0: it started at the wrong place, and was set up to be scanned again. Under the lock. */
static int check_start(struct fc_chunk *c)
{
    struct fc_scan_file *f = c->file;

    /* damage in front, or a record that reaches over the whole chunk; but an empty file still has something to say */
    if (!c->first && (f->next_off >= c->until || f->next_off >= f->plan->file.size)) {
        fc_chunk_begin(c);
        c->dead = true;
        return 1;
    }
    if (c->start == f->next_off && c->open.off == f->open.off && fc_section_equal(&c->section, &f->section))
        return 1;
    c->start = f->next_off;
    c->open = f->open;
    fc_section_free(&c->section);
    return fc_section_copy(&c->section, &f->section) ? FC_E_NOMEM : 0;
}

/* The capture must be what it was when it was opened; where it has grown, what was there then is what counts. */
static int check_unchanged(struct fc_pipeline *p, struct fc_scan_file *f, struct fc_error *err)
{
    const struct fc_file *file = &f->plan->file;
    struct stat st;

    int fd = file->fd >= 0 ? file->fd : file->held;

    if (fd >= 0 ? fstat(fd, &st) : stat(file->path, &st))
        return spoiled(p, f, fc_error_errno(err, FC_E_IO, file->path, FC_NO_OFFSET, "cannot be looked at again"));
    f->grown = (uint64_t)st.st_size > file->stored_size;
    int64_t mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    bool same = (uint64_t)st.st_size == file->stored_size && mtime_ns == file->mtime_ns;
    if (st.st_dev == file->dev && st.st_ino == file->ino && (same || f->grown))
        return 0;
    return spoiled(p, f,
                   fc_error_set(err, FC_E_CHANGED, file->path, FC_NO_OFFSET, "has changed while it was being indexed"));
}

/* All of it is committed. Under the lock. */
static int end_file(struct shared *s, struct fc_scan_file *f, struct fc_error *err)
{
    struct fc_pipeline *p = s->p;
    int rc = check_unchanged(p, f, err);

    f->committed = true;
    if (rc)
        return rc;
    if (fc_scan_file_end(f))
        return no_memory(err);
    if (f->feed) {
        fc_feed_finish(f->feed);
    } else if (f->plan->file.fd >= 0) {
        close(f->plan->file.fd);
        f->plan->file.fd = -1;
    }
    if (p->progress)
        __atomic_store_n(&p->progress->files_done, p->progress->files_done + 1, __ATOMIC_RELAXED);
    return 0;
}

/* Bytes of the file, as stored, that a committed chunk stands for. */
static uint64_t chunk_share(struct fc_scan_file *f, const struct fc_chunk *c)
{
    uint64_t size = f->plan->file.size, before = f->fed;

    if (f->feed) {
        f->fed = fc_feed_progress(f->feed);
        return f->fed - before;
    }
    return c->from >= size ? 0 : (c->until < size ? c->until : size) - c->from;
}

/* The next chunk of the file, which was scanned, becomes part of what is known. Under the lock, which it may leave. */
static int commit_chunk(struct worker *w, struct fc_chunk *c, struct fc_error *err)
{
    struct shared *s = w->s;
    struct fc_scan_file *f = c->file;
    int right = check_start(c), rc = right < 0 ? no_memory(err) : 0;

    if (right == 0 || c->dead) {
        /* its unit has no other chunk: what can be wrong was guessed */
        s->p->rescanned += !c->first && !c->dead;
        pthread_mutex_unlock(&s->lock);
        fc_unit_clear(c->unit, &w->advancer.shelf);
        if (!c->dead)
            rc = scan(w, c, err);
        pthread_mutex_lock(&s->lock);
    }
    if (rc == 0 && !c->dead && fc_chunk_merge(c, f))
        rc = no_memory(err);
    if (rc)
        return rc;
    c->state = FC_CHUNK_COMMITTED;
    f->uncommitted = c->next;
    f->held_records += c->records;
    if (f->feed)
        fc_feed_release(f->feed, c->until);
    if (s->p->progress) {
        __atomic_store_n(&s->p->progress->bytes_done, s->p->progress->bytes_done + chunk_share(f, c), __ATOMIC_RELAXED);
        __atomic_store_n(&s->p->progress->records, s->p->progress->records + c->records, __ATOMIC_RELAXED);
    }
    f->in_flight--;
    return 0;
}

/* Times of the records behind a chunk, as far as it takes. Under the lock. */
static size_t look_ahead(const struct fc_chunk *c, int64_t ahead[FC_CLOCK_AHEAD])
{
    size_t n = 0;

    for (c = c->next; c && c->state == FC_CHUNK_COMMITTED && n < FC_CLOCK_AHEAD; c = c->next)
        for (size_t i = 0; i < c->records && n < FC_CLOCK_AHEAD; i++)
            ahead[n++] = c->times[i].ts_ns;
    return n;
}

/*
 * The first place that packets still to come can have. When none is, it stays: fragments that are given up at the end
 * get places behind it, and no partition may be beyond them. Under the lock.
 */
static void raise_tide(struct shared *s)
{
    struct fc_place low = s->beyond[s->next_file];

    for (size_t i = 0; i < s->open_count; i++)
        if (fc_place_before(&s->open[i]->frontier, &low))
            low = s->open[i]->frontier;
    if (low.ns != INT64_MAX && fc_place_before(&s->tide, &low))
        s->tide = low;
}

/* Nothing more comes of it. Under the lock. */
static void close_file(struct shared *s, struct fc_scan_file *f)
{
    struct fc_scan_file *moved = s->open[--s->open_count];

    s->open[f->open_index] = moved;
    moved->open_index = f->open_index;
    f->open_index = SIZE_MAX;
    if (f->clock.counted_ns > s->p->clock_ns)
        s->p->clock_ns = f->clock.counted_ns;
}

/* A chunk whose notes all can see now. Under the lock. */
static void chunk_done(struct shared *s, struct fc_chunk *c)
{
    struct fc_scan_file *f = c->file;

    f->held_records -= c->records;
    f->frontier = c->frontier;
    f->handed_over++;
    f->chunks = c->next;
    if (!f->chunks)
        f->last = NULL;
    if (f->committed && !f->chunks && f->open_index != SIZE_MAX)
        close_file(s, f);
    fc_chunk_free(c);
}

/*
 * Counts the times of the first chunk of the file and, when all others of its unit are counted too, hands it over. Only
 * then the tide may pass its records. Under the lock, which it leaves meanwhile.
 */
static int hand_over(struct worker *w, struct fc_scan_file *f, struct fc_error *err)
{
    struct shared *s = w->s;
    struct fc_chunk *c = f->chunks;
    struct fc_unit *unit = c->unit;
    int64_t ahead[FC_CLOCK_AHEAD];
    size_t count = look_ahead(c, ahead);
    uint64_t end = c->dead ? f->frontier.off : c->end;

    pthread_mutex_unlock(&s->lock);
    int rc = c->dead ? 0 : fc_chunk_count_times(c, ahead, count);
    pthread_mutex_lock(&s->lock);
    if (rc)
        return no_memory(err);
    c->counted = true;
    c->frontier = (struct fc_place){f->clock.counted_ns, end, f->plan->id, 0};
    c->next_counted = unit->counted;
    unit->counted = c;
    if (--unit->chunks)
        return 0;
    struct fc_chunk *list = unit->counted;
    pthread_mutex_unlock(&s->lock);
    fc_table_hand_over(s->p->table, unit, &w->advancer.shelf);
    pthread_mutex_lock(&s->lock);
    while (list) {
        struct fc_chunk *next = list->next_counted;
        chunk_done(s, list);
        list = next;
    }
    return 0;
}

/* Whether the first chunk of the file can be handed over. Under the lock. */
static bool is_ready(const struct fc_scan_file *f)
{
    const struct fc_chunk *c = f->chunks;

    return c && c->state == FC_CHUNK_COMMITTED && !c->counted &&
           (f->committed || !c->records || f->held_records - c->records >= FC_CLOCK_AHEAD);
}

/*
 * Does for the file what can be done now, unless somebody else is about it. Under the lock, which it leaves meanwhile.
 */
static int tend(struct worker *w, struct fc_scan_file *f, struct fc_error *err)
{
    struct shared *s = w->s;
    int rc = 0;

    if (f->busy)
        return 0; /* it will see what is new */
    f->busy = true;
    while (rc == 0 && !s->failed) {
        if (f->uncommitted && f->uncommitted->state == FC_CHUNK_SCANNED)
            rc = commit_chunk(w, f->uncommitted, err);
        else if (f->claimed && !f->uncommitted && !f->committed)
            rc = end_file(s, f, err);
        else if (is_ready(f))
            rc = hand_over(w, f, err);
        else
            break;
    }
    f->busy = false;
    if (rc == 0 && f->committed && !f->chunks && f->open_index != SIZE_MAX)
        close_file(s, f);
    raise_tide(s);
    pthread_cond_broadcast(&s->changed);
    return rc;
}

/* ---- claiming */

uint64_t fc_pipeline_chunk_bytes(const struct fc_pipeline *p, size_t open)
{
    uint64_t most = CHUNK_MOST;

    if (p->chunk_bytes)
        return p->chunk_bytes;
    while (most > CHUNK_LEAST && most * (open + p->jobs) > p->memory_bytes)
        most /= 2;
    if (p->memory_bytes < 512 * MIB && most > p->memory_bytes / 32)
        most = p->memory_bytes / 32 < CHUNK_LEAST ? CHUNK_LEAST : p->memory_bytes / 32;
    return most;
}

/*
 * Whether a file has a chunk to be claimed: 1; -1: not yet, or that is not known yet; 0: it has ended. Under the lock.
 */
static int has_chunk(struct shared *s, struct fc_scan_file *f)
{
    int has = 1;

    if (f->claimed)
        return 0;
    if (f->feed && (has = fc_feed_has(f->feed, f->claim_off + 1)) == 0 && !f->begun)
        has = 1; /* a stream of nothing has a chunk all the same */
    return has > 0 && f->in_flight >= FLIGHT * s->p->jobs + FLIGHT ? -1 : has;
}

/* How far behind a file is, with what is in flight of it. Under the lock. */
static int64_t estimate(const struct fc_scan_file *f, unsigned jobs)
{
    if (!f->in_flight || (!f->handed_over && f->in_flight <= jobs))
        return f->frontier.ns;
    if (!f->handed_over || f->frontier.ns == FC_TIME_NONE)
        return INT64_MAX - 1;
    uint64_t each = ((uint64_t)f->frontier.ns - (uint64_t)f->plan->first_ns) / f->handed_over;
    int64_t ns;
    return each > INT64_MAX / 1024 || __builtin_add_overflow(f->frontier.ns, (int64_t)(each * f->in_flight), &ns)
               ? INT64_MAX - 1
               : ns;
}

static int begin_file(struct shared *s, struct fc_scan_file *f)
{
    if (fc_vector_reserve(&s->open, &s->open_room, s->open_count + 1, sizeof(struct fc_scan_file *)))
        return FC_E_NOMEM;
    f->open_index = s->open_count;
    s->open[s->open_count++] = f;
    s->next_file++;
    return 0;
}

/*
 * The file to read on in: the one that is furthest behind, of those that are open and the next. Where its bytes have
 * not come yet, the one behind it, unless too much waits already. NULL: there is none; with *wait there is one later,
 * and *ended is a stream whose end has just been met. Under the lock.
 */
static struct fc_scan_file *choose_file(struct shared *s, bool *wait, struct fc_scan_file **ended)
{
    struct fc_pipeline *p = s->p;
    struct fc_scan_file *best = NULL;
    int64_t best_ns = INT64_MAX;

    for (size_t i = 0; i < s->open_count; i++) {
        struct fc_scan_file *f = s->open[i];
        if (f->claimed)
            continue;
        int has = has_chunk(s, f);
        if (has == 0) {
            f->claimed = true;
            *ended = f;
            return NULL;
        }
        int64_t ns = estimate(f, p->jobs);
        *wait |= has < 0;
        if (has > 0 && (!best || ns < best_ns)) {
            best = f;
            best_ns = ns;
        }
    }
    bool room = fc_stock_bytes(fc_table_stock(p->table)) < 2 * s->notes_bytes;
    if (s->next_file < p->plan->count && (!best || s->beyond[s->next_file].ns < best_ns) && (!*wait || room)) {
        struct fc_scan_file *next = &p->files[s->next_file];
        int has = has_chunk(s, next);
        *wait |= has < 0;
        best = has > 0 ? next : best;
    }
    return best;
}

/* Claims the next chunk of a file. NULL without memory. Under the lock. */
static struct fc_chunk *claim_of(struct shared *s, struct fc_scan_file *f, struct fc_unit *unit)
{
    struct fc_chunk *c = fc_chunk_new(f);

    if (!c || (!f->begun && begin_file(s, f)) || (!unit && !(unit = fc_unit_new(fc_table_stock(s->p->table))))) {
        fc_chunk_free(c);
        return NULL;
    }
    c->unit = unit;
    unit->chunks++;
    c->first = !f->begun;
    f->begun = true;
    c->from = f->claim_off;
    c->until = c->from + fc_pipeline_chunk_bytes(s->p, s->open_count);
    f->claim_off = c->until;
    if (!f->feed && f->claim_off > f->plan->file.size)
        f->claimed = true;
    if (f->last)
        f->last->next = c;
    else
        f->chunks = c;
    f->last = c;
    if (!f->uncommitted)
        f->uncommitted = c;
    f->in_flight++;
    return c;
}

/*
 * The next capture, when it is small and comes behind this one, whose chunk was scanned, in the same unit; NULL: no.
 * Under the lock.
 */
static struct fc_chunk *claim_behind(struct shared *s, const struct fc_chunk *c)
{
    struct fc_scan_file *next = &s->p->files[s->next_file];

    /* it must be all of its capture: who hands the unit over looks at no chunks behind those in it */
    if (s->failed || s->next_file == s->p->plan->count || !c->first || !c->file->claimed || c->next || !c->rising ||
        c->file->feed || c->file->plan->file.size > SMALL_BYTES || next->feed || next->plan->file.size > SMALL_BYTES ||
        next->plan->bound_ns < c->high_ns || c->unit->stretch_count >= UNIT_BYTES / CHUNK_LEAST || s->p->chunk_bytes)
        return NULL;
    return claim_of(s, next, c->unit);
}

/* Reads a chunk, and small captures behind it. The lock is held before and after, not meanwhile. */
static int read_on(struct worker *w, struct fc_chunk *c, struct fc_error *err)
{
    struct shared *s = w->s;
    int rc = 0;

    s->reading++;
    while (c && rc == 0) {
        struct fc_chunk *scanned = c;
        pthread_mutex_unlock(&s->lock);
        rc = read_chunk(w, c, err);
        pthread_mutex_lock(&s->lock);
        if (rc)
            break;
        c = claim_behind(s, scanned); /* before the unit can be handed over */
        scanned->state = FC_CHUNK_SCANNED;
        rc = tend(w, scanned->file, err);
    }
    s->reading--;
    return rc;
}

/* ---- the tide, and what it brings */

/*
 * Settles fragments as far as the tide has come, unless somebody else is about it. Under the lock, which it leaves
 * meanwhile.
 */
static int settle(struct worker *w, struct fc_error *err)
{
    struct shared *s = w->s;
    int rc = 0;

    if (s->settling)
        return 0;
    s->settling = true;
    while (rc == 0 && fc_place_before(&s->settled, &s->tide)) {
        struct fc_place to = s->tide;
        pthread_mutex_unlock(&s->lock);
        rc = fc_fragments_advance(s->p->fragments, &to, &w->advancer.shelf);
        pthread_mutex_lock(&s->lock);
        s->settled = to;
    }
    s->settling = false;
    pthread_cond_broadcast(&s->changed);
    return rc ? no_memory(err) : 0;
}

/* What an advance has failed by. */
static int advance_failed(struct worker *w, int rc, struct fc_error *err)
{
    if (w->emitter.err.code == rc)
        *err = w->emitter.err;
    else if (w->advancer.err.code == rc)
        *err = w->advancer.err;
    else
        fc_error_set(err, rc, NULL, FC_NO_OFFSET, "%s", fc_strerror(rc));
    return rc;
}

/* Advances partitions of the round until there is none left. Under the lock, which it leaves meanwhile. */
static int advance(struct worker *w, struct fc_error *err)
{
    struct shared *s = w->s;
    struct fc_table *table = s->p->table;
    int rc = 0;

    s->advancing++;
    while (rc == 0 && s->cursor < FC_PARTITIONS && !s->failed) {
        unsigned i = s->cursor++;
        struct fc_place to = s->round;
        bool stowing = s->stowing;
        pthread_mutex_unlock(&s->lock);
        rc = stowing ? fc_table_stow(table, i, &w->advancer) : fc_table_advance(table, i, &to, &w->advancer);
        if (rc == 0 && fc_table_bytes(table) > s->flow_bytes) {
            rc = fc_table_suspend(table, i, &w->advancer);
            __atomic_fetch_add(&s->p->suspended, rc == 0, __ATOMIC_RELAXED);
        }
        if (rc == 0 && interrupted(s->p))
            rc = fc_error_set(&w->advancer.err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
        pthread_mutex_lock(&s->lock);
        rc = rc > 0 ? 0 : rc; /* another worker was still about it: the next round has it */
    }
    s->advancing--;
    uint64_t notes = fc_stock_bytes(fc_table_stock(table)), bytes = fc_table_bytes(table) + notes;
    if (s->stowing && !s->advancing)
        s->stow_bytes = notes + s->p->memory_bytes / 8; /* what is left is still being read, or in no partition yet */
    s->p->peak_bytes = bytes > s->p->peak_bytes ? bytes : s->p->peak_bytes;
    pthread_cond_broadcast(&s->changed);
    return rc ? advance_failed(w, rc, err) : 0;
}

/*
 * Begins a round when enough has come: all that the tide has passed leaves the notes; where most of them wait for
 * captures that are behind, they are put away. Under the lock.
 */
static bool begin_round(struct shared *s)
{
    uint64_t bytes = fc_stock_bytes(fc_table_stock(s->p->table));

    if (s->cursor < FC_PARTITIONS || s->advancing || bytes < s->notes_bytes)
        return false;
    s->stowing = !fc_place_before(&s->round, &s->settled);
    if (s->stowing && bytes < s->stow_bytes)
        return false;
    s->round = s->settled;
    s->cursor = 0;
    pthread_cond_broadcast(&s->changed);
    return true;
}

/* ---- workers */

static void *work(void *arg)
{
    struct worker *w = arg;
    struct shared *s = w->s;
    struct fc_error err = {.code = 0};
    int rc = 0;

    rcu_register_thread();
    pthread_mutex_lock(&s->lock);
    while (rc == 0 && !s->failed) {
        struct fc_scan_file *f, *ended = NULL;
        bool wait = false;
        if (interrupted(s->p)) {
            rc = fc_error_set(&err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
        } else if (!s->settling && fc_place_before(&s->settled, &s->tide)) {
            rc = settle(w, &err);
        } else if (s->cursor < FC_PARTITIONS || begin_round(s)) {
            rc = advance(w, &err);
        } else if ((f = choose_file(s, &wait, &ended))) {
            struct fc_chunk *c = claim_of(s, f, NULL);
            rc = c ? read_on(w, c, &err) : no_memory(&err);
        } else if (ended) {
            rc = tend(w, ended, &err);
        } else if (wait || s->reading || s->settling) {
            pthread_cond_wait(&s->changed, &s->lock);
        } else {
            break;
        }
    }
    if (rc)
        fail_locked(s, rc, &err);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    fc_shelf_fini(&w->advancer.shelf); /* so that what others need is not here */
    rcu_unregister_thread();
    return NULL;
}

/* All is handed over: every worker finishes partitions until none is left. */
static void *finish(void *arg)
{
    struct worker *w = arg;
    struct shared *s = w->s;
    struct fc_error err = {.code = 0};
    int rc = 0;

    rcu_register_thread();
    while (rc == 0 && !atomic_load_explicit(&s->failed, memory_order_relaxed)) {
        pthread_mutex_lock(&s->lock);
        unsigned i = s->cursor < FC_PARTITIONS ? s->cursor++ : FC_PARTITIONS;
        pthread_mutex_unlock(&s->lock);
        if (i == FC_PARTITIONS)
            break;
        rc = fc_table_finish(s->p->table, i, s->resume, &w->advancer);
        assert(rc <= 0); /* one worker has it */
        if (rc)
            rc = advance_failed(w, rc, &err);
        else if (interrupted(s->p))
            rc = fc_error_set(&err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
    }
    if (rc == 0 && (rc = fc_spool_sort(w->emitter.spool, &w->emitter.err)))
        err = w->emitter.err;
    if (rc)
        fail(s, rc, &err);
    fc_shelf_fini(&w->advancer.shelf);
    rcu_unregister_thread();
    return NULL;
}

/* Runs `step` in all workers; the calling thread is the first of them. */
static void run_all(struct worker *workers, unsigned jobs, void *(*step)(void *))
{
    for (unsigned i = 1; i < jobs; i++)
        workers[i].started = pthread_create(&workers[i].thread, NULL, step, &workers[i]) == 0;
    step(&workers[0]); /* also does the work of those that could not be started */
    for (unsigned i = 1; i < jobs; i++)
        if (workers[i].started)
            pthread_join(workers[i].thread, NULL);
}

static int init_workers(struct shared *s, struct worker *workers)
{
    struct fc_pipeline *p = s->p;
    int rc = 0;

    for (unsigned i = 0; i < p->jobs; i++) {
        struct worker *w = &workers[i];
        w->s = s;
        w->emitter.spool = p->spools[i];
        w->emitter.progress = p->progress;
        w->advancer.sink = (struct fc_sink){fc_emitter_emit, &w->emitter};
        fc_shelf_init(&w->advancer.shelf, fc_table_stock(p->table));
        fc_door_init(&w->door, p->settings);
        if (fc_reader_init(&w->reader, FC_READER_BUFFER))
            rc = FC_E_NOMEM;
    }
    return rc;
}

static void fini_workers(struct shared *s, struct worker *workers)
{
    for (unsigned i = 0; i < s->p->jobs; i++) {
        fc_reader_fini(&workers[i].reader);
        fc_door_fini(&workers[i].door);
        fc_emitter_fini(&workers[i].emitter);
        fc_shelf_fini(&workers[i].advancer.shelf);
    }
}

/* Chunks that a failure has left. */
static void drop_chunks(struct shared *s)
{
    struct fc_shelf shelf;

    fc_shelf_init(&shelf, fc_table_stock(s->p->table));
    for (size_t i = 0; i < s->p->plan->count; i++)
        for (struct fc_chunk *c = s->p->files[i].chunks, *next; c; c = next) {
            next = c->next;
            if (!c->counted && --c->unit->chunks == 0)
                fc_unit_free(c->unit, &shelf);
            fc_chunk_free(c);
        }
    fc_shelf_fini(&shelf);
}

static int init_files(struct shared *s)
{
    struct fc_pipeline *p = s->p;
    size_t n = p->plan->count;

    if (!(s->beyond = malloc((n + 1) * sizeof *s->beyond)))
        return FC_E_NOMEM;
    s->beyond[n] = FC_PLACE_END;
    for (size_t i = n; i-- > 0;) {
        struct fc_scan_file *f = &p->files[i];
        f->frontier = (struct fc_place){f->plan->bound_ns, 0, f->plan->id, 0};
        f->open_index = SIZE_MAX;
        fc_clock_init(&f->clock);
        if (f->plan->state)
            f->clock = f->plan->state->clock;
        s->beyond[i] = fc_place_before(&f->frontier, &s->beyond[i + 1]) ? f->frontier : s->beyond[i + 1];
    }
    return 0;
}

/* A part of --memory is for notes; the rest is for flows, but for what the threads' buffers take. */
static void share_memory(struct shared *s)
{
    uint64_t memory = s->p->memory_bytes;

    s->notes_bytes = memory / 32 < 32 * MIB ? memory / 32 : 32 * MIB;
    s->flow_bytes = memory / 8 * 5;
    s->stow_bytes = memory / 4;
}

static int run(struct shared *s, struct worker *workers)
{
    struct fc_pipeline *p = s->p;
    struct fc_error err = {.code = 0};
    int rc = init_files(s);

    if (rc == 0)
        rc = init_workers(s, workers);
    if (rc == 0)
        rc = fc_feeder_start(p->feeder, p->jobs, told, s);
    if (rc)
        return rc;
    run_all(workers, p->jobs, work);
    fc_feeder_stop(p->feeder);
    if (!s->failed) {
        rcu_register_thread();
        if (fc_fragments_finish(p->fragments, p->clock_ns, &workers[0].advancer.shelf))
            fail(s, FC_E_NOMEM, &err);
        rcu_unregister_thread();
    }
    /* partitions that are in the file have the memory of the others */
    for (int i = 0; i < (p->suspended ? 2 : 1) && !s->failed; i++) {
        s->cursor = 0;
        s->resume = i == 1;
        run_all(workers, p->jobs, finish);
        fc_table_shrink(p->table);
    }
    p->peak_flows = fc_table_peak_flows(p->table);
    return 0;
}

int fc_pipeline_run(struct fc_pipeline *p, struct fc_error *err)
{
    struct shared *s = aligned_alloc(64, (sizeof *s + 63) & ~(size_t)63);
    struct worker *workers = calloc(p->jobs, sizeof *workers);
    int rc = FC_E_NOMEM;

    p->bad_file = SIZE_MAX;
    if (s)
        memset(s, 0, sizeof *s);
    if (!s || !workers) {
        no_memory(err);
        goto out;
    }
    s->p = p;
    s->tide = s->settled = s->round = (struct fc_place){INT64_MIN, 0, 0, 0};
    s->cursor = FC_PARTITIONS;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    share_memory(s);
    if ((rc = run(s, workers))) {
        no_memory(err);
    } else if ((rc = s->failed)) {
        *err = s->why;
    }
    fini_workers(s, workers);
    drop_chunks(s);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
out:
    if (s) {
        free(s->beyond);
        free(s->open);
    }
    free(s);
    free(workers);
    return rc;
}
