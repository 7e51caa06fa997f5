/* SPDX-License-Identifier: MIT */
/* Sums of 5 minutes in an engine, added up there of the rows of table session. Threads: one. */
#ifndef FC_CLUSTER_ROLLUP_H
#define FC_CLUSTER_ROLLUP_H

#include "cluster/engine.h"
#include "cluster/slots.h"

/* Replaces the sums of these slots of a sensor's index. `slots` must be sorted. Codes as fc_engine_run(). */
int fc_rollup(struct fc_engine *engine, const char *sensor, const uint8_t generation[16], uint64_t revision,
              const struct fc_slots *slots, struct fc_error *err);

/* unhex('...') of some bytes: how they get into a statement. Returns buf, which must have 2 * len + 10 bytes. */
const char *fc_sql_bytes(const void *bytes, size_t len, char *buf);

#endif
