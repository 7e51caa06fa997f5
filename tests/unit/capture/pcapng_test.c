/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "capture_test.h"

#include <string.h>

#define S 1000000000LL

static struct maker begin(bool big, int resol, int64_t offset)
{
    struct maker m = {.big = big};

    make_shb(&m);
    make_idb(&m, 1, 0, resol, offset);
    return m;
}

static struct walked finish(struct maker *m)
{
    struct walked w = walk(m, m->len);

    make_fini(m);
    return w;
}

static int64_t time_of(int resol, int64_t offset, uint64_t ticks)
{
    struct maker m = begin(false, resol, offset);

    make_epb(&m, 0, ticks, 4, 4, NULL);
    struct walked w = finish(&m);
    cr_assert_eq(w.count, 1);
    int64_t ts = w.records[0].ts_ns;
    walked_free(&w);
    return ts;
}

Test(pcapng, every_kind_of_packet_block_in_both_byte_orders)
{
    for (int big = 0; big < 2; big++) {
        struct maker m = begin(big, -1, 0);
        uint64_t epb = make_epb(&m, 0, 5000001, 5, 60, NULL), pb = make_pb(&m, 0, 6000002, 7, 70, NULL);
        uint64_t spb = make_spb(&m, 9, 9, NULL);
        struct walked w = finish(&m);
        cr_assert_eq(w.rc, 0);
        cr_assert_eq(w.count, 3);
        cr_assert_eq(w.records[0].off, epb);
        cr_assert_eq(w.records[0].ts_ns, 5 * S + 1000);
        cr_assert_eq(w.records[0].caplen, 5);
        cr_assert_eq(w.records[0].origlen, 60);
        cr_assert_eq(w.records[0].next_off, pb);
        cr_assert_eq(w.records[1].ts_ns, 6 * S + 2000);
        cr_assert_eq(w.records[1].origlen, 70);
        cr_assert_eq(w.records[2].off, spb);
        cr_assert_eq(w.records[2].ts_ns, FC_TIME_NONE);
        cr_assert_eq(w.records[2].caplen, 9);
        cr_assert_eq(memcmp(w.data[0], "@ABCD", 5), 0);
        walked_free(&w);
    }
}

Test(pcapng, powers_of_ten_as_time_units)
{
    cr_assert_eq(time_of(0, 0, 5), 5 * S);
    cr_assert_eq(time_of(3, 0, 5001), 5 * S + 1000000);
    cr_assert_eq(time_of(6, 0, 5000001), 5 * S + 1000);
    cr_assert_eq(time_of(9, 0, 5 * S + 1), 5 * S + 1);
    cr_assert_eq(time_of(12, 0, 5000000001999), 5 * S + 1);
}

Test(pcapng, powers_of_two_as_time_units)
{
    cr_assert_eq(time_of(128 | 0, 0, 5), 5 * S);
    cr_assert_eq(time_of(128 | 10, 0, 1024 + 512), S + S / 2);
    cr_assert_eq(time_of(128 | 32, 0, (3ull << 32) + (1ull << 31)), 3 * S + S / 2);
    cr_assert_eq(time_of(128 | 63, 0, UINT64_MAX), 2 * S - 1);
}

Test(pcapng, absurd_time_units_neither_overflow_nor_hang)
{
    cr_assert_eq(time_of(127, 0, UINT64_MAX), 0);
    cr_assert_eq(time_of(128 | 127, 0, UINT64_MAX), 0);
    cr_assert_eq(time_of(128 | 100, 0, UINT64_MAX), 0);
    cr_assert_eq(time_of(0, 0, UINT64_MAX), INT64_MAX);
    cr_assert_eq(time_of(28, 0, UINT64_MAX), 1); /* 1.8e19 units of 1e-28 s */
}

Test(pcapng, an_offset_of_time_may_be_negative_and_is_clamped)
{
    cr_assert_eq(time_of(6, 10, 5000001), 15 * S + 1000);
    cr_assert_eq(time_of(6, -10, 5000001), -5 * S + 1000);
    cr_assert_eq(time_of(6, INT64_MAX, 0), INT64_MAX);
    cr_assert_eq(time_of(6, INT64_MIN, 0), INT64_MIN + 1); /* not FC_TIME_NONE */
}

Test(pcapng, sections_of_both_byte_orders_have_interfaces_of_their_own)
{
    struct maker m = begin(false, 6, 0);

    make_epb(&m, 0, 1000000, 4, 4, NULL);
    m.big = true;
    uint64_t second = make_shb(&m);
    make_idb(&m, 101, 0, 9, 0);
    make_idb(&m, 113, 0, 3, 0);
    make_epb(&m, 1, 2000, 4, 4, NULL);
    make_epb(&m, 0, 3 * S, 4, 4, NULL);
    struct walked w = finish(&m);
    cr_assert_eq(w.count, 3);
    cr_assert_eq(w.records[1].section, 1);
    cr_assert_eq(w.records[1].iface, 1);
    cr_assert_eq(w.records[1].link_type, 113);
    cr_assert_eq(w.records[1].ts_ns, 2 * S);
    cr_assert_eq(w.records[2].link_type, 101);
    cr_assert_eq(w.records[2].ts_ns, 3 * S);
    cr_assert_eq(w.iface_count, 3);
    cr_assert_eq(w.ifaces[2].section_off, second);
    walked_free(&w);
}

Test(pcapng, unknown_blocks_are_passed_over_also_large_ones)
{
    struct maker m = begin(false, 6, 0);
    uint8_t *large = calloc(1, 3 << 20);

    make_block(&m, 4, "abcd", 4);
    make_block(&m, 0x0bad, "custom", 6);
    make_block(&m, 0x7fffffff, NULL, 0);
    make_block(&m, 5, large, 3 << 20);
    make_epb(&m, 0, 1, 4, 4, NULL);
    struct walked w = finish(&m);
    cr_assert_eq(w.rc, 0);
    cr_assert_eq(w.count, 1);
    walked_free(&w);
    free(large);
}

Test(pcapng, an_unpadded_block_length_is_read_as_padded)
{
    struct maker m = begin(false, 6, 0);
    uint64_t off = make_epb(&m, 0, 1, 5, 5, NULL);

    make_patch32(&m, off + 4, 37);
    make_patch32(&m, m.len - 4, 37);
    make_epb(&m, 0, 2, 4, 4, NULL);
    struct walked w = finish(&m);
    cr_assert_eq(w.rc, 0);
    cr_assert_eq(w.count, 2);
    walked_free(&w);
}

Test(pcapng, a_snaplen_limits_a_simple_packet)
{
    struct maker m = {0};

    make_shb(&m);
    make_idb(&m, 1, 10, 6, 0);
    make_spb(&m, 50, 10, NULL);
    struct walked w = finish(&m);
    cr_assert_eq(w.count, 1);
    cr_assert_eq(w.records[0].caplen, 10);
    cr_assert_eq(w.records[0].origlen, 50);
    walked_free(&w);
}

/* The capture's last block is damage: one packet in front of it is read, the offset is named. */
static void damaged(struct maker *m, uint64_t off, size_t records)
{
    struct walked w = finish(m);

    cr_assert_eq(w.rc, FC_E_DAMAGED);
    cr_assert_eq(w.count, records);
    cr_assert_eq(w.damage_off, off);
    cr_assert_eq(w.why.off, off);
    cr_assert_neq(w.why.cause[0], '\0');
    walked_free(&w);
}

Test(pcapng, lengths_that_differ_at_both_ends_are_damage_when_the_first_leads_nowhere)
{
    struct maker m = begin(false, 6, 0);
    make_epb(&m, 0, 1, 4, 4, NULL);
    uint64_t off = make_epb(&m, 0, 1, 4, 4, NULL);
    make_patch32(&m, m.len - 4, 99);
    make_fill(&m, 0x55, 40);
    damaged(&m, off, 1);
}

Test(pcapng, a_block_whose_first_length_leads_on_is_read_whatever_the_last_is)
{
    struct maker m = begin(false, 6, 0);
    make_epb(&m, 0, 1, 4, 4, NULL);
    make_patch32(&m, m.len - 4, 99);
    make_epb(&m, 0, 1, 4, 4, NULL);
    make_epb(&m, 0, 1, 4, 4, NULL);
    struct walked w = finish(&m);
    cr_assert_eq(w.rc, 0);
    cr_assert_eq(w.count, 3);
    walked_free(&w);
}

Test(pcapng, a_length_below_twelve_is_damage)
{
    for (uint32_t n = 0; n < 12; n++) {
        struct maker m = begin(false, 6, 0);
        make_epb(&m, 0, 1, 4, 4, NULL);
        uint64_t off = make_epb(&m, 0, 1, 4, 4, NULL);
        make_patch32(&m, off + 4, n);
        damaged(&m, off, 1);
    }
}

Test(pcapng, lengths_up_to_the_largest_are_damage)
{
    for (uint32_t n = UINT32_MAX - 4; n != 0; n++) {
        struct maker m = begin(false, 6, 0);
        uint64_t off = make_epb(&m, 0, 1, 4, 4, NULL);
        make_patch32(&m, off + 4, n);
        make_patch32(&m, m.len - 4, n);
        damaged(&m, off, 0);
    }
}

Test(pcapng, a_packet_larger_than_its_block_is_damage)
{
    static const uint32_t caplens[] = {5, 8, 9, 36, 262144, INT32_MAX, UINT32_MAX - 28, UINT32_MAX - 3, UINT32_MAX};

    for (size_t i = 0; i < sizeof caplens / sizeof caplens[0]; i++) {
        struct maker m = begin(false, 6, 0);
        uint64_t off = make_epb(&m, 0, 1, 4, 4, NULL);
        make_patch32(&m, off + 20, caplens[i]);
        damaged(&m, off, 0);
    }
}

Test(pcapng, an_interface_that_was_not_described_is_damage)
{
    struct maker m = begin(false, 6, 0);
    make_epb(&m, 0, 1, 4, 4, NULL);
    damaged(&m, make_epb(&m, 1, 1, 4, 4, NULL), 1);
    struct maker n = {0};
    make_shb(&n);
    damaged(&n, make_spb(&n, 4, 4, NULL), 0);
}

Test(pcapng, a_new_section_forgets_the_interfaces)
{
    struct maker m = begin(false, 6, 0);
    make_epb(&m, 0, 1, 4, 4, NULL);
    make_shb(&m);
    damaged(&m, make_epb(&m, 0, 1, 4, 4, NULL), 1);
}

Test(pcapng, blocks_that_are_too_short_are_damage)
{
    static const uint32_t types[] = {1, 2, 3, 6};

    for (size_t i = 0; i < 4; i++) {
        struct maker m = begin(false, 6, 0);
        damaged(&m, make_block(&m, types[i], NULL, 0), 0);
    }
}

Test(pcapng, a_section_without_a_byte_order_or_of_another_version_is_damage)
{
    struct maker m = begin(false, 6, 0);
    uint64_t off = make_shb(&m);
    make_patch32(&m, off + 8, 0x12345678);
    make_patch32(&m, off + 24, 99); /* else both lengths tell the byte order */
    damaged(&m, off, 0);
    m = begin(false, 6, 0);
    off = make_shb(&m);
    m.at[off + 12] = 2;
    damaged(&m, off, 0);
}

Test(pcapng, a_wrong_option_list_does_not_hurt_the_interface)
{
    struct maker m = {0};
    uint8_t body[24] = {1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0xff, 0xff, 9, 9, 9, 9};

    make_shb(&m);
    make_block(&m, 1, body, sizeof body);
    make_epb(&m, 0, 1, 4, 4, NULL);
    struct walked w = finish(&m);
    cr_assert_eq(w.count, 1);
    cr_assert_eq(w.records[0].ts_ns, 1000);
    walked_free(&w);
}

Test(pcapng, cut_at_every_length_it_gives_what_is_whole_and_names_the_offset)
{
    struct maker m = begin(true, 6, 0);

    for (unsigned i = 0; i < 3; i++) {
        make_epb(&m, 0, i, 5 + i, 60, NULL);
        make_spb(&m, 3, 3, NULL);
        make_block(&m, 77, "unknown", 7);
    }
    struct walked all = walk(&m, m.len);
    cr_assert_eq(all.count, 6);
    for (size_t len = 12; len < m.len; len++) {
        struct walked w = walk(&m, len);
        size_t whole = 0;
        while (whole < all.count && all.records[whole].next_off <= len)
            whole++;
        cr_assert_eq(w.count, whole, "%zu bytes", len);
        cr_assert(w.rc == 0 || w.rc == FC_E_DAMAGED);
        if (w.rc)
            cr_assert(w.damage_off <= len && w.damage_off >= (whole ? all.records[whole - 1].next_off : 0));
        expect_same(&all, 0, &w);
        walked_free(&w);
    }
    walked_free(&all);
    make_fini(&m);
}

Test(pcapng, random_damage_never_gives_a_record_outside_of_the_file)
{
    struct rng rng = {test_seed("pcapng, damage")};

    for (unsigned i = 0; i < 3000; i++) {
        struct maker m = {0};
        random_capture(&m, &rng, (unsigned)rng_below(&rng, KINDS), 12, 60);
        for (uint64_t k = rng_between(&rng, 1, 4); k > 0; k--)
            m.at[rng_below(&rng, m.len)] = (uint8_t)rng_next(&rng);
        struct walked w = walk(&m, m.len);
        for (size_t k = 0; k < w.count; k++)
            cr_assert(w.records[k].next_off <= m.len && w.records[k].caplen <= m.len);
        walked_free(&w);
        make_fini(&m);
    }
}
