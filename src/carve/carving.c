/* SPDX-License-Identifier: MIT */
#include "carve/carving.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/ticker.h"
#include "capture/pcapng.h"
#include "carve/format.h"
#include "carve/tail.h"

#include <flowcarve/text.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int fc_carving_choose(struct fc_carving *c, enum fc_carve_format format, struct fc_output_form *form,
                      struct fc_error *err)
{
    int rc = fc_carve_choose(&c->packets.places, &c->files, format, form, err);

    form->compression = c->options->compression;
    return rc;
}

/* Is the record one of those that are asked for? */
static bool is_wanted(struct fc_carving *c, const struct fc_record_source *s)
{
    const struct fc_carve_options *o = c->options;
    enum fc_from from = o->one_direction ? fc_packets_sender(s->session, &s->packet) : FC_FROM_UNKNOWN;

    if (from != FC_FROM_UNKNOWN && from != o->from)
        return false;
    if (!c->taken)
        return true;
    struct fc_carve_taken *taken = &c->taken[s->session - c->packets.places.sessions];
    if (s->session->enough)
        return false;
    taken->packets++;
    taken->bytes += s->rec.origlen;
    s->session->enough =
        (o->first_packets && taken->packets >= o->first_packets) || (o->first_bytes && taken->bytes >= o->first_bytes);
    return true;
}

/* "session 12, day/a.pcap, record 532": on the first packet of a session that can have it. NULL: on another one. */
static const char *comment(struct fc_carving *c, const struct fc_record_source *s, const struct fc_carve_iface *iface,
                           char *text, size_t size)
{
    size_t nth = (size_t)(s->session - c->packets.places.sessions);
    const char *path = s->f->stored->path;

    if (!c->commented || c->commented[nth] || (s->block && fc_load32(s->block, iface->big_endian) == FC_BLOCK_SPB))
        return NULL;
    c->commented[nth] = true;
    uint64_t number = fc_numbers_find(&c->packets.numbers[s - c->packets.sources], s->rec.off);
    size_t len = (size_t)snprintf(text, size, "session %" PRId64 ", ", s->session->id);
    len += fc_text_escape(FC_TEXT_MESSAGE, &path, text + len, size - len - 64);
    snprintf(text + len, size - len, ", %s %" PRIu64, number ? "record" : "offset", number ? number : s->rec.off);
    return text;
}

static int write_record(struct fc_carving *c, const struct fc_record_source *s, struct fc_error *err)
{
    struct fc_carve_file *described = fc_carve_file_of(&c->files, &c->packets.places, s->f);
    int rc = 0;

    if (c->out.form.pcapng && s->block && (rc = fc_carve_head(c->files.blocks, described, s, c->heads, err)))
        return rc;
    for (int big = 0; big < 2 && rc == 0; big++)
        if (c->heads[big].len) {
            rc = fc_output_blocks(&c->out, big, c->heads[big].data, c->heads[big].len);
            c->heads[big].len = 0;
        }
    char text[8192];
    c->out.comment = comment(c, s, described->ifaces[s->iface], text, sizeof text);
    c->records++;
    if (rc == 0)
        rc = fc_output_record(&c->out, described->ifaces[s->iface], &s->rec, s->block);
    return rc ? fc_output_error(rc, err) : 0;
}

/* A capture was carved from, and is still open. */
static int write_tails(void *ctx, struct fc_place_file *file, struct fc_error *err)
{
    struct fc_carving *c = ctx;
    const struct fc_carve_file *described = fc_carve_file_of(&c->files, &c->packets.places, file);

    return c->out.form.pcapng ? fc_carve_write_tails(&c->out, c->files.blocks, described, file, err) : 0;
}

static void tell(struct fc_carving *c)
{
    FC_PROGRESS_ADD(c->progress, records, c->packets.packets - c->told_records);
    FC_PROGRESS_ADD(c->progress, bytes_done, c->out.written - c->told_bytes);
    c->told_records = c->packets.packets;
    c->told_bytes = c->out.written;
}

static int write_all(struct fc_carving *c, struct fc_error *err)
{
    struct fc_record_source *source;
    int rc = fc_packets_start(&c->packets, err);

    c->packets.at_end = write_tails;
    c->packets.at_end_ctx = c;
    while (rc == 0 && (rc = fc_packets_step(&c->packets, &source, err)) == 1) {
        rc = is_wanted(c, source) ? write_record(c, source, err) : 0;
        if ((c->packets.packets & 0xff) == 0)
            tell(c);
    }
    if (rc)
        return rc;
    rc = fc_output_end(&c->out);
    return rc ? fc_output_error(rc, err) : 0;
}

int fc_carving_write(struct fc_carving *c, const struct fc_output_form *form, int fd, const int *stop,
                     struct fc_error *err)
{
    int rc = fc_output_init(&c->out, fd, form, stop);

    if (rc == 0 && (c->options->first_packets || c->options->first_bytes) &&
        !(c->taken = calloc(c->packets.places.session_count, sizeof *c->taken)))
        rc = FC_E_NOMEM;
    if (rc == 0 && c->options->comments &&
        !(c->commented = calloc(c->packets.places.session_count, sizeof *c->commented)))
        rc = FC_E_NOMEM;
    rc = rc ? fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory") : write_all(c, err);
    tell(c);
    return rc;
}

void fc_carving_fini(struct fc_carving *c)
{
    free(c->taken);
    free(c->commented);
    fc_output_fini(&c->out);
    fc_buffer_fini(&c->heads[0]);
    fc_buffer_fini(&c->heads[1]);
    fc_carve_files_fini(&c->files);
}
