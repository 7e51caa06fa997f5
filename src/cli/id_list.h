/* SPDX-License-Identifier: MIT */
/* IDs of sessions as people give them: numbers and ranges, on the command line or in a file. Threads: the main one. */
#ifndef FC_CLI_ID_LIST_H
#define FC_CLI_ID_LIST_H

#include <flowcarve/query.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fc_id_list {
    struct fc_id_range *items;
    size_t count, room;
    bool given;    /* the option was there, be its list empty */
    bool standard; /* standard input was read */
};

/*
 * Adds what the option's value says: "1,5-30", "@FILE", or "-" for standard input; there one or several stand in a
 * line, and # begins a comment. -1: it is no good, which is said with file and line.
 */
int fc_take_ids(const char *command, void *list, const char *value);

/* All are there: puts them in order and takes out what is there twice. */
void fc_id_list_sort(struct fc_id_list *list);

/* How many IDs a list that is in order has. */
uint64_t fc_id_list_ids(const struct fc_id_list *list);

/*
 * Tells which of the IDs the index does not have, behind `lead`: a range when it has none of it. False: there is
 * nothing to tell, or that cannot be known.
 */
bool fc_id_list_tell_missing(const struct fc_id_list *list, struct fc_db *db, const char *lead);

void fc_id_list_fini(struct fc_id_list *list);

#endif
