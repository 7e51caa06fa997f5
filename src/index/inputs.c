/* SPDX-License-Identifier: MIT */
#include "index/inputs.h"
#include "base/error.h"
#include "base/io.h"
#include "base/vector.h"
#include "index/plan.h"
#include "store/db.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* st: NULL when it is not there. */
static int add(struct fc_inputs *in, char *path, bool named, const struct stat *st)
{
    if (!path)
        return FC_E_NOMEM;
    if (fc_vector_reserve(&in->items, &in->room, in->count + 1, sizeof *in->items)) {
        free(path);
        return FC_E_NOMEM;
    }
    struct fc_input *i = &in->items[in->count++];
    *i = (struct fc_input){.path = path, .named = named, .held = -1};
    if (st) {
        i->dev = st->st_dev;
        i->ino = st->st_ino;
        i->size = (uint64_t)st->st_size;
        i->mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
        i->ctime_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
    }
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_dots(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static void note(struct fc_index_result *result, int kind, const char *path, const char *what)
{
    struct fc_error why;

    fc_error_set(&why, FC_E_USAGE, path, FC_NO_OFFSET, "%s", what);
    fc_notice_add(result, kind, &why);
}

/* By errno. There may be captures in it, or it may be one. */
static void refuse(struct fc_index_result *result, const char *path, const char *what)
{
    struct fc_error why;

    fc_error_errno(&why, FC_E_IO, path, FC_NO_OFFSET, what);
    result->files_refused++;
    fc_notice_add(result, FC_NOTICE_REFUSED, &why);
}

static int remember(struct fc_input_folders *list, char *path, const struct stat *st)
{
    if (fc_vector_reserve(&list->items, &list->room, list->count + 1, sizeof *list->items))
        return FC_E_NOMEM;
    list->items[list->count++] = (struct fc_input_folder){path, st->st_dev, st->st_ino};
    return 0;
}

static int walk(struct fc_inputs *in, const char *folder, const struct stat *own, struct fc_index_result *result);

/* What is found in a folder; takes over the path. */
static int visit(struct fc_inputs *in, char *path, struct fc_index_result *result)
{
    struct stat st;
    bool link;
    int rc = 0;

    if (lstat(path, &st) != 0) {
        if (errno != ENOENT) /* that one has gone meanwhile */
            refuse(result, path, "cannot be looked at");
    } else if (S_ISDIR(st.st_mode)) {
        rc = walk(in, path, &st, result);
    } else if ((link = S_ISLNK(st.st_mode)) && stat(path, &st) != 0) {
        if (errno == ENOENT || errno == ELOOP || errno == ENOTDIR)
            note(result, FC_NOTICE_SKIPPED, path, "is a symbolic link to nothing");
        else
            refuse(result, path, "cannot follow the symbolic link");
    } else if (S_ISREG(st.st_mode)) {
        return add(in, path, false, &st);
    } else if (link && S_ISDIR(st.st_mode)) {
        if ((rc = remember(&in->links, path, &st)) == 0)
            return 0;
    } else {
        note(result, FC_NOTICE_SKIPPED, path, "is no regular file");
    }
    free(path);
    return rc;
}

static int walk(struct fc_inputs *in, const char *folder, const struct stat *own, struct fc_index_result *result)
{
    struct dirent **entries;
    int n, rc;

    if ((rc = remember(&in->folders, NULL, own)))
        return rc;
    if ((n = scandir(folder, &entries, not_dots, by_name)) < 0) {
        bool memory = errno == ENOMEM;
        refuse(result, folder, "cannot read the folder");
        return memory ? FC_E_NOMEM : 0;
    }
    for (int i = 0; i < n; i++) {
        if (in->stop && __atomic_load_n(in->stop, __ATOMIC_RELAXED))
            rc = FC_E_INTERRUPTED;
        const char *slash = folder[strlen(folder) - 1] == '/' ? "" : "/";
        char *path = NULL;
        if (rc == 0 && asprintf(&path, "%s%s%s", folder, slash, entries[i]->d_name) < 0)
            rc = FC_E_NOMEM;
        else if (rc == 0)
            rc = visit(in, path, result);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

static int compare_folders(const void *a, const void *b)
{
    const struct fc_input_folder *x = a, *y = b;

    if (x->dev != y->dev)
        return x->dev < y->dev ? -1 : 1;
    return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* Links to folders, which are not followed: a walk could go round in circles. Many lead where it has been anyway. */
static void tell_links(struct fc_inputs *in, struct fc_index_result *result)
{
    struct fc_input_folders *folders = &in->folders, *links = &in->links;

    if (folders->count)
        qsort(folders->items, folders->count, sizeof *folders->items, compare_folders);
    for (size_t i = 0; i < links->count; i++) {
        bool been = bsearch(&links->items[i], folders->items, folders->count, sizeof *folders->items, compare_folders);
        if (been)
            note(result, FC_NOTICE_SKIPPED, links->items[i].path, "is a symbolic link to a folder that is searched");
        else
            note(result, FC_NOTICE_LINK, links->items[i].path,
                 "is a symbolic link to a folder, which is not followed; name it to have that folder searched");
    }
}

static int copy_stream(int from, int to, const char *name, const struct fc_save *save, struct fc_error *err)
{
    /* a signal between a look at `stop` and a read that waits would be noticed with the next bytes only */
    enum { PIECE = 64 << 10, LOOK_MS = 100 };
    uint8_t *buf = malloc(PIECE);
    int rc = buf ? 0 : fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    ssize_t n;

    for (uint64_t off = 0; rc == 0; off += n > 0 ? (uint64_t)n : 0) {
        struct pollfd source = {from, POLLIN, 0};
        int ready = poll(&source, 1, LOOK_MS);
        n = 0;
        if (save->stop && __atomic_load_n(save->stop, __ATOMIC_RELAXED)) {
            rc = fc_error_set(err, FC_E_INTERRUPTED, save->path, FC_NO_OFFSET, "interrupted");
            break;
        }
        if (ready == 0)
            continue;
        n = ready < 0 ? -1 : read(from, buf, PIECE);
        if (n == 0)
            break;
        if (n > 0)
            rc = fc_io_write(to, buf, (size_t)n, off, save->path, err);
        else if (errno != EINTR)
            rc = fc_error_errno(err, FC_E_IO, name, FC_NO_OFFSET, "cannot read");
    }
    free(buf);
    return rc;
}

static bool is_same_place(const char *a, const char *b)
{
    const char *a_slash = strrchr(a, '/'), *b_slash = strrchr(b, '/');
    char *a_folder = fc_path_folder(a), *b_folder = fc_path_folder(b);
    bool same = a_folder && b_folder && strcmp(a_folder, b_folder) == 0 &&
                strcmp(a_slash ? a_slash + 1 : a, b_slash ? b_slash + 1 : b) == 0;

    free(a_folder);
    free(b_folder);
    return same;
}

/* Whether the index, which may be a link to what is not there, will have this name. */
static bool is_index(const char *index, const char *path)
{
    char target[PATH_MAX], *folder, *full = NULL;
    ssize_t n = readlink(index, target, sizeof target - 1);
    bool same = is_same_place(index, path);

    if (n < 0 || same)
        return same;
    target[n] = '\0';
    folder = *target == '/' ? NULL : fc_path_folder(index);
    same = asprintf(&full, "%s/%s", folder ? folder : "", target) >= 0 && is_same_place(full, path);
    free(folder);
    free(full);
    return same;
}

/*
 * Whether a file can have this name, and be another one than the index. The name is not made to see: where the power
 * goes then, an empty file would have it.
 */
static int try_name(const struct fc_save *save, struct fc_error *err)
{
    struct stat st;
    bool there = lstat(save->path, &st) == 0;

    if (there)
        errno = EEXIST;
    if (there || errno != ENOENT)
        return fc_error_errno(err, FC_E_IO, save->path, FC_NO_OFFSET, "cannot create");
    /* a fresh index is to be renamed to what was free until now */
    return is_index(save->index, save->path) ? fc_error_set(err, FC_E_USAGE, save->path, FC_NO_OFFSET,
                                                            "is the index; the stream needs a file of its own")
                                             : 0;
}

/* Puts the file in its place, on the disk, before an index needs it. */
static int keep_stream(struct fc_new_file *file, const struct fc_save *save, struct fc_error *err)
{
    const char *slash = strrchr(save->path, '/');
    char *folder = slash == save->path ? strdup("/") : slash ? strndup(save->path, slash - save->path) : strdup(".");
    int rc = folder ? fc_new_file_finish(file, false, err)
                    : fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");

    if (rc == 0 && fc_io_sync_folder(folder) != 0) {
        rc = fc_error_errno(err, FC_E_IO, folder, FC_NO_OFFSET, "cannot write the folder to disk");
        unlink(save->path); /* a name that may be gone tomorrow */
    }
    free(folder);
    return rc;
}

/*
 * Writes the stream `name` to its file, which is then one of the captures. What has come of one that ends by a failure
 * is kept too, as it does not come again.
 */
static int save_stream(struct fc_inputs *in, const char *name, const struct fc_save *save, struct fc_error *err)
{
    bool standard = strcmp(name, "-") == 0;
    struct fc_new_file file;
    struct fc_error why;
    struct stat made;
    int rc;

    if (!save->path)
        return fc_error_set(err, FC_E_USAGE, standard ? "standard input" : name, FC_NO_OFFSET,
                            "cannot be read a second time; name the file that it goes to (--spool)");
    if (in->streams++)
        return fc_error_set(err, FC_E_USAGE, name, FC_NO_OFFSET, "only one stream can go to the file of --spool");
    if ((rc = try_name(save, err)) || (rc = fc_new_file_open(&file, save->path, save->rights, err)))
        return rc;
    int from = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    rc = from < 0 ? fc_error_errno(err, FC_E_IO, name, FC_NO_OFFSET, "cannot open")
                  : copy_stream(from, file.fd, standard ? "standard input" : name, save, err);
    bool some = fstat(file.fd, &made) == 0 && made.st_size;
    if (from > STDIN_FILENO)
        close(from);
    if (rc == 0) {
        rc = keep_stream(&file, save, err);
    } else if (some && keep_stream(&file, save, &why) == 0 && err) {
        size_t len = strlen(err->cause);
        snprintf(err->cause + len, sizeof err->cause - len, "; what has come of the stream so far is kept in %.300s",
                 save->path);
    }
    fc_new_file_abandon(&file);
    if (rc == 0 && (rc = add(in, strdup(save->path), true, &made)))
        fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
    return rc;
}

int fc_inputs_collect(struct fc_inputs *in, const char *const *paths, size_t count, const struct fc_save *save,
                      struct fc_index_result *result, struct fc_error *err)
{
    int rc = 0;

    in->stop = save->stop;
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct stat st;
        int known = stat(paths[i], &st);
        if (strcmp(paths[i], "-") == 0 || (known == 0 && S_ISFIFO(st.st_mode) && save->path))
            rc = save_stream(in, paths[i], save, err);
        else if ((rc = known == 0 && S_ISDIR(st.st_mode) ? walk(in, paths[i], &st, result)
                                                         : add(in, strdup(paths[i]), true, known == 0 ? &st : NULL)))
            fc_error_set(err, rc, NULL, FC_NO_OFFSET, "%s", fc_strerror(rc));
    }
    if (rc == 0)
        tell_links(in, result);
    if (rc == 0 && save->path && !in->streams)
        rc = fc_error_set(err, FC_E_USAGE, save->path, FC_NO_OFFSET, "there is no stream ('-' or a FIFO) to spool");
    return rc;
}

static int offer(struct fc_inputs *in, const struct fc_offered *o, struct fc_index_result *result)
{
    char *path = strdup(o->path);
    struct stat st;
    int rc = 0;

    if (!path)
        return FC_E_NOMEM;
    if (o->held < 0 && (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode)))
        return visit(in, path, result);
    if (o->held < 0 || fstat(o->held, &st) != 0)
        free(path);
    else if ((rc = add(in, path, false, &st)) == 0) {
        struct fc_input *i = &in->items[in->count - 1];
        i->held = o->held;
        i->bytes = o->bytes;
        i->tail = o->tail;
        i->tail_base = o->tail_base;
        i->size = o->bytes && o->bytes < i->size ? o->bytes : i->size;
    }
    return rc;
}

int fc_inputs_offer(struct fc_inputs *in, const struct fc_offered *offered, size_t count,
                    struct fc_index_result *result, struct fc_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++)
        rc = offer(in, &offered[i], result);
    return rc ? fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory") : 0;
}

void fc_inputs_fini(struct fc_inputs *in)
{
    for (size_t i = 0; i < in->count; i++)
        free(in->items[i].path);
    for (size_t i = 0; i < in->links.count; i++)
        free(in->links.items[i].path);
    free(in->items);
    free(in->links.items);
    free(in->folders.items);
    memset(in, 0, sizeof *in);
}
