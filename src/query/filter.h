/* SPDX-License-Identifier: MIT */
/*
 * A filter as SQL over the table `session`, which the statement must know as `s`:
 *
 *     SELECT s.id, s.positions FROM session s WHERE <where>
 *
 * The text holds conditions of ours and `?` for every value of the user's. It is planned against the index at hand:
 * where conditions are narrow, it starts from a list of the ids that they give, which is what SQLite then reads, in
 * ascending order and without sorting.
 *
 * Threads: as the handle of the index. Memory: the caller's, see each function.
 */
#ifndef FC_QUERY_FILTER_H
#define FC_QUERY_FILTER_H

#include <flowcarve/query.h>
#include <sqlite3.h>

/* A value for a parameter. */
struct fc_filter_bind {
    enum { FC_BIND_NUMBER, FC_BIND_BLOB, FC_BIND_TEXT } type;
    uint32_t len; /* bytes used, FC_BIND_BLOB and FC_BIND_TEXT */
    int64_t number;
    char bytes[32];
    const char *text; /* FC_BIND_TEXT of any length: of the filter, or `owned`; NULL: `bytes` */
    char *owned;      /* freed with the value; NULL: there is none */
};

struct fc_filter_sql {
    char *where; /* "1" for a filter that lets all pass */
    struct fc_filter_bind *bind;
    size_t bind_count, bind_room;
    bool lists;         /* it has lists that are made from indexes when a statement begins */
    int64_t candidates; /* of what narrows it most: sessions that are looked at, about; INT64_MAX: all */
    /*
     * NULL, or what holds of the row of `session_span p` of every session that matches. Then FC_SPANNED_SESSIONS, with
     * this in front of `where`, gives the sessions span by span as they are wanted, in the order of p.first_id and
     * s.id. (NOT INDEXED keeps SQLite from making an index of its own of the whole table.)
     */
    char *spans;
};

#define FC_SPANNED_SESSIONS                                                                                            \
    "session_span p CROSS JOIN session s NOT INDEXED ON s.id BETWEEN p.first_id AND p.first_id + 4095"

/* What a filter is compiled for: FC_FILTER_SPANNED has `spans` in place of lists of all sessions of a time. */
enum fc_filter_form { FC_FILTER_LISTED, FC_FILTER_SPANNED };

/*
 * Compiles `filter` (NULL: every session) for the index. On success *out must go to fc_filter_sql_fini().
 * FC_E_FILTER: the filter needs a field that this index was made without. FC_E_LIMIT: more values than SQLite takes.
 * FC_E_IO, FC_E_DB, FC_E_NOMEM. On failure *out is empty.
 */
int fc_filter_compile(const struct fc_filter *filter, struct fc_db *db, enum fc_filter_form form,
                      struct fc_filter_sql *out, struct fc_error *err);
void fc_filter_sql_fini(struct fc_filter_sql *sql);

/* Binds all values, the first one to parameter `first` (1 when the filter has the first `?`). An SQLite result code. */
int fc_filter_bind(const struct fc_filter_sql *sql, sqlite3_stmt *stmt, int first);

/*
 * Prepares `select` FROM <sessions> `joins` WHERE <filter> in an order, with the filter's values bound; neither text
 * has parameters of its own. On success *out must go to sqlite3_finalize(). Errors as above.
 */
enum fc_filter_order { FC_ORDER_NONE, FC_ORDER_ID, FC_ORDER_START };
int fc_filter_prepare(const struct fc_filter *filter, struct fc_db *db, const char *select, const char *joins,
                      enum fc_filter_order order, sqlite3_stmt **out, struct fc_error *err);

#endif
