/* SPDX-License-Identifier: MIT */
#include "cluster/http.h"

#include <criterion/criterion.h>
#include <string.h>

static size_t note(struct fc_http_answer *answer, size_t has, const char *lines)
{
    return fc_http_note_header(answer, has, lines, strlen(lines));
}

Test(http, keeps_lines_of_a_header_one_by_one_and_at_once)
{
    static const char kept[] = "flowcarve-packets: 12\nflowcarve-sessions: 3\nflowcarve-missing: 0\n";
    struct fc_http_answer single = {0}, joined = {0};
    char value[16];
    size_t has = note(&single, 0, "Flowcarve-Packets: 12\r\n");

    has = note(&single, has, "Date: today\r\n");
    has = note(&single, has, "Flowcarve-Sessions: 3\r\n");
    has = note(&single, has, "FLOWCARVE-Missing: 0\r\n");
    cr_assert_eq(has, strlen(kept));
    cr_assert_str_eq(single.headers, kept);
    cr_assert_eq(note(&joined, 0,
                      "Flowcarve-Packets: 12\r\nDate: today\r\nFlowcarve-Sessions: 3\r\nFLOWCARVE-Missing: 0\r\n\r\n"),
                 strlen(kept));
    cr_assert_str_eq(joined.headers, kept);
    cr_assert_str_eq(fc_http_header(&joined, "flowcarve-sessions", value, sizeof value), "3");
    cr_assert_null(fc_http_header(&joined, "flowcarve", value, sizeof value));
}
