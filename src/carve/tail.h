/* SPDX-License-Identifier: MIT */
/* What sections of a pcapng end with: statistics of interfaces, which tell of packets that were dropped. One thread. */
#ifndef FC_CARVE_TAIL_H
#define FC_CARVE_TAIL_H

#include "carve/describe.h"
#include "carve/output.h"

/*
 * Appends the statistics at the end of each section that was carved from, of the interfaces that had a packet carved.
 * The file is open, or `blocks` is not NULL. In a compressed capture they are too far away to be looked for. FC_E_IO
 * and as fc_output_record(), err filled; FC_E_NOMEM.
 */
int fc_carve_write_tails(struct fc_output *out, struct fc_blocks *blocks, const struct fc_carve_file *described,
                         struct fc_place_file *file, struct fc_error *err);

#endif
