/* SPDX-License-Identifier: MIT */
/*
 * The 5 minutes that sessions start in, and their days, as schema/clickhouse/tables.sql has them; and a set of these,
 * whose sums in an engine are to be made anew. Threads: one.
 */
#ifndef FC_CLUSTER_SLOTS_H
#define FC_CLUSTER_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FC_SLOT_NS (INT64_C(300) * 1000000000)
#define FC_SLOT_NONE INT64_MIN /* without a time */

int64_t fc_slot_of(bool timed, int64_t start_ns);
/* Days since 1970, 0 to 49672 (2105-12-31). */
uint16_t fc_day_of(bool timed, int64_t start_ns);
/* The day of a slot: that of all sessions in it. */
uint16_t fc_slot_day(int64_t slot);

struct fc_slots {
    int64_t *slot;
    size_t count, room, sorted; /* the first `sorted` are ascending, each once */
    bool failed;
};

void fc_slots_add(struct fc_slots *slots, int64_t slot);
/* Ascending, each once. */
void fc_slots_sort(struct fc_slots *slots);
void fc_slots_fini(struct fc_slots *slots);

#endif
