/* SPDX-License-Identifier: MIT */
/* The second half of an index run: everything is written, in order. Threads: one, and those of the writer. */
#ifndef FC_INDEX_FINISH_H
#define FC_INDEX_FINISH_H

#include "index/pipeline.h"

/* Writes files, sessions and fragments to the index and fills the balance. */
int fc_write_index(struct fc_pipeline *pipeline, struct fc_writer *writer, struct fc_index_result *result,
                   struct fc_error *err);

#endif
