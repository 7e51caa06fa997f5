/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "serve/request.h"

#include <errno.h>
#include <fcntl.h>
#include <flowcarve/db.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined FC_HAS_CLUSTER
#include <flowcarve/cluster_query.h>
#endif

enum {
    QUEUE_MAX = 512, /* questions that wait for a worker */
    IDLE_MS = 250,   /* then a worker lets go of the index: a writer that wants it alone need not wait for long */
    WATCH_MS = 50,   /* between looks at deadlines */
    PIPE_BYTES = 1 << 20
};
#define MS INT64_C(1000000)
#define HANDLE_NS (2000 * MS) /* as long as a handle of the index is used, for the same reason */
#define LINE_NS (15000 * MS)  /* as long as a connection may be without a whole request */

/* ---- a worker's handle of the index */

struct handle {
    struct fc_db *db;
    struct fc_inquiry *inquiry; /* or of an engine */
    dev_t dev;
    ino_t ino;
    int64_t opened_ns;
};

static void let_go(struct handle *h)
{
    fc_db_close(h->db);
    h->db = NULL;
#if defined FC_HAS_CLUSTER
    fc_inquiry_close(h->inquiry);
    h->inquiry = NULL;
#endif
}

#if defined FC_HAS_CLUSTER
/* Sensors, as the engine knows them now. */
static int hold_engine(struct handle *h, const struct fc_request *r, struct fc_error *err)
{
    const struct fc_inquiry_options o = {
        .deadline_ms = (unsigned)(r->serve->deadline_ns / MS), .rows_max = r->serve->rows_max, .stop = &r->stop};
    int64_t now = fc_serve_now();

    if (h->inquiry && now - h->opened_ns < HANDLE_NS)
        return 0;
    let_go(h);
    h->opened_ns = now;
    int rc = fc_inquiry_open(r->serve->cluster, &o, &h->inquiry, err);
    if (rc == FC_E_USAGE) /* what answers there is none, or has nothing */
        err->code = FC_E_DB;
    return rc;
}

static void set_stop(struct handle *h, const int *stop)
{
    if (h->inquiry)
        fc_inquiry_set_stop(h->inquiry, stop);
    else
        fc_db_set_stop(h->db, stop);
}
#else
static int hold_engine(struct handle *h, const struct fc_request *r, struct fc_error *err)
{
    (void)h;
    (void)r;
    return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "there is no engine");
}

static void set_stop(struct handle *h, const int *stop)
{
    fc_db_set_stop(h->db, stop);
}
#endif

/* A handle of the index as it is now: another file may have got its name. */
static int hold(struct handle *h, const char *path, struct fc_error *err)
{
    struct stat st;
    int64_t now = fc_serve_now();

    bool same = h->db && stat(path, &st) == 0 && st.st_dev == h->dev && st.st_ino == h->ino;
    if (same && now - h->opened_ns < HANDLE_NS)
        return 0;
    let_go(h);
    memset(&st, 0, sizeof st);
    if (stat(path, &st) == 0) {
        h->dev = st.st_dev;
        h->ino = st.st_ino;
    }
    h->opened_ns = now;
    return fc_db_open(path, &h->db, err);
}

/* ---- work */

static bool is_stopped(const struct fc_request *r)
{
    return __atomic_load_n(&r->stop, __ATOMIC_RELAXED) != FC_STOP_NOT;
}

/* The first reason counts. */
static void stop_work(struct fc_request *r, enum fc_stop_why why)
{
    if (!is_stopped(r))
        __atomic_store_n(&r->stop, why, __ATOMIC_RELAXED);
}

static int answer(struct fc_request *r, struct handle *handle)
{
    struct fc_error err;
    int rc = r->serve->cluster ? hold_engine(handle, r, &err) : hold(handle, r->serve->db, &err);

    if (rc) {
        fc_ask_fail_error(&r->ask, &err);
        return -1;
    }
    set_stop(handle, &r->stop);
    r->ask.db = handle->db;
    r->ask.inquiry = handle->inquiry;
    r->ask.stop = &r->stop;
    bool other = handle->db && r->route->flags & FC_ROUTE_ID && !fc_ask_uuid(&r->ask);
    rc = other ? -1 : r->route->answer(&r->ask);
    r->ask.db = NULL;
    r->ask.inquiry = NULL;
    set_stop(handle, NULL);
    if (r->ask.out.failed && !(r->route->flags & FC_ROUTE_STREAM)) {
        r->ask.out.failed = false;
        fc_ask_fail_memory(&r->ask);
        rc = -1;
    }
    return rc;
}

/* The next one that may begin: of those that take much time and memory only so many at once. */
static struct fc_request *next_request(struct fc_pool *p)
{
    struct fc_request *before = NULL, *r = p->first;

    while (r && r->route->flags & FC_ROUTE_HEAVY && p->heavy >= p->heavy_most && !is_stopped(r)) {
        before = r;
        r = r->behind;
    }
    if (!r)
        return NULL;
    if (before)
        before->behind = r->behind;
    else
        p->first = r->behind;
    if (p->last == r)
        p->last = before;
    p->queued--;
    return r;
}

/* Waits for work; the handle is let go of when none comes for a while. NULL: there will be none. */
static struct fc_request *wait_for_work(struct fc_pool *p, struct handle *handle)
{
    struct fc_request *r;

    while (!(r = next_request(p)) && !p->closing) {
        struct timespec until;
        if (!handle->db && !handle->inquiry) {
            pthread_cond_wait(&p->work, &p->lock);
            continue;
        }
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += IDLE_MS * MS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (pthread_cond_timedwait(&p->work, &p->lock, &until) == ETIMEDOUT) {
            pthread_mutex_unlock(&p->lock);
            let_go(handle);
            pthread_mutex_lock(&p->lock);
        }
    }
    return r;
}

static void *work(void *arg)
{
    struct fc_serve *serve = arg;
    struct fc_pool *p = &serve->pool;
    struct handle handle = {0};
    struct fc_request *r;

    pthread_mutex_lock(&p->lock);
    while ((r = wait_for_work(p, &handle))) {
        bool heavy = r->route->flags & FC_ROUTE_HEAVY;
        p->heavy += heavy;
        pthread_mutex_unlock(&p->lock);
        int rc = -1;
        if (is_stopped(r))
            fc_ask_fail(&r->ask, 503, "busy", "it waited for too long");
        else
            rc = answer(r, &handle);
        pthread_mutex_lock(&p->lock);
        p->heavy -= heavy;
        if (heavy)
            pthread_cond_signal(&p->work);
        r->ended = true;
        r->failed = rc != 0;
        pthread_mutex_unlock(&p->lock);
        serve->mhd->resume_connection(r->connection);
        fc_request_release(r);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    let_go(&handle);
    return NULL;
}

static void *work_stream(void *arg)
{
    struct fc_request *r = arg;
    struct fc_pool *p = &r->serve->pool;
    struct handle handle = {0};
    int rc = answer(r, &handle);

    let_go(&handle);
    pthread_mutex_lock(&p->lock);
    r->ended = true;
    r->failed = rc != 0;
    close(r->out_fd); /* whoever reads to the end finds how it has ended */
    r->out_fd = -1;
    pthread_mutex_unlock(&p->lock);
    fc_request_release(r);
    pthread_mutex_lock(&p->lock);
    p->streams--;
    pthread_cond_broadcast(&p->quiet);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- requests come and go */

/* What an event is of: a request's number, and whether it is of its pipe. */
static void watch(struct fc_pool *p, int how, int fd, uint32_t events, const struct fc_request *r, bool pipe)
{
    struct epoll_event event = {.events = events | EPOLLONESHOT, .data.u64 = r->number << 1 | pipe};

    epoll_ctl(p->epoll, how, fd, &event);
}

static bool open_pipe(struct fc_request *r)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) != 0)
        return false;
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES); /* where that is too much it stays as it is */
    r->in_fd = fds[0];
    r->out_fd = r->ask.fd = fds[1];
    return true;
}

bool fc_pool_reserve(struct fc_request *r)
{
    struct fc_pool *p = &r->serve->pool;
    bool stream = r->route->flags & FC_ROUTE_STREAM;

    pthread_mutex_lock(&p->lock);
    bool room = !p->closing && (stream ? p->streams < FC_ASK_STREAMS_MAX : p->queued < QUEUE_MAX);
    if (room && stream)
        room = open_pipe(r);
    if (room) {
        p->streams += stream;
        p->queued += !stream;
        r->alive = true;
        r->next = p->alive;
        if (p->alive)
            p->alive->prev = r;
        p->alive = r;
    }
    pthread_mutex_unlock(&p->lock);
    return room;
}

void fc_pool_begin(struct fc_request *r)
{
    struct fc_pool *p = &r->serve->pool;
    pthread_attr_t detached;
    pthread_t thread;

    atomic_fetch_add(&r->refs, 1); /* the work's */
    pthread_mutex_lock(&p->lock);
    watch(p, EPOLL_CTL_ADD, r->line->fd, EPOLLRDHUP, r, false);
    if (!(r->route->flags & FC_ROUTE_STREAM)) {
        if (p->last)
            p->last->behind = r;
        else
            p->first = r;
        p->last = r;
        pthread_cond_signal(&p->work);
        pthread_mutex_unlock(&p->lock);
        return;
    }
    r->waits = true;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    bool begun = pthread_create(&thread, &detached, work_stream, r) == 0;
    pthread_attr_destroy(&detached);
    if (!begun) {
        fc_ask_fail(&r->ask, 503, "busy", "there is no thread for it");
        r->ended = r->failed = true;
        p->streams--;
        close(r->out_fd);
        r->out_fd = -1;
        atomic_fetch_sub(&r->refs, 1);
    }
    watch(p, EPOLL_CTL_ADD, r->in_fd, EPOLLIN, r, true);
    pthread_mutex_unlock(&p->lock);
}

void fc_pool_leave(struct fc_request *r)
{
    struct fc_pool *p = &r->serve->pool;

    pthread_mutex_lock(&p->lock);
    if (r->alive) {
        struct epoll_event none = {0};
        epoll_ctl(p->epoll, EPOLL_CTL_DEL, r->line->fd, &none);
        stop_work(r, FC_STOP_LEFT);
        if (r->in_fd >= 0)
            close(r->in_fd); /* who writes gets EPIPE */
        r->in_fd = -1;
        if (r->prev)
            r->prev->next = r->next;
        else
            p->alive = r->next;
        if (r->next)
            r->next->prev = r->prev;
        r->alive = false;
    }
    pthread_mutex_unlock(&p->lock);
    fc_request_release(r);
}

ssize_t fc_pool_read(struct fc_request *r, char *buf, size_t size)
{
    struct fc_pool *p = &r->serve->pool;
    ssize_t n;

    do
        n = read(r->in_fd, buf, size);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    pthread_mutex_lock(&p->lock);
    if (errno != EAGAIN) {
        r->failed = true;
        pthread_mutex_unlock(&p->lock);
        return 0;
    }
    r->waits = true;
    r->serve->mhd->suspend_connection(r->connection);
    watch(p, EPOLL_CTL_MOD, r->in_fd, EPOLLIN, r, true);
    pthread_mutex_unlock(&p->lock);
    return -1;
}

bool fc_pool_ended(struct fc_request *r)
{
    pthread_mutex_lock(&r->serve->pool.lock);
    bool ended = r->ended;
    pthread_mutex_unlock(&r->serve->pool.lock);
    return ended;
}

bool fc_pool_failed(struct fc_request *r)
{
    pthread_mutex_lock(&r->serve->pool.lock);
    bool failed = r->failed;
    pthread_mutex_unlock(&r->serve->pool.lock);
    return failed;
}

/* ---- the watcher */

static struct fc_request *find(struct fc_pool *p, uint64_t number)
{
    struct fc_request *r = p->alive;

    while (r && r->number != number)
        r = r->next;
    return r;
}

/* The connection that is to go on; it is suspended, so that it stays until then. */
static struct MHD_Connection *take_event(struct fc_pool *p, uint64_t what)
{
    struct fc_request *r = find(p, what >> 1);

    if (r && !(what & 1) && !r->ended)
        stop_work(r, FC_STOP_LEFT);
    if (!r || !(what & 1) || !r->waits)
        return NULL;
    r->waits = false;
    return r->connection;
}

static void end_line(struct fc_line *line)
{
    if (!line->ending)
        shutdown(line->fd, SHUT_RDWR);
    line->ending = true;
}

static void look_at_times(struct fc_serve *serve)
{
    struct fc_pool *p = &serve->pool;
    int64_t now = fc_serve_now();

    for (struct fc_request *r = p->alive; r; r = r->next)
        if (!r->ended && !(r->route->flags & FC_ROUTE_STREAM) && now - r->begun_ns > serve->deadline_ns)
            stop_work(r, FC_STOP_DEADLINE);
    for (struct fc_line *line = p->lines; line; line = line->next)
        if (!line->busy && now - line->since_ns > LINE_NS)
            end_line(line);
}

static void *watch_all(void *arg)
{
    enum { EVENTS = 64 };
    struct fc_serve *serve = arg;
    struct fc_pool *p = &serve->pool;
    struct epoll_event events[EVENTS];
    struct MHD_Connection *go_on[EVENTS];
    int64_t looked = 0;
    bool done = false;

    while (!done) {
        int count = epoll_wait(p->epoll, events, EVENTS, WATCH_MS), waiting = 0;
        pthread_mutex_lock(&p->lock);
        for (int i = 0; i < count; i++) {
            done |= events[i].data.u64 == 0;
            struct MHD_Connection *c = take_event(p, events[i].data.u64);
            if (c)
                go_on[waiting++] = c;
        }
        if (fc_serve_now() - looked > WATCH_MS * MS) {
            look_at_times(serve);
            looked = fc_serve_now();
        }
        pthread_mutex_unlock(&p->lock);
        for (int i = 0; i < waiting; i++)
            serve->mhd->resume_connection(go_on[i]);
    }
    return NULL;
}

/* ---- connections */

/* Who has been here longest and says nothing goes first: so connections that are only held keep nobody out. */
static void make_room(struct fc_pool *p)
{
    struct fc_line *line = p->oldest;

    while (line && (line->busy || line->ending))
        line = line->prev;
    if (line)
        end_line(line);
}

struct fc_line *fc_line_open(struct fc_serve *serve, int fd)
{
    struct fc_line *line = calloc(1, sizeof *line);
    struct fc_pool *p = &serve->pool;

    if (!line)
        return NULL;
    line->fd = fd;
    line->since_ns = fc_serve_now();
    pthread_mutex_lock(&p->lock);
    if (p->line_count >= p->line_most)
        make_room(p);
    line->next = p->lines;
    if (p->lines)
        p->lines->prev = line;
    else
        p->oldest = line;
    p->lines = line;
    p->line_count++;
    pthread_mutex_unlock(&p->lock);
    return line;
}

void fc_line_busy(struct fc_serve *serve, struct fc_line *line, bool busy)
{
    pthread_mutex_lock(&serve->pool.lock);
    line->busy = busy;
    line->since_ns = fc_serve_now();
    pthread_mutex_unlock(&serve->pool.lock);
}

void fc_line_close(struct fc_serve *serve, struct fc_line *line)
{
    struct fc_pool *p = &serve->pool;

    pthread_mutex_lock(&p->lock);
    if (line->prev)
        line->prev->next = line->next;
    else
        p->lines = line->next;
    if (line->next)
        line->next->prev = line->prev;
    else
        p->oldest = line->prev;
    p->line_count--;
    pthread_mutex_unlock(&p->lock);
    free(line);
}

/* ---- beginning and end */

static void init_locks(struct fc_pool *p)
{
    pthread_condattr_t clock;

    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&p->work, &clock);
    pthread_cond_init(&p->quiet, &clock);
    pthread_condattr_destroy(&clock);
}

int fc_pool_start(struct fc_serve *serve, unsigned threads, unsigned connections, struct fc_error *err)
{
    struct fc_pool *p = &serve->pool;
    struct epoll_event woken = {.events = EPOLLIN, .data.u64 = 0};

    memset(p, 0, sizeof *p);
    init_locks(p);
    p->line_most = connections - connections / 8;
    p->heavy_most = threads > 2 ? threads / 2 : 1;
    p->wake[0] = p->wake[1] = -1;
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->thread = calloc(threads, sizeof *p->thread);
    if (p->epoll < 0 || !p->thread || pipe2(p->wake, O_CLOEXEC | O_NONBLOCK) != 0 ||
        epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->wake[0], &woken) != 0)
        return fc_error_errno(err, FC_E_IO, NULL, FC_NO_OFFSET, "cannot watch connections");
    p->has_watcher = pthread_create(&p->watcher, NULL, watch_all, serve) == 0;
    while (p->has_watcher && p->threads < threads && pthread_create(&p->thread[p->threads], NULL, work, serve) == 0)
        p->threads++;
    return p->threads == threads ? 0 : fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "cannot start threads");
}

/* Suspended connections that nobody else would wake any more. */
static void wake_all(struct fc_serve *serve)
{
    struct fc_pool *p = &serve->pool;
    struct MHD_Connection *connection;

    do {
        connection = NULL;
        pthread_mutex_lock(&p->lock);
        for (struct fc_request *r = p->alive; r && !connection; r = r->next)
            if (r->waits) {
                r->waits = false;
                connection = r->connection;
            }
        pthread_mutex_unlock(&p->lock);
        if (connection)
            serve->mhd->resume_connection(connection);
    } while (connection);
}

void fc_pool_stop(struct fc_serve *serve)
{
    struct fc_pool *p = &serve->pool;

    pthread_mutex_lock(&p->lock);
    p->closing = true;
    for (struct fc_request *r = p->alive; r; r = r->next)
        stop_work(r, FC_STOP_CLOSING);
    for (struct fc_line *line = p->lines; line; line = line->next)
        end_line(line);
    pthread_cond_broadcast(&p->work);
    while (p->streams)
        pthread_cond_wait(&p->quiet, &p->lock);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->threads; i++)
        pthread_join(p->thread[i], NULL);
    if (p->has_watcher && write(p->wake[1], "", 1) == 1)
        pthread_join(p->watcher, NULL);
    wake_all(serve);
}

void fc_pool_fini(struct fc_serve *serve)
{
    struct fc_pool *p = &serve->pool;

    for (int i = 0; i < 2; i++)
        if (p->wake[i] >= 0)
            close(p->wake[i]);
    if (p->epoll >= 0)
        close(p->epoll);
    free(p->thread);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->quiet);
}
