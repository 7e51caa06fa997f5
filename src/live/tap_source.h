/* SPDX-License-Identifier: MIT */
/*
 * One interface of a tap, and the threads (lanes) that share it.
 *
 * A lane whose socket fails closes it; when all of an interface have, the first one opens them all again, as those of
 * one group must be on one and the same interface.
 *
 * Threads: a lane belongs to its thread. The functions below belong to the tap's caller.
 */
#ifndef FC_LIVE_TAP_SOURCE_H
#define FC_LIVE_TAP_SOURCE_H

#include "live/tap_socket.h"

#include <flowcarve/tap.h>
#include <pthread.h>

enum { FC_TAP_SNAPLEN_MAX = 262144 };

/* What all interfaces of a tap have in common. */
struct fc_tap_shared {
    /* immutable once threads are there */
    struct fc_tap_options options;
    struct fc_recorder *recorder;
    /* shared */
    pthread_mutex_t words; /* for options.word */
    bool closing;          /* atomic */
    unsigned left;         /* atomic: lanes that have not ended */
};

struct fc_tap_lane {
    struct fc_tap_source *source;
    struct fc_tap_socket *socket;
    struct fc_recorder_input *input;
    pthread_t thread;
    bool started;
};

struct fc_tap_source {
    struct fc_tap_shared *shared;
    char *name;
    struct fc_tap_lane *lanes;
    struct fc_tap_socket *sockets; /* one each */
    unsigned count;
    struct bpf_program program; /* of `program_type` */
    uint32_t program_type;
    bool compiled;
    /* written while no lane listens */
    uint32_t number, link_type; /* of the recorder's interface */
    bool named;                 /* there is that one */
    pthread_mutex_t lock;       /* for what follows */
    bool broken;                /* the sockets are to be opened anew */
    unsigned out;               /* so many lanes have closed theirs */
    unsigned opened;            /* so often that was done */
    bool down;
    uint64_t kernel, driver; /* dropped since there is the recorder's interface */
};

/* FC_E_NOMEM. fc_tap_source_fini() is to be called in any case. */
int fc_tap_source_init(struct fc_tap_source *source, struct fc_tap_shared *shared, const char *name,
                       struct fc_error *err);

/* Opens all sockets. FC_E_IO, FC_E_FILTER: none is open then. */
int fc_tap_source_open(struct fc_tap_source *source, struct fc_error *err);

/* Starts the lanes. FC_E_NOMEM, FC_E_LIMIT. */
int fc_tap_source_start(struct fc_tap_source *source, struct fc_error *err);

/* Waits for the lanes, which end when `closing` or *options.stop is set. */
void fc_tap_source_fini(struct fc_tap_source *source);

#endif
