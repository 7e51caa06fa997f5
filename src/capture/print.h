/* SPDX-License-Identifier: MIT */
/*
 * Fingerprints of content: a hash of samples at fixed offsets, 4096 bytes at 0 and 512 at 4096, 6144, 8192, 12288 and
 * so on, two each time that the offset doubles. Nothing but the length at the end depends on how much there is, so the
 * fingerprint of the first n bytes of a file that has grown is that of the file when it had n.
 *
 * Threads: any, on prints of their own.
 */
#ifndef FC_CAPTURE_PRINT_H
#define FC_CAPTURE_PRINT_H

#include "capture/file.h"

enum { FC_PRINT_HEAD = 4096, FC_PRINT_SAMPLE = 512, FC_PRINT_MARKS = 128 };

/* What must be known to go on at an offset is the hash of the samples before, when it is a multiple of this. */
enum { FC_PRINT_STEP = 1 << 20 };

struct fc_print {
    uint64_t hash; /* of the samples that are whole */
    uint64_t next; /* offset of the sample at hand, */
    size_t have;   /* and bytes of it, */
    uint8_t part[FC_PRINT_HEAD];
    struct {
        uint64_t off, hash; /* the hash up to there */
    } marks[FC_PRINT_MARKS];
    size_t mark_count;
};

void fc_print_init(struct fc_print *print);
/* Goes on at `off`, a multiple of FC_PRINT_STEP, with what fc_print_mark() has said of it. */
void fc_print_enter(struct fc_print *print, uint64_t off, uint64_t hash);
/* The bytes at `off`, behind those before. */
void fc_print_take(struct fc_print *print, uint64_t off, const uint8_t *data, size_t n);
/* The fingerprint of `length` bytes, when these were taken and no more. */
uint64_t fc_print_value(const struct fc_print *print, uint64_t length);
/* The hash of the samples before `off`, a multiple of FC_PRINT_STEP that was passed. */
uint64_t fc_print_mark(const struct fc_print *print, uint64_t off);

/* Of a file, as it is stored. */
struct fc_prints {
    uint64_t samples; /* as above */
    uint64_t stored;  /* with the last 4096 bytes too */
};
/* Of its first `length` bytes, by a few preads. FC_E_IO. */
int fc_file_prints(const struct fc_file *file, uint64_t length, struct fc_prints *out, struct fc_error *err);

#endif
