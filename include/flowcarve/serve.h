/* SPDX-License-Identifier: MIT */
/*
 * A server of one index, or of the sensors of a cluster, over HTTP: the API of docs/http.md, and a page that uses it.
 * Whoever asks must have a token; other addresses than those of the machine itself are served by TLS alone.
 *
 * Only in libraries that were built with FLOWCARVE_SERVE. Loads libmicrohttpd and GnuTLS when it is opened.
 *
 * Threads: a handle belongs to one at a time; it has threads of its own while it runs. Memory: 64 KiB at the most a
 * connection, what questions take (see top.h), and 1 MiB of the kernel's a stream.
 */
#ifndef FLOWCARVE_SERVE_H
#define FLOWCARVE_SERVE_H

#include <flowcarve/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FC_SERVE_PORT = 8484 };

/* All but `db` or `cluster` 0: the default. Strings are copied. */
struct fc_serve_options {
    const char *db;           /* the index; NULL: `cluster` */
    const char *cluster;      /* file of a cluster (cluster.h), in libraries that have that */
    uint64_t rows_max;        /* of `cluster`: rows of a server of the engine that a question may read; 0: 10^9 */
    const char *address;      /* a number: 127.0.0.1, ::1; NULL: 127.0.0.1 */
    int port;                 /* -1: one that is free; 0: FC_SERVE_PORT */
    const char *const *hosts; /* names under which it may be asked, beside the address; without a port */
    size_t host_count;
    const char *tls_cert, *tls_key; /* PEM files: chain and key; both or none */
    const char *client_ca;          /* PEM file: who shows a certificate that it has signed is let in */
    const char *tokens;             /* file of tokens, its owner's alone */
    const char *audit;              /* file to which it is added who asks for packets */
    const char *sensor;             /* of a cluster: its name, as fc_is_sensor_name(); NULL: of none */
    uint64_t carve_limit;           /* bytes that a carve may send; 0: any number */
    unsigned threads;               /* that answer questions; 0: two a processor, four at least */
    int64_t deadline_ns;            /* a question may take so long; 0: 30 s */
    /* a line for each answer, fit for a terminal; from any thread, one call at a time; NULL: none */
    void (*log)(void *ctx, const char *line);
    void *log_ctx;
};

struct fc_serve;

/*
 * Takes the address and reads all files that are needed, so that less is needed from then on (src/cli/sandbox.h);
 * nobody is answered yet. On success *out must go to fc_serve_close(). FC_E_USAGE: what is asked for is not safe, or a
 * file's content or rights are no good, or this library asks no other machines. Of a cluster nobody is asked yet.
 * FC_E_MISSING, FC_E_SCHEMA: the index. FC_E_IO, FC_E_DB, FC_E_NOMEM.
 */
int fc_serve_open(const struct fc_serve_options *options, struct fc_serve **out, struct fc_error *err);

/* "http://127.0.0.1:8484/#token=...": whoever opens it first is let in. Valid until the handle is closed. */
const char *fc_serve_url(const struct fc_serve *serve);

/* Answers until *stop (a relaxed atomic load) is not 0; what is under way then is broken off. FC_E_IO, FC_E_NOMEM. */
int fc_serve_run(struct fc_serve *serve, const int *stop, struct fc_error *err);

/* Closes; NULL is allowed. */
void fc_serve_close(struct fc_serve *serve);

#ifdef __cplusplus
}
#endif
#endif
