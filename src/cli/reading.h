/* SPDX-License-Identifier: MIT */
/*
 * `-r`: commands about sessions take captures in place of an index. The index is made on the way and kept, under
 * $XDG_CACHE_HOME/flowcarve or ~/.cache/flowcarve, named by what identifies the captures and folders (device and
 * inode); the next time it is brought up to date. One that has captures which are not there any more is made anew.
 *
 * Indexing runs in a process of its own, which gives up other rights than the command does. Threads: the main one,
 * before there are others.
 */
#ifndef FC_CLI_READING_H
#define FC_CLI_READING_H

#include "cli/zone.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FC_OPTION_READ(type)                                                                                           \
    {                                                                                                                  \
        "read", 'r', "CAPTURE",                                                                                        \
            "a capture or folder to look at, in place of an index; one is made on the way, and kept",                  \
            FC_TAKE(type, reading, fc_take_reading)                                                                    \
    }
#define FC_OPTION_NO_KEEP(type)                                                                                        \
    {                                                                                                                  \
        "no-keep", 0, NULL, "with -r: the index is removed in the end", FC_FLAG(type, reading.no_keep)                 \
    }

/* All of it 0 at first. */
struct fc_reading {
    char **paths; /* of the command line */
    int count;
    bool no_keep;
    /* its own */
    char *db;
    size_t files;   /* how many different captures, 0: there are folders */
    bool temporary; /* to be removed */
    bool refused;
};

/* Takes another -r. -1 without memory, which is said. */
int fc_take_reading(const char *command, void *reading, const char *path);

/*
 * The index to use, valid until fc_reading_end(): that of -d, of the environment or the usual one where there is no -r;
 * else one of the captures, which holds the fields that `filter` names and those of `fields` (FC_FIELD_*). NULL: the
 * filter is wrong, or there is no index; said in the name of `command`.
 */
const char *fc_reading_db(struct fc_reading *reading, const char *command, const char *db, const char *filter,
                          const struct fc_zone *zone, uint32_t fields, bool quiet);

/* Frees; returns `status`, or FC_EXIT_ERROR where nothing was found and a capture could not be read. */
int fc_reading_end(struct fc_reading *reading, int status);

/* The folder where indexes are kept, a new string; NULL: there is none ($HOME is not set), or no memory. */
char *fc_cache_folder(void);
/* Is this the name of a kept index? */
bool fc_cache_is_index(const char *name);
/* Removes an index and what SQLite has beside it. -1 with errno. */
int fc_cache_remove(const char *db);

#endif
