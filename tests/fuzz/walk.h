/* SPDX-License-Identifier: MIT */
/* What holds for any bytes that are read as a capture. */
#ifndef FC_TEST_FUZZ_WALK_H
#define FC_TEST_FUZZ_WALK_H

#include "fuzz.h"

#include "capture/reader.h"
#include "capture/section.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct seen {
    uint64_t records, record_bytes, header_bytes, other_bytes, lost_bytes, ranges, sum, end;
};

/* A stream whose end is known when a read has met it, as that of a compressed file. */
struct hidden {
    struct fc_source base;
    const uint8_t *data;
    size_t size;
    bool met;
};

static inline int64_t hidden_read(struct fc_source *source, void *buf, size_t n, uint64_t off, struct fc_error *err)
{
    struct hidden *h = (struct hidden *)source;
    size_t left = off < h->size ? h->size - (size_t)off : 0, have = n < left ? n : left;

    (void)err;
    memcpy(buf, have ? h->data + off : h->data, have);
    h->met |= have < n;
    return (int64_t)have;
}

static inline uint64_t hidden_size(struct fc_source *source)
{
    struct hidden *h = (struct hidden *)source;

    return h->met ? h->size : FC_SIZE_UNKNOWN;
}

/*
 * Walks [start, limit) as an index run would walk a chunk; what is known at its start and then at its end is in
 * *section and *open, which may be NULL for the whole file.
 */
static inline void walk_part(const struct fc_file *file, size_t buffer, uint64_t start, uint64_t limit,
                             struct fc_section *section, struct fc_open_damage *open, struct seen *seen)
{
    struct fc_reader reader;
    struct fc_record rec;
    uint64_t last = start;
    int rc;

    HOLDS(fc_reader_init(&reader, buffer) == 0);
    bool first = !section || section->number == UINT32_MAX;
    HOLDS(fc_reader_start(&reader, file, start, limit, first ? NULL : section) == 0);
    if (open && open->off != FC_NO_OFFSET)
        fc_reader_resume(&reader, open);
    while ((rc = fc_reader_walk(&reader, &rec, limit)) == 1) {
        HOLDS(rec.off >= last && rec.next_off > rec.off && rec.next_off <= reader.size);
        last = rec.next_off;
        seen->records++;
        seen->record_bytes += rec.next_off - rec.off;
        seen->sum = seen->sum * 31 + rec.off + (uint64_t)rec.ts_ns + rec.origlen + rec.link_type;
        for (uint32_t i = 0; i < rec.caplen; i++)
            seen->sum += rec.data[i];
    }
    HOLDS(rc == 0 || (rc == FC_E_DAMAGED && reader.pos == limit && open));
    seen->header_bytes += reader.header_bytes;
    seen->other_bytes += reader.other_bytes;
    seen->lost_bytes += reader.lost.bytes + reader.pending_bytes;
    HOLDS(!reader.pending_bytes || reader.tail_off + reader.pending_bytes == reader.size);
    seen->ranges += reader.lost.count;
    seen->end = reader.pos;
    if (open)
        open->off = FC_NO_OFFSET;
    if (rc == FC_E_DAMAGED)
        fc_reader_suspend(&reader, open);
    if (section) {
        fc_section_free(section);
        HOLDS(fc_section_copy(section, &reader.section) == 0);
    }
    fc_reader_fini(&reader);
}

/* A record read alone, by its offset and the interfaces, is the one of the walk. */
static inline void read_alone(const struct fc_file *file, unsigned which)
{
    struct fc_reader reader, alone;
    struct fc_section section = {.off = 0};
    struct fc_interface *ifaces;
    struct fc_record rec, again;
    size_t own = file->format != FC_FORMAT_PCAPNG;

    HOLDS(fc_reader_init(&reader, 4096) == 0 && fc_reader_init(&alone, 64) == 0);
    HOLDS(fc_reader_start(&reader, file, 0, UINT64_MAX, NULL) == 0);
    for (unsigned i = 0; fc_reader_walk(&reader, &rec, UINT64_MAX) == 1; i++) {
        if (i != which)
            continue;
        HOLDS((ifaces = calloc(reader.met_count + own, sizeof *ifaces)));
        if (own)
            ifaces[0] = file->pcap.iface;
        if (reader.met_count)
            memcpy(ifaces + own, reader.met, reader.met_count * sizeof *ifaces);
        HOLDS(fc_section_at(ifaces, reader.met_count + own, rec.off, &section) == 0);
        HOLDS(fc_reader_start(&alone, file, rec.off, UINT64_MAX, &section) == 0);
        HOLDS(fc_reader_at(&alone, rec.off, 100, &again) == 1);
        HOLDS(again.next_off == rec.next_off && again.ts_ns == rec.ts_ns && again.caplen == rec.caplen);
        HOLDS(again.link_type == rec.link_type && memcmp(again.data, rec.data, rec.caplen) == 0);
        free(ifaces);
        break;
    }
    fc_section_free(&section);
    fc_reader_fini(&alone);
    fc_reader_fini(&reader);
}

/* The file in two parts, the second one from where the first one ended. */
static inline void walk_parts(const struct fc_file *file, uint64_t size, uint64_t limit, struct seen *seen)
{
    struct fc_open_damage open = {.off = FC_NO_OFFSET};
    struct fc_section section = {.number = UINT32_MAX};

    walk_part(file, 512, 0, limit, &section, &open, seen);
    if (seen->end < size)
        walk_part(file, 512, seen->end, UINT64_MAX, &section, &open, seen);
    HOLDS(open.off == FC_NO_OFFSET);
    fc_section_free(&section);
}

/* Reads the bytes as a capture: whole, with a tiny buffer, in two parts, without its size, and one record alone. */
static inline void walk_bytes(const uint8_t *data, size_t size, unsigned cut)
{
    struct hidden hidden = {.base = {.read = hidden_read, .size = hidden_size}, .data = data, .size = size};
    struct seen whole = {0}, tiny = {0}, parts = {0}, blind = {0}, blind_parts = {0};
    struct fc_file file;
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    HOLDS(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    bool opened = fc_file_open(path, &file, NULL) == 0;
    if (opened && file.compression != FC_COMPRESSION_NONE) {
        fc_file_close(&file); /* for the targets of the codecs */
    } else if (opened) {
        walk_part(&file, FC_READER_BUFFER, 0, UINT64_MAX, NULL, NULL, &whole);
        HOLDS(file.data_off + whole.header_bytes + whole.record_bytes + whole.other_bytes + whole.lost_bytes == size);
        walk_part(&file, 1, 0, UINT64_MAX, NULL, NULL, &tiny);
        HOLDS(memcmp(&whole, &tiny, sizeof whole) == 0);
        uint64_t limit = file.data_off + cut % (size + 1);
        walk_parts(&file, size, limit, &parts);
        HOLDS(memcmp(&whole, &parts, sizeof whole) == 0);
        if (whole.records)
            read_alone(&file, cut % (unsigned)whole.records);
        file.source = &hidden.base;
        walk_part(&file, FC_READER_BUFFER, 0, UINT64_MAX, NULL, NULL, &blind);
        HOLDS(memcmp(&whole, &blind, sizeof whole) == 0);
        hidden.met = false;
        walk_parts(&file, size, limit, &blind_parts);
        HOLDS(memcmp(&whole, &blind_parts, sizeof whole) == 0);
        file.source = NULL;
        fc_file_close(&file);
    }
    close(fd);
}

#endif
