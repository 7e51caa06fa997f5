/* SPDX-License-Identifier: MIT */
/* Which flow a later fragment belongs to, rule by rule: docs/sessions.md, section 3. */
#include <criterion/criterion.h>

#include "bed.h"

#include <string.h>

static struct bed b;

/* Fragments of datagrams of UDP from 10.0.0.1 to 10.0.0.2, known by their identification. */
static struct fc_flow_key name_of(unsigned id, unsigned dir)
{
    struct fc_flow_key key = bed_key(0, 17), name = key;

    memcpy(name.addr[0], key.addr[dir], 16);
    memcpy(name.addr[1], key.addr[!dir], 16);
    name.port[1] = (uint16_t)id;
    return name;
}

/* port: of the flow. */
static struct fc_packet first_of(unsigned id, unsigned port)
{
    struct fc_packet p = bed_packet(port, 17, 0);

    p.frag = FC_FRAG_FIRST;
    p.datagram_count = 1;
    p.datagram[0] = name_of(id, 0);
    return p;
}

static struct fc_packet later_of(unsigned id)
{
    struct fc_packet p = bed_packet(0, 17, 0);

    p.frag = FC_FRAG_LATER;
    p.datagram_count = 1;
    p.datagram[0] = name_of(id, 0);
    return p;
}

/* A later fragment of `id` that carries, of another datagram, the first one: the outer name leads to the inner. */
static struct fc_packet alias_of(unsigned outer, unsigned id)
{
    struct fc_packet p = later_of(id);

    p.datagram_count = 2;
    p.datagram[0] = name_of(outer, 0);
    p.datagram[1] = name_of(id, 0);
    return p;
}

static void setup(void)
{
    bed_make(&b, "wireshark", "");
}

static void teardown(void)
{
    bed_free(&b);
}

TestSuite(fragment, .init = setup, .fini = teardown);

static uint64_t first(unsigned id, unsigned port, int64_t ts)
{
    struct fc_packet p = first_of(id, port);

    return bed_add(&b, &p, ts);
}

static uint64_t later(unsigned id, int64_t ts)
{
    struct fc_packet p = later_of(id);

    return bed_add(&b, &p, ts);
}

static uint64_t alias(unsigned outer, unsigned id, int64_t ts)
{
    struct fc_packet p = alias_of(outer, id);

    return bed_add(&b, &p, ts);
}

static void other(int64_t ts)
{
    struct fc_packet p = bed_packet(9, 132, 0);

    bed_add(&b, &p, ts);
}

/* The port of the flow that has the record; 0: its own; -1: none has it. */
static int flow_of(uint64_t off)
{
    for (size_t i = 0; i < b.count; i++)
        for (size_t k = 0; k < b.s[i].positions; k++)
            if (b.s[i].off[k] == off)
                return b.s[i].e.key.port[0];
    return -1;
}

static size_t waiting(void)
{
    size_t n = 0;

    for (size_t i = 0; i < fc_fragments_waiting_count(b.fragments); i++)
        n += fc_fragments_waiting(b.fragments, i) != NULL;
    return n;
}

Test(fragment, the_latest_first_fragment_in_front_counts)
{
    first(7, 1001, 0);
    first(7, 1002, 1);
    uint64_t off = later(7, 2);
    first(7, 1003, 3);
    bed_finish(&b);
    cr_assert_eq(flow_of(off), 1002);
}

Test(fragment, without_one_in_front_the_next_one_behind_counts)
{
    uint64_t off = later(7, 0);
    first(7, 1001, 1);
    first(7, 1002, 2);
    bed_finish(&b);
    cr_assert_eq(flow_of(off), 1001);
}

Test(fragment, the_window_is_sixty_seconds_to_the_nanosecond)
{
    first(7, 1001, 0);
    uint64_t in = later(7, 60 * S), out = later(7, 60 * S + 1);
    other(200 * S);
    bed_finish(&b);
    cr_assert_eq(flow_of(in), 1001);
    cr_assert_eq(flow_of(out), 0);
}

Test(fragment, one_that_waits_is_given_up_after_sixty_seconds_to_the_nanosecond)
{
    uint64_t out = later(7, 0), in = later(7, 1);
    first(7, 1001, 60 * S + 1);
    bed_finish(&b);
    cr_assert_eq(flow_of(in), 1001);
    cr_assert_eq(flow_of(out), 0);
}

Test(fragment, another_identification_is_another_datagram)
{
    first(7, 1001, 0);
    later(8, 1);
    bed_finish(&b);
    cr_assert_eq(waiting(), 1);
}

Test(fragment, the_other_direction_is_another_datagram)
{
    struct fc_packet back = later_of(7);

    back.dir = 1;
    back.datagram[0] = name_of(7, 1);
    first(7, 1001, 0);
    bed_add(&b, &back, 1);
    bed_finish(&b);
    cr_assert_eq(waiting(), 1);
}

Test(fragment, a_fragment_and_its_first_one_may_be_in_different_captures)
{
    later(7, 10);
    first(8, 1001, 20);
    bed_file(&b, 2);
    first(7, 1002, 30);
    later(8, 40);
    bed_finish(&b);
    cr_assert_eq(waiting(), 0);
    for (size_t i = 0; i < b.count; i++)
        cr_assert_eq(b.s[i].e.session.packets[0], 2);
}

/* Its place is that of its first fragment, its times are its own. */
Test(fragment, one_that_waited_comes_directly_behind_its_first_one)
{
    uint64_t off = later(7, 10);
    first(7, 1001, 30);
    bed_finish(&b);
    cr_assert_eq(b.count, 1);
    const struct fc_session_sum *s = &b.s[0].e.session;
    cr_assert_eq(b.s[0].e.first_off, off + 10);
    cr_assert(s->first_ns == 30 && s->last_ns == 30 && s->min_ns == 10 && s->max_ns == 30);
}

Test(fragment, an_orphan_comes_a_minute_later_than_it_was_captured)
{
    later(7, 10);
    other(100 * S);
    bed_finish(&b);
    cr_assert_eq(b.count, 2);
    const struct bed_session *s = &b.s[b.s[0].e.key.proto == 17 ? 0 : 1];
    cr_assert(s->e.late && s->e.session.first_ns == 60 * S + 10);
    cr_assert(s->e.session.min_ns == 10 && s->e.session.max_ns == 10);
}

Test(fragment, an_alias_leads_on_to_the_first_fragment_inside)
{
    first(8, 1001, 0);
    alias(7, 8, 1);
    uint64_t off = later(7, 2);
    bed_finish(&b);
    cr_assert_eq(flow_of(off), 1001);
}

Test(fragment, one_that_waits_for_an_alias_goes_on_to_wait_for_what_it_leads_to)
{
    uint64_t off = later(7, 0);
    alias(7, 8, 1);
    bed_advance(&b, 2);
    cr_assert_eq(flow_of(off), -1);
    first(8, 1001, 3);
    bed_finish(&b);
    cr_assert_eq(flow_of(off), 1001);
}

/* It was a first fragment of the outer datagram, near the alias, but not near who has waited for that. */
Test(fragment, one_that_has_waited_may_be_led_to_what_was_a_window_before_it)
{
    first(8, 1001, 0);
    uint64_t off = later(7, 50 * S);
    other(100 * S);
    alias(7, 8, 105 * S);
    bed_finish(&b);
    cr_assert_eq(flow_of(off), 1001);
}

Test(fragment, a_fifth_alias_leads_no_further)
{
    first(20, 1001, 0);
    for (unsigned i = 20; i > 15; i--)
        alias(i - 1, i, 1);
    uint64_t four = later(16, 2), five = later(15, 2);
    bed_finish(&b);
    cr_assert_eq(flow_of(four), 1001);
    cr_assert_eq(flow_of(five), -1);
    cr_assert_eq(waiting(), 1);
}

Test(fragment, aliases_in_a_circle_end)
{
    alias(7, 8, 0);
    alias(8, 7, 1);
    later(7, 2);
    bed_finish(&b);
    cr_assert_eq(waiting(), 3);
}

Test(fragment, a_fragment_does_not_wait_for_itself)
{
    struct fc_packet p = alias_of(7, 7);

    bed_add(&b, &p, 0);
    bed_finish(&b);
    cr_assert_eq(waiting(), 1);
}

/* Both wait for names of the same packet: their order is that in which they came. */
Test(fragment, those_that_wait_go_on_in_their_order_though_a_packet_tells_two_names)
{
    struct fc_packet p = first_of(7, 1001);

    p.datagram_count = 2;
    p.datagram[1] = name_of(8, 0);
    later(8, 0);
    later(7, 1);
    bed_add(&b, &p, 2);
    bed_finish(&b);
    cr_assert_eq(b.count, 1);
    cr_assert_eq(b.s[0].e.session.packets[0], 3);
}

Test(fragment, what_follows_a_flow_turned_round_goes_in_its_direction)
{
    struct fc_packet turned = first_of(7, 1001);

    turned.dir = 1;
    bed_add(&b, &turned, 0);
    later(7, 1);
    bed_finish(&b);
    cr_assert_eq(b.count, 1);
    cr_assert_eq(b.s[0].e.session.packets[1], 2);
}

Test(fragment, the_first_fragment_is_a_packet_of_its_flow_as_others)
{
    struct fc_packet p = first_of(7, 1001), whole = bed_packet(1001, 17, 0);

    bed_add(&b, &whole, 0);
    bed_add(&b, &p, 1);
    bed_finish(&b);
    cr_assert_eq(b.count, 1);
    cr_assert_eq(b.s[0].e.session.packets[0], 2);
}

Test(fragment, one_without_a_time_follows_at_any_distance)
{
    uint64_t off = later(7, FC_TIME_NONE);
    first(7, 1001, 100000 * S);
    bed_finish(&b);
    cr_assert_eq(flow_of(off), 1001);
}

Test(fragment, one_without_a_time_is_given_up_at_the_end_of_all)
{
    later(7, FC_TIME_NONE);
    other(100 * S);
    bed_finish(&b);
    cr_assert_eq(waiting(), 0);
    const struct bed_session *s = &b.s[b.s[0].e.key.proto == 17 ? 0 : 1];
    cr_assert(s->e.late && s->e.session.first_ns == 100 * S && s->e.session.min_ns == FC_TIME_NONE);
}

Test(fragment, what_is_a_minute_old_at_the_end_waits_and_what_is_older_does_not)
{
    later(7, 0);
    later(8, 1);
    later(7, 2);
    other(60 * S + 1);
    bed_finish(&b);
    cr_assert_eq(waiting(), 2);
}

Test(fragment, what_waits_and_what_is_told_is_brought_back_by_the_next_run)
{
    later(7, 10 * S);
    first(8, 1001, 11 * S);
    bed_finish(&b);
    cr_assert(fc_fragments_first_count(b.fragments) == 1 && waiting() == 1);
    struct fc_first told = *fc_fragments_first(b.fragments, 0);
    struct fc_waiting w = *fc_fragments_waiting(b.fragments, 0);
    bed_free(&b);
    bed_make(&b, "wireshark", "");
    w.old = 1;
    cr_assert_eq(fc_fragments_restore_first(b.fragments, &told), 0);
    cr_assert_eq(fc_fragments_restore_waiting(b.fragments, &w), 0);
    bed_file(&b, 2);
    first(7, 1002, 20 * S);
    later(8, 21 * S);
    bed_finish(&b);
    cr_assert_eq(b.count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct fc_ended *e = &b.s[i].e;
        bool old = e->key.port[0] == 1002;
        cr_assert(old || e->key.port[0] == 1001);
        cr_assert_eq(e->session.packets[0], old ? 2 : 1);
        cr_assert_eq(e->prior_packets, old ? 1 : 0); /* the index holds it already */
    }
}

/* ---- limits */

Test(fragment, of_too_many_names_the_oldest_is_forgotten)
{
    struct fc_packet p = first_of(0, 5);

    for (uint32_t i = 0; i <= FC_FRAGMENT_MAX; i++) {
        memcpy(&p.datagram[0].domain, &i, sizeof i);
        bed_add(&b, &p, 0);
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct fc_packet q = later_of(0);
        memcpy(&q.datagram[0].domain, &i, sizeof i);
        bed_add(&b, &q, 1);
    }
    bed_finish(&b);
    cr_assert_eq(fc_fragments_first_count(b.fragments), FC_FRAGMENT_MAX);
    cr_assert_eq(waiting(), 1);
    cr_assert_eq(b.s[0].e.session.packets[0], FC_FRAGMENT_MAX + 2);
}

Test(fragment, of_too_many_that_wait_the_oldest_is_given_up)
{
    struct fc_packet p = later_of(0);

    for (uint32_t i = 0; i <= FC_FRAGMENT_MAX; i++) {
        memcpy(&p.datagram[0].domain, &i, sizeof i);
        bed_add(&b, &p, i);
    }
    bed_finish(&b);
    cr_assert_eq(waiting(), FC_FRAGMENT_MAX);
    cr_assert_eq(b.count, 1);
    cr_assert(b.s[0].e.first_off == 10 && b.s[0].e.session.min_ns == 0);
}
