/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "index/finish.h"

#include <stdlib.h>
#include <string.h>

/* A piece of a flow: a session taken out of a spool, as a node again. */
struct piece {
    struct fc_flow_key key;
    uint64_t hash;
    struct fc_node *node;
};

struct rejoin {
    const struct fc_table *table;
    const uint64_t *late; /* ascending; NULL: all flows */
    size_t late_count;
    uint64_t parts, part; /* only flows whose hash falls into this part */
    struct piece *pieces;
    size_t count, room;
    struct fc_buffer scratch;
};

static bool is_late(const struct rejoin *r, uint64_t hash)
{
    size_t lo = 0, hi = r->late_count;

    if (hash % r->parts != r->part)
        return false;
    if (!r->late)
        return true;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->late[mid] < hash)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < r->late_count && r->late[lo] == hash;
}

/* The last position of a node made from a session. */
static void find_end(struct fc_node *node)
{
    const uint8_t *p = node->pos, *end = p + node->pos_len;
    struct fc_segment s;

    node->last_file = node->first_file;
    node->last_off = node->first_off;
    while (p < end && (p = fc_segment_head(p, end, &s))) {
        uint64_t off = s.first_off;
        for (uint64_t i = 1; i < s.count && p; i++)
            p = fc_segment_next(p, end, &off);
        node->last_file = s.file;
        node->last_off = off;
    }
}

static int take(void *ctx, const struct fc_session_record *record)
{
    struct rejoin *r = ctx;
    const uint8_t *plain = NULL;
    size_t len = 0;
    uint64_t hash = fc_table_hash(r->table, &record->key);
    int rc;

    if (!is_late(r, hash))
        return 0;
    if (record->blob_len && (rc = fc_blob_decode(record->blob, record->blob_len, &r->scratch, &plain, &len)))
        return rc;
    if (r->count == r->room) {
        size_t room = r->room ? r->room * 2 : 256;
        struct piece *bigger = realloc(r->pieces, room * sizeof *bigger);
        if (!bigger)
            return FC_E_NOMEM;
        r->pieces = bigger;
        r->room = room;
    }
    struct fc_node *node = fc_node_new(record->has_extra, len);
    if (!node)
        return FC_E_NOMEM;
    node->run = record->run;
    node->db_id = record->db_id;
    node->prior_packets = record->prior_packets;
    node->first_off = record->first_off;
    node->first_file = record->first_file;
    if (record->has_extra)
        *node->extra = record->extra;
    if (len)
        memcpy(node->pos, plain, len);
    find_end(node);
    r->pieces[r->count++] = (struct piece){record->key, hash, node};
    return 1;
}

static int compare_piece(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return memcmp(&x->key, &y->key, sizeof x->key);
}

static int join_pieces(struct fc_pipeline *p, struct rejoin *r, struct fc_emitter *emitter, struct fc_join *join,
                       const struct fc_replay *replay)
{
    int rc = 0;

    if (r->count)
        qsort(r->pieces, r->count, sizeof *r->pieces, compare_piece);
    for (size_t i = 0, end; i < r->count && rc == 0; i = end) {
        for (end = i + 1; end < r->count && compare_piece(&r->pieces[i], &r->pieces[end]) == 0; end++)
            r->pieces[end - 1].node->next = r->pieces[end].node;
        r->pieces[end - 1].node->next = NULL;
        if ((rc = fc_join_run(join, &p->settings->rules, &r->pieces[i].key, r->pieces[i].node, replay)))
            return fc_error_set(&emitter->err, rc, NULL, FC_NO_OFFSET, "out of memory");
        for (size_t k = 0; k < join->session_count && rc == 0; k++) {
            const struct fc_joined *s = &join->sessions[k];
            struct fc_ended ended = {
                .key = &r->pieces[i].key,
                .session = s,
                .nodes = join->nodes + s->first,
                .open = k + 1 == join->session_count && fc_session_open(p, &r->pieces[i].key, &s->run),
            };
            rc = fc_emitter_emit(emitter, &ended);
        }
    }
    return rc;
}

/* How many parts keep the pieces of one within half of the memory. */
static uint64_t part_count(const struct fc_pipeline *p, bool all)
{
    uint64_t bytes = 0;

    if (!all)
        return 1;
    for (unsigned i = 0; i < p->jobs; i++)
        bytes += fc_spool_bytes(p->spools[i]);
    return 2 * bytes / p->memory_bytes + 1;
}

int fc_rejoin(struct fc_pipeline *p, struct fc_index_result *result, struct fc_error *err)
{
    struct fc_replayer replayer = {.pipeline = p};
    struct fc_replay replay = {fc_replayer_read, &replayer};
    struct fc_emitter emitter = {0};
    struct fc_join join = {0};
    struct rejoin r = {.table = p->table};
    bool all;
    int rc = 0;

    r.late = fc_table_late(p->table, &r.late_count, &all);
    result->late_flows = all ? UINT64_MAX : r.late_count;
    if (!all && !r.late_count)
        return 0;
    if (all)
        r.late = NULL;
    r.parts = part_count(p, all);
    /* the sessions go to a spool of their own, so that a later part does not meet those of an earlier one */
    emitter.spool = p->spools[p->jobs];
    for (r.part = 0; r.part < r.parts && rc == 0; r.part++) {
        for (unsigned i = 0; i < p->jobs && rc == 0; i++)
            if ((rc = fc_spool_extract(p->spools[i], take, &r, err)) == FC_E_NOMEM)
                fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
        if (rc == 0 && (rc = join_pieces(p, &r, &emitter, &join, &replay)))
            *err = emitter.err;
        for (size_t i = 0; i < r.count; i++)
            free(r.pieces[i].node);
        r.count = 0;
    }
    free(r.pieces);
    fc_buffer_fini(&r.scratch);
    fc_join_fini(&join);
    fc_replayer_fini(&replayer);
    fc_emitter_fini(&emitter);
    return rc;
}
