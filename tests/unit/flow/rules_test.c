/* SPDX-License-Identifier: MIT */
/* The rules of sessions one by one: timeouts, what begins a session, states. */
#include <criterion/criterion.h>

#include "bed.h"

#include <string.h>

static struct bed b;

/* Packets of one flow and their times go in; *sessions: as many come out, in their order. */
struct event {
    struct fc_packet packet;
    int64_t ts;
};

static size_t run_with(const char *profile, const char *timeouts, const struct event *events, size_t n)
{
    bed_make(&b, profile, timeouts);
    for (size_t i = 0; i < n; i++)
        bed_add(&b, &events[i].packet, events[i].ts);
    cr_assert_eq(bed_finish(&b), 0);
    bed_free(&b);
    return b.count;
}
#define RUN(...)                                                                                                       \
    run_with("flowcarve", "", (const struct event[]){__VA_ARGS__},                                                     \
             sizeof((const struct event[]){__VA_ARGS__}) / sizeof(struct event))
#define TCP(dir, flags, seq, ack, ts)                                                                                  \
    {                                                                                                                  \
        bed_tcp(dir, flags, seq, ack), ts                                                                              \
    }
enum { SYN = FC_TCP_SYN, ACK = FC_TCP_ACK, FIN = FC_TCP_FIN, RST = FC_TCP_RST };

static enum fc_state state_of(size_t i)
{
    return fc_session_state(&b.s[i].e.session, b.s[i].e.key.proto);
}

Test(rules, a_gap_of_the_timeout_goes_on_and_a_nanosecond_more_ends)
{
    cr_assert_eq(RUN(TCP(0, SYN, 5, 0, 10 * S), TCP(0, SYN, 5, 0, 70 * S)), 1);
    cr_assert_eq(RUN(TCP(0, SYN, 5, 0, 10 * S), TCP(0, SYN, 5, 0, 70 * S + 1)), 2);
}

Test(rules, an_answer_gives_the_longer_timeout)
{
    cr_assert_eq(RUN(TCP(0, SYN, 5, 0, 0), TCP(1, SYN | ACK, 9, 6, 1), TCP(0, 0, 6, 0, 3600 * S + 1)), 1);
    cr_assert_eq(RUN(TCP(0, SYN, 5, 0, 0), TCP(1, SYN | ACK, 9, 6, 1), TCP(0, 0, 6, 0, 3600 * S + 2)), 2);
}

Test(rules, an_acknowledgement_proves_the_answer_though_one_side_alone_is_seen)
{
    cr_assert_eq(RUN(TCP(0, SYN, 5, 0, 0), TCP(0, ACK, 6, 10, 1), TCP(0, 0, 6, 0, 3600 * S + 1)), 1);
    cr_assert_eq(state_of(0), FC_STATE_ESTABLISHED);
}

Test(rules, packets_of_one_side_without_an_acknowledgement_have_the_short_timeout)
{
    cr_assert_eq(RUN(TCP(0, 0, 5, 0, 0), TCP(0, 0, 6, 0, 61 * S)), 2);
    cr_assert_eq(RUN(TCP(0, 0, 5, 0, 0), TCP(1, 0, 6, 0, 0), TCP(0, 0, 6, 0, 61 * S)), 1);
}

Test(rules, a_reset_gives_the_shorter_timeout)
{
    cr_assert_eq(RUN(TCP(0, SYN, 5, 0, 0), TCP(1, RST | ACK, 0, 6, 0), TCP(0, ACK, 6, 10, 61 * S)), 2);
    cr_assert_eq(state_of(0), FC_STATE_RESET);
}

Test(rules, a_fin_of_both_sides_closes_and_one_does_not)
{
    cr_assert_eq(
        RUN(TCP(0, SYN, 5, 0, 0), TCP(1, SYN | ACK, 9, 6, 0), TCP(0, FIN | ACK, 6, 10, 0), TCP(1, ACK, 10, 7, 61 * S)),
        1);
    cr_assert_eq(state_of(0), FC_STATE_ESTABLISHED);
    cr_assert_eq(RUN(TCP(0, SYN, 5, 0, 0), TCP(1, SYN | ACK, 9, 6, 0), TCP(0, FIN | ACK, 6, 10, 0),
                     TCP(1, FIN | ACK, 10, 7, 0), TCP(0, ACK, 7, 11, 61 * S)),
                 2);
    cr_assert_eq(state_of(0), FC_STATE_CLOSED);
}

Test(rules, a_stream_without_syn_was_picked_up_in_the_middle)
{
    cr_assert_eq(RUN(TCP(0, ACK, 5, 9, 0), TCP(1, ACK, 9, 6, 0)), 1);
    cr_assert_eq(state_of(0), FC_STATE_MIDSTREAM);
}

Test(rules, a_syn_without_an_answer_is_new)
{
    cr_assert_eq(RUN(TCP(0, SYN, 5, 0, 0), TCP(0, SYN, 5, 0, 1)), 1);
    cr_assert_eq(state_of(0), FC_STATE_NEW);
}

Test(rules, a_syn_with_another_number_begins_a_session_and_the_same_does_not)
{
    cr_assert_eq(RUN(TCP(0, SYN, 100, 0, 0), TCP(0, SYN, 100, 0, 1)), 1);
    cr_assert_eq(RUN(TCP(0, SYN, 100, 0, 0), TCP(0, SYN, 101, 0, 1)), 2);
}

Test(rules, a_syn_ack_with_another_number_goes_on)
{
    cr_assert_eq(RUN(TCP(0, SYN, 100, 0, 0), TCP(1, SYN | ACK, 7, 101, 1), TCP(1, SYN | ACK, 8, 101, 1)), 1);
}

Test(rules, the_first_packet_counts_as_one_behind_the_initial_number)
{
    cr_assert_eq(RUN(TCP(0, ACK, 101, 0, 0), TCP(0, SYN, 100, 0, 1)), 1);
    cr_assert_eq(RUN(TCP(0, ACK, 101, 0, 0), TCP(0, SYN, 101, 0, 1)), 2);
}

Test(rules, an_acknowledgement_tells_the_other_sides_number)
{
    cr_assert_eq(RUN(TCP(0, ACK, 1, 501, 0), TCP(1, SYN, 500, 0, 1)), 1);
    cr_assert_eq(RUN(TCP(0, ACK, 1, 501, 0), TCP(1, SYN, 499, 0, 1)), 2);
}

Test(rules, without_an_acknowledgement_the_other_sides_number_is_open)
{
    cr_assert_eq(RUN(TCP(0, SYN, 1, 501, 0), TCP(1, SYN, 12345, 0, 1)), 1);
    cr_assert(b.s[0].e.session.base_set == 3 && b.s[0].e.session.base[1] == 12345);
}

Test(rules, a_syn_ack_sets_the_number_anew)
{
    cr_assert_eq(RUN(TCP(1, ACK, 900, 1, 0), TCP(1, SYN | ACK, 700, 1, 0), TCP(1, SYN, 700, 0, 1)), 1);
    cr_assert_eq(RUN(TCP(1, ACK, 900, 1, 0), TCP(1, SYN | ACK, 700, 1, 0), TCP(1, SYN, 899, 0, 1)), 2);
}

Test(rules, a_syn_does_not_set_a_known_number_anew)
{
    cr_assert_eq(RUN(TCP(0, ACK, 101, 0, 0), TCP(0, SYN, 100, 0, 1), TCP(0, ACK, 500, 0, 2)), 1);
    cr_assert_eq(b.s[0].e.session.base[0], 100);
}

Test(rules, the_header_of_a_fragment_sets_no_number_and_begins_nothing)
{
    struct fc_packet p = bed_tcp(0, SYN, 100, 0);

    p.frag = FC_FRAG_FIRST;
    cr_assert_eq(RUN({p, 0}, TCP(0, SYN, 101, 0, 1)), 1);
    cr_assert_eq(b.s[0].e.session.base[0], 101);
    cr_assert_eq(RUN(TCP(0, SYN, 101, 0, 0), {p, 1}), 1);
    cr_assert_eq(b.s[0].e.session.tcp_flags[0], SYN);
}

Test(rules, sequence_numbers_wrap)
{
    cr_assert_eq(RUN(TCP(0, ACK, 0, 0, 0), TCP(0, SYN, UINT32_MAX, 0, 1)), 1);
    cr_assert_eq(b.s[0].e.session.base[1], UINT32_MAX);
}

Test(rules, the_sender_of_a_syn_ack_is_the_server)
{
    cr_assert_eq(RUN(TCP(1, SYN | ACK, 1, 1, 0), TCP(0, ACK, 1, 1, 0)), 1);
    cr_assert_eq(fc_session_client(&b.s[0].e.session), 0);
    cr_assert_eq(RUN(TCP(1, SYN, 1, 1, 0)), 1);
    cr_assert_eq(fc_session_client(&b.s[0].e.session), 1);
}

Test(rules, a_session_begun_anew_has_nothing_of_the_one_before)
{
    cr_assert_eq(RUN(TCP(1, SYN | ACK, 1, 1, 0), TCP(0, RST, 5, 0, 0), TCP(0, SYN, 9, 0, 61 * S)), 2);
    const struct fc_session_sum *s = &b.s[1].e.session;
    cr_assert(s->packets[0] == 1 && s->packets[1] == 0 && s->bytes[1] == 0 && s->base_set == 1 && s->base[0] == 9);
    cr_assert(s->tcp_flags[0] == SYN && s->tcp_flags[1] == 0 && s->min_ns == 61 * S && s->first_synack == 0);
    cr_assert(b.s[1].positions == 1 && b.s[1].off[0] == 30);
    cr_assert_eq(state_of(1), FC_STATE_NEW);
}

Test(rules, an_active_timeout_ends_a_session_however_busy)
{
    const struct event events[] = {TCP(0, ACK, 1, 1, 0), TCP(0, ACK, 1, 1, 6 * S), TCP(0, ACK, 1, 1, 7 * S),
                                   TCP(0, ACK, 1, 1, 7 * S + 1), TCP(0, ACK, 1, 1, 14 * S + 1)};

    cr_assert_eq(run_with("flowcarve", "active=7", events, 5), 2);
    cr_assert_eq(b.s[0].e.session.packets[0], 3);
}

Test(rules, a_record_without_a_time_ends_nothing_and_nothing_is_measured_from_it)
{
    cr_assert_eq(RUN(TCP(0, SYN, 5, 0, FC_TIME_NONE), TCP(0, SYN, 5, 0, 100000 * S), TCP(0, SYN, 5, 0, FC_TIME_NONE)),
                 1);
}

Test(rules, times_at_both_ends_of_the_range_do_not_overflow)
{
    cr_assert_eq(RUN(TCP(0, ACK, 5, 0, INT64_MIN + 1), TCP(0, ACK, 6, 0, INT64_MAX)), 2);
}

/* Each protocol with its timeout: that it goes on at it, and not a nanosecond later. */
Test(rules, each_protocol_has_the_timeout_of_its_kind)
{
    static const struct {
        uint32_t proto;
        int64_t one_side, both;
    } kinds[] = {{17, 3, 4}, {136, 3, 4}, {1, 5, 5}, {58, 5, 5}, {132, 6, 6}, {47, 7, 7}, {FC_PROTO_ARP, 7, 7}};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct fc_packet there = bed_packet(1, kinds[i].proto, 0), back = bed_packet(1, kinds[i].proto, 1);
        for (int beyond = 0; beyond < 2; beyond++) {
            const struct event one[] = {{there, 0}, {there, kinds[i].one_side * S + beyond}};
            const struct event both[] = {{there, 0}, {back, 0}, {there, kinds[i].both * S + beyond}};
            const char *list = "udp=4,udp-new=3,icmp=5,sctp=6,other=7";
            cr_assert_eq(run_with("flowcarve", list, one, 2), 1 + (size_t)beyond, "proto %u", kinds[i].proto);
            cr_assert_eq(run_with("flowcarve", list, both, 3), 1 + (size_t)beyond, "proto %u", kinds[i].proto);
            cr_assert_eq(state_of(0), FC_STATE_ESTABLISHED);
        }
    }
}

Test(rules, a_malformed_session_has_no_timeout)
{
    struct fc_packet p = bed_packet(1, FC_PROTO_MALFORMED, 0);
    const struct event events[] = {{p, 0}, {p, 1000000000 * S}};

    cr_assert_eq(run_with("zeek", "", events, 2), 1);
}

Test(rules, a_session_may_go_on_until_its_expiry)
{
    struct fc_rules rules;
    struct fc_session_sum sum = {.last_ns = 10 * S, .packets = {1, 0}};

    cr_assert_eq(fc_rules_profile(&rules, "flowcarve"), 0);
    cr_assert_eq(fc_session_expiry_ns(&rules, 17, &sum), 190 * S);
    sum.last_ns = FC_TIME_NONE;
    cr_assert_eq(fc_session_expiry_ns(&rules, 17, &sum), FC_NEVER);
    sum.last_ns = INT64_MAX - 1;
    cr_assert_eq(fc_session_expiry_ns(&rules, 17, &sum), FC_NEVER);
    cr_assert_eq(fc_session_expiry_ns(&rules, FC_PROTO_MALFORMED, &sum), FC_NEVER);
}

Test(rules, wireshark_has_no_timeout_at_all)
{
    struct fc_rules rules;

    cr_assert_eq(fc_rules_profile(&rules, "wireshark"), 0);

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
    struct fc_rules rules;

    cr_assert_eq(fc_rules_profile(&rules, "flowcarve"), 0);

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
        struct fc_rules rules;

        cr_assert_eq(fc_rules_profile(&rules, "flowcarve"), 0);
        struct fc_error err = {0};
        cr_assert_eq(fc_rules_timeout(&rules, wrong[i], &err), FC_E_USAGE, "%s", wrong[i]);
        cr_assert_neq(err.cause[0], '\0');
    }
}
