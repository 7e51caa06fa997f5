/* SPDX-License-Identifier: MIT */
/* Which chunk is read next, and reading it into notes. */
#include "capture/print.h"
#include "index/worker.h"

#include <stdio.h>

enum {
    SMALL_BYTES = 1 << 20, /* captures up to here share units, */
    UNIT_BYTES = 8 << 20,  /* which have so many bytes of them */
    CHUNK_LEAST = 64 << 10,
    CHUNK_MOST = 16 << 20,
    FLIGHT = 2,  /* chunks of one capture in flight, a worker, and a few */
    LOOK = 0xfff /* records between looks at whether to stop */
};

#define MIB ((uint64_t)1 << 20)

/* ---- reading */

static int scan_record(struct fc_worker *w, struct fc_chunk *c, const struct fc_record *rec, struct fc_error *err)
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
        return fc_no_memory(err);
    return 0;
}

int fc_worker_scan(struct fc_worker *w, struct fc_chunk *c, struct fc_error *err)
{
    struct fc_pipeline *p = w->s->p;
    const struct fc_file *file = &c->file->plan->file;
    struct fc_record rec;
    int rc;

    fc_chunk_begin(c);
    if (fc_unit_begin(c->unit, c->file->plan->id, c->start))
        return fc_no_memory(err);
    c->stretch = c->unit->stretch_count - 1;
    rc = fc_reader_start(&w->reader, file, c->start, c->until, c->section.number != UINT32_MAX ? &c->section : NULL);
    if (rc == FC_E_NOMEM)
        return fc_no_memory(err);
    if (rc)
        w->reader.failed = rc;
    else if (c->open.off != FC_NO_OFFSET)
        fc_reader_resume(&w->reader, &c->open);
    while ((rc = fc_reader_walk(&w->reader, &rec, c->until)) == 1) {
        c->record_bytes += rec.next_off - rec.off;
        if (fc_chunk_time(c, rec.ts_ns, rec.off))
            return fc_no_memory(err);
        if ((c->records & LOOK) == 0 &&
            (fc_pipeline_interrupted(p) || atomic_load_explicit(&w->s->failed, memory_order_relaxed)))
            return fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
        if ((rc = scan_record(w, c, &rec, err)))
            return rc;
    }
    if (rc < 0 && rc != FC_E_DAMAGED) {
        *err = w->reader.why;
        return rc == FC_E_NOMEM || rc == FC_E_INTERRUPTED ? rc : fc_pipeline_spoiled(p, c->file, rc);
    }
    return fc_chunk_end(c, &w->reader, err);
}

/*
 * Where to start: known when everything before is committed, else a guess. Without a section a pcapng is not guessed
 * at: nothing could be read from there on.
 */
static int choose_start(struct fc_worker *w, struct fc_chunk *c, struct fc_error *err)
{
    struct fc_shared *s = w->s;
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
        rc = fc_no_memory(err);
    c->start = known ? f->next_off : UINT64_MAX;
    c->open.off = FC_NO_OFFSET;
    if (known)
        c->open = f->open;
    pthread_mutex_unlock(&s->lock);
    if (rc == FC_E_IO || rc == FC_E_CHANGED || rc == FC_E_FORMAT)
        return fc_pipeline_spoiled(s->p, f, rc);
    if (rc || known || c->section.number == UINT32_MAX)
        return rc;
    c->start = fc_reader_guess(&w->reader, &f->plan->file, c->from, c->until, &c->section);
    return 0;
}

static int read_chunk(struct fc_worker *w, struct fc_chunk *c, struct fc_error *err)
{
    int rc = choose_start(w, c, err);
    struct fc_prints prints;

    if (rc == 0 && c->first && !c->file->feed &&
        (rc = fc_file_prints(&c->file->plan->file, c->file->plan->file.stored_size, &prints, err)))
        rc = fc_pipeline_spoiled(w->s->p, c->file, rc);
    if (rc == 0 && c->first && !c->file->feed) {
        c->file->fingerprint = prints.samples;
        c->file->stored_fingerprint = prints.stored;
    }
    return rc == 0 && c->start != UINT64_MAX ? fc_worker_scan(w, c, err) : rc;
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
static int has_chunk(struct fc_shared *s, struct fc_scan_file *f)
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

static int begin_file(struct fc_shared *s, struct fc_scan_file *f)
{
    if (fc_vector_reserve(&s->open, &s->open_room, s->open_count + 1, sizeof(struct fc_scan_file *)))
        return FC_E_NOMEM;
    f->open_index = s->open_count;
    s->open[s->open_count++] = f;
    s->next_file++;
    return 0;
}

struct fc_scan_file *fc_claim_choose(struct fc_shared *s, bool *wait, struct fc_scan_file **ended)
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

struct fc_chunk *fc_claim_chunk(struct fc_shared *s, struct fc_scan_file *f, struct fc_unit *unit)
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
static struct fc_chunk *claim_behind(struct fc_shared *s, const struct fc_chunk *c)
{
    struct fc_scan_file *next = &s->p->files[s->next_file];

    /* it must be all of its capture: who hands the unit over looks at no chunks behind those in it */
    if (s->failed || s->next_file == s->p->plan->count || !c->first || !c->file->claimed || c->next || !c->rising ||
        c->file->feed || c->file->plan->file.size > SMALL_BYTES || next->feed || next->plan->file.size > SMALL_BYTES ||
        next->plan->bound_ns < c->high_ns || c->unit->stretch_count >= UNIT_BYTES / CHUNK_LEAST || s->p->chunk_bytes)
        return NULL;
    return fc_claim_chunk(s, next, c->unit);
}

int fc_worker_read(struct fc_worker *w, struct fc_chunk *c, struct fc_error *err)
{
    struct fc_shared *s = w->s;
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
        rc = fc_worker_tend(w, scanned->file, err);
    }
    s->reading--;
    return rc;
}
