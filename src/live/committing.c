/* SPDX-License-Identifier: MIT */
/* What a recorder has written gets into the index: a snapshot of its files, which are synced, and a run over them. */
#include "base/io.h"
#include "index/run.h"
#include "live/changes.h"
#include "live/recording.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_MOST_NS SECOND /* so long a commit waits for what a disk does not take */
enum { OPEN_MOST = 64, FAILED_MOST = 256, LEFT_AT_ONCE = 16 };

/* What a commit is of: bytes of files, and what was counted when these were there. */
struct snapshot {
    struct fc_offered *offered;
    struct of_file {
        struct fc_written *file; /* of offered[i] */
        bool complete;
    } * files;
    size_t count, named; /* the last `named` are by name alone */
    struct fc_interface_counts counts[FC_INTERFACES_MAX];
    int64_t first_ns;
};

/* Is all that had come by now written? It is waited for that long. */
static bool settle(struct fc_writing *w)
{
    int64_t until_ns = fc_live_now() + FLUSH_MOST_NS;
    const struct timespec until = {until_ns / SECOND, until_ns % SECOND};

    pthread_mutex_lock(&w->lock);
    uint64_t mine = ++w->flush_wanted;
    pthread_mutex_unlock(&w->lock);
    fc_batches_wake(&w->batches);
    pthread_mutex_lock(&w->lock);
    while (w->started && w->flush_done < mine && pthread_cond_timedwait(&w->changed, &w->lock, &until) == 0) {
    }
    bool settled = !w->started || w->flush_done >= mine;
    pthread_mutex_unlock(&w->lock);
    return settled;
}

static size_t count_files(const struct fc_writing *w)
{
    size_t n = 0;

    for (const struct fc_written *f = w->files; f; f = f->next)
        n++;
    return n;
}

/* With the lock of the writing held. last: of what is written here alone. */
static int take_snapshot(struct fc_recorder *r, bool settled, bool last, struct snapshot *s)
{
    struct fc_writing *w = &r->writing;
    size_t n = count_files(w) + LEFT_AT_ONCE;

    *s = (struct snapshot){0};
    s->offered = malloc((n + 1) * sizeof *s->offered);
    s->files = malloc((n + 1) * sizeof *s->files);
    if (!s->offered || !s->files)
        return FC_E_NOMEM;
    for (struct fc_written *f = w->files; f; f = f->next) {
        if (f->bad || (f->size == f->committed && !(f->complete && f->part.hidden)))
            continue;
        s->files[s->count] = (struct of_file){f, f->complete};
        s->offered[s->count++] = (struct fc_offered){f->part.path, f->part.fd, f->size, &w->tail, f->base};
    }
    for (; !last && s->named < r->left.count && s->named < LEFT_AT_ONCE; s->named++)
        s->offered[s->count++] = (struct fc_offered){.path = r->left.paths[s->named], .held = -1};
    memcpy(s->counts, w->counts, sizeof s->counts);
    s->first_ns = r->committing_ns = w->first_ns;
    w->first_ns = settled ? 0 : w->first_ns;
    w->due = false;
    return 0;
}

/*
 * A disk that has failed to take pages tells it once, and has them for written then: they are written again from
 * memory.
 */
static int write_again(struct fc_writing *w, struct fc_written *f, uint64_t end, struct fc_error *err)
{
    enum { PIECE = 1 << 20 };
    uint8_t *piece = malloc(PIECE);
    int rc = piece ? 0 : fc_recorder_no_memory(err);

    for (uint64_t off = f->synced; rc == 0 && off < end;) {
        size_t n = fc_tail_read(&w->tail, piece, end - off < PIECE ? (size_t)(end - off) : PIECE, f->base + off);
        if (!n) {
            f->bad = true;
            rc = fc_error_set(
                err, FC_E_IO, f->part.path, off,
                "the disk has failed to take this, and it is not in memory any more: what is behind is not "
                "indexed");
        } else {
            rc = fc_io_write(f->part.fd, piece, n, off, f->part.path, err);
        }
        off += n;
    }
    free(piece);
    return rc;
}

/* What the index is to have is on the disk before: a file's bytes, and its name. */
static int sync_file(struct fc_recorder *r, const struct of_file *of, uint64_t bytes, struct fc_error *err)
{
    struct fc_written *f = of->file;
    int rc = f->unsynced ? write_again(&r->writing, f, bytes, err) : 0;

    if (rc == 0 && of->complete)
        rc = fc_part_finish(&f->part, r->writing.folder, err);
    else if (rc == 0 && fdatasync(f->part.fd) != 0)
        rc = fc_error_errno(err, FC_E_IO, f->part.path, FC_NO_OFFSET, "cannot write to disk");
    f->unsynced = rc != 0;
    f->synced = rc ? f->synced : bytes;
    f->bad |= rc == FC_E_MISSING;
    if (rc == 0 && !f->begun && fc_io_sync_folder(r->writing.folder) != 0)
        rc = fc_error_errno(err, FC_E_IO, r->writing.folder, FC_NO_OFFSET, "cannot write the folder to disk");
    f->begun |= rc == 0;
    if (f->bad)
        fc_recorder_rotate(r); /* if it is the one that is being written */
    return rc;
}

/* A file that cannot be synced is left out, and told of; the others go on. An error: none is left. */
static int sync_files(struct fc_recorder *r, struct snapshot *s, struct fc_error *err)
{
    size_t kept = 0, files = s->count - s->named;
    struct fc_error why = {0};

    for (size_t i = 0; i < files; i++) {
        if (sync_file(r, &s->files[i], s->offered[i].bytes, &why))
            continue;
        s->files[kept] = s->files[i];
        s->offered[kept++] = s->offered[i];
    }
    memmove(&s->offered[kept], &s->offered[files], s->named * sizeof *s->offered);
    s->count = kept + s->named;
    if (why.code && !s->count) {
        *err = why;
        return why.code == FC_E_MISSING ? FC_E_IO : why.code;
    }
    if (why.code && strcmp(why.cause, r->unsynced.cause) != 0)
        fc_recorder_word(r, &why);
    r->unsynced = why;
    return 0;
}

/*
 * With the lock of the writing held: those that are done with go; too many that are not are known by name alone, or by
 * the hidden one to the next recorder.
 */
static int drop_files(struct fc_recorder *r)
{
    struct fc_writing *w = &r->writing;
    struct fc_written **at = &w->files;
    size_t open = count_files(w);
    int rc = 0;

    while (*at && rc == 0) {
        struct fc_written *f = *at;
        bool done = f->bad || (!f->part.hidden && f->committed == f->size);
        bool goes = f->complete && (done || open > (f->part.hidden ? FAILED_MOST : OPEN_MOST));
        if (!goes) {
            at = &f->next;
            continue;
        }
        if (!done && !f->part.hidden && (rc = fc_recorder_add_name(r, f->part.path)))
            break;
        if (!(*at = f->next))
            w->last = at;
        r->files += !f->part.hidden;
        open--;
        fc_part_fini(&f->part);
        free(f);
    }
    return rc;
}

/* refused: a file could not be read for the moment, and nobody says which. */
static void end_snapshot(struct fc_recorder *r, struct snapshot *s, bool committed, bool refused)
{
    struct fc_writing *w = &r->writing;

    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; committed && !refused && i < s->count - s->named; i++)
        s->files[i].file->committed = s->offered[i].bytes;
    if (committed && !refused)
        memcpy(r->indexed, s->counts, sizeof r->indexed);
    else if (s->first_ns && (!w->first_ns || s->first_ns < w->first_ns))
        w->first_ns = s->first_ns;
    r->committing_ns = 0;
    if (committed && s->named)
        fc_recorder_drop_names(&r->left, s->named);
    (void)drop_files(r); /* without memory they stay */
    pthread_mutex_unlock(&w->lock);
    free(s->offered);
    free(s->files);
}

static void tell_commit(struct fc_recorder *r, const struct fc_index_result *result, int64_t since_ns, int64_t start_ns)
{
    int64_t now = fc_live_now();
    const struct fc_recorder_commit commit = {result, since_ns ? now - since_ns : 0, now - start_ns, r->files};

    r->files = 0;
    if (r->o.committed)
        r->o.committed(r->o.ctx, &commit);
}

/* What the thread that writes cannot do is told here, when it begins and when it ends. */
static void pass_words_on(struct fc_recorder *r)
{
    struct fc_error why;

    pthread_mutex_lock(&r->writing.lock);
    why = r->writing.why;
    pthread_mutex_unlock(&r->writing.lock);
    if (why.code && why.code != r->failing)
        fc_recorder_word(r, &why);
    if (!why.code && r->failing) {
        fc_error_set(&why, FC_OK, r->writing.folder, FC_NO_OFFSET, "can be written to again");
        fc_recorder_word(r, &why);
    }
    r->failing = why.code;
}

/* The index is another one: what is here is new to it. */
static int begin_again(struct fc_recorder *r, struct fc_error *err)
{
    pthread_mutex_lock(&r->writing.lock);
    for (struct fc_written *f = r->writing.files; f; f = f->next)
        f->committed = 0;
    pthread_mutex_unlock(&r->writing.lock);
    return fc_part_list(r->writing.folder, r->writing.prefix, fc_recorder_add_name, r, err);
}

static int run_index(struct fc_recorder *r, const struct snapshot *s, const int *stop, struct fc_index_result *result,
                     struct fc_error *err)
{
    const struct fc_index_input input = {.offered = s->offered, .offered_count = s->count, .watched = true};
    int rc = fc_index_input(r->db_path, &input, &r->index, NULL, stop, result, err);

    fc_keeping_see(&r->keeping, rc != 0);
    return rc == FC_E_FORMAT ? 0 : rc; /* an index of nothing is not made */
}

int fc_recorder_put(struct fc_recorder *r, const int *stop, bool last, bool *settled, struct fc_error *err)
{
    struct fc_index_result result = {0};
    struct snapshot s = {0};
    int64_t start_ns = fc_live_now();
    int rc = 0;

    *settled = settle(&r->writing);
    pass_words_on(r);
    if (fc_keeping_lost(&r->keeping, fc_recorder_word, r) && (rc = begin_again(r, err)))
        return rc;
    pthread_mutex_lock(&r->writing.lock);
    rc = take_snapshot(r, *settled, last, &s);
    pthread_mutex_unlock(&r->writing.lock);
    rc = rc ? fc_recorder_no_memory(err) : sync_files(r, &s, err);
    if (rc == 0 && s.count)
        rc = run_index(r, &s, stop, &result, err);
    end_snapshot(r, &s, rc == 0, result.files_refused != 0);
    fc_recorder_tell_losses(r, rc == 0 || last, last);
    if (rc == 0) {
        fc_limits_soon(&r->limits);
        tell_commit(r, &result, s.first_ns, start_ns);
    }
    fc_index_result_fini(&result);
    return rc;
}
