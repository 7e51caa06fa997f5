/* SPDX-License-Identifier: MIT */
/*
 * A question, as those who answer it see it: its parameters, the index, where the answer goes, and how to say that
 * there is none. They know nothing of HTTP but its numbers. Threads: one. Memory: all is the structure's owner's.
 */
#ifndef FC_SERVE_ASK_H
#define FC_SERVE_ASK_H

#include "serve/json.h"
#include "serve/params.h"

#include <flowcarve/query.h>
#include <stdbool.h>
#include <stdint.h>

enum { FC_ASK_ROWS_MAX = 10000, FC_ASK_STREAMS_MAX = 32 };

struct fc_ask {
    struct fc_params params;
    int64_t id; /* the session that the path names */
    char *body; /* JSON of a question that has one, which is changed; NULL: it has none */
    size_t body_len;
    struct fc_db *db;                 /* looks at `stop` */
    const char *db_path;              /* or the file of the cluster */
    const char *sensor;               /* its name; NULL: it has none */
    const struct fc_cluster *cluster; /* many are asked, and there is no db; NULL: one index is */
    struct fc_inquiry *inquiry;       /* of a cluster: its engine; looks at `stop` */
    uint64_t rows_max;                /* that a question may read of a server of it; 0: the usual number */
    uint64_t carve_limit;             /* bytes; 0: none */
    const int *stop;                  /* not 0: nobody waits any more */
    const char *who;                  /* asks, */
    unsigned scopes;                  /* and may FC_SCOPE_* */
    int64_t deadline_ns;
    struct fc_json out;          /* the answer; of a stream what is not sent yet */
    int fd;                      /* of a stream: where it goes */
    const char *type;            /* of the content; NULL: JSON */
    char name[96];               /* of the file that it is saved as; "": of none */
    uint64_t sessions, packets;  /* given, for the audit log */
    bool told;                   /* of a carve: what it holds is below, for whom it is sent to */
    uint64_t missing, forgotten; /* packets that it lacks */
    char *unknown;               /* sessions that the index does not have, as 1,5-30; NULL: none */
    uint64_t ids;                /* asked for in a body, */
    char list[200];              /* and which, perhaps cut */
    int status;                  /* 0: it is answered; else `out` has the error */
};

/* An answer: 0, or -1 behind fc_ask_fail() or its kin. */
typedef int fc_answer(struct fc_ask *ask);

/* Puts an error in place of the answer. Return -1. */
int fc_ask_fail(struct fc_ask *ask, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int fc_ask_fail_parameter(struct fc_ask *ask, const char *parameter, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int fc_ask_fail_error(struct fc_ask *ask, const struct fc_error *err);
int fc_ask_fail_memory(struct fc_ask *ask);

/* Parameters. False: it is no good, and the error is there. */
bool fc_ask_number(struct fc_ask *ask, const char *name, int64_t low, int64_t high, int64_t *value);
bool fc_ask_bool(struct fc_ask *ask, const char *name, bool *value);
/* One of words (ended by NULL): its number; as it was when the parameter is not there. */
bool fc_ask_word(struct fc_ask *ask, const char *name, const char *const *words, int *value);
/* When all were asked for: the rest is unknown. */
bool fc_ask_end(struct fc_ask *ask);

/* Which sessions: filter, from, until. */
struct fc_chosen {
    struct fc_filter *filter; /* NULL: all */
    char *text;               /* the same as words */
    bool has_from;
    int64_t from_ns;
};

/* False as above. fc_chosen_fini() frees in any case. */
bool fc_ask_chosen(struct fc_ask *ask, struct fc_chosen *chosen);
void fc_chosen_fini(struct fc_chosen *chosen);

/* A filter for the session of the path. NULL: no memory, and the error is there. */
struct fc_filter *fc_ask_session_filter(struct fc_ask *ask);

/* What an index and an engine give alike (source.c). */
struct fc_top;
struct fc_top_options;
struct fc_histogram;
struct fc_histogram_options;
int fc_ask_top(struct fc_ask *ask, const struct fc_filter *filter, const struct fc_top_options *options,
               struct fc_top **top, struct fc_error *err);
int fc_ask_histogram(struct fc_ask *ask, const struct fc_filter *filter, const struct fc_histogram_options *options,
                     struct fc_histogram *out, struct fc_error *err);
int fc_ask_explain(struct fc_ask *ask, const struct fc_filter *filter, struct fc_explain *out, struct fc_error *err);

/* How packets are carved: what the parameters say, which are read to their end. False as with those. */
struct fc_carve_options;
bool fc_ask_carve_options(struct fc_ask *ask, struct fc_carve_options *o);
/* "1,5-30": ranges, ascending, none of them touching another, which are the caller's to free in any case. */
bool fc_ask_ids(struct fc_ask *ask, const char *text, struct fc_id_range **range, size_t *count);

/* True when the parameter `uuid` is that of the index, or not there: IDs of another index mean other sessions. */
bool fc_ask_uuid(struct fc_ask *ask);

/* "cost":{...} of a filter; null where an engine is asked, which tells none. -1 as above. */
int fc_ask_put_cost(struct fc_ask *ask, const struct fc_filter *filter);
int fc_ask_put_cost_of(struct fc_ask *ask, const struct fc_query *query);

/* Of a stream: sends what there is when that is much, or `all` of it. -1: nobody takes it. */
int fc_ask_send(struct fc_ask *ask, bool all);

/* ---- the answers */

fc_answer fc_answer_status, fc_answer_sessions, fc_answer_count, fc_answer_cost, fc_answer_histogram, fc_answer_top,
    fc_answer_complete, fc_answer_filter, fc_answer_session, fc_answer_packets, fc_answer_packet, fc_answer_follow,
    fc_answer_carve, fc_answer_carve_check, fc_answer_files, fc_answer_damage;

/* of a cluster (answer_many.c, forward.c, carve_many.c) */
fc_answer fc_answer_many_status, fc_answer_many_cost, fc_answer_sensors, fc_answer_of_index, fc_answer_forward,
    fc_answer_many_carve, fc_answer_many_carve_check;

enum { FC_SCOPE_METADATA = 1, FC_SCOPE_PACKETS = 2, FC_SCOPE_ALL = 3 };

struct fc_packets_result;

/* "missing", "forgotten" and "warnings". */
void fc_put_packets_result(struct fc_json *json, const struct fc_packets_result *result);

/* ["metadata","packets"] */
void fc_put_scopes(struct fc_json *json, unsigned scopes);

/* Answers whether a carve can be had: it goes to a pipe that nobody reads, and so ends at its first byte. */
int fc_ask_check_carve(struct fc_ask *ask, int (*carve_to)(struct fc_ask *ask, int fd));

#endif
