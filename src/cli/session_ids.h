/* SPDX-License-Identifier: MIT */
/* `--id N[,N...]` of commands that take several sessions; a range as in 1-30 is one of them. Threads: any. */
#ifndef FC_CLI_SESSION_IDS_H
#define FC_CLI_SESSION_IDS_H

#include <flowcarve/query.h>
#include <stdbool.h>
#include <stdint.h>

/* Adds the option's value to *ids, a string to be freed. -1 when it is no good, which is said. */
int fc_ids_option(const char *command, const char *value, char **ids);

/* "(FILTER) and (id 1 or id 2)", where there are IDs (NULL: none); a new string, NULL without memory. */
char *fc_ids_filter(const char *words, const char *ids);

/* How many different numbers are in a list; 0 without memory. */
uint64_t fc_ids_count(const char *ids);

/* Tells which of them are not in the index, in front of which `lead` stands. False: none of them. */
bool fc_ids_tell_missing(struct fc_db *db, const char *ids, const char *lead);

#endif
