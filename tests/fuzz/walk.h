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

/* Walks [start, limit) as an index run would. */
static inline void walk_part(const struct fc_file *file, size_t buffer, uint64_t start, uint64_t limit,
                             const struct fc_section *from, struct fc_section *to, struct seen *seen)
{
    struct fc_reader reader;
    struct fc_record rec;
    uint64_t last = start;
    int rc;

    HOLDS(fc_reader_init(&reader, buffer) == 0);
    HOLDS(fc_reader_start(&reader, file, start, limit, from) == 0);
    while ((rc = fc_reader_walk(&reader, &rec, UINT64_MAX)) == 1) {
        HOLDS(rec.off >= last && rec.next_off > rec.off && rec.next_off <= file->size);
        last = rec.next_off;
        seen->records++;
        seen->record_bytes += rec.next_off - rec.off;
        seen->sum = seen->sum * 31 + rec.off + (uint64_t)rec.ts_ns + rec.origlen + rec.link_type;
        for (uint32_t i = 0; i < rec.caplen; i++)
            seen->sum += rec.data[i];
    }
    HOLDS(rc == 0);
    seen->header_bytes += reader.header_bytes;
    seen->other_bytes += reader.other_bytes;
    seen->lost_bytes += reader.lost.bytes;
    seen->ranges += reader.lost.count;
    seen->end = reader.pos;
    if (to) {
        fc_section_free(to);
        HOLDS(fc_section_copy(to, &reader.section) == 0);
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

/* Reads the bytes as a capture: whole, with a tiny buffer, in two parts, and one record alone. */
static inline void walk_bytes(const uint8_t *data, size_t size, unsigned cut)
{
    struct fc_section section = {.number = 0};
    struct seen whole = {0}, tiny = {0}, parts = {0};
    struct fc_file file;
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    HOLDS(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fc_file_open(path, &file, NULL) == 0) {
        walk_part(&file, FC_READER_BUFFER, 0, UINT64_MAX, NULL, NULL, &whole);
        HOLDS(file.data_off + whole.header_bytes + whole.record_bytes + whole.other_bytes + whole.lost_bytes == size);
        walk_part(&file, 1, 0, UINT64_MAX, NULL, NULL, &tiny);
        HOLDS(memcmp(&whole, &tiny, sizeof whole) == 0);
        uint64_t limit = file.data_off + cut % (size + 1);
        walk_part(&file, 512, 0, limit, NULL, &section, &parts);
        if (parts.end < size)
            walk_part(&file, 512, parts.end, UINT64_MAX, section.number == UINT32_MAX ? NULL : &section, NULL, &parts);
        whole.end = parts.end; /* where an empty last part would end */
        HOLDS(memcmp(&whole, &parts, sizeof whole) == 0);
        if (whole.records)
            read_alone(&file, cut % (unsigned)whole.records);
        fc_section_free(&section);
        fc_file_close(&file);
    }
    close(fd);
}

#endif
