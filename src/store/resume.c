/* SPDX-License-Identifier: MIT */
#include "store/resume.h"
#include "base/bytes.h"

enum { VERSION = 1, BIG_ENDIAN_SECTION = 1, CLOSED = 2 };

static uint8_t *put64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        *p++ = (uint8_t)(v >> 8 * i);
    return p;
}

size_t fc_resume_put(const struct fc_file_row *row, uint8_t *out)
{
    const struct fc_section *section = row->section;
    uint8_t *p = out;

    *p++ = VERSION;
    *p++ = (uint8_t)((section->big_endian ? BIG_ENDIAN_SECTION : 0) | (section->closed ? CLOSED : 0));
    p = put64(p, section->off);
    p = put64(p, section->number);
    p = put64(p, (uint64_t)row->clock->counted_ns);
    p = put64(p, (uint64_t)row->clock->shift_ns);
    p = put64(p, row->clock->behind);
    p = put64(p, (uint64_t)row->tail_ns);
    p = put64(p, row->mark);
    return (size_t)(p - out);
}

bool fc_resume_get(const uint8_t *p, size_t len, struct fc_file_state *state)
{
    uint64_t v[7];

    if (len != FC_RESUME_BYTES || p[0] != VERSION)
        return false;
    for (int i = 0; i < 7; i++)
        v[i] = fc_load64(p + 2 + 8 * i, false);
    if (v[1] > UINT32_MAX || v[4] > FC_CLOCK_BEHIND)
        return false;
    state->section.off = v[0];
    state->section.number = (uint32_t)v[1];
    state->section.big_endian = (p[1] & BIG_ENDIAN_SECTION) != 0;
    state->section.closed = (p[1] & CLOSED) != 0;
    state->clock = (struct fc_clock){(int64_t)v[2], (int64_t)v[3], (uint32_t)v[4]};
    state->tail_ns = (int64_t)v[5];
    state->mark = v[6];
    return true;
}
