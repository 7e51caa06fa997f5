/* SPDX-License-Identifier: MIT */
/*
 * The hash of flow keys, and what a capture can do to the table whose author picks keys without knowing the secret.
 * Each family of keys goes through it twice, N flows and 2 N. Where flows collide, a packet costs in proportion to the
 * flows that are there, and so twice as much the second time; where they do not, the same. How many share a chain is
 * counted.
 */
#include "base/hash.h"
#include "flow/table.h"
#include "micro.h"

#include <stdio.h>
#include <stdlib.h>
#include <urcu.h>

enum {
    TRIES = 3, /* fewer than elsewhere: collisions cost seconds */
    CHAIN_MAX = 64
};

static void put_le(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

/* Two hosts, all ports. */
static void all_ports(struct fc_flow_key *key, uint64_t i)
{
    key->addr_kind = FC_ADDR_IPV4;
    key->addr[0][0] = 10;
    key->addr[1][0] = 11;
    key->port[0] = (uint16_t)i;
    key->port[1] = (uint16_t)(i >> 16);
}

/* A scan: one address after the other. */
static void all_hosts(struct fc_flow_key *key, uint64_t i)
{
    key->addr_kind = FC_ADDR_IPV4;
    for (int k = 0; k < 4; k++)
        key->addr[0][k] = (uint8_t)(i >> (24 - 8 * k));
    key->addr[1][0] = 255;
    key->port[1] = 80;
}

/* IPv6 addresses that differ in their highest bits only. */
static void high_bits(struct fc_flow_key *key, uint64_t i)
{
    key->addr_kind = FC_ADDR_IPV6;
    for (int k = 0; k < 4; k++)
        key->addr[0][k] = (uint8_t)(i >> (8 * k));
    memset(key->addr[1], 0xff, 16);
}

/*
 * Half of one address makes a factor of the hash zero, were it not for a secret in it; the other half is then without
 * effect.
 */
static void lower_zero_factor(struct fc_flow_key *key, uint64_t i)
{
    key->addr_kind = FC_ADDR_IPV6;
    put_le(key->addr[0], i << 24);
    put_le(key->addr[0] + 8, 0xa0761d6478bd642full);
    memset(key->addr[1], 0xff, 16);
}

static void upper_zero_factor(struct fc_flow_key *key, uint64_t i)
{
    key->addr_kind = FC_ADDR_IPV6;
    put_le(key->addr[1], i << 24 | 0xff);
    put_le(key->addr[1] + 8, 0x8ebc6af09c88c6e3ull);
}

static const struct family {
    const char *name;
    void (*make)(struct fc_flow_key *key, uint64_t i);
} families[] = {
    {"two hosts, all ports", all_ports},
    {"one address after the other", all_hosts},
    {"IPv6, high bits only", high_bits},
    {"IPv6, a factor of zero by the lower address", lower_zero_factor},
    {"IPv6, a factor of zero by the upper address", upper_zero_factor},
};

static void make_key(const struct family *f, struct fc_flow_key *key, uint64_t i)
{
    memset(key, 0, sizeof *key);
    key->proto = 17;
    f->make(key, i);
}

static int nothing(void *ctx, const struct fc_ended *ended)
{
    (void)ctx;
    (void)ended;
    return 0;
}

static int note_all(const struct family *f, int64_t n, struct fc_unit *unit, struct fc_advancer *a, uint64_t seed)
{
    struct fc_packet p = {.got = FC_WANT_KEY};
    int rc = fc_unit_begin(unit, 1, 24);

    for (int64_t i = 0; i < n && rc == 0; i++) {
        make_key(f, &p.key, (uint64_t)i);
        rc = fc_unit_add(unit, &a->shelf, &p, 24 + (uint64_t)i * 100, INT64_C(1700000000000000000), 100, seed, false);
    }
    return rc;
}

/* A packet each of n flows through the table; returns ns a packet, or a negative number. */
static double pass(const struct family *f, int64_t n)
{
    struct fc_place end = {INT64_C(1700000000000000001), 0, 0, 0};
    struct fc_advancer a = {.sink = {nothing, NULL}};
    struct fc_rules rules;
    double start, each = -1;
    int rc = fc_rules_profile(&rules, "flowcarve");
    struct fc_table *t = fc_table_new(&rules, false, "/tmp");
    struct fc_unit *unit = t ? fc_unit_new(fc_table_stock(t)) : NULL;

    if (!unit || rc)
        return -1;
    fc_shelf_init(&a.shelf, fc_table_stock(t));
    start = micro_now();
    rc = note_all(f, n, unit, &a, fc_table_seed(t));
    fc_table_hand_over(t, unit, &a.shelf);
    for (unsigned i = 0; i < FC_PARTITIONS && rc == 0; i++)
        rc = fc_table_advance(t, i, &end, &a);
    if (rc == 0 && fc_table_flows(t) == (uint64_t)n)
        each = (micro_now() - start) / (double)n * 1e9;
    fc_shelf_fini(&a.shelf);
    fc_table_free(t);
    return each;
}

/*
 * Most keys that share 16 bits of their hashes, the highest or the lowest: tables look at one or the other. 0 without
 * memory.
 */
static unsigned longest_chain(const struct family *f, int64_t n)
{
    enum { BITS = 16 };
    unsigned *chains = calloc(2u << BITS, sizeof *chains), most = 0;
    uint64_t seed = fc_hash_secret();
    struct fc_flow_key key;

    for (int64_t i = 0; chains && i < n; i++) {
        make_key(f, &key, (uint64_t)i);
        uint64_t hash = fc_hash48(&key, seed);
        unsigned high = ++chains[hash >> (64 - BITS)], low = ++chains[(1u << BITS) + (hash & ((1u << BITS) - 1))];
        most = high > most ? high : most;
        most = low > most ? low : most;
    }
    free(chains);
    return most;
}

static int hostile(const struct family *f, int64_t n)
{
    double once[TRIES], twice[TRIES];
    unsigned chain = longest_chain(f, 2 * n);
    char what[128], note[128];

    for (int i = 0; i < TRIES; i++) {
        once[i] = pass(f, n);
        twice[i] = pass(f, 2 * n);
        if (once[i] < 0 || twice[i] < 0)
            return micro_fail("hash", "the table failed, or a flow is missing");
    }
    snprintf(what, sizeof what, "%lld flows: %s", (long long)(2 * n), f->name);
    /* by chance some ten; the verdict is by counting, since time is also a matter of what else the machine does */
    snprintf(note, sizeof note, "%.0f ns for half as many; longest chain %u%s", micro_median(once, TRIES), chain,
             chain > CHAIN_MAX ? ": THEY COLLIDE, quadratic time" : "");
    micro_row("hash", what, micro_median(twice, TRIES), "ns a packet", note);
    return 0;
}

static void hash_itself(int64_t n)
{
    enum { KEYS = 4096 };
    static struct fc_flow_key keys[KEYS];
    double each[MICRO_ROUNDS];
    uint64_t seed = fc_hash_secret(), all = 0;
    int64_t rounds = n * 100 / KEYS + 1;

    for (unsigned i = 0; i < KEYS; i++)
        make_key(&families[1], &keys[i], i);
    for (int r = 0; r < MICRO_ROUNDS; r++) {
        double start = micro_now();
        for (int64_t i = 0; i < rounds; i++)
            for (unsigned k = 0; k < KEYS; k++)
                all += fc_hash48(&keys[k], seed ^ (uint64_t)i);
        each[r] = (micro_now() - start) / (double)(rounds * KEYS) * 1e9;
    }
    /* were the sum not looked at, nothing would be computed */
    micro_row("hash", "fc_hash48", micro_median(each, MICRO_ROUNDS), "ns a key", all ? "" : "all zero");
}

int micro_hash(int argc, char **argv)
{
    int64_t n = micro_count(argc, argv, 10000);
    int rc = 0;

    if (n < 0)
        return 2;
    hash_itself(n);
    rcu_register_thread();
    for (size_t i = 0; i < sizeof families / sizeof families[0] && rc == 0; i++)
        rc = hostile(&families[i], n);
    rcu_unregister_thread();
    return rc;
}
