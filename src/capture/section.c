/* SPDX-License-Identifier: MIT */
#include "capture/section.h"

#include <stdlib.h>
#include <string.h>

/* First interface described behind `off`; the list is in file order. */
static size_t behind(const struct fc_interface *ifaces, size_t count, uint64_t off)
{
    size_t lo = 0, hi = count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (ifaces[mid].off > off)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

int fc_section_at(const struct fc_interface *ifaces, size_t count, uint64_t off, struct fc_section *section)
{
    size_t end = behind(ifaces, count, off), begin = end;

    if (!end)
        return FC_E_DAMAGED;
    const struct fc_interface *last = &ifaces[end - 1];
    while (begin && ifaces[begin - 1].section == last->section)
        begin--;
    struct fc_section view = {
        .off = last->section_off,
        .number = last->section,
        .big_endian = last->big_endian,
        .count = (uint32_t)(end - begin),
        .ifaces = (struct fc_interface *)(uintptr_t)(ifaces + begin),
    };
    return fc_section_copy(section, &view);
}

bool fc_section_range(const struct fc_interface *ifaces, size_t count, uint64_t off, size_t *first, size_t *last,
                      uint64_t *end)
{
    size_t i = behind(ifaces, count, off);

    if (!i)
        return false;
    uint32_t section = ifaces[i - 1].section;
    for (*first = i - 1; *first && ifaces[*first - 1].section == section;)
        --*first;
    for (*last = i; *last < count && ifaces[*last].section == section;)
        ++*last;
    *end = *last < count ? ifaces[*last].section_off : UINT64_MAX;
    return true;
}

bool fc_section_covers(const struct fc_section *section, const struct fc_interface *ifaces, size_t count, uint64_t off)
{
    size_t end = behind(ifaces, count, off);

    return end && section->count && section->ifaces[section->count - 1].off == ifaces[end - 1].off;
}
