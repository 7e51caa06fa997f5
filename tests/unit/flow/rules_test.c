/* SPDX-License-Identifier: MIT */
/* The rules of sessions one by one: timeouts, splits, states. */
#include <criterion/criterion.h>

#include "flow/run.h"

#include <string.h>

#define S 1000000000LL

static struct fc_rules rules_of(const char *profile)
{
    struct fc_rules rules;

    cr_assert_eq(fc_rules_profile(&rules, profile), 0);
    return rules;
}

static struct fc_packet tcp(unsigned dir, unsigned flags, uint32_t seq, uint32_t ack)
{
    struct fc_packet p;

    memset(&p, 0, sizeof p);
    p.got = FC_WANT_SESSION;
    p.dir = (uint8_t)dir;
    p.tcp_flags = (uint8_t)flags;
    p.tcp_seq = seq;
    p.tcp_ack = ack;
    return p;
}

static void add(struct fc_run *run, struct fc_packet p, int64_t ts)
{
    fc_run_add(run, &p, ts, 60);
}

static struct fc_run run_of(struct fc_packet p, int64_t ts)
{
    struct fc_run run;

    fc_run_init(&run);
    add(&run, p, ts);
    return run;
}

static bool splits(const struct fc_run *run, struct fc_packet p, int64_t ts)
{
    struct fc_rules rules = rules_of("flowcarve");
    struct fc_run next = run_of(p, ts);

    return fc_run_splits(&rules, 6, run, &next);
}

Test(rules, a_gap_of_the_timeout_goes_on_and_a_nanosecond_more_ends)
{
    struct fc_run run = run_of(tcp(0, FC_TCP_ACK, 5, 0), 10 * S);

    cr_assert_not(splits(&run, tcp(0, FC_TCP_ACK, 6, 0), 70 * S));
    cr_assert(splits(&run, tcp(0, FC_TCP_ACK, 6, 0), 70 * S + 1));
}

Test(rules, an_answer_gives_the_longer_timeout)
{
    struct fc_run run = run_of(tcp(0, FC_TCP_SYN, 5, 0), 0);

    add(&run, tcp(1, FC_TCP_SYN | FC_TCP_ACK, 9, 6), 1);
    cr_assert_not(splits(&run, tcp(0, FC_TCP_ACK, 6, 10), 3600 * S + 1));
    cr_assert(splits(&run, tcp(0, FC_TCP_ACK, 6, 10), 3600 * S + 2));
}

Test(rules, a_reset_gives_the_shorter_timeout)
{
    struct fc_run run = run_of(tcp(0, FC_TCP_SYN, 5, 0), 0);

    add(&run, tcp(1, FC_TCP_RST | FC_TCP_ACK, 0, 6), 0);
    cr_assert(splits(&run, tcp(0, FC_TCP_ACK, 6, 10), 61 * S));
    cr_assert_eq(fc_run_state(&run, 6), FC_STATE_RESET);
}

Test(rules, a_fin_of_both_sides_closes_and_one_does_not)
{
    struct fc_run run = run_of(tcp(0, FC_TCP_SYN, 5, 0), 0);

    add(&run, tcp(1, FC_TCP_SYN | FC_TCP_ACK, 9, 6), 0);
    add(&run, tcp(0, FC_TCP_FIN | FC_TCP_ACK, 6, 10), 0);
    cr_assert_eq(fc_run_state(&run, 6), FC_STATE_ESTABLISHED);
    add(&run, tcp(1, FC_TCP_FIN | FC_TCP_ACK, 10, 7), 0);
    cr_assert_eq(fc_run_state(&run, 6), FC_STATE_CLOSED);
    cr_assert(splits(&run, tcp(0, FC_TCP_ACK, 7, 11), 61 * S));
}

Test(rules, a_stream_without_syn_was_picked_up_in_the_middle)
{
    struct fc_run run = run_of(tcp(0, FC_TCP_ACK, 5, 0), 0);

    cr_assert_eq(fc_run_state(&run, 6), FC_STATE_MIDSTREAM);
    cr_assert(splits(&run, tcp(0, FC_TCP_ACK, 6, 0), 61 * S));
    add(&run, tcp(1, FC_TCP_ACK, 1, 6), 0);
    cr_assert_not(splits(&run, tcp(0, FC_TCP_ACK, 6, 0), 61 * S));
}

Test(rules, a_syn_with_another_number_begins_a_session_and_the_same_does_not)
{
    struct fc_run run = run_of(tcp(0, FC_TCP_SYN, 100, 0), 0);

    cr_assert_not(splits(&run, tcp(0, FC_TCP_SYN, 100, 0), 1));
    cr_assert(splits(&run, tcp(0, FC_TCP_SYN, 101, 0), 1));
}

Test(rules, the_first_packet_counts_as_one_behind_the_initial_number)
{
    struct fc_run run = run_of(tcp(0, FC_TCP_ACK, 101, 0), 0);

    cr_assert_not(splits(&run, tcp(0, FC_TCP_SYN, 100, 0), 1));
    cr_assert(splits(&run, tcp(0, FC_TCP_SYN, 101, 0), 1));
}

Test(rules, an_acknowledgement_tells_the_other_sides_number)
{
    struct fc_run run = run_of(tcp(0, FC_TCP_ACK, 1, 501), 0);

    cr_assert_not(splits(&run, tcp(1, FC_TCP_SYN, 500, 0), 1));
    cr_assert(splits(&run, tcp(1, FC_TCP_SYN, 499, 0), 1));
}

Test(rules, without_an_acknowledgement_the_other_sides_number_is_open)
{
    struct fc_run run = run_of(tcp(0, FC_TCP_SYN, 1, 501), 0);

    cr_assert_not(splits(&run, tcp(1, FC_TCP_SYN, 12345, 0), 1));
}

Test(rules, a_syn_ack_sets_the_number_anew)
{
    struct fc_run run = run_of(tcp(1, FC_TCP_ACK, 900, 1), 0);

    add(&run, tcp(1, FC_TCP_SYN | FC_TCP_ACK, 700, 1), 0);
    cr_assert_not(splits(&run, tcp(1, FC_TCP_SYN, 700, 0), 1));
    cr_assert(splits(&run, tcp(1, FC_TCP_SYN, 899, 0), 1));
}

Test(rules, the_header_of_a_fragment_sets_no_number)
{
    struct fc_packet p = tcp(0, FC_TCP_SYN, 100, 0);

    p.frag = FC_FRAG_FIRST;
    struct fc_run run = run_of(p, 0);
    cr_assert_eq(run.base_set, 0);
    cr_assert_eq(run.syn_dir, FC_NO_DIR);
    cr_assert_not(splits(&run, tcp(0, FC_TCP_SYN, 101, 0), 1));
}

Test(rules, sequence_numbers_wrap)
{
    struct fc_run run = run_of(tcp(0, FC_TCP_ACK, 0, 0), 0);

    cr_assert_not(splits(&run, tcp(0, FC_TCP_SYN, UINT32_MAX, 0), 1));
}

Test(rules, the_sender_of_a_syn_ack_is_the_server)
{
    struct fc_run synack = run_of(tcp(1, FC_TCP_SYN | FC_TCP_ACK, 1, 1), 0), syn = run_of(tcp(1, FC_TCP_SYN, 1, 1), 0);

    cr_assert_eq(fc_run_client(&synack), 0);
    cr_assert_eq(fc_run_client(&syn), 1);
}

Test(rules, a_time_that_runs_backwards_ends_nothing)
{
    struct fc_run run = run_of(tcp(0, FC_TCP_ACK, 5, 0), 100000 * S);

    cr_assert_not(splits(&run, tcp(0, FC_TCP_ACK, 6, 0), 0));
}

Test(rules, a_record_without_a_time_ends_nothing)
{
    struct fc_run run = run_of(tcp(0, FC_TCP_ACK, 5, 0), 0), none = run_of(tcp(0, FC_TCP_ACK, 5, 0), FC_TIME_NONE);

    cr_assert_not(splits(&run, tcp(0, FC_TCP_ACK, 6, 0), FC_TIME_NONE));
    cr_assert_not(splits(&none, tcp(0, FC_TCP_ACK, 6, 0), 100000 * S));
}

Test(rules, times_at_both_ends_of_the_range_do_not_overflow)
{
    struct fc_run run = run_of(tcp(0, FC_TCP_ACK, 5, 0), INT64_MIN + 1);

    cr_assert(splits(&run, tcp(0, FC_TCP_ACK, 6, 0), INT64_MAX));
}

Test(rules, a_malformed_session_has_no_timeout)
{
    struct fc_rules rules = rules_of("zeek");

    cr_assert_eq(fc_rules_min_gap_ns(&rules, FC_PROTO_MALFORMED), FC_NEVER);
}

Test(rules, the_smallest_gap_is_no_larger_than_any_timeout)
{
    static const uint32_t protos[] = {1, 6, 17, 58, 132, 136, 47, FC_PROTO_ARP};
    static const char *const names[] = {"flowcarve", "wireshark", "zeek", "suricata", "arkime", "yaf"};

    for (size_t n = 0; n < 6; n++) {
        struct fc_rules rules = rules_of(names[n]);
        for (size_t i = 0; i < sizeof protos / sizeof protos[0]; i++)
            for (int state = FC_STATE_NEW; state <= FC_STATE_RESET; state++)
                cr_assert_leq(fc_rules_min_gap_ns(&rules, protos[i]),
                              fc_rules_timeout_ns(&rules, protos[i], (enum fc_state)state));
    }
}

Test(rules, wireshark_has_no_timeout_at_all)
{
    struct fc_rules rules = rules_of("wireshark");

    for (int i = 0; i < FC_TIMEOUT_COUNT; i++)
        cr_assert_eq(rules.timeout_ns[i], FC_NEVER);
}

Test(rules, an_unknown_profile_is_refused)
{
    struct fc_rules rules;

    cr_assert_eq(fc_rules_profile(&rules, "nfdump"), FC_E_USAGE);
}

Test(rules, a_list_of_timeouts_changes_those_named)
{
    struct fc_rules rules = rules_of("flowcarve");

    cr_assert_eq(fc_rules_timeout(&rules, "udp=1.5,tcp-closed=never,active=10", NULL), 0);
    cr_assert_eq(rules.timeout_ns[FC_TIMEOUT_UDP], 3 * S / 2);
    cr_assert_eq(rules.timeout_ns[FC_TIMEOUT_UDP_NEW], 3 * S / 2);
    cr_assert_eq(rules.timeout_ns[FC_TIMEOUT_TCP_CLOSED], FC_NEVER);
    cr_assert_eq(rules.timeout_ns[FC_TIMEOUT_ACTIVE], 10 * S);
    cr_assert_eq(rules.timeout_ns[FC_TIMEOUT_ICMP], 60 * S);
}

Test(rules, a_wrong_list_of_timeouts_is_refused_with_its_cause)
{
    static const char *const wrong[] = {
        "udp",     "udp=",     "udp=x", "udp=-1", "udp=1x",
        "udp=nan", "udp=1e99", "ftp=3", "=3",     "udp=11111111111111111111111111111111111111111111"};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct fc_rules rules = rules_of("flowcarve");
        struct fc_error err = {0};
        cr_assert_eq(fc_rules_timeout(&rules, wrong[i], &err), FC_E_USAGE, "%s", wrong[i]);
        cr_assert_neq(err.cause[0], '\0');
    }
}
