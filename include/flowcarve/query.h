/* SPDX-License-Identifier: MIT */
/*
 * Sessions of an index by a filter in the words of pcap-filter(7).
 *
 * The filter is parsed to a tree and compiled to SQL with bound values; nothing of its text reaches SQLite.
 * `src` and `dst` mean the client and the server of a session. A session matches when it fits as a whole, or, for
 * `after` and `before`, when one of its packets would.
 *
 * Threads: one at a time per handle. Memory: rows and their text are valid until the next call on the handle.
 */
#ifndef FLOWCARVE_QUERY_H
#define FLOWCARVE_QUERY_H

#include <flowcarve/db.h>
#include <flowcarve/fields.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a filter is wrong: bytes [off, off + len) of its text. */
struct fc_filter_error {
    size_t off;
    size_t len;
    char cause[256];
};

/* A parsed filter. Immutable after parsing. */
struct fc_filter;

/*
 * Parses `text` (NUL-terminated; NULL or blank: every session). `now_ns` is what "ago" counts from, ns since 1970;
 * times without a zone are UTC.
 * On success *out must go to fc_filter_free(). FC_E_FILTER: *where, unless that is NULL, says where and why.
 * FC_E_NOMEM.
 */
int fc_filter_parse(const char *text, int64_t now_ns, struct fc_filter **out, struct fc_filter_error *where);
void fc_filter_free(struct fc_filter *filter);

/* IDs from `first` to `last`, both included. */
struct fc_id_range {
    int64_t first, last;
};

/*
 * Narrows a filter to sessions whose ID is in one of the ranges, in any order; none: no session. 100,000 of them are
 * no trouble. The ranges are copied. Before the filter is used for the first time. FC_E_NOMEM; FC_E_USAGE: a `first` is
 * above its `last`. Then the filter is only good for being freed.
 */
int fc_filter_narrow(struct fc_filter *filter, const struct fc_id_range *ranges, size_t count);

/*
 * A filter for the sessions that `filter` (NULL: all) selects, and for all between the same two hosts that were active
 * from `before_ns` before the start of one of these until `after_ns` after its end, both included and 0 or more. It has
 * their IDs, as the index has them now. On success *out must go to fc_filter_free(). Codes as fc_query_open(). Memory:
 * 64 bytes for each session that `filter` selects, 16 for each that is found.
 */
int fc_filter_peers(struct fc_db *db, const struct fc_filter *filter, int64_t before_ns, int64_t after_ns,
                    struct fc_filter **out, struct fc_error *err);

/* How times are read. All of it 0: the default. */
struct fc_time_options {
    int64_t now_ns; /* what "ago", "today" and a time of day count from, ns since 1970; 0: the clock */
    bool local;     /* times without a zone are of the C library's zone (TZ, tzset(3)); else UTC */
};

/*
 * As fc_filter_parse(); options (may be NULL) say how times are read. Threads: with `local`, none may change TZ
 * meanwhile.
 */
int fc_filter_parse_with(const char *text, const struct fc_time_options *options, struct fc_filter **out,
                         struct fc_filter_error *where);

/*
 * A point in time in the words of the filter behind `after` and `before` ("2024-05-31T10:00", "1717150000", "30d ago"),
 * ns since 1970. False: it is none; `where` (may be NULL) says why.
 */
bool fc_time_read(const char *text, const struct fc_time_options *options, int64_t *ns, struct fc_filter_error *where);

/* One session as the index holds it. Text members are NULL where the index has NULL. */
struct fc_session {
    int64_t id;
    bool has_time;
    int64_t start_ns, end_ns;
    uint32_t proto;                           /* FC_PROTO_* space */
    int kind;                                 /* enum fc_addr_kind */
    uint8_t client_addr[16], server_addr[16]; /* network order; 4, 16 or 6 bytes used, see kind */
    int client_port, server_port;             /* -1: none */
    uint64_t client_packets, server_packets, client_bytes, server_bytes;
    int state; /* enum fc_state (flowcarve/state.h) */
    const char *vlan, *mpls, *tunnel;
    const uint8_t *client_mac, *server_mac; /* 6 bytes or NULL */
    /* -1: not in the index */
    int64_t client_ttl, server_ttl, client_dscp, server_dscp, client_tcp_flags, server_tcp_flags;
    int64_t client_isn, server_isn, client_payload, server_payload;
    const char *community_id; /* when the index holds it or the options ask for it */
    const char *sensor;       /* where many are asked (cluster_query.h): its name; NULL: of the index at hand */
};

/* All of it 0: the default. */
struct fc_query_options {
    const char *sort;  /* "KEY" or "KEY:desc" of the output's keys; NULL: by id */
    int64_t limit;     /* sessions at the most; 0 or less: all */
    bool community_id; /* compute it where the index does not hold it */
    int64_t offset;    /* sessions that are passed over in front, which takes as long as finding them */
    /*
     * What fc_query_rest() gave of an earlier query with the same filter and sort: goes on behind it. NULL: from the
     * beginning. FC_E_USAGE: it is none, or of another sort.
     */
    const char *after;
    bool rest; /* with a limit: look for what is behind it, for fc_query_rest() */
};

/* Columns that every index holds, for those that a filter names. */
enum { FC_COLUMN_STATE = 1 << 0, FC_COLUMN_PACKETS = 1 << 1, FC_COLUMN_BYTES = 1 << 2, FC_COLUMN_DURATION = 1 << 3 };

/*
 * FC_FIELD_* bits of the fields that a filter (may be NULL) names; *columns, unless that is NULL: FC_COLUMN_* bits of
 * the columns.
 */
uint32_t fc_filter_fields(const struct fc_filter *filter, uint32_t *columns);

struct fc_query;

/*
 * Starts a query. `filter` may be NULL (every session) and must outlive the query; so must `db`. options: NULL: all
 * that match, by id. On success *out must go to fc_query_close(). FC_E_LIMIT: the filter has more values than SQLite
 * takes. FC_E_USAGE: unknown sort key. FC_E_FILTER: the filter needs a field that this index was made without. FC_E_IO:
 * the index cannot be read. FC_E_DB: something else that SQLite says. FC_E_NOMEM, FC_E_INTERRUPTED.
 */
int fc_query_open(struct fc_db *db, const struct fc_filter *filter, const struct fc_query_options *options,
                  struct fc_query **out, struct fc_error *err);

/*
 * Next session: 1 and *row filled, 0 at the end, or one of the last four codes. Between calls nothing of the index is
 * held: captures may be added to it meanwhile. What was not given yet is given as it is then, what is gone is left out;
 * sessions that came are given where all are read in the order of their IDs.
 */
int fc_query_next(struct fc_query *query, struct fc_session *row, struct fc_error *err);

/* FC_FIELD_* bits of the columns that the sessions can have: what the index holds, and what the options ask for. */
uint32_t fc_query_fields(const struct fc_query *query);

/*
 * Once fc_query_next() has given 0: the place behind the limit, as `after` takes it, valid until the query is closed;
 * NULL: nothing is left there, or options->rest was not set. It is the last session's place in the order, as of when
 * that was made, and not a number of rows: whoever goes on there gets no session twice that has not changed, and misses
 * none, whatever was added meanwhile.
 */
const char *fc_query_rest(const struct fc_query *query);
void fc_query_close(struct fc_query *query);

/* A capture that holds packets of a session. */
struct fc_session_file {
    uint32_t file;    /* its id in the index */
    const char *path; /* where it is, as far as the index can tell */
    uint64_t packets; /* whose positions the index has: those that are forgotten are not among them */
};

/*
 * For asking which captures hold sessions, one session after the other. `db` must outlive it; one thread at a time for
 * both. On success *out must go to fc_session_files_close(). FC_E_NOMEM, FC_E_IO, FC_E_DB.
 */
struct fc_session_files;
int fc_session_files_open(struct fc_db *db, struct fc_session_files **out, struct fc_error *err);

/*
 * The captures that hold a session, ascending by id; none when there is no such session, or all of it is forgotten.
 * *list is valid until the next call. Nothing of the index is held between calls. FC_E_NOMEM, FC_E_IO, FC_E_DB,
 * FC_E_DAMAGED: what the index has of the session cannot be read.
 */
int fc_session_files(struct fc_session_files *files, int64_t session, const struct fc_session_file **list,
                     size_t *count, struct fc_error *err);
void fc_session_files_close(struct fc_session_files *files);

/* Number of sessions that match, without reading them out. Negative code on failure. */
int64_t fc_query_count(struct fc_db *db, const struct fc_filter *filter, struct fc_error *err);

/* What finding the sessions of a filter reads, about. */
struct fc_query_cost {
    int64_t sessions; /* of the index */
    int64_t reads;    /* sessions to be looked at */
    bool scan;        /* the table is read from front to end */
};

/* Estimates it from the indexes, in some milliseconds. `filter` may be NULL. Codes as fc_query_open(). */
int fc_query_cost(struct fc_db *db, const struct fc_filter *filter, struct fc_query_cost *cost, struct fc_error *err);
/* What was estimated when the query was opened. FC_E_IO, FC_E_DB, FC_E_NOMEM, FC_E_INTERRUPTED. */
int fc_query_cost_of(const struct fc_query *query, struct fc_query_cost *cost, struct fc_error *err);

/* What a filter comes to. Strings; NULL where there is no such thing. */
struct fc_explain {
    char *tree; /* its conditions, a line each, in the words of the filter language */
    char *sql;  /* what is asked of the index, with all values in it */
    char *plan; /* how SQLite finds that: EXPLAIN QUERY PLAN */
    /*
     * The equal filter for packets, in pcap-filter(7) and wireshark-filter(4), where there is one: true of the packets
     * of the sessions that match, and of no others. Packets inside of others (tunnels, ICMP errors), in fragments, or
     * cut are left out of account.
     */
    char *bpf, *wireshark;
    char *bpf_lacks, *wireshark_lacks; /* where there is none: the first condition that has no equal */
};

/*
 * Explains how a filter (may be NULL) is answered by an index. On success *out must go to fc_explain_fini(). Codes as
 * fc_query_open(); on failure *out is empty.
 */
int fc_query_explain(struct fc_db *db, const struct fc_filter *filter, struct fc_explain *out, struct fc_error *err);
void fc_explain_fini(struct fc_explain *explain);

#ifdef __cplusplus
}
#endif
#endif
