/* SPDX-License-Identifier: MIT */
/*
 * Filters as text: a condition in the words of the filter language, and a filter for packets that is equal to it.
 *
 * Equal means: it is true of all packets of the sessions that match, and of no others, as long as no packet is wrapped
 * in another one (tunnels, ICMP errors), in fragments, or cut. What tells client and server apart, counts, or is about
 * time has no equal, as it is not about a packet.
 *
 * Threads: any. Memory: none of their own.
 */
#ifndef FC_QUERY_EXPLAIN_H
#define FC_QUERY_EXPLAIN_H

#include "query/ast.h"

#include <stdio.h>

/* A leaf as it may be written in a filter: parsed, it is the same again. */
void fc_ast_write(FILE *out, const struct fc_ast *leaf);

/*
 * Writes what a leaf is for packets; false, and nothing written, when it has no equal. sides: src and dst may be those
 * of a packet, as the same stands there for the other direction.
 */
typedef bool fc_packet_writer(FILE *out, const struct fc_ast *leaf, bool sides);
fc_packet_writer fc_bpf_leaf;     /* pcap-filter(7) */
fc_packet_writer fc_display_leaf; /* wireshark-filter(4) */

struct fc_explain;

/* The members of *out that an index has no say in: tree, bpf, wireshark and what these lack. FC_E_NOMEM. */
int fc_explain_filter(const struct fc_filter *filter, struct fc_explain *out);

/* Writes a whole tree; the first leaf that has no equal, or NULL. */
const struct fc_ast *fc_packets_write(FILE *out, fc_packet_writer *write, const struct fc_ast *root);

#endif
