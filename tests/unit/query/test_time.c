/* SPDX-License-Identifier: MIT */
#include "query_test.h"

#include "query/time.h"
#include <time.h>

static struct fc_time_point point(const char *text, bool local)
{
    struct fc_time_base base = {NOW, local, NULL};
    struct fc_time_point p;

    cr_assert_eq(fc_time_parse(text, &base, &p), FC_TIME_OK, "%s", text);
    return p;
}

static int64_t parsed(const char *text)
{
    return point(text, false).ns;
}

static enum fc_time_result result(const char *text, bool local)
{
    struct fc_time_base base = {NOW, local, NULL};
    struct fc_time_point p;

    return fc_time_parse(text, &base, &p);
}

static void set_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
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
                                        "2024-",
                                        "2024-05T10:00",
                                        "24-05-01",
                                        "2024051",
                                        "2024-05-011",
                                        "2024-005-01",
                                        "10",
                                        "10:0",
                                        "10:00:0",
                                        "010:00",
                                        "today10:00",
                                        "yesterdayT",
                                        "tomorrow",
                                        "1714557600.",
                                        "1714557600x",
                                        "1714557600000.5",
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
    static const char *const fields[] = {"2024-13-01",
                                         "2024-00-01",
                                         "2023-02-29",
                                         "2024-04-31",
                                         "2024-05-00",
                                         "2024-05-01T24:00",
                                         "2024-05-01T10:60",
                                         "2024-05-01T10:00:60",
                                         "2024-05-01T10:00+24:00",
                                         "1900-02-29",
                                         "2024-5-32",
                                         "20240532",
                                         "25:00",
                                         "10:60",
                                         "10:00:60"};
    static const char *const ranges[] = {"2263-01-01",
                                         "1677-01-01",
                                         "9999-12-31",
                                         "0000-01-01",
                                         "@99999999999",
                                         "@-99999999999",
                                         "@9999999999999999999999",
                                         "99999999999",
                                         "17145576000000",
                                         "99999999999999999999"};

    for (unsigned i = 0; i < sizeof forms / sizeof forms[0]; i++)
        cr_expect_eq(result(forms[i], false), FC_TIME_FORM, "%s", forms[i]);
    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++)
        cr_expect_eq(result(fields[i], false), FC_TIME_FIELD, "%s", fields[i]);
    for (unsigned i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        cr_expect_eq(result(ranges[i], false), FC_TIME_RANGE, "%s", ranges[i]);
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

Test(time, reads_what_people_type)
{
    cr_assert_eq(parsed("20240501"), parsed("2024-05-01"));
    cr_assert_eq(parsed("2024-5-1"), parsed("2024-05-01"));
    cr_assert_eq(parsed("2024-5-1T9:05"), parsed("2024-05-01T09:05"));
    cr_assert_eq(parsed("20240501T10:00"), NOW);
    cr_assert_eq(parsed("today"), parsed("2024-05-01"));
    cr_assert_eq(parsed("yesterday"), parsed("2024-04-30"));
    cr_assert_eq(parsed("yesterdayT22:20"), parsed("2024-04-30T22:20"));
    cr_assert_eq(parsed("22:20"), parsed("2024-05-01T22:20"));
    cr_assert_eq(parsed("8:05:06.5"), parsed("2024-05-01T08:05:06.5"));
    cr_assert_eq(parsed("22:20+02:00"), parsed("2024-05-01T20:20"));
}

Test(time, reads_epochs_without_a_sign)
{
    cr_assert_eq(parsed("1714557600"), NOW);
    cr_assert_eq(parsed("1714557600.134719"), NOW + 134719000);
    cr_assert_eq(parsed("171455760"), NOW / 10);
    cr_assert_eq(parsed("1714557600123"), NOW + 123000000);
    cr_assert_eq(parsed("1714557600123456"), NOW + 123456000);
    cr_assert_eq(parsed("1714557600123456789"), NOW + 123456789);
}

Test(time, knows_how_long_what_is_named_lasts)
{
    static const struct {
        const char *text;
        int64_t ns;
    } lengths[] = {
        {"2024-05-01", 86400000000000}, {"10:00", 60000000000},        {"10:00:00", 1000000000}, {"10:00:00.5", 1},
        {"1714557600", 1000000000},     {"1714557600.5", 1},           {"1714557600123", 1},     {"@5", 1000000000},
        {"2023-12-31", 86400000000000}, {"2024-02-29", 86400000000000}};

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct fc_time_point p = point(lengths[i].text, false);
        cr_expect_eq(p.end_ns - p.ns, lengths[i].ns, "%s", lengths[i].text);
        cr_expect_eq(p.is_day, strlen(lengths[i].text) == 10 && strchr(lengths[i].text, '-') != NULL, "%s",
                     lengths[i].text);
    }
}

/* The zone is written as a rule, so that the test needs no zoneinfo: summer from 31 March 2:00 to 27 October 3:00. */
Test(time, is_that_of_the_clocks_there)
{
    set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
    cr_assert_eq(point("2024-05-01T12:00", true).ns, NOW);
    cr_assert_eq(point("2024-05-01T10:00Z", true).ns, NOW, "a zone of its own counts");
    cr_assert_eq(point("2024-05-01T15:30+05:30", true).ns, NOW);
    cr_assert_eq(point("1714557600", true).ns, NOW);
    cr_assert_eq(point("2024-01-01", true).ns, parsed("2023-12-31T23:00"));
    cr_assert_eq(point("12:00", true).ns, NOW);
    cr_assert_eq(point("today", true).ns, parsed("2024-04-30T22:00"));
    /* the hour that is left out, and the one that comes twice */
    cr_assert_eq(result("2024-03-31T02:30", true), FC_TIME_FIELD);
    cr_assert_eq(point("2024-03-31T03:30", true).ns, parsed("2024-03-31T01:30"));
    cr_assert_eq(point("2024-10-27T02:30", true).ns, parsed("2024-10-27T00:30"));
    cr_assert_eq(point("2024-03-31", true).end_ns - point("2024-03-31", true).ns, INT64_C(23) * 3600 * 1000000000);
    cr_assert_eq(point("2024-10-27", true).end_ns - point("2024-10-27", true).ns, INT64_C(25) * 3600 * 1000000000);
    cr_assert_eq(point("2024-03", true).ns, parsed("2024-02-29T23:00"));
    cr_assert_eq(point("2024-03", true).end_ns, parsed("2024-03-31T22:00"));
    /* where a day begins at 1:00 */
    set_zone("BRT3BRST,M10.3.0/0,M2.3.0/0");
    cr_assert_eq(point("2024-10-20", true).ns, parsed("2024-10-20T03:00"));
    cr_assert_eq(point("2024-10-19", true).end_ns, parsed("2024-10-20T03:00"));
    cr_assert_eq(result("2024-10-20T00:00", true), FC_TIME_FIELD);
    set_zone("UTC");
}

Test(time, agrees_with_the_c_library_in_its_zone)
{
    set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
    for (int64_t hour = -200000; hour < 700000; hour += 997) {
        time_t seconds = (time_t)(hour * 3600 + 77);
        struct tm tm;
        char text[32];

        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", localtime_r(&seconds, &tm));
        cr_assert(point(text, true).ns == seconds * INT64_C(1000000000) || tm.tm_isdst == 0, "%s", text);
        cr_assert_leq(seconds * INT64_C(1000000000) - point(text, true).ns, 3600 * INT64_C(1000000000), "%s", text);
    }
    set_zone("UTC");
}
