/* SPDX-License-Identifier: MIT */
/*
 * A packet layer by layer, as the decoder went through it: a line a layer, its header's fields by name and value.
 * Threads: any.
 */
#ifndef FC_CLI_PACKETS_TREE_H
#define FC_CLI_PACKETS_TREE_H

#include <flowcarve/capture.h>

/*
 * Lines broken at `width` columns (0: not), down to the innermost layer whatever the session's key is; a new string,
 * NULL without memory.
 */
char *fc_packet_tree(const struct fc_record *record, unsigned width);

#endif
