/* SPDX-License-Identifier: MIT */
#include "flow/node.h"

#include <stdlib.h>

struct fc_node *fc_node_new(bool has_extra, size_t pos_len)
{
    size_t extra = has_extra ? sizeof(struct fc_extra) : 0;
    struct fc_node *node = malloc(sizeof *node + extra + pos_len);

    if (!node)
        return NULL;
    node->next = NULL;
    fc_run_init(&node->run);
    node->db_id = 0;
    node->prior_packets = 0;
    node->first_off = 0;
    node->last_off = 0;
    node->first_file = node->last_file = 0;
    node->seq = 0;
    node->has_extra = has_extra;
    node->pos_len = pos_len;
    if (has_extra)
        memset(node->data, 0, extra);
    return node;
}
