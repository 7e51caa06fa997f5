/* SPDX-License-Identifier: MIT */
#include "carve/source.h"
#include "base/error.h"
#include "capture/pcapng.h"
#include "capture/section.h"
#include "flow/key.h"
#include "store/sorter.h"

#include <stdlib.h>
#include <string.h>

enum {
    GAP = 32 << 10,           /* two records nearer than this are read together */
    SPAN = 256 << 10,         /* bytes read at a time, at most */
    LONE = 2 << 10,           /* for a record without neighbours: most fit, the rest take a second read */
    AHEAD = 8,                /* records whose sessions are fetched before they are asked for */
    HEAD_BLOCKS = 1024,       /* that a section begins with: so many are looked at, */
    HEAD_BLOCK_MAX = 16 << 20 /* and no larger one, which readers would not take either */
};

/* How much to read at position i: up to the last record that is near enough. */
static size_t span(struct fc_carve_source *s, size_t i)
{
    uint64_t off = s->f->pos[i].off, last = off;

    if (off < s->span_end)
        return LONE;
    for (i++; i < s->f->count && s->f->pos[i].off > last; i++) {
        if (s->f->pos[i].off - last > GAP || s->f->pos[i].off - off > SPAN - LONE)
            break;
        last = s->f->pos[i].off;
    }
    s->span_end = last + 1;
    return (size_t)(last - off) + LONE;
}

/* Keeps the blocks of names and secrets that the section begins with, before its first packet. */
static int read_head(struct fc_carve_source *s, struct fc_error *err)
{
    static const uint32_t types[] = {FC_BLOCK_NRB, FC_BLOCK_DSB, FC_BLOCK_IDB, FC_BLOCK_SHB, 0};
    const struct fc_interface *first = &s->f->stored->ifaces[s->first_iface];
    struct fc_buffer *heads = &s->heads[first->big_endian];
    uint64_t off = first->section_off;
    int rc = 0;

    for (int blocks = 0; rc == 0 && blocks < HEAD_BLOCKS; blocks++) {
        uint8_t *block;
        uint32_t size;
        int found = fc_pcapng_load(&s->f->file, off, first->big_endian, HEAD_BLOCK_MAX, types, &block, &size, err);
        if (found != 1)
            return found;
        uint32_t type = fc_load32(block, first->big_endian);
        if (type == FC_BLOCK_NRB || type == FC_BLOCK_DSB) {
            if ((rc = fc_buffer_reserve(heads, heads->len + size)) == 0) {
                memcpy(heads->data + heads->len, block, size);
                heads->len += size;
            }
        }
        free(block);
        off += size;
    }
    return rc ? fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory") : 0;
}

/* Has the reader read with the section and the interfaces that hold at `off`. */
static int enter_section(struct fc_carve_source *s, uint64_t off, struct fc_error *err)
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
    if (rc)
        return fc_error_set(err, rc == FC_E_NOMEM ? rc : FC_E_CHANGED, stored->path, off, "no interface holds here");
    if (!s->f->heads || s->f->heads[s->first_iface])
        return 0;
    s->f->heads[s->first_iface] = true;
    return read_head(s, err);
}

int fc_carve_source_read(struct fc_carve_source *s, size_t i, struct fc_error *err)
{
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
    if (s->f->file.source) {
        s->bytes_read = s->f->file.source->bytes_read;
        s->bytes_decoded = s->f->file.source->bytes_decoded;
    }
    if (rc == 1) {
        s->iface = s->f->ifaces[s->first_iface + s->rec.iface];
        s->block = pcapng ? fc_pcapng_block(&s->reader, &s->rec) : NULL;
        return 1;
    }
    *err = s->reader.why;
    return rc == FC_E_DAMAGED
               ? fc_error_set(err, FC_E_CHANGED, stored->path, off,
                              "the capture has changed since it was indexed: %.300s", s->reader.why.cause)
               : rc;
}

static int sort_by_time(struct fc_carve_source *s, struct fc_error *err)
{
    struct fc_carve_file *f = s->f;
    uint64_t *list = malloc(f->count * 3 * sizeof *list); /* time, offset, session */
    int64_t last = FC_TIME_NONE;
    int rc = list ? 1 : FC_E_NOMEM;

    for (size_t i = 0; i < f->count && rc == 1; i++) {
        rc = fc_carve_source_read(s, i, err);
        if (rc == FC_E_CHANGED && s->plan->partial)
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
    if (!list || fc_sorter_array(&list, f->count, 3, 63) || !(f->pos = malloc(f->count * sizeof *f->pos)))
        rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    for (size_t i = 0; i < f->count && f->pos; i++)
        f->pos[i] = (struct fc_carve_pos){list[3 * i + 1], list[3 * i + 2]};
    free(list);
    s->span_end = 0;
    return rc == 1 ? 0 : rc;
}

int fc_carve_source_open(struct fc_carve_source *s, struct fc_carve_plan *plan, struct fc_carve_file *file,
                         struct fc_error *err)
{
    /* a capture with a handful of positions needs no large buffer */
    uint64_t extent = file->pos[file->count - 1].off - file->pos[0].off;
    int rc;

    memset(s, 0, sizeof *s);
    if ((rc = fc_stored_file_enter(file->stored, &file->file, err)))
        return rc;
    file->open = true;
    s->f = file;
    s->plan = plan;
    s->order_ns = FC_TIME_NONE;
    if (fc_reader_init(&s->reader, extent > SPAN ? SPAN : (size_t)extent + 2 * LONE) ||
        fc_reader_start(&s->reader, &file->file, file->pos[0].off, UINT64_MAX, NULL))
        rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    if (rc)
        fc_carve_source_fini(s);
    return rc;
}

int fc_carve_source_init(struct fc_carve_source *s, struct fc_carve_plan *plan, struct fc_carve_file *file,
                         struct fc_error *err)
{
    int rc = fc_carve_source_open(s, plan, file, err);

    if (rc)
        return rc;
    if (plan->heads && file->file.format == FC_FORMAT_PCAPNG &&
        !(file->heads = calloc(file->stored->iface_count, sizeof *file->heads)))
        rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    else if (file->stored->backward)
        rc = sort_by_time(s, err);
    if (rc)
        fc_carve_source_fini(s);
    return rc;
}

void fc_carve_source_fini(struct fc_carve_source *s)
{
    fc_reader_fini(&s->reader);
    fc_section_free(&s->section);
    fc_buffer_fini(&s->heads[0]);
    fc_buffer_fini(&s->heads[1]);
    if (s->f && s->f->open)
        fc_file_close(&s->f->file);
    if (s->f)
        s->f->open = false;
    s->f = NULL;
}

static int next_fitting(struct fc_carve_source *s, struct fc_error *err)
{
    struct fc_packet packet;
    int rc = fc_carve_source_read(s, s->next, err);

    if (rc != 1)
        return rc;
    if (s->next + AHEAD < s->f->count)
        __builtin_prefetch(&s->plan->sessions[s->f->pos[s->next + AHEAD].session], 1);
    fc_decode(s->rec.link_type, s->rec.data, s->rec.caplen, s->rec.origlen, s->plan->mask, &packet);
    struct fc_carve_session *session = &s->plan->sessions[s->f->pos[s->next].session];
    if (!fc_key_fits(&session->key, &packet, s->plan->mask))
        return fc_error_set(err, FC_E_CHANGED, s->f->stored->path, s->rec.off,
                            "the record here is not the one that was indexed");
    session->shown |= fc_key_shown(&session->key, &packet);
    return 1;
}

int fc_carve_source_next(struct fc_carve_source *s, struct fc_error *err)
{
    while (s->next < s->f->count) {
        struct fc_error why;
        int rc = next_fitting(s, &why);
        s->next++;
        if (rc == FC_E_CHANGED && s->plan->partial) {
            if (!s->plan->changed++)
                s->plan->changed_why = why;
            continue;
        }
        if (rc != 1) {
            *err = why;
            return rc;
        }
        if (s->rec.ts_ns != FC_TIME_NONE)
            s->order_ns = s->rec.ts_ns;
        return 1;
    }
    return 0;
}
