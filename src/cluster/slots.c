/* SPDX-License-Identifier: MIT */
#include "cluster/slots.h"
#include "base/vector.h"

#include <string.h>

#define DAY_NS (INT64_C(86400) * 1000000000)

enum { LAST_DAY = 49672, FEW = 1024 };

static int64_t floor_of(int64_t value, int64_t unit)
{
    return value / unit - (value % unit < 0);
}

int64_t fc_slot_of(bool timed, int64_t start_ns)
{
    return timed ? floor_of(start_ns, FC_SLOT_NS) : FC_SLOT_NONE;
}

uint16_t fc_day_of(bool timed, int64_t start_ns)
{
    int64_t day = timed ? floor_of(start_ns, DAY_NS) : 0;

    return (uint16_t)(day < 0 ? 0 : day > LAST_DAY ? LAST_DAY : day);
}

uint16_t fc_slot_day(int64_t slot)
{
    /* 5 minutes do not go over midnight */
    int64_t day = slot == FC_SLOT_NONE ? 0 : floor_of(slot, DAY_NS / FC_SLOT_NS);

    return (uint16_t)(day < 0 ? 0 : day > LAST_DAY ? LAST_DAY : day);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

void fc_slots_sort(struct fc_slots *s)
{
    size_t kept = 0;

    if (s->count)
        qsort(s->slot, s->count, sizeof *s->slot, compare);
    for (size_t i = 0; i < s->count; i++)
        if (!kept || s->slot[i] != s->slot[kept - 1])
            s->slot[kept++] = s->slot[i];
    s->count = s->sorted = kept;
}

void fc_slots_add(struct fc_slots *s, int64_t slot)
{
    /* sessions come by time as a rule */
    if (s->failed || (s->count && s->slot[s->count - 1] == slot))
        return;
    if (s->count >= 2 * s->sorted + FEW)
        fc_slots_sort(s);
    if ((s->failed = fc_vector_reserve(&s->slot, &s->room, s->count + 1, sizeof *s->slot) != 0))
        return;
    s->slot[s->count++] = slot;
}

void fc_slots_fini(struct fc_slots *s)
{
    free(s->slot);
    memset(s, 0, sizeof *s);
}
