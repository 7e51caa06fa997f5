/* SPDX-License-Identifier: MIT */
/*
 * What an index would fetch for a condition is asked from the index itself: entries of its range are counted, up to a
 * limit. That beats any guess, since one address can be in every session of a capture and a port in a single one.
 */
#include "base/error.h"
#include "query/fields.h"
#include "query/sql.h"
#include "store/db.h"
#include "store/span.h"

enum {
    FEW = 1000,  /* rows so few that looking for something better would take longer than fetching them */
    CHEAPER = 4, /* rows side by side for the price of one that is looked up by an index */
    BLOCK = 8,   /* what the rows of a block of session_port cost, in rows that are looked up */
    SHARE = 16   /* beyond 1/SHARE of all rows, reading the table from front to end is faster than an index */
};

struct cost {
    struct fc_db *db;
    uint32_t fields;
    int64_t limit;  /* entries worth fetching by an index */
    int64_t budget; /* entries that may still be counted */
    struct fc_error *err;
};

static int run_count(struct cost *c, const char *text, const struct fc_sql *sql, int64_t *count)
{
    struct fc_filter_sql binds = {.bind = sql ? sql->bind : NULL, .bind_count = sql ? sql->bind_count : 0};
    sqlite3 *db = fc_db_sqlite(c->db);
    sqlite3_stmt *stmt = NULL;
    int rc = 0;

    *count = 0;
    if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK || fc_filter_bind(&binds, stmt, 1) != SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_ROW)
        rc = fc_db_error(db, c->db->path, c->err, "cannot read the index");
    else
        *count = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return rc;
}

/* Entries of one range, at most limit + 1. */
static int count_range(struct cost *c, const struct fc_plan *leaf, size_t number, int64_t limit, int64_t *count)
{
    struct fc_sql sql = {.fields = c->fields};
    int rc;

    fc_sql_add(&sql, "SELECT count(*) FROM (SELECT 1 FROM session s WHERE ");
    fc_sql_range(&sql, leaf, number, true);
    fc_sql_add(&sql, " LIMIT %lld)", (long long)limit + 1);
    rc = sql.failed ? fc_error_set(c->err, FC_E_NOMEM, c->db->path, FC_NO_OFFSET, "out of memory")
                    : run_count(c, sql.text, &sql, count);
    fc_sql_fini(&sql);
    return rc;
}

static int cost_of_ranges(struct cost *c, struct fc_plan *leaf)
{
    size_t ranges = fc_sql_ranges(leaf);
    size_t most = (size_t)sqlite3_limit(fc_db_sqlite(c->db), SQLITE_LIMIT_VARIABLE_NUMBER, -1);
    int64_t total = 0, count = 0;
    int rc;

    /* a list that no statement can hold */
    if (leaf->value_count > most / 2)
        return 0;

    for (size_t i = 0; i < ranges; i++) {
        int64_t limit = c->limit - total < c->budget ? c->limit - total : c->budget;

        /* of a very long list the rest is taken to be like its first thousand */
        if (i >= FEW) {
            total = total / (int64_t)i * (int64_t)ranges;
            break;
        }
        rc = count_range(c, leaf, i, limit, &count);
        if (rc != 0)
            return rc;
        total += count;
        c->budget -= count;
        if (count > limit)
            return 0;
    }
    if (total <= c->limit)
        leaf->cost = total;
    return 0;
}

/*
 * Ends "SELECT count(*) FROM (SELECT ...", runs it, and gives the leaf its cost, `each` a row, when it is within the
 * limit.
 */
static int count_up_to(struct cost *c, struct fc_plan *leaf, struct fc_sql *sql, int64_t limit, int64_t each)
{
    int64_t count = 0;

    fc_sql_add(sql, " LIMIT %lld)", (long long)limit + 1);
    int rc = sql->failed ? fc_error_set(c->err, FC_E_NOMEM, c->db->path, FC_NO_OFFSET, "out of memory")
                         : run_count(c, sql->text, sql, &count);
    fc_sql_fini(sql);
    c->budget -= count;
    if (rc == 0 && count <= limit)
        leaf->cost = count * each;
    return rc;
}

/* Sessions of all blocks that have one of the ports; these lie side by side. */
static int cost_of_ports(struct cost *c, struct fc_plan *leaf)
{
    int64_t limit = c->limit / BLOCK;
    struct fc_sql sql = {.fields = c->fields};

    if (leaf->value_count > (size_t)sqlite3_limit(fc_db_sqlite(c->db), SQLITE_LIMIT_VARIABLE_NUMBER, -1) / 4)
        return 0;
    if (limit > c->budget)
        limit = c->budget;
    fc_sql_add(&sql, "SELECT count(*) FROM (SELECT 1 FROM session_port p WHERE ");
    fc_sql_ports_condition(&sql, leaf);
    return count_up_to(c, leaf, &sql, limit, BLOCK);
}

/* Sessions that have one of the Community IDs, by the index of these. */
static int cost_of_community_ids(struct cost *c, struct fc_plan *leaf)
{
    struct fc_sql sql = {.fields = c->fields};
    int64_t limit = c->limit < c->budget ? c->limit : c->budget;

    if (!fc_sql_has_fields(&sql, leaf))
        return 0;
    fc_sql_add(&sql, "SELECT count(*) FROM (SELECT 1 FROM session_fields x WHERE ");
    fc_sql_fields_condition(&sql, leaf);
    return count_up_to(c, leaf, &sql, limit, 1);
}

/* Sessions of all spans that a window touches. They are read in the order of the table, which makes them cheaper. */
static int cost_of_times(struct cost *c, struct fc_plan *leaf)
{
    struct fc_sql sql = {.fields = c->fields};
    int64_t count = 0;
    int rc;

    fc_sql_add(&sql, "SELECT count(*) FROM session_span p WHERE ");
    fc_sql_spans_condition(&sql, leaf);
    rc = sql.failed ? fc_error_set(c->err, FC_E_NOMEM, c->db->path, FC_NO_OFFSET, "out of memory")
                    : run_count(c, sql.text, &sql, &count);
    fc_sql_fini(&sql);
    if (rc == 0 && count * FC_SPAN_SESSIONS / CHEAPER <= c->limit)
        leaf->cost = count * FC_SPAN_SESSIONS / CHEAPER;
    return rc;
}

static int cost_of_leaf(struct cost *c, struct fc_plan *leaf)
{
    const struct fc_ast *value = leaf->value[0];

    switch (value->type) {
    case FC_AST_MAC:
        if (!(c->fields & FC_FIELD_MAC))
            return cost_of_ranges(c, leaf);
        /* fall through */
    case FC_AST_VLAN:
    case FC_AST_MPLS:
    case FC_AST_TUNNEL:
        /* the whole of a narrower table is read */
        leaf->cost = c->limit / 2;
        return 0;
    case FC_AST_NET:
        if (!fc_plan_is_range(value))
            return 0;
        /* fall through */
    case FC_AST_HOST:
        return cost_of_ranges(c, leaf);
    case FC_AST_PORT:
        return cost_of_ports(c, leaf);
    case FC_AST_COMMUNITY_ID:
        return cost_of_community_ids(c, leaf);
    case FC_AST_AFTER:
    case FC_AST_BEFORE:
        return cost_of_times(c, leaf);
    case FC_AST_ID:
        leaf->cost = (int64_t)leaf->value_count;
        if (value->hi - value->lo > c->limit)
            leaf->cost = FC_PLAN_SCAN;
        else if (value->hi > value->lo)
            leaf->cost = value->hi - value->lo + 1;
        return 0;
    default:
        return 0;
    }
}

/* Conditions that tend to be narrow come first, so that the others need not be counted. */
static unsigned width(const struct fc_plan *plan)
{
    if (plan->type != FC_PLAN_LEAF)
        return plan->type == FC_PLAN_NOT ? 9 : 4;
    switch (plan->value[0]->type) {
    case FC_AST_ID:
    case FC_AST_COMMUNITY_ID:
        return 0;
    case FC_AST_HOST:
        return 1;
    case FC_AST_NET:
        return 2;
    case FC_AST_PORT:
        return 3;
    case FC_AST_AFTER:
    case FC_AST_BEFORE:
        return 5;
    default:
        return 6;
    }
}

static int cost_of_plan(struct cost *c, struct fc_plan *plan);

static int cost_of_and(struct cost *c, struct fc_plan *plan)
{
    for (unsigned w = 0; w <= 6; w++) {
        for (size_t i = 0; i < plan->child_count && plan->cost > FEW; i++) {
            int rc = width(plan->child[i]) == w ? cost_of_plan(c, plan->child[i]) : 0;

            if (rc != 0)
                return rc;
            if (plan->child[i]->cost < plan->cost) {
                plan->cost = plan->child[i]->cost;
                plan->driver = i;
            }
        }
    }
    return 0;
}

static int cost_of_or(struct cost *c, struct fc_plan *plan)
{
    int64_t total = 0;

    for (size_t i = 0; i < plan->child_count; i++) {
        int rc = cost_of_plan(c, plan->child[i]);

        if (rc != 0)
            return rc;
        /* one operand without an index, and the whole table must be read */
        if (plan->child[i]->cost > c->limit - total)
            return 0;
        total += plan->child[i]->cost;
    }
    plan->cost = total;
    return 0;
}

static int cost_of_plan(struct cost *c, struct fc_plan *plan)
{
    switch (plan->type) {
    case FC_PLAN_AND:
        return cost_of_and(c, plan);
    case FC_PLAN_OR:
        return cost_of_or(c, plan);
    case FC_PLAN_LEAF:
        return c->budget > 0 ? cost_of_leaf(c, plan) : 0;
    default:
        return 0;
    }
}

int fc_cost(struct fc_db *db, uint32_t fields, struct fc_plan *plan, struct fc_error *err)
{
    struct cost c = {.db = db, .fields = fields, .err = err};
    int64_t rows;
    int rc = run_count(&c, "SELECT max(id) FROM session", NULL, &rows);

    if (rc != 0)
        return rc;
    c.limit = rows / SHARE > FEW ? rows / SHARE : FEW;
    c.budget = c.limit * 2;
    return cost_of_plan(&c, plan);
}
