/* SPDX-License-Identifier: MIT */
/*
 * A recorder from inside: recorder.c opens it, is fed and runs; committing.c puts into the index what has been written;
 * losses.c notes what was counted.
 *
 * Threads: those that feed it see `writing` alone, which has a lock; all else belongs to the thread that commits.
 */
#ifndef FC_LIVE_RECORDING_H
#define FC_LIVE_RECORDING_H

#include "base/error.h"
#include "live/keeping.h"
#include "live/limits.h"
#include "live/told.h"
#include "live/writing.h"
#include "store/watch_lock.h"

#include <flowcarve/loss.h>
#include <time.h>

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)

/* Files of this folder that are to be looked at besides, by their names. */
struct named {
    char **paths;
    size_t count, room;
};

struct fc_recorder {
    char *db_path;
    struct fc_recorder_options o;
    struct fc_index_options index;
    struct fc_watch_lock lock;
    int folder; /* its descriptor, locked: one recorder a folder */
    struct fc_told told;
    struct fc_keeping keeping;
    struct fc_limits limits;
    int64_t losses_ns; /* so old may rows of table `loss` get; 0: as the oldest capture. By the wall clock, as these: */
    int64_t oldest_ns; /* of the last packet of that, INT64_MIN: not known */
    int64_t forgot_ns; /* when the rows were looked at last */
    struct fc_writing writing;
    struct named left; /* by a recorder before this one; or files that could not be kept open */
    struct fc_interface_counts indexed[FC_INTERFACES_MAX];
    int64_t committing_ns; /* guarded by the lock of `writing`: as its first_ns, of what is being committed */
    struct fc_loss_log *loss;
    int64_t started_ns;  /* by the wall clock */
    uint32_t loss_begun; /* so many interfaces are in that */
    bool loss_failed;
    uint64_t files; /* complete since the last call of `committed` */
    bool readied;
    struct fc_error unsynced; /* the last file that could not be synced, as it was told */
    int failing;              /* code of what the thread that writes cannot do, as it was told; 0: nothing */
};

static inline int fc_recorder_no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static inline int64_t fc_recorder_wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

static inline const char *fc_recorder_name_of(const struct fc_recorder_interface *iface)
{
    return iface->name ? iface->name : "";
}

/* Tells what is told once; ctx: the recorder. */
void fc_recorder_word(void *ctx, const struct fc_error *what);

/* Adds a name to `left` (ctx: the recorder; FC_E_NOMEM), and takes the first ones out. */
int fc_recorder_add_name(void *ctx, const char *path);
void fc_recorder_drop_names(struct named *n, size_t count);

/*
 * A commit. *settled: all that had come is in it. last: nothing comes any more. Codes as fc_recorder_commit(), and
 * FC_E_INTERRUPTED.
 */
int fc_recorder_put(struct fc_recorder *r, const int *stop, bool last, bool *settled, struct fc_error *err);

/* Notes what was counted, and writes it. That this cannot be done is told once. */
void fc_recorder_tell_losses(struct fc_recorder *r, bool write, bool last);

#endif
