/* SPDX-License-Identifier: MIT */
/*
 * A filter's tree made ready for SQL: chains of one operator flattened, double negations gone, and values that an `or`
 * joins and that differ in nothing else gathered in one leaf (`host A or host B` becomes one list of addresses), and
 * times that an `and` joins likewise.
 *
 * Memory: everything lives in the arena; the plan points into the filter's tree.
 */
#ifndef FC_QUERY_PLAN_H
#define FC_QUERY_PLAN_H

#include "query/ast.h"

enum fc_plan_type { FC_PLAN_AND, FC_PLAN_OR, FC_PLAN_NOT, FC_PLAN_LEAF };

struct fc_plan {
    enum fc_plan_type type;
    uint32_t height; /* 1 for a leaf */
    uint32_t leaves; /* in the whole subtree */
    struct fc_plan **child;
    size_t child_count;
    const struct fc_ast **value; /* leaf: one or more, all of one type, ends, scope...; of times all hold, else one */
    size_t value_count;
    int64_t cost; /* rows that an index would fetch for it, FC_PLAN_SCAN when no index helps; see cost.c */
    const struct fc_plan *window; /* leaf of captures: that of their times, where all of their packets have one */
    const char *epochs; /* leaf: those in which its sessions can be, where they are fewer than all; as fc_sql.epochs */
    size_t driver;      /* `and`: the child whose index is used, when cost is not FC_PLAN_SCAN */
};

#define FC_PLAN_SCAN INT64_MAX

/* The plan of a tree; NULL without memory. */
struct fc_plan *fc_plan_build(struct fc_arena *arena, const struct fc_ast *root);

/* True when the mask of a network is a prefix, so that the network is one range of addresses. */
bool fc_plan_is_range(const struct fc_ast *net);

#endif
