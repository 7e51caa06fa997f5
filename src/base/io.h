/* SPDX-License-Identifier: MIT */
/* Small file helpers. Threads: any, on descriptors and ranges of their own. */
#ifndef FC_BASE_IO_H
#define FC_BASE_IO_H

#include <flowcarve/error.h>
#include <flowcarve/newfile.h>
#include <stddef.h>
#include <stdint.h>

/* An unnamed file in `folder`, gone when its descriptor is closed. The descriptor, or FC_E_IO. */
int fc_io_temporary(const char *folder, struct fc_error *err);

/* Gives a new file, made for its owner alone, the rights that are asked for; `name` is for the message. FC_E_IO. */
int fc_rights_give(int fd, const struct fc_rights *rights, const char *name, struct fc_error *err);

/*
 * Writes a file to the disk, with what a network file system writes, and tells, only when a descriptor is closed; this
 * one stays open. 0, or -1 with errno.
 */
int fc_io_sync(int fd);
/* Makes names in a folder last. 0, or -1 with errno. */
int fc_io_sync_folder(const char *folder);

/* Writes or reads all n bytes at off; `name` is for the message. FC_E_IO, also when a read meets the end of the file.
 */
int fc_io_write(int fd, const void *data, size_t n, uint64_t off, const char *name, struct fc_error *err);
int fc_io_read(int fd, void *data, size_t n, uint64_t off, const char *name, struct fc_error *err);

#endif
