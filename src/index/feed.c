/* SPDX-License-Identifier: MIT */
#include "index/feed.h"
#include "base/error.h"
#include "base/io.h"
#include "base/vector.h"
#include "capture/print.h"
#include "capture/resync.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 256 << 10, DAMAGE_MAX = 1000, THREADS_MAX = 64 };

struct stored_point {
    uint64_t off, stored_off;
    uint64_t state_off; /* in the feeder's temporary file */
    uint32_t state_len;
};

struct fc_feed {
    struct fc_source base;
    struct fc_feeder *feeder;
    struct fc_plan_file *plan;
    /* under the lock */
    uint8_t **blocks; /* of the window; blocks[head] holds byte released / BLOCK * BLOCK of the stream */
    size_t head, count, room;
    uint64_t released; /* rounded down to a block */
    uint64_t produced, wanted, stored;
    bool ended, finished;
    int code; /* the file could not be opened again, and why */
    struct fc_error why;
    struct stored_point *points;
    size_t point_count, point_room;
    struct fc_damage *damage;
    size_t damage_count;
    struct fc_print *print;
    uint64_t fingerprint;
    struct fc_error why_ended; /* by damage, or because the file ends early: no code, else */
};

struct fc_feeder {
    /* immutable after fc_feeder_start() */
    struct fc_feed **feeds; /* in the order of the plan */
    size_t count;
    uint64_t budget, chunk;
    fc_feed_tell *tell;
    void *ctx;
    int spool; /* states of seek points */
    pthread_t threads[THREADS_MAX];
    unsigned thread_count;
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t data, space;
    size_t next, front; /* feeds: to be begun next; the first that is not finished */
    uint64_t held;      /* bytes of all windows */
    uint8_t **spare;    /* blocks to be used again */
    size_t spare_count, spare_room;
    uint64_t spool_end;
    bool stop;
};

struct fc_feed *fc_feed_of(const struct fc_plan_file *file)
{
    return (struct fc_feed *)file->file.source;
}

/* ---- the window, under the lock */

static bool may_go_on(const struct fc_feed *feed)
{
    const struct fc_feeder *f = feed->feeder;

    if (feed->produced < feed->wanted || f->held + BLOCK <= f->budget)
        return true;
    /* the file whose turn it is gets on whatever those behind it hold */
    return f->feeds[f->front] == feed && feed->produced - feed->released < 2 * f->chunk + FC_RESYNC_BLOCK + BLOCK;
}

static int window_room(struct fc_feed *feed)
{
    if (feed->head + feed->count < feed->room)
        return 0;
    if (feed->head > feed->count) {
        memmove(feed->blocks, feed->blocks + feed->head, feed->count * sizeof *feed->blocks);
        feed->head = 0;
        return 0;
    }
    return fc_vector_reserve(&feed->blocks, &feed->room, feed->room + 1, sizeof *feed->blocks);
}

static uint8_t *take_block(struct fc_feeder *f)
{
    return f->spare_count ? f->spare[--f->spare_count] : malloc(BLOCK);
}

static void give_block(struct fc_feeder *f, uint8_t *block)
{
    bool full = f->spare_count == f->spare_room;

    if (full &&
        (f->held >= f->budget || fc_vector_reserve(&f->spare, &f->spare_room, f->spare_count + 1, sizeof *f->spare)))
        free(block);
    else
        f->spare[f->spare_count++] = block;
}

static void drop_blocks(struct fc_feed *feed, size_t n)
{
    struct fc_feeder *f = feed->feeder;

    for (size_t i = 0; i < n; i++)
        give_block(f, feed->blocks[feed->head + i]);
    feed->head += n;
    feed->count -= n;
    feed->released += n * (uint64_t)BLOCK;
    f->held -= n * (uint64_t)BLOCK;
    if (n)
        pthread_cond_broadcast(&f->space);
}

/* ---- feeding threads */

/* A file that is open for feeding: the planned one, and no other. */
static int open_again(struct fc_feed *feed, struct fc_file *file, struct fc_error *err)
{
    const struct fc_file *planned = &feed->plan->file;
    int rc = fc_file_open_held(planned->held, planned->path, planned->stored_size, file, err);

    if (rc)
        return rc;
    if (file->dev != planned->dev || file->ino != planned->ino || file->stored_size < planned->stored_size ||
        file->format != planned->format || file->compression != planned->compression) {
        fc_file_close(file);
        return fc_error_set(err, FC_E_CHANGED, planned->path, FC_NO_OFFSET, "was replaced while it was being indexed");
    }
    return 0;
}

static int add_point(void *ctx, const struct fc_seek_point *point)
{
    struct fc_feed *feed = ctx;
    struct fc_feeder *f = feed->feeder;
    int rc = 0;

    pthread_mutex_lock(&f->lock);
    uint64_t at = f->spool_end;
    f->spool_end += point->state_len;
    pthread_mutex_unlock(&f->lock);
    if (point->state_len &&
        (rc = fc_io_write(f->spool, point->state, point->state_len, at, "the temporary file", &feed->why)))
        return rc;
    pthread_mutex_lock(&f->lock);
    if (fc_vector_reserve(&feed->points, &feed->point_room, feed->point_count + 1, sizeof *feed->points))
        rc = fc_error_set(&feed->why, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    else
        feed->points[feed->point_count++] =
            (struct stored_point){point->off, point->stored_off, at, (uint32_t)point->state_len};
    pthread_mutex_unlock(&f->lock);
    return rc;
}

/* Damage in the stream: nothing is missing from what came out, so its length is 0. Two at one place become one. */
static int add_damage(void *ctx, uint64_t off, const char *cause)
{
    struct fc_feed *feed = ctx;
    struct fc_damage *last = feed->damage_count ? &feed->damage[feed->damage_count - 1] : NULL;

    if (last && last->off == off) {
        size_t len = strlen(last->cause);
        snprintf(last->cause + len, sizeof last->cause - len, "; %s", cause);
        return 0;
    }
    if (feed->damage_count == DAMAGE_MAX) {
        snprintf(last->cause, sizeof last->cause, "%s: here and behind, more damage than is listed",
                 fc_compression_name(feed->plan->file.compression));
        return 0;
    }
    struct fc_damage *bigger = realloc(feed->damage, (feed->damage_count + 1) * sizeof *bigger);
    if (!bigger)
        return fc_error_set(&feed->why, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    feed->damage = bigger;
    last = &bigger[feed->damage_count++];
    memset(last, 0, sizeof *last);
    last->off = off;
    snprintf(last->cause, sizeof last->cause, "%s", cause);
    return 0;
}

/* Shows a block with n new bytes in it to the readers. */
static bool show(struct fc_feed *feed, const struct fc_stream *stream, uint8_t *block, size_t n)
{
    struct fc_feeder *f = feed->feeder;
    uint64_t chunks = feed->produced / f->chunk;

    pthread_mutex_lock(&f->lock);
    if (n) {
        feed->blocks[feed->head + feed->count++] = block;
        feed->produced += n;
    } else {
        f->held -= BLOCK;
        give_block(f, block);
    }
    feed->stored = stream->in_off + stream->in_pos;
    feed->ended = stream->ended;
    if (stream->ended) {
        feed->why_ended = stream->why;
        feed->base.broken = stream->why.code && !stream->cut;
        feed->fingerprint = fc_print_value(feed->print, feed->produced);
    }
    bool news = feed->ended || feed->produced / f->chunk != chunks;
    pthread_cond_broadcast(&f->data);
    pthread_mutex_unlock(&f->lock);
    return news;
}

/* Waits until there is room, and gives a block for it; NULL with *rc 0: stopped. */
static uint8_t *next_block(struct fc_feed *feed, int *rc)
{
    struct fc_feeder *f = feed->feeder;
    uint8_t *block = NULL;

    *rc = 0;
    pthread_mutex_lock(&f->lock);
    while (!f->stop && !may_go_on(feed))
        pthread_cond_wait(&f->space, &f->lock);
    if (!f->stop) {
        *rc = window_room(feed);
        if (*rc == 0 && !(block = take_block(f)))
            *rc = FC_E_NOMEM;
        if (block)
            f->held += BLOCK;
    }
    pthread_mutex_unlock(&f->lock);
    return block;
}

static int feed_stream(struct fc_feed *feed, struct fc_stream *stream)
{
    struct fc_feeder *f = feed->feeder;
    bool ended = false;
    int rc;

    while (!ended) {
        uint8_t *block = next_block(feed, &rc);
        if (!block)
            return rc;
        size_t start = (size_t)(stream->off % BLOCK), n = start; /* 0 but for one that is entered */
        while (n < BLOCK && !ended) {
            uint64_t off = stream->off;
            int64_t got = fc_stream_read(stream, block + n);
            ended = got < 0 || stream->ended;
            if (got < 0)
                rc = (int)got;
            else
                fc_print_take(feed->print, off, block + n, (size_t)got);
            n += got > 0 ? (size_t)got : 0;
        }
        if (show(feed, stream, block, n - start) && !rc)
            f->tell(f->ctx, 0, NULL);
    }
    return rc;
}

/* The file cannot be had: who reads it is told why, and gets no more of it. 0. */
static int give_up(struct fc_feed *feed, int code, const struct fc_error *why)
{
    struct fc_feeder *f = feed->feeder;

    pthread_mutex_lock(&f->lock);
    feed->code = code;
    feed->why = *why;
    feed->ended = true;
    pthread_cond_broadcast(&f->data);
    pthread_mutex_unlock(&f->lock);
    f->tell(f->ctx, 0, NULL);
    return 0;
}

/* Feeds a file to its end. A code: all is lost, and why says it. */
static int feed_file(struct fc_feed *feed, struct fc_error *why)
{
    const struct fc_stream_watch watch = {add_point, add_damage, feed};
    struct fc_stream stream = {.state = NULL};
    struct fc_file file;
    int rc = open_again(feed, &file, why), failed = 0;

    if (rc)
        return rc == FC_E_NOMEM || rc == FC_E_LIMIT ? rc : give_up(feed, rc, why);
    rc = fc_stream_init(&stream, file.compression, (struct fc_bytes){.fd = file.fd}, file.stored_size, &watch);
    if (rc == 0) {
        const struct fc_file_state *state = feed->plan->state;
        if (state && state->point_state && (rc = fc_stream_enter(&stream, &state->point)) == FC_E_DAMAGED)
            rc = fc_error_set(&feed->why, FC_E_DB, file.path, state->point.off, "the index holds a damaged seek point");
        if (rc == 0)
            rc = feed_stream(feed, &stream);
        failed = fc_stream_unreadable(&stream, feed->plan->file.path, why);
        fc_stream_fini(&stream);
    }
    fc_file_close(&file);
    if (failed)
        return give_up(feed, failed, why);
    if (rc)
        *why = feed->why;
    return rc && why->code != rc ? fc_error_set(why, rc, NULL, FC_NO_OFFSET, "%s", fc_strerror(rc)) : rc;
}

static void stop_all(struct fc_feeder *f)
{
    pthread_mutex_lock(&f->lock);
    f->stop = true;
    pthread_cond_broadcast(&f->data);
    pthread_cond_broadcast(&f->space);
    pthread_mutex_unlock(&f->lock);
}

static void *feed_files(void *arg)
{
    struct fc_feeder *f = arg;
    struct fc_error why = {0};
    int rc = 0;

    while (rc == 0) {
        pthread_mutex_lock(&f->lock);
        struct fc_feed *feed = f->next < f->count && !f->stop ? f->feeds[f->next++] : NULL;
        pthread_mutex_unlock(&f->lock);
        if (!feed)
            break;
        rc = feed_file(feed, &why);
    }
    if (rc) {
        stop_all(f);
        f->tell(f->ctx, rc, &why);
    }
    return NULL;
}

/* ---- the source that readers see */

/* Waits for the bytes up to `end`, or the end. 0, or a negative code. Under the lock. */
static int wait_for(struct fc_feed *feed, uint64_t end, struct fc_error *err)
{
    struct fc_feeder *f = feed->feeder;

    while (feed->produced < end && !feed->ended && !f->stop) {
        if (feed->wanted < end) {
            feed->wanted = end;
            pthread_cond_broadcast(&f->space);
        }
        pthread_cond_wait(&f->data, &f->lock);
    }
    if (feed->code) {
        *err = feed->why;
        return feed->code;
    }
    if (feed->produced < end && !feed->ended)
        return fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
    return 0;
}

static int64_t read_feed(struct fc_source *source, void *buf, size_t n, uint64_t off, struct fc_error *err)
{
    struct fc_feed *feed = (struct fc_feed *)source;
    pthread_mutex_t *lock = &feed->feeder->lock;
    size_t done = 0;

    pthread_mutex_lock(lock);
    int rc = wait_for(feed, off + n, err);
    if (rc == 0 && off < feed->produced && off < feed->released)
        rc = fc_error_set(err, FC_E_IO, feed->plan->file.path, off, "internal fault: read behind the window");
    if (rc == 0 && off + n > feed->produced)
        n = off < feed->produced ? (size_t)(feed->produced - off) : 0;
    while (rc == 0 && done < n) {
        size_t at = (size_t)((off + done) % BLOCK), have = BLOCK - at < n - done ? BLOCK - at : n - done;
        const uint8_t *block = feed->blocks[feed->head + (size_t)((off + done - feed->released) / BLOCK)];
        /* the block stays: this reader's chunk is not committed */
        pthread_mutex_unlock(lock);
        memcpy((uint8_t *)buf + done, block + at, have);
        done += have;
        pthread_mutex_lock(lock);
    }
    pthread_mutex_unlock(lock);
    return rc ? rc : (int64_t)done;
}

static uint64_t feed_size(struct fc_source *source)
{
    struct fc_feed *feed = (struct fc_feed *)source;

    pthread_mutex_lock(&feed->feeder->lock);
    /* of one that could not be opened it is not known, and reading says why */
    uint64_t size = feed->ended && !feed->code ? feed->produced : FC_SIZE_UNKNOWN;
    pthread_mutex_unlock(&feed->feeder->lock);
    return size;
}

uint64_t fc_feed_fingerprint(const struct fc_feed *feed)
{
    return feed->fingerprint;
}

uint64_t fc_feed_mark(const struct fc_feed *feed, uint64_t off)
{
    return fc_print_mark(feed->print, off & ~(uint64_t)(FC_PRINT_STEP - 1));
}

const char *fc_feed_cut(const struct fc_feed *feed)
{
    return feed->why_ended.code && !feed->base.broken ? feed->why_ended.cause : NULL;
}

uint64_t fc_feed_size(struct fc_feed *feed)
{
    pthread_mutex_lock(&feed->feeder->lock);
    uint64_t size = feed->produced;
    pthread_mutex_unlock(&feed->feeder->lock);
    return size;
}

int fc_feed_has(struct fc_feed *feed, uint64_t off)
{
    pthread_mutex_lock(&feed->feeder->lock);
    /* of one that could not be read to its end, reading says why */
    int has = feed->produced >= off || feed->code ? 1 : feed->ended ? 0 : -1;
    pthread_mutex_unlock(&feed->feeder->lock);
    return has;
}

uint64_t fc_feed_progress(struct fc_feed *feed)
{
    pthread_mutex_lock(&feed->feeder->lock);
    uint64_t stored = feed->stored;
    pthread_mutex_unlock(&feed->feeder->lock);
    return stored;
}

void fc_feed_release(struct fc_feed *feed, uint64_t off)
{
    off &= ~(uint64_t)(FC_RESYNC_BLOCK - 1);
    pthread_mutex_lock(&feed->feeder->lock);
    if (off > feed->released) {
        uint64_t n = (off - feed->released) / BLOCK;
        drop_blocks(feed, n < feed->count ? (size_t)n : feed->count);
    }
    pthread_mutex_unlock(&feed->feeder->lock);
}

void fc_feed_finish(struct fc_feed *feed)
{
    struct fc_feeder *f = feed->feeder;

    pthread_mutex_lock(&f->lock);
    drop_blocks(feed, feed->count);
    free(feed->blocks);
    feed->blocks = NULL;
    feed->head = feed->room = 0;
    feed->finished = true;
    while (f->front < f->count - 1 && f->feeds[f->front]->finished)
        f->front++;
    pthread_cond_broadcast(&f->space);
    pthread_mutex_unlock(&f->lock);
}

/* ---- what was found by the way */

size_t fc_feed_points(const struct fc_feed *feed)
{
    return feed->point_count;
}

int fc_feed_point(struct fc_feed *feed, size_t i, struct fc_seek_point *point, struct fc_buffer *state,
                  struct fc_error *err)
{
    const struct stored_point *p = &feed->points[i];
    int rc = fc_buffer_reserve(state, p->state_len + 1);

    if (rc)
        return fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
    *point = (struct fc_seek_point){p->off, p->stored_off, state->data, p->state_len};
    return fc_io_read(feed->feeder->spool, state->data, p->state_len, p->state_off, "the temporary file", err);
}

const struct fc_damage *fc_feed_damage(const struct fc_feed *feed, size_t *count)
{
    *count = feed->damage_count;
    return feed->damage;
}

/* ---- life */

int fc_feeder_new(struct fc_plan *plan, const char *folder, uint64_t budget_bytes, uint64_t chunk_bytes,
                  struct fc_feeder **out, struct fc_error *err)
{
    struct fc_feeder *f = NULL;

    *out = NULL;
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->files[i].file.compression == FC_COMPRESSION_NONE)
            continue;
        if (!f) {
            f = calloc(1, sizeof *f);
            if (!f)
                return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
            *out = f;
            f->budget = budget_bytes;
            f->chunk = chunk_bytes;
            pthread_mutex_init(&f->lock, NULL);
            pthread_cond_init(&f->data, NULL);
            pthread_cond_init(&f->space, NULL);
            f->feeds = calloc(plan->count, sizeof *f->feeds);
            f->spool = fc_io_temporary(folder, err);
            if (f->spool < 0)
                return f->spool;
        }
        struct fc_feed *feed = f->feeds ? calloc(1, sizeof *feed) : NULL;
        if (!feed)
            return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        f->feeds[f->count++] = feed;
        feed->base = (struct fc_source){.read = read_feed, .size = feed_size};
        feed->feeder = f;
        feed->plan = &plan->files[i];
        plan->files[i].file.source = &feed->base;
        if (!(feed->print = malloc(sizeof *feed->print)))
            return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        fc_print_init(feed->print);
        const struct fc_file_state *state = plan->files[i].state;
        if (state && state->end_off) { /* nobody reads what is before */
            feed->produced = state->point.off;
            feed->released = state->point.off & ~(uint64_t)(BLOCK - 1);
            fc_print_enter(feed->print, state->end_off & ~(uint64_t)(FC_PRINT_STEP - 1), state->mark);
        }
    }
    return 0;
}

void fc_feeder_free(struct fc_feeder *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->count; i++) {
        struct fc_feed *feed = f->feeds[i];
        feed->plan->file.source = NULL;
        for (size_t k = 0; k < feed->count; k++)
            free(feed->blocks[feed->head + k]);
        free(feed->blocks);
        free(feed->points);
        free(feed->damage);
        free(feed->print);
        free(feed);
    }
    for (size_t i = 0; i < f->spare_count; i++)
        free(f->spare[i]);
    if (f->spool >= 0)
        close(f->spool);
    pthread_cond_destroy(&f->space);
    pthread_cond_destroy(&f->data);
    pthread_mutex_destroy(&f->lock);
    free(f->spare);
    free(f->feeds);
    free(f);
}

int fc_feeder_start(struct fc_feeder *f, unsigned threads, fc_feed_tell *tell, void *ctx)
{
    if (!f)
        return 0;
    f->tell = tell;
    f->ctx = ctx;
    for (unsigned i = 0; i < threads && i < f->count && i < THREADS_MAX; i++) {
        if (pthread_create(&f->threads[f->thread_count], NULL, feed_files, f) != 0)
            break;
        f->thread_count++;
    }
    return f->thread_count ? 0 : FC_E_NOMEM;
}

void fc_feeder_stop(struct fc_feeder *f)
{
    if (!f)
        return;
    stop_all(f);
    for (unsigned i = 0; i < f->thread_count; i++)
        pthread_join(f->threads[i], NULL);
    f->thread_count = 0;
}
