/* SPDX-License-Identifier: MIT */
/*
 * Inside of the compiler from plans to SQL: sql.c writes text, cost.c asks the index what conditions would fetch.
 *
 * Every text is an expression over `session s` that is true, or false or NULL; NULL means false, and whatever negates
 * one does it with IS NOT TRUE. That way `not port 80` finds sessions without ports.
 */
#ifndef FC_QUERY_SQL_H
#define FC_QUERY_SQL_H

#include "query/filter.h"
#include "query/plan.h"

struct fc_sql {
    char *text;
    size_t len, room;
    struct fc_filter_bind *bind;
    size_t bind_count, bind_room;
    uint32_t fields; /* FC_FIELD_* of the index */
    bool failed;     /* out of memory; everything after it is without effect */
};

void fc_sql_fini(struct fc_sql *sql);
void fc_sql_add(struct fc_sql *sql, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The condition of a plan that fc_cost() has been through. */
void fc_sql_plan(struct fc_sql *sql, const struct fc_plan *plan);

/*
 * Conditions of a leaf that one range or list of an index can answer; the leaf is true when one of them is, apart from
 * what does not depend on an index (protocol, kind of address).
 */
size_t fc_sql_ranges(const struct fc_plan *leaf);
void fc_sql_range(struct fc_sql *sql, const struct fc_plan *leaf, size_t number, bool use_index);

/* Sets cost and driver in the whole plan. 0 or FC_E_DB, FC_E_NOMEM, FC_E_INTERRUPTED. */
int fc_cost(struct fc_db *db, uint32_t fields, struct fc_plan *plan, struct fc_error *err);

#endif
