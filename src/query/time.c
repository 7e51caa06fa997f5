/* SPDX-License-Identifier: MIT */
#include "query/time.h"

#include <stddef.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)

/* Exactly n digits at *p, which moves behind them. */
static bool take_digits(const char **p, unsigned n, int *value)
{
    *value = 0;
    for (unsigned i = 0; i < n; i++, ++*p) {
        if (**p < '0' || **p > '9')
            return false;
        *value = *value * 10 + (**p - '0');
    }
    return true;
}

static bool take(const char **p, char c)
{
    if (**p != c)
        return false;
    ++*p;
    return true;
}

/* The digits behind a decimal point, 1 to 9 of them. */
static bool take_fraction(const char **p, int64_t *ns)
{
    int64_t unit = NS_PER_S;

    *ns = 0;
    while (**p >= '0' && **p <= '9') {
        if (unit == 1)
            return false;
        unit /= 10;
        *ns += (*(*p)++ - '0') * unit;
    }
    return unit < NS_PER_S;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar (years counted from March, so that the leap day is last). */
static int64_t days_from_date(int year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

static enum fc_time_result join(int64_t seconds, int64_t frac_ns, int64_t *ns)
{
    if (__builtin_mul_overflow(seconds, NS_PER_S, ns) || __builtin_add_overflow(*ns, frac_ns, ns))
        return FC_TIME_RANGE;
    return FC_TIME_OK;
}

static enum fc_time_result parse_epoch(const char *p, int64_t *ns)
{
    bool negative = take(&p, '-');
    int64_t seconds = 0, frac_ns = 0;

    if (*p < '0' || *p > '9')
        return FC_TIME_FORM;
    while (*p >= '0' && *p <= '9') {
        /* 12 digits are far outside the range already */
        if (seconds > INT64_C(100000000000))
            return FC_TIME_RANGE;
        seconds = seconds * 10 + (*p++ - '0');
    }
    if (take(&p, '.') && !take_fraction(&p, &frac_ns))
        return FC_TIME_FORM;
    if (*p != '\0')
        return FC_TIME_FORM;
    return negative ? join(-seconds, -frac_ns, ns) : join(seconds, frac_ns, ns);
}

/* Nothing, Z, or a distance from UTC up to the end of the text. */
static enum fc_time_result parse_zone(const char *p, int *east_s)
{
    int hours = 0, minutes = 0;
    bool west = *p == '-';

    *east_s = 0;
    if (*p == '\0' || strcmp(p, "Z") == 0 || strcmp(p, "z") == 0)
        return FC_TIME_OK;
    if (!take(&p, '+') && !take(&p, '-'))
        return FC_TIME_FORM;
    if (!take_digits(&p, 2, &hours))
        return FC_TIME_FORM;
    if (*p != '\0') {
        take(&p, ':');
        if (!take_digits(&p, 2, &minutes) || *p != '\0')
            return FC_TIME_FORM;
    }
    if (hours > 23 || minutes > 59)
        return FC_TIME_FIELD;
    *east_s = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return FC_TIME_OK;
}

enum fc_time_result fc_time_parse(const char *text, int64_t *ns)
{
    const char *p = text;
    int year, month, day, hour = 0, minute = 0, second = 0, east_s = 0;
    int64_t frac_ns = 0;

    if (take(&p, '@'))
        return parse_epoch(p, ns);
    if (!take_digits(&p, 4, &year) || !take(&p, '-') || !take_digits(&p, 2, &month) || !take(&p, '-') ||
        !take_digits(&p, 2, &day))
        return FC_TIME_FORM;
    if (*p != '\0') {
        if ((!take(&p, 'T') && !take(&p, 't')) || !take_digits(&p, 2, &hour) || !take(&p, ':') ||
            !take_digits(&p, 2, &minute))
            return FC_TIME_FORM;
        if (take(&p, ':')) {
            if (!take_digits(&p, 2, &second))
                return FC_TIME_FORM;
            if (take(&p, '.') && !take_fraction(&p, &frac_ns))
                return FC_TIME_FORM;
        }
        enum fc_time_result rc = parse_zone(p, &east_s);
        if (rc != FC_TIME_OK)
            return rc;
    }
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 ||
        second > 59)
        return FC_TIME_FIELD;
    return join(days_from_date(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - east_s, frac_ns, ns);
}

static bool unit_seconds(const char *name, int64_t *seconds)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {
        {"s", 1},        {"sec", 1},       {"second", 1},   {"m", 60},         {"min", 60},
        {"minute", 60},  {"h", 3600},      {"hour", 3600},  {"d", 86400},      {"day", 86400},
        {"w", 604800},   {"week", 604800}, {"secs", 1},     {"seconds", 1},    {"mins", 60},
        {"minutes", 60}, {"hours", 3600},  {"days", 86400}, {"weeks", 604800},
    };

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(units[i].name, name) == 0) {
            *seconds = units[i].seconds;
            return true;
        }
    }
    return false;
}

bool fc_time_is_count(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    size_t letters = strspn(text + digits, "abcdefghijklmnopqrstuvwxyz");

    return digits > 0 && text[digits + letters] == '\0';
}

enum fc_time_result fc_time_span(const char *count, const char *unit, int64_t *ns)
{
    int64_t seconds = 0, each;

    for (; *count >= '0' && *count <= '9'; count++) {
        if (seconds > INT64_C(100000000000))
            return FC_TIME_RANGE;
        seconds = seconds * 10 + (*count - '0');
    }
    if (!unit_seconds(*count ? count : unit, &each))
        return FC_TIME_FIELD;
    if (__builtin_mul_overflow(seconds, each, &seconds))
        return FC_TIME_RANGE;
    return join(seconds, 0, ns);
}
