/* SPDX-License-Identifier: MIT */
#include "packets/number.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static int walk(struct fc_numbers *n, struct fc_places *places, const struct fc_place_file *f, struct fc_reader *reader,
                struct fc_error *err)
{
    struct fc_record rec;
    uint64_t number = 0;
    size_t i = 0;
    int rc = 1;

    while (i < f->count && (rc = fc_reader_walk(reader, &rec, UINT64_MAX)) == 1) {
        number++;
        if ((number & 0xfff) == 0 && fc_places_stopped(places))
            return fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
        while (i < f->count && f->pos[i].off < rec.off)
            i++;
        if (i < f->count && f->pos[i].off == rec.off) {
            n->offs[n->count] = rec.off;
            n->numbers[n->count++] = number;
            i++;
        }
    }
    if (rc < 0)
        *err = reader->why;
    return rc < 0 ? rc : 0;
}

int fc_numbers_count(struct fc_numbers *n, struct fc_places *places, struct fc_place_file *f, struct fc_error *err)
{
    struct fc_reader reader = {0};
    struct fc_file file;
    int rc = fc_stored_file_open(f->stored, &file, err);

    if (rc)
        return rc;
    if (file.source)
        file.source->stop = places->stop;
    n->offs = malloc(f->count * sizeof *n->offs);
    n->numbers = malloc(f->count * sizeof *n->numbers);
    if (!n->offs || !n->numbers || fc_reader_init(&reader, 1 << 20) ||
        (rc = fc_reader_start(&reader, &file, file.data_off, UINT64_MAX, NULL)) == FC_E_NOMEM)
        rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    else if (rc)
        *err = reader.why;
    reader.stop = places->stop;
    if (rc == 0)
        rc = walk(n, places, f, &reader, err);
    fc_reader_fini(&reader);
    fc_file_close(&file);
    return rc;
}

uint64_t fc_numbers_find(const struct fc_numbers *n, uint64_t off)
{
    size_t lo = 0, hi = n->count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (n->offs[mid] < off)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n->count && n->offs[lo] == off ? n->numbers[lo] : 0;
}

void fc_numbers_fini(struct fc_numbers *n)
{
    free(n->offs);
    free(n->numbers);
    memset(n, 0, sizeof *n);
}
