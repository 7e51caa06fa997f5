/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "capture_test.h"

#include <string.h>

/* The memfd's path is kept by the file. */
int open_made(const struct maker *m, size_t len, struct fc_file *file, struct fc_error *err)
{
    char *path = make_file(m, len);
    int rc = fc_file_open(path, file, err);

    if (rc)
        make_close(path);
    else
        free(path);
    return rc;
}

void close_made(struct fc_file *file)
{
    char *path = strdup(file->path);

    fc_file_close(file);
    make_close(path);
}

static void keep(struct walked *w, const struct fc_record *rec)
{
    w->records = realloc(w->records, (w->count + 1) * sizeof *w->records);
    w->data = realloc(w->data, (w->count + 1) * sizeof *w->data);
    w->records[w->count] = *rec;
    w->data[w->count] = malloc(rec->caplen + 1u);
    if (rec->caplen)
        memcpy(w->data[w->count], rec->data, rec->caplen);
    w->records[w->count++].data = NULL;
}

struct walked walk_part(const struct fc_file *file, size_t buffer, uint64_t start, uint64_t limit,
                        const struct fc_section *section, struct fc_section *end_section)
{
    struct fc_reader reader;
    struct walked w = {0};
    struct fc_record rec;

    cr_assert_eq(fc_reader_init(&reader, buffer), 0);
    cr_assert_eq(fc_reader_start(&reader, file, start, limit, section), 0);
    while ((w.rc = fc_reader_next(&reader, &rec)) == 1)
        keep(&w, &rec);
    if (w.rc < 0) {
        cr_assert_eq(fc_reader_next(&reader, &rec), w.rc); /* and again */
        w.why = reader.why;
        w.damage_off = reader.damage_off;
    }
    w.end = reader.pos;
    w.ifaces = reader.met;
    w.iface_count = reader.met_count;
    reader.met = NULL;
    if (end_section)
        cr_assert_eq(fc_section_copy(end_section, &reader.section), 0);
    fc_reader_fini(&reader);
    return w;
}

struct walked walk(const struct maker *m, size_t len)
{
    struct fc_file file;
    struct walked w = {0};

    if ((w.rc = open_made(m, len, &file, &w.why)))
        return w;
    w = walk_part(&file, FC_READER_BUFFER, 0, UINT64_MAX, NULL, NULL);
    close_made(&file);
    return w;
}

void walked_free(struct walked *w)
{
    for (size_t i = 0; i < w->count; i++)
        free(w->data[i]);
    free(w->data);
    free(w->records);
    free(w->ifaces);
    memset(w, 0, sizeof *w);
}

void expect_same(const struct walked *a, size_t from, const struct walked *b)
{
    cr_assert_leq(from + b->count, a->count);
    for (size_t i = 0; i < b->count; i++) {
        const struct fc_record *x = &a->records[from + i], *y = &b->records[i];
        cr_assert_eq(x->off, y->off);
        cr_assert_eq(x->next_off, y->next_off);
        cr_assert_eq(x->ts_ns, y->ts_ns);
        cr_assert_eq(x->caplen, y->caplen);
        cr_assert_eq(x->origlen, y->origlen);
        cr_assert_eq(x->link_type, y->link_type);
        cr_assert_eq(x->iface, y->iface);
        cr_assert_eq(memcmp(a->data[from + i], b->data[i], x->caplen), 0);
    }
}

static void random_pcap(struct maker *m, struct rng *r, unsigned kind, unsigned records, uint32_t caplen_max)
{
    static const int magics[] = {MAKE_US, MAKE_NS, MAKE_MODIFIED};
    uint32_t magic = (uint32_t)magics[kind % 3];

    m->big = kind >= 3;
    make_pcap(m, magic, 4, 262144, 1);
    for (unsigned i = 0; i < records; i++) {
        uint32_t caplen = (uint32_t)rng_below(r, caplen_max + 1);
        uint8_t *data = malloc(caplen + 1u);
        rng_fill(r, data, caplen);
        make_record(m, magic == (uint32_t)MAKE_MODIFIED ? 24 : 16, 1700000000 + i, (uint32_t)rng_below(r, 1000000),
                    caplen, caplen + (uint32_t)rng_below(r, 3), data);
        free(data);
    }
}

/* One packet block, or one of those that a reader must pass over. */
static void random_block(struct maker *m, struct rng *r, unsigned ifaces, uint64_t ticks, uint32_t caplen_max)
{
    uint32_t caplen = (uint32_t)rng_below(r, caplen_max + 1), origlen = caplen + (uint32_t)rng_below(r, 3);
    uint8_t *data = malloc(caplen + 1u);

    rng_fill(r, data, caplen);
    switch (rng_below(r, 10)) {
    case 0:
        make_block(m, (uint32_t)rng_between(r, 4, 5), data, caplen);
        break;
    case 1:
        make_block(m, 0x80000000u | (uint32_t)rng_next(r), data, caplen);
        break;
    case 2:
        make_pb(m, (unsigned)rng_below(r, ifaces), ticks, caplen, origlen, data);
        break;
    case 3:
        make_spb(m, caplen, caplen, data);
        break;
    default:
        make_epb(m, (uint32_t)rng_below(r, ifaces), ticks, caplen, origlen, data);
    }
    free(data);
}

void random_capture(struct maker *m, struct rng *r, unsigned kind, unsigned records, uint32_t caplen_max)
{
    if (kind < 6) {
        random_pcap(m, r, kind, records, caplen_max);
        return;
    }
    unsigned ifaces = 0;
    for (unsigned i = 0; i < records; i++) {
        if (!ifaces || (kind > 6 && rng_chance(r, 10))) {
            m->big = rng_chance(r, 50);
            make_shb(m);
            make_idb(m, 1, 0, 9, 0);
            ifaces = 1;
        } else if (rng_chance(r, 5)) {
            make_idb(m, 101, 0, rng_chance(r, 50) ? 6 : 9, 0);
            ifaces++;
        }
        random_block(m, r, ifaces, 1700000000000000000u + i, caplen_max);
    }
}
