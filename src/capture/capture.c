/* SPDX-License-Identifier: MIT */
/* The public, sequential face of the room. */
#include "base/error.h"
#include "base/export.h"
#include "capture/reader.h"
#include "capture/resync.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fc_capture {
    struct fc_file file;
    struct fc_reader reader;
};

FC_EXPORT int fc_capture_open(const char *path, struct fc_capture **out, struct fc_error *err)
{
    struct fc_capture *capture = calloc(1, sizeof *capture);
    int rc;

    *out = NULL;
    if (!capture)
        return fc_error_set(err, FC_E_NOMEM, path, FC_NO_OFFSET, "out of memory");
    rc = fc_file_open(path, &capture->file, err);
    if (rc) {
        free(capture);
        return rc;
    }
    rc = fc_reader_init(&capture->reader, FC_READER_BUFFER);
    if (rc == 0)
        rc = fc_reader_start(&capture->reader, &capture->file, 0, UINT64_MAX, NULL);
    if (rc) {
        fc_capture_close(capture);
        return fc_error_set(err, rc, path, FC_NO_OFFSET, "out of memory");
    }
    *out = capture;
    return 0;
}

FC_EXPORT int fc_capture_next(struct fc_capture *capture, struct fc_record *rec, struct fc_error *err)
{
    int rc = fc_reader_next(&capture->reader, rec);

    if (rc < 0 && err)
        *err = capture->reader.why;
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

FC_EXPORT const struct fc_interface *fc_capture_interfaces(const struct fc_capture *capture, size_t *count)
{
    if (capture->file.format == FC_FORMAT_PCAPNG) {
        *count = capture->reader.met_count;
        return capture->reader.met;
    }
    *count = capture->file.format == FC_FORMAT_EMPTY ? 0 : 1;
    return &capture->file.pcap.iface;
}

FC_EXPORT void fc_capture_close(struct fc_capture *capture)
{
    if (!capture)
        return;
    fc_reader_fini(&capture->reader);
    fc_file_close(&capture->file);
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
