/* SPDX-License-Identifier: MIT */
#include "flow/stow.h"
#include "base/error.h"

#include <stdlib.h>

/* A note in the file: this, and then those of key, prior and extra that it has. Native layout. */
struct head {
    struct fc_note note;
    struct fc_place place;
    struct fc_placed placed;
    uint16_t extra_size;
    uint8_t has_key, has_prior;
};

struct fc_stow *fc_stow_new(struct fc_spill_file *file)
{
    struct fc_stow *stow = calloc(1, sizeof *stow);

    if (stow) {
        stow->file = file;
        stow->log.room_bytes = FC_STOW_BUFFER;
    }
    return stow;
}

void fc_stow_free(struct fc_stow *stow)
{
    fc_spill_fini(&stow->log);
    free(stow);
}

static int write(struct fc_spill_file *file, struct fc_spill *log, const void *data, size_t n, struct fc_error *err)
{
    return n ? fc_spill_write(file, log, data, n, err) : 0;
}

int fc_stow_put(struct fc_spill_file *file, struct fc_spill *log, const struct fc_lane *lane, struct fc_error *err)
{
    struct fc_side side;
    struct head h;
    int rc;

    fc_side_read(lane->unit, fc_lane_note(lane), &side);
    memset(&h, 0, sizeof h);
    h.note = *fc_lane_note(lane);
    h.place = lane->head;
    if (side.placed)
        h.placed = *side.placed;
    else
        h.placed = (struct fc_placed){.place = lane->head, .off = lane->head.off, .file = lane->head.file};
    h.extra_size = (uint16_t)side.extra_size;
    h.has_key = side.key != NULL;
    h.has_prior = side.prior != NULL;
    if ((rc = write(file, log, &h, sizeof h, err)) ||
        (rc = write(file, log, side.key, side.key ? sizeof *side.key : 0, err)) ||
        (rc = write(file, log, side.prior, side.prior ? sizeof *side.prior : 0, err)))
        return rc;
    return write(file, log, side.extra, side.extra_size, err);
}

static int read(struct fc_spill_file *file, struct fc_spill *log, void *data, size_t n, struct fc_error *err)
{
    int rc = n ? fc_spill_read(file, log, data, n, err) : 1;

    return rc ? rc
              : fc_error_set(err, FC_E_IO, file->folder, FC_NO_OFFSET,
                             "internal fault: the temporary file ends too early");
}

int fc_stow_get(struct fc_spill_file *file, struct fc_spill *log, struct fc_stowed *out, struct fc_error *err)
{
    struct head h;
    int rc = fc_spill_read(file, log, &h, sizeof h, err);

    if (rc != 1)
        return rc;
    out->note = h.note;
    out->place = h.place;
    out->placed = h.placed;
    out->extra_size = h.extra_size;
    out->has_key = h.has_key;
    out->has_prior = h.has_prior;
    if ((rc = read(file, log, &out->key, h.has_key ? sizeof out->key : 0, err)) != 1 ||
        (rc = read(file, log, &out->prior, h.has_prior ? sizeof out->prior : 0, err)) != 1)
        return rc;
    return read(file, log, &out->extra, h.extra_size, err);
}

void fc_stow_side(const struct fc_stowed *in, struct fc_side *side)
{
    *side = (struct fc_side){.key = in->has_key ? &in->key : NULL,
                             .placed = &in->placed,
                             .prior = in->has_prior ? &in->prior : NULL,
                             .extra = in->extra_size ? &in->extra : NULL,
                             .extra_size = in->extra_size};
}

int fc_stow_fill(struct fc_stow *stow, struct fc_unit *unit, unsigned part, struct fc_shelf *shelf,
                 struct fc_error *err)
{
    struct fc_stowed *one = malloc(sizeof *one);
    struct fc_side side;
    int rc = one && fc_unit_begin(unit, 0, 0) == 0 ? 1 : FC_E_NOMEM;

    for (unsigned i = 0; i < FC_STOW_NOTES && rc == 1; i++) {
        if ((rc = fc_stow_get(stow->file, &stow->log, one, err)) != 1)
            break;
        fc_stow_side(one, &side);
        if (fc_unit_append(unit, shelf, part, &one->note, FC_NOTE_PLACED, &side))
            rc = FC_E_NOMEM;
    }
    free(one);
    if (rc < 0)
        return rc == FC_E_NOMEM ? fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory") : rc;
    return unit->parts[part].first != NULL;
}
