/* SPDX-License-Identifier: MIT */
#include "flow/pieces.h"

#include <stdlib.h>

void fc_pieces_fini(struct fc_pieces *pieces)
{
    free(pieces->firsts);
    free(pieces->laters);
    memset(pieces, 0, sizeof *pieces);
}

static int add(struct fc_piece **list, size_t *count, size_t *room, const struct fc_flow_key *datagram,
               struct fc_node *node)
{
    if (*count == *room) {
        size_t more = *room ? *room * 2 : 16;
        struct fc_piece *bigger = realloc(*list, more * sizeof *bigger);
        if (!bigger)
            return FC_E_NOMEM;
        *list = bigger;
        *room = more;
    }
    (*list)[(*count)++] =
        (struct fc_piece){.datagram = *datagram, .off = node->first_off, .file = node->first_file, .node = node};
    return 0;
}

int fc_pieces_add(struct fc_pieces *pieces, const struct fc_packet *packet, struct fc_node *node, bool sure)
{
    bool later = packet->frag == FC_FRAG_LATER;
    unsigned firsts = packet->datagram_count - later;
    int rc = 0;

    for (unsigned i = 0; i < firsts && rc == 0; i++)
        rc = add(&pieces->firsts, &pieces->first_count, &pieces->first_room, &packet->datagram[i], node);
    if (rc == 0 && later && !sure)
        rc = add(&pieces->laters, &pieces->later_count, &pieces->later_room, &packet->datagram[firsts], node);
    return rc;
}

/* By datagram, then by place. */
static int compare(const void *a, const void *b)
{
    const struct fc_piece *x = a, *y = b;
    int order = memcmp(&x->datagram, &y->datagram, sizeof x->datagram);

    if (order)
        return order;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->off < y->off ? -1 : x->off > y->off;
}

/* The latest first fragment in front of a later one, else the next behind it; NULL: the flow has none. */
static const struct fc_piece *first_of(const struct fc_pieces *pieces, const struct fc_piece *later)
{
    size_t low = 0, high = pieces->first_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&pieces->firsts[middle], later) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0 && memcmp(&pieces->firsts[low - 1].datagram, &later->datagram, sizeof later->datagram) == 0)
        return &pieces->firsts[low - 1];
    if (low < pieces->first_count &&
        memcmp(&pieces->firsts[low].datagram, &later->datagram, sizeof later->datagram) == 0)
        return &pieces->firsts[low];
    return NULL;
}

void fc_pieces_settle(struct fc_pieces *pieces)
{
    bool turned = true;

    if (!pieces->first_count || !pieces->later_count)
        return;
    qsort(pieces->firsts, pieces->first_count, sizeof *pieces->firsts, compare);
    /* a first fragment of one datagram may be a later one of the datagram inside, and so be turned itself */
    for (unsigned round = 0; turned && round < FC_DATAGRAM_MAX; round++) {
        turned = false;
        for (size_t i = 0; i < pieces->later_count; i++) {
            struct fc_node *node = pieces->laters[i].node;
            const struct fc_piece *first = first_of(pieces, &pieces->laters[i]);
            if (!first || first->node->run.first_dir == node->run.first_dir)
                continue;
            fc_run_turn(&node->run);
            if (node->extra)
                fc_extra_turn(node->extra);
            turned = true;
        }
    }
}
