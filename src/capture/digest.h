/* SPDX-License-Identifier: MIT */
/*
 * The whole content of a file as 128 bits: two files of one length and digest hold the same bytes, unless an author
 * who knows the seed wanted it otherwise.
 *
 * Threads: any. Memory: 256 KiB, and what a decoder needs (capture/stream.h).
 */
#ifndef FC_CAPTURE_DIGEST_H
#define FC_CAPTURE_DIGEST_H

#include "capture/file.h"

struct fc_digest {
    bool known; /* false: none was taken, or what was read is damaged or cut, and is like nothing else */
    uint64_t bytes;
    uint64_t low, high;
};

/*
 * Reads what the file had when it was opened, from its name again: with `stored` as it is stored, else the stream that
 * it holds. A file that cannot be read, or is another one by now, is not known. seed: the same for all that are
 * compared. stop: as in fc_index_run(). FC_E_NOMEM, FC_E_INTERRUPTED.
 */
int fc_digest_take(const struct fc_file *file, bool stored, uint64_t seed, const int *stop, struct fc_digest *out);

static inline bool fc_digest_same(const struct fc_digest *a, const struct fc_digest *b)
{
    return a->known && b->known && a->bytes == b->bytes && a->low == b->low && a->high == b->high;
}

#endif
