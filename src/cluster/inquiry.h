/* SPDX-License-Identifier: MIT */
/*
 * Inside of what asks the engine: which sensors there are, what a filter comes to for them, and questions within
 * their bounds.
 *
 * inquiry.c knows the sensors, where.c what a filter asks of the tables, sessions.c, top.c and histogram.c make
 * questions of it.
 */
#ifndef FC_CLUSTER_INQUIRY_H
#define FC_CLUSTER_INQUIRY_H

#include "cluster/engine.h"
#include "cluster/row_binary.h"
#include "query/ast.h"

#include <flowcarve/cluster_query.h>
#include <stdio.h>

struct fc_inquiry {
    const struct fc_cluster *cluster;
    struct fc_engine *engine;
    struct fc_engine_bounds bounds;
    struct fc_inquiry_sensor *sensor; /* by name */
    char **name;                      /* of each */
    size_t sensors, room, names_room;
};

/* The sensor of a name; NULL: there is none. */
const struct fc_inquiry_sensor *fc_inquiry_find(const struct fc_inquiry *inquiry, const char *name, size_t len);

/* What a filter asks of table `session`. */
struct fc_where {
    char *text;      /* behind WHERE; NULL: no session can match, so that nothing need be asked */
    uint32_t fields; /* FC_FIELD_* of the sensors that are asked */
    char days[512];  /* condition on `day`, "1" where all are asked */
    char *sensors;   /* condition on sensor and generation */
    char *places;    /* both of them, and what is known of `slot`: the same for all revisions under a key */
    bool sums;       /* of the caller: sums are asked for, and fc_source_check() behind them */
    /* cluster/source.h: what is read */
    char *source, *narrow; /* NULL: not chosen yet; one that may be chosen */
    bool is_narrow, is_plain;
    bool by_keys; /* the narrow one is by keys that were counted already */
    uint64_t plain_rows;
    int tries;
};

/* Looks up in the engine what narrows it. On success fc_where_fini() frees. Codes as fc_inquiry_rows(). */
int fc_where_make(struct fc_inquiry *inquiry, const struct fc_filter *filter, struct fc_where *where,
                  struct fc_error *err);
void fc_where_fini(struct fc_where *where);

/* FC_FIELD_* bits that a filter asks of fields alone, and not of what every engine has. */
uint32_t fc_where_fields(const struct fc_inquiry *inquiry, const struct fc_filter *filter);

/*
 * Runs a question, which is freed (NULL: no memory), and gives its rows. Where FC_SOURCE stands in it what is read is
 * put in (cluster/source.h). where: of its condition, for saying what was too much; NULL: it is about tables that are
 * small, or ends early, and may read what it likes. long_answer: rows may come for as long as they like, if only some
 * do.
 */
int fc_inquiry_ask(struct fc_inquiry *inquiry, char *sql, struct fc_where *where, bool long_answer, fc_binary_row *row,
                   void *ctx, struct fc_error *err);

/* The same of a question in which no source is to be put. */
int fc_inquiry_ask_as_it_is(struct fc_inquiry *inquiry, char *sql, const struct fc_where *where, fc_binary_row *row,
                            void *ctx, struct fc_error *err);

/* First and last start at or behind from_ns of the sessions of a condition; 0 where there is none. */
int fc_inquiry_starts(struct fc_inquiry *inquiry, struct fc_where *where, int64_t from_ns, int64_t *first_ns,
                      int64_t *last_ns, struct fc_error *err);

/*
 * A statement in the making: a stream into memory, whose text fc_statement_end() gives back, NULL where it is not all
 * there.
 */
struct fc_statement {
    FILE *out;
    char *text;
    size_t size;
};
FILE *fc_statement_begin(struct fc_statement *statement);
char *fc_statement_end(struct fc_statement *statement);

#define FC_SOURCE "\1"
#define FC_FROM_SESSION " FROM " FC_SOURCE " WHERE "

#endif
