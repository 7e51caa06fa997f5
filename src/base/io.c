/* SPDX-License-Identifier: MIT */
#include "base/io.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int fc_io_temporary(const char *folder, struct fc_error *err)
{
    char name[4096];
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0)
        return fd;
    /* a file system without O_TMPFILE */
    if (snprintf(name, sizeof name, "%s/.flowcarve-XXXXXX", folder) >= (int)sizeof name)
        errno = ENAMETOOLONG;
    else
        fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return fc_error_errno(err, FC_E_IO, folder, FC_NO_OFFSET, "cannot make a temporary file");
    unlink(name);
    return fd;
}

int fc_io_sync(int fd)
{
    int copy;

    return fsync(fd) != 0 || (copy = dup(fd)) < 0 ? -1 : close(copy);
}

int fc_io_sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

    if (fd < 0)
        return -1;
    rc = fsync(fd);
    close(fd);
    return rc;
}

int fc_io_write(int fd, const void *data, size_t n, uint64_t off, const char *name, struct fc_error *err)
{
    const uint8_t *p = data;

    while (n) {
        ssize_t w = pwrite(fd, p, n, (off_t)off);
        if (w < 0 && errno == EINTR)
            continue;
        if (w == 0)
            errno = ENOSPC;
        if (w <= 0)
            return fc_error_errno(err, FC_E_IO, name, off, "cannot write");
        p += w;
        n -= (size_t)w;
        off += (uint64_t)w;
    }
    return 0;
}

int fc_io_read(int fd, void *data, size_t n, uint64_t off, const char *name, struct fc_error *err)
{
    uint8_t *p = data;

    while (n) {
        ssize_t r = pread(fd, p, n, (off_t)off);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return fc_error_errno(err, FC_E_IO, name, off, "cannot read");
        if (r == 0)
            return fc_error_set(err, FC_E_IO, name, off, "the file ends too early");
        p += r;
        n -= (size_t)r;
        off += (uint64_t)r;
    }
    return 0;
}
