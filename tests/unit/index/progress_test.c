/* SPDX-License-Identifier: MIT */
/* What the callback is told in the end is what the result says. */
#include <criterion/criterion.h>
#include <flowcarve/flowcarve.h>

#include "maker.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { RECORDS = 3000 };

struct told {
    struct fc_progress last;
    unsigned calls;
    bool fell;
};

static void note(void *ctx, const struct fc_progress *now)
{
    struct told *t = ctx;

    t->fell |= now->bytes_done < t->last.bytes_done || now->records < t->last.records || now->phase < t->last.phase;
    t->last = *now;
    t->calls++;
}

static void assert_told(const struct told *t)
{
    cr_assert_geq(t->calls, 1);
    cr_assert_not(t->fell);
    cr_assert_eq(t->last.phase, FC_PHASE_DONE);
    cr_assert_eq(t->last.bytes_done, t->last.bytes_total);
    cr_assert_eq(t->last.files_done, t->last.files_total);
}

Test(progress, of_indexing_verifying_and_carving)
{
    char folder[] = "/tmp/fc-progress-XXXXXX", db_path[64], *path;
    struct told told = {.calls = 0};
    struct fc_index_options options = {.progress = note, .progress_ctx = &told};
    struct fc_index_result result;
    struct maker m = {0};
    struct fc_db *db;

    cr_assert_not_null(mkdtemp(folder));
    snprintf(db_path, sizeof db_path, "%s/x.db", folder);
    make_pcap(&m, (uint32_t)MAKE_US, 4, 262144, 1);
    for (uint32_t i = 0; i < RECORDS; i++)
        make_record(&m, 16, 1700000000 + i, 0, 60, 60, NULL);
    path = make_file(&m, m.len);
    cr_assert_eq(fc_index_run(db_path, (const char *const *)&path, 1, &options, NULL, NULL, &result, NULL), 0);
    assert_told(&told);
    cr_assert_eq(told.last.bytes_done, m.len);
    cr_assert_eq(told.last.records, RECORDS);
    cr_assert_eq(told.last.sessions, result.sessions);
    cr_assert_eq(told.last.sessions_written, result.sessions);
    fc_index_result_fini(&result);
    make_fini(&m);

    struct fc_verify_options verify = {.progress = note, .progress_ctx = &told};
    struct fc_verify_result verified;
    told = (struct told){.calls = 0};
    cr_assert_eq(fc_db_open(db_path, &db, NULL), 0);
    cr_assert_eq(fc_verify(db, &verify, NULL, &verified, NULL), 0);
    assert_told(&told);
    cr_assert_eq(told.last.records, RECORDS);
    fc_verify_result_fini(&verified);

    struct fc_carve_options carve = {.progress = note, .progress_ctx = &told};
    struct fc_carve_result carved;
    int fd = open("/dev/null", O_WRONLY);
    told = (struct told){.calls = 0};
    cr_assert_eq(fc_carve(db, NULL, &carve, fd, NULL, &carved, NULL), 0);
    cr_assert_eq(told.last.phase, FC_PHASE_DONE);
    cr_assert_eq(told.last.records, RECORDS);
    cr_assert_eq(told.last.records_total, RECORDS);
    cr_assert_eq(told.last.bytes_done, carved.bytes_written);
    fc_carve_result_fini(&carved);
    close(fd);
    fc_db_close(db);
    unlink(db_path);
    rmdir(folder);
    make_close(path);
}
