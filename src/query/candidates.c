/* SPDX-License-Identifier: MIT */
#include "query/sql.h"
#include "store/session_index.h"
#include "store/span.h"

/* SQLite joins at most 500 SELECTs, and takes time in the square of the conditions of one. */
enum { SELECTS_MAX = 400, RANGES_MAX = 64 };

struct list {
    struct fc_sql *sql; /* NULL: only counting */
    size_t ranges, others;
    size_t each; /* ranges of one SELECT */
    size_t in_select, selects;
};

static void open_select(struct list *list, const char *text)
{
    fc_sql_add(list->sql, "%s%s", list->selects++ ? " UNION ALL " : "", text);
}

static void add_range(struct list *list, const struct fc_plan *leaf, size_t number)
{
    list->ranges++;
    if (!list->sql)
        return;
    if (list->in_select == 0)
        open_select(list, "SELECT s.id FROM session s WHERE ");
    else
        fc_sql_add(list->sql, " OR ");
    list->in_select = (list->in_select + 1) % list->each;
    fc_sql_range(list->sql, leaf, number, true);
}

/* The sessions with a port, in the blocks that have it. */
static void add_ports(struct list *list, const struct fc_plan *leaf)
{
    list->others++;
    if (!list->sql)
        return;
    list->in_select = 0;
    open_select(list, "SELECT s.id FROM (SELECT DISTINCT p.block FROM session_port p WHERE ");
    fc_sql_ports_condition(list->sql, leaf);
    fc_sql_add(list->sql, ") b CROSS JOIN session s ON s.id BETWEEN b.block * %d + 1 AND b.block * %d + %d WHERE (",
               FC_PORT_BLOCK_SESSIONS, FC_PORT_BLOCK_SESSIONS, FC_PORT_BLOCK_SESSIONS);
    for (size_t i = 0; i < fc_sql_ranges(leaf); i++) {
        fc_sql_add(list->sql, "%s", i ? " OR " : "");
        fc_sql_range(list->sql, leaf, i, false);
    }
    fc_sql_add(list->sql, ")");
}

/* All sessions of the spans in which one of the window can be. */
static void add_spans(struct list *list, const struct fc_plan *leaf)
{
    list->others++;
    if (!list->sql)
        return;
    list->in_select = 0;
    open_select(list, "SELECT s.id FROM session_span p JOIN session s ON s.id BETWEEN p.first_id AND p.first_id");
    fc_sql_add(list->sql, " + %d WHERE ", FC_SPAN_SESSIONS - 1);
    fc_sql_spans_condition(list->sql, leaf);
}

static void add_fields(struct list *list, const struct fc_plan *leaf)
{
    list->others++;
    if (!list->sql)
        return;
    list->in_select = 0;
    open_select(list, "SELECT x.id FROM session_fields x WHERE ");
    fc_sql_fields_condition(list->sql, leaf);
}

static void collect(struct list *list, const struct fc_sql *sql, const struct fc_plan *plan)
{
    switch (plan->type) {
    case FC_PLAN_OR:
        for (size_t i = 0; i < plan->child_count; i++)
            collect(list, sql, plan->child[i]);
        break;
    case FC_PLAN_AND:
        collect(list, sql, plan->child[plan->driver]);
        break;
    default:
        for (size_t i = 0; i < fc_sql_ranges(plan) && !fc_sql_has_ports(plan); i++)
            add_range(list, plan, i);
        if (fc_sql_has_ports(plan))
            add_ports(list, plan);
        if (fc_sql_has_times(plan))
            add_spans(list, plan);
        if (fc_sql_has_fields(sql, plan))
            add_fields(list, plan);
    }
}

/* The SELECTs of a plan; false when they are too many. */
static bool write_selects(struct fc_sql *sql, const struct fc_plan *plan, const char *column)
{
    struct list list = {0};

    collect(&list, sql, plan);
    list.each = list.ranges / SELECTS_MAX + 1;
    /* each SELECT of another table may cut one of ranges short */
    if (list.each > RANGES_MAX || 2 * list.others > SELECTS_MAX / 8)
        return false;
    list.sql = sql;
    fc_sql_add(sql, "%s IN (", column);
    collect(&list, sql, plan);
    fc_sql_add(sql, ")");
    return true;
}

bool fc_sql_candidates(struct fc_sql *sql, const struct fc_plan *plan)
{
    if (plan->cost == FC_PLAN_SCAN || !write_selects(sql, plan, "s.id"))
        return false;
    fc_sql_add(sql, " AND ");
    return true;
}

bool fc_sql_listed_ranges(struct fc_sql *sql, const struct fc_plan *leaf)
{
    /* the plus keeps SQLite from starting with it */
    return write_selects(sql, leaf, "+s.id");
}
