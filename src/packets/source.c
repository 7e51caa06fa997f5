/* SPDX-License-Identifier: MIT */
#include "packets/source.h"
#include "base/error.h"
#include "capture/pcapng.h"
#include "capture/remote.h"
#include "capture/section.h"
#include "flow/key.h"
#include "packets/kept.h"
#include "store/sorter.h"

#include <stdlib.h>
#include <string.h>

enum {
    AHEAD = 8, /* records whose sessions are fetched before they are asked for */
};

/* How records are read together, in bytes. */
struct reach {
    size_t gap;  /* two records nearer than this are read at once, */
    size_t span; /* with no more than that at a time */
    size_t lone; /* for a record without neighbours: most fit, the rest take a second read */
};
static const struct reach near = {32 << 10, 256 << 10, 2 << 10};
/* A request to an archive takes as long as some hundred KiB. What is compressed there is read ahead below. */
static const struct reach far = {256 << 10, 2 << 20, 16 << 10};

static const struct reach *reach_of(const struct fc_file *file)
{
    return file->remote && !file->source ? &far : &near;
}

/* How much to read at position i: up to the last record that is near enough. */
static size_t span(struct fc_record_source *s, size_t i)
{
    const struct reach *reach = reach_of(&s->f->file);
    uint64_t off = s->f->pos[i].off, last = off;

    if (off < s->span_end)
        return reach->lone;
    for (i++; i < s->f->count && s->f->pos[i].off > last; i++) {
        if (s->f->pos[i].off - last > reach->gap || s->f->pos[i].off - off > reach->span - reach->lone)
            break;
        last = s->f->pos[i].off;
    }
    s->span_end = last + 1;
    return (size_t)(last - off) + reach->lone;
}

/* Has the reader read with the section and the interfaces that hold at `off`. */
static int enter_section(struct fc_record_source *s, uint64_t off, struct fc_error *err)
{
    const struct fc_stored_file *stored = s->f->stored;
    uint64_t end;
    size_t last;
    int rc;

    fc_section_free(&s->section);
    if (!fc_section_range(stored->ifaces, stored->iface_count, off, &s->first_iface, &last, &end))
        rc = FC_E_DAMAGED;
    else if ((rc = fc_section_at(stored->ifaces, stored->iface_count, off, &s->section)) == 0)
        rc = fc_reader_start(&s->reader, &s->f->file, off, UINT64_MAX, &s->section);
    if (rc && rc != FC_E_NOMEM && rc != FC_E_DAMAGED) {
        *err = s->reader.why;
        return rc;
    }
    if (rc)
        return fc_error_set(err, rc == FC_E_NOMEM ? rc : FC_E_CHANGED, stored->path, off, "no interface holds here");
    return 0;
}

/* A record that was read before. */
static int take_kept(struct fc_record_source *s, size_t i, struct fc_error *err)
{
    const struct fc_kept *kept = s->places->kept;
    struct fc_put_aside head;
    const uint8_t *bytes;

    if (s->f->kept_at[i] == FC_KEPT_NONE) {
        *err = kept->absent;
        return FC_E_CHANGED;
    }
    bytes = kept->memory.data + s->f->kept_at[i];
    memcpy(&head, bytes, sizeof head);
    bytes += sizeof head;
    s->rec = head.rec;
    s->rec.data = bytes + head.data_at;
    s->iface = head.iface;
    s->block = head.is_block ? bytes : NULL;
    return 1;
}

int fc_record_source_read(struct fc_record_source *s, size_t i, struct fc_error *err)
{
    if (s->places->kept)
        return take_kept(s, i, err);
    const struct fc_stored_file *stored = s->f->stored;
    uint64_t off = s->f->pos[i].off;
    bool pcapng = s->f->file.format == FC_FORMAT_PCAPNG, parts = pcapng || stored->iface_count > 1;
    int rc;

    if (parts && !fc_section_covers(&s->section, stored->ifaces, stored->iface_count, off) &&
        (rc = enter_section(s, off, err)))
        return rc;
    uint64_t buf_end = s->reader.buf_off + s->reader.buf_len;
    rc = fc_reader_at(&s->reader, off, span(s, i), &s->rec);
    if (s->reader.buf_off + s->reader.buf_len != buf_end && !s->f->file.source)
        s->bytes_read += s->reader.buf_len;
    if (s->f->file.remote)
        s->bytes_read = fc_remote_fetched(s->f->file.remote);
    else if (s->f->file.source)
        s->bytes_read = s->f->file.source->bytes_read;
    if (s->f->file.source) {
        s->bytes_decoded = s->f->file.source->bytes_decoded;
    }
    if (rc == 1) {
        s->iface = s->first_iface + s->rec.iface;
        s->block = pcapng ? fc_pcapng_block(&s->reader, &s->rec) : NULL;
        return 1;
    }
    *err = s->reader.why;
    return rc == FC_E_DAMAGED
               ? fc_error_set(err, FC_E_CHANGED, stored->path, off,
                              "the capture has changed since it was indexed: %.300s", s->reader.why.cause)
               : rc;
}

static int sort_by_time(struct fc_record_source *s, struct fc_error *err)
{
    struct fc_place_file *f = s->f;
    uint64_t *list = malloc(f->count * 3 * sizeof *list); /* time, offset, session */
    int64_t last = FC_TIME_NONE;
    int rc = list ? 1 : FC_E_NOMEM;

    for (size_t i = 0; i < f->count && rc == 1; i++) {
        rc = fc_record_source_read(s, i, err);
        if (rc == FC_E_CHANGED && s->places->partial)
            rc = 1; /* left out when its turn comes */
        else if (rc == 1 && s->rec.ts_ns != FC_TIME_NONE)
            last = s->rec.ts_ns;
        list[3 * i] = (uint64_t)last ^ (uint64_t)1 << 63;
        list[3 * i + 1] = f->pos[i].off;
        list[3 * i + 2] = f->pos[i].session;
    }
    if (list && rc != 1) {
        free(list);
        return rc;
    }
    free(f->pos); /* it takes memory enough without them */
    f->pos = NULL;
    int sorted = list ? fc_sorter_array(&list, f->count, 3, 63, s->places->stop) : FC_E_NOMEM;
    if (sorted == 0 && !(f->pos = malloc(f->count * sizeof *f->pos)))
        sorted = FC_E_NOMEM;
    if (sorted)
        rc = fc_error_set(err, sorted, NULL, FC_NO_OFFSET, "%s", fc_strerror(sorted));
    for (size_t i = 0; i < f->count && f->pos; i++)
        f->pos[i] = (struct fc_place){list[3 * i + 1], list[3 * i + 2]};
    free(list);
    s->span_end = 0;
    return rc == 1 ? 0 : rc;
}

int fc_record_source_open(struct fc_record_source *s, struct fc_places *places, struct fc_place_file *file,
                          struct fc_error *err)
{
    /* a capture with a handful of positions needs no large buffer */
    uint64_t extent = file->pos[file->count - 1].off - file->pos[0].off;
    int rc;

    memset(s, 0, sizeof *s);
    s->f = file;
    s->places = places;
    s->order_ns = FC_TIME_NONE;
    if (places->kept)
        return 0;
    if ((rc = fc_stored_file_enter(file->stored, &file->file, err)))
        return rc;
    file->open = true;
    if (file->file.source)
        file->file.source->stop = places->stop;
    const struct reach *reach = reach_of(&file->file);
    if (fc_reader_init(&s->reader, extent > reach->span ? reach->span : (size_t)extent + 2 * reach->lone) ||
        fc_reader_start(&s->reader, &file->file, file->pos[0].off, UINT64_MAX, NULL))
        rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    if (rc)
        fc_record_source_fini(s);
    return rc;
}

/* The records of a compressed capture, as they lie in it, with the time that each is sorted by. */
static int put_aside(struct fc_record_source *s, struct fc_error *err)
{
    int64_t last = FC_TIME_NONE;
    int rc = 1;

    for (size_t i = 0; i < s->f->count && rc >= 0; i++) {
        rc = fc_record_source_read(s, i, err);
        if (rc == FC_E_CHANGED && s->places->partial) {
            if (!s->places->changed++)
                s->places->changed_why = *err;
            rc = 1;
            continue;
        }
        if (rc == 1 && s->rec.ts_ns != FC_TIME_NONE)
            last = s->rec.ts_ns;
        if (rc == 1)
            rc = fc_aside_add(&s->aside, &s->rec, s->block, i, (uint32_t)s->iface, last, err);
    }
    s->aside.used = true;
    return rc < 0 ? rc : fc_aside_sort(&s->aside, s->places->stop, err);
}

int fc_record_source_init(struct fc_record_source *s, struct fc_places *places, struct fc_place_file *file,
                          bool by_time, struct fc_error *err)
{
    int rc = fc_record_source_open(s, places, file, err);

    if (rc)
        return rc;
    if (by_time && file->stored->backward)
        rc = file->file.source || places->kept ? put_aside(s, err) : sort_by_time(s, err);
    if (rc)
        fc_record_source_fini(s);
    return rc;
}

void fc_record_source_fini(struct fc_record_source *s)
{
    fc_reader_fini(&s->reader);
    fc_section_free(&s->section);
    fc_aside_fini(&s->aside);
    if (s->f && s->f->open)
        fc_file_close(&s->f->file);
    if (s->f)
        s->f->open = false;
    s->f = NULL;
}

/* Makes the next record the current one, and *place its position. 1, 0: end, or a code. */
static int take_next(struct fc_record_source *s, size_t *place, struct fc_error *err)
{
    struct fc_put_aside kept;
    const uint8_t *bytes;
    int rc;

    if (!s->aside.used) {
        while (s->next < s->f->count && s->places->sessions[s->f->pos[s->next].session].enough)
            s->next++;
        *place = s->next++;
        return *place < s->f->count ? fc_record_source_read(s, *place, err) : 0;
    }
    if ((rc = fc_aside_next(&s->aside, &kept, &bytes, err)) != 1)
        return rc;
    *place = (size_t)kept.place;
    s->rec = kept.rec;
    s->iface = kept.iface;
    s->block = kept.is_block ? bytes : NULL;
    return 1;
}

static int next_fitting(struct fc_record_source *s, struct fc_error *err)
{
    size_t place;
    int rc = take_next(s, &place, err);

    if (rc != 1)
        return rc;
    if (place + AHEAD < s->f->count)
        __builtin_prefetch(&s->places->sessions[s->f->pos[place + AHEAD].session], 1);
    fc_decode(s->rec.link_type, s->rec.data, s->rec.caplen, s->rec.origlen, s->places->mask, &s->packet);
    s->session = &s->places->sessions[s->f->pos[place].session];
    if (!fc_key_fits(&s->session->key, &s->packet, s->places->mask))
        return fc_error_set(err, FC_E_CHANGED, s->f->stored->path, s->rec.off,
                            "the record here is not the one that was indexed");
    s->session->shown |= fc_key_shown(&s->session->key, &s->packet);
    return 1;
}

int fc_record_source_next(struct fc_record_source *s, struct fc_error *err)
{
    struct fc_error why;
    int rc;

    while ((rc = next_fitting(s, &why)) == FC_E_CHANGED && s->places->partial)
        if (!s->places->changed++)
            s->places->changed_why = why;
    if (rc < 0)
        *err = why;
    if (rc == 1 && s->rec.ts_ns != FC_TIME_NONE)
        s->order_ns = s->rec.ts_ns;
    return rc;
}
