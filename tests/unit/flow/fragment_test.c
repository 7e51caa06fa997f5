/* SPDX-License-Identifier: MIT */
/* Which session a later fragment belongs to, rule by rule. Events come in the order of captures. */
#include <criterion/criterion.h>

#include "flow/fragment.h"

#include <stdlib.h>
#include <string.h>

#define S 1000000000LL
enum { NONE = 0, SETTLED_MAX = 64 };

/* Where fragments went: by their offset, the port of the session, NONE for one of their own. */
struct outcome {
    struct {
        uint32_t file;
        uint64_t off;
        unsigned port;
        struct fc_run run;
        struct fc_extra extra;
    } settled[SETTLED_MAX];
    size_t count;
    struct fc_fragments *fragments;
};

static int settled(void *ctx, const struct fc_flow_key *flow, struct fc_node *node)
{
    struct outcome *o = ctx;

    cr_assert_lt(o->count, SETTLED_MAX);
    o->settled[o->count].file = node->first_file;
    o->settled[o->count].off = node->first_off;
    o->settled[o->count].port = flow->port[0];
    if (node->extra)
        o->settled[o->count].extra = *node->extra;
    o->settled[o->count++].run = node->run;
    free(node);
    return 0;
}

static void begin(struct outcome *o)
{
    memset(o, 0, sizeof *o);
    cr_assert_not_null(o->fragments = fc_fragments_new(settled, o));
}

static struct fc_packet packet_of(unsigned id, unsigned dir, enum fc_frag frag)
{
    struct fc_packet p;

    memset(&p, 0, sizeof p);
    p.got = FC_WANT_KEY;
    p.key.addr[0][3] = 1;
    p.key.addr[1][3] = 2;
    p.key.addr_kind = FC_ADDR_IPV4;
    p.key.proto = 17;
    p.dir = (uint8_t)dir;
    p.frag = (uint8_t)frag;
    p.datagram_count = 1;
    p.datagram[0] = p.key;
    memcpy(p.datagram[0].addr[0], p.key.addr[dir], 16);
    memcpy(p.datagram[0].addr[1], p.key.addr[!dir], 16);
    p.datagram[0].port[1] = (uint16_t)id;
    return p;
}

static struct fc_fragment event_of(const struct fc_packet *p, uint32_t file, uint64_t off, int64_t ts)
{
    struct fc_fragment e;

    memset(&e, 0, sizeof e);
    e.datagram = p->datagram[p->datagram_count - 1];
    e.flow = p->key;
    e.off = off;
    e.ts_ns = ts;
    e.file = file;
    e.dir = p->dir;
    return e;
}

/* A first fragment of datagram `id`, whose session is known by `port`. */
static void first(struct outcome *o, uint32_t file, uint64_t off, int64_t ts, unsigned id, unsigned port)
{
    struct fc_packet p = packet_of(id, 0, FC_FRAG_FIRST);

    p.key.port[0] = (uint16_t)port;
    struct fc_fragment e = event_of(&p, file, off, ts);
    cr_assert_eq(fc_fragments_event(o->fragments, &e), 0);
}

static void later_dir(struct outcome *o, uint32_t file, uint64_t off, int64_t ts, unsigned id, unsigned dir)
{
    struct fc_packet p = packet_of(id, dir, FC_FRAG_LATER);
    struct fc_fragment e = event_of(&p, file, off, ts);

    cr_assert_not_null(e.node = fc_node_new(false, 0));
    e.node->first_file = file;
    e.node->first_off = off;
    fc_run_add(&e.node->run, &p, ts, 100);
    cr_assert_eq(fc_fragments_event(o->fragments, &e), 0);
}

static void later(struct outcome *o, uint32_t file, uint64_t off, int64_t ts, unsigned id)
{
    later_dir(o, file, off, ts, id, 0);
}

static void end(struct outcome *o, bool last)
{
    cr_assert_eq(fc_fragments_end_of_file(o->fragments, last, INT64_MAX), 0);
}

/* The fragment at an offset went to the session of `port`. Ends the test's fragments on the way. */
static void expect(struct outcome *o, uint32_t file, uint64_t off, unsigned port)
{
    for (size_t i = 0; i < o->count; i++) {
        if (o->settled[i].file == file && o->settled[i].off == off) {
            cr_assert_eq(o->settled[i].port, port, "offset %llu went to %u, not %u", (unsigned long long)off,
                         o->settled[i].port, port);
            return;
        }
    }
    cr_assert_fail("offset %llu was not settled", (unsigned long long)off);
}

static void done(struct outcome *o, size_t count)
{
    cr_assert_eq(o->count, count);
    fc_fragments_free(o->fragments);
}

Test(fragment, the_latest_first_fragment_in_front_counts)
{
    struct outcome o;
    begin(&o);
    first(&o, 1, 10, 0, 7, 1001);
    first(&o, 1, 20, 1, 7, 1002);
    later(&o, 1, 30, 2, 7);
    first(&o, 1, 40, 3, 7, 1003);
    end(&o, true);
    expect(&o, 1, 30, 1002);
    done(&o, 1);
}

Test(fragment, without_one_in_front_the_next_one_behind_counts)
{
    struct outcome o;
    begin(&o);
    later(&o, 1, 10, 0, 7);
    first(&o, 1, 20, 1, 7, 1001);
    first(&o, 1, 30, 2, 7, 1002);
    end(&o, true);
    expect(&o, 1, 10, 1001);
    done(&o, 1);
}

Test(fragment, an_older_one_counts_when_the_latest_is_too_far_in_time)
{
    struct outcome o;
    begin(&o);
    first(&o, 1, 10, 0, 7, 1001);
    first(&o, 1, 20, 100 * S, 7, 1002);
    later(&o, 1, 30, 30 * S, 7);
    end(&o, true);
    expect(&o, 1, 30, 1001);
    done(&o, 1);
}

Test(fragment, the_window_is_sixty_seconds_to_the_nanosecond)
{
    struct outcome o;
    begin(&o);
    first(&o, 1, 10, 0, 7, 1001);
    later(&o, 1, 20, 60 * S, 7);
    later(&o, 1, 30, 60 * S + 1, 7);
    end(&o, true);
    expect(&o, 1, 20, 1001);
    expect(&o, 1, 30, NONE);
    done(&o, 2);
}

Test(fragment, another_identification_is_another_datagram)
{
    struct outcome o;
    begin(&o);
    first(&o, 1, 10, 0, 7, 1001);
    later(&o, 1, 20, 1, 8);
    end(&o, true);
    expect(&o, 1, 20, NONE);
    done(&o, 1);
}

Test(fragment, the_other_direction_is_another_datagram)
{
    struct outcome o;
    begin(&o);
    first(&o, 1, 10, 0, 7, 1001);
    later_dir(&o, 1, 20, 1, 7, 1);
    end(&o, true);
    expect(&o, 1, 20, NONE);
    done(&o, 1);
}

Test(fragment, the_same_capture_goes_before_a_nearer_one_elsewhere)
{
    struct outcome o;
    begin(&o);
    first(&o, 1, 10, 50 * S, 7, 1001);
    end(&o, false);
    first(&o, 2, 10, 0, 7, 1002);
    later(&o, 2, 20, 50 * S, 7);
    end(&o, true);
    expect(&o, 2, 20, 1002);
    done(&o, 1);
}

Test(fragment, of_other_captures_the_nearest_in_time_counts)
{
    struct outcome o;
    begin(&o);
    first(&o, 1, 10, 0, 7, 1001);
    first(&o, 1, 20, 20 * S, 7, 1002);
    end(&o, false);
    later(&o, 2, 10, 8 * S, 7);
    later(&o, 2, 20, 15 * S, 7);
    end(&o, true);
    expect(&o, 2, 10, 1001);
    expect(&o, 2, 20, 1002);
    done(&o, 2);
}

Test(fragment, a_later_capture_can_have_the_first_fragment)
{
    struct outcome o;
    begin(&o);
    later(&o, 1, 10, 10 * S, 7);
    end(&o, false);
    first(&o, 2, 10, 11 * S, 7, 1001);
    end(&o, true);
    expect(&o, 1, 10, 1001);
    done(&o, 1);
}

Test(fragment, at_the_same_distance_the_earlier_one_counts)
{
    struct outcome o;
    begin(&o);
    first(&o, 1, 10, 12 * S, 7, 1001);
    end(&o, false);
    first(&o, 2, 10, 8 * S, 7, 1002);
    end(&o, false);
    later(&o, 3, 10, 10 * S, 7);
    end(&o, true);
    expect(&o, 3, 10, 1002);
    done(&o, 1);
}

Test(fragment, at_the_same_time_the_lower_file_counts)
{
    struct outcome o;
    begin(&o);
    first(&o, 1, 10, 8 * S, 7, 1001);
    end(&o, false);
    first(&o, 2, 10, 8 * S, 7, 1002);
    end(&o, false);
    later(&o, 3, 10, 10 * S, 7);
    end(&o, true);
    expect(&o, 3, 10, 1001);
    done(&o, 1);
}

Test(fragment, one_that_waits_does_not_hide_those_behind_it)
{
    struct outcome o;
    begin(&o);
    first(&o, 1, 10, 0, 7, 1001);
    end(&o, false);
    later(&o, 2, 10, 100 * S, 8); /* waits for capture 3 */
    later(&o, 2, 20, 1 * S, 7);
    end(&o, false);
    first(&o, 3, 10, 101 * S, 8, 1003);
    end(&o, true);
    expect(&o, 2, 10, 1003);
    expect(&o, 2, 20, 1001);
    done(&o, 2);
}

Test(fragment, one_that_nobody_settles_has_a_session_of_its_own)
{
    struct outcome o;
    begin(&o);
    later(&o, 1, 10, 0, 7);
    end(&o, true);
    expect(&o, 1, 10, NONE);
    done(&o, 1);
}

Test(fragment, what_is_open_at_the_end_can_be_restored)
{
    struct outcome o, next;
    size_t count;

    begin(&o);
    first(&o, 1, 10, 10 * S, 7, 1001);
    end(&o, true);
    const struct fc_fragment *open = fc_fragments_open(o.fragments, &count);
    cr_assert_eq(count, 1);
    begin(&next);
    cr_assert_eq(fc_fragments_restore(next.fragments, open), 0);
    later(&next, 2, 10, 11 * S, 7);
    end(&next, true);
    expect(&next, 2, 10, 1001);
    done(&next, 1);
    done(&o, 0);
}

Test(fragment, what_has_no_first_one_is_loose_and_can_be_restored)
{
    struct outcome o, next;
    size_t count;

    begin(&o);
    later(&o, 1, 10, 10 * S, 7);
    later(&o, 1, 20, 70 * S, 7);
    later(&o, 1, 30, 70 * S, 8);
    cr_assert_eq(fc_fragments_end_of_file(o.fragments, true, 10 * S + 1), 0);
    expect(&o, 1, 10, NONE); /* too old */
    struct fc_fragment *loose = fc_fragments_loose(o.fragments, &count);
    cr_assert_eq(count, 2);
    begin(&next);
    for (size_t i = 0; i < count; i++) {
        loose[i].held = 5;
        cr_assert_eq(fc_fragments_restore_loose(next.fragments, &loose[i]), 0);
        loose[i].node = NULL;
    }
    first(&next, 2, 10, 80 * S, 7, 1001);
    cr_assert_eq(fc_fragments_end_of_file(next.fragments, true, 70 * S), 0);
    struct fc_fragment *returned = fc_fragments_returned(next.fragments, &count);
    cr_assert_eq(count, 1);
    cr_assert_eq(returned->off, 20);
    cr_assert_eq(returned->held, 5);
    cr_assert_eq(returned->flow.port[0], 1001);
    cr_assert_eq(fc_fragments_loose(next.fragments, &count)->off, 30);
    cr_assert_eq(count, 1);
    done(&next, 0);
    done(&o, 1);
}

Test(fragment, the_first_one_behind_an_alias_may_be_in_its_own_capture)
{
    struct fc_packet outer = packet_of(7, 0, FC_FRAG_FIRST), inner = packet_of(8, 0, FC_FRAG_LATER);
    struct outcome o;

    begin(&o);
    struct fc_fragment e = event_of(&outer, 1, 10, 0);
    e.flow = inner.datagram[0];
    e.alias = 1;
    cr_assert_eq(fc_fragments_event(o.fragments, &e), 0);
    end(&o, false);
    later(&o, 2, 10, 1, 7);
    first(&o, 2, 20, 2, 8, 1001);
    end(&o, true);
    expect(&o, 2, 10, 1001);
    done(&o, 1);
}

Test(fragment, a_run_is_turned_round_when_the_first_fragment_has_its_ends_in_the_other_order)
{
    struct fc_packet a = packet_of(7, 1, FC_FRAG_FIRST), b = packet_of(7, 0, FC_FRAG_LATER);
    struct outcome o;

    begin(&o);
    a.key.addr[1][3] = b.key.addr[1][3] = 1; /* an address that talks to itself */
    a.key.port[0] = 5;
    a.datagram[0].addr[0][3] = b.datagram[0].addr[1][3] = 1;
    struct fc_fragment e = event_of(&a, 1, 10, 0);
    cr_assert_eq(fc_fragments_event(o.fragments, &e), 0);
    e = event_of(&b, 1, 20, 0);
    e.node = fc_node_new(true, 0);
    e.node->first_file = 1;
    e.node->first_off = 20;
    fc_run_add(&e.node->run, &b, 0, 100);
    b.got |= FC_WANT_MAC | FC_WANT_TTL | FC_WANT_DSCP | FC_WANT_PAYLOAD;
    b.mac[0][5] = 7; /* the sender's */
    b.ttl = 64;
    b.dscp = 46;
    b.payload_bytes = 80;
    fc_extra_add(e.node->extra, &b);
    cr_assert_eq(fc_fragments_event(o.fragments, &e), 0);
    expect(&o, 1, 20, 5);
    cr_assert_eq(o.settled[0].run.packets[1], 1);
    cr_assert_eq(o.settled[0].run.bytes[1], 100);
    cr_assert_eq(o.settled[0].run.first_dir, 1);
    const struct fc_extra *x = &o.settled[0].extra;
    cr_assert(x->has_mac == 3 && x->mac[1][5] == 7 && x->mac[0][5] == 0);
    cr_assert(x->has_ttl == 2 && x->ttl[1] == 64 && x->has_dscp == 2 && x->dscp[1] == 46);
    cr_assert(x->has_payload == 2 && x->payload_bytes[1] == 80 && x->payload_bytes[0] == 0);
    done(&o, 1);
}

/* Later fragment of an outer datagram in capture 1; what leads on from it is in 2, and the first fragment inside in 1. */
Test(fragment, an_alias_elsewhere_leads_back_to_the_own_capture)
{
    struct fc_packet p = packet_of(8, 0, FC_FRAG_LATER);
    struct outcome o;

    begin(&o);
    first(&o, 1, 10, 0, 7, 1001);
    later(&o, 1, 20, 0, 8);
    end(&o, false);
    struct fc_fragment alias = event_of(&p, 2, 10, 0);
    alias.alias = 1;
    alias.flow = alias.datagram;
    alias.flow.port[1] = 7;
    cr_assert_eq(fc_fragments_event(o.fragments, &alias), 0);
    later(&o, 2, 20, 0, 7);
    end(&o, true);
    expect(&o, 1, 20, 1001);
    expect(&o, 2, 20, 1001);
    done(&o, 2);
}

static void begin_file(struct outcome *o, int64_t first_ns, int64_t next_ns)
{
    cr_assert_eq(fc_fragments_begin_file(o->fragments, first_ns, next_ns), 0);
}

/* `count` first fragments of one-fragment datagrams, `step` apart, behind `from`. Returns the last one's time. */
static int64_t others(struct outcome *o, uint32_t file, unsigned count, int64_t from, int64_t step)
{
    for (unsigned i = 0; i < count; i++)
        first(o, file, 1000 + i, from += step, 100 + i % 60000, 9);
    return from;
}

Test(fragment, a_first_fragment_is_given_up_when_thousands_are_out_of_its_window)
{
    struct outcome o;

    begin(&o);
    first(&o, 1, 9, 70 * S, 8, 1002); /* which stays, in front of it */
    first(&o, 1, 10, 0, 7, 1001);
    others(&o, 1, FC_FRAGMENT_STEP - 1, 70 * S, 0);
    later(&o, 1, 10000, 10 * S, 7); /* times run backwards */
    expect(&o, 1, 10000, 1001);
    others(&o, 1, 1, 70 * S, 0);
    later(&o, 1, 10001, 10 * S, 7);
    end(&o, true);
    expect(&o, 1, 10001, NONE);
    done(&o, 2);
}

Test(fragment, a_clock_that_leaps_once_gives_up_next_to_nothing)
{
    struct outcome o;

    begin(&o);
    others(&o, 1, 2 * FC_FRAGMENT_STEP, 0, 1);
    first(&o, 1, 10, S, 7, 1001);
    others(&o, 1, 100, S, 1);
    others(&o, 1, 1, 1000000 * S, 0); /* the leap */
    others(&o, 1, 3 * FC_FRAGMENT_STEP, 2 * S, 1);
    later(&o, 1, 90000, 3 * S, 7);
    expect(&o, 1, 90000, 1001);
    done(&o, 1);
}

Test(fragment, what_a_capture_has_given_up_is_there_for_one_that_overlaps)
{
    struct outcome o;

    begin(&o);
    begin_file(&o, 0, 10 * S);
    first(&o, 1, 10, 0, 7, 1001);
    others(&o, 1, 3 * FC_FRAGMENT_STEP, 0, S);
    end(&o, false);
    begin_file(&o, 10 * S, INT64_MAX);
    later(&o, 2, 10, 30 * S, 7);
    end(&o, true);
    expect(&o, 2, 10, 1001);
    done(&o, 1);
}

/* The other way round: it waits for the end of the longer one. */
Test(fragment, what_a_capture_has_given_up_is_there_for_an_earlier_one)
{
    struct outcome o;

    begin(&o);
    begin_file(&o, 0, 10 * S);
    later(&o, 1, 10, 30 * S, 7);
    end(&o, false);
    begin_file(&o, 10 * S, INT64_MAX);
    first(&o, 2, 10, 20 * S, 7, 1001);
    others(&o, 2, 3 * FC_FRAGMENT_STEP, 20 * S, S);
    end(&o, true);
    expect(&o, 1, 10, 1001);
    done(&o, 1);
}

/* It has what a third one, which begins later, cannot need. */
Test(fragment, what_an_orphan_may_belong_to_is_not_forgotten)
{
    struct outcome o;

    begin(&o);
    begin_file(&o, 0, 10 * S);
    first(&o, 1, 10, 895 * S, 7, 1001);
    end(&o, false);
    begin_file(&o, 10 * S, 1000 * S);
    others(&o, 2, 3 * FC_FRAGMENT_STEP, 880 * S, 0);
    later(&o, 2, 10, 950 * S, 7);
    end(&o, false);
    begin_file(&o, 1000 * S, INT64_MAX);
    end(&o, true);
    expect(&o, 2, 10, 1001);
    done(&o, 1);
}

Test(fragment, the_last_minute_is_remembered_also_when_times_run_backwards)
{
    struct outcome o;
    size_t count, found = 0;

    begin(&o);
    begin_file(&o, 0, INT64_MAX);
    first(&o, 1, 10, 1000 * S, 7, 1001);
    others(&o, 1, 2 * FC_FRAGMENT_STEP, 0, 0);
    end(&o, true);
    const struct fc_fragment *open = fc_fragments_open(o.fragments, &count);
    for (size_t i = 0; i < count; i++)
        found += open[i].ts_ns == 1000 * S;
    cr_assert_eq(found, 1);
    done(&o, 0);
}

/* What is remembered follows the window, not the length of the capture; that of the last minute is all there. */
Test(fragment, first_fragments_of_a_long_capture_are_forgotten)
{
    struct outcome o;
    size_t count, last = 0;

    begin(&o);
    begin_file(&o, 0, INT64_MAX);
    int64_t now = others(&o, 1, 20 * FC_FRAGMENT_STEP, 0, S / 2);
    end(&o, true);
    const struct fc_fragment *open = fc_fragments_open(o.fragments, &count);
    cr_assert_lt(count, 2 * FC_FRAGMENT_STEP);
    for (size_t i = 0; i < count; i++)
        last += open[i].ts_ns >= now - FC_FRAGMENT_WINDOW_NS;
    cr_assert_eq(last, 121);
    done(&o, 0);
}

/* Many captures one behind the other: what they leave is bounded too, and what crosses from one to the next is found. */
Test(fragment, first_fragments_of_many_captures_are_forgotten)
{
    enum { FILES = 40 };
    const int64_t lasts = FC_FRAGMENT_STEP * S;
    struct outcome o;
    size_t count;

    begin(&o);
    for (uint32_t file = 1; file <= FILES; file++) {
        int64_t from = (file - 1) * lasts;
        begin_file(&o, from, file == FILES ? INT64_MAX : from + lasts);
        later(&o, file, 10, from + 20 * S, 7); /* 50 s behind the first one, which is in the capture before */
        others(&o, file, FC_FRAGMENT_STEP - 100, from, S);
        first(&o, file, 9000, from + lasts - 30 * S, 7, 1000 + file);
        others(&o, file, 10, from + lasts - 30 * S, S);
        fc_fragments_open(o.fragments, &count);
        cr_assert_lt(count, 4 * FC_FRAGMENT_STEP, "%zu behind capture %u", count, file);
        end(&o, file == FILES);
    }
    for (uint32_t file = 2; file <= FILES; file++)
        expect(&o, file, 10, 1000 + file - 1);
    expect(&o, 1, 10, NONE);
    done(&o, FILES);
}

static int count_settled(void *ctx, const struct fc_flow_key *flow, struct fc_node *node)
{
    size_t *by_port = ctx;

    by_port[flow->port[0] != 0]++;
    free(node);
    return 0;
}

/* Later fragments without a first one do not wait for the end either, but for those that a capture to come may have it for. */
Test(fragment, orphans_of_many_captures_are_settled_on_the_way)
{
    enum { FILES = 10 };
    const int64_t lasts = FC_FRAGMENT_STEP * S;
    size_t by_port[2] = {0};
    struct outcome o = {.fragments = fc_fragments_new(count_settled, by_port)};

    for (uint32_t file = 1; file <= FILES; file++) {
        int64_t from = (file - 1) * lasts;
        begin_file(&o, from, file == FILES ? INT64_MAX : from + lasts);
        if (file > 1)
            first(&o, file, 1, from, 7, 1001);
        cr_assert_geq(by_port[0] + 3 * FC_FRAGMENT_STEP, (file - 1) * FC_FRAGMENT_STEP);
        for (unsigned i = 0; i < FC_FRAGMENT_STEP; i++)
            later(&o, file, 10 + i, from + i * S, 100);
        later(&o, file, 9000, from + lasts - 59 * S, 7);
        end(&o, file == FILES);
    }
    cr_assert_eq(by_port[1], FILES - 1);
    cr_assert_eq(by_port[0], FILES * FC_FRAGMENT_STEP + 1);
    fc_fragments_free(o.fragments);
}
