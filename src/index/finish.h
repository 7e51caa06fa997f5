/* SPDX-License-Identifier: MIT */
/* The second half of an index run: late flows joined again, and everything written in order. Threads: one. */
#ifndef FC_INDEX_FINISH_H
#define FC_INDEX_FINISH_H

#include "index/pipeline.h"

/* Whether a flow's last session may go on in a later capture; known when all captures are read. */
bool fc_session_open(const struct fc_pipeline *pipeline, const struct fc_flow_key *key, const struct fc_run *run);

/*
 * Joins the pieces of flows that left the table too early (fc_table_late()), and loose fragments (index/held.h) with those of
 * theirs, taking them from the spools and putting the sessions into the last. FC_E_NOMEM, FC_E_IO.
 */
int fc_rejoin(struct fc_pipeline *pipeline, struct fc_index_result *result, struct fc_error *err);

/* Writes files, sessions and fragments to the index and fills the balance. */
int fc_write_index(struct fc_pipeline *pipeline, struct fc_writer *writer, struct fc_index_result *result,
                   struct fc_error *err);

#endif
