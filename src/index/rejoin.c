/* SPDX-License-Identifier: MIT */
#include "index/rejoin.h"
#include "base/error.h"
#include "index/finish.h"

#include <stdlib.h>
#include <string.h>

enum {
    MANY = 1 << 16,    /* late flows: their pieces are sorted, on disk if need be, and not held together */
    SPOOLED = 32 << 20 /* bytes of all sessions: from here on, all threads look through them */
};

static bool among(const uint64_t *list, size_t count, uint64_t hash)
{
    size_t lo = 0, hi = count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (list[mid] < hash)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < count && list[lo] == hash;
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

/* Room for one more piece. */
static int reserve(struct fc_rejoin *r)
{
    size_t room = r->room ? r->room * 2 : 256;

    if (r->count < r->room)
        return 0;
    struct fc_late_piece *bigger = realloc(r->pieces, room * sizeof *bigger);
    if (!bigger)
        return FC_E_NOMEM;
    r->pieces = bigger;
    r->room = room;
    return 0;
}

static void add_to_filter(struct fc_rejoin *r, const uint64_t *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bit = list[i] & r->filter_mask;
        r->filter[bit / 64] |= UINT64_C(1) << bit % 64;
    }
}

/* 16 bits a hash at least. */
static int make_filter(struct fc_rejoin *r)
{
    uint64_t bits = 1024;

    while (bits < 16 * (r->late_count + r->added_count))
        bits *= 2;
    if (!(r->filter = calloc(bits / 64, sizeof *r->filter)))
        return FC_E_NOMEM;
    r->filter_mask = bits - 1;
    add_to_filter(r, r->late, r->late_count);
    add_to_filter(r, r->added, r->added_count);
    return 0;
}

bool fc_rejoin_want(void *ctx, const struct fc_flow_key *key)
{
    const struct fc_rejoin *r = ctx;
    uint64_t hash = fc_table_hash(r->table, key), bit = hash & r->filter_mask;

    if (hash % r->parts != r->part)
        return false;
    return r->all || ((r->filter[bit / 64] >> bit % 64 & 1) &&
                      (among(r->late, r->late_count, hash) || among(r->added, r->added_count, hash)));
}

int fc_rejoin_take(void *ctx, const struct fc_session_record *record)
{
    struct fc_rejoin *r = ctx;
    const uint8_t *plain = NULL;
    size_t len = 0;
    uint64_t hash = fc_table_hash(r->table, &record->key);
    bool added = among(r->added, r->added_count, hash);
    int rc;

    if (record->blob_len && (rc = fc_blob_decode(record->blob, record->blob_len, &r->scratch, &plain, &len)))
        return rc;
    if (reserve(r))
        return FC_E_NOMEM;
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
    r->pieces[r->count++] = (struct fc_late_piece){record->key, hash, node};
    rc = added && node->db_id && node->extra ? fc_held_fields(r->held, node->db_id, node->extra, r->err) : 0;
    return rc ? rc : 1;
}

static int compare_piece(const void *a, const void *b)
{
    const struct fc_late_piece *x = a, *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return memcmp(&x->key, &y->key, sizeof x->key);
}

int fc_rejoin_join(struct fc_pipeline *p, struct fc_rejoin *r, struct fc_emitter *emitter, struct fc_join *join,
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
            if ((rc = fc_held_note(p->held, ended.key, s, ended.nodes, join->mixed + s->first)))
                return fc_error_set(&emitter->err, rc, NULL, FC_NO_OFFSET, "out of memory");
            rc = fc_emitter_emit(emitter, &ended);
        }
    }
    return rc;
}

void fc_rejoin_drop(struct fc_rejoin *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->pieces[i].node);
    r->count = 0;
}

static uint64_t spool_bytes(const struct fc_pipeline *p)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < p->jobs; i++)
        bytes += fc_spool_bytes(p->spools[i]);
    return bytes;
}

/* How many parts keep the pieces of one within half of the memory. */
static uint64_t part_count(const struct fc_pipeline *p, bool all)
{
    return all ? 2 * spool_bytes(p) / p->memory_bytes + 1 : 1;
}

/* Whether all threads look for the pieces, which they then sort by hash. Additions are joined by one. */
static bool by_many(const struct fc_pipeline *p, const struct fc_rejoin *r)
{
    if (r->added_count)
        return false;
    return r->all || r->late_count >= (p->many_late ? p->many_late : MANY) ||
           (p->jobs > 1 && spool_bytes(p) >= SPOOLED);
}

static int compare_hash(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* The flows of the additions; NULL without memory. */
static uint64_t *added_flows(const struct fc_held *held)
{
    uint64_t *flows = malloc((held->addition_count + 1) * sizeof *flows);

    for (size_t i = 0; flows && i < held->addition_count; i++)
        flows[i] = held->additions[i].hash;
    if (flows)
        qsort(flows, held->addition_count, sizeof *flows, compare_hash);
    return flows;
}

static int take_additions(struct fc_rejoin *r, struct fc_held *held)
{
    for (size_t i = 0; i < held->addition_count; i++) {
        struct fc_addition *a = &held->additions[i];
        if (a->hash % r->parts != r->part)
            continue;
        if (reserve(r))
            return FC_E_NOMEM;
        r->pieces[r->count++] = (struct fc_late_piece){a->key, a->hash, a->node};
        a->node = NULL;
    }
    return 0;
}

static int rejoin_parts(struct fc_pipeline *p, struct fc_rejoin *r, struct fc_error *err)
{
    struct fc_replayer replayer = {.pipeline = p};
    struct fc_replay replay = {fc_replayer_read, &replayer};
    struct fc_emitter emitter = {0};
    struct fc_join join = {0};
    int rc = 0;

    /* the sessions go to a spool of their own, so that a later part does not meet those of an earlier one */
    emitter.spool = p->spools[p->jobs];
    for (r->part = 0; r->part < r->parts && rc == 0; r->part++) {
        for (unsigned i = 0; i < p->jobs && rc == 0; i++)
            rc = fc_spool_extract(p->spools[i], fc_rejoin_want, fc_rejoin_take, r, err);
        if (rc == 0)
            rc = take_additions(r, p->held);
        if (rc == FC_E_NOMEM)
            fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
        if (rc == 0 && (rc = fc_rejoin_join(p, r, &emitter, &join, &replay)))
            *err = emitter.err;
        fc_rejoin_drop(r);
    }
    fc_join_fini(&join);
    fc_replayer_fini(&replayer);
    fc_emitter_fini(&emitter);
    return rc;
}

int fc_rejoin(struct fc_pipeline *p, struct fc_index_result *result, struct fc_error *err)
{
    struct fc_rejoin r = {.table = p->table, .held = p->held, .err = err};
    uint64_t *added;
    int rc = fc_held_decide(p->held, p, err);

    if (rc)
        return rc;
    r.late = fc_table_late(p->table, &r.late_count, &r.all);
    r.added_count = p->held->addition_count;
    result->late_flows = r.all ? UINT64_MAX : r.late_count;
    if (!r.all && !r.late_count && !r.added_count)
        return 0;
    if (!(r.added = added = added_flows(p->held)))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    r.parts = part_count(p, r.all);
    if (make_filter(&r))
        rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    else if (by_many(p, &r))
        rc = fc_rejoin_many(p, &r, err);
    else
        rc = rejoin_parts(p, &r, err);
    free(r.filter);
    free(added);
    free(r.pieces);
    fc_buffer_fini(&r.scratch);
    return rc;
}
