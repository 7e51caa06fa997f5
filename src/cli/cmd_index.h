/* SPDX-License-Identifier: MIT */
/* Indexing for a command that looks at captures without being given an index. Threads: the main one. */
#ifndef FC_CLI_CMD_INDEX_H
#define FC_CLI_CMD_INDEX_H

#include <stdbool.h>

/* `all`: with all fields, else with none. quiet: no progress, and no line that tells what was done. */
struct fc_kept_index {
    const char *db;
    const char *what; /* follows in that line: what becomes of the index */
    bool all, quiet;
};

/*
 * Makes or brings up to date an index of captures and folders, in this process, which gives up rights for it. Waits for
 * another one that does the same. FC_EXIT_OK, FC_EXIT_NONE: a capture could not be read, which is said, FC_EXIT_ERROR:
 * there is no index, or not that of now; said as well.
 */
int fc_index_kept(const struct fc_kept_index *kept, char **paths, int count);

#endif
