/* SPDX-License-Identifier: MIT */
/* `packets -i INTERFACE`, `follow -i INTERFACE`: what both need. Threads: the main one. */
#ifndef FC_CLI_LOOK_H
#define FC_CLI_LOOK_H

#include <flowcarve/look.h>
#include <stdbool.h>

/* Is the value of --id the name of an interface, and no list of IDs? */
bool fc_is_iface(const char *value);

/*
 * Opens the interface until a signal comes, and says so unless `quiet`. NULL: it cannot be opened, or the filter is
 * wrong, which is said.
 */
struct fc_look *fc_look_begin(const char *command, const char *iface, const char *filter, uint32_t fields, bool quiet);

/* What was seen and what was not, on standard error. */
void fc_look_end(struct fc_look *look, bool quiet);

#endif
