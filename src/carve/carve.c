/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "base/ticker.h"
#include "carve/carving.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What the caller gets to know; the list of what is missing becomes the result's. */
static void fill_result(struct fc_carving *c, struct fc_carve_result *result)
{
    struct fc_packets_result r;

    fc_packets_result(&c->packets, &r);
    *result = (struct fc_carve_result){.sessions = r.sessions,
                                       .packets = c->records,
                                       .bytes_read = r.bytes_read,
                                       .bytes_decoded = r.bytes_decoded,
                                       .bytes_written = c->out.written,
                                       .packets_missing = r.missing,
                                       .packets_forgotten = r.forgotten,
                                       .forgotten_ns = r.forgotten_ns,
                                       .missing = c->packets.places.missing,
                                       .missing_count = r.why_count};
    c->packets.places.missing = NULL;
    c->packets.places.missing_count = 0;
}

static void begin(struct fc_progress *progress, const struct fc_places *places)
{
    uint64_t packets = 0;

    for (size_t i = 0; i < places->stored.count; i++)
        packets += places->files[i].count;
    FC_PROGRESS_SET(progress, records_total, packets);
    FC_PROGRESS_SET(progress, sessions, places->session_count);
    FC_PROGRESS_SET(progress, phase, FC_PHASE_READING);
}

FC_EXPORT int fc_carve(struct fc_db *db, const struct fc_filter *filter, const struct fc_carve_options *options, int fd,
                       const int *stop, struct fc_carve_result *result, struct fc_error *err)
{
    struct fc_carve_options o = options ? *options : (struct fc_carve_options){0};
    struct fc_packets_options which = {.partial = o.partial, .avoid = o.avoid, .stop = stop, .numbers = o.comments};
    struct fc_progress progress = {0};
    struct fc_carving c = {.options = &o, .progress = &progress};
    struct fc_output_form form;
    struct fc_ticker ticker;
    struct fc_error local;
    int rc;

    err = err ? err : &local;
    if (o.comments && o.format == FC_CARVE_AUTO)
        o.format = FC_CARVE_PCAPNG;
    fc_ticker_start(&ticker, &progress, o.progress, o.progress_ctx);
    if (o.comments && o.format == FC_CARVE_PCAP)
        rc = fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "a pcap file cannot hold comments; use pcapng");
    else
        rc = fc_packets_find(&c.packets, db, filter, &which, fc_carve_describe, &c.files, err);
    if (rc == 0 && c.packets.places.session_count) {
        begin(&progress, &c.packets.places);
        if ((rc = fc_carving_choose(&c, o.format, &form, err)) == 0)
            rc = fc_carving_write(&c, &form, fd, stop, err);
    }
    if (rc == 0)
        FC_PROGRESS_SET(c.progress, phase, FC_PHASE_DONE);
    fc_ticker_stop(&ticker);
    fill_result(&c, result);
    fc_carving_fini(&c);
    fc_packets_fini(&c.packets);
    return rc;
}

const char *const fc_compression_suffixes[] = {[FC_COMPRESSION_NONE] = "",
                                               [FC_COMPRESSION_GZIP] = ".gz",
                                               [FC_COMPRESSION_ZSTD] = ".zst",
                                               [FC_COMPRESSION_LZ4] = ".lz4",
                                               [FC_COMPRESSION_XZ] = ".xz"};

FC_EXPORT enum fc_compression fc_compression_by_suffix(const char *path)
{
    size_t len = strlen(path);

    for (int i = FC_COMPRESSION_GZIP; i <= FC_COMPRESSION_XZ; i++) {
        size_t suffix = strlen(fc_compression_suffixes[i]);
        if (len > suffix && strcasecmp(path + len - suffix, fc_compression_suffixes[i]) == 0)
            return (enum fc_compression)i;
    }
    return FC_COMPRESSION_NONE;
}

FC_EXPORT enum fc_carve_format fc_carve_format_by_suffix(const char *path)
{
    static const char suffix[] = ".pcapng";
    const size_t size = sizeof suffix - 1;
    size_t len = strlen(path) - strlen(fc_compression_suffixes[fc_compression_by_suffix(path)]);

    return len > size && strncasecmp(path + len - size, suffix, size) == 0 ? FC_CARVE_PCAPNG : FC_CARVE_AUTO;
}

FC_EXPORT void fc_carve_result_fini(struct fc_carve_result *result)
{
    free(result->missing);
    result->missing = NULL;
    result->missing_count = 0;
}
