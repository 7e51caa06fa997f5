/* SPDX-License-Identifier: MIT */
/*
 * Sums over the sessions of an index, by client, port, time... Everything comes out of the index; no capture is opened.
 *
 * All figures are exact, those of distinct peers and ports as well. fc_top_open() does the work, in one transaction, so
 * that the figures are of one state of the index.
 *
 * Threads: one at a time per handle. Memory: below 1 GB, however large the index is: where groups or
 * distinct peers are more than fit, sessions are read several times, for a part of them each. Besides, the rows to be
 * given: 200 bytes each; so a limit also limits memory.
 */
#ifndef FLOWCARVE_TOP_H
#define FLOWCARVE_TOP_H

#include <flowcarve/query.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What sessions are grouped by. A session is in one group, but for FC_TOP_HOST, where it is in that of its client and
 * that of its server (once when that is the same), and FC_TOP_FILE, where it is in those of all captures that the index
 * knows packets of it in.
 */
enum fc_top_by {
    FC_TOP_TOTAL,    /* one row, of all */
    FC_TOP_CLIENT,   /* address of the client */
    FC_TOP_SERVER,   /* address of the server */
    FC_TOP_HOST,     /* an address at either end */
    FC_TOP_PAIR,     /* addresses of client and server, which in the other direction are another pair */
    FC_TOP_PORT,     /* the server's port, and the protocol that it is one of */
    FC_TOP_PROTOCOL, /* protocol */
    FC_TOP_STATE,    /* state */
    FC_TOP_FILE,     /* capture */
    FC_TOP_VLAN,     /* VLAN ids, as the index has them: "10,20" */
    FC_TOP_TUNNEL,   /* encapsulations, as the index has them: "vxlan:42/gre" */
    FC_TOP_TIME,     /* when it starts, in buckets of equal length that count from 1970 */
    FC_TOP_SENSOR    /* sensor, where many are asked (cluster_query.h) */
};

/* Figures that take more time and are left out unless asked for, or sorted by. */
enum {
    FC_TOP_PEERS = 1 << 0,   /* distinct addresses */
    FC_TOP_PORTS = 1 << 1,   /* distinct ports of servers */
    FC_TOP_INTERVAL = 1 << 2 /* between the starts of sessions */
};

/* All of it 0: one row of what need not be asked for. */
struct fc_top_options {
    enum fc_top_by by;
    uint32_t figures; /* FC_TOP_PEERS... */
    /*
     * "KEY[:asc|:desc]", KEY one of key (the group), sessions, peers, ports, packets, bytes, sent_bytes,
     * received_bytes, first, last, interval. Without a direction figures begin with the largest, key, first and
     * interval with the least. NULL: bytes, of captures packets, of time key. Equal ones are in the order of key.
     */
    const char *sort;
    int64_t limit;     /* rows at the most; 0 or less: all */
    int64_t bucket_ns; /* FC_TOP_TIME, by_time: length; 0 or less: so that there are 60 at the most */
    bool by_time;      /* by when sessions start, too: a row for each group and bucket that has sessions */
    bool rough_groups; /* fc_top_groups() may be as low as the limit: an engine has to be asked for them again */
};

struct fc_top_row {
    /* the group; what `by` has no use for is 0 or NULL */
    int kind;           /* enum fc_addr_kind, FC_ADDR_NONE: sessions without addresses */
    uint8_t addr[16];   /* of the client, the server, the host; as in struct fc_session */
    uint8_t server[16]; /* FC_TOP_PAIR */
    int port;           /* FC_TOP_PORT; -1: of protocols without ports, or ICMP */
    uint32_t proto;     /* FC_TOP_PORT, FC_TOP_PROTOCOL */
    int state;          /* FC_TOP_STATE; as in struct fc_session */
    uint32_t file;      /* FC_TOP_FILE: its ID */
    const char *text;   /* its path; VLAN ids, encapsulations, NULL: none; a sensor's name */
    bool has_bucket;    /* FC_TOP_TIME, by_time; false: sessions without a time */
    int64_t bucket_ns;  /* its beginning, ns since 1970 */

    uint64_t sessions;
    /*
     * FC_TOP_PEERS. FC_TOP_CLIENT, _SERVER, _HOST: addresses at the other end. Else addresses at either end.
     */
    uint64_t peers;
    uint64_t ports;   /* FC_TOP_PORTS: numbers of ports of servers; types of ICMP are none */
    uint64_t packets; /* FC_TOP_FILE: in this capture */
    bool has_bytes;   /* false: FC_TOP_FILE, where they are not known */
    uint64_t bytes;
    /* FC_TOP_CLIENT, _SERVER, _HOST: by and to that address. Else by clients and by servers. */
    uint64_t sent_bytes, received_bytes;
    bool has_time; /* of the sessions, whole: first start and last end, ns since 1970 */
    int64_t first_ns, last_ns;
    /* FC_TOP_INTERVAL: times between starts one behind the other, mean and standard deviation in seconds */
    uint64_t intervals;
    double interval_mean, interval_deviation;
};

struct fc_top;

/*
 * Adds up the sessions that match `filter` (NULL: all), which need not live on; `db` must. On success *out must go to
 * fc_top_close().
 * FC_E_USAGE: unknown sort key, FC_TOP_SENSOR, or a field that the index was made without. FC_E_LIMIT: more than a
 * million buckets, or more values in the filter than SQLite takes. FC_E_FILTER, FC_E_IO, FC_E_DB, FC_E_NOMEM,
 * FC_E_INTERRUPTED: as fc_query_open(). FC_E_DAMAGED: FC_TOP_FILE, positions that are none.
 */
int fc_top_open(struct fc_db *db, const struct fc_filter *filter, const struct fc_top_options *options,
                struct fc_top **out, struct fc_error *err);

/*
 * The next row: 1 and *row, valid until fc_top_close(), or 0 at the end. Of FC_TOP_TIME, in the order of time, buckets
 * without a session have rows as well, between the first and the last that have. FC_TOP_TOTAL has no row when nothing
 * matches.
 */
int fc_top_next(struct fc_top *top, struct fc_top_row *row);

/* Groups there are, whatever the limit; empty buckets are none. */
uint64_t fc_top_groups(const struct fc_top *top);

/* Length of the buckets, ns; 0: there are none. */
int64_t fc_top_bucket(const struct fc_top *top);
void fc_top_close(struct fc_top *top);

#ifdef __cplusplus
}
#endif
#endif
