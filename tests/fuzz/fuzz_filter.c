/* SPDX-License-Identifier: MIT */
/* Any text as a filter; what parses is asked of a small index, and must be answered. */
#include "fuzz.h"
#include "small_index.h"

#include <flowcarve/query.h>

#include <string.h>

static struct fc_db *db;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fc_filter_error where;
    struct fc_filter *filter;
    struct fc_time_options local = {1700000000000000000, true};
    struct fc_explain e;
    struct fc_error err;
    char *text = malloc(size + 1);

    if (!db) {
        setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
        db = fc_fuzz_index(false);
    }
    HOLDS(text);
    memcpy(text, data, size);
    text[size] = '\0';
    int rc = fc_filter_parse(text, 1700000000000000000, &filter, &where);
    if (rc == 0) {
        int64_t n = fc_query_count(db, filter, &err);
        HOLDS((n >= 0 && n <= 2) || n == FC_E_FILTER);
        int explained = fc_query_explain(db, filter, &e, &err);
        HOLDS(explained == (n < 0 ? FC_E_FILTER : 0));
        HOLDS(explained ||
              (e.tree && e.sql && e.plan && !e.bpf == !!e.bpf_lacks && !e.wireshark == !!e.wireshark_lacks));
        if (explained == 0)
            fc_explain_fini(&e);
        fc_filter_free(filter);
    } else {
        HOLDS(rc == FC_E_FILTER && where.off <= size && where.off + where.len <= size && where.cause[0]);
    }
    if (fc_filter_parse_with(text, &local, &filter, NULL) == 0)
        fc_filter_free(filter);
    free(text);
    return 0;
}
