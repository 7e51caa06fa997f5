/* SPDX-License-Identifier: MIT */
/*
 * Which of the captures that are to be indexed the index has already, and under which number:
 * docs/architecture-captures.md, "Which capture is which". What the index says of names, places and captures that are
 * gone is put right by the way.
 *
 * Threads: one.
 */
#ifndef FC_INDEX_KNOWN_H
#define FC_INDEX_KNOWN_H

#include "index/plan.h"

/* By inode and times, without a look into the file. 1: it is known; 0: its content must tell; or negative. */
int fc_known_by_times(struct fc_plan *plan, struct fc_writer *writer, const struct fc_input *input,
                      struct fc_index_result *result, struct fc_error *err);

/*
 * By the content of a file that is open, of which begin and has_records are known. 1: it is known; 0: it is to be
 * indexed, with file->id and file->state when it has grown; or negative.
 */
int fc_known_by_content(struct fc_plan *plan, struct fc_writer *writer, struct fc_plan_file *file,
                        struct fc_index_result *result, struct fc_error *err);

/* What stands under this name is no capture: those that did are gone. 0, or negative. */
int fc_known_replaced(struct fc_plan *plan, struct fc_writer *writer, const char *path, struct fc_error *err);

#endif
