/* SPDX-License-Identifier: MIT */
/* When flows leave the table, and which are noted late. */
#include <criterion/criterion.h>

#include "base/varint.h"
#include "flow/table.h"

#include <string.h>
#include <urcu.h>

#define S 1000000000LL
enum { SESSIONS_MAX = 16 };

struct seen {
    struct {
        uint64_t packets;
        int64_t min_ns;
        bool open;
        size_t nodes;
        uint8_t pos[16]; /* of its first node */
    } session[SESSIONS_MAX];
    size_t count;
    int rc; /* what emit returns */
    struct fc_table *table;
    unsigned shard;
    bool again; /* sweep the same shard from inside */
};

/* UDP at 180 seconds, whatever the profile says. */
static struct fc_rules rules;
static struct fc_table *table;
static struct fc_join join;
static struct fc_pool pool;

static void setup(void)
{
    rcu_register_thread();
    fc_rules_profile(&rules, "flowcarve");
    cr_assert_not_null(table = fc_table_new(&rules));
    fc_table_pool(table, &pool);
}

static void teardown(void)
{
    fc_join_fini(&join);
    fc_pool_fini(&pool);
    fc_table_free(table);
    rcu_unregister_thread();
}

TestSuite(table, .init = setup, .fini = teardown);

static struct fc_flow_key key_of(unsigned flow)
{
    struct fc_flow_key key;

    memset(&key, 0, sizeof key);
    key.addr_kind = FC_ADDR_IPV4;
    key.addr[0][3] = 1;
    key.addr[1][3] = 2;
    key.port[0] = (uint16_t)flow;
    key.proto = 17;
    return key;
}

/* A run of one packet at a time, from the chunk `seq` (0: of none). */
static struct fc_node *node_at(unsigned dir, int64_t ts, uint64_t off, uint32_t seq)
{
    struct fc_node *node = fc_node_new(false, 3);
    struct fc_packet p;

    cr_assert_not_null(node);
    memset(&p, 0, sizeof p);
    p.got = FC_WANT_KEY;
    p.dir = (uint8_t)dir;
    memcpy(node->pos, (uint8_t[]){1, 1, (uint8_t)off}, 3);
    node->first_file = node->last_file = 1;
    node->first_off = node->last_off = off;
    node->seq = seq;
    fc_run_add(&node->run, &p, ts, 60);
    return node;
}

/* Publishes a copy, as the table does, and frees the node. */
static void publish_node(const struct fc_flow_key *key, struct fc_node *node)
{
    cr_assert_eq(fc_table_publish(table, &pool, key, fc_table_hash(table, key), node), 0);
    free(node);
}

static void publish(unsigned flow, int64_t ts, uint64_t off, uint32_t seq)
{
    struct fc_flow_key key = key_of(flow);

    publish_node(&key, node_at(0, ts, off, seq));
}

static int emit(void *ctx, const struct fc_ended *ended)
{
    struct seen *seen = ctx;
    struct fc_sink sink = {emit, seen};

    cr_assert_lt(seen->count, SESSIONS_MAX);
    seen->session[seen->count].packets = ended->session->run.packets[0];
    seen->session[seen->count].min_ns = ended->session->run.min_ns;
    seen->session[seen->count].nodes = ended->session->count;
    cr_assert_leq(ended->nodes[0]->pos_len, sizeof seen->session[0].pos);
    memcpy(seen->session[seen->count].pos, ended->nodes[0]->pos, ended->nodes[0]->pos_len);
    seen->session[seen->count++].open = ended->open;
    if (seen->again)
        cr_assert_eq(fc_table_sweep(table, &pool, seen->shard, FC_SWEEP_FINISH, 0, 1, 0, &join, NULL, &sink), 1);
    return seen->rc;
}

static struct seen sweep(enum fc_sweep_mode mode, int64_t watermark_ns, uint64_t seq, int64_t clock_ns)
{
    struct seen seen = {.count = 0};
    struct fc_sink sink = {emit, &seen};

    for (unsigned i = 0; i < FC_TABLE_SHARDS; i++)
        cr_assert_eq(fc_table_sweep(table, &pool, i, mode, watermark_ns, seq, clock_ns, &join, NULL, &sink), 0);
    return seen;
}

static size_t late(void)
{
    size_t count;
    bool all;

    fc_table_late(table, &count, &all);
    cr_assert_not(all);
    return count;
}

Test(table, a_flow_stays_while_the_watermark_is_not_behind_its_timeout)
{
    publish(1, 0, 1, 1);
    cr_assert_eq(sweep(FC_SWEEP_EXPIRED, 180 * S, 9, 0).count, 0);
    cr_assert_eq(fc_table_flows(table), 1);
    cr_assert_eq(sweep(FC_SWEEP_EXPIRED, 180 * S + 1, 9, 0).count, 1);
    cr_assert_eq(fc_table_flows(table), 0);
    cr_assert_eq(fc_table_bytes(table), 0);
}

Test(table, an_answered_flow_stays_for_the_timeout_of_its_state)
{
    struct fc_flow_key key = key_of(1);

    cr_assert_eq(fc_rules_timeout(&rules, "udp-new=60", NULL), 0);
    publish(1, 0, 1, 1);
    publish_node(&key, node_at(1, 0, 2, 1));
    cr_assert_eq(sweep(FC_SWEEP_EXPIRED, 180 * S, 9, 0).count, 0);
    cr_assert_eq(sweep(FC_SWEEP_EXPIRED, 180 * S + 1, 9, 0).count, 1);
}

Test(table, a_packet_at_the_watermark_goes_on_with_the_flow_that_stayed)
{
    publish(1, 0, 1, 1);
    sweep(FC_SWEEP_EXPIRED, 180 * S, 9, 0);
    publish(1, 180 * S, 2, 9);
    struct seen seen = sweep(FC_SWEEP_FINISH, INT64_MAX, UINT64_MAX, 180 * S);
    cr_assert_eq(seen.count, 1);
    cr_assert_eq(seen.session[0].packets, 2);
    cr_assert_eq(late(), 0);
}

Test(table, a_flow_with_runs_of_chunks_still_to_come_stays)
{
    publish(1, 0, 1, 3);
    cr_assert_eq(sweep(FC_SWEEP_EXPIRED, 1000 * S, 3, 0).count, 0);
    cr_assert_eq(sweep(FC_SWEEP_EXPIRED, 1000 * S, 4, 0).count, 1);
}

Test(table, a_run_from_before_an_eviction_is_late_and_one_from_behind_it_is_not)
{
    publish(1, 0, 1, 1);
    sweep(FC_SWEEP_EXPIRED, 1000 * S, 9, 0);
    publish(1, 1000 * S, 2, 9);
    cr_assert_eq(late(), 0);
    publish(2, 1000 * S - 1, 3, 9);
    cr_assert_eq(late(), 1);
}

Test(table, before_any_eviction_nothing_is_late)
{
    publish(1, 100 * S, 1, 1);
    publish(1, 0, 2, 0);
    publish(1, FC_TIME_NONE, 3, 1);
    cr_assert_eq(late(), 0);
}

Test(table, a_record_without_a_time_is_late_behind_any_eviction)
{
    sweep(FC_SWEEP_EXPIRED, 0, 1, 0);
    publish(1, FC_TIME_NONE, 1, 1);
    cr_assert_eq(late(), 1);
}

Test(table, a_fragment_of_no_chunk_is_late_behind_any_eviction)
{
    sweep(FC_SWEEP_EXPIRED, 0, 1, 0);
    publish(1, 1000 * S, 1, 0);
    cr_assert_eq(late(), 1);
}

Test(table, a_session_of_the_index_is_never_late)
{
    struct fc_flow_key key = key_of(1);
    struct fc_node *node = node_at(0, 0, 0, 0);

    node->db_id = 7;
    sweep(FC_SWEEP_EXPIRED, 1000 * S, 1, 0);
    publish_node(&key, node);
    cr_assert_eq(late(), 0);
}

Test(table, what_is_forced_out_is_late_only_when_it_comes_again)
{
    publish(1, 0, 1, 1);
    publish(2, 0, 2, 1);
    cr_assert_eq(sweep(FC_SWEEP_FORCE, INT64_MAX, 1, 0).count, 2);
    cr_assert_eq(fc_table_flows(table), 0);
    cr_assert_eq(late(), 0);
    publish(2, 1, 3, 1);
    cr_assert_eq(late(), 1);
}

Test(table, what_is_forced_out_may_be_open)
{
    publish(1, 0, 1, 1);
    publish(1, 181 * S, 2, 1);
    struct seen seen = sweep(FC_SWEEP_FORCE, INT64_MAX, 1, 0);
    cr_assert_eq(seen.count, 2);
    cr_assert_not(seen.session[0].open);
    cr_assert(seen.session[1].open);
}

/* A session of the index at 5 s, and a run that continues it. */
static void publish_continued(void)
{
    struct fc_flow_key key = key_of(1);
    struct fc_node *prior = node_at(0, 5 * S, 0, 0);

    prior->db_id = 7;
    prior->prior_packets = 1;
    publish_node(&key, prior);
    publish(1, 6 * S, 20, 1);
}

/* Joined with only some of the runs that continue it, it would hide where those lie: a fragment may still come between. */
Test(table, a_session_of_the_index_is_forced_out_apart_from_what_continues_it)
{
    publish_continued();
    publish(1, 7 * S, 30, 1);
    struct seen seen = sweep(FC_SWEEP_FORCE, INT64_MAX, 2, 0);
    cr_assert_eq(seen.count, 2);
    cr_assert_eq(seen.session[0].packets, 1);
    cr_assert_eq(seen.session[0].min_ns, 5 * S);
    cr_assert_eq(seen.session[1].packets, 2);
    cr_assert_eq(seen.session[1].min_ns, 6 * S);
    cr_assert_eq(fc_table_flows(table), 0);
    cr_assert_eq(fc_table_bytes(table), 0);
    cr_assert_eq(late(), 1); /* although it does not come again */
}

Test(table, a_session_of_the_index_expires_apart_from_what_continues_it)
{
    publish_continued();
    cr_assert_eq(sweep(FC_SWEEP_EXPIRED, 1000 * S, 2, 0).count, 2);
    cr_assert_eq(late(), 1);
}

Test(table, at_the_end_a_session_of_the_index_leaves_apart_from_what_continues_it_when_the_flow_is_late)
{
    struct fc_flow_key key = key_of(1);

    publish_continued();
    fc_table_sort_late(table);
    cr_assert_eq(sweep(FC_SWEEP_FINISH, INT64_MAX, UINT64_MAX, 10 * S).count, 1);
    publish_continued();
    fc_table_note_late(table, fc_table_hash(table, &key));
    fc_table_sort_late(table);
    cr_assert_eq(sweep(FC_SWEEP_FINISH, INT64_MAX, UINT64_MAX, 10 * S).count, 2);
    cr_assert_eq(late(), 1);
}

Test(table, a_session_of_the_index_that_nothing_continues_is_forced_out_as_others)
{
    struct fc_flow_key key = key_of(1);
    struct fc_node *prior = node_at(0, 5 * S, 0, 0);

    prior->db_id = 7;
    prior->prior_packets = 1;
    publish_node(&key, prior);
    cr_assert_eq(sweep(FC_SWEEP_FORCE, INT64_MAX, 2, 0).count, 1);
    cr_assert_eq(late(), 0);
}

Test(table, flows_heard_of_since_are_not_forced_out)
{
    publish(1, 0, 1, 1);
    publish(2, 100 * S, 2, 1);
    cr_assert_eq(sweep(FC_SWEEP_FORCE, 50 * S, 1, 0).count, 1);
    cr_assert_eq(fc_table_flows(table), 1);
    publish(2, 101 * S, 3, 1);
    cr_assert_eq(late(), 0);
}

/* Runs of three chunks take the memory of one, and are no other session for it. */
Test(table, runs_of_chunks_that_are_all_there_are_folded)
{
    publish(1, 3 * S, 4, 4); /* of a chunk in front of which some may be missing */
    publish(1, 1 * S, 20, 2);
    publish(1, 0, 10, 1);
    publish(1, 2 * S, 33, 3);
    uint64_t bytes = fc_table_bytes(table);
    cr_assert_eq(sweep(FC_SWEEP_FOLD, 0, 4, 0).count, 0);
    cr_assert_lt(fc_table_bytes(table), bytes - bytes / 4);
    cr_assert_eq(fc_table_flows(table), 1);
    struct seen seen = sweep(FC_SWEEP_FINISH, INT64_MAX, UINT64_MAX, 0);
    cr_assert_eq(seen.count, 1);
    cr_assert_eq(seen.session[0].packets, 4);
    cr_assert_eq(seen.session[0].nodes, 2);
    cr_assert_eq(fc_table_bytes(table), 0);
}

Test(table, a_folded_run_has_the_positions_in_their_order)
{
    for (unsigned i = 0; i < 5; i++)
        publish(1, i * S, 10 + 3 * ((i * 2) % 5), 1 + (i * 2) % 5);
    sweep(FC_SWEEP_FOLD, 0, 9, 0);
    struct seen seen = sweep(FC_SWEEP_FINISH, INT64_MAX, UINT64_MAX, 0);
    cr_assert_eq(seen.session[0].nodes, 1);
    cr_assert_eq(memcmp(seen.session[0].pos, (uint8_t[]){1, 5, 10, 3, 3, 3, 3}, 7), 0);
}

Test(table, runs_are_not_folded_over_what_may_end_a_session)
{
    struct fc_flow_key key = key_of(2);
    struct fc_node *syn = node_at(0, S, 2, 2), *other = node_at(0, S, 9, 2);

    publish(1, 0, 1, 1); /* a gap */
    publish(1, 181 * S, 2, 2);
    publish(2, 0, 1, 1); /* a SYN, as far as the run tells */
    syn->run.syn_dir = 0;
    publish_node(&key, syn);
    key = key_of(3); /* another capture */
    other->first_file = other->last_file = 2;
    other->pos[0] = 2;
    publish_node(&key, other);
    publish(3, 0, 1, 1);
    publish(4, 0, 1, 1); /* a fragment that a first one claims later */
    publish(4, S, 2, 0);
    uint64_t bytes = fc_table_bytes(table);
    sweep(FC_SWEEP_FOLD, 0, 9, 0);
    cr_assert_eq(fc_table_bytes(table), bytes);
    struct seen seen = sweep(FC_SWEEP_FINISH, INT64_MAX, UINT64_MAX, 0);
    cr_assert_eq(seen.count, 5); /* the SYN's sequence number is the one before */
}

Test(table, the_median_age_is_about_that)
{
    for (unsigned i = 0; i < 4000; i++)
        publish(i, i * S, i % 100, 1);
    cr_assert_gt(fc_table_median_ns(table), 1500 * S);
    cr_assert_lt(fc_table_median_ns(table), 2500 * S);
}

Test(table, a_flow_that_is_late_twice_is_listed_once)
{
    for (unsigned i = 0; i < 3; i++) {
        publish(1, 0, 1, 1);
        publish(2, 0, 2, 1);
        sweep(FC_SWEEP_FORCE, INT64_MAX, 1, 0);
    }
    size_t count;
    bool all;
    const uint64_t *list = fc_table_late(table, &count, &all);
    cr_assert_eq(count, 2);
    cr_assert_lt(list[0], list[1]);
}

Test(table, at_the_end_a_session_is_open_unless_it_has_timed_out_at_the_clock)
{
    publish(1, 0, 1, 1);
    publish(2, 1, 2, 1);
    struct seen seen = sweep(FC_SWEEP_FINISH, INT64_MAX, UINT64_MAX, 180 * S + 1);
    cr_assert_eq(seen.count, 2);
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(seen.session[i].open, seen.session[i].min_ns == 1);
}

Test(table, of_a_flow_only_the_last_session_can_be_open)
{
    publish(1, 0, 1, 1);
    publish(1, 181 * S, 2, 1);
    struct seen seen = sweep(FC_SWEEP_FINISH, INT64_MAX, UINT64_MAX, 181 * S);
    cr_assert_eq(seen.count, 2);
    cr_assert_not(seen.session[0].open);
    cr_assert(seen.session[1].open);
}

Test(table, a_shard_that_is_being_swept_refuses_another_sweep)
{
    struct fc_flow_key key = key_of(1);
    struct seen seen = {.again = true, .shard = (unsigned)(fc_table_hash(table, &key) >> 58)};
    struct fc_sink sink = {emit, &seen};

    publish(1, 0, 1, 1);
    cr_assert_eq(fc_table_sweep(table, &pool, seen.shard, FC_SWEEP_FINISH, 0, 1, 0, &join, NULL, &sink), 0);
    cr_assert_eq(seen.count, 1);
}

Test(table, what_emit_fails_with_ends_the_sweep_and_nothing_leaks)
{
    struct fc_flow_key key = key_of(1);
    struct seen seen = {.rc = FC_E_IO};
    struct fc_sink sink = {emit, &seen};

    publish(1, 0, 1, 1);
    cr_assert_eq(fc_table_sweep(table, &pool, (unsigned)(fc_table_hash(table, &key) >> 58), FC_SWEEP_FINISH, 0, 1, 0,
                                &join, NULL, &sink),
                 FC_E_IO);
}

Test(table, a_table_is_freed_with_what_is_in_it)
{
    for (unsigned i = 0; i < 500; i++)
        publish(i % 50, (int64_t)i * S, i % 100, 1);
    sweep(FC_SWEEP_EXPIRED, 1, 9, 0); /* takes runs, evicts nothing */
    publish(1, 0, 1, 1);
    cr_assert_eq(fc_table_flows(table), 50);
}
