/* SPDX-License-Identifier: MIT */
/*
 * Requests to many servers at once, whose answers are read in pieces, from whichever is wanted next.
 *
 * Of each answer a window is kept: what was not read yet, up to a MiB (more where a reader asks for more at once), and
 * what is behind fc_streams_keep(). Whose window is full is not listened to, so that the server waits. While one is
 * waited for, the others fill their windows.
 *
 * Threads: one at a time for all streams of a handle. Memory: the windows.
 */
#ifndef FC_CLUSTER_STREAMS_H
#define FC_CLUSTER_STREAMS_H

#include "capture/source.h"
#include "cluster/http.h"

struct fc_streams;

struct fc_streams_options {
    unsigned silence_ms;  /* a server that is listened to and sends nothing for so long is given up; 0: 30 s */
    unsigned deadline_ms; /* of all; 0: none */
    const int *stop;      /* may be NULL; read atomically: other than 0: FC_E_INTERRUPTED */
};

/* Room for `count` requests. FC_E_LIMIT: so many connections cannot be open at once. FC_E_IO, FC_E_NOMEM. */
int fc_streams_open(size_t count, const struct fc_streams_options *options, struct fc_streams **out,
                    struct fc_error *err);
/* Closes all connections. NULL is allowed. */
void fc_streams_close(struct fc_streams *streams);

/*
 * Begins a request: a POST of JSON with a body, else a GET. name: what messages call the server; peer, name and body
 * must live as long as the stream. FC_E_NOMEM: it was not begun.
 */
int fc_streams_begin(struct fc_streams *streams, size_t number, const struct fc_peer *peer, const char *name,
                     const char *path, const char *body, size_t len, struct fc_error *err);
/* Closes one; its source gives nothing any more. */
void fc_streams_end(struct fc_streams *streams, size_t number);

/*
 * What it answers, with the status 200 alone, as bytes at offsets. read() waits until there are so many, or its end,
 * and fails with FC_E_IO when no answer comes or it breaks off, with the codes of fc_streams_refused() when it is
 * another one, and with FC_E_LIMIT when more would have to be kept than can be. close() does nothing.
 */
struct fc_source *fc_streams_source(struct fc_streams *streams, size_t number);

/* Bytes before `off` are not asked for any more. */
void fc_streams_keep(struct fc_streams *streams, size_t number, uint64_t off);

/* Bytes that have come so far. */
uint64_t fc_streams_bytes(const struct fc_streams *streams, size_t number);

/* The moment between sending the request and the first byte of its answer, ns since 1970; of one that has an answer. */
int64_t fc_streams_middle(const struct fc_streams *streams, size_t number);

/* A header "flowcarve-..." that came behind the answer, by its name in lower case: its value in buf, or NULL. */
const char *fc_streams_trailer(const struct fc_streams *streams, size_t number, const char *name, char *buf,
                               size_t size);

#endif
