/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "capture_test.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define S 1000000000LL

/* One capture of three records, 5, 0 and 40 bytes. */
static struct maker three(uint32_t magic, bool big)
{
    unsigned head = magic == (uint32_t)MAKE_MODIFIED ? 24 : 16;
    struct maker m = {.big = big};

    make_pcap(&m, magic, 4, 65535, 1);
    make_record(&m, head, 100, 7, 5, 60, NULL);
    make_record(&m, head, 101, 8, 0, 0, NULL);
    make_record(&m, head, 102, 9, 40, 40, NULL);
    return m;
}

static void expect_three(uint32_t magic, bool big, enum fc_format format)
{
    struct maker m = three(magic, big);
    struct walked w = walk(&m, m.len);
    unsigned unit = format == FC_FORMAT_PCAP_NS ? 1 : 1000;
    struct fc_file file;

    cr_assert_eq(w.rc, 0);
    cr_assert_eq(w.count, 3);
    cr_assert_eq(w.records[0].off, 24);
    cr_assert_eq(w.records[0].ts_ns, 100 * S + 7 * unit);
    cr_assert_eq(w.records[0].caplen, 5);
    cr_assert_eq(w.records[0].origlen, 60);
    cr_assert_eq(w.records[1].caplen, 0);
    cr_assert_eq(w.records[2].next_off, m.len);
    cr_assert_eq(w.records[2].link_type, 1);
    cr_assert_eq(memcmp(w.data[0], "@ABCD", 5), 0);
    cr_assert_eq(open_made(&m, m.len, &file, NULL), 0);
    cr_assert_eq(file.format, format);
    cr_assert_eq(file.pcap.iface.snaplen, 65535);
    close_made(&file);
    walked_free(&w);
    make_fini(&m);
}

Test(pcap, microseconds_in_both_byte_orders)
{
    expect_three((uint32_t)MAKE_US, false, FC_FORMAT_PCAP);
    expect_three((uint32_t)MAKE_US, true, FC_FORMAT_PCAP);
}

Test(pcap, nanoseconds_in_both_byte_orders)
{
    expect_three((uint32_t)MAKE_NS, false, FC_FORMAT_PCAP_NS);
    expect_three((uint32_t)MAKE_NS, true, FC_FORMAT_PCAP_NS);
}

Test(pcap, the_modified_format_in_both_byte_orders)
{
    expect_three((uint32_t)MAKE_MODIFIED, false, FC_FORMAT_PCAP_MODIFIED);
    expect_three((uint32_t)MAKE_MODIFIED, true, FC_FORMAT_PCAP_MODIFIED);
}

/* A capture cut at `len`: the records that are whole come first, then damage at the one that is not. */
static void cut_at(const struct maker *m, const struct walked *all, size_t len)
{
    struct walked w = walk(m, len);
    size_t whole = 0;

    while (whole < all->count && all->records[whole].next_off <= len)
        whole++;
    uint64_t end = whole ? all->records[whole - 1].next_off : 24;
    cr_assert_eq(w.count, whole, "%zu bytes: %zu records, not %zu", len, w.count, whole);
    cr_assert_eq(w.rc, len == end ? 0 : FC_E_DAMAGED, "%zu bytes", len);
    if (w.rc) {
        cr_assert_eq(w.damage_off, end);
        cr_assert_eq(w.why.off, end);
    }
    expect_same(all, 0, &w);
    walked_free(&w);
}

Test(pcap, cut_at_every_length_it_gives_what_is_whole_and_names_the_offset)
{
    static const int magics[] = {MAKE_US, MAKE_NS, MAKE_MODIFIED};

    for (unsigned i = 0; i < 6; i++) {
        struct maker m = three((uint32_t)magics[i % 3], i >= 3);
        struct walked all = walk(&m, m.len);
        for (size_t len = 24; len <= m.len; len++)
            cut_at(&m, &all, len);
        walked_free(&all);
        make_fini(&m);
    }
}

Test(pcap, cut_inside_the_file_header_it_is_empty_and_says_so)
{
    struct maker m = three((uint32_t)MAKE_US, false);

    for (size_t len = 0; len < 24; len++) {
        struct walked w = walk(&m, len);
        if (len && len < 4) {
            cr_assert_eq(w.rc, FC_E_FORMAT); /* not even a magic number */
        } else {
            cr_assert_eq(w.rc, FC_E_DAMAGED);
            cr_assert_eq(w.damage_off, 0);
            cr_assert_str_eq(w.why.cause, len ? "file ends inside the file header" : "file is empty");
        }
        cr_assert_eq(w.count, 0);
        walked_free(&w);
    }
    make_fini(&m);
}

static struct walked walk_one(uint32_t link, uint32_t caplen, uint32_t origlen, unsigned minor)
{
    struct maker m = {0};

    make_pcap(&m, (uint32_t)MAKE_US, minor, 100, link);
    make_record(&m, 16, 1, 1, 4, 4, NULL);
    size_t off = make_record(&m, 16, 1, 1, 0, 0, NULL);
    make_patch32(&m, off + 8, caplen);
    make_patch32(&m, off + 12, origlen);
    make_fill(&m, 0x77, 300000);
    struct walked w = walk(&m, m.len);
    make_fini(&m);
    return w;
}

Test(pcap, more_captured_than_on_the_wire_is_read_as_it_says)
{
    struct walked w = walk_one(1, 60, 50, 4);

    cr_assert_geq(w.count, 2);
    cr_assert_eq(w.records[1].caplen, 60);
    cr_assert_eq(w.records[1].origlen, 50);
    walked_free(&w);
}

Test(pcap, more_captured_than_the_snaplen_is_read)
{
    struct walked w = walk_one(1, 262144, 262144, 4);

    cr_assert_geq(w.count, 2);
    cr_assert_eq(w.records[1].caplen, 262144);
    walked_free(&w);
}

Test(pcap, more_captured_than_the_limit_is_damage_that_names_the_numbers)
{
    struct walked w = walk_one(1, 262145, 262145, 4);

    cr_assert_eq(w.count, 1);
    cr_assert_eq(w.rc, FC_E_DAMAGED);
    cr_assert_eq(w.damage_off, 44);
    cr_assert_not_null(strstr(w.why.cause, "262145"));
    walked_free(&w);
}

Test(pcap, the_limit_of_usb_is_larger)
{
    struct walked w = walk_one(249, 262145, 262145, 4);

    cr_assert_geq(w.count, 2);
    cr_assert_eq(w.records[1].caplen, 262145);
    walked_free(&w);
}

Test(pcap, the_largest_length_there_is_is_damage)
{
    struct walked w = walk_one(1, UINT32_MAX, UINT32_MAX, 4);

    cr_assert_eq(w.rc, FC_E_DAMAGED);
    walked_free(&w);
}

Test(pcap, before_version_2_3_the_lengths_change_places)
{
    struct walked w = walk_one(1, 90, 60, 2);

    cr_assert_geq(w.count, 2);
    cr_assert_eq(w.records[1].caplen, 60);
    cr_assert_eq(w.records[1].origlen, 90);
    walked_free(&w);
}

Test(pcap, in_version_2_3_the_lengths_change_places_where_they_must)
{
    struct walked w = walk_one(1, 90, 60, 3), v = walk_one(1, 60, 90, 3);

    cr_assert_eq(w.records[1].caplen, 60);
    cr_assert_eq(v.records[1].caplen, 60);
    walked_free(&w);
    walked_free(&v);
}

/* The lengths in the order of version 2.2 and before. */
static struct walked walk_version(uint32_t magic, unsigned major, unsigned minor, uint32_t link)
{
    struct maker m = {.big = true};

    make_pcap(&m, magic, minor, 100, link);
    m.at[4] = (uint8_t)(major >> 8);
    m.at[5] = (uint8_t)major;
    size_t off = make_record(&m, 16, 100, 999999, 4, 4, NULL);
    make_patch32(&m, off + 8, 60);
    make_patch32(&m, off + 12, 4);
    struct walked w = walk(&m, m.len);
    make_fini(&m);
    return w;
}

Test(pcap, aix_has_nanoseconds_and_interface_types_in_version_2_2)
{
    static const uint32_t types[][2] = {{6, 1}, {9, 6}, {15, 10}, {24, 0}};

    for (unsigned i = 0; i < 4; i++) {
        struct walked w = walk_version((uint32_t)MAKE_US, 2, 2, types[i][0]);
        cr_assert_eq(w.count, 1);
        cr_assert_eq(w.records[0].link_type, types[i][1]);
        cr_assert_eq(w.records[0].ts_ns, 100 * S + 999999);
        cr_assert_eq(w.records[0].caplen, 4);
        cr_assert_eq(w.records[0].origlen, 60);
        walked_free(&w);
    }
    struct walked other_type = walk_version((uint32_t)MAKE_US, 2, 2, 1);
    struct walked other_version = walk_version((uint32_t)MAKE_US, 2, 1, 6);
    struct walked other_magic = walk_version((uint32_t)MAKE_NS, 2, 2, 6);
    cr_assert_eq(other_type.records[0].ts_ns, 100 * S + 999999000);
    cr_assert_eq(other_version.records[0].link_type, 6);
    cr_assert_eq(other_version.records[0].ts_ns, 100 * S + 999999000);
    cr_assert_eq(other_magic.records[0].link_type, 6);
    walked_free(&other_type);
    walked_free(&other_version);
    walked_free(&other_magic);
}

Test(pcap, dg_ux_has_a_version_of_its_own)
{
    struct walked w = walk_version((uint32_t)MAKE_US, 543, 0, 1), v = walk_version((uint32_t)MAKE_US, 543, 1, 1);

    cr_assert_eq(w.count, 1);
    cr_assert_eq(w.records[0].caplen, 4);
    cr_assert_eq(w.records[0].origlen, 60);
    cr_assert_eq(v.rc, FC_E_FORMAT);
    walked_free(&w);
    walked_free(&v);
}

Test(pcap, a_fraction_of_more_than_a_second_is_carried_over)
{
    struct maker m = {0};

    make_pcap(&m, (uint32_t)MAKE_US, 4, 100, 1);
    make_record(&m, 16, 10, 1500000, 4, 4, NULL);
    make_record(&m, 16, UINT32_MAX, UINT32_MAX, 4, 4, NULL);
    struct walked w = walk(&m, m.len);
    cr_assert_eq(w.records[0].ts_ns, 11500000000);
    cr_assert_eq(w.records[1].ts_ns, (int64_t)UINT32_MAX * S + (int64_t)UINT32_MAX * 1000);
    walked_free(&w);
    make_fini(&m);
}

Test(pcap, bits_that_tell_of_a_check_sequence_are_no_part_of_the_link_type)
{
    struct maker m = {0};

    make_pcap(&m, (uint32_t)MAKE_US, 4, 100, 0x54000001);
    make_record(&m, 16, 1, 1, 4, 4, NULL);
    struct walked w = walk(&m, m.len);
    cr_assert_eq(w.records[0].link_type, 1);
    walked_free(&w);
    make_fini(&m);
}

static void refused(const void *bytes, size_t n, const char *cause)
{
    struct maker m = {0};

    make_bytes(&m, bytes, n);
    make_fill(&m, 0, 64);
    struct walked w = walk(&m, m.len);
    cr_assert_eq(w.rc, FC_E_FORMAT);
    cr_assert_not_null(strstr(w.why.cause, cause), "%s", w.why.cause);
    walked_free(&w);
    make_fini(&m);
}

Test(pcap, what_is_no_capture_is_refused_with_what_it_looks_like)
{
    refused("\x1f\x8b\x08", 3, "gzip");
    refused("\x28\xb5\x2f\xfd", 4, "zstd");
    refused("\x04\x22\x4d\x18", 4, "lz4");
    refused("\x02\x21\x4c\x18", 4, "lz4");
    refused("\xfd"
            "7zXZ",
            6, "xz");
    refused("PK\x03\x04", 4, "zip");
    refused("snoop\0\0\0", 8, "snoop");
    refused("btsnoop\0\0\0\0\1", 12, "btsnoop capture; convert it with editcap");
    refused("SQLite format 3", 16, "SQLite");
    refused("hello world", 11, "no pcap or pcapng magic");
}

Test(pcap, another_major_version_or_a_reserved_bit_is_refused)
{
    struct maker m = {0};

    make_pcap(&m, (uint32_t)MAKE_US, 4, 100, 1);
    m.at[4] = 3;
    struct walked w = walk(&m, m.len);
    cr_assert_eq(w.rc, FC_E_FORMAT);
    walked_free(&w);
    m.at[4] = 2;
    m.at[22] = 1;
    w = walk(&m, m.len);
    cr_assert_eq(w.rc, FC_E_FORMAT);
    walked_free(&w);
    make_fini(&m);
}

Test(pcap, a_folder_a_fifo_and_a_missing_file_are_errors_without_waiting)
{
    struct fc_file file;
    char path[] = "/tmp/flowcarve-fifo-XXXXXX";

    cr_assert_eq(fc_file_open("/tmp", &file, NULL), FC_E_IO);
    cr_assert_eq(fc_file_open("/nonexistent.pcap", &file, NULL), FC_E_IO);
    cr_assert_not_null(mkdtemp(path));
    char fifo[64];
    snprintf(fifo, sizeof fifo, "%s/fifo", path);
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    cr_assert_eq(fc_file_open(fifo, &file, NULL), FC_E_IO);
    unlink(fifo);
    rmdir(path);
}
