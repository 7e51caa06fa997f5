/* SPDX-License-Identifier: MIT */
/* A packet layer by layer, as the decoder went through it: a line a layer, its header's fields by name and value. Threads: any. */
#ifndef FC_CLI_PACKETS_TREE_H
#define FC_CLI_PACKETS_TREE_H

#include <flowcarve/packets.h>

/*
 * Lines of a record that was decoded with FC_WANT_PAYLOAD, broken at `width` columns (0: not); a new string, NULL without
 * memory.
 */
char *fc_packet_tree(const struct fc_record *record, const struct fc_packet *packet, unsigned width);

#endif
