/* SPDX-License-Identifier: MIT */
#include "query_test.h"

#include "query/time.h"
#include <time.h>

static int64_t parsed(const char *text)
{
    int64_t ns = -1;
    cr_assert_eq(fc_time_parse(text, &ns), FC_TIME_OK, "%s", text);
    return ns;
}

Test(time, reads_iso_8601_as_utc)
{
    cr_assert_eq(parsed("1970-01-01"), 0);
    cr_assert_eq(parsed("2024-05-01"), INT64_C(1714521600000000000));
    cr_assert_eq(parsed("2024-05-01T10:00"), NOW);
    cr_assert_eq(parsed("2024-05-01T10:00Z"), NOW);
    cr_assert_eq(parsed("2024-05-01t10:00z"), NOW);
    cr_assert_eq(parsed("2024-05-01T10:00:00.5"), NOW + 500000000);
    cr_assert_eq(parsed("2024-05-01T10:00:00.123456789Z"), NOW + 123456789);
    cr_assert_eq(parsed("1969-12-31T23:59:59.999999999"), -1);
    cr_assert_eq(parsed("2000-02-29"), INT64_C(951782400000000000));
}

Test(time, takes_zones_into_account)
{
    cr_assert_eq(parsed("2024-05-01T12:00+02"), NOW);
    cr_assert_eq(parsed("2024-05-01T12:00+02:00"), NOW);
    cr_assert_eq(parsed("2024-05-01T15:30+0530"), NOW);
    cr_assert_eq(parsed("2024-05-01T00:00:00-10:00"), NOW);
}

Test(time, reads_seconds_since_1970)
{
    cr_assert_eq(parsed("@0"), 0);
    cr_assert_eq(parsed("@1714557600"), NOW);
    cr_assert_eq(parsed("@1714557600.25"), NOW + 250000000);
    cr_assert_eq(parsed("@-1.5"), -1500000000);
}

Test(time, agrees_with_the_c_library_on_every_day)
{
    for (int64_t day = -100000; day < 100000; day += 17) {
        time_t seconds = (time_t)(day * 86400);
        struct tm tm;
        char text[32];

        strftime(text, sizeof text, "%Y-%m-%d", gmtime_r(&seconds, &tm));
        cr_assert_eq(parsed(text), day * 86400 * 1000000000, "%s", text);
    }
}

Test(time, tells_what_is_no_time)
{
    static const char *const forms[] = {"",
                                        "2024",
                                        "2024-05",
                                        "2024-5-1",
                                        "24-05-01",
                                        "20240501",
                                        "2024-05-01T",
                                        "2024-05-01T10",
                                        "2024-05-01T10:00:00.",
                                        "2024-05-01T10:00:00.1234567890",
                                        "2024-05-01 10:00",
                                        "2024-05-01T10:00X",
                                        "2024-05-01T10:00+2",
                                        "2024-05-01T10:00+02:0",
                                        "2024-05-01T10:00ZZ",
                                        "@",
                                        "@x",
                                        "@1.",
                                        "@1.x",
                                        "@5s",
                                        "now"};
    static const char *const fields[] = {"2024-13-01",       "2024-00-01",          "2023-02-29",
                                         "2024-04-31",       "2024-05-00",          "2024-05-01T24:00",
                                         "2024-05-01T10:60", "2024-05-01T10:00:60", "2024-05-01T10:00+24:00",
                                         "1900-02-29"};
    static const char *const ranges[] = {"2263-01-01",
                                         "1677-01-01",
                                         "9999-12-31",
                                         "0000-01-01",
                                         "@99999999999",
                                         "@-99999999999",
                                         "@9999999999999999999999"};
    int64_t ns;

    for (unsigned i = 0; i < sizeof forms / sizeof forms[0]; i++)
        cr_expect_eq(fc_time_parse(forms[i], &ns), FC_TIME_FORM, "%s", forms[i]);
    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++)
        cr_expect_eq(fc_time_parse(fields[i], &ns), FC_TIME_FIELD, "%s", fields[i]);
    for (unsigned i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        cr_expect_eq(fc_time_parse(ranges[i], &ns), FC_TIME_RANGE, "%s", ranges[i]);
}

Test(time, reads_spans)
{
    int64_t ns;

    cr_assert(fc_time_is_count("90") && fc_time_is_count("2h") && !fc_time_is_count("h") &&
              !fc_time_is_count("2024-05-01"));
    cr_assert(fc_time_span("90s", "", &ns) == FC_TIME_OK && ns == 90000000000);
    cr_assert(fc_time_span("2h", "", &ns) == FC_TIME_OK && ns == 7200000000000);
    cr_assert(fc_time_span("10", "minutes", &ns) == FC_TIME_OK && ns == 600000000000);
    cr_assert(fc_time_span("1w", "", &ns) == FC_TIME_OK && ns == 604800000000000);
    cr_assert_eq(fc_time_span("1", "moon", &ns), FC_TIME_FIELD);
    cr_assert_eq(fc_time_span("1x", "", &ns), FC_TIME_FIELD);
    cr_assert_eq(fc_time_span("99999999999", "weeks", &ns), FC_TIME_RANGE);
    cr_assert_eq(fc_time_span("99999999999999999999999", "s", &ns), FC_TIME_RANGE);
}
