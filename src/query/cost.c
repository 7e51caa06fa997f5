/* SPDX-License-Identifier: MIT */
/*
 * What an index would fetch for a condition is asked from the index itself: entries of its range are counted, up to a
 * limit. That beats any guess, since one address can be in every session of a capture and a port in a single one.
 */
#include "base/error.h"
#include "query/fields.h"
#include "query/sql.h"
#include "store/db.h"
#include "store/session_index.h"
#include "store/span.h"

#include <string.h>

enum {
    EPOCHS_MAX = 1000, /* in a list; more, of 262 million sessions or IDs far apart, are found anew by each SELECT */
    FEW = 1000,        /* rows so few that looking for something better would take longer than fetching them */
    CHEAPER = 4,       /* rows side by side for the price of one that is looked up by an index */
    BLOCK = 8,         /* what the rows of a block of session_port cost, in rows that are looked up */
    SHARE = 16         /* beyond 1/SHARE of all rows, reading the table from front to end is faster than an index */
};

struct cost {
    struct fc_db *db;
    struct fc_arena *arena;
    const struct fc_sql *sql; /* that will be written */
    int64_t limit;            /* entries worth fetching by an index */
    int64_t budget;           /* entries that may still be counted */
    struct fc_error *err;
};

static int no_memory(struct cost *c)
{
    return fc_error_set(c->err, FC_E_NOMEM, c->db->path, FC_NO_OFFSET, "out of memory");
}

static struct fc_sql new_sql(const struct cost *c)
{
    return (struct fc_sql){.fields = c->sql->fields, .epochs = c->sql->epochs};
}

/* Runs what was written, up to its first row: 0 and *stmt at it, to be finalized by the caller in any case. */
static int run(struct cost *c, struct fc_sql *sql, sqlite3_stmt **stmt)
{
    struct fc_filter_sql binds = {.bind = sql->bind, .bind_count = sql->bind_count};
    sqlite3 *db = fc_db_sqlite(c->db);
    int rc = 0;

    *stmt = NULL;
    if (sql->failed)
        rc = no_memory(c);
    else if (sqlite3_prepare_v2(db, sql->text, -1, stmt, NULL) != SQLITE_OK ||
             fc_filter_bind(&binds, *stmt, 1) != SQLITE_OK || sqlite3_step(*stmt) != SQLITE_ROW)
        rc = fc_db_error(db, c->db->path, c->err, "cannot read the index");
    fc_sql_fini(sql);
    return rc;
}

static int run_count(struct cost *c, struct fc_sql *sql, int64_t *count)
{
    sqlite3_stmt *stmt;
    int rc = run(c, sql, &stmt);

    *count = rc ? 0 : sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return rc;
}

/* Those that have sessions, each found behind the one before it. */
#define SPARSE_EPOCHS                                                                                                  \
    "WITH RECURSIVE a(n) AS (SELECT (min(id) - 1) >> 18 FROM session UNION ALL"                                        \
    " SELECT (SELECT (min(id) - 1) >> 18 FROM session WHERE id > (a.n + 1) * 262144) FROM a WHERE a.n IS NOT NULL)"    \
    " SELECT n FROM a WHERE n IS NOT NULL"

/* A copy of a list of epochs that lives as long as it is needed. */
static int keep_epochs(struct cost *c, const char *list, const char **epochs)
{
    char *copy = list ? fc_arena_alloc(c->arena, strlen(list) + 1) : NULL;

    if (!copy)
        return no_memory(c);
    *epochs = strcpy(copy, list);
    return 0;
}

static int list_epochs(struct cost *c, int64_t first, int64_t last, const char **epochs)
{
    struct fc_sql list = {0};

    for (int64_t n = first; n <= last; n++)
        fc_sql_add(&list, "%s%lld", n > first ? "," : "", (long long)n);
    int rc = keep_epochs(c, list.failed ? NULL : list.text, epochs);
    fc_sql_fini(&list);
    return rc;
}

/*
 * All epochs, also the few without a session: to look there is cheaper than to ask first. *rows: of the table, about.
 */
static int all_epochs(struct cost *c, const char **epochs, int64_t *rows)
{
    struct fc_sql sql = {0};
    sqlite3_stmt *stmt;

    fc_sql_text(&sql, "SELECT (SELECT min(id) FROM session), (SELECT max(id) FROM session)");
    int rc = run(c, &sql, &stmt);
    bool any = rc == 0 && sqlite3_column_type(stmt, 0) != SQLITE_NULL;
    int64_t first_id = any ? sqlite3_column_int64(stmt, 0) : 1, last_id = any ? sqlite3_column_int64(stmt, 1) : 1;
    int64_t first = fc_epoch_of(first_id + (first_id == INT64_MIN)),
            last = fc_epoch_of(last_id + (last_id == INT64_MIN));
    *rows = last_id;
    sqlite3_finalize(stmt);
    *epochs = SPARSE_EPOCHS;
    return rc || last - first >= EPOCHS_MAX ? rc : list_epochs(c, first, last, epochs);
}

/* Those of a window of time. */
static int epochs_of(struct cost *c, const struct fc_plan *window, const char **epochs)
{
    struct fc_sql sql = new_sql(c);
    sqlite3_stmt *stmt;

    fc_sql_text(&sql, "SELECT group_concat(n), count(*) FROM (SELECT DISTINCT (p.first_id - 1) >> 18 AS n"
                      " FROM session_span p WHERE ");
    fc_sql_spans_condition(&sql, window);
    fc_sql_text(&sql, ")");
    int rc = run(c, &sql, &stmt);
    int64_t count = rc ? 0 : sqlite3_column_int64(stmt, 1);
    *epochs = count ? c->sql->epochs : "0";
    if (count && count <= EPOCHS_MAX)
        rc = keep_epochs(c, (const char *)sqlite3_column_text(stmt, 0), epochs);
    sqlite3_finalize(stmt);
    return rc;
}

/* Rows that the first `selects` SELECTs of a leaf give, at most limit + 1. */
static int count_selects(struct cost *c, const struct fc_plan *leaf, size_t selects, int64_t limit, int64_t *count)
{
    struct fc_sql sql = new_sql(c);

    fc_sql_add(&sql, "SELECT count(*) FROM (");
    for (size_t i = 0; i < selects; i++) {
        fc_sql_add(&sql, "%s", i ? " UNION ALL " : "");
        fc_sql_select(&sql, leaf, i, FEW);
    }
    fc_sql_add(&sql, " LIMIT %lld)", (long long)limit + 1);
    return run_count(c, &sql, count);
}

/* Entries of the address at either end. Of a very long list the rest is taken to be like its first thousand. */
static int cost_of_addresses(struct cost *c, struct fc_plan *leaf)
{
    size_t most = (size_t)sqlite3_limit(fc_db_sqlite(c->db), SQLITE_LIMIT_VARIABLE_NUMBER, -1);
    size_t ends = leaf->value[0]->ends == FC_ENDS_EITHER ? 2 : 1;
    int64_t limit = c->limit < c->budget ? c->limit : c->budget, total;

    /* a list that no statement can hold */
    if (leaf->value_count > most / 2)
        return 0;
    int rc = count_selects(c, leaf, ends, limit, &total);
    if (rc != 0)
        return rc;
    c->budget -= total;
    if (total > limit)
        return 0;
    if (leaf->value_count > FEW)
        total = total * (int64_t)leaf->value_count / FEW;
    if (total <= c->limit)
        leaf->cost = total;
    return 0;
}

/* Sessions of all blocks that have one of the ports; these lie side by side. */
static int cost_of_ports(struct cost *c, struct fc_plan *leaf)
{
    int64_t limit = c->limit / BLOCK < c->budget ? c->limit / BLOCK : c->budget, count;
    struct fc_sql sql = new_sql(c);

    if (leaf->value_count > (size_t)sqlite3_limit(fc_db_sqlite(c->db), SQLITE_LIMIT_VARIABLE_NUMBER, -1) / 4)
        return 0;
    fc_sql_add(&sql, "SELECT count(*) FROM (");
    fc_sql_select_blocks(&sql, leaf);
    fc_sql_add(&sql, " LIMIT %lld)", (long long)limit + 1);
    int rc = run_count(c, &sql, &count);
    c->budget -= count;
    if (rc == 0 && count <= limit)
        leaf->cost = count * BLOCK;
    return rc;
}

/* Sessions that have one of the Community IDs, by the index of these. */
static int cost_of_community_ids(struct cost *c, struct fc_plan *leaf)
{
    int64_t limit = c->limit < c->budget ? c->limit : c->budget, count;

    if (!fc_sql_has_fields(c->sql, leaf))
        return 0;
    int rc = count_selects(c, leaf, 1, limit, &count);
    c->budget -= count;
    if (rc == 0 && count <= limit)
        leaf->cost = count;
    return rc;
}

/* Sessions of all spans that a window touches. They are read in the order of the table, which makes them cheaper. */
static int cost_of_times(struct cost *c, struct fc_plan *leaf)
{
    struct fc_sql sql = new_sql(c);
    int64_t count;

    fc_sql_add(&sql, "SELECT count(*) FROM session_span p WHERE ");
    fc_sql_spans_condition(&sql, leaf);
    int rc = run_count(c, &sql, &count);
    if (rc == 0 && count * FC_SPAN_SESSIONS / CHEAPER <= c->limit)
        leaf->cost = count * FC_SPAN_SESSIONS / CHEAPER;
    return rc;
}

static const struct fc_ast *time_leaf(struct cost *c, enum fc_ast_type type, int64_t ns)
{
    struct fc_ast *leaf = fc_ast_leaf(c->arena, type);

    if (leaf)
        leaf->lo = ns;
    return leaf;
}

/* The times between two as a window. NULL without memory. */
static struct fc_plan *new_window(struct cost *c, int64_t first_ns, int64_t last_ns)
{
    struct fc_plan *window = fc_arena_alloc(c->arena, sizeof *window);
    const struct fc_ast **value = fc_arena_alloc(c->arena, 2 * sizeof *value);

    if (!window || !value || !(value[0] = time_leaf(c, FC_AST_AFTER, first_ns)) ||
        !(value[1] = time_leaf(c, FC_AST_BEFORE, last_ns + (last_ns < INT64_MAX))))
        return NULL;
    *window = (struct fc_plan){.type = FC_PLAN_LEAF, .value = value, .value_count = 2, .cost = FC_PLAN_SCAN};
    return window;
}

/* Sessions of the time of a leaf's captures. In a pcapng there may be packets that have no time. */
static int cost_of_files(struct cost *c, struct fc_plan *leaf)
{
    struct fc_sql sql = new_sql(c);
    struct fc_plan *window = NULL;
    sqlite3_stmt *stmt;

    fc_sql_text(&sql,
                "SELECT min(f.first_ns), max(f.last_ns), sum(f.format = 'pcapng' OR f.first_ns IS NULL) FROM files f"
                " WHERE ");
    fc_sql_files(&sql, leaf->value[0], "f.id");
    int rc = run(c, &sql, &stmt);
    bool timed = rc == 0 && sqlite3_column_type(stmt, 2) == SQLITE_INTEGER && sqlite3_column_int64(stmt, 2) == 0;
    if (timed && !(window = new_window(c, sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1))))
        rc = no_memory(c);
    sqlite3_finalize(stmt);
    if (rc == 0 && window && (rc = cost_of_times(c, window)) == 0 && window->cost != FC_PLAN_SCAN) {
        leaf->window = window;
        leaf->cost = window->cost;
    }
    return rc;
}

/* As many sessions as there are IDs. */
static int64_t cost_of_ids(const struct cost *c, const struct fc_plan *leaf)
{
    uint64_t total = 0;

    for (size_t i = 0; i < leaf->value_count && total <= (uint64_t)c->limit; i++)
        total += (uint64_t)leaf->value[i]->hi - (uint64_t)leaf->value[i]->lo + 1;
    return total > (uint64_t)c->limit && leaf->value_count < total ? FC_PLAN_SCAN : (int64_t)total;
}

static int cost_of_leaf(struct cost *c, struct fc_plan *leaf)
{
    const struct fc_ast *value = leaf->value[0];

    switch (value->type) {
    case FC_AST_MAC:
        if (!(c->sql->fields & FC_FIELD_MAC))
            return cost_of_addresses(c, leaf);
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
        return cost_of_addresses(c, leaf);
    case FC_AST_PORT:
        return cost_of_ports(c, leaf);
    case FC_AST_COMMUNITY_ID:
        return cost_of_community_ids(c, leaf);
    case FC_AST_AFTER:
    case FC_AST_BEFORE:
        return cost_of_times(c, leaf);
    case FC_AST_FILE:
        return cost_of_files(c, leaf);
    case FC_AST_ID:
        leaf->cost = cost_of_ids(c, leaf);
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

/* Leaves below a window of time are asked of its epochs alone. */
static void set_epochs(struct fc_plan *plan, const char *epochs)
{
    plan->epochs = epochs;
    for (size_t i = 0; i < plan->child_count; i++)
        set_epochs(plan->child[i], epochs);
}

static int narrow_epochs(struct cost *c, struct fc_plan *plan)
{
    const char *epochs;

    for (size_t i = 0; i < plan->child_count; i++) {
        const struct fc_plan *child = plan->child[i];
        if (child->type != FC_PLAN_LEAF || !fc_sql_has_times(child))
            continue;
        int rc = epochs_of(c, child, &epochs);
        if (rc == 0)
            set_epochs(plan, epochs);
        return rc;
    }
    return 0;
}

static int cost_of_and(struct cost *c, struct fc_plan *plan)
{
    int rc = narrow_epochs(c, plan);

    if (rc != 0)
        return rc;
    for (unsigned w = 0; w <= 6; w++) {
        for (size_t i = 0; i < plan->child_count && plan->cost > FEW; i++) {
            rc = width(plan->child[i]) == w ? cost_of_plan(c, plan->child[i]) : 0;
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

int fc_cost(struct fc_db *db, struct fc_arena *arena, struct fc_sql *sql, struct fc_plan *plan, struct fc_error *err)
{
    struct cost c = {.db = db, .arena = arena, .sql = sql, .err = err};
    int64_t rows;
    int rc = all_epochs(&c, &sql->epochs, &rows);

    if (rc != 0)
        return rc;
    c.limit = rows / SHARE > FEW ? rows / SHARE : FEW;
    c.budget = c.limit * 2;
    return cost_of_plan(&c, plan);
}
