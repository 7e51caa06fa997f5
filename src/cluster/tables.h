/* SPDX-License-Identifier: MIT */
/* The tables of an engine: schema/clickhouse, with its words put in. Threads: any. */
#ifndef FC_CLUSTER_TABLES_H
#define FC_CLUSTER_TABLES_H

#include "cluster/engine.h"

struct fc_tables_options {
    const char *cluster; /* the cluster's name in the configuration of the engine's servers; NULL: one server */
    bool replicated; /* tables that a ZooKeeper keeps alike on the replicas of a shard (macros {shard}, {replica}) */
};

/* Is given one statement after the other; other than 0 ends it. */
typedef int fc_tables_call(void *ctx, const char *statement, struct fc_error *err);

/* 0, what `call` returns, FC_E_USAGE (a name of a cluster that has other than letters, digits, '_' and '-'), FC_E_NOMEM. */
int fc_tables_each(const struct fc_tables_options *options, fc_tables_call *call, void *ctx, struct fc_error *err);

/* Makes the database and those tables that are not there. Codes as fc_engine_run(), and as above. */
int fc_tables_make(struct fc_engine *engine, const struct fc_tables_options *options, struct fc_error *err);

/* generated from schema/clickhouse */
extern const char fc_engine_tables[], fc_engine_distributed[];

#endif
