/* SPDX-License-Identifier: MIT */
/*
 * Who indexes folders as they grow, or captures, has the index to itself for as long as that goes on, not only while it
 * writes: by a lock on a file beside the index, "<index>.watch". What takes turns with it, as it reads or forgets, does
 * not ask.
 *
 * The file is a blackboard as well: who has the lock writes there what it tells of itself, again and again, and others
 * read that without a lock. What was read while it was written is not whole, which its hash tells. The file of a
 * process that was killed is left, with what it has told last.
 *
 *   byte 0   "fcwatch1"
 *        8   u32 bytes of the note, u32 what it is: FC_WATCH_*
 *       16   u64 number of the note, from 1
 *       24   u64 hash of the note, with the number as seed
 *       32   the note; numbers are in the byte order of the machine
 *
 * Threads: any, on locks of their own.
 */
#ifndef FC_STORE_WATCH_LOCK_H
#define FC_STORE_WATCH_LOCK_H

#include <flowcarve/error.h>
#include <flowcarve/newfile.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FC_WATCH_NOTE_MAX = 64 << 10 };

/* What a note is: who tells it. */
enum { FC_WATCH_WATCHES = 1, FC_WATCH_CAPTURES = 2 };

struct fc_watch_lock {
    int fd; /* -1: not held */
    char *path;
    uint64_t notes; /* so many were written */
    uint8_t *buffer;
};

/*
 * Who may read the index, or may by `rights` (NULL: its owner alone) when there is none yet, may read the file.
 * FC_E_BUSY: another process has it, which is told; FC_E_IO, FC_E_DB, FC_E_NOMEM. Then there is nothing to release.
 */
int fc_watch_lock_take(const char *index, const struct fc_rights *rights, struct fc_watch_lock *lock,
                       struct fc_error *err);
/* Removes the file. */
void fc_watch_lock_release(struct fc_watch_lock *lock);

/* Is it free? FC_E_BUSY, and who has it; FC_E_NOMEM. */
int fc_watch_lock_check(const char *index, struct fc_error *err);

/* Writes a note in place of the last one, with one call and without waiting for the disk. What fails is left alone. */
void fc_watch_lock_tell(struct fc_watch_lock *lock, uint32_t kind, const void *note, size_t size);

/* What is found in the file. */
struct fc_watch_note {
    bool held;     /* somebody has the lock */
    uint32_t kind; /* 0: there is no note, or none of `size` bytes, or it could not be read whole */
    uint64_t number;
};

/*
 * Reads the note, which is to have `size` bytes; what is written at that moment is read again, for 100 ms at most. No
 * file: all 0. One that may not be read: `held`, as far as the system tells of locks. FC_E_IO, FC_E_NOMEM.
 */
int fc_watch_lock_read(const char *index, void *note, size_t size, struct fc_watch_note *found, struct fc_error *err);

#endif
