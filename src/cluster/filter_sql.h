/* SPDX-License-Identifier: MIT */
/*
 * A filter as SQL of the engine, over the columns of table `session` (schema/clickhouse/tables.sql).
 *
 * Every condition is 0 or 1 and never NULL, so that a negation of one is true where a session lacks what it asks for,
 * as in an index. Nothing of the user's gets into it: values are numbers, or hex digits between unhex(' and ').
 *
 * Threads: any.
 */
#ifndef FC_CLUSTER_FILTER_SQL_H
#define FC_CLUSTER_FILTER_SQL_H

#include "query/plan.h"

#include <stdio.h>

/* Engines take a long list in their stride, but need minutes to think about some thousand conditions. */
enum { FC_ENGINE_VALUES_MAX = 10000, FC_ENGINE_CONDITIONS_MAX = 1000, FC_ENGINE_HEIGHT_MAX = 150 };

/*
 * Writes the condition of a plan. FC_E_FILTER: it asks what an engine does not know. FC_E_LIMIT: above one of these
 * limits.
 */
int fc_engine_filter(FILE *out, const struct fc_plan *plan, struct fc_error *err);

/*
 * Writes a condition on column `addr` of table `host` that holds for one of the rows of every session for which the
 * plan is true. False, and nothing is written: there is none.
 */
bool fc_engine_hosts(FILE *out, const struct fc_plan *plan);

/* A time in which all sessions are active for which a plan is true: `after` at or behind, `before` not included. */
struct fc_engine_window {
    bool has_after, has_before;
    int64_t after, before; /* ns since 1970 */
};
struct fc_engine_window fc_engine_window(const struct fc_plan *plan);

/* Whether a plan can be true of a session of the sensor called `name`. */
bool fc_engine_can_be_of(const struct fc_plan *plan, const char *name);

/* len bytes as unhex('...'). */
void fc_engine_hex(FILE *out, const void *bytes, size_t len);

#endif
