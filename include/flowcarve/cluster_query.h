/* SPDX-License-Identifier: MIT */
/*
 * Questions about the sessions of many sensors, put to the engine that they are sent to: rows, counts, sums, in the
 * words of the filter that an index is asked by (query.h), and `sensor NAME`. What cannot be asked is `file NAME`, as
 * names of captures stay with the sensors.
 *
 * An answer is whole or an error: a shard that is down, a deadline that has passed, or more rows to read than are
 * allowed, are errors, and what had come by then is part of no answer. IDs of sessions mean something together with
 * their sensor alone.
 *
 * Threads: one at a time for a handle. Memory: a row at a time, and what is said of sensors, some 200 bytes each;
 * sums: a group takes 200 bytes.
 */
#ifndef FLOWCARVE_CLUSTER_QUERY_H
#define FLOWCARVE_CLUSTER_QUERY_H

#include <flowcarve/cluster.h>
#include <flowcarve/histogram.h>
#include <flowcarve/query.h>
#include <flowcarve/top.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FC_INQUIRY_DEADLINE_MS = 30000 };
#define FC_INQUIRY_ROWS_MAX UINT64_C(1000000000)

/* All of it 0: the default. */
struct fc_inquiry_options {
    unsigned deadline_ms; /* of each question; 0: FC_INQUIRY_DEADLINE_MS */
    uint64_t rows_max;    /* rows that a question may read on each server of the engine; 0: FC_INQUIRY_ROWS_MAX */
    const int *stop;      /* may be NULL; read atomically: other than 0: FC_E_INTERRUPTED */
};

/* What is known of a sensor. */
struct fc_inquiry_sensor {
    const char *name;
    bool in_file;           /* the cluster's file names it */
    bool in_engine;         /* the engine has sessions of it; what follows means nothing else */
    uint8_t generation[16]; /* of the index that is asked */
    uint64_t run;           /* everything up to this run of it is there */
    uint32_t fields;        /* FC_FIELD_* that it holds */
    int64_t clock_ns;       /* latest time of a packet in it, ns since 1970; INT64_MIN: none */
    int64_t told_ns;        /* when the sensor has said so, by its clock */
};

/* An engine, as it is when it is opened. */
struct fc_inquiry;

/*
 * Connects, and asks which sensors there are. `cluster` must outlive it. options: NULL: all of it 0. On success *out
 * must go to fc_inquiry_close(). FC_E_IO: the engine or one of its shards cannot be asked. FC_E_DB: it says no.
 * FC_E_USAGE: it is none, or one without flowcarve's tables. FC_E_LIMIT, FC_E_NOMEM, FC_E_INTERRUPTED.
 */
int fc_inquiry_open(const struct fc_cluster *cluster, const struct fc_inquiry_options *options, struct fc_inquiry **out,
                    struct fc_error *err);
void fc_inquiry_close(struct fc_inquiry *inquiry);

/* What stops the questions from now on, in place of options->stop; may be NULL. */
void fc_inquiry_set_stop(struct fc_inquiry *inquiry, const int *stop);

/* All sensors that the file or the engine knows, by name. Valid until it is closed. */
size_t fc_inquiry_sensors(const struct fc_inquiry *inquiry);
const struct fc_inquiry_sensor *fc_inquiry_sensor(const struct fc_inquiry *inquiry, size_t number);

/* FC_FIELD_* bits that at least one of the sensors holds whose sessions a filter (NULL: all) can select. */
uint32_t fc_inquiry_fields(const struct fc_inquiry *inquiry, const struct fc_filter *filter);

/*
 * Takes a session, which is valid during the call, but for the name of its sensor, which is that of
 * fc_inquiry_sensor(). A negative code ends the question, and *err is the caller's to fill then.
 */
typedef int fc_inquiry_row(void *ctx, const struct fc_session *row, struct fc_error *err);

/* All of it 0: the default. */
struct fc_inquiry_rows_options {
    /* "KEY" or "KEY:desc" of the output's keys, `sensor` among them; NULL: by start. Equal ones: by sensor and ID. */
    const char *sort;
    int64_t limit;  /* sessions at the most; 0 or less: all */
    int64_t offset; /* sessions that are passed over in front */
};

/*
 * Gives the sessions that match `filter` (NULL: all) to `call`, one after the other. FC_E_FILTER: the filter asks
 * what an engine does not know, or a sensor does not hold. FC_E_USAGE: unknown sort key. FC_E_LIMIT: the filter has
 * too many values, the question would read too much, or takes too long. FC_E_DAMAGED: what the engine answers are no
 * sessions. FC_E_IO, FC_E_DB, FC_E_NOMEM, FC_E_INTERRUPTED; what `call` returns.
 */
int fc_inquiry_rows(struct fc_inquiry *inquiry, const struct fc_filter *filter,
                    const struct fc_inquiry_rows_options *options, fc_inquiry_row *call, void *ctx,
                    struct fc_error *err);

/* A session that is to be carved, by what its sensor knows it by. */
struct fc_inquiry_id {
    const struct fc_inquiry_sensor *sensor;
    int64_t id;
    bool has_time;
    int64_t start_ns;
};

typedef int fc_inquiry_take_id(void *ctx, const struct fc_inquiry_id *id, struct fc_error *err);

/*
 * The same sessions without what else is known of them: by sensor, and those of one by ID. Codes as
 * fc_inquiry_rows().
 */
int fc_inquiry_ids(struct fc_inquiry *inquiry, const struct fc_filter *filter, fc_inquiry_take_id *call, void *ctx,
                   struct fc_error *err);

/* Number of sessions that match. Negative code on failure, as fc_inquiry_rows(). */
int64_t fc_inquiry_count(struct fc_inquiry *inquiry, const struct fc_filter *filter, struct fc_error *err);

/*
 * Adds up the sessions that match `filter` (NULL: all); as fc_top_open(), with FC_TOP_SENSOR and without FC_TOP_FILE,
 * of whose captures an engine knows nothing (FC_E_USAGE). All figures are exact; sums of more than 64 bits are
 * refused (FC_E_LIMIT). On success *out must go to fc_top_close(), which may be behind fc_inquiry_close(). Codes as
 * fc_inquiry_rows().
 */
int fc_inquiry_top(struct fc_inquiry *inquiry, const struct fc_filter *filter, const struct fc_top_options *options,
                   struct fc_top **out, struct fc_error *err);

/*
 * Sessions over time, as fc_histogram_make() has them; options->sums has no effect. On success fc_histogram_fini()
 * frees. Codes as above; FC_E_USAGE: buckets.
 */
int fc_inquiry_histogram(struct fc_inquiry *inquiry, const struct fc_filter *filter,
                         const struct fc_histogram_options *options, struct fc_histogram *out, struct fc_error *err);

/*
 * Explains how a filter (may be NULL) is answered: as fc_query_explain(), with the engine's SQL, and with what bounds
 * it in place of a plan. On success *out must go to fc_explain_fini(). Codes as fc_inquiry_rows().
 */
int fc_inquiry_explain(struct fc_inquiry *inquiry, const struct fc_filter *filter, struct fc_explain *out,
                       struct fc_error *err);

#ifdef __cplusplus
}
#endif
#endif
