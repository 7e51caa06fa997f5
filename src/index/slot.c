/* SPDX-License-Identifier: MIT */
#include "index/slot.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fc_slot_init(struct fc_slot *slot, const struct fc_table *table, const struct fc_rules *rules, bool want_extra)
{
    memset(slot, 0, sizeof *slot);
    return fc_chunk_init(&slot->chunk_runs, table, rules, want_extra);
}

void fc_slot_fini(struct fc_slot *slot)
{
    fc_chunk_fini(&slot->chunk_runs);
    fc_section_free(&slot->section);
    fc_section_free(&slot->end_section);
    free(slot->met);
    memset(slot, 0, sizeof *slot);
}

void fc_slot_begin(struct fc_slot *slot)
{
    fc_chunk_begin(&slot->chunk_runs, slot->file->plan->id, slot->start == UINT64_MAX ? 0 : slot->start);
    slot->met_count = 0;
    slot->records = slot->ignored = slot->malformed = slot->backward = 0;
    slot->low_ns = slot->high_ns = slot->head_ns = slot->tail_ns = FC_TIME_NONE;
    slot->damaged = false;
}

int fc_slot_end(struct fc_slot *slot, struct fc_reader *reader, struct fc_error *err)
{
    slot->end = reader->pos;
    if (reader->failed) {
        slot->damaged = true;
        slot->damage = reader->why;
        slot->damage_off = reader->failed == FC_E_DAMAGED ? reader->damage_off : reader->pos;
    }
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

static int merge_interfaces(struct fc_slot *slot, struct fc_scan_file *f)
{
    size_t want = f->iface_count + slot->met_count;

    if (want > f->iface_room) {
        size_t room = want * 2;
        struct fc_interface *bigger = realloc(f->ifaces, room * sizeof *bigger);
        if (!bigger)
            return FC_E_NOMEM;
        f->ifaces = bigger;
        f->iface_room = room;
    }
    if (slot->met_count)
        memcpy(f->ifaces + f->iface_count, slot->met, slot->met_count * sizeof *slot->met);
    f->iface_count = want;
    return 0;
}

static struct fc_file_damage *add_damage(struct fc_scan_file *f)
{
    struct fc_file_damage *bigger = realloc(f->damage, (f->damage_count + 1) * sizeof *bigger);

    if (!bigger)
        return NULL;
    f->damage = bigger;
    struct fc_file_damage *d = &f->damage[f->damage_count++];
    memset(d, 0, sizeof *d);
    return d;
}

static int merge_damage(struct fc_slot *slot, struct fc_scan_file *f)
{
    struct fc_file_damage *d = add_damage(f);

    if (!d)
        return FC_E_NOMEM;
    d->off = slot->damage_off;
    d->length = f->plan->file.size > slot->damage_off ? f->plan->file.size - slot->damage_off : 0;
    memcpy(d->cause, slot->damage.cause, sizeof d->cause - 1);
    f->ended = true;
    return 0;
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
    if (slot->head_ns != FC_TIME_NONE) {
        if (f->tail_ns != FC_TIME_NONE)
            f->backward += slot->head_ns < f->tail_ns;
        f->first_ns = f->first_ns == FC_TIME_NONE || slot->low_ns < f->first_ns ? slot->low_ns : f->first_ns;
        f->last_ns = f->last_ns == FC_TIME_NONE || slot->high_ns > f->last_ns ? slot->high_ns : f->last_ns;
        f->tail_ns = slot->tail_ns;
    }
    if (merge_interfaces(slot, f))
        return FC_E_NOMEM;
    return slot->damaged ? merge_damage(slot, f) : 0;
}

int fc_scan_file_fed(struct fc_scan_file *f)
{
    struct fc_file *file = &f->plan->file;
    size_t count, own = f->damage_count;
    const struct fc_file_damage *found = fc_feed_damage(f->feed, &count);

    file->size = fc_feed_size(f->feed);
    for (size_t i = 0; i < own; i++)
        if (f->damage[i].off + f->damage[i].length == FC_SIZE_UNKNOWN) /* to the end, wherever that is */
            f->damage[i].length = file->size > f->damage[i].off ? file->size - f->damage[i].off : 0;
    for (size_t i = 0; i < count; i++) {
        struct fc_file_damage *d = NULL;
        for (size_t k = 0; k < own; k++)
            if (f->damage[k].off == found[i].off)
                d = &f->damage[k];
        size_t len = d ? strlen(d->cause) : 0;
        if (!d && !(d = add_damage(f)))
            return FC_E_NOMEM;
        d->off = found[i].off;
        snprintf(d->cause + len, sizeof d->cause - len, "%s%s", len ? "; " : "", found[i].cause);
    }
    return 0;
}
