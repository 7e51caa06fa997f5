/* SPDX-License-Identifier: MIT */
#include "live/tap_source.h"
#include "base/error.h"
#include "live/changes.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 4096,   /* packets, between two looks at the clock */
    COUNT_MS = 250, /* how often it is told what was dropped, and looked whether the interface is up */
    RETRY_MS = 250, /* how often one that is gone is tried */
    PAUSE_MS = 20,
    BUFFER = 32 << 20
};

static const int64_t ms_ns = 1000000;

static void pause_ms(int64_t ms)
{
    const struct timespec pause = {.tv_nsec = (long)(ms * ms_ns)};

    nanosleep(&pause, NULL);
}

/* By the clock of packets. */
static int64_t clock_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static bool ending(const struct fc_tap_source *s)
{
    const int *stop = s->shared->options.stop;

    return (stop && __atomic_load_n(stop, __ATOMIC_RELAXED)) || __atomic_load_n(&s->shared->closing, __ATOMIC_RELAXED);
}

__attribute__((format(printf, 3, 4))) static void word(struct fc_tap_source *s, int code, const char *fmt, ...)
{
    const struct fc_tap_options *o = &s->shared->options;
    char text[sizeof(((struct fc_error *)NULL)->cause)];
    struct fc_error what;
    va_list ap;

    if (!o->word)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fc_error_set(&what, code, s->name, FC_NO_OFFSET, "%s", text);
    pthread_mutex_lock(&s->shared->words);
    o->word(o->ctx, &what);
    pthread_mutex_unlock(&s->shared->words);
}

/* ---- Opening. ---- */

static void close_all(struct fc_tap_source *s)
{
    for (unsigned i = 0; i < s->count; i++)
        fc_iface_close(&s->sockets[i].iface);
}

/* A program that was made before is used again, as names of hosts may not be looked up any more. */
static int make_program(struct fc_tap_source *s, struct fc_error *err)
{
    const struct fc_iface *iface = &s->sockets[0].iface;

    if (s->compiled && s->program_type == iface->link_type)
        return 0;
    if (s->compiled)
        iface->lib->freecode(&s->program);
    int rc = fc_iface_compile(iface, s->shared->options.filter, &s->program, err);
    s->compiled = rc == 0;
    s->program_type = iface->link_type;
    return rc;
}

static int open_all(struct fc_tap_source *s, struct fc_error *err)
{
    const struct fc_tap_options *o = &s->shared->options;
    const struct fc_iface_options how = {o->snaplen, o->buffer ? o->buffer : BUFFER, o->promiscuous};
    int rc = 0;

    memset(s->sockets, 0, s->count * sizeof *s->sockets);
    for (unsigned i = 0; rc == 0 && i < s->count; i++)
        rc = fc_iface_open(&s->sockets[i].iface, s->name, &how, err);
    rc = rc ? rc : make_program(s, err);
    if (rc == 0 && s->count > 1)
        rc = fc_tap_socket_join(s->sockets, s->count, s->name, err);
    /* also when there is none: it is what cuts packets to the snaplen inside the kernel */
    for (unsigned i = 0; rc == 0 && i < s->count; i++)
        rc = fc_iface_set_filter(&s->sockets[i].iface, s->name, &s->program, err);
    return rc;
}

int fc_tap_source_open(struct fc_tap_source *s, struct fc_error *err)
{
    int rc = open_all(s, err);

    if (rc)
        close_all(s);
    return rc;
}

/* The recorder's interface: another one, when one of another kind has come under the name. */
static int name_it(struct fc_tap_source *s, struct fc_error *err)
{
    const struct fc_iface *iface = &s->sockets[0].iface;
    const struct fc_tap_options *o = &s->shared->options;
    const struct fc_recorder_interface named = {.name = s->name,
                                                .filter = *o->filter ? o->filter : NULL,
                                                .link_type = iface->link_type,
                                                .snaplen = o->snaplen ? o->snaplen : FC_TAP_SNAPLEN_MAX,
                                                .tsresol = iface->nanoseconds ? 9 : 6};

    if (s->named && s->link_type == iface->link_type)
        return 0;
    int rc = fc_recorder_add_interface(s->shared->recorder, &named, &s->number, err);
    if (rc)
        return rc;
    s->named = true;
    s->link_type = iface->link_type;
    s->kernel = s->driver = 0;
    return 0;
}

/* ---- Listening. ---- */

static void take(u_char *ctx, const struct pcap_pkthdr *h, const u_char *data)
{
    const struct fc_tap_lane *l = (const struct fc_tap_lane *)ctx;
    int64_t time_ns = fc_iface_time_ns(&l->socket->iface, h);
    const struct fc_recorder_packet packet = {.time_ns = time_ns > 0 ? time_ns : 0,
                                              .interface = l->source->number,
                                              .caplen = h->caplen,
                                              .origlen = h->len,
                                              .data = data};

    (void)fc_recorder_add(l->input, &packet); /* counts what it has no room for */
}

/* Tells what was dropped. */
static void count(struct fc_tap_lane *l)
{
    struct fc_tap_source *s = l->source;
    uint64_t kernel = 0, driver = 0;

    fc_tap_socket_count(l->socket, &kernel, &driver);
    pthread_mutex_lock(&s->lock);
    s->kernel += kernel;
    s->driver += l == s->lanes ? driver : 0; /* to all of them the same is told */
    fc_recorder_tell(s->shared->recorder, s->number, s->kernel, s->driver);
    pthread_mutex_unlock(&s->lock);
}

/* False: the interface is gone. */
static bool look(struct fc_tap_lane *l)
{
    struct fc_tap_source *s = l->source;
    enum fc_tap_state state = fc_tap_socket_state(l->socket, s->name);

    if (state == FC_TAP_GONE)
        return false;
    if (l == s->lanes && s->down != (state == FC_TAP_DOWN)) {
        s->down = !s->down;
        word(s, s->down ? FC_E_IO : FC_OK, s->down ? "the interface is down" : "the interface is up again");
    }
    return true;
}

/* Until the socket fails, or this is to end. */
static void listen_to(struct fc_tap_lane *l)
{
    struct fc_tap_source *s = l->source;
    int64_t next_ns = 0;

    while (!ending(s) && !__atomic_load_n(&s->broken, __ATOMIC_RELAXED)) {
        int64_t before_ns = clock_ns(), now_ns = fc_live_now();
        int n = fc_tap_socket_read(l->socket, BATCH, take, l);
        if (n < 0)
            break;
        if (now_ns >= next_ns) {
            count(l);
            if (!look(l))
                break;
            next_ns = now_ns + COUNT_MS * ms_ns;
        }
        if (n < BATCH) {
            fc_recorder_until(l->input, before_ns - FC_TAP_SETTLED_MS * ms_ns);
            fc_tap_socket_wait(l->socket);
        }
    }
}

/* What has come until now, and nothing that comes later. */
static void drain(struct fc_tap_lane *l)
{
    int64_t settled_ns = fc_live_now() + FC_TAP_SETTLED_MS * ms_ns;
    int n;

    fc_tap_socket_shut(l->socket);
    do {
        if ((n = fc_tap_socket_read(l->socket, BATCH, take, l)) < BATCH)
            pause_ms(PAUSE_MS / 4);
    } while (n == BATCH || fc_live_now() < settled_ns);
    count(l);
    fc_iface_close(&l->socket->iface);
}

/* All sockets are closed. True: they are open again. */
static bool open_again(struct fc_tap_source *s, struct fc_error *err)
{
    if (open_all(s, err) || name_it(s, err)) {
        close_all(s);
        return false;
    }
    s->down = false;
    s->out = 0;
    s->opened++;
    __atomic_store_n(&s->broken, false, __ATOMIC_RELAXED);
    return true;
}

static bool exists(const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "/sys/class/net/%.100s", name);
    return access(path, F_OK) == 0;
}

/* With the lock held. *told: why one that is there cannot be opened. */
static void try_it(struct fc_tap_source *s, bool *told)
{
    struct fc_error err;

    if (open_again(s, &err))
        word(s, FC_OK, "the interface is back");
    else if (!*told && exists(s->name)) {
        word(s, FC_E_IO, "%s", err.cause);
        *told = true;
    }
}

/* Until the interface is there again: true. False: this is to end. */
static bool wait_for_it(struct fc_tap_lane *l)
{
    struct fc_tap_source *s = l->source;
    bool first, there = false, told = false;
    int64_t next_ns = 0;
    unsigned opened;

    pthread_mutex_lock(&s->lock);
    opened = s->opened;
    first = s->out++ == 0;
    __atomic_store_n(&s->broken, true, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&s->lock);
    if (first)
        word(s, FC_E_IO, "the interface is gone");
    while (!there && !ending(s)) {
        fc_recorder_until(l->input, clock_ns() - FC_TAP_SETTLED_MS * ms_ns);
        pause_ms(PAUSE_MS);
        pthread_mutex_lock(&s->lock);
        if (l == s->lanes && s->out == s->count && fc_live_now() >= next_ns) {
            try_it(s, &told);
            next_ns = fc_live_now() + RETRY_MS * ms_ns;
        }
        there = s->opened != opened; /* and perhaps broken again by now */
        pthread_mutex_unlock(&s->lock);
    }
    return there;
}

static void *run(void *arg)
{
    struct fc_tap_lane *l = arg;
    struct fc_tap_shared *shared = l->source->shared;

    do {
        listen_to(l);
        drain(l);
    } while (!ending(l->source) && wait_for_it(l));
    fc_recorder_until(l->input, INT64_MAX);
    if (__atomic_sub_fetch(&shared->left, 1, __ATOMIC_ACQ_REL) == 0 && shared->options.ended)
        __atomic_store_n(shared->options.ended, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* ---- The whole. ---- */

int fc_tap_source_init(struct fc_tap_source *s, struct fc_tap_shared *shared, const char *name, struct fc_error *err)
{
    s->shared = shared;
    pthread_mutex_init(&s->lock, NULL);
    s->count = shared->options.threads ? shared->options.threads : 1;
    s->name = strdup(name);
    s->lanes = calloc(s->count, sizeof *s->lanes);
    s->sockets = calloc(s->count, sizeof *s->sockets);
    if (!s->name || !s->lanes || !s->sockets)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    for (unsigned i = 0; i < s->count; i++)
        s->lanes[i] = (struct fc_tap_lane){.source = s, .socket = &s->sockets[i]};
    return 0;
}

int fc_tap_source_start(struct fc_tap_source *s, struct fc_error *err)
{
    sigset_t all, before;
    int rc = name_it(s, err);

    for (unsigned i = 0; rc == 0 && i < s->count; i++)
        rc = fc_recorder_add_input(s->shared->recorder, &s->lanes[i].input, err);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; rc == 0 && i < s->count; i++) {
        errno = pthread_create(&s->lanes[i].thread, NULL, run, &s->lanes[i]);
        s->lanes[i].started = errno == 0;
        if (errno)
            rc = fc_error_errno(err, FC_E_LIMIT, NULL, FC_NO_OFFSET, "no thread can be started");
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

void fc_tap_source_fini(struct fc_tap_source *s)
{
    for (unsigned i = 0; s->lanes && i < s->count; i++)
        if (s->lanes[i].started)
            pthread_join(s->lanes[i].thread, NULL);
    if (s->compiled)
        s->sockets[0].iface.lib->freecode(&s->program);
    if (s->sockets)
        close_all(s);
    pthread_mutex_destroy(&s->lock);
    free(s->sockets);
    free(s->lanes);
    free(s->name);
}
