/* SPDX-License-Identifier: MIT */
/* The filter of a command: its words, or a file (-F), or both. Threads: the main one. */
#ifndef FC_CLI_FILTER_WORDS_H
#define FC_CLI_FILTER_WORDS_H

#include "cli/cli.h"

#define FC_OPTION_FILTER_FILE(type)                                                                                    \
    {                                                                                                                  \
        "filter-file", 'F', "FILE", "read the filter from a file, - for standard input; words must hold besides",      \
            FC_WORD(type, filter_file)                                                                                 \
    }

/*
 * The words joined by blanks; where there is a file (NULL: none) its text, in which lines that begin with # are
 * comments, and both as "(FILE) and (WORDS)". A new string; NULL, after saying why, in the name of `command`.
 */
char *fc_filter_words(const char *command, const char *file, int count, char **words);

/* Prints the reference of the filter language; the exit status. */
int fc_help_filter(void);

#endif
