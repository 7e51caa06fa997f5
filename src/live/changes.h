/* SPDX-License-Identifier: MIT */
/*
 * Files of which something was noticed and that are not indexed since, each once, as the thread that looks hands them
 * to the one that indexes. A file that was open by then can be read also when it has lost its name.
 *
 * Threads: any; the lock is inside. Memory: some 100 bytes a file, and descriptors up to a quarter of the limit.
 */
#ifndef FC_LIVE_CHANGES_H
#define FC_LIVE_CHANGES_H

#include <flowcarve/error.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fc_change {
    char *path;
    int held;         /* a descriptor of it; -1: none */
    int64_t since_ns; /* by fc_live_now(): when something was noticed first */
    bool closed;      /* nothing is known of one who still writes it */
    bool replaced;    /* another file has got its name since */
};

struct fc_change_list {
    struct fc_change *items;
    size_t count, room;
};

struct fc_changes {
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t came;
    struct fc_change_list list;
    uint32_t *slots; /* by hash of the path: 1 + place in the list, 0: free; not those that are replaced */
    size_t slot_count;
    uint64_t seed;
    size_t held, held_most;
    bool news; /* since the last take */
    int64_t first_ns, last_ns;
    struct fc_error *words; /* of the thread that looks, for people */
    size_t word_count, word_room;
};

/* Monotonic, ns. */
int64_t fc_live_now(void);

int fc_changes_init(struct fc_changes *changes); /* 0, or FC_E_NOMEM */
void fc_changes_fini(struct fc_changes *changes);

/* How something was noticed. */
enum {
    FC_CHANGE_HOLD = 1,    /* it may lose its name any moment: is opened, as far as descriptors go */
    FC_CHANGE_CLOSED = 2,  /* who wrote it has closed it, */
    FC_CHANGE_OPEN = 4,    /* or is about to write more; neither: as before */
    FC_CHANGE_REPLACES = 8 /* what had the name before is another file */
};

/* Notes a file. One that is not there, or no regular file, is never opened. FC_E_NOMEM. */
int fc_changes_note(struct fc_changes *changes, const char *path, unsigned how);

/* Waits until something comes, `most_ns` at most. */
void fc_changes_wait(struct fc_changes *changes, int64_t most_ns);

/* Has something come since the last take? *first_ns, *last_ns: when the first and the last of it did. */
bool fc_changes_news(struct fc_changes *changes, int64_t *first_ns, int64_t *last_ns);

/* So many files wait; *since_ns: of which the oldest was noticed first then, when there is one. */
size_t fc_changes_waiting(struct fc_changes *changes, int64_t *since_ns);

/* Takes all; to be given to fc_change_list_fini(), or back. */
void fc_changes_take(struct fc_changes *changes, struct fc_change_list *out);
/* Gives back what is not indexed; that is no news. Empties the list. FC_E_NOMEM: some of it is forgotten. */
int fc_changes_back(struct fc_changes *changes, struct fc_change_list *list);
/* Closes what is held. */
void fc_change_list_fini(struct fc_changes *changes, struct fc_change_list *list);

/* A word for people, which the thread that indexes takes: 1 and *what, or 0. Words without memory are left out. */
void fc_changes_tell(struct fc_changes *changes, const struct fc_error *what);
int fc_changes_told(struct fc_changes *changes, struct fc_error *what);

#endif
