/* SPDX-License-Identifier: MIT */
/* Folding of runs does not depend on where the stretches were cut. */
#include <criterion/criterion.h>

#include "flow/run.h"
#include "rng.h"

#include <string.h>

enum { PACKETS = 12 };

struct stretch {
    struct fc_run run;
    struct fc_extra extra;
};

static void random_packet(struct fc_packet *p, struct rng *r, bool tcp)
{
    static const uint8_t flags[] = {
        FC_TCP_SYN, FC_TCP_SYN | FC_TCP_ACK, FC_TCP_ACK, FC_TCP_FIN | FC_TCP_ACK, FC_TCP_RST, 0, 0xff};

    memset(p, 0, sizeof *p);
    p->got = FC_WANT_KEY | (tcp ? FC_WANT_TCP : 0) | ((uint32_t)rng_next(r) & FC_WANT_EXTRA);
    p->dir = (uint8_t)rng_below(r, 2);
    p->frag = rng_chance(r, 10) ? FC_FRAG_FIRST : FC_FRAG_NONE;
    p->tcp_flags = flags[rng_below(r, sizeof flags)];
    p->tcp_seq = (uint32_t)rng_below(r, 5);
    p->tcp_ack = (uint32_t)rng_below(r, 5);
    rng_fill(r, p->mac, sizeof p->mac);
    p->vlan_count = (uint8_t)rng_between(r, 1, FC_VLAN_MAX);
    p->mpls_count = (uint8_t)rng_between(r, 1, FC_MPLS_MAX);
    p->tunnel_count = (uint8_t)rng_between(r, 1, FC_TUNNEL_MAX);
    p->tunnel[0] = (struct fc_tunnel){.kind = FC_TUNNEL_VXLAN, .id = (uint32_t)rng_next(r)};
    p->ttl = (uint8_t)rng_next(r);
    p->dscp = (uint8_t)rng_below(r, 64);
    p->vlan[0] = (uint16_t)rng_next(r);
    p->mpls[0] = (uint32_t)rng_next(r);
    p->payload_bytes = (uint32_t)rng_below(r, 1500);
}

static void one_packet(struct stretch *s, struct rng *r, bool tcp)
{
    struct fc_packet p;
    int64_t ts = rng_chance(r, 15) ? FC_TIME_NONE : (int64_t)rng_below(r, 100);

    random_packet(&p, r, tcp);
    memset(s, 0, sizeof *s);
    fc_run_init(&s->run);
    fc_run_add(&s->run, &p, ts, 40 + (uint32_t)rng_below(r, 100));
    fc_extra_add(&s->extra, &p);
}

static void fold(struct stretch *a, const struct stretch *b)
{
    fc_run_fold(&a->run, &b->run);
    fc_extra_fold(&a->extra, &b->extra);
}

static bool same_run(const struct fc_run *a, const struct fc_run *b)
{
    for (unsigned d = 0; d < 2; d++)
        if (a->packets[d] != b->packets[d] || a->bytes[d] != b->bytes[d] || a->tcp_flags[d] != b->tcp_flags[d] ||
            ((a->base_set >> d & 1) && a->base[d] != b->base[d]))
            return false;
    return a->first_ns == b->first_ns && a->min_ns == b->min_ns && a->max_ns == b->max_ns &&
           a->base_set == b->base_set && a->base_synack == b->base_synack && a->first_dir == b->first_dir &&
           a->first_synack == b->first_synack && a->syn_dir == b->syn_dir &&
           (a->syn_dir == FC_NO_DIR || a->syn_seq == b->syn_seq);
}

static bool same_extra(const struct fc_extra *a, const struct fc_extra *b)
{
    for (unsigned d = 0; d < 2; d++)
        if (a->ttl[d] != b->ttl[d] || a->dscp[d] != b->dscp[d] || a->isn[d] != b->isn[d] ||
            a->tcp_flags[d] != b->tcp_flags[d] || a->payload_bytes[d] != b->payload_bytes[d])
            return false;
    return a->vlan_count == b->vlan_count && memcmp(a->vlan, b->vlan, sizeof a->vlan) == 0 &&
           a->mpls_count == b->mpls_count && memcmp(a->mpls, b->mpls, sizeof a->mpls) == 0 &&
           a->tunnel_count == b->tunnel_count && memcmp(a->tunnel, b->tunnel, sizeof a->tunnel) == 0 &&
           a->has_mac == b->has_mac && memcmp(a->mac, b->mac, sizeof a->mac) == 0 && a->has_ttl == b->has_ttl &&
           a->has_dscp == b->has_dscp && a->has_isn == b->has_isn && a->has_flags == b->has_flags &&
           a->has_payload == b->has_payload;
}

/* Folds [from, to) as a random tree. */
static struct stretch tree(const struct stretch *list, size_t from, size_t to, struct rng *r)
{
    if (to - from == 1)
        return list[from];
    size_t cut = from + 1 + rng_below(r, to - from - 1);
    struct stretch left = tree(list, from, cut, r), right = tree(list, cut, to, r);
    fold(&left, &right);
    return left;
}

Test(fold, any_bracketing_gives_the_same)
{
    struct rng rng = {test_seed("fold")};

    for (unsigned i = 0; i < 20000; i++) {
        struct stretch list[PACKETS];
        size_t n = rng_between(&rng, 2, PACKETS);
        bool tcp = rng_chance(&rng, 80);
        for (size_t k = 0; k < n; k++)
            one_packet(&list[k], &rng, tcp);
        struct stretch a = tree(list, 0, n, &rng), b = tree(list, 0, n, &rng);
        cr_assert(same_run(&a.run, &b.run), "round %u", i);
        cr_assert(same_extra(&a.extra, &b.extra), "round %u", i);
    }
}

Test(fold, adding_packets_to_a_run_is_folding_runs_of_one)
{
    struct rng rng = {test_seed("fold, adding")};

    for (unsigned i = 0; i < 20000; i++) {
        struct stretch whole, sum;
        size_t n = rng_between(&rng, 1, PACKETS);
        memset(&whole, 0, sizeof whole);
        memset(&sum, 0, sizeof sum);
        fc_run_init(&whole.run);
        fc_run_init(&sum.run);
        for (size_t k = 0; k < n; k++) {
            struct stretch one = {0};
            struct fc_packet p;
            random_packet(&p, &rng, true);
            int64_t ts = rng_chance(&rng, 15) ? FC_TIME_NONE : (int64_t)rng_below(&rng, 100);
            fc_run_init(&one.run);
            fc_run_add(&one.run, &p, ts, 60);
            fc_extra_add(&one.extra, &p);
            fold(&sum, &one);
            fc_run_add(&whole.run, &p, ts, 60);
            fc_extra_add(&whole.extra, &p);
        }
        cr_assert(same_run(&whole.run, &sum.run), "round %u", i);
        cr_assert(same_extra(&whole.extra, &sum.extra), "round %u", i);
    }
}

Test(fold, an_empty_run_in_front_changes_nothing)
{
    struct rng rng = {test_seed("fold, empty")};
    struct stretch empty = {0}, one;

    fc_run_init(&empty.run);
    one_packet(&one, &rng, true);
    fold(&empty, &one);
    cr_assert(same_run(&empty.run, &one.run));
    cr_assert(same_extra(&empty.extra, &one.extra));
}
