/* SPDX-License-Identifier: MIT */
/*
 * A request on its way: who asks for what, the work that answers it, and what is sent.
 *
 * Three kinds of threads:
 *   those of libmicrohttpd read requests and send answers, and never wait for anything else;
 *   workers answer questions, each with a handle of the index, and put whole answers into memory, so that nobody whose
 *   client is slow is in the way of others; a stream has a thread of its own, which writes into a pipe;
 *   one watches: whose client has left, whose time is over, which pipe has something for a client that waits.
 *
 *   state              the connection is   who changes it
 *   reading            MHD's               the MHD thread: headers, body, who it is
 *   waiting, working   suspended           a worker answers and resumes it; the watcher stops the work
 *   sending            MHD's               the MHD thread; of a stream the pipe is read, and when it is empty the
 *                                          connection is suspended until the watcher finds something in it
 *
 * A request belongs to its connection and to its work: who leaves last frees it (`refs`).
 */
#ifndef FC_SERVE_REQUEST_H
#define FC_SERVE_REQUEST_H

#include "serve/ask.h"
#include "serve/audit.h"
#include "serve/auth.h"
#include "serve/mhd.h"
#include "serve/route.h"

#include <pthread.h>
#include <stdatomic.h>

struct fc_serve;

enum fc_stop_why { FC_STOP_NOT, FC_STOP_DEADLINE, FC_STOP_LEFT, FC_STOP_CLOSING };

/* A client's connection. */
struct fc_line {
    int fd;
    bool busy;        /* a request of it is being answered */
    bool ending;      /* it was shut down, and MHD will find out */
    int64_t since_ns; /* when it came, or the last answer was sent */
    struct fc_line *prev, *next;
};

struct fc_request {
    struct fc_serve *serve;
    struct MHD_Connection *connection;
    struct fc_line *line;
    atomic_int refs;
    uint64_t number;
    char *target; /* as it came, for logs */
    char *text;   /* the same, which `ask.params` points into */
    const char *wrong;
    bool seen, begun; /* its headers have come; it was looked at */
    const struct fc_route *route;
    struct fc_who who;
    char from[80];
    char *body;
    size_t body_len, body_room;
    int64_t begun_ns;

    struct fc_ask ask;
    int stop;              /* atomic; fc_stop_why */
    bool audited, sending; /* "begin" is in the audit log; an answer was queued */
    int status;
    atomic_uint_fast64_t sent;

    /* of the pool, under its lock */
    struct fc_request *prev, *next; /* of those alive */
    struct fc_request *behind;      /* in the queue */
    bool alive, working, waits;     /* waits: suspended until the pipe has something */
    bool ended;                     /* the work has; `failed` says how */
    bool failed;

    /* of a stream */
    struct MHD_Response *response; /* that is sent */
    bool over;                     /* it has more bytes than it may */
    int in_fd, out_fd;
    char *head; /* what was read before the answer was queued */
    size_t head_len, head_at;
};

void fc_request_release(struct fc_request *request);

/* ---- the pool (pool.c) */

struct fc_pool {
    pthread_mutex_t lock;
    pthread_cond_t work, quiet;
    struct fc_request *first, *last; /* the queue */
    struct fc_request *alive;        /* all that are being worked at or sent */
    struct fc_line *lines, *oldest;
    unsigned line_count, line_most; /* more make room by ending those that say nothing */
    unsigned queued, heavy, heavy_most, streams, threads;
    bool closing;
    pthread_t *thread, watcher;
    bool has_watcher;
    int epoll, wake[2];
};

/* connections: so many there may be. */
int fc_pool_start(struct fc_serve *serve, unsigned threads, unsigned connections, struct fc_error *err);
/* Breaks off what is under way, so that connections can be closed; waits for all work to end. */
void fc_pool_stop(struct fc_serve *serve);
void fc_pool_fini(struct fc_serve *serve);

/* Makes room for a request. False: there is too much to do. */
bool fc_pool_reserve(struct fc_request *request);
/* Gives a request that there is room for, and whose connection is suspended by now, to who answers it. */
void fc_pool_begin(struct fc_request *request);

/* The connection has done with it, whether all was sent or not. */
void fc_pool_leave(struct fc_request *request);

/*
 * What the pipe of a stream has: bytes read; 0: it has ended (request->failed says how); -1: nothing yet, and the
 * connection is suspended until there is.
 */
ssize_t fc_pool_read(struct fc_request *request, char *buf, size_t size);
bool fc_pool_failed(struct fc_request *request);
/* Its work is over: what the work has left in `ask` may be looked at. */
bool fc_pool_ended(struct fc_request *request);

struct fc_line *fc_line_open(struct fc_serve *serve, int fd);
void fc_line_busy(struct fc_serve *serve, struct fc_line *line, bool busy);
void fc_line_close(struct fc_serve *serve, struct fc_line *line);

/* ---- the whole (serve.c) */

struct fc_serve {
    const struct fc_mhd *mhd;
    struct MHD_Daemon *daemon;
    struct fc_cluster *cluster; /* NULL: an index is served */
    uint64_t rows_max;
    char *db, *address, *url, *cert, *key, *client_ca;
    char **host;
    size_t hosts;
    bool v6, tls;
    int listen, port;
    unsigned threads;
    char *sensor;
    uint64_t carve_limit;
    int64_t deadline_ns;
    void (*log)(void *ctx, const char *line);
    void *log_ctx;
    pthread_mutex_t log_lock;
    atomic_uint_fast64_t requests;
    char cookie[32]; /* its name */
    struct fc_auth auth;
    struct fc_audit audit;
    struct fc_pool pool;
    struct fc_packed *packed; /* files of the page */
};

int64_t fc_serve_now(void);
void fc_serve_log(struct fc_request *request, const char *how);

/* ---- HTTP (http.c) */

/* Connections that there are descriptors for. */
unsigned fc_http_connections(void);
int fc_http_start(struct fc_serve *serve, struct fc_error *err);

/* ---- files of the page (assets.c, and what CMake makes of web/) */

struct fc_asset {
    const char *path; /* "/app.js" */
    const char *type, *etag;
    const unsigned char *bytes;
    size_t size;
};
extern const struct fc_asset fc_assets[];
extern const size_t fc_asset_count;

#endif
