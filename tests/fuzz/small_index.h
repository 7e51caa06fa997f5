/* SPDX-License-Identifier: MIT */
/* An index for targets that ask one. */
#ifndef FC_TEST_FUZZ_SMALL_INDEX_H
#define FC_TEST_FUZZ_SMALL_INDEX_H

#include "fuzz.h"

#include <flowcarve/db.h>
#include <flowcarve/index.h>

#include <stdbool.h>
#include <unistd.h>

static char fc_fuzz_folder[] = "/tmp/flowcarve-fuzz-XXXXXX";

static inline void fc_fuzz_remove(void)
{
    char name[64];

    snprintf(name, sizeof name, "%s/a.pcap", fc_fuzz_folder);
    unlink(name);
    rmdir(fc_fuzz_folder);
}

/* Of two packets, one of them IPv6; `captures`: they can be read until the process ends. */
static inline struct fc_db *fc_fuzz_index(bool captures)
{
    static const uint8_t capture[] = {
        0xd4, 0xc3, 0xb2, 0xa1, 2, 0,  4,    0, 0,  0,  0, 0,  0,    0,    0,    0,    0,    0, 4,   0,    1, 0, 0,  0,
        0,    0,    0x53, 0x65, 0, 0,  0,    0, 42, 0,  0, 0,  42,   0,    0,    0,    2,    0, 0,   0,    0, 2, 2,  0,
        0,    0,    0,    1,    8, 0,  0x45, 0, 0,  28, 0, 0,  0,    0,    64,   17,   0,    0, 10,  0,    0, 1, 10, 0,
        0,    2,    4,    0,    0, 53, 0,    8, 0,  0,  0, 0,  0x53, 0x65, 0,    0,    0,    0, 62,  0,    0, 0, 62, 0,
        0,    0,    2,    0,    0, 0,  0,    2, 2,  0,  0, 0,  0,    1,    0x86, 0xdd, 0x60, 0, 0,   0,    0, 8, 17, 64,
        0x20, 1,    0xd,  0xb8, 0, 0,  0,    0, 0,  0,  0, 0,  0,    0,    0,    1,    0x20, 1, 0xd, 0xb8, 0, 0, 0,  0,
        0,    0,    0,    0,    0, 0,  0,    2, 4,  0,  0, 53, 0,    8,    0,    0};
    char pcap[64], name[64], *folder = fc_fuzz_folder;
    struct fc_db *db;
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
    unlink(name); /* open all the same */
    if (captures)
        atexit(fc_fuzz_remove);
    else
        fc_fuzz_remove();
    return db;
}

#endif
