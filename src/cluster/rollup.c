/* SPDX-License-Identifier: MIT */
#include "cluster/rollup.h"
#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one statement adds up: so that it takes neither long nor much text. */
enum { RANGES_MAX = 200, SLOTS_MAX = 2016 };

const char *fc_sql_bytes(const void *bytes, size_t len, char *buf)
{
    char *to = buf + sprintf(buf, "unhex('");

    for (size_t i = 0; i < len; i++)
        to += sprintf(to, "%02x", ((const uint8_t *)bytes)[i]);
    strcpy(to, "')");
    return buf;
}

/*
 * The conditions for slots from `at` on; *at: behind the last one. -2^63 is written as a difference, as its digits
 * without the sign are not of an Int64.
 */
static void put_ranges(FILE *out, const struct fc_slots *slots, size_t *at)
{
    size_t first = *at, i = *at;

    for (int ranges = 0; i < slots->count && ranges < RANGES_MAX && i - first < SLOTS_MAX; ranges++) {
        size_t from = i++;
        while (i < slots->count && i - first < SLOTS_MAX && slots->slot[i] == slots->slot[i - 1] + 1)
            i++;
        fputs(ranges ? " OR " : " AND (", out);
        if (slots->slot[from] == FC_SLOT_NONE)
            fputs("slot = (-9223372036854775807 - 1)", out);
        else
            fprintf(out, "slot BETWEEN %" PRId64 " AND %" PRId64, slots->slot[from], slots->slot[i - 1]);
    }
    /* days rise with slots, but for those without a time, which have the first one */
    unsigned first_day = fc_slot_day(slots->slot[first]), last_day = fc_slot_day(slots->slot[i - 1]);
    fprintf(out, ") AND day BETWEEN toDate(%u) AND toDate(%u)", first_day, last_day);
    *at = i;
}

/*
 * A session has rows under several keys when it has moved, all but one of them deleted, and of each key the latest
 * revision counts: that is what FINAL gives, as it streams. A slot of which all have gone gets lists without an item.
 */
static int add_up(struct fc_engine *engine, const char *sensor, const uint8_t generation[16], uint64_t revision,
                  const struct fc_slots *slots, size_t *at, struct fc_error *err)
{
    char name[2 * 64 + 10], id[2 * 16 + 10], *sql = NULL;
    size_t size;
    FILE *out = open_memstream(&sql, &size);

    if (!out)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    fc_sql_bytes(sensor, strlen(sensor), name);
    fc_sql_bytes(generation, 16, id);
    fprintf(out,
            "INSERT INTO rollup (sensor, generation, slot, revision, day, proto, state, sessions, packets, bytes)"
            " SELECT %s, toFixedString(%s, 16), slot, toUInt64(%" PRIu64
            "), any(d), groupArrayIf(proto, n > 0), groupArrayIf(state, n > 0),"
            " groupArrayIf(n, n > 0), groupArrayIf(p, n > 0), groupArrayIf(b, n > 0)"
            " FROM (SELECT slot, any(day) AS d, proto, state, countIf(deleted = 0) AS n,"
            " sumIf(client_packets + server_packets, deleted = 0) AS p, sumIf(client_bytes + server_bytes, deleted = "
            "0) AS b"
            " FROM session FINAL WHERE sensor = %s AND generation = toFixedString(%s, 16) AND id > 0",
            name, id, revision, name, id);
    put_ranges(out, slots, at);
    fputs(" GROUP BY slot, proto, state) GROUP BY slot", out);
    bool bad = fclose(out) != 0;
    int rc = bad ? fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory")
                 : fc_engine_run(engine, sql, NULL, NULL, NULL, err);
    free(sql);
    return rc;
}

int fc_rollup(struct fc_engine *engine, const char *sensor, const uint8_t generation[16], uint64_t revision,
              const struct fc_slots *slots, struct fc_error *err)
{
    int rc = 0;

    for (size_t at = 0; rc == 0 && at < slots->count;)
        rc = add_up(engine, sensor, generation, revision, slots, &at, err);
    return rc;
}
