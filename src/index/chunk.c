/* SPDX-License-Identifier: MIT */
#include "index/chunk.h"
#include "base/error.h"
#include "base/vector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fc_chunk *fc_chunk_new(struct fc_scan_file *file)
{
    struct fc_chunk *c = calloc(1, sizeof *c);

    if (c) {
        c->file = file;
        c->stretch = SIZE_MAX;
        c->start = UINT64_MAX;
    }
    return c;
}

void fc_chunk_free(struct fc_chunk *c)
{
    if (!c)
        return;
    fc_section_free(&c->section);
    fc_section_free(&c->end_section);
    free(c->met);
    free(c->lost.items);
    free(c->times);
    free(c);
}

void fc_chunk_begin(struct fc_chunk *c)
{
    c->met_count = 0;
    c->records = c->ignored = c->malformed = c->backward = 0;
    c->low_ns = c->high_ns = c->head_ns = c->tail_ns = FC_TIME_NONE;
    c->rising = true;
    c->header_bytes = c->record_bytes = c->other_bytes = 0;
    c->lost.count = 0;
    c->lost.bytes = 0;
    c->tail_off = FC_NO_OFFSET;
    c->pending_bytes = 0;
    c->end_open.off = FC_NO_OFFSET;
}

int fc_chunk_end(struct fc_chunk *chunk, struct fc_reader *reader, struct fc_error *err)
{
    struct fc_damage_list spare = chunk->lost;

    chunk->end = reader->pos;
    chunk->header_bytes = reader->header_bytes;
    chunk->other_bytes = reader->other_bytes;
    chunk->lost = reader->lost;
    chunk->tail_off = reader->tail_off;
    chunk->pending_bytes = reader->pending_bytes;
    spare.count = 0;
    spare.bytes = 0;
    reader->lost = spare;
    if (reader->failed == FC_E_DAMAGED)
        fc_reader_suspend(reader, &chunk->end_open);
    free(chunk->met);
    chunk->met = NULL;
    chunk->met_count = reader->met_count;
    if (reader->met_count) {
        chunk->met = malloc(reader->met_count * sizeof *chunk->met);
        if (!chunk->met) {
            chunk->met_count = 0;
            return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        }
        memcpy(chunk->met, reader->met, reader->met_count * sizeof *chunk->met);
    }
    fc_section_free(&chunk->end_section);
    if (fc_section_copy(&chunk->end_section, &reader->section))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    return 0;
}

int fc_scan_file_met(struct fc_scan_file *f, const struct fc_interface *met, size_t count)
{
    size_t want = f->iface_count + count;

    if (fc_vector_reserve(&f->ifaces, &f->iface_room, want, sizeof *f->ifaces))
        return FC_E_NOMEM;
    if (count)
        memcpy(f->ifaces + f->iface_count, met, count * sizeof *met);
    f->iface_count = want;
    return 0;
}

static int merge_damage(struct fc_chunk *chunk, struct fc_scan_file *f)
{
    uint64_t bytes = f->damage.bytes + chunk->lost.bytes;
    size_t count = f->damage.count + chunk->lost.count;
    int rc = 0;

    for (size_t i = 0; i < fc_damage_kept(&chunk->lost) && rc == 0; i++) {
        const struct fc_damage *d = &chunk->lost.items[i];
        rc = fc_damage_add(&f->damage, d->off, d->length, d->cause);
    }
    f->damage.count = count; /* those not kept count too */
    f->damage.bytes = bytes;
    f->open = chunk->end_open;
    if (chunk->tail_off != FC_NO_OFFSET)
        f->tail_off = chunk->tail_off;
    f->pending_bytes += chunk->pending_bytes;
    return rc;
}

int fc_chunk_merge(struct fc_chunk *chunk, struct fc_scan_file *f)
{
    struct fc_section section = f->section;

    f->section = chunk->end_section;
    chunk->end_section = section;
    f->next_off = chunk->end;
    f->records += chunk->records;
    f->ignored += chunk->ignored;
    f->malformed += chunk->malformed;
    f->backward += chunk->backward;
    f->header_bytes += chunk->header_bytes;
    f->record_bytes += chunk->record_bytes;
    f->other_bytes += chunk->other_bytes;
    if (chunk->head_ns != FC_TIME_NONE) {
        if (f->tail_ns != FC_TIME_NONE)
            f->backward += chunk->head_ns < f->tail_ns;
        f->first_ns = f->first_ns == FC_TIME_NONE || chunk->low_ns < f->first_ns ? chunk->low_ns : f->first_ns;
        f->last_ns = f->last_ns == FC_TIME_NONE || chunk->high_ns > f->last_ns ? chunk->high_ns : f->last_ns;
        f->tail_ns = chunk->tail_ns;
    }
    if (fc_scan_file_met(f, chunk->met, chunk->met_count))
        return FC_E_NOMEM;
    return merge_damage(chunk, f);
}

static int compare_damage(const void *a, const void *b)
{
    const struct fc_damage *x = a, *y = b;

    return x->off < y->off ? -1 : x->off > y->off;
}

/* Damage to the compressed data; where the reader met damage at the same place, that becomes its cause too. */
static int add_fed_damage(struct fc_scan_file *f)
{
    size_t count, own = fc_damage_kept(&f->damage);
    const struct fc_damage *found = fc_feed_damage(f->feed, &count);
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++) {
        if (f->plan->state && found[i].off < f->plan->state->stream_size) /* the index lists it */
            continue;
        struct fc_damage *d = own ? bsearch(&found[i], f->damage.items, own, sizeof *d, compare_damage) : NULL;
        size_t len = d ? strlen(d->cause) : 0;
        if (d)
            snprintf(d->cause + len, sizeof d->cause - len, "; %s", found[i].cause);
        else
            rc = fc_damage_add(&f->damage, found[i].off, 0, found[i].cause);
    }
    if (count)
        qsort(f->damage.items, fc_damage_kept(&f->damage), sizeof *f->damage.items, compare_damage);
    return rc;
}

int fc_scan_file_end(struct fc_scan_file *f)
{
    struct fc_file *file = &f->plan->file;
    uint64_t off = f->open.off, left;
    int rc = 0;

    if (f->feed) /* what was read before, when it was planned, counts where it cannot be read again */
        file->size = fc_feed_size(f->feed) > f->next_off ? fc_feed_size(f->feed) : f->next_off;
    if (off != FC_NO_OFFSET) {
        left = file->size > off ? file->size - off : 0;
        f->tail_off = off;
        if (left && fc_file_unfinished(file, f->open.ends))
            f->pending_bytes = left;
        else
            rc = fc_damage_add(&f->damage, off, left, f->open.cause);
    }
    return rc || !f->feed ? rc : add_fed_damage(f);
}

/* Notes that a record's counted time is none that its stretch tells. */
static int add_odd(struct fc_stretch *st, size_t *room, uint64_t off, int64_t ns)
{
    if (fc_vector_reserve(&st->odd, room, st->odd_count + 1, sizeof *st->odd))
        return FC_E_NOMEM;
    st->odd[st->odd_count++] = (struct fc_odd_time){st->start + (uint32_t)(off - st->base_off), ns};
    return 0;
}

int fc_chunk_count_times(struct fc_chunk *c, const int64_t *ahead, size_t count)
{
    struct fc_clock *clock = &c->file->clock;
    struct fc_stretch *st = c->stretch == SIZE_MAX ? NULL : &c->unit->stretches[c->stretch];
    int64_t next[FC_CLOCK_AHEAD], least = INT64_MAX, shift = clock->shift_ns;
    size_t n = (size_t)c->records, room = 0;

    for (size_t i = 0; i < count; i++)
        least = ahead[i] != FC_TIME_NONE && ahead[i] < least ? ahead[i] : least;
    if (st)
        st->shift_ns = shift;
    if (!n)
        return 0;
    if (c->rising && fc_clock_is_plain(clock, c->head_ns, c->tail_ns, least)) {
        /* a time like the one before breaks no row of those that are behind, but here there is none */
        clock->counted_ns = c->tail_ns + shift;
        clock->behind = 0;
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        for (; k < FC_CLOCK_AHEAD && i + 1 + k < n; k++)
            next[k] = c->times[i + 1 + k].ts_ns;
        for (size_t a = 0; k < FC_CLOCK_AHEAD && a < count; a++)
            next[k++] = ahead[a];
        int64_t ts = c->times[i].ts_ns, ns = fc_clock_count(clock, ts, next, k);
        if (st && (ts == FC_TIME_NONE || ns != fc_time_add(ts, shift)) && add_odd(st, &room, c->times[i].off, ns))
            return FC_E_NOMEM;
    }
    return 0;
}
