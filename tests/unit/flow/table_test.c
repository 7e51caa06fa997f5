/* SPDX-License-Identifier: MIT */
/* When flows leave the table, what it keeps of them, and sessions of the index. */
#include <criterion/criterion.h>

#include "base/error.h"
#include "bed.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

static struct bed b;

static void udp(unsigned flow, unsigned dir, int64_t ts)
{
    struct fc_packet p = bed_packet(flow, 17, dir);

    bed_add(&b, &p, ts);
}

static uint64_t packets_of(size_t i)
{
    return b.s[i].e.session.packets[0] + b.s[i].e.session.packets[1];
}

static struct fc_session_sum sum_of(int64_t first, int64_t last, uint64_t packets)
{
    return (struct fc_session_sum){.first_ns = first,
                                   .last_ns = last,
                                   .min_ns = first,
                                   .max_ns = last,
                                   .packets = {packets, 0},
                                   .bytes = {60 * packets, 0}};
}

Test(table, a_flow_stays_for_its_timeout_and_leaves_a_sixteenth_later_at_the_latest)
{
    bed_make(&b, "flowcarve", "udp=160");
    udp(1, 0, 0);
    cr_assert_eq(bed_advance(&b, 160 * S), 0);
    cr_assert_eq(b.count, 0);
    cr_assert_eq(fc_table_flows(b.table), 1);
    cr_assert_eq(bed_advance(&b, 171 * S), 0);
    cr_assert_eq(b.count, 1);
    cr_assert(b.s[0].e.last);
    cr_assert_eq(fc_table_flows(b.table), 0);
    bed_free(&b);
}

Test(table, a_packet_at_the_timeout_goes_on_and_one_behind_begins_another_session)
{
    bed_make(&b, "flowcarve", "udp=160");
    udp(1, 0, 0);
    bed_advance(&b, 160 * S);
    udp(1, 0, 160 * S);
    bed_advance(&b, 300 * S);
    udp(1, 0, 320 * S + 1);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(b.count, 2);
    cr_assert_eq(packets_of(0), 2);
    cr_assert_not(b.s[0].e.last);
    cr_assert(b.s[1].e.last);
    bed_free(&b);
}

Test(table, a_flow_that_has_packets_all_the_time_stays_and_leaves_when_it_has_none)
{
    bed_make(&b, "flowcarve", "udp=16");
    for (int i = 0; i < 200; i++) {
        udp(1, 0, i * 10 * S);
        bed_advance(&b, i * 10 * S + 9 * S);
    }
    cr_assert_eq(b.count, 0);
    bed_advance(&b, 2020 * S);
    cr_assert_eq(b.count, 1);
    bed_free(&b);
}

Test(table, a_reset_lets_a_flow_leave_by_the_shorter_timeout)
{
    struct fc_packet ack = bed_tcp(0, FC_TCP_ACK, 5, 5), rst = bed_tcp(0, FC_TCP_RST, 6, 0);

    bed_make(&b, "flowcarve", "");
    bed_add(&b, &ack, 0);
    bed_advance(&b, 1000 * S);
    cr_assert_eq(b.count, 0);
    bed_add(&b, &rst, 1000 * S);
    bed_advance(&b, 1065 * S);
    cr_assert_eq(b.count, 1);
    bed_free(&b);
}

Test(table, an_answer_lets_a_flow_stay_for_the_longer_timeout)
{
    struct fc_packet syn = bed_tcp(0, FC_TCP_SYN, 5, 0), ack = bed_tcp(1, FC_TCP_SYN | FC_TCP_ACK, 8, 6);

    bed_make(&b, "flowcarve", "");
    bed_add(&b, &syn, 0);
    bed_add(&b, &ack, 1 * S);
    bed_advance(&b, 3600 * S);
    cr_assert_eq(b.count, 0);
    bed_advance(&b, 3900 * S);
    cr_assert_eq(b.count, 1);
    bed_free(&b);
}

Test(table, a_timeout_of_zero_ends_a_session_a_nanosecond_later)
{
    bed_make(&b, "flowcarve", "udp=0");
    udp(1, 0, 5);
    udp(1, 0, 5);
    udp(1, 0, 6);
    bed_advance(&b, 7);
    cr_assert_eq(b.count, 2);
    cr_assert_eq(packets_of(0), 2);
    cr_assert_eq(packets_of(1), 1);
    cr_assert_eq(fc_table_flows(b.table), 0);
    bed_free(&b);
}

Test(table, a_timeout_of_a_nanosecond_is_kept_to_the_nanosecond)
{
    bed_make(&b, "flowcarve", "udp=0.000000001");
    udp(1, 0, 5);
    udp(1, 0, 6);
    udp(1, 0, 8);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(b.count, 2);
    cr_assert_eq(packets_of(0), 2);
    bed_free(&b);
}

Test(table, without_a_timeout_a_flow_leaves_at_the_end)
{
    bed_make(&b, "wireshark", "");
    udp(1, 0, -1000000 * S);
    bed_advance(&b, INT64_MAX - 1);
    cr_assert_eq(b.count, 0);
    udp(1, 0, INT64_MAX - 1);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(b.count, 1);
    cr_assert_eq(packets_of(0), 2);
    bed_free(&b);
}

Test(table, times_at_both_ends_of_the_range_are_measured)
{
    static const char *const timeouts[] = {"udp=0", "udp=1", "udp=1000000000", "udp=never"};
    static const size_t sessions[] = {6, 4, 4, 2};

    for (size_t i = 0; i < 4; i++) {
        bed_make(&b, "flowcarve", timeouts[i]);
        udp(1, 0, INT64_MIN + 1);
        bed_advance(&b, INT64_MIN + 2);
        udp(1, 0, INT64_MIN + 2);
        bed_advance(&b, -1);
        udp(2, 0, 0);
        udp(1, 0, INT64_MAX - 3);
        bed_advance(&b, INT64_MAX - 2);
        udp(1, 1, INT64_MAX - 2);
        bed_advance(&b, INT64_MAX - 1);
        udp(2, 0, INT64_MAX - 1);
        cr_assert_eq(bed_finish(&b), 0);
        cr_assert_eq(b.count, sessions[i], "%s: %zu", timeouts[i], b.count);
        cr_assert_eq(b.packets, 6);
        bed_free(&b);
    }
}

Test(table, flows_that_leave_make_room_for_others)
{
    uint64_t most = 0, bytes = 0;

    bed_make(&b, "flowcarve", "udp=1");
    for (unsigned i = 0; i < 60000; i++) {
        udp(i, 0, i * (S / 1000));
        if (i % 500)
            continue;
        bed_advance(&b, i * (S / 1000));
        fc_reclaim_wait(&b.table->reclaim); /* as a grace period ends in its time on a machine that has some */
        most = fc_table_flows(b.table) > most ? fc_table_flows(b.table) : most;
        if (i == 20000)
            bytes = fc_table_bytes(b.table);
    }
    cr_assert_lt(most, 2000);
    cr_assert_lt(fc_table_bytes(b.table), 2 * bytes);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(b.count, 60000);
    cr_assert_eq(b.packets, 60000);
    bed_free(&b);
}

Test(table, memory_is_what_it_was_though_flows_come_and_go_for_long)
{
    uint64_t bytes = 0;

    bed_make(&b, "flowcarve", "udp=0.1");
    for (unsigned i = 0; i <= 300000; i++) {
        udp(i, 0, i * (S / 10000));
        if (i % 1000)
            continue;
        bed_advance(&b, i * (S / 10000));
        fc_reclaim_wait(&b.table->reclaim); /* so that what is reclaimed meanwhile does not go by the machine */
        if (i == 100000)
            bytes = fc_table_bytes(b.table);
    }
    cr_assert_lt(fc_table_bytes(b.table), bytes + bytes / 8, "%llu bytes, and %llu in the end",
                 (unsigned long long)bytes, (unsigned long long)fc_table_bytes(b.table));
    bed_free(&b);
}

Test(table, a_flow_is_found_from_outside_while_it_is_there)
{
    struct fc_flow_key one = bed_key(1, 17), other = bed_key(2, 17);
    struct fc_glimpse glimpse;

    bed_make(&b, "flowcarve", "");
    cr_assert_not(fc_table_find(b.table, &one, &glimpse));
    udp(1, 0, 5);
    udp(1, 1, 7);
    udp(1, 1, 9);
    bed_advance(&b, 10);
    cr_assert(fc_table_find(b.table, &one, &glimpse));
    cr_assert(glimpse.packets[0] == 1 && glimpse.packets[1] == 2 && glimpse.bytes[1] == 120 && glimpse.last_ns == 9);
    cr_assert_not(fc_table_find(b.table, &other, &glimpse));
    bed_advance(&b, 1000 * S);
    cr_assert_not(fc_table_find(b.table, &one, &glimpse));
    bed_free(&b);
}

Test(table, all_flows_are_found_while_the_index_grows_and_some_leave)
{
    enum { FLOWS = 30000, STEP = 3000 };
    struct fc_glimpse glimpse;

    bed_make(&b, "flowcarve", "udp=never,sctp=10");
    for (unsigned i = 0; i < FLOWS; i++) {
        struct fc_packet p = bed_packet(i, i % 3 ? 17 : 132, 0);
        bed_add(&b, &p, i * S / 10);
        if (i % STEP == STEP - 1)
            bed_advance(&b, i * S / 10);
    }
    bed_advance(&b, FLOWS * S);
    for (unsigned i = 0; i < FLOWS; i++) {
        struct fc_flow_key key = bed_key(i, i % 3 ? 17 : 132);
        cr_assert_eq(fc_table_find(b.table, &key, &glimpse), i % 3 != 0, "flow %u", i);
    }
    bed_free(&b);
}

/* Keys that are not short: only a whole key tells them apart. */
Test(table, flows_of_ipv6_and_of_domains_are_kept_apart)
{
    struct fc_packet p = bed_packet(1, 17, 0);
    struct fc_glimpse glimpse;

    bed_make(&b, "flowcarve", "");
    p.key.addr_kind = FC_ADDR_IPV6;
    for (unsigned i = 0; i < 1000; i++) {
        p.key.addr[1][14] = (uint8_t)(i / 256);
        p.key.addr[1][15] = (uint8_t)i;
        bed_add(&b, &p, i);
        bed_add(&b, &p, i);
    }
    struct fc_packet q = bed_packet(1, 17, 0);
    for (unsigned i = 0; i < 100; i++) {
        q.key.domain = i;
        bed_add(&b, &q, 1000);
    }
    bed_advance(&b, 2000);
    cr_assert(fc_table_find(b.table, &p.key, &glimpse) && glimpse.packets[0] == 2);
    q.key.domain = 50;
    cr_assert(fc_table_find(b.table, &q.key, &glimpse) && glimpse.packets[0] == 1);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(b.count, 1100);
    bed_free(&b);
}

Test(table, positions_are_told_by_file_and_offset_though_captures_alternate)
{
    static const uint32_t files[] = {1, 1, 2, 2, 2};
    static const uint64_t offs[] = {10, 20, 10, 20, 30};

    bed_make(&b, "flowcarve", "");
    bed_file(&b, 2);
    udp(1, 0, 1);
    udp(1, 0, 3);
    udp(1, 0, 5);
    bed_file(&b, 1);
    udp(1, 0, 2);
    udp(1, 0, 4);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(b.count, 1);
    cr_assert_eq(b.s[0].e.first_file, 2);
    cr_assert_eq(b.s[0].e.first_off, 10);
    cr_assert_eq(b.s[0].positions, 5);
    cr_assert_eq(memcmp(b.s[0].file, files, sizeof files), 0);
    cr_assert_eq(memcmp(b.s[0].off, offs, sizeof offs), 0);
    bed_free(&b);
}

Test(table, a_long_session_keeps_all_its_positions)
{
    bed_make(&b, "flowcarve", "");
    for (unsigned i = 0; i < 100000; i++) {
        udp(1, i & 1, i);
        b.off += i % 7 * 1000;
        if (i % 1000 == 0)
            bed_advance(&b, i);
    }
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(b.count, 1);
    cr_assert_eq(b.s[0].e.pos_plain, true);
    cr_assert_eq(packets_of(0), 100000);
    bed_free(&b);
}

Test(table, start_and_end_are_times_as_captured)
{
    bed_make(&b, "flowcarve", "");
    udp(1, 0, 50);
    udp(1, 0, 7); /* behind: counts as 50 */
    udp(1, 0, FC_TIME_NONE);
    udp(1, 0, 60);
    udp(1, 0, 55);
    cr_assert_eq(bed_finish(&b), 0);
    const struct fc_session_sum *s = &b.s[0].e.session;
    cr_assert(s->first_ns == 50 && s->last_ns == 60 && s->min_ns == 7 && s->max_ns == 60);
    bed_free(&b);
}

Test(table, a_session_that_begins_without_a_time_starts_at_the_first_that_has_one)
{
    bed_make(&b, "flowcarve", "");
    udp(1, 0, FC_TIME_NONE);
    udp(2, 0, FC_TIME_NONE);
    udp(1, 0, 1000 * S);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(b.count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct fc_session_sum *s = &b.s[i].e.session;
        cr_assert_eq(s->first_ns, FC_TIME_NONE);
        cr_assert_eq(s->min_ns, packets_of(i) == 2 ? 1000 * S : FC_TIME_NONE);
        cr_assert_eq(s->max_ns, packets_of(i) == 2 ? 1000 * S : FC_TIME_NONE);
    }
    bed_free(&b);
}

/* ---- sessions of the index */

Test(table, a_session_of_the_index_goes_on_with_its_id)
{
    struct fc_flow_key key = bed_key(1, 17);
    struct fc_session_sum sum = sum_of(5 * S, 9 * S, 3);

    bed_make(&b, "flowcarve", "");
    sum.min_ns = 4 * S;
    bed_prior(&b, &key, 7, &sum);
    udp(1, 1, 20 * S);
    udp(1, 0, 21 * S);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(b.count, 1);
    const struct bed_session *s = &b.s[0];
    cr_assert_eq(s->e.id, 7);
    cr_assert_eq(s->e.prior_packets, 3);
    cr_assert(s->e.session.packets[0] == 4 && s->e.session.packets[1] == 1 && s->e.session.bytes[0] == 240);
    cr_assert(s->e.session.first_ns == 5 * S && s->e.session.last_ns == 21 * S && s->e.session.min_ns == 4 * S);
    cr_assert(s->positions == 2 && s->file[0] == 1 && s->off[0] == 10 && s->off[1] == 20);
    bed_free(&b);
}

Test(table, a_session_of_the_index_that_nothing_continues_comes_back_as_it_was)
{
    struct fc_flow_key key = bed_key(1, 17);
    struct fc_session_sum sum = sum_of(5 * S, 9 * S, 3);

    bed_make(&b, "flowcarve", "");
    bed_prior(&b, &key, 7, &sum);
    udp(2, 0, 10 * S);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(b.count, 2);
    const struct bed_session *s = &b.s[b.s[0].e.id ? 0 : 1];
    cr_assert(s->e.id == 7 && s->e.pos_len == 0 && s->e.last);
    cr_assert(s->e.session.packets[0] == 3 && s->e.session.max_ns == 9 * S);
    bed_free(&b);
}

Test(table, a_session_of_the_index_that_has_timed_out_is_left_to_itself)
{
    struct fc_flow_key key = bed_key(1, 17);
    struct fc_session_sum sum = sum_of(5 * S, 9 * S, 3);

    bed_make(&b, "flowcarve", "udp=10");
    bed_prior(&b, &key, 7, &sum);
    udp(1, 0, 19 * S + 1);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(b.count, 2);
    cr_assert(b.s[0].e.id == 7 && b.s[0].e.pos_len == 0 && !b.s[0].e.last);
    cr_assert(b.s[1].e.id == 0 && packets_of(1) == 1 && b.s[1].e.last);
    bed_free(&b);
}

/* A capture that is older is added. */
Test(table, packets_in_front_of_a_session_of_the_index_become_part_of_it)
{
    struct fc_flow_key key = bed_key(1, 17);
    struct fc_session_sum sum = sum_of(5 * S, 9 * S, 3);

    bed_make(&b, "flowcarve", "");
    udp(1, 1, 3 * S);
    udp(1, 1, 4 * S);
    udp(1, 1, 6 * S);
    bed_prior(&b, &key, 7, &sum);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(b.count, 1);
    const struct bed_session *s = &b.s[0];
    cr_assert(s->e.id == 7 && s->e.prior_packets == 3);
    cr_assert(s->e.session.packets[0] == 3 && s->e.session.packets[1] == 3);
    cr_assert(s->e.session.first_ns == 3 * S && s->e.session.last_ns == 9 * S);
    cr_assert(s->e.session.min_ns == 3 * S && s->e.session.max_ns == 9 * S);
    cr_assert(s->positions == 3 && s->off[0] == 10 && s->off[1] == 20 && s->off[2] == 30);
    bed_free(&b);
}

Test(table, two_sessions_of_the_index_stay_two)
{
    struct fc_flow_key key = bed_key(1, 17);
    struct fc_session_sum one = sum_of(5 * S, 9 * S, 3), two = sum_of(10 * S, 11 * S, 4);

    bed_make(&b, "flowcarve", "");
    bed_prior(&b, &key, 7, &one);
    bed_prior(&b, &key, 8, &two);
    udp(1, 0, 12 * S);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(b.count, 2);
    cr_assert(b.s[0].e.id == 7 && packets_of(0) == 3);
    cr_assert(b.s[1].e.id == 8 && packets_of(1) == 5);
    bed_free(&b);
}

Test(table, a_session_of_the_index_with_another_base_is_another_one)
{
    struct fc_flow_key key = bed_key(1, 6);
    struct fc_packet syn = bed_tcp(0, FC_TCP_SYN, 100, 0);
    struct fc_session_sum sum = sum_of(5 * S, 9 * S, 3);

    bed_make(&b, "flowcarve", "");
    sum.base_set = 1;
    sum.base[0] = 101;
    bed_add(&b, &syn, 4 * S);
    bed_prior(&b, &key, 7, &sum);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(b.count, 2);
    cr_assert(b.s[0].e.id == 0 && packets_of(0) == 1);
    bed_free(&b);
}

Test(table, a_syn_with_another_number_ends_a_session_of_the_index)
{
    struct fc_flow_key key = bed_key(1, 6);
    struct fc_packet same = bed_tcp(0, FC_TCP_SYN, 100, 0), other = bed_tcp(0, FC_TCP_SYN, 101, 0);
    struct fc_session_sum sum = sum_of(5 * S, 9 * S, 3);

    bed_make(&b, "flowcarve", "");
    sum.base_set = 1;
    sum.base[0] = 100;
    bed_prior(&b, &key, 7, &sum);
    bed_add(&b, &same, 10 * S);
    bed_add(&b, &other, 11 * S);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(b.count, 2);
    cr_assert(b.s[0].e.id == 7 && packets_of(0) == 4);
    bed_free(&b);
}

Test(table, packets_are_counted_beyond_32_bits)
{
    struct fc_flow_key key = bed_key(1, 17);
    struct fc_session_sum sum = sum_of(5 * S, 9 * S, UINT32_MAX);

    bed_make(&b, "flowcarve", "");
    bed_prior(&b, &key, 7, &sum);
    udp(1, 0, 10 * S);
    udp(1, 0, 10 * S);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(packets_of(0), (uint64_t)UINT32_MAX + 2);
    bed_free(&b);
}

/* ---- suspended partitions */

Test(table, suspended_partitions_give_the_same_sessions_in_the_end)
{
    struct fc_flow_key key = bed_key(1, 17);
    struct fc_session_sum sum = sum_of(5 * S, 9 * S, 3);
    struct fc_glimpse glimpse;

    bed_make(&b, "flowcarve", "udp=60");
    bed_prior(&b, &key, 7, &sum);
    for (unsigned i = 0; i < 40; i++) /* longer than what a flow has inside */
        udp(2, i & 1, 10 * S + i);
    bed_advance(&b, 11 * S);
    cr_assert_eq(bed_suspend(&b), 0);
    cr_assert_eq(bed_suspend(&b), 0); /* once more does nothing */
    cr_assert_eq(fc_table_flows(b.table), 0);
    cr_assert_not(fc_table_find(b.table, &key, &glimpse));
    udp(1, 0, 12 * S);
    udp(2, 0, 13 * S);
    udp(3, 0, 14 * S);
    bed_advance(&b, 1000 * S);
    udp(2, 0, 1000 * S);
    udp(2, 0, FC_TIME_NONE);
    cr_assert_eq(b.count, 0);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(b.count, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct bed_session *s = &b.s[i];
        if (s->e.id == 7)
            cr_assert(packets_of(i) == 4 && s->positions == 1);
        else if (s->e.key.port[0] == 2 && s->e.first_off == 10)
            cr_assert(packets_of(i) == 41 && s->e.session.packets[1] == 20 && s->off[15] == 160);
        else
            cr_assert_eq(packets_of(i), s->e.key.port[0] == 2 ? 2 : 1);
    }
    bed_free(&b);
}

/* ---- sessions of the index that are asked for */

struct answer {
    struct fc_prior prior; /* of flow 1 */
    unsigned asked;
    int rc;
};

static int answer(void *ctx, const struct fc_flow_key *key, struct fc_prior *prior, struct fc_error *err)
{
    struct answer *a = ctx;
    struct fc_flow_key one = bed_key(1, 17);

    a->asked++;
    if (a->rc < 0)
        return fc_error_set(err, a->rc, NULL, FC_NO_OFFSET, "cannot be read");
    if (memcmp(key, &one, sizeof one) != 0 || a->rc == 0)
        return 0;
    *prior = a->prior;
    return a->rc--;
}

static void ask_by(struct answer *a, const char *timeouts)
{
    *a = (struct answer){.prior = {sum_of(5 * S, 9 * S, 3), 7}, .rc = 1};
    bed_make(&b, "flowcarve", timeouts);
    fc_table_recall_by(b.table, &(struct fc_recaller){answer, a});
}

Test(table, a_session_of_the_index_is_asked_for_when_its_first_packet_comes)
{
    struct answer a;

    ask_by(&a, "");
    udp(2, 0, 20 * S);
    udp(1, 1, 20 * S);
    udp(1, 0, 21 * S);
    udp(2, 0, 22 * S);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert(b.count == 2 && a.asked == 2);
    const struct bed_session *s = &b.s[b.s[0].e.id ? 0 : 1];
    cr_assert(s->e.id == 7 && s->e.prior_packets == 3 && s->e.last);
    cr_assert(s->e.session.packets[0] == 4 && s->e.session.packets[1] == 1 && s->e.session.bytes[0] == 240);
    cr_assert(s->e.session.first_ns == 5 * S && s->e.session.last_ns == 21 * S);
    cr_assert(s->positions == 2 && s->off[0] == 20 && s->off[1] == 30);
    bed_free(&b);
}

Test(table, a_session_that_is_asked_for_in_vain_comes_back_as_it_was)
{
    struct answer a;

    ask_by(&a, "udp=10");
    udp(1, 0, 19 * S + 1);
    cr_assert_eq(bed_advance(&b, 100 * S), 0);
    udp(1, 0, 100 * S);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert(b.count == 3 && a.asked == 2);
    cr_assert(b.s[0].e.id == 7 && b.s[0].e.pos_len == 0 && !b.s[0].e.last && packets_of(0) == 3);
    cr_assert(b.s[1].e.id == 0 && packets_of(1) == 1 && b.s[1].e.last);
    cr_assert(b.s[2].e.id == 0 && packets_of(2) == 1 && b.s[2].e.last);
    bed_free(&b);
}

Test(table, a_suspended_partition_asks_when_it_is_resumed)
{
    struct answer a;

    ask_by(&a, "");
    udp(2, 0, 20 * S);
    cr_assert_eq(bed_advance(&b, 20 * S + 1), 0);
    cr_assert_eq(bed_suspend(&b), 0);
    udp(1, 1, 21 * S);
    udp(1, 1, 22 * S);
    cr_assert_eq(bed_advance(&b, 30 * S), 0);
    cr_assert_eq(a.asked, 1);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert(b.count == 2 && a.asked == 2);
    const struct bed_session *s = &b.s[b.s[0].e.id ? 0 : 1];
    cr_assert(s->e.id == 7 && s->e.session.packets[1] == 2 && s->positions == 2);
    bed_free(&b);
}

Test(table, what_cannot_be_asked_for_ends_the_advance)
{
    struct answer a;

    ask_by(&a, "");
    a.rc = FC_E_DB;
    udp(1, 0, 20 * S);
    cr_assert_eq(bed_finish(&b), FC_E_DB);
    cr_assert_eq(b.a.err.code, FC_E_DB);
    bed_free(&b);
}

Test(table, a_folder_that_is_not_there_is_told_when_a_partition_is_suspended)
{
    struct fc_shelf shelf;

    bed_make(&b, "flowcarve", "");
    struct fc_table *table = fc_table_new(&b.rules, false, "/nowhere/at/all");
    struct fc_unit *unit = fc_unit_new(fc_table_stock(table));
    struct fc_advancer a = {.sink = b.a.sink};
    struct fc_packet p = bed_packet(1, 17, 0);
    struct fc_place end = {INT64_MAX - 1, 0, 0, 0};
    int rc = 0;
    fc_shelf_init(&shelf, fc_table_stock(table));
    a.shelf = shelf;
    cr_assert_eq(fc_unit_begin(unit, 1, 10), 0);
    for (unsigned i = 0; i < 3000; i++) /* more than a buffer */
        cr_assert_eq(fc_unit_add(unit, &a.shelf, &p, 10 + i, INT64_MAX - 10, 60, fc_table_seed(table), false), 0);
    for (unsigned i = 0; i < FC_PARTITIONS; i++)
        cr_assert_eq(fc_table_suspend(table, i, &a), 0);
    fc_table_hand_over(table, unit, &a.shelf);
    for (unsigned i = 0; i < FC_PARTITIONS && rc == 0; i++)
        rc = fc_table_advance(table, i, &end, &a);
    cr_assert_eq(rc, FC_E_IO);
    cr_assert_eq(a.err.code, FC_E_IO);
    fc_shelf_fini(&a.shelf);
    fc_table_free(table);
    bed_free(&b);
}

/* ---- owners, failures, memory */

Test(table, a_partition_that_is_being_advanced_refuses_another)
{
    bed_make(&b, "flowcarve", "");
    b.again = true;
    udp(1, 0, 0);
    bed_advance(&b, 1000 * S);
    cr_assert_eq(b.count, 1);
    cr_assert_eq(b.again_rc, 0);
    bed_free(&b);
}

Test(table, what_the_sink_fails_with_ends_the_advance_and_nothing_leaks)
{
    bed_make(&b, "flowcarve", "");
    b.rc = FC_E_IO;
    udp(1, 0, 0);
    udp(2, 0, 0);
    udp(1, 0, 500 * S);
    cr_assert_eq(bed_advance(&b, 1000 * S), FC_E_IO);
    bed_free(&b);
}

Test(table, a_table_is_freed_with_what_is_in_it)
{
    bed_make(&b, "flowcarve", "");
    for (unsigned i = 0; i < 500; i++)
        udp(i % 50, 0, i * S);
    bed_advance(&b, 100 * S); /* flows, and lanes that go on */
    bed_file(&b, 2);
    udp(1, 0, 1000 * S);
    bed_hand_over(&b); /* a queue */
    udp(2, 0, 1000 * S);
    bed_free(&b);
}

Test(table, notes_that_were_taken_give_their_memory_back)
{
    bed_make(&b, "flowcarve", "");
    uint64_t before = fc_stock_bytes(fc_table_stock(b.table));
    for (unsigned i = 0; i < 50000; i++)
        udp(i % 50, 0, i);
    bed_hand_over(&b);
    cr_assert_gt(fc_stock_bytes(fc_table_stock(b.table)), before + 50000 * sizeof(struct fc_note));
    cr_assert_eq(bed_finish(&b), 0);
    fc_shelf_fini(&b.a.shelf);
    cr_assert_eq(fc_stock_bytes(fc_table_stock(b.table)), before);
    fc_shelf_init(&b.a.shelf, fc_table_stock(b.table));
    bed_free(&b);
}

/* A hand-over that stops between its two stores. */
struct halfway {
    struct cds_wfcq_node *before;
    struct fc_part *part;
};

static struct halfway hand_over_half(struct fc_unit *unit)
{
    unsigned i = 0;

    while (!unit->parts[i].first)
        i++;
    atomic_store(&unit->left, 1);
    cds_wfcq_node_init(&unit->parts[i].node);
    return (struct halfway){uatomic_xchg(&b.table->partitions[i].tail.p, &unit->parts[i].node), &unit->parts[i]};
}

static void *go_on_later(void *arg)
{
    struct halfway *h = arg;

    usleep(30000);
    __atomic_store_n(&h->before->next, &h->part->node, __ATOMIC_RELEASE);
    return NULL;
}

Test(table, a_hand_over_that_is_on_its_way_hides_no_unit_that_the_limit_has_passed)
{
    pthread_t thread;

    bed_make(&b, "flowcarve", "udp=160");
    udp(1, 0, 0);
    bed_hand_over(&b);
    udp(1, 0, 1000 * S); /* behind it in the same queue */
    struct halfway h = hand_over_half(b.unit);
    b.unit = NULL;
    cr_assert_eq(pthread_create(&thread, NULL, go_on_later, &h), 0);
    cr_assert_eq(bed_advance(&b, 500 * S), 0);
    cr_expect_eq(b.count, 1, "a packet before the limit was left in the queue");
    pthread_join(thread, NULL);
    cr_assert_eq(bed_finish(&b), 0);
    cr_assert_eq(b.count, 2);
    bed_free(&b);
}
