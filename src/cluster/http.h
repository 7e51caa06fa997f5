/* SPDX-License-Identifier: MIT */
/*
 * Asking a server over HTTP: an engine or a sensor.
 *
 * What is asked ends when its deadline has passed, when *stop is set, when nothing has come for 30 s, or when the
 * receiver says so. Redirects are not followed, certificates are checked (TLS 1.2 and later), and no proxy of the
 * environment is asked: packets and passwords go where the file of the cluster says, and nowhere else.
 *
 * Threads: one at a time for a handle. Memory: some kilobytes a handle; the body is the receiver's.
 */
#ifndef FC_CLUSTER_HTTP_H
#define FC_CLUSTER_HTTP_H

#include <flowcarve/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whom to ask, and as whom. Texts are NULL where there is nothing to say. */
struct fc_peer {
    char *url; /* http:// or https://, without a query and without a slash at the end */
    char *ca, *cert,
        *key; /* PEM files; ca: who may have signed the server's certificate, NULL: whom the system trusts */
    char *user, *password; /* HTTP basic */
    char *token;           /* Authorization: Bearer */
};

/* FC_E_NOMEM; *to is to go to fc_peer_fini() in any case. */
int fc_peer_copy(struct fc_peer *to, const struct fc_peer *peer);
void fc_peer_fini(struct fc_peer *peer);

/* Takes a piece of the body; a negative code with *err filled ends the request with that. */
typedef int fc_http_take(void *ctx, const uint8_t *data, size_t len, struct fc_error *err);

struct fc_http_request {
    const char *path; /* behind the peer's URL, "" or beginning with a slash; may have a query behind ? */
    const char *type; /* Content-Type of a body; with it the request is a POST, else a GET */
    const void *body; /* len bytes, the caller's until the call returns */
    size_t len;
    const char *header;   /* one more header, or NULL */
    unsigned deadline_ms; /* 0: none but that for silence */
    unsigned silence_ms;  /* 0: 30 s without a byte */
    const int *stop;      /* may be NULL; read atomically: other than 0: FC_E_INTERRUPTED */
    fc_http_take *take;   /* NULL: the body is dropped */
    void *ctx;
};

enum { FC_HTTP_TEXT_MAX = 4096, FC_HTTP_HEADERS_MAX = 4096 };

struct fc_http_answer {
    long status;                       /* 0: none has come */
    char text[FC_HTTP_TEXT_MAX];       /* with a status of 400 or above: the beginning of the body, NUL-terminated */
    char headers[FC_HTTP_HEADERS_MAX]; /* lines "name: value\n" of what begins with "x-clickhouse-" or "flowcarve-",
                                          names in lower case: of the header, and of the trailer */
};

struct fc_http;

/* The peer is copied. On success *out must go to fc_http_close(). FC_E_IO, FC_E_NOMEM. */
int fc_http_open(const struct fc_peer *peer, struct fc_http **out, struct fc_error *err);
void fc_http_close(struct fc_http *http);

/*
 * Asks. 0 when an answer has come whole, whatever its status (bodies of errors go to answer->text, others to `take`).
 * FC_E_IO: no connection, no whole answer, or a deadline has passed: err names the URL and the cause. FC_E_INTERRUPTED;
 * what `take` returns; FC_E_NOMEM. *answer is filled in any case.
 */
int fc_http_ask(struct fc_http *http, const struct fc_http_request *request, struct fc_http_answer *answer,
                struct fc_error *err);

struct fc_curl;

/* Whom to ask and as whom, on a handle of libcurl. False: it does not take it. */
bool fc_http_set_peer(const struct fc_curl *curl, void *easy, const struct fc_peer *peer);

/* Keeps those of the lines of a header, `len` bytes; `has`: bytes of those so far. Returns that anew. */
size_t fc_http_note_header(struct fc_http_answer *answer, size_t has, const char *lines, size_t len);

/* A header that was kept, by its name in lower case: its value in buf, or NULL. */
const char *fc_http_header(const struct fc_http_answer *answer, const char *name, char *buf, size_t size);

#endif
