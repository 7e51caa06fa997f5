/* SPDX-License-Identifier: MIT */
/*
 * Inside of the compiler from plans to SQL. The result is
 *
 *     s.id IN (<candidates>) AND <condition>
 *
 * where the candidates are ids from the narrowest conditions that an index can answer, and the condition is the whole
 * filter, written so that SQLite looks for no index in it. The list comes out of the index alone and in ascending
 * order, so that rows are read in the order of the table and need no sorting. Without a narrow condition the first
 * part is left out and the table is read from front to end.
 *
 * sql.c writes conditions, sql_fields.c those of numbers and fields, cost.c asks the index what they would fetch,
 * candidates.c writes the list.
 *
 * Every condition is true, or false or NULL; NULL means false, and whatever negates one does it with IS NOT TRUE.
 * That way `not port 80` finds sessions without ports.
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
    uint32_t fields;    /* FC_FIELD_* of the index */
    const char *epochs; /* in which there are sessions, for an IN: "0,1", or a SELECT */
    bool lists;         /* the text has lists that are made from indexes */
    bool failed;        /* out of memory; everything after it is without effect */
};

void fc_sql_fini(struct fc_sql *sql);
/* Leaves the first `count` values. */
void fc_sql_drop_binds(struct fc_sql *sql, size_t count);
void fc_sql_text(struct fc_sql *sql, const char *text);
/* Pieces of at most 250 bytes. */
void fc_sql_add(struct fc_sql *sql, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Values for the next `?`; text of any length must live as long as the filter. */
void fc_sql_bind_number(struct fc_sql *sql, int64_t number);
void fc_sql_bind_bytes(struct fc_sql *sql, int type, const void *bytes, size_t len);
void fc_sql_bind_text(struct fc_sql *sql, const char *text);
/* column = ? or column IN (?, ...), with all values of a leaf. */
void fc_sql_list(struct fc_sql *sql, const struct fc_plan *leaf, const char *column);

/* The condition of a plan; `listed`: behind the candidates, which need not be asked again what they were found by. */
void fc_sql_plan(struct fc_sql *sql, const struct fc_plan *plan, bool listed);

/*
 * Conditions of a leaf, asked of each session. One for which the leaf is true fulfils at least one of them, or of what
 * the kinds of conditions behind this ask of other tables.
 */
size_t fc_sql_ranges(const struct fc_plan *leaf);
void fc_sql_range(struct fc_sql *sql, const struct fc_plan *leaf, size_t number);

/* A leaf about addresses that an index has. */
bool fc_sql_has_addresses(const struct fc_plan *leaf);
/* Whether each value of a leaf is the two ends of a range. */
bool fc_sql_is_range(const struct fc_plan *leaf);
/* Text with a `?` for one value of a leaf, or two. */
void fc_sql_value(struct fc_sql *sql, const struct fc_ast *value, const char *text);
/* The first `most` values of a leaf as rows for VALUES: of two columns where they are ranges. */
void fc_sql_values(struct fc_sql *sql, const struct fc_plan *leaf, size_t most);
/* Whether `id` is the ID of one of a leaf's captures. */
void fc_sql_files(struct fc_sql *sql, const struct fc_ast *value, const char *id);
/* What a leaf about IDs asks of `session s`, so that these are looked up. */
void fc_sql_ids(struct fc_sql *sql, const struct fc_plan *leaf);

/*
 * SELECTs of the IDs of the sessions for which a leaf can be true; the addresses first. most: addresses looked up.
 * fc_sql_select_blocks(): the blocks of sessions that a leaf about ports reads.
 */
size_t fc_sql_selects(const struct fc_sql *sql, const struct fc_plan *leaf);
void fc_sql_select(struct fc_sql *sql, const struct fc_plan *leaf, size_t number, size_t most);
void fc_sql_select_blocks(struct fc_sql *sql, const struct fc_plan *leaf);

/* A measure between its bounds, as `session s` or `session_fields x` has it. */
void fc_sql_measure(struct fc_sql *sql, const struct fc_ast *value);
/* What a leaf asks of `session_fields x`, with nothing written and false where it asks nothing. */
bool fc_sql_has_fields(const struct fc_sql *sql, const struct fc_plan *leaf);
void fc_sql_fields_condition(struct fc_sql *sql, const struct fc_plan *leaf);

bool fc_sql_has_ports(const struct fc_plan *leaf);

/* What a leaf that is a window of time asks of `session_span p`. */
bool fc_sql_has_times(const struct fc_plan *leaf);
void fc_sql_spans_condition(struct fc_sql *sql, const struct fc_plan *leaf);
/* The same with the values in it. */
void fc_sql_spans_text(struct fc_sql *sql, const struct fc_plan *leaf);

/*
 * Sets cost, driver and epochs in the whole plan, and sql->epochs, which live as the arena does. 0 or FC_E_IO, FC_E_DB,
 * FC_E_NOMEM, FC_E_INTERRUPTED.
 */
int fc_cost(struct fc_db *db, struct fc_arena *arena, struct fc_sql *sql, struct fc_plan *plan, struct fc_error *err);

/* Writes "s.id IN (...) AND "; false and nothing where no index helps. */
bool fc_sql_candidates(struct fc_sql *sql, const struct fc_plan *plan);

/* A leaf's ranges as a list of ids, for comparing each session with a list instead of with thousands of ranges. */
bool fc_sql_listed_ranges(struct fc_sql *sql, const struct fc_plan *leaf);

#endif
