/* SPDX-License-Identifier: MIT */
/*
 * What suspended partitions keep in a file: one log a partition, written from front to end, then read once in the same
 * order.
 *
 * Threads: one a log; logs share their file. Memory: a buffer a log. The file is unnamed and goes with its descriptor.
 */
#ifndef FC_FLOW_SPILL_H
#define FC_FLOW_SPILL_H

#include <flowcarve/error.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct fc_spill_file {
    pthread_mutex_t lock;
    const char *folder;
    int fd; /* under the lock; -1: none yet */
    uint64_t end;
};

struct fc_spill {
    size_t room_bytes; /* of the buffer; 0: 64 KiB */
    uint8_t *buf;
    size_t len, at; /* bytes in buf; reading: next */
    struct fc_spill_piece {
        uint64_t off, len;
    } * pieces; /* of the file, in order */
    size_t count, room, next;
};

void fc_spill_file_init(struct fc_spill_file *file, const char *folder);
void fc_spill_file_fini(struct fc_spill_file *file);

/* Appends n bytes. FC_E_NOMEM, FC_E_IO. */
int fc_spill_write(struct fc_spill_file *file, struct fc_spill *log, const void *data, size_t n, struct fc_error *err);
/* Reads the next n bytes: all that was written is behind. 1; 0: the log is at its end; FC_E_IO. */
int fc_spill_read(struct fc_spill_file *file, struct fc_spill *log, void *data, size_t n, struct fc_error *err);
void fc_spill_fini(struct fc_spill *log);

#endif
