/* SPDX-License-Identifier: MIT */
/* The public, sequential face of the room. */
#include "base/error.h"
#include "base/export.h"
#include "base/vector.h"
#include "capture/reader.h"
#include "capture/resync.h"
#include "capture/section.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct fc_capture {
    struct fc_file file;
    struct fc_reader reader;
    uint64_t reached;          /* offset of the last record of those given so far */
    struct fc_interface *seen; /* in file order; the reader's list begins anew where it is started */
    size_t seen_count, seen_room;
};

/* Interfaces that were met since the last call. FC_E_NOMEM. */
static int note_interfaces(struct fc_capture *capture)
{
    const struct fc_reader *reader = &capture->reader;
    size_t first = reader->met_count;

    while (first && (!capture->seen_count || reader->met[first - 1].off > capture->seen[capture->seen_count - 1].off))
        first--;
    for (; first < reader->met_count; first++) {
        if (fc_vector_reserve(&capture->seen, &capture->seen_room, capture->seen_count + 1, sizeof *capture->seen))
            return FC_E_NOMEM;
        capture->seen[capture->seen_count++] = reader->met[first];
    }
    return 0;
}

/* The file is open in `capture`, which is closed behind a failure. */
static int start(struct fc_capture *capture, struct fc_capture **out, struct fc_error *err)
{
    int rc = fc_reader_init(&capture->reader, FC_READER_BUFFER);

    if (rc == 0)
        rc = fc_reader_start(&capture->reader, &capture->file, 0, UINT64_MAX, NULL);
    if (rc == 0 && capture->file.format != FC_FORMAT_PCAPNG && capture->file.format != FC_FORMAT_EMPTY &&
        (rc = fc_vector_reserve(&capture->seen, &capture->seen_room, 1, sizeof *capture->seen)) == 0)
        capture->seen[capture->seen_count++] = capture->file.pcap.iface;
    if (rc == 0) {
        *out = capture;
        return 0;
    }
    rc = fc_error_set(err, rc, capture->file.path, FC_NO_OFFSET, "out of memory");
    fc_capture_close(capture);
    return rc;
}

FC_EXPORT int fc_capture_open(const char *path, struct fc_capture **out, struct fc_error *err)
{
    struct fc_capture *capture = calloc(1, sizeof *capture);

    *out = NULL;
    if (!capture)
        return fc_error_set(err, FC_E_NOMEM, path, FC_NO_OFFSET, "out of memory");
    int rc = fc_file_open(path, &capture->file, err);
    if (rc == 0)
        return start(capture, out, err);
    free(capture);
    return rc;
}

FC_EXPORT int fc_capture_open_fd(int fd, const char *name, struct fc_capture **out, struct fc_error *err)
{
    struct fc_capture *capture = calloc(1, sizeof *capture);

    *out = NULL;
    if (!capture)
        return fc_error_set(err, FC_E_NOMEM, name, FC_NO_OFFSET, "out of memory");
    int rc = fd < 0 ? fc_error_set(err, FC_E_IO, name, FC_NO_OFFSET, "cannot open: no descriptor")
                    : fc_file_open_held(fd, name, UINT64_MAX, &capture->file, err);
    if (rc) {
        free(capture);
        return rc;
    }
    capture->file.held = -1; /* it stays the caller's */
    return start(capture, out, err);
}

FC_EXPORT int fc_capture_open_memory(const void *bytes, size_t len, const char *name, struct fc_capture **out,
                                     struct fc_error *err)
{
    int fd = memfd_create("flowcarve", MFD_CLOEXEC), rc = 0;

    *out = NULL;
    if (fd < 0)
        return fc_error_errno(err, errno == EMFILE || errno == ENFILE ? FC_E_LIMIT : FC_E_IO, name, FC_NO_OFFSET,
                              "cannot open");
    for (size_t done = 0; done < len && rc == 0;) {
        ssize_t n = write(fd, (const char *)bytes + done, len - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            rc = fc_error_errno(err, errno == ENOMEM || errno == ENOSPC ? FC_E_NOMEM : FC_E_IO, name, FC_NO_OFFSET,
                                "cannot keep it in memory");
    }
    rc = rc ? rc : fc_capture_open_fd(fd, name, out, err);
    close(fd);
    return rc;
}

FC_EXPORT int fc_capture_seek(struct fc_capture *capture, uint64_t off, struct fc_error *err)
{
    struct fc_section section = {0};
    bool first = off <= capture->file.data_off;
    int rc = note_interfaces(capture);

    if (off > capture->reached && !first)
        return fc_error_set(err, FC_E_USAGE, capture->file.path, off, "no record that this handle has given");
    if (rc == 0 && !first && capture->seen_count)
        rc = fc_section_at(capture->seen, capture->seen_count, off, &section);
    if (rc == 0)
        rc = fc_reader_start(&capture->reader, &capture->file, first ? 0 : off, UINT64_MAX,
                             section.count ? &section : NULL);
    fc_section_free(&section);
    if (rc == FC_E_IO && err)
        *err = capture->reader.why;
    else if (rc)
        fc_error_set(err, rc, capture->file.path, off, "%s",
                     rc == FC_E_NOMEM ? "out of memory" : "no interface holds here");
    return rc;
}

FC_EXPORT int fc_capture_next(struct fc_capture *capture, struct fc_record *rec, struct fc_error *err)
{
    int rc = fc_reader_next(&capture->reader, rec);

    if (rc < 0 && err)
        *err = capture->reader.why;
    if (rc > 0 && rec->off > capture->reached)
        capture->reached = rec->off;
    return rc;
}

FC_EXPORT int fc_capture_resync(struct fc_capture *capture, struct fc_damage *lost, struct fc_error *err)
{
    struct fc_reader *reader = &capture->reader;

    if (reader->failed != FC_E_DAMAGED)
        return fc_error_set(err, FC_E_USAGE, capture->file.path, FC_NO_OFFSET, "there was no damage");
    reader->lost.count = 0; /* told one by one */
    int rc = fc_reader_resync(reader, UINT64_MAX);
    if (rc < 0) {
        if (err)
            *err = reader->why;
        return rc;
    }
    if (reader->lost.count) {
        *lost = reader->lost.items[0];
        return 0;
    }
    memset(lost, 0, sizeof *lost); /* a record of which the file has only the beginning */
    lost->off = reader->tail_off;
    lost->length = reader->pending_bytes;
    snprintf(lost->cause, sizeof lost->cause, "%.*s", (int)sizeof lost->cause - 1, reader->why.cause);
    return 0;
}

FC_EXPORT enum fc_format fc_capture_format(const struct fc_capture *capture)
{
    return capture->file.format;
}

FC_EXPORT uint64_t fc_capture_size(const struct fc_capture *capture)
{
    return capture->file.stored_size;
}

FC_EXPORT enum fc_compression fc_capture_compression(const struct fc_capture *capture)
{
    return capture->file.compression;
}

FC_EXPORT const struct fc_interface *fc_capture_interfaces(struct fc_capture *capture, size_t *count)
{
    *count = note_interfaces(capture) ? 0 : capture->seen_count;
    return capture->seen;
}

FC_EXPORT void fc_capture_close(struct fc_capture *capture)
{
    if (!capture)
        return;
    fc_reader_fini(&capture->reader);
    fc_file_close(&capture->file);
    free(capture->seen);
    free(capture);
}

FC_EXPORT const char *fc_format_name(enum fc_format format)
{
    static const char *const names[] = {"empty", "pcap", "pcap-ns", "pcap-modified", "pcapng"};
    return (unsigned)format < sizeof names / sizeof names[0] ? names[format] : "unknown";
}

FC_EXPORT const char *fc_compression_name(enum fc_compression compression)
{
    static const char *const names[] = {"none", "gzip", "zstd", "lz4", "xz"};
    return (unsigned)compression < sizeof names / sizeof names[0] ? names[compression] : "unknown";
}
