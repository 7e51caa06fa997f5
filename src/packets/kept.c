/* SPDX-License-Identifier: MIT */
#include "packets/kept.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

/* A capture is open, for the first time: what is known of it is noted. */
static int note_shape(void *ctx, struct fc_places *places, struct fc_place_file *f, struct fc_error *err)
{
    struct fc_kept *kept = ctx;

    if (!kept->shapes && !(kept->shapes = calloc(places->stored.count, sizeof *kept->shapes)))
        return no_memory(err);
    struct fc_file *shape = &kept->shapes[f - places->files];
    *shape = f->file;
    shape->fd = -1;
    shape->path = f->stored->path;
    shape->source = NULL;
    return 0;
}

/* Appends the source's current record, which is that of position `place`. */
static int keep(struct fc_kept *kept, const struct fc_record_source *s, size_t place, struct fc_error *err)
{
    struct fc_put_aside head = {
        .rec = s->rec, .place = place, .iface = (uint32_t)s->iface, .is_block = s->block != NULL};
    const uint8_t *bytes = s->block ? s->block : s->rec.data;
    size_t len = kept->memory.len;

    head.block_len = s->block ? (uint32_t)(s->rec.next_off - s->rec.off) : s->rec.caplen;
    head.data_at = s->block ? (uint32_t)(s->rec.data - s->block) : 0;
    if (fc_buffer_reserve(&kept->memory, len + sizeof head + head.block_len))
        return no_memory(err);
    memcpy(kept->memory.data + len, &head, sizeof head);
    if (head.block_len)
        memcpy(kept->memory.data + len + sizeof head, bytes, head.block_len);
    kept->memory.len += sizeof head + head.block_len;
    kept->at[s->f - kept->all.places.files][place] = len;
    return 0;
}

static int read_records(struct fc_kept *kept, struct fc_error *err)
{
    struct fc_places *places = &kept->all.places;
    struct fc_record_source *source;
    int rc;

    kept->at = calloc(places->stored.count + 1, sizeof *kept->at);
    if (!kept->at)
        return no_memory(err);
    for (size_t i = 0; i < places->stored.count; i++) {
        size_t size = places->files[i].count * sizeof **kept->at;
        if (!size)
            continue;
        if (!(kept->at[i] = malloc(size)))
            return no_memory(err);
        memset(kept->at[i], 0xff, size); /* FC_KEPT_NONE */
    }
    if ((rc = fc_packets_start(&kept->all, err)))
        return rc;
    while (rc == 0 && (rc = fc_packets_step(&kept->all, &source, err)) == 1)
        rc = keep(kept, source, source->next - 1, err);
    if (places->changed_why.code)
        kept->absent = places->changed_why;
    return rc;
}

/* Positions by session in place of by capture. */
static int sort_out(struct fc_kept *kept, struct fc_error *err)
{
    struct fc_places *places = &kept->all.places;
    size_t total = 0, *next;

    kept->first = calloc(places->session_count + 2, sizeof *kept->first);
    if (!kept->first)
        return no_memory(err);
    for (size_t i = 0; i < places->stored.count; i++) {
        total += places->files[i].count;
        for (size_t k = 0; k < places->files[i].count; k++)
            kept->first[places->files[i].pos[k].session + 2]++;
    }
    for (size_t i = 2; i < places->session_count + 2; i++)
        kept->first[i] += kept->first[i - 1];
    kept->places = malloc((total + 1) * sizeof *kept->places);
    kept->place_at = malloc((total + 1) * sizeof *kept->place_at);
    kept->files = calloc(places->stored.count + 1, sizeof *kept->files);
    if (!kept->places || !kept->place_at || !kept->files)
        return no_memory(err);
    next = kept->first + 1; /* of session i at i: in the end it is where the next one begins */
    for (size_t i = 0; i < places->stored.count; i++)
        for (size_t k = 0; k < places->files[i].count; k++) {
            size_t to = next[places->files[i].pos[k].session]++;
            kept->places[to] = (struct fc_place){places->files[i].pos[k].off, i};
            kept->place_at[to] = kept->at[i][k];
            kept->absent_count += kept->at[i][k] == FC_KEPT_NONE;
        }
    for (size_t i = 0; i < places->stored.count; i++) {
        kept->files[i].stored = &places->stored.items[i];
        if (kept->shapes)
            kept->files[i].file = kept->shapes[i];
    }
    return 0;
}

int fc_kept_read(struct fc_kept *kept, struct fc_db *db, const struct fc_filter *filter,
                 const struct fc_packets_options *options, struct fc_error *err)
{
    struct fc_packets_options o = *options;
    int rc;

    memset(kept, 0, sizeof *kept);
    o.order = FC_PACKETS_BY_FILE;
    if ((rc = fc_packets_find(&kept->all, db, filter, &o, note_shape, kept, err)) || (rc = read_records(kept, err)))
        return rc;
    return sort_out(kept, err);
}

void fc_kept_fini(struct fc_kept *kept)
{
    for (size_t i = 0; kept->at && i < kept->all.places.stored.count; i++)
        free(kept->at[i]);
    free(kept->at);
    free(kept->shapes);
    free(kept->places);
    free(kept->place_at);
    free(kept->first);
    free(kept->files);
    fc_buffer_fini(&kept->memory);
    fc_packets_fini(&kept->all);
    memset(kept, 0, sizeof *kept);
}

void fc_kept_enter(struct fc_kept *kept, size_t i, struct fc_packets *packets)
{
    const struct fc_places *all = &kept->all.places;
    struct fc_place_session *session = &kept->all.places.sessions[i];

    packets->by_time = packets->read = true;
    packets->db_path = kept->all.db_path;
    packets->places = (struct fc_places){.stored = all->stored,
                                         .files = kept->files,
                                         .sessions = session,
                                         .session_count = 1,
                                         .partial = all->partial,
                                         .mask = all->mask,
                                         .low_ns = session->start_ns,
                                         .high_ns = session->end_ns,
                                         .timeless = session->start_ns == FC_TIME_NONE,
                                         .kept = kept,
                                         .stop = all->stop};
    session->shown = 0;
    session->enough = false;
    for (size_t k = kept->first[i]; k < kept->first[i + 1]; k++) {
        struct fc_place_file *f = &kept->files[kept->places[k].session];
        kept->places[k].session = 0; /* the only one that these places have */
        if (!f->count) {
            f->pos = &kept->places[k];
            f->kept_at = &kept->place_at[k];
        }
        f->count++;
    }
}

void fc_kept_leave(struct fc_kept *kept, struct fc_packets *packets)
{
    for (size_t n = 0; n < kept->all.places.stored.count; n++) {
        kept->files[n].pos = NULL;
        kept->files[n].kept_at = NULL;
        kept->files[n].count = 0;
    }
    fc_packets_stop(packets);
    free(packets->places.missing);
    memset(packets, 0, sizeof *packets);
}
