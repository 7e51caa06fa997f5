/* SPDX-License-Identifier: MIT */
#include "capture/reader.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/vector.h"
#include "capture/pcap.h"
#include "capture/pcapng.h"
#include "capture/resync.h"
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
    free(reader->lost.items);
    fc_resync_free(reader->resync);
    fc_section_free(&reader->section);
    memset(reader, 0, sizeof *reader);
}

int fc_reader_start(struct fc_reader *reader, const struct fc_file *file, uint64_t start, uint64_t limit,
                    const struct fc_section *section)
{
    int rc = 0;

    if (reader->file != file) {
        reader->buf_len = 0;
        reader->file = file;
    }
    reader->size = file->source ? file->source->size(file->source) : file->size;
    reader->pos = start < file->data_off ? file->data_off : start;
    reader->limit = limit < reader->size ? limit : reader->size;
    reader->failed = 0;
    reader->single = false;
    reader->checked = UINT64_MAX;
    reader->met_count = 0;
    reader->header_bytes = reader->other_bytes = 0;
    reader->lost.count = 0;
    reader->lost.bytes = 0;
    reader->tail_off = FC_NO_OFFSET;
    reader->pending_bytes = 0;
    fc_resync_forget(reader->resync);
    fc_section_free(&reader->section);
    if (section && (rc = fc_section_copy(&reader->section, section)))
        return rc;
    if (!section)
        reader->section.number = file->format == FC_FORMAT_PCAPNG ? UINT32_MAX : 0;
    if (file->format == FC_FORMAT_PCAPNG)
        return 0;
    if (!reader->section.off)
        reader->section.pcap = file->pcap;
    else if (reader->section.pcap.format == FC_FORMAT_EMPTY)
        rc = fc_pcap_read(file, reader->section.off, &reader->section.pcap, &reader->why);
    return rc == FC_E_FORMAT ? FC_E_DAMAGED : rc; /* it was there when the section was noted */
}

int fc_damage_add(struct fc_damage_list *list, uint64_t off, uint64_t length, const char *cause)
{
    list->bytes += length;
    if (list->count++ >= FC_DAMAGE_MAX)
        return 0;
    if (fc_vector_reserve(&list->items, &list->room, list->count, sizeof *list->items))
        return FC_E_NOMEM;
    struct fc_damage *d = &list->items[list->count - 1];
    memset(d, 0, sizeof *d);
    d->off = off;
    d->length = length;
    snprintf(d->cause, sizeof d->cause, "%s", cause);
    return 0;
}

int fc_reader_fail(struct fc_reader *reader, int code)
{
    reader->failed = code;
    reader->checked = UINT64_MAX;
    return code;
}

int fc_reader_damage(struct fc_reader *reader, uint64_t off, const char *cause)
{
    reader->damage_off = off;
    reader->damage_next = 0;
    reader->searched = 0;
    reader->damage_cut = reader->damage_ends = false;
    fc_error_set(&reader->why, FC_E_DAMAGED, reader->file->path, off, "%s", cause);
    return fc_reader_fail(reader, FC_E_DAMAGED);
}

int fc_reader_short(struct fc_reader *reader, uint64_t off, const char *cause)
{
    fc_reader_damage(reader, off, cause);
    reader->damage_ends = true;
    return FC_E_DAMAGED;
}

bool fc_file_unfinished(const struct fc_file *file, bool ends)
{
    return ends && !(file->source && file->source->broken);
}

int64_t fc_reader_pread(struct fc_reader *reader, void *buf, size_t n, uint64_t off)
{
    const struct fc_file *file = reader->file;
    int64_t got = 0;

    if (reader->stop && __atomic_load_n(reader->stop, __ATOMIC_RELAXED)) {
        fc_error_set(&reader->why, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
        return fc_reader_fail(reader, FC_E_INTERRUPTED);
    }
    got = fc_file_read(file, buf, n, off, &reader->why);

    if (got < 0) {
        fc_reader_fail(reader, (int)got);
    } else if ((size_t)got < n && reader->size == FC_SIZE_UNKNOWN) {
        reader->size = file->source->size(file->source);
        reader->limit = reader->limit < reader->size ? reader->limit : reader->size;
    }
    return got;
}

bool fc_reader_ends(struct fc_reader *reader, uint64_t off)
{
    uint8_t byte;

    if (off < reader->size && reader->size == FC_SIZE_UNKNOWN && fc_reader_pread(reader, &byte, 1, off) < 0)
        return true;
    return off >= reader->size;
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
    int64_t n = fc_reader_pread(reader, reader->buf + keep, want - keep, off + keep);
    if (n < 0)
        return NULL;
    reader->buf_len += (size_t)n;
    if (reader->buf_len < need && off + need > reader->size) {
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

int fc_reader_met(struct fc_reader *reader, const struct fc_interface *iface)
{
    struct fc_section *s = &reader->section;
    size_t room = s->room, most = reader->met_most;

    if (most && (s->count >= most || reader->met_count >= most)) {
        fc_error_set(&reader->why, FC_E_LIMIT, reader->file->path, iface->off, "more than %zu interfaces", most);
        return fc_reader_fail(reader, FC_E_LIMIT);
    }
    int rc = fc_vector_reserve(&s->ifaces, &room, s->count + 1, sizeof *s->ifaces);

    s->room = (uint32_t)room;
    if (rc || fc_vector_reserve(&reader->met, &reader->met_room, reader->met_count + 1, sizeof *reader->met)) {
        fc_error_set(&reader->why, FC_E_NOMEM, reader->file->path, iface->off, "out of memory");
        return fc_reader_fail(reader, FC_E_NOMEM);
    }
    s->ifaces[s->count++] = *iface;
    reader->met[reader->met_count++] = *iface;
    return 0;
}

/* A file header inside of the file: another capture begins. */
static int enter_header(struct fc_reader *reader)
{
    uint32_t number = reader->section.number + 1;
    struct fc_pcap pcap;
    int rc = fc_pcap_read(reader->file, reader->pos, &pcap, &reader->why);

    if (rc)
        return fc_reader_fail(reader, rc);
    pcap.iface.section = number;
    reader->section.count = 0;
    if ((rc = fc_reader_met(reader, &pcap.iface)))
        return rc;
    reader->section.off = reader->pos;
    reader->section.number = number;
    reader->section.pcap = pcap;
    reader->header_bytes += FC_PCAP_HEADER;
    reader->pos += FC_PCAP_HEADER;
    fc_resync_forget(reader->resync);
    return 0;
}

/* A record header that is odd or worse. 0: read it as it is; FC_ODD_HEADER: it is a file header; or damage. */
static int judge(struct fc_reader *reader, const struct fc_pcap_record *h)
{
    char cause[128];
    int verdict = fc_resync_odd(reader, reader->pos);

    if (verdict == FC_ODD_KEEP || verdict == FC_ODD_HEADER || reader->failed)
        return reader->failed ? reader->failed : verdict;
    if (h->caplen <= reader->section.pcap.max_caplen)
        return fc_reader_damage(reader, reader->pos, "record header is odd and nothing behind it confirms it");
    snprintf(cause, sizeof cause, "record claims %u bytes, the limit of this link type is %u (snaplen %u)", h->caplen,
             reader->section.pcap.max_caplen, reader->section.pcap.iface.snaplen);
    return fc_reader_damage(reader, reader->pos, cause);
}

/*
 * The record at pos ends at `next`, where an odd header or the end of the file is: is its length to be believed? 0, or
 * damage: the records that it would cover go on behind it.
 */
static int doubt(struct fc_reader *reader, uint64_t next)
{
    bool cut = next > reader->size;
    uint64_t inside;

    if (reader->single)
        return cut ? fc_reader_damage(reader, reader->pos, "file ends inside a record's data") : 0;
    if (!cut && fc_resync_odd(reader, next) != FC_ODD_DAMAGE)
        return 0;
    if (reader->failed || ((inside = fc_resync_swallowed(reader, reader->pos, next)) == 0 && (!cut || reader->failed)))
        return reader->failed;
    fc_reader_damage(reader, reader->pos,
                     inside ? "record claims bytes that are of the records behind it"
                            : "file ends inside a record's data");
    reader->damage_next = inside;
    reader->damage_cut = true;
    reader->damage_ends = !inside;
    return FC_E_DAMAGED;
}

/* One pcap record at pos; ahead: bytes to read when it is not in the buffer. */
static int next_pcap(struct fc_reader *reader, size_t ahead, struct fc_record *rec)
{
    uint32_t head = reader->section.pcap.record_header;

    if (reader->size - reader->pos < head)
        return fc_reader_short(reader, reader->pos, "file ends inside a record header");
    const uint8_t *p = fc_reader_bytes(reader, reader->pos, head, ahead);
    if (!p)
        return reader->failed;
    struct fc_pcap_record h = fc_pcap_record(&reader->section.pcap, p);
    if (reader->pos != reader->checked && fc_pcap_odd(&reader->section.pcap, &h) &&
        (!reader->single || h.caplen > reader->section.pcap.max_caplen)) {
        int rc = judge(reader, &h);
        if (rc)
            return rc;
    }
    uint64_t whole = (uint64_t)head + h.caplen, next = reader->pos + whole, left = reader->size - reader->pos;
    if (left < whole)
        return doubt(reader, next);
    /* with the header behind it: a damaged length is noticed there */
    size_t more = reader->single || left == whole ? 0 : left - whole < 16 ? (size_t)(left - whole) : 16;
    p = fc_reader_bytes(reader, reader->pos, (size_t)whole + more, ahead);
    if (!p)
        return reader->failed;
    if (more) {
        struct fc_pcap_record behind = {.sec = 0};
        if (more == 16)
            behind = fc_pcap_record(&reader->section.pcap, p + whole);
        if (!fc_pcap_odd(&reader->section.pcap, &behind)) {
            reader->checked = next;
            reader->behind = behind;
        } else {
            int rc = doubt(reader, next);
            if (rc)
                return rc;
        }
    }
    fc_reader_fill(reader, &h, p, next, rec);
    return 1;
}

static int next_empty(struct fc_reader *reader)
{
    return reader->file->size ? fc_reader_short(reader, 0, "file ends inside the file header")
                              : fc_reader_damage(reader, 0, "file is empty");
}

static int walk_pcap(struct fc_reader *reader, struct fc_record *rec)
{
    while (reader->pos < reader->limit) {
        int rc = next_pcap(reader, reader->buf_size, rec);
        if (rc != FC_ODD_HEADER)
            return rc;
        if ((rc = enter_header(reader)))
            return rc;
    }
    return 0;
}

int fc_reader_next_any(struct fc_reader *reader, struct fc_record *rec)
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
            rc = walk_pcap(reader, rec);
    } while (rc < 0 && fc_reader_learnt(reader));
    return rc;
}

static int record_at(struct fc_reader *reader, uint64_t off, size_t ahead, struct fc_record *rec)
{
    reader->failed = 0;
    reader->single = true;
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
