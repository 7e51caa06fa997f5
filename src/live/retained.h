/* SPDX-License-Identifier: MIT */
/*
 * The captures of an index that lie in some folders, with what they take on the disk: what limits are reckoned from.
 * New rows and the last ones are looked at each time, all others in turn, some at a time.
 *
 * Threads: one. Memory: 56 bytes a capture.
 */
#ifndef FC_LIVE_RETAINED_H
#define FC_LIVE_RETAINED_H

#include "store/files.h"

enum fc_retained_state {
    FC_RETAINED_HERE,
    FC_RETAINED_WRITTEN, /* it has its hidden name still */
    FC_RETAINED_OTHER,   /* something else has its name */
    FC_RETAINED_LOST,    /* it was deleted and forgotten, and is there again: the disk has lost that */
    FC_RETAINED_DELETED, /* by us; to be forgotten */
    FC_RETAINED_ABSENT,  /* not by us; to be forgotten if it stays so */
    FC_RETAINED_DONE     /* forgotten; its row is to go */
};

struct fc_retained {
    uint32_t id;
    uint8_t state; /* enum fc_retained_state */
    bool told;     /* why it is not deleted */
    bool touched;  /* by what is not committed yet: its state was `before`, */
    bool dropped;  /* and its row is gone */
    uint8_t before;
    uint64_t bytes;
    uint64_t dev;     /* of the file, as it is now */
    uint64_t folder;  /* a hash of its name */
    int64_t last_ns;  /* its last packet, or its last change when none has a time */
    int64_t since_ns; /* ABSENT: by fc_live_now(), when that was seen first; HERE: not to be tried before that */
};

struct fc_retained_set {
    char **folders; /* resolved, without a slash at their end but for the root folder's */
    size_t folder_count;
    struct fc_retained *items; /* ascending by id */
    size_t count, room;
    uint32_t last, turn; /* highest ID that was looked at; where looking in turn goes on */
    uint64_t seed;
};

/* FC_E_IO: a folder is not there. FC_E_NOMEM. */
int fc_retained_init(struct fc_retained_set *set, const char *const *folders, size_t count, struct fc_error *err);
void fc_retained_fini(struct fc_retained_set *set);
/* It is another index by now. */
void fc_retained_clear(struct fc_retained_set *set);

/* Looks at what is new, and at some others. Codes of fc_stored_files_some(). */
int fc_retained_look(struct fc_retained_set *set, struct fc_db *db, struct fc_error *err);

/*
 * The one whose last packet is the oldest, then of the lowest ID, among those that may be tried at now_ns
 * (fc_live_now()) and, unless dev is 0, lie on that device; NULL: there is none.
 */
struct fc_retained *fc_retained_oldest(const struct fc_retained_set *set, int64_t now_ns, uint64_t dev);
/* Is it the last of its folder? */
bool fc_retained_is_newest(const struct fc_retained_set *set, const struct fc_retained *item);
/* What was touched is committed, and what was dropped goes; or all is as before. */
void fc_retained_settle(struct fc_retained_set *set, bool committed);

#endif
