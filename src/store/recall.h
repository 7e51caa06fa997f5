/* SPDX-License-Identifier: MIT */
/*
 * Open sessions of an index by their keys, for a run that adds to it: what no packet asks for is not read. Of each
 * entry of a batch a tag is held, 24 bits of a hash of its key; where one fits, the session's row is read, once, and
 * tells. A session is given once a run.
 *
 * Threads: fc_recall_find() by any; it reads by the writer's own connection, one at a time, and the writer must not be
 * used by anything else until the last of them has returned. Memory: 4 bytes an entry, 8 more of those that were read,
 * and what was read of `open_session`: at most 10 or so an entry.
 */
#ifndef FC_STORE_RECALL_H
#define FC_STORE_RECALL_H

#include "flow/note.h"
#include "store/writer.h"

struct fc_recall;

/* clock_ns: of the index; no packet that asks is before it. *out: NULL when nothing is open. FC_E_DB, FC_E_NOMEM. */
int fc_recall_open(struct fc_writer *writer, int64_t clock_ns, struct fc_recall **out, struct fc_error *err);
void fc_recall_close(struct fc_recall *recall);

/* 1: *prior is filled; 0: no session of this key is open, or it was given already; FC_E_DB, FC_E_NOMEM... */
int fc_recall_find(void *recall, const struct fc_flow_key *key, struct fc_prior *prior, struct fc_error *err);

#endif
