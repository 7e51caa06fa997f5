/* SPDX-License-Identifier: MIT */
/*
 * Notes in a file, in order: what a suspended partition has to apply later, and what has to wait for others that come
 * before it.
 *
 * Threads: one a stow; they share their file. Memory: see flow/spill.h; when read, FC_STOW_NOTES notes.
 */
#ifndef FC_FLOW_STOW_H
#define FC_FLOW_STOW_H

#include "flow/lane.h"
#include "flow/spill.h"

enum { FC_STOW_NOTES = 4 * FC_BLOCK_NOTES, FC_STOW_BUFFER = 16 << 10 };

struct fc_stow {
    struct fc_spill log;
    struct fc_spill_file *file;
};

/* NULL without memory. */
struct fc_stow *fc_stow_new(struct fc_spill_file *file);
void fc_stow_free(struct fc_stow *stow);

/* What is known of a note apart from its unit. */
struct fc_stowed {
    struct fc_note note;
    struct fc_place place;
    struct fc_flow_key key;
    struct fc_placed placed;
    struct fc_prior prior;
    struct fc_extra extra;
    uint16_t extra_size;
    bool has_key, has_prior;
};

/* Writes the note at hand of a lane; reads the next one. FC_E_NOMEM, FC_E_IO; reading: 1, 0 at the end. */
int fc_stow_put(struct fc_spill_file *file, struct fc_spill *log, const struct fc_lane *lane, struct fc_error *err);
int fc_stow_get(struct fc_spill_file *file, struct fc_spill *log, struct fc_stowed *out, struct fc_error *err);
/* The side of one that was read. */
void fc_stow_side(const struct fc_stowed *in, struct fc_side *side);

/* Fills an empty unit with the next notes of a stow. 1; 0: there are none; FC_E_NOMEM, FC_E_IO. */
int fc_stow_fill(struct fc_stow *stow, struct fc_unit *unit, unsigned part, struct fc_shelf *shelf,
                 struct fc_error *err);

#endif
