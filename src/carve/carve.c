/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "base/ticker.h"
#include "carve/format.h"
#include "carve/tail.h"
#include "packets/packets.h"

#include <stdlib.h>
#include <string.h>

struct carve {
    struct fc_packets packets;
    struct fc_carve_files files;
    struct fc_buffer heads[2]; /* of the sections entered, by byte order, until they are written */
    struct fc_output out;
    struct fc_progress progress;
};

static int start_output(struct carve *c, const struct fc_carve_options *options, int fd, const int *stop,
                        struct fc_error *err)
{
    struct fc_output_form form;
    int rc = fc_carve_choose(&c->packets.places, &c->files, options->format, &form, err);

    if (rc)
        return rc;
    rc = fc_output_init(&c->out, fd, &form, stop);
    return rc ? fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory") : 0;
}

static int write_record(struct carve *c, const struct fc_record_source *s, struct fc_error *err)
{
    struct fc_carve_file *described = fc_carve_file_of(&c->files, &c->packets.places, s->f);
    int rc = 0;

    if (c->out.form.pcapng && s->block && (rc = fc_carve_head(described, s, c->heads, err)))
        return rc;
    for (int big = 0; big < 2 && rc == 0; big++)
        if (c->heads[big].len) {
            rc = fc_output_blocks(&c->out, big, c->heads[big].data, c->heads[big].len);
            c->heads[big].len = 0;
        }
    if (rc == 0)
        rc = fc_output_record(&c->out, described->ifaces[s->iface], &s->rec, s->block);
    return rc ? fc_output_error(rc, err) : 0;
}

/* A capture was carved from, and is still open. */
static int write_tails(void *ctx, struct fc_place_file *file, struct fc_error *err)
{
    struct carve *c = ctx;
    const struct fc_carve_file *described = fc_carve_file_of(&c->files, &c->packets.places, file);

    return c->out.form.pcapng ? fc_carve_write_tails(&c->out, described, file, err) : 0;
}

static void tell(struct carve *c)
{
    FC_PROGRESS_SET(&c->progress, records, c->packets.packets);
    FC_PROGRESS_SET(&c->progress, bytes_done, c->out.written);
}

static int write_all(struct carve *c, struct fc_error *err)
{
    struct fc_record_source *source;
    int rc = fc_packets_start(&c->packets, err);

    c->packets.at_end = write_tails;
    c->packets.at_end_ctx = c;
    while (rc == 0 && (rc = fc_packets_step(&c->packets, &source, err)) == 1) {
        rc = write_record(c, source, err);
        if ((c->packets.packets & 0xff) == 0)
            tell(c);
    }
    if (rc)
        return rc;
    rc = fc_output_end(&c->out);
    return rc ? fc_output_error(rc, err) : 0;
}

/* What the caller gets to know; the list of what is missing becomes the result's. */
static void fill_result(struct carve *c, struct fc_carve_result *result)
{
    struct fc_packets_result r;

    fc_packets_result(&c->packets, &r);
    *result = (struct fc_carve_result){.sessions = r.sessions,
                                       .packets = r.packets,
                                       .bytes_read = r.bytes_read,
                                       .bytes_decoded = r.bytes_decoded,
                                       .bytes_written = c->out.written,
                                       .packets_missing = r.missing,
                                       .packets_forgotten = r.forgotten,
                                       .missing = c->packets.places.missing,
                                       .missing_count = r.why_count};
    c->packets.places.missing = NULL;
    c->packets.places.missing_count = 0;
}

static void begin_progress(struct carve *c)
{
    uint64_t packets = 0;

    for (size_t i = 0; i < c->packets.places.stored.count; i++)
        packets += c->packets.places.files[i].count;
    FC_PROGRESS_SET(&c->progress, records_total, packets);
    FC_PROGRESS_SET(&c->progress, sessions, c->packets.places.session_count);
    FC_PROGRESS_SET(&c->progress, phase, FC_PHASE_READING);
}

FC_EXPORT int fc_carve(struct fc_db *db, const struct fc_filter *filter, const struct fc_carve_options *options, int fd,
                       const int *stop, struct fc_carve_result *result, struct fc_error *err)
{
    struct fc_carve_options o = options ? *options : (struct fc_carve_options){0};
    struct fc_packets_options which = {.partial = o.partial, .avoid = o.avoid, .stop = stop};
    struct carve c = {0};
    struct fc_ticker ticker;
    struct fc_error local;
    int rc;

    err = err ? err : &local;
    fc_ticker_start(&ticker, &c.progress, o.progress, o.progress_ctx);
    rc = fc_packets_find(&c.packets, db, filter, &which, fc_carve_describe, &c.files, err);
    if (rc == 0 && c.packets.places.session_count) {
        begin_progress(&c);
        if ((rc = start_output(&c, &o, fd, stop, err)) == 0)
            rc = write_all(&c, err);
    }
    tell(&c);
    if (rc == 0)
        FC_PROGRESS_SET(&c.progress, phase, FC_PHASE_DONE);
    fc_ticker_stop(&ticker);
    fill_result(&c, result);
    fc_output_fini(&c.out);
    fc_buffer_fini(&c.heads[0]);
    fc_buffer_fini(&c.heads[1]);
    fc_packets_fini(&c.packets);
    fc_carve_files_fini(&c.files);
    return rc;
}

FC_EXPORT void fc_carve_result_fini(struct fc_carve_result *result)
{
    free(result->missing);
    result->missing = NULL;
    result->missing_count = 0;
}
