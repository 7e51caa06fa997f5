/* SPDX-License-Identifier: MIT */
/* The tables of an engine: schema/clickhouse, with its words put in. Threads: any. */
#ifndef FC_CLUSTER_TABLES_H
#define FC_CLUSTER_TABLES_H

#include "cluster/engine.h"

#include <flowcarve/cluster.h>

/* Makes the database and those tables that are not there, of one server. Codes as fc_engine_run(). */
int fc_tables_make(struct fc_engine *engine, struct fc_error *err);

/* generated from schema/clickhouse */
extern const char fc_engine_tables[], fc_engine_distributed[];

#endif
