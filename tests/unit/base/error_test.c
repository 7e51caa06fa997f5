/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "base/error.h"
#include "base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(const struct fc_error *err)
{
    static char buf[1200];
    return fc_error_text(err, buf, sizeof buf);
}

Test(error, the_text_names_file_offset_and_cause)
{
    struct fc_error err;

    cr_assert_eq(fc_error_set(&err, FC_E_DAMAGED, "big.pcap", 1048600, "record claims %d GB", 4), FC_E_DAMAGED);
    cr_assert_str_eq(text_of(&err), "big.pcap@1048600: record claims 4 GB");
}

Test(error, offset_and_file_are_left_out_when_there_is_none)
{
    struct fc_error err;

    fc_error_set(&err, FC_E_IO, "a.pcap", FC_NO_OFFSET, "cannot open");
    cr_assert_str_eq(text_of(&err), "a.pcap: cannot open");
    fc_error_set(&err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    cr_assert_str_eq(text_of(&err), "out of memory");
}

Test(error, a_system_error_has_the_text_of_errno_behind_it)
{
    struct fc_error err;

    errno = ENOENT;
    cr_assert_eq(fc_error_errno(&err, FC_E_IO, "x", FC_NO_OFFSET, "cannot open"), FC_E_IO);
    cr_assert_str_eq(text_of(&err), "x: cannot open: No such file or directory");
}

Test(error, a_long_path_keeps_its_end)
{
    struct fc_error err;
    char path[2000];

    memset(path, 'a', sizeof path);
    strcpy(path + sizeof path - 9, "end.pcap");
    fc_error_set(&err, FC_E_IO, path, FC_NO_OFFSET, "cause");
    cr_assert_eq(strlen(err.file), sizeof err.file - 1);
    cr_assert_eq(strncmp(err.file, "...a", 4), 0);
    cr_assert_str_eq(err.file + strlen(err.file) - 8, "end.pcap");
}

Test(error, a_path_is_not_cut_inside_of_a_character)
{
    char path[16], out[12];

    for (int shift = 0; shift < 3; shift++) {
        snprintf(path, sizeof path, "%.*s\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", shift, "ab");
        strcat(path, "c");
        fc_path_fit(out, sizeof out, path);
        cr_expect_str_eq(out, "...\xe2\x82\xac\xe2\x82\xac"
                              "c");
    }
}

Test(error, a_long_cause_is_cut)
{
    struct fc_error err;
    char cause[2000];

    memset(cause, 'c', sizeof cause);
    cause[sizeof cause - 1] = '\0';
    fc_error_set(&err, FC_E_IO, NULL, FC_NO_OFFSET, "%s", cause);
    cr_assert_eq(strlen(err.cause), sizeof err.cause - 1);
}

Test(error, no_record_is_needed)
{
    cr_assert_eq(fc_error_set(NULL, FC_E_USAGE, "f", 1, "cause"), FC_E_USAGE);
}

Test(error, every_code_has_a_text_of_its_own)
{
    for (int a = -15; a <= 0; a++) {
        cr_assert_str_neq(fc_strerror(a), "unknown error");
        for (int b = a + 1; b <= 0; b++)
            cr_assert_str_neq(fc_strerror(a), fc_strerror(b));
    }
    cr_assert_str_eq(fc_strerror(-16), "unknown error");
    cr_assert_str_eq(fc_strerror(1), "unknown error");
}

Test(hash, length_and_every_byte_count)
{
    uint8_t data[100] = {0};
    uint64_t plain = fc_hash_bytes(data, sizeof data, 1);

    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = 1;
        cr_assert_neq(fc_hash_bytes(data, sizeof data, 1), plain);
        data[i] = 0;
        cr_assert_neq(fc_hash_bytes(data, i, 1), plain);
    }
    cr_assert_eq(fc_hash_bytes(data, sizeof data, 1), plain);
    cr_assert_neq(fc_hash_bytes(data, sizeof data, 2), plain);
}
