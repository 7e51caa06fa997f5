/* SPDX-License-Identifier: MIT */
/* Readers on parts of a file, single records, guesses; libpcap as a second opinion. */
#include <criterion/criterion.h>

#include "capture_test.h"

#include <pcap/pcap.h>
#include <string.h>

static struct maker capture_of(struct rng *r, unsigned kind, unsigned records, uint32_t caplen_max)
{
    struct maker m = {0};

    random_capture(&m, r, kind, records, caplen_max);
    return m;
}

Test(reader, tiny_buffers_give_the_same_records)
{
    static const size_t sizes[] = {1, 12, 13, 16, 24, 28, 64, 100, 1000};
    struct rng rng = {test_seed("reader, buffers")};

    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct maker m = capture_of(&rng, kind, 40, 300);
        struct fc_file file;
        cr_assert_eq(open_made(&m, m.len, &file, NULL), 0);
        struct walked all = walk_part(&file, FC_READER_BUFFER, 0, UINT64_MAX, NULL, NULL);
        cr_assert_eq(all.rc, 0);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct walked w = walk_part(&file, sizes[i], 0, UINT64_MAX, NULL, NULL);
            cr_assert_eq(w.rc, 0);
            cr_assert_eq(w.count, all.count);
            expect_same(&all, 0, &w);
            walked_free(&w);
        }
        walked_free(&all);
        close_made(&file);
        make_fini(&m);
    }
}

/* [0, cut) and [cut, end) give each record once, whatever the cut is. */
static void cut_anywhere(const struct fc_file *file, const struct walked *all, uint64_t cut)
{
    struct fc_section section = {0};
    struct walked a = walk_part(file, 4096, 0, cut, NULL, &section);

    cr_assert_eq(a.rc, 0);
    cr_assert_geq(a.end, cut < file->size ? cut : file->size);
    struct walked b = walk_part(file, 4096, a.end, UINT64_MAX, &section, NULL);
    cr_assert_eq(b.rc, 0);
    cr_assert_eq(a.count + b.count, all->count, "cut at %llu", (unsigned long long)cut);
    expect_same(all, 0, &a);
    expect_same(all, a.count, &b);
    fc_section_free(&section);
    walked_free(&a);
    walked_free(&b);
}

Test(reader, parts_give_every_record_once_at_any_cut)
{
    struct rng rng = {test_seed("reader, parts")};

    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct maker m = capture_of(&rng, kind, 12, 40);
        struct fc_file file;
        cr_assert_eq(open_made(&m, m.len, &file, NULL), 0);
        struct walked all = walk_part(&file, FC_READER_BUFFER, 0, UINT64_MAX, NULL, NULL);
        for (uint64_t cut = file.data_off + 1; cut <= m.len + 1; cut++)
            cut_anywhere(&file, &all, cut);
        walked_free(&all);
        close_made(&file);
        make_fini(&m);
    }
}

/* The section that holds at a record, from the list of interfaces, as the index would have it. */
static void start_at(struct fc_reader *reader, const struct fc_file *file, const struct walked *all, uint64_t off)
{
    struct fc_section section = {.number = UINT32_MAX};

    for (size_t i = 0; i < all->iface_count && all->ifaces[i].off < off; i++) {
        const struct fc_interface *f = &all->ifaces[i];
        if (section.number != f->section)
            section = (struct fc_section){
                .off = f->section_off, .number = f->section, .big_endian = f->big_endian, .ifaces = &all->ifaces[i]};
        section.count++;
    }
    cr_assert_eq(fc_reader_start(reader, file, 0, UINT64_MAX, all->iface_count ? &section : NULL), 0);
}

Test(reader, single_records_in_any_order_are_those_of_the_walk)
{
    struct rng rng = {test_seed("reader, at")};

    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct maker m = capture_of(&rng, kind, 60, 200);
        struct fc_reader reader;
        struct fc_record rec;
        struct fc_file file;
        cr_assert_eq(open_made(&m, m.len, &file, NULL), 0);
        struct walked all = walk_part(&file, FC_READER_BUFFER, 0, UINT64_MAX, NULL, NULL);
        cr_assert_eq(fc_reader_init(&reader, 512), 0);
        for (unsigned i = 0; i < 400; i++) {
            size_t k = rng_below(&rng, all.count);
            start_at(&reader, &file, &all, all.records[k].off);
            cr_assert_eq(fc_reader_at(&reader, all.records[k].off, 1 + rng_below(&rng, 700), &rec), 1);
            uint8_t *data = (uint8_t *)(uintptr_t)rec.data;
            struct walked one = {.records = &rec, .data = &data, .count = 1};
            expect_same(&all, k, &one);
        }
        fc_reader_fini(&reader);
        walked_free(&all);
        close_made(&file);
        make_fini(&m);
    }
}

Test(reader, an_offset_outside_of_the_records_is_damage_and_does_not_stick)
{
    struct rng rng = {test_seed("reader, at, outside")};
    struct maker m = capture_of(&rng, 0, 5, 20);
    struct fc_reader reader;
    struct fc_record rec;
    struct fc_file file;

    cr_assert_eq(open_made(&m, m.len, &file, NULL), 0);
    cr_assert_eq(fc_reader_init(&reader, 512), 0);
    cr_assert_eq(fc_reader_start(&reader, &file, 0, UINT64_MAX, NULL), 0);
    cr_assert_eq(fc_reader_at(&reader, 0, 100, &rec), FC_E_DAMAGED);
    cr_assert_eq(fc_reader_at(&reader, m.len, 100, &rec), FC_E_DAMAGED);
    cr_assert_eq(fc_reader_at(&reader, UINT64_MAX, 100, &rec), FC_E_DAMAGED);
    cr_assert_eq(fc_reader_at(&reader, 24, 100, &rec), 1);
    fc_reader_fini(&reader);
    close_made(&file);
    make_fini(&m);
}

Test(reader, a_file_that_became_shorter_is_an_error_and_no_record)
{
    struct rng rng = {test_seed("reader, shorter")};
    struct maker m = capture_of(&rng, 0, 50, 200);
    struct fc_file file;

    cr_assert_eq(open_made(&m, m.len, &file, NULL), 0);
    file.size += 5000; /* as if it had been larger when opened */
    struct walked w = walk_part(&file, 256, 0, UINT64_MAX, NULL, NULL);
    cr_assert_eq(w.rc, FC_E_IO);
    cr_assert_eq(w.count, 49); /* the header behind the last one could not be looked at */
    walked_free(&w);
    close_made(&file);
    make_fini(&m);
}

static uint64_t guess(const struct fc_file *file, uint64_t from, uint64_t until, const struct fc_section *section)
{
    struct fc_reader reader;

    cr_assert_eq(fc_reader_init(&reader, 64 << 10), 0);
    uint64_t off = fc_reader_guess(&reader, file, from, until, section);
    fc_reader_fini(&reader);
    return off;
}

Test(reader, a_guess_is_in_the_range_asked_for_or_none)
{
    struct rng rng = {test_seed("reader, guess")};

    for (unsigned i = 0; i < 300; i++) {
        struct maker m = capture_of(&rng, (unsigned)rng_below(&rng, 6), 60, 200);
        struct fc_file file;
        cr_assert_eq(open_made(&m, m.len, &file, NULL), 0);
        uint64_t from = rng_between(&rng, 24, m.len), until = from + rng_below(&rng, 2000);
        uint64_t off = guess(&file, from, until, NULL);
        cr_assert(off == UINT64_MAX || (off >= from && off < until && off < m.len));
        close_made(&file);
        make_fini(&m);
    }
}

Test(reader, a_guess_hits_in_ordinary_captures)
{
    struct rng rng = {test_seed("reader, guess hits")};
    unsigned hits = 0, tries = 0;

    for (unsigned i = 0; i < 60; i++) {
        unsigned kind = (unsigned)rng_below(&rng, KINDS - 1);
        struct maker m = capture_of(&rng, kind, 200, 200);
        struct fc_section section = {0};
        struct fc_file file;
        cr_assert_eq(open_made(&m, m.len, &file, NULL), 0);
        struct walked all = walk_part(&file, FC_READER_BUFFER, 0, UINT64_MAX, NULL, &section);
        uint64_t from = rng_between(&rng, m.len / 4, m.len / 2), next = 0;
        uint64_t off = guess(&file, from, m.len, kind < 6 ? NULL : &section);
        for (size_t k = all.count; k-- > 0;)
            next = all.records[k].off >= from ? all.records[k].off : next;
        hits += off == next;
        /* zero lengths are passed over, and other blocks of pcapng are boundaries as well */
        tries++;
        fc_section_free(&section);
        walked_free(&all);
        close_made(&file);
        make_fini(&m);
    }
    cr_assert_geq(hits * 10, tries * 7, "%u of %u", hits, tries);
}

Test(reader, a_capture_inside_a_capture_fools_the_guess_but_not_the_parts)
{
    struct rng rng = {test_seed("reader, nested")};
    struct maker inner = capture_of(&rng, 0, 100, 60), m = {0};
    struct fc_file file;

    make_pcap(&m, (uint32_t)MAKE_US, 4, 262144, 1);
    for (unsigned i = 0; i < 4; i++)
        make_record(&m, 16, 1700000000, 0, (uint32_t)inner.len, (uint32_t)inner.len, inner.at);
    cr_assert_eq(open_made(&m, m.len, &file, NULL), 0);
    uint64_t from = 24 + 16 + 24 + 100, off = guess(&file, from, m.len, NULL);
    cr_assert_lt(off, 24 + 16 + inner.len); /* a record of the inner capture */
    struct walked a = walk_part(&file, 4096, 0, from, NULL, NULL);
    cr_assert_neq(a.end, off); /* what the part before says is another place: the guess is dropped */
    struct walked b = walk_part(&file, 4096, a.end, UINT64_MAX, NULL, NULL);
    cr_assert_eq(a.count + b.count, 4);
    walked_free(&a);
    walked_free(&b);
    close_made(&file);
    make_fini(&inner);
    make_fini(&m);
}

Test(reader, random_bytes_are_rarely_a_boundary_and_never_a_crash)
{
    struct rng rng = {test_seed("reader, guess in noise")};

    for (unsigned i = 0; i < 40; i++) {
        struct maker m = {0};
        struct fc_file file;
        make_pcap(&m, (uint32_t)MAKE_US, 4, 262144, 1);
        uint8_t noise[4096];
        rng_fill(&rng, noise, sizeof noise);
        make_bytes(&m, noise, sizeof noise);
        cr_assert_eq(open_made(&m, m.len, &file, NULL), 0);
        cr_assert_eq(guess(&file, 100, m.len, NULL), UINT64_MAX);
        close_made(&file);
        make_fini(&m);
    }
}

/* libpcap walks the same file: count, lengths, times, and bytes at our offsets. */
static void second_opinion(struct rng *r, unsigned kind)
{
    struct maker m = capture_of(r, kind, 80, 400);
    char *path = make_file(&m, m.len), message[PCAP_ERRBUF_SIZE];
    pcap_t *pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, message);
    struct walked w = walk(&m, m.len);
    struct pcap_pkthdr *header;
    const u_char *data;
    size_t n = 0;

    cr_assert_not_null(pcap, "%s", message);
    while (pcap_next_ex(pcap, &header, &data) == 1) {
        cr_assert_lt(n, w.count);
        const struct fc_record *rec = &w.records[n];
        cr_assert_eq(rec->caplen, header->caplen);
        cr_assert_eq(rec->origlen, header->len);
        if (rec->ts_ns != FC_TIME_NONE)
            cr_assert_eq(rec->ts_ns, (int64_t)header->ts.tv_sec * 1000000000 + header->ts.tv_usec);
        cr_assert_eq(memcmp(data, w.data[n], rec->caplen), 0);

        cr_assert_eq(memcmp(m.at + rec->next_off - rec->caplen, data, rec->caplen), 0);
        n++;
    }
    cr_assert_eq(n, w.count);
    pcap_close(pcap);
    make_close(path);
    walked_free(&w);
    make_fini(&m);
}

Test(reader, libpcap_reads_the_same_records_from_pcap)
{
    struct rng rng = {test_seed("reader, libpcap")};

    for (unsigned i = 0; i < 60; i++)
        second_opinion(&rng, i % 6);
}

/* libpcap wants one link type and snaplen in all of a pcapng: one interface, plain blocks. */
Test(reader, libpcap_reads_the_same_records_from_pcapng)
{
    struct rng rng = {test_seed("reader, libpcap, pcapng")};

    for (unsigned i = 0; i < 30; i++) {
        struct maker m = {.big = i & 1};
        char message[PCAP_ERRBUF_SIZE];
        struct pcap_pkthdr *header;
        const u_char *data;
        make_shb(&m);
        make_idb(&m, 1, 0, i % 3 ? 6 : 9, 0);
        for (unsigned k = 0; k < 50; k++)
            make_epb(&m, 0, (1ull << 50) + rng_below(&rng, 1ull << 40), (uint32_t)rng_below(&rng, 200), 300, NULL);
        char *path = make_file(&m, m.len);
        pcap_t *pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, message);
        struct walked w = walk(&m, m.len);
        cr_assert_not_null(pcap, "%s", message);
        size_t n = 0;
        for (; pcap_next_ex(pcap, &header, &data) == 1; n++) {
            cr_assert_lt(n, w.count);
            cr_assert_eq(w.records[n].caplen, header->caplen);
            cr_assert_eq(w.records[n].ts_ns, (int64_t)header->ts.tv_sec * 1000000000 + header->ts.tv_usec);
            cr_assert_eq(memcmp(m.at + w.records[n].off + 28, data, header->caplen), 0);
        }
        cr_assert_eq(n, w.count);
        pcap_close(pcap);
        make_close(path);
        walked_free(&w);
        make_fini(&m);
    }
}
