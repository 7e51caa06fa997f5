/* SPDX-License-Identifier: MIT */
/*
 * What becomes of chunks that were scanned, in the order of their file, by the worker that is busy with it: committed,
 * counted, handed over.
 */
#include "base/error.h"
#include "capture/print.h"
#include "index/worker.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* 1: it is right; 0: it started at the wrong place, and was set up to be scanned again. Under the lock. */
static int check_start(struct fc_chunk *c)
{
    struct fc_scan_file *f = c->file;

    /* damage in front, or a record that reaches over the whole chunk; but an empty file still has something to say */
    if (!c->first && (f->next_off >= c->until || f->next_off >= f->plan->file.size)) {
        fc_chunk_begin(c);
        c->dead = true;
        return 1;
    }
    if (c->start == f->next_off && c->open.off == f->open.off && fc_section_equal(&c->section, &f->section))
        return 1;
    c->start = f->next_off;
    c->open = f->open;
    fc_section_free(&c->section);
    return fc_section_copy(&c->section, &f->section) ? FC_E_NOMEM : 0;
}

static int64_t time_ns(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

/*
 * Whether the capture has the content still by which it is known: mtime can be set back, and ctime changes also where
 * nothing but a name or a right does. 1; 0: it has not; FC_E_IO, FC_E_LIMIT.
 */
static int same_content(const struct fc_scan_file *f, int fd, struct fc_error *err)
{
    struct fc_file file = f->plan->file;
    struct fc_prints prints;
    int opened = -1, rc;

    if (fd < 0 && (opened = fd = fc_file_again(&file)) < 0)
        return fc_error_errno(err, errno == EMFILE || errno == ENFILE ? FC_E_LIMIT : FC_E_IO, file.path, FC_NO_OFFSET,
                              "cannot open");
    file.fd = fd;
    file.tail = NULL;
    rc = fc_file_prints(&file, file.stored_size, &prints, err);
    if (opened >= 0)
        close(opened);
    return rc ? rc : prints.stored == f->stored_fingerprint;
}

/*
 * The capture must be what it was when it was opened; where it has grown, what was there then is what counts. One that
 * was deleted, or replaced by another of its name, could never be carved from.
 */
static int check_unchanged(struct fc_pipeline *p, struct fc_scan_file *f, struct fc_error *err)
{
    const struct fc_file *file = &f->plan->file;
    const int fd = file->fd >= 0 ? file->fd : file->held;
    struct stat st;

    if (fd >= 0 ? fstat(fd, &st) : stat(file->path, &st))
        return fc_pipeline_spoiled(p, f,
                                   fc_error_errno(err, FC_E_IO, file->path, FC_NO_OFFSET, "cannot be looked at again"));
    f->grown = (uint64_t)st.st_size > file->stored_size;
    bool same = (uint64_t)st.st_size == file->stored_size && time_ns(&st.st_mtim) == file->mtime_ns;
    bool lost = st.st_nlink == 0 && !file->nameless && file->held < 0;
    if (st.st_dev == file->dev && st.st_ino == file->ino && (same || f->grown) && !lost) {
        bool touched = time_ns(&st.st_ctim) != file->ctime_ns || fc_file_ctime(file) == FC_TIME_NONE;
        int rc = touched && file->held < 0 && f->stored_fingerprint ? same_content(f, fd, err) : 1;
        if (rc)
            return rc == FC_E_IO ? fc_pipeline_spoiled(p, f, rc) : rc == 1 ? 0 : rc;
    }
    return fc_pipeline_spoiled(p, f,
                               fc_error_set(err, FC_E_CHANGED, file->path, FC_NO_OFFSET,
                                            lost ? "was deleted or replaced while it was being indexed"
                                                 : "has changed while it was being indexed"));
}

/* All of it is committed. Under the lock. */
static int end_file(struct fc_shared *s, struct fc_scan_file *f, struct fc_error *err)
{
    struct fc_pipeline *p = s->p;
    int rc = check_unchanged(p, f, err);

    f->committed = true;
    if (rc)
        return rc;
    if (fc_scan_file_end(f))
        return fc_no_memory(err);
    if (f->feed) {
        fc_feed_finish(f->feed);
    } else if (f->plan->file.fd >= 0) {
        close(f->plan->file.fd);
        f->plan->file.fd = -1;
    }
    if (p->progress)
        __atomic_store_n(&p->progress->files_done, p->progress->files_done + 1, __ATOMIC_RELAXED);
    return 0;
}

/* Bytes of the file, as stored, that a committed chunk stands for. */
static uint64_t chunk_share(struct fc_scan_file *f, const struct fc_chunk *c)
{
    uint64_t size = f->plan->file.size, before = f->fed;

    if (f->feed) {
        f->fed = fc_feed_progress(f->feed);
        return f->fed - before;
    }
    return c->from >= size ? 0 : (c->until < size ? c->until : size) - c->from;
}

/* The next chunk of the file, which was scanned, becomes part of what is known. Under the lock, which it may leave. */
static int commit_chunk(struct fc_worker *w, struct fc_chunk *c, struct fc_error *err)
{
    struct fc_shared *s = w->s;
    struct fc_scan_file *f = c->file;
    int right = check_start(c), rc = right < 0 ? fc_no_memory(err) : 0;

    if (right == 0 || c->dead) {
        /* its unit has no other chunk: what can be wrong was guessed */
        s->p->rescanned += !c->first && !c->dead;
        pthread_mutex_unlock(&s->lock);
        fc_unit_clear(c->unit, &w->advancer.shelf);
        if (!c->dead)
            rc = fc_worker_scan(w, c, err);
        pthread_mutex_lock(&s->lock);
    }
    if (rc == 0 && !c->dead && fc_chunk_merge(c, f))
        rc = fc_no_memory(err);
    if (rc)
        return rc;
    c->state = FC_CHUNK_COMMITTED;
    f->uncommitted = c->next;
    f->held_records += c->records;
    if (f->feed)
        fc_feed_release(f->feed, c->until);
    if (s->p->progress) {
        __atomic_store_n(&s->p->progress->bytes_done, s->p->progress->bytes_done + chunk_share(f, c), __ATOMIC_RELAXED);
        __atomic_store_n(&s->p->progress->records, s->p->progress->records + c->records, __ATOMIC_RELAXED);
    }
    f->in_flight--;
    return 0;
}

/* Times of the records behind a chunk, as far as it takes. Under the lock. */
static size_t look_ahead(const struct fc_chunk *c, int64_t ahead[FC_CLOCK_AHEAD])
{
    size_t n = 0;

    for (c = c->next; c && c->state == FC_CHUNK_COMMITTED && n < FC_CLOCK_AHEAD; c = c->next)
        for (size_t i = 0; i < c->records && n < FC_CLOCK_AHEAD; i++)
            ahead[n++] = c->times[i].ts_ns;
    return n;
}

/*
 * The first place that packets still to come can have. When none is, it stays: fragments that are given up at the end
 * get places behind it, and no partition may be beyond them. Under the lock.
 */
static void raise_tide(struct fc_shared *s)
{
    struct fc_place low = s->beyond[s->next_file];

    for (size_t i = 0; i < s->open_count; i++)
        if (fc_place_before(&s->open[i]->frontier, &low))
            low = s->open[i]->frontier;
    if (low.ns != INT64_MAX && fc_place_before(&s->tide, &low))
        s->tide = low;
}

/* Nothing more comes of it. Under the lock. */
static void close_file(struct fc_shared *s, struct fc_scan_file *f)
{
    struct fc_scan_file *moved = s->open[--s->open_count];

    s->open[f->open_index] = moved;
    moved->open_index = f->open_index;
    f->open_index = SIZE_MAX;
    if (f->clock.counted_ns > s->p->clock_ns)
        s->p->clock_ns = f->clock.counted_ns;
}

/* A chunk whose notes all can see now. Under the lock. */
static void chunk_done(struct fc_shared *s, struct fc_chunk *c)
{
    struct fc_scan_file *f = c->file;

    f->held_records -= c->records;
    f->frontier = c->frontier;
    f->handed_over++;
    f->chunks = c->next;
    if (!f->chunks)
        f->last = NULL;
    if (f->committed && !f->chunks && f->open_index != SIZE_MAX)
        close_file(s, f);
    fc_chunk_free(c);
}

/*
 * Counts the times of the first chunk of the file and, when all others of its unit are counted too, hands it over. Only
 * then the tide may pass its records. Under the lock, which it leaves meanwhile.
 */
static int hand_over(struct fc_worker *w, struct fc_scan_file *f, struct fc_error *err)
{
    struct fc_shared *s = w->s;
    struct fc_chunk *c = f->chunks;
    struct fc_unit *unit = c->unit;
    int64_t ahead[FC_CLOCK_AHEAD];
    size_t count = look_ahead(c, ahead);
    uint64_t end = c->dead ? f->frontier.off : c->end;

    pthread_mutex_unlock(&s->lock);
    int rc = c->dead ? 0 : fc_chunk_count_times(c, ahead, count);
    pthread_mutex_lock(&s->lock);
    if (rc)
        return fc_no_memory(err);
    c->counted = true;
    c->frontier = (struct fc_place){f->clock.counted_ns, end, f->plan->id, 0};
    c->next_counted = unit->counted;
    unit->counted = c;
    if (--unit->chunks)
        return 0;
    struct fc_chunk *list = unit->counted;
    pthread_mutex_unlock(&s->lock);
    fc_table_hand_over(s->p->table, unit, &w->advancer.shelf);
    pthread_mutex_lock(&s->lock);
    while (list) {
        struct fc_chunk *next = list->next_counted;
        chunk_done(s, list);
        list = next;
    }
    return 0;
}

/* Whether the first chunk of the file can be handed over. Under the lock. */
static bool is_ready(const struct fc_scan_file *f)
{
    const struct fc_chunk *c = f->chunks;

    return c && c->state == FC_CHUNK_COMMITTED && !c->counted &&
           (f->committed || !c->records || f->held_records - c->records >= FC_CLOCK_AHEAD);
}

int fc_worker_tend(struct fc_worker *w, struct fc_scan_file *f, struct fc_error *err)
{
    struct fc_shared *s = w->s;
    int rc = 0;

    if (f->busy)
        return 0; /* it will see what is new */
    f->busy = true;
    while (rc == 0 && !s->failed) {
        if (f->uncommitted && f->uncommitted->state == FC_CHUNK_SCANNED)
            rc = commit_chunk(w, f->uncommitted, err);
        else if (f->claimed && !f->uncommitted && !f->committed)
            rc = end_file(s, f, err);
        else if (is_ready(f))
            rc = hand_over(w, f, err);
        else
            break;
    }
    f->busy = false;
    if (rc == 0 && f->committed && !f->chunks && f->open_index != SIZE_MAX)
        close_file(s, f);
    raise_tide(s);
    pthread_cond_broadcast(&s->changed);
    return rc;
}
