/* SPDX-License-Identifier: MIT */
/* What was said already of captures, so that it is not said with each run. Threads: one. Memory: 64 KiB. */
#ifndef FC_LIVE_TOLD_H
#define FC_LIVE_TOLD_H

#include <flowcarve/index.h>

enum { FC_TOLD_KEPT = 8192 };

struct fc_told {
    uint64_t hashes[FC_TOLD_KEPT]; /* of what was said; 0: free. The latest with that place */
};

/* Is it to be told now? */
bool fc_told_new(struct fc_told *told, const struct fc_notice *notice);

#endif
