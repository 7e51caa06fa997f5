/* SPDX-License-Identifier: MIT */
#include "index/inputs.h"
#include "base/error.h"
#include "index/plan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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
    if (in->count == in->room) {
        size_t room = in->room ? in->room * 2 : 64;
        struct fc_input *bigger = realloc(in->items, room * sizeof *bigger);
        if (!bigger) {
            free(path);
            return FC_E_NOMEM;
        }
        in->items = bigger;
        in->room = room;
    }
    struct fc_input *i = &in->items[in->count++];
    *i = (struct fc_input){.path = path, .named = named};
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

static int walk(struct fc_inputs *in, const char *folder, struct fc_index_result *result)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, not_dots, by_name), rc = 0;

    if (n < 0) {
        struct fc_error why;
        fc_error_errno(&why, FC_E_IO, folder, FC_NO_OFFSET, "cannot read the folder");
        result->files_refused++; /* there may be captures in it */
        fc_notice_add(result, FC_NOTICE_REFUSED, &why);
        return errno == ENOMEM ? FC_E_NOMEM : 0;
    }
    for (int i = 0; i < n; i++) {
        const char *slash = folder[strlen(folder) - 1] == '/' ? "" : "/";
        struct stat st;
        char *path = NULL;
        if (rc == 0 && asprintf(&path, "%s%s%s", folder, slash, entries[i]->d_name) < 0) {
            path = NULL;
            rc = FC_E_NOMEM;
        }
        free(entries[i]);
        if (rc) {
            free(path);
            continue;
        }
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            rc = walk(in, path, result);
            free(path);
        } else if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
            rc = add(in, path, false, &st);
        } else {
            free(path); /* sockets, devices, dangling links: nothing a folder full of captures would mean */
        }
    }
    free(entries);
    return rc;
}

static int copy_stream(int from, int to, const char *name, const struct fc_save *save, struct fc_error *err)
{
    /* a signal between a look at `stop` and a read that waits would be noticed with the next bytes only */
    enum { PIECE = 64 << 10, LOOK_MS = 100 };
    uint8_t *buf = malloc(PIECE);
    int rc = buf ? 0 : fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");

    while (rc == 0) {
        struct pollfd source = {from, POLLIN, 0};
        int ready = poll(&source, 1, LOOK_MS);
        if (save->stop && __atomic_load_n(save->stop, __ATOMIC_RELAXED)) {
            rc = fc_error_set(err, FC_E_INTERRUPTED, save->path, FC_NO_OFFSET,
                              "interrupted; what has come so far is kept in this file");
            break;
        }
        if (ready == 0)
            continue;
        ssize_t n = ready < 0 ? -1 : read(from, buf, PIECE);
        if (n < 0 && errno != EINTR)
            rc = fc_error_errno(err, FC_E_IO, name, FC_NO_OFFSET, "cannot read");
        else if (n == 0)
            break;
        for (ssize_t done = 0; done < n && rc == 0;) {
            ssize_t w = write(to, buf + done, (size_t)(n - done));
            if (w < 0 && errno != EINTR)
                rc = fc_error_errno(err, FC_E_IO, save->path, FC_NO_OFFSET, "cannot write");
            done += w > 0 ? w : 0;
        }
    }
    free(buf);
    return rc;
}

/* Writes the stream `name` to its file, which is then one of the captures. */
static int save_stream(struct fc_inputs *in, const char *name, const struct fc_save *save, struct fc_error *err)
{
    bool standard = strcmp(name, "-") == 0;
    int from = -1, to, rc = 0;
    struct stat made, index;

    if (!save->path)
        return fc_error_set(err, FC_E_USAGE, standard ? "standard input" : name, FC_NO_OFFSET,
                            "cannot be read a second time; name the file that it goes to (--spool)");
    if (in->streams++)
        return fc_error_set(err, FC_E_USAGE, name, FC_NO_OFFSET, "only one stream can go to the file of --spool");
    to = open(save->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (to < 0)
        return fc_error_errno(err, FC_E_IO, save->path, FC_NO_OFFSET, "cannot create");
    if (fstat(to, &made) == 0 && stat(save->index, &index) == 0 && made.st_dev == index.st_dev &&
        made.st_ino == index.st_ino) {
        /* a fresh index is to be renamed to what was free until now */
        close(to);
        unlink(save->path);
        return fc_error_set(err, FC_E_USAGE, save->path, FC_NO_OFFSET,
                            "is the index; the stream needs a file of its own");
    }
    from = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        rc = fc_error_errno(err, FC_E_IO, name, FC_NO_OFFSET, "cannot open");
    if (rc == 0)
        rc = copy_stream(from, to, standard ? "standard input" : name, save, err);
    if (close(to) != 0 && rc == 0)
        rc = fc_error_errno(err, FC_E_IO, save->path, FC_NO_OFFSET, "cannot write");
    if (from > STDIN_FILENO)
        close(from);
    if (rc == 0 && (rc = add(in, strdup(save->path), true, &made)))
        fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
    return rc;
}

int fc_inputs_collect(struct fc_inputs *in, const char *const *paths, size_t count, const struct fc_save *save,
                      struct fc_index_result *result, struct fc_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++) {
        struct stat st;
        int known = stat(paths[i], &st);
        if (strcmp(paths[i], "-") == 0 || (known == 0 && S_ISFIFO(st.st_mode) && save->path))
            rc = save_stream(in, paths[i], save, err);
        else if ((rc = known == 0 && S_ISDIR(st.st_mode) ? walk(in, paths[i], result)
                                                         : add(in, strdup(paths[i]), true, known == 0 ? &st : NULL)))
            fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
    }
    if (rc == 0 && save->path && !in->streams)
        rc = fc_error_set(err, FC_E_USAGE, save->path, FC_NO_OFFSET, "there is no stream ('-' or a FIFO) to spool");
    return rc;
}

void fc_inputs_fini(struct fc_inputs *in)
{
    for (size_t i = 0; i < in->count; i++)
        free(in->items[i].path);
    free(in->items);
    memset(in, 0, sizeof *in);
}
