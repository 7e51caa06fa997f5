/* SPDX-License-Identifier: MIT */
#include "capture/reader.h"
#include "base/bytes.h"
#include "base/error.h"
#include "capture/pcapng.h"
#include "capture/window.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fc_section_copy(struct fc_section *dst, const struct fc_section *src)
{
    *dst = *src;
    dst->ifaces = NULL;
    dst->room = dst->count;
    if (!src->count)
        return 0;
    dst->ifaces = malloc(src->count * sizeof *dst->ifaces);
    if (!dst->ifaces) {
        memset(dst, 0, sizeof *dst);
        return FC_E_NOMEM;
    }
    memcpy(dst->ifaces, src->ifaces, src->count * sizeof *dst->ifaces);
    return 0;
}

void fc_section_free(struct fc_section *section)
{
    free(section->ifaces);
    memset(section, 0, sizeof *section);
}

bool fc_section_equal(const struct fc_section *a, const struct fc_section *b)
{
    /* A section is named by where it starts, an interface by its place in it: same place, same description. */
    return a->off == b->off && a->number == b->number && a->count == b->count;
}

int fc_reader_init(struct fc_reader *reader, size_t buf_size)
{
    memset(reader, 0, sizeof *reader);
    reader->buf = malloc(buf_size);
    reader->buf_size = buf_size;
    return reader->buf ? 0 : FC_E_NOMEM;
}

void fc_reader_fini(struct fc_reader *reader)
{
    free(reader->buf);
    free(reader->met);
    fc_section_free(&reader->section);
    memset(reader, 0, sizeof *reader);
}

int fc_reader_start(struct fc_reader *reader, const struct fc_file *file, uint64_t start, uint64_t limit,
                    const struct fc_section *section)
{
    if (reader->file != file) {
        reader->buf_len = 0;
        reader->file = file;
    }
    reader->size = file->source ? file->source->size(file->source) : file->size;
    reader->pos = start < file->data_off ? file->data_off : start;
    reader->limit = limit < reader->size ? limit : reader->size;
    reader->failed = 0;
    reader->met_count = 0;
    fc_section_free(&reader->section);
    if (section)
        return fc_section_copy(&reader->section, section);
    reader->section.number = UINT32_MAX;
    return 0;
}

int fc_reader_fail(struct fc_reader *reader, int code)
{
    reader->failed = code;
    return code;
}

int fc_reader_damage(struct fc_reader *reader, uint64_t off, const char *cause)
{
    reader->damage_off = off;
    fc_error_set(&reader->why, FC_E_DAMAGED, reader->file->path, off, "%s", cause);
    return fc_reader_fail(reader, FC_E_DAMAGED);
}

const uint8_t *fc_reader_refill(struct fc_reader *reader, uint64_t off, size_t need, size_t want)
{
    const struct fc_file *file = reader->file;
    size_t keep = 0;

    if (need > reader->buf_size) {
        uint8_t *bigger = realloc(reader->buf, need);
        if (!bigger) {
            fc_error_set(&reader->why, FC_E_NOMEM, file->path, off, "no memory for a record of %zu bytes", need);
            fc_reader_fail(reader, FC_E_NOMEM);
            return NULL;
        }
        reader->buf = bigger;
        reader->buf_size = need;
    }
    if (want > reader->buf_size)
        want = reader->buf_size;
    if (want < need)
        want = need;
    if (off >= reader->buf_off && off < reader->buf_off + reader->buf_len) {
        keep = (size_t)(reader->buf_off + reader->buf_len - off);
        memmove(reader->buf, reader->buf + (off - reader->buf_off), keep);
    }
    if (want < keep)
        want = keep;
    reader->buf_off = off;
    reader->buf_len = keep;
    if (want > reader->size - off)
        want = (size_t)(reader->size - off);
    int64_t n = fc_file_read(file, reader->buf + keep, want - keep, off + keep, &reader->why);
    if (n < 0) {
        fc_reader_fail(reader, (int)n);
        return NULL;
    }
    reader->buf_len += (size_t)n;
    if (reader->buf_len < need && reader->size == FC_SIZE_UNKNOWN) {
        reader->size = file->source->size(file->source);
        fc_reader_fail(reader, FC_READER_LEARNT);
        return NULL;
    }
    if (reader->buf_len < need) {
        fc_error_set(&reader->why, FC_E_IO, file->path, off + reader->buf_len, "file became shorter while it was read");
        fc_reader_fail(reader, FC_E_IO);
        return NULL;
    }
    return reader->buf;
}

/* One pcap record at pos; ahead: bytes to read when it is not in the buffer. */
static int next_pcap(struct fc_reader *reader, size_t ahead, struct fc_record *rec)
{
    const struct fc_file *file = reader->file;
    const struct fc_interface *iface = &file->pcap;
    uint64_t left = reader->size - reader->pos;
    uint32_t head = file->record_header;

    if (left < head)
        return fc_reader_damage(reader, reader->pos, "file ends inside a record header");
    const uint8_t *p = fc_reader_bytes(reader, reader->pos, head, ahead);
    if (!p)
        return reader->failed;
    uint32_t sec = fc_load32(p, iface->big_endian), frac = fc_load32(p + 4, iface->big_endian);
    uint32_t caplen = fc_load32(p + 8, iface->big_endian), origlen = fc_load32(p + 12, iface->big_endian);
    if (file->swapped_lengths || (file->maybe_swapped && caplen > origlen)) {
        uint32_t t = caplen;
        caplen = origlen;
        origlen = t;
    }
    if (caplen > file->max_caplen) {
        char cause[128];
        snprintf(cause, sizeof cause, "record claims %u bytes, the limit of this link type is %u (snaplen %u)", caplen,
                 file->max_caplen, iface->snaplen);
        return fc_reader_damage(reader, reader->pos, cause);
    }
    if (left - head < caplen)
        return fc_reader_damage(reader, reader->pos, "file ends inside a record's data");
    p = fc_reader_bytes(reader, reader->pos, (size_t)head + caplen, ahead);
    if (!p)
        return reader->failed;
    rec->off = reader->pos;
    rec->next_off = reader->pos + head + caplen;
    /* a fraction of a second or more is carried over */
    rec->ts_ns = (int64_t)sec * 1000000000 + (int64_t)frac * (iface->tsresol == 9 ? 1 : 1000);
    rec->data = p + head;
    rec->caplen = caplen;
    rec->origlen = origlen;
    rec->link_type = iface->link_type;
    rec->section = 0;
    rec->iface = 0;
    reader->pos = rec->next_off;
    return 1;
}

static int next_empty(struct fc_reader *reader)
{
    return fc_reader_damage(reader, 0, reader->file->size ? "file ends inside the file header" : "file is empty");
}

int fc_reader_next(struct fc_reader *reader, struct fc_record *rec)
{
    int rc;

    if (reader->failed)
        return reader->failed;
    if (reader->file->format == FC_FORMAT_EMPTY)
        return next_empty(reader);
    do {
        if (reader->file->format == FC_FORMAT_PCAPNG)
            rc = fc_pcapng_next(reader, reader->buf_size, rec);
        else
            rc = reader->pos >= reader->limit ? 0 : next_pcap(reader, reader->buf_size, rec);
    } while (rc < 0 && fc_reader_learnt(reader));
    return rc;
}

static int record_at(struct fc_reader *reader, uint64_t off, size_t ahead, struct fc_record *rec)
{
    reader->failed = 0;
    reader->pos = off;
    reader->limit = reader->size;
    if (off < reader->file->data_off || off >= reader->size) {
        const struct fc_error *why = reader->file->source ? reader->file->source->why : NULL;
        return fc_reader_damage(reader, off, why ? why->cause : "no record at this offset");
    }
    if (reader->file->format == FC_FORMAT_PCAPNG) {
        uint64_t limit = off + 1; /* this block or none */
        reader->limit = limit;
        int rc = fc_pcapng_next(reader, ahead, rec);
        return rc ? rc : fc_reader_damage(reader, off, "no packet block at this offset");
    }
    return next_pcap(reader, ahead, rec);
}

int fc_reader_at(struct fc_reader *reader, uint64_t off, size_t ahead, struct fc_record *rec)
{
    int rc;

    do
        rc = record_at(reader, off, ahead, rec);
    while (rc < 0 && fc_reader_learnt(reader));
    return rc;
}
