/* SPDX-License-Identifier: MIT */
#include "query/filter.h"
#include "base/error.h"
#include "base/export.h"
#include "query/community.h"
#include "query/fields.h"
#include "query/file.h"
#include "query/sql.h"
#include "store/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail_memory(struct fc_db *db, struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, db->path, FC_NO_OFFSET, "out of memory");
}

/* Fields that the filter asks for. */
static uint32_t fields_used(const struct fc_ast *node)
{
    static const uint32_t measures[] = {[FC_MEASURE_PAYLOAD] = FC_FIELD_PAYLOAD, [FC_MEASURE_TTL] = FC_FIELD_TTL};
    uint32_t used = node->type == FC_AST_VLAN           ? FC_FIELD_VLAN
                    : node->type == FC_AST_MPLS         ? FC_FIELD_MPLS
                    : node->type == FC_AST_TUNNEL       ? FC_FIELD_TUNNEL
                    : node->type == FC_AST_MAC          ? FC_FIELD_MAC
                    : node->type == FC_AST_COMMUNITY_ID ? FC_FIELD_COMMUNITY_ID
                    : node->type == FC_AST_FLAGS        ? FC_FIELD_TCP_FLAGS
                    : node->type == FC_AST_MEASURE      ? measures[node->measure]
                                                        : 0;

    for (const struct fc_ast *child = node->first; child; child = child->next)
        used |= fields_used(child);
    return used;
}

static uint32_t columns_used(const struct fc_ast *node)
{
    static const uint32_t measures[] = {[FC_MEASURE_PACKETS] = FC_COLUMN_PACKETS,
                                        [FC_MEASURE_BYTES] = FC_COLUMN_BYTES,
                                        [FC_MEASURE_DURATION] = FC_COLUMN_DURATION,
                                        [FC_MEASURE_TTL] = 0};
    uint32_t used = node->type == FC_AST_STATE || node->type == FC_AST_MARK ? (uint32_t)FC_COLUMN_STATE
                    : node->type == FC_AST_MEASURE                          ? measures[node->measure]
                                                                            : 0;

    for (const struct fc_ast *child = node->first; child; child = child->next)
        used |= columns_used(child);
    return used;
}

FC_EXPORT uint32_t fc_filter_fields(const struct fc_filter *filter, uint32_t *columns)
{
    bool any = filter && filter->root;

    if (columns)
        *columns = any ? columns_used(filter->root) : 0;
    return any ? fields_used(filter->root) : 0;
}

/* What the index lacks must not be asked of it, or be computed. */
static int check_fields(const struct fc_filter *filter, struct fc_db *db, uint32_t held, struct fc_error *err)
{
    static const struct {
        uint32_t bit;
        const char *what, *name;
    } fields[] = {
        {FC_FIELD_VLAN, "VLAN ids", "vlan"},
        {FC_FIELD_MPLS, "MPLS labels", "mpls"},
        {FC_FIELD_TUNNEL, "encapsulations", "tunnel"},
        {FC_FIELD_MAC, "link addresses of IP sessions", "mac"},
        {FC_FIELD_TTL, "TTLs", "ttl"},
        {FC_FIELD_PAYLOAD, "bytes of payload", "payload"},
        {FC_FIELD_TCP_FLAGS, "TCP flags", "tcp-flags"},
    };
    uint32_t missing = fields_used(filter->root) & ~held;

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (missing & fields[i].bit)
            return fc_error_set(err, FC_E_FILTER, db->path, FC_NO_OFFSET,
                                "this index holds no %s; index with --fields %s", fields[i].what, fields[i].name);
    if ((missing & FC_FIELD_COMMUNITY_ID) && fc_community_register(fc_db_sqlite(db)) != SQLITE_OK)
        return fc_db_error(fc_db_sqlite(db), db->path, err, "cannot compute Community IDs");
    return 0;
}

/* What is true of some sensors is true of all or of none here. */
static int check_sensors(const struct fc_ast *node, struct fc_error *err)
{
    int rc = 0;

    if (node->type == FC_AST_SENSOR)
        return fc_error_set(err, FC_E_FILTER, NULL, FC_NO_OFFSET,
                            "'sensor %s' is about many sensors: it goes with --cluster", node->text);
    for (const struct fc_ast *child = node->first; child && rc == 0; child = child->next)
        rc = check_sensors(child, err);
    return rc;
}

/* A capture that is not there must not look like one without sessions. */
static int check_files(const struct fc_ast *node, struct fc_db *db, struct fc_error *err)
{
    int rc = 0;

    if (node->type == FC_AST_FILE) {
        if (fc_file_register(db) != SQLITE_OK)
            return fc_db_error(fc_db_sqlite(db), db->path, err, "cannot look for captures");
        rc = fc_file_is_known(db, node->text, err);
        if (rc == 0)
            return fc_error_set(err, FC_E_FILTER, db->path, FC_NO_OFFSET, "no capture in this index is called '%.200s'",
                                node->text);
        rc = rc > 0 ? 0 : rc;
    }
    for (const struct fc_ast *child = node->first; child && rc == 0; child = child->next)
        rc = check_files(child, db, err);
    return rc;
}

/* The window of time that all sessions of a plan are in, unless something else narrows it more; NULL: there is none. */
static const struct fc_plan *window_of(const struct fc_plan *plan)
{
    if (plan->type == FC_PLAN_LEAF)
        return fc_sql_has_times(plan) ? plan : plan->window;
    if (plan->type != FC_PLAN_AND)
        return NULL;
    for (size_t i = 0; i < plan->child_count; i++) {
        const struct fc_plan *child = plan->child[i];
        if (child->type == FC_PLAN_LEAF && (plan->cost == FC_PLAN_SCAN || i == plan->driver) && window_of(child))
            return window_of(child);
    }
    return NULL;
}

static int write_spans(const struct fc_plan *plan, struct fc_db *db, char **spans, struct fc_error *err)
{
    const struct fc_plan *window = window_of(plan);
    struct fc_sql sql = {0};

    if (!window)
        return 0;
    fc_sql_spans_text(&sql, window);
    *spans = sql.text;
    return sql.failed ? fail_memory(db, err) : 0;
}

/* Writes the text: with candidates, or without when their values are too many for a statement. */
static int write_where(struct fc_sql *sql, struct fc_plan *plan, bool spanned, struct fc_db *db, struct fc_error *err)
{
    size_t most = (size_t)sqlite3_limit(fc_db_sqlite(db), SQLITE_LIMIT_VARIABLE_NUMBER, -1);
    size_t most_text = (size_t)sqlite3_limit(fc_db_sqlite(db), SQLITE_LIMIT_SQL_LENGTH, -1) / 2;

    bool candidates = !spanned && fc_sql_candidates(sql, plan);

    fc_sql_plan(sql, plan, candidates);
    if (candidates && (sql->bind_count > most || sql->len > most_text)) {
        sql->len = 0;
        fc_sql_drop_binds(sql, 0);
        sql->lists = candidates = false;
        fc_sql_plan(sql, plan, false);
    }
    if (!spanned && !candidates)
        plan->cost = FC_PLAN_SCAN;
    if (sql->failed)
        return fail_memory(db, err);
    if (sql->bind_count > most)
        return fc_error_set(err, FC_E_LIMIT, NULL, FC_NO_OFFSET, "the filter has %zu values, SQLite takes at most %zu",
                            sql->bind_count, most);
    return 0;
}

int fc_filter_compile(const struct fc_filter *filter, struct fc_db *db, enum fc_filter_form form,
                      struct fc_filter_sql *out, struct fc_error *err)
{
    struct fc_sql sql = {0};
    struct fc_arena arena = {0};
    struct fc_plan *plan;
    char *spans = NULL;
    int rc;

    memset(out, 0, sizeof *out);
    out->candidates = INT64_MAX;
    if (!filter || !filter->root) {
        out->where = strdup("1");
        return out->where ? 0 : fail_memory(db, err);
    }
    if ((rc = check_sensors(filter->root, err)) != 0)
        return rc;
    rc = fc_db_fields(db, &sql.fields, err);
    if (rc != 0 || (rc = check_fields(filter, db, sql.fields, err)) != 0 ||
        (rc = check_files(filter->root, db, err)) != 0)
        return rc;
    plan = fc_plan_build(&arena, filter->root);
    rc = plan ? fc_cost(db, &arena, &sql, plan, err) : fail_memory(db, err);
    if (rc == 0 && form == FC_FILTER_SPANNED)
        rc = write_spans(plan, db, &spans, err);
    rc = rc ? rc : write_where(&sql, plan, spans, db, err);
    if (rc == 0) {
        *out = (struct fc_filter_sql){sql.text, sql.bind, sql.bind_count, sql.bind_room, sql.lists, plan->cost, spans};
    } else {
        fc_sql_fini(&sql);
        free(spans);
    }
    fc_arena_fini(&arena);
    return rc;
}

void fc_filter_sql_fini(struct fc_filter_sql *sql)
{
    free(sql->where);
    free(sql->spans);
    for (size_t i = 0; i < sql->bind_count; i++)
        free(sql->bind[i].owned);
    free(sql->bind);
    memset(sql, 0, sizeof *sql);
}

int fc_filter_bind(const struct fc_filter_sql *sql, sqlite3_stmt *stmt, int first)
{
    int rc = SQLITE_OK;

    for (size_t i = 0; i < sql->bind_count && rc == SQLITE_OK; i++) {
        const struct fc_filter_bind *bind = &sql->bind[i];
        int place = first + (int)i;

        if (bind->type == FC_BIND_NUMBER)
            rc = sqlite3_bind_int64(stmt, place, bind->number);
        else if (bind->type == FC_BIND_BLOB)
            rc = sqlite3_bind_blob(stmt, place, bind->bytes, (int)bind->len, SQLITE_TRANSIENT);
        else
            rc =
                sqlite3_bind_text(stmt, place, bind->text ? bind->text : bind->bytes, (int)bind->len, SQLITE_TRANSIENT);
    }
    return rc;
}

int fc_filter_prepare(const struct fc_filter *filter, struct fc_db *db, const char *select, const char *joins,
                      enum fc_filter_order order, sqlite3_stmt **out, struct fc_error *err)
{
    static const char *const orders[][2] = {
        [FC_ORDER_NONE] = {"", ""},
        [FC_ORDER_ID] = {"ORDER BY s.id", "ORDER BY p.first_id, s.id"},
        [FC_ORDER_START] = {"ORDER BY s.start_ns, s.id", "ORDER BY s.start_ns, s.id"}};
    sqlite3 *handle = fc_db_sqlite(db);
    struct fc_filter_sql sql;
    char *text = NULL;
    int rc = fc_filter_compile(filter, db, FC_FILTER_SPANNED, &sql, err);

    *out = NULL;
    if (rc != 0)
        return rc;
    if (asprintf(&text, "%s FROM %s%s WHERE %s AND %s %s", select, sql.spans ? FC_SPANNED_SESSIONS : "session s", joins,
                 sql.spans ? sql.spans : "1", sql.where, orders[order][sql.spans != NULL]) < 0) {
        text = NULL;
        rc = fail_memory(db, err);
    } else if (sqlite3_prepare_v2(handle, text, -1, out, NULL) != SQLITE_OK ||
               fc_filter_bind(&sql, *out, 1) != SQLITE_OK) {
        rc = fc_db_error(handle, db->path, err, "cannot read the index");
        sqlite3_finalize(*out);
        *out = NULL;
    }
    free(text);
    fc_filter_sql_fini(&sql);
    return rc;
}
