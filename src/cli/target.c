/* SPDX-License-Identifier: MIT */
#include "cli/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int io_error(struct fc_error *err, const char *path, const char *what)
{
    memset(err, 0, sizeof *err);
    err->code = FC_E_IO;
    err->off = FC_NO_OFFSET;
    snprintf(err->file, sizeof err->file, "%s", path);
    snprintf(err->cause, sizeof err->cause, "%s: %s", what, strerror(errno));
    return FC_E_IO;
}

static void forget(struct fc_target *t)
{
    free(t->temporary);
    free(t->place);
    *t = (struct fc_target){.fd = -1};
}

int fc_target_open(struct fc_target *t, const char *path, struct fc_error *err)
{
    struct stat st;
    mode_t mask;

    *t = (struct fc_target){.fd = -1, .path = path};
    if (strcmp(path, "-") == 0) {
        t->fd = STDOUT_FILENO;
        return 0;
    }
    bool there = stat(path, &st) == 0;
    if (there && !S_ISREG(st.st_mode)) {
        t->fd = open(path, O_WRONLY | O_CLOEXEC);
        return t->fd < 0 ? io_error(err, path, "cannot open for writing") : 0;
    }
    /* as programs do that write in place: what a link points to, with its mode, and no file that is protected */
    if (there && access(path, W_OK) != 0)
        return io_error(err, path, "cannot open for writing");
    if (!(t->place = there ? realpath(path, NULL) : NULL) && !(t->place = strdup(path)))
        return io_error(err, path, "out of memory");
    if (asprintf(&t->temporary, "%s.XXXXXX", t->place) < 0) {
        t->temporary = NULL;
        forget(t);
        return io_error(err, path, "out of memory");
    }
    t->fd = mkostemp(t->temporary, O_CLOEXEC);
    if (t->fd < 0) {
        forget(t);
        return io_error(err, path, "cannot create");
    }
    mask = umask(0); /* mkostemp() gives 0600; a new file has what the user's mask leaves */
    umask(mask);
    (void)fchmod(t->fd, there ? st.st_mode & 07777 : 0666 & ~mask);
    return 0;
}

int fc_target_finish(struct fc_target *t, struct fc_error *err)
{
    int rc = 0;

    if (t->temporary && rename(t->temporary, t->place) != 0)
        rc = io_error(err, t->path, "cannot put the output in its place");
    if (rc)
        return rc;
    if (t->fd > STDERR_FILENO && close(t->fd) != 0)
        rc = io_error(err, t->path, "cannot write");
    forget(t);
    return rc;
}

void fc_target_abandon(struct fc_target *t)
{
    if (t->fd > STDERR_FILENO)
        close(t->fd);
    if (t->temporary)
        unlink(t->temporary);
    forget(t);
}
