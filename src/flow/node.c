/* SPDX-License-Identifier: MIT */
#include "flow/node.h"

#include <stdlib.h>

struct fc_node *fc_node_new(bool has_extra, size_t pos_len)
{
    size_t extra = has_extra ? sizeof(struct fc_extra) : 0;
    struct fc_node *node = malloc(sizeof *node + extra + pos_len);

    if (!node)
        return NULL;
    memset(node, 0, sizeof *node + extra);
    fc_run_init(&node->run);
    node->extra = has_extra ? (struct fc_extra *)(node + 1) : NULL;
    node->pos = (uint8_t *)(node + 1) + extra;
    node->pos_len = pos_len;
    return node;
}
