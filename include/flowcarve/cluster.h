/* SPDX-License-Identifier: MIT */
/*
 * Many sensors, one question: what is known of sessions goes into an engine (ClickHouse), packets stay where they were
 * captured.
 *
 * Threads: one at a time for a handle. Memory: each function says who frees what.
 */
#ifndef FLOWCARVE_CLUSTER_H
#define FLOWCARVE_CLUSTER_H

#include <flowcarve/error.h>
#include <flowcarve/progress.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the file that says who takes part */

/*
 * An INI file:
 *
 *     [engine]
 *     url = http://ch.example:8123/flowcarve     the path is the database
 *     user = analyst
 *     password-file = engine.pw                  relative names are relative to the folder of this file
 *     ca = ca.pem                                who may have signed the engine's certificate
 *
 *     [sensors]                                  what holds for all of them: ca, cert, key, token-file
 *     ca = ca.pem
 *     cert = analyst.pem
 *     key = analyst.key
 *
 *     [sensor nyc1]
 *     url = https://nyc1.example:8484
 *
 * Lines that begin with # or ; are comments. A key that is unknown or comes twice is an error that names the line.
 */
struct fc_cluster;

/*
 * Reads it. On success *out must go to fc_cluster_free(). Nobody is asked yet. FC_E_IO; FC_E_USAGE: err names file,
 * line and cause; also for a file with a password or a token that others may read. FC_E_NOMEM.
 */
int fc_cluster_read(const char *path, struct fc_cluster **out, struct fc_error *err);
void fc_cluster_free(struct fc_cluster *cluster);

/* Number of sensors that the file names, and the name of one of them; in the order of the file. */
size_t fc_cluster_sensors(const struct fc_cluster *cluster);
const char *fc_cluster_sensor_name(const struct fc_cluster *cluster, size_t number);

/*
 * The same without a file, of an engine alone: what the keys of [engine] say, each NULL where there is nothing to say
 * but url; names of files are as they are. Codes as above, but for those of the file.
 */
struct fc_engine_options {
    const char *url, *user, *password_file, *ca, *cert, *key;
};
int fc_cluster_of_engine(const struct fc_engine_options *options, struct fc_cluster **out, struct fc_error *err);

/* True for what may be a sensor's name: 1 to 63 letters, digits, '.', '_' and '-', the first one a letter or a digit.
 */
bool fc_is_sensor_name(const char *name);

/* ---- a question passed on to a sensor */

struct fc_forward_options {
    unsigned deadline_ms; /* 0: as long as something comes */
    unsigned silence_ms;  /* without a byte; 0: 30 s */
    uint64_t bytes_max;   /* of the answer; 0: any number */
    const int *stop;      /* may be NULL; read atomically: other than 0: FC_E_INTERRUPTED */
};

/* What a sensor has said. Its words are text of somebody else's. */
struct fc_forward_answer {
    int status;                  /* of HTTP; 0: none has come */
    char code[64], message[512]; /* of an answer that is an error, as docs/http.md has them; "": it does not say */
};

/* Takes a piece of the answer; a negative code with *err filled ends it with that. */
typedef int fc_forward_take(void *ctx, const uint8_t *data, size_t len, struct fc_error *err);

/*
 * Asks the API of a sensor that the file names, as whom the file says, and gives what it answers to `take` as it comes.
 * target: path and parameters, "/v1/...". What comes is not looked at: whoever passes it on says himself of what type
 * it is. 0: all has come, or *answer has an error of the sensor's, of which `take` gets nothing. FC_E_USAGE: the file
 * names no such sensor. FC_E_IO: it cannot be asked, or its answer is not whole, or longer than it may be; err names
 * the sensor. FC_E_INTERRUPTED, FC_E_NOMEM; what `take` returns. options: NULL: all of it 0. Threads: any, at once.
 * Memory: some kilobytes.
 */
int fc_cluster_forward(const struct fc_cluster *cluster, const char *sensor, const char *target,
                       const struct fc_forward_options *options, fc_forward_take *take, void *ctx,
                       struct fc_forward_answer *answer, struct fc_error *err);

/* ---- what an index knows, sent to the engine */

struct fc_export_options {
    const char *sensor; /* the name by which the engine knows where this index is */
    /*
     * The index is exported as if it never had been: beside what is there of it, in place of which it is asked once all
     * is there. For one that was restored from an older copy.
     */
    bool again;
    bool compress;              /* rows as gzip: fewer bytes for more of the processor's time */
    const int *stop;            /* as with fc_db_set_stop(); may be NULL */
    fc_progress_call *progress; /* may be NULL; sessions_total and sessions_written; called by the thread that exports,
                                   behind each batch */
    void *ctx;
};

struct fc_export_result {
    int64_t run;         /* up to which the engine has the index now */
    uint64_t sessions;   /* that were sent, new or changed */
    uint64_t tombstones; /* rows that take a session away from where it stood before */
    uint64_t bytes;      /* of the rows */
    uint64_t forgotten;  /* new sessions that were not sent, as they were forgotten before */
    bool gap; /* runs are forgotten, too: all that there is was sent once more, and of `forgotten` some is not known */
    bool flipped; /* from now on this index is what is asked under the sensor's name */
    bool made_tables;
};

/*
 * Exports an index: what is new in it and what has changed goes to the engine, each time that fc_export_next() is
 * called. Whatever ends that, on either side, the next call goes on behind what was noted as sent; what comes twice is
 * there once. Nothing of the index is held while something is sent, so that it may be written meanwhile.
 *
 * Nobody is asked before the first call. What a cluster says is copied. On success *out must go to fc_exporter_close().
 * FC_E_USAGE: a name that is no sensor's. FC_E_NOMEM.
 */
struct fc_exporter;
int fc_exporter_open(const struct fc_cluster *cluster, const char *db_path, const struct fc_export_options *options,
                     struct fc_exporter **out, struct fc_error *err);
void fc_exporter_close(struct fc_exporter *exporter);

/*
 * Sends what the engine does not have yet. 1: there was something; 0: nothing (and once in a minute that is noted, by
 * which others see that it goes on). On failure what was sent stays. FC_E_USAGE: the engine has more of this index than
 * the index: it is an older copy; or another index is asked under the sensor's name by now. FC_E_CHANGED: another index
 * has come to its path meanwhile: the next call begins with that. FC_E_IO, FC_E_DB: the engine cannot be asked, or says
 * no; or the index. FC_E_MISSING: there is no index. FC_E_BUSY: the index is being written, and it was to get its
 * generation. FC_E_DAMAGED, FC_E_SCHEMA, FC_E_INTERRUPTED, FC_E_NOMEM. *result tells how far it came.
 */
int fc_export_next(struct fc_exporter *exporter, struct fc_export_result *result, struct fc_error *err);

/* ---- an engine's tables, and what it knows of sensors */

struct fc_tables_options {
    const char *cluster; /* the cluster's name in the configuration of the engine's servers; NULL: one server */
    bool replicated; /* tables that a ZooKeeper keeps alike on the replicas of a shard (macros {shard}, {replica}) */
};

/* Is given one statement after the other; other than 0 ends it. */
typedef int fc_tables_call(void *ctx, const char *statement, struct fc_error *err);

/*
 * The statements that make the tables of a server. cluster: of which database; NULL: `flowcarve`. 0, what `call`
 * returns, FC_E_USAGE (a name of a cluster that has other than letters, digits, '_' and '-'; replicated without one),
 * FC_E_NOMEM.
 */
int fc_tables_each(const struct fc_cluster *cluster, const struct fc_tables_options *options, fc_tables_call *call,
                   void *ctx, struct fc_error *err);

/*
 * Makes the database and those tables that are not there, on the server that the cluster's file names; of several, that
 * is to be done on each. FC_E_USAGE: as above; or there are tables of another kind already. FC_E_IO, FC_E_DB,
 * FC_E_INTERRUPTED, FC_E_NOMEM.
 */
int fc_cluster_init(const struct fc_cluster *cluster, const struct fc_tables_options *options, const int *stop,
                    struct fc_error *err);

/* What an engine knows of an index that is asked under a sensor's name, or is being sent to be. */
struct fc_sensor_status {
    char name[64];
    bool known; /* false: the file of the cluster names it, and nothing was exported yet: all below is 0 */
    bool asked; /* false: not all of it is there yet */
    uint8_t generation[16];
    uint64_t run, until,
        batches;       /* the index is there up to `run`; of what comes behind that, up to `until`, so many batches */
    int64_t clock_ns;  /* latest packet; INT64_MIN: none has a time */
    int64_t told_ns;   /* when that was noted, by the sensor's clock */
    uint64_t sessions; /* but for provisional ones */
};

struct fc_cluster_status {
    char release[32];                /* the engine's, as "18.16" */
    struct fc_sensor_status *sensor; /* by name */
    size_t count;
};

/* On success *out must go to fc_cluster_status_fini(). Codes as fc_cluster_init(). */
int fc_cluster_status(const struct fc_cluster *cluster, const int *stop, struct fc_cluster_status *out,
                      struct fc_error *err);
void fc_cluster_status_fini(struct fc_cluster_status *status);

#ifdef __cplusplus
}
#endif
#endif
