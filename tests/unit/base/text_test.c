/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <flowcarve/error.h>
#include <flowcarve/text.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const enum fc_text_form forms[] = {FC_TEXT_MESSAGE, FC_TEXT_TSV, FC_TEXT_CSV, FC_TEXT_JSON};

/* The whole text in a form, escaped `piece` bytes at a time. */
static const char *escaped(enum fc_text_form form, const char *text, size_t piece)
{
    static char out[4096];
    size_t len = 0;

    while (*text) {
        size_t n = fc_text_escape(form, &text, out + len, piece);
        cr_assert(n > 0 && n <= piece);
        len += n;
    }
    out[len] = '\0';
    return out;
}

static void expect(const char *text, const char *message, const char *tsv, const char *csv, const char *json)
{
    const char *expected[] = {message, tsv, csv, json};

    for (int i = 0; i < 4; i++)
        for (size_t piece = FC_TEXT_CHARACTER_MAX; piece < 64; piece++)
            cr_expect_str_eq(escaped(forms[i], text, piece), expected[i], "form %d, %zu at a time", i, piece);
}

Test(text, what_harms_nobody_stays)
{
    const char *text = "day/Gr\xc3\xbc\xc3\x9f"
                       "e \xe2\x82\xac \xf0\x9f\x90\xa7, it's 50% <b>~";

    expect(text, text, text, text, text);
}

Test(text, controls_are_written_out)
{
    expect("a\x1b]0;b\x07\n\r\t\x7f", "a\\x1b]0;b\\x07\\n\\r\\t\\x7f", "a\\x1b]0;b\\x07\\n\\r\\t\\x7f",
           "a\\x1b]0;b\\x07\\n\\r\\t\\x7f", "a\\u001b]0;b\\u0007\\u000a\\u000d\\u0009\\u007f");
    /* CSI and NEL as one character each */
    expect("\xc2\x9b"
           "31m\xc2\x85\xc2\xa0",
           "\\u009b31m\\u0085\xc2\xa0", "\\u009b31m\\u0085\xc2\xa0", "\\u009b31m\\u0085\xc2\xa0",
           "\\u009b31m\\u0085\xc2\xa0");
}

Test(text, what_would_turn_the_order_of_text_is_written_out)
{
    const char *out = "exe\\u202egnp\\u2069\\u2028";

    expect("exe\xe2\x80\xaegnp\xe2\x81\xa9\xe2\x80\xa8", out, out, out, out);
}

Test(text, backslashes_and_quotes_are_those_of_the_format)
{
    expect("a\\n\"b\"", "a\\n\"b\"", "a\\\\n\"b\"", "a\\\\n\"\"b\"\"", "a\\\\n\\\"b\\\"");
}

Test(text, bytes_that_are_not_utf8_are_written_out)
{
    expect("\xff"
           "a\xc3",
           "\\xffa\\xc3", "\\xffa\\xc3", "\\xffa\\xc3",
           "\xef\xbf\xbd"
           "a\xef\xbf\xbd");
    /* too long, a surrogate, beyond Unicode, a lone continuation, a bare C1 */
    static const char *const wrong[] = {"\xc0\x9b",         "\xe0\x80\x8a", "\xed\xa0\x80",    "\xf4\x90\x80\x80",
                                        "\xf0\x80\x80\x8a", "\x9b",         "\xf5\x80\x80\x80"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        for (const char *p = escaped(FC_TEXT_MESSAGE, wrong[i], 64); *p; p++)
            cr_expect((*p & 0x80) == 0, "%zu", i);
}

/* Every string of two bytes, and every character of three. */
Test(text, nothing_that_a_terminal_obeys_is_left)
{
    char text[8], again[64];

    for (unsigned n = 0x100; n < 0x20000; n++) {
        if (n < 0x10000)
            snprintf(text, sizeof text, "%c%c", (char)(n >> 8), (char)n);
        else
            snprintf(text, sizeof text, "%c%c%c", (char)(0xe0 | (n >> 12 & 15)), (char)(0x80 | (n >> 6 & 63)),
                     (char)(0x80 | (n & 63)));
        for (int i = 0; i < 4; i++) {
            const char *out = escaped(forms[i], text, 64);
            for (const unsigned char *p = (const unsigned char *)out; *p; p++)
                cr_assert(*p >= 0x20 && *p != 0x7f && !(p[0] == 0xc2 && p[1] < 0xa0), "%x", n);
            if (forms[i] == FC_TEXT_MESSAGE)
                cr_assert_str_eq(fc_text_show(out, again, sizeof again), out, "%x", n);
        }
    }
}

Test(text, what_has_no_room_is_left_out_at_a_character)
{
    char buf[16];

    for (size_t size = 1; size < sizeof buf; size++) {
        memset(buf, '#', sizeof buf);
        fc_text_show("a\x1b\xe2\x82\xac"
                     "b",
                     buf, size);
        const char *want = size < 2    ? ""
                           : size < 6  ? "a"
                           : size < 9  ? "a\\x1b"
                           : size < 10 ? "a\\x1b\xe2\x82\xac"
                                       : "a\\x1b\xe2\x82\xac"
                                         "b";
        cr_expect_str_eq(buf, want, "%zu", size);
        cr_expect_eq(buf[size], '#');
    }
}

Test(text, errors_are_fit_for_a_terminal)
{
    struct fc_error err = {.code = FC_E_FORMAT, .off = FC_NO_OFFSET};
    char buf[FC_ERROR_TEXT_MAX];

    strcpy(err.file, "a\n\x1b[2Jflowcarve: all is well");
    strcpy(err.cause, "it starts with '\x9b'");
    cr_expect_str_eq(fc_error_text(&err, buf, sizeof buf),
                     "a\\n\\x1b[2Jflowcarve: all is well: it starts with '\\x9b'");
    memset(err.file, 1, sizeof err.file - 1);
    memset(err.cause, 2, sizeof err.cause - 1);
    err.off = UINT64_MAX - 1;
    cr_expect_eq(strlen(fc_error_text(&err, buf, sizeof buf)), 4 * (511 + 511) + 23, "there is room for all of it");
}
