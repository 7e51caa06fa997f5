/* SPDX-License-Identifier: MIT */
/* Any text as a filter; what parses is asked of a small index, and must be answered. */
#include "fuzz.h"

#include <flowcarve/index.h>
#include <flowcarve/query.h>

#include <string.h>
#include <unistd.h>

static struct fc_db *db;

/* Two packets, one of them IPv6, without a session row there would be nothing to compare. */
static void make_index(void)
{
    static const uint8_t capture[] = {
        0xd4, 0xc3, 0xb2, 0xa1, 2, 0,  4,    0, 0,  0,  0, 0,  0,    0,    0,    0,    0,    0, 4,   0,    1, 0, 0,  0,
        0,    0,    0x53, 0x65, 0, 0,  0,    0, 42, 0,  0, 0,  42,   0,    0,    0,    2,    0, 0,   0,    0, 2, 2,  0,
        0,    0,    0,    1,    8, 0,  0x45, 0, 0,  28, 0, 0,  0,    0,    64,   17,   0,    0, 10,  0,    0, 1, 10, 0,
        0,    2,    4,    0,    0, 53, 0,    8, 0,  0,  0, 0,  0x53, 0x65, 0,    0,    0,    0, 62,  0,    0, 0, 62, 0,
        0,    0,    2,    0,    0, 0,  0,    2, 2,  0,  0, 0,  0,    1,    0x86, 0xdd, 0x60, 0, 0,   0,    0, 8, 17, 64,
        0x20, 1,    0xd,  0xb8, 0, 0,  0,    0, 0,  0,  0, 0,  0,    0,    0,    1,    0x20, 1, 0xd, 0xb8, 0, 0, 0,  0,
        0,    0,    0,    0,    0, 0,  0,    2, 4,  0,  0, 53, 0,    8,    0,    0};
    char folder[] = "/tmp/flowcarve-fuzz-XXXXXX", pcap[64], name[64];
    struct fc_index_options options = {.fields = "all", .jobs = 1};
    struct fc_index_result result;
    struct fc_error err;
    const char *paths[] = {pcap};

    HOLDS(mkdtemp(folder));
    snprintf(pcap, sizeof pcap, "%s/a.pcap", folder);
    snprintf(name, sizeof name, "%s/a.db", folder);
    FILE *f = fopen(pcap, "wb");
    HOLDS(f && fwrite(capture, 1, sizeof capture, f) == sizeof capture && fclose(f) == 0);
    HOLDS(fc_index_run(name, paths, 1, &options, NULL, NULL, &result, &err) == 0 && result.sessions == 2);
    fc_index_result_fini(&result);
    HOLDS(fc_db_open(name, &db, &err) == 0);
    unlink(pcap);
    unlink(name); /* open all the same */
    rmdir(folder);
}

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
        make_index();
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
