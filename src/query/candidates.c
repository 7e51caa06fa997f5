/* SPDX-License-Identifier: MIT */
/*
 * SELECTs of IDs. The indexes begin with the epoch of an ID, so that each value is looked up in each epoch: epochs are
 * numbers in an IN, which costs least to prepare, and several values a list that SQLite joins with the index, in this
 * order (CROSS JOIN) and with this index (INDEXED BY). A value more or an epoch more makes a list longer and adds no
 * SELECT. What SQLite may do, to leave an IN out of an index, it does by sqlite_stat1 alone, which fc_db_open() keeps
 * from it.
 */
#include "query/sql.h"
#include "store/session_index.h"
#include "store/span.h"

#include <stdio.h>

enum { SELECTS_MAX = 400 /* SQLite joins at most 500 */ };

/* Rows of a table that have one of the values in one of the epochs in which the sessions of a leaf can be. */
static void write_values(struct fc_sql *sql, const struct fc_plan *leaf, size_t most, const char *table,
                         const char *epoch, const char *column)
{
    bool several = leaf->value_count > 1, range = fc_sql_is_range(leaf);

    if (several) {
        fc_sql_add(sql, "(VALUES ");
        fc_sql_values(sql, leaf, most);
        fc_sql_add(sql, ") v CROSS JOIN ");
    }
    fc_sql_add(sql, "%s WHERE %s IN (", table, epoch);
    fc_sql_text(sql, leaf->epochs ? leaf->epochs : sql->epochs);
    fc_sql_add(sql, ") AND %s ", column);
    if (several)
        fc_sql_add(sql, range ? "BETWEEN v.column1 AND v.column2" : "= v.column1");
    else
        fc_sql_value(sql, leaf->value[0], range ? "BETWEEN ? AND ?" : "= ?");
}

/* Sessions that have one of the addresses at one end. */
static void select_end(struct fc_sql *sql, const struct fc_plan *leaf, bool server, size_t most)
{
    const char *end = server ? "server" : "client";
    char table[48], column[24];

    snprintf(table, sizeof table, "session s INDEXED BY session_%s", end);
    snprintf(column, sizeof column, "s.%s_addr", end);
    fc_sql_add(sql, "SELECT s.id FROM ");
    write_values(sql, leaf, most, table, "(s.id - 1) >> 18", column);
    /* a range of 16-byte blobs has 6-byte ones in it; their length is known without leaving the index */
    if (leaf->value[0]->type == FC_AST_NET && leaf->value[0]->family == FC_ADDR_IPV6)
        fc_sql_add(sql, " AND length(%s) = 16", column);
}

/* Blocks that have one of the ports. */
void fc_sql_select_blocks(struct fc_sql *sql, const struct fc_plan *leaf)
{
    fc_sql_add(sql, "SELECT DISTINCT p.epoch, p.block FROM ");
    write_values(sql, leaf, SIZE_MAX, "session_port p", "p.epoch", "p.port");
}

/* The sessions with a port, in the blocks that have it. */
static void select_ports(struct fc_sql *sql, const struct fc_plan *leaf)
{
    fc_sql_add(sql, "SELECT s.id FROM (");
    fc_sql_select_blocks(sql, leaf);
    fc_sql_add(sql, ") b CROSS JOIN session s ON s.id BETWEEN b.epoch * %d + b.block * %d + 1", FC_EPOCH_SESSIONS,
               FC_PORT_BLOCK_SESSIONS);
    fc_sql_add(sql, " AND b.epoch * %d + b.block * %d + %d WHERE (", FC_EPOCH_SESSIONS, FC_PORT_BLOCK_SESSIONS,
               FC_PORT_BLOCK_SESSIONS);
    for (size_t i = 0; i < fc_sql_ranges(leaf); i++) {
        fc_sql_add(sql, "%s", i ? " OR " : "");
        fc_sql_range(sql, leaf, i);
    }
    fc_sql_add(sql, ")");
}

/* All sessions of the spans in which one of the window can be. */
static void select_spans(struct fc_sql *sql, const struct fc_plan *leaf)
{
    fc_sql_add(sql, "SELECT s.id FROM session_span p CROSS JOIN session s ON s.id BETWEEN p.first_id AND p.first_id");
    fc_sql_add(sql, " + %d WHERE ", FC_SPAN_SESSIONS - 1);
    fc_sql_spans_condition(sql, leaf);
}

static void select_fields(struct fc_sql *sql, const struct fc_plan *leaf)
{
    fc_sql_add(sql, "SELECT x.id FROM ");
    if (leaf->value[0]->type == FC_AST_COMMUNITY_ID) {
        write_values(sql, leaf, SIZE_MAX, "session_fields x INDEXED BY session_community", "(x.id - 1) >> 18",
                     "x.community_id");
        return;
    }
    fc_sql_add(sql, "session_fields x WHERE ");
    fc_sql_fields_condition(sql, leaf);
}

static size_t ends_of(const struct fc_plan *leaf)
{
    return fc_sql_has_addresses(leaf) ? leaf->value[0]->ends == FC_ENDS_EITHER ? 2 : 1 : 0;
}

size_t fc_sql_selects(const struct fc_sql *sql, const struct fc_plan *leaf)
{
    return ends_of(leaf) +
           (fc_sql_has_ports(leaf) || fc_sql_has_times(leaf) || leaf->window || leaf->value[0]->type == FC_AST_ID) +
           fc_sql_has_fields(sql, leaf);
}

void fc_sql_select(struct fc_sql *sql, const struct fc_plan *leaf, size_t number, size_t most)
{
    const struct fc_ast *value = leaf->value[0];

    if (number < ends_of(leaf)) {
        select_end(sql, leaf, number == 1 || value->ends == FC_ENDS_DST, most);
    } else if (fc_sql_has_ports(leaf)) {
        select_ports(sql, leaf);
    } else if (fc_sql_has_times(leaf) || leaf->window) {
        select_spans(sql, leaf->window ? leaf->window : leaf);
    } else if (value->type == FC_AST_ID) {
        fc_sql_add(sql, "SELECT s.id FROM session s WHERE ");
        fc_sql_ids(sql, leaf);
    } else {
        select_fields(sql, leaf);
    }
}

struct list {
    struct fc_sql *sql;
    bool write; /* else only counting */
    size_t selects;
};

static void collect(struct list *list, const struct fc_plan *plan)
{
    if (plan->type == FC_PLAN_OR) {
        for (size_t i = 0; i < plan->child_count; i++)
            collect(list, plan->child[i]);
    } else if (plan->type == FC_PLAN_AND) {
        collect(list, plan->child[plan->driver]);
    } else {
        for (size_t i = 0; i < fc_sql_selects(list->sql, plan); i++, list->selects++) {
            if (!list->write)
                continue;
            fc_sql_add(list->sql, "%s", list->selects ? " UNION ALL " : "");
            fc_sql_select(list->sql, plan, i, SIZE_MAX);
        }
    }
}

/* The SELECTs of a plan; false when they are too many. */
static bool write_selects(struct fc_sql *sql, const struct fc_plan *plan, const char *column)
{
    struct list list = {.sql = sql};

    collect(&list, plan);
    if (list.selects > SELECTS_MAX)
        return false;
    list = (struct list){.sql = sql, .write = true};
    fc_sql_add(sql, "%s IN (", column);
    collect(&list, plan);
    fc_sql_add(sql, ")");
    sql->lists = true;
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
