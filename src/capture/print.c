/* SPDX-License-Identifier: MIT */
#include "capture/print.h"
#include "base/hash.h"

#include <string.h>

#define SEED 0xa0761d6478bd642full

static size_t sample_bytes(uint64_t off)
{
    return off ? FC_PRINT_SAMPLE : FC_PRINT_HEAD;
}

/* 0, 4096, 6144, 8192, 12288...: two and three times the powers of two */
static uint64_t behind(uint64_t off)
{
    if (!off)
        return FC_PRINT_HEAD;
    return (off & (off - 1)) == 0 ? off + off / 2 : off / 3 * 4;
}

void fc_print_init(struct fc_print *p)
{
    p->hash = SEED;
    p->next = 0;
    p->have = p->mark_count = 0;
}

void fc_print_enter(struct fc_print *p, uint64_t off, uint64_t hash)
{
    fc_print_init(p);
    if (!off)
        return;
    p->hash = hash;
    while (p->next < off) /* no sample lies across such an offset */
        p->next = behind(p->next);
    p->marks[p->mark_count].off = off;
    p->marks[p->mark_count++].hash = hash;
}

void fc_print_take(struct fc_print *p, uint64_t off, const uint8_t *data, size_t n)
{
    while (p->next + p->have < off + n) {
        uint64_t from = p->next + p->have;
        size_t at = from > off ? (size_t)(from - off) : 0, want = sample_bytes(p->next) - p->have;
        size_t take = n - at < want ? n - at : want;
        memcpy(p->part + p->have, data + at, take);
        p->have += take;
        if (take < want)
            return;
        p->hash = fc_hash_bytes(p->part, p->have, p->hash);
        if (p->mark_count < FC_PRINT_MARKS) {
            p->marks[p->mark_count].off = p->next + p->have;
            p->marks[p->mark_count++].hash = p->hash;
        }
        p->next = behind(p->next);
        p->have = 0;
    }
}

uint64_t fc_print_value(const struct fc_print *p, uint64_t length)
{
    uint64_t hash = p->have ? fc_hash_bytes(p->part, p->have, p->hash) : p->hash;

    return fc_hash_mix(hash, length, 0xe7037ed1a0b428dbull);
}

uint64_t fc_print_mark(const struct fc_print *p, uint64_t off)
{
    uint64_t hash = SEED;

    for (size_t i = 0; i < p->mark_count && p->marks[i].off <= off; i++)
        hash = p->marks[i].hash;
    return hash;
}

int fc_file_prints(const struct fc_file *file, uint64_t length, struct fc_prints *out, struct fc_error *err)
{
    uint64_t tail = length < FC_PRINT_HEAD ? 0 : length - FC_PRINT_HEAD;
    uint8_t buf[FC_PRINT_HEAD];
    struct fc_print p;
    int64_t n;

    fc_print_init(&p);
    while (p.next < length && !p.have) {
        uint64_t off = p.next, left = length - off;
        size_t want = sample_bytes(off) < left ? sample_bytes(off) : (size_t)left;
        if ((n = fc_file_stored(file, buf, want, off, err)) < 0)
            return (int)n;
        if (n == 0)
            break; /* it has become shorter, and is another one */
        fc_print_take(&p, off, buf, (size_t)n);
    }
    if ((n = fc_file_stored(file, buf, (size_t)(length - tail), tail, err)) < 0)
        return (int)n;
    out->samples = fc_print_value(&p, length);
    out->stored = fc_hash_bytes(buf, (size_t)n, out->samples);
    return 0;
}
