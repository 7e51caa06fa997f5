/* SPDX-License-Identifier: MIT */
#include "index/slot.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fc_lender_init(struct fc_lender *l, size_t count, const struct fc_table *table, const struct fc_rules *rules,
                   bool want_extra)
{
    memset(l, 0, sizeof *l);
    l->chunks = calloc(count, sizeof *l->chunks);
    l->spare = calloc(count, sizeof *l->spare);
    if (!l->chunks || !l->spare)
        return FC_E_NOMEM;
    for (; l->count < count; l->count++) {
        if (fc_chunk_init(&l->chunks[l->count], table, rules, want_extra))
            return FC_E_NOMEM;
        fc_lender_give(l, &l->chunks[l->count]);
    }
    return 0;
}

void fc_lender_fini(struct fc_lender *l)
{
    for (size_t i = 0; i < l->count; i++)
        fc_chunk_fini(&l->chunks[i]);
    free(l->chunks);
    free(l->spare);
    memset(l, 0, sizeof *l);
}

struct fc_chunk *fc_lender_take(struct fc_lender *l)
{
    return l->spare[--l->spares];
}

void fc_lender_give(struct fc_lender *l, struct fc_chunk *chunk)
{
    l->spare[l->spares++] = chunk;
}

uint64_t fc_lender_bytes(const struct fc_lender *l)
{
    uint64_t sum = 0, most = 0;

    for (size_t i = 0; i < l->spares; i++) {
        uint64_t bytes = fc_chunk_bytes(l->spare[i]);
        sum += bytes;
        most = bytes > most ? bytes : most;
    }
    return sum + (l->count - l->spares) * most;
}

void fc_slot_fini(struct fc_slot *slot)
{
    fc_section_free(&slot->section);
    fc_section_free(&slot->end_section);
    free(slot->met);
    free(slot->lost.items);
    memset(slot, 0, sizeof *slot);
}

void fc_slot_begin(struct fc_slot *slot)
{
    fc_chunk_begin(slot->runs, slot->file->plan->id, slot->start == UINT64_MAX ? 0 : slot->start);
    slot->met_count = 0;
    slot->records = slot->ignored = slot->malformed = slot->backward = 0;
    slot->low_ns = slot->high_ns = slot->head_ns = slot->tail_ns = FC_TIME_NONE;
    slot->header_bytes = slot->record_bytes = slot->other_bytes = 0;
    slot->lost.count = 0;
    slot->lost.bytes = 0;
    slot->end_open.off = FC_NO_OFFSET;
    slot->failed = false;
}

void fc_slot_fail(struct fc_slot *slot, const struct fc_error *why)
{
    slot->failed = true;
    slot->end_open = (struct fc_open_damage){.off = slot->end};
    snprintf(slot->end_open.cause, sizeof slot->end_open.cause, "%.*s", (int)sizeof slot->end_open.cause - 1,
             why->cause);
}

int fc_slot_end(struct fc_slot *slot, struct fc_reader *reader, struct fc_error *err)
{
    struct fc_damage_list spare = slot->lost;

    slot->end = reader->pos;
    slot->header_bytes = reader->header_bytes;
    slot->other_bytes = reader->other_bytes;
    slot->lost = reader->lost;
    spare.count = 0;
    spare.bytes = 0;
    reader->lost = spare;
    if (reader->failed == FC_E_DAMAGED)
        fc_reader_suspend(reader, &slot->end_open);
    else if (reader->failed)
        fc_slot_fail(slot, &reader->why);
    free(slot->met);
    slot->met = NULL;
    slot->met_count = reader->met_count;
    if (reader->met_count) {
        slot->met = malloc(reader->met_count * sizeof *slot->met);
        if (!slot->met) {
            slot->met_count = 0;
            return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        }
        memcpy(slot->met, reader->met, reader->met_count * sizeof *slot->met);
    }
    fc_section_free(&slot->end_section);
    if (fc_section_copy(&slot->end_section, &reader->section))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    return 0;
}

int fc_scan_file_met(struct fc_scan_file *f, const struct fc_interface *met, size_t count)
{
    size_t want = f->iface_count + count;

    if (want > f->iface_room) {
        size_t room = want * 2;
        struct fc_interface *bigger = realloc(f->ifaces, room * sizeof *bigger);
        if (!bigger)
            return FC_E_NOMEM;
        f->ifaces = bigger;
        f->iface_room = room;
    }
    if (count)
        memcpy(f->ifaces + f->iface_count, met, count * sizeof *met);
    f->iface_count = want;
    return 0;
}

static int merge_damage(struct fc_slot *slot, struct fc_scan_file *f)
{
    uint64_t bytes = f->damage.bytes + slot->lost.bytes;
    size_t count = f->damage.count + slot->lost.count;
    int rc = 0;

    for (size_t i = 0; i < fc_damage_kept(&slot->lost) && rc == 0; i++) {
        const struct fc_damage *d = &slot->lost.items[i];
        rc = fc_damage_add(&f->damage, d->off, d->length, d->cause);
    }
    f->damage.count = count; /* those not kept count too */
    f->damage.bytes = bytes;
    f->open = slot->end_open;
    f->ended = slot->failed;
    return rc;
}

int fc_slot_merge(struct fc_slot *slot, struct fc_scan_file *f)
{
    struct fc_section section = f->section;

    f->section = slot->end_section;
    slot->end_section = section;
    f->next_off = slot->end;
    f->records += slot->records;
    f->ignored += slot->ignored;
    f->malformed += slot->malformed;
    f->backward += slot->backward;
    f->header_bytes += slot->header_bytes;
    f->record_bytes += slot->record_bytes;
    f->other_bytes += slot->other_bytes;
    if (slot->head_ns != FC_TIME_NONE) {
        if (f->tail_ns != FC_TIME_NONE)
            f->backward += slot->head_ns < f->tail_ns;
        f->first_ns = f->first_ns == FC_TIME_NONE || slot->low_ns < f->first_ns ? slot->low_ns : f->first_ns;
        f->last_ns = f->last_ns == FC_TIME_NONE || slot->high_ns > f->last_ns ? slot->high_ns : f->last_ns;
        f->tail_ns = slot->tail_ns;
    }
    if (fc_scan_file_met(f, slot->met, slot->met_count))
        return FC_E_NOMEM;
    return merge_damage(slot, f);
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
    uint64_t off = f->open.off;
    int rc = 0;

    if (f->feed) /* what was read before, when it was planned, counts where it cannot be read again */
        file->size = fc_feed_size(f->feed) > f->next_off ? fc_feed_size(f->feed) : f->next_off;
    if (off != FC_NO_OFFSET)
        rc = fc_damage_add(&f->damage, off, file->size > off ? file->size - off : 0, f->open.cause);
    return rc || !f->feed ? rc : add_fed_damage(f);
}
