/* SPDX-License-Identifier: MIT */
/* Many small captures: what was asked to stop does so between them, and not first where one of them is long. */
#include <criterion/criterion.h>
#include <flowcarve/flowcarve.h>

#include "maker.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CAPTURES = 20 };

static struct fc_db *made(char folder[])
{
    struct fc_index_result result;
    struct maker m = {0};
    struct fc_db *db;
    char db_path[64], *paths[CAPTURES];

    cr_assert_not_null(mkdtemp(folder));
    snprintf(db_path, sizeof db_path, "%s/x.db", folder);
    make_pcap(&m, (uint32_t)MAKE_US, 4, 262144, 1);
    make_record(&m, 16, 1700000000, 0, 60, 60, NULL);
    for (int i = 0; i < CAPTURES; i++) {
        make_patch32(&m, 24, 1700000000u + (uint32_t)i);
        paths[i] = make_file(&m, m.len);
    }
    make_fini(&m);
    cr_assert_eq(fc_index_run(db_path, (const char *const *)paths, CAPTURES, NULL, NULL, NULL, &result, NULL), 0);
    cr_assert_eq(result.files, CAPTURES);
    fc_index_result_fini(&result);

    /* an index that would have them all again */
    struct fc_progress progress = {0};
    struct fc_error err;
    int stop = 1;
    char again[64];
    snprintf(again, sizeof again, "%s/again.db", folder);
    cr_assert_eq(fc_index_run(again, (const char *const *)paths, CAPTURES, NULL, &progress, &stop, &result, &err),
                 FC_E_INTERRUPTED);
    cr_assert_str_eq(err.cause, "interrupted");
    cr_assert_eq(progress.files_total, 0);
    cr_assert_neq(access(again, F_OK), 0);
    fc_index_result_fini(&result);
    cr_assert_eq(fc_db_open(db_path, &db, NULL), 0);
    unlink(db_path);
    for (int i = 0; i < CAPTURES; i++)
        make_close(paths[i]);
    return db;
}

Test(stop, between_captures)
{
    char folder[] = "/tmp/fc-stop-XXXXXX";
    struct fc_db *db = made(folder);
    struct fc_verify_result verified;
    struct fc_carve_result carved;
    struct fc_error err;
    int stop = 1;

    cr_assert_eq(fc_verify(db, NULL, &stop, &verified, &err), FC_E_INTERRUPTED);
    cr_assert_eq(verified.file_count, 0);
    cr_assert_eq(verified.differences, 0);
    fc_verify_result_fini(&verified);
    /* the captures are gone: to look at them would be FC_E_MISSING */
    cr_assert_eq(fc_carve(db, NULL, NULL, STDOUT_FILENO, &stop, &carved, &err), FC_E_INTERRUPTED);
    cr_assert_str_eq(err.cause, "interrupted");
    fc_carve_result_fini(&carved);
    stop = 0;
    cr_assert_eq(fc_carve(db, NULL, NULL, STDOUT_FILENO, &stop, &carved, &err), FC_E_MISSING);
    fc_carve_result_fini(&carved);
    fc_db_close(db);
    rmdir(folder);
}
