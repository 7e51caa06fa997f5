/* SPDX-License-Identifier: MIT */
#include "query/time.h"

#include <stddef.h>
#include <string.h>
#include <time.h>

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

/* Seconds since 1970; of nine digits and more, what is far too long for seconds is in a smaller unit. */
static enum fc_time_result parse_epoch(const char *p, bool bare, struct fc_time_point *point)
{
    size_t digits = strspn(p, "0123456789");
    bool negative = !bare && take(&p, '-'), fraction;
    int64_t seconds = 0, frac_ns = 0, unit = 1;

    if (bare && (digits == 13 || digits == 16 || digits == 19))
        unit = digits == 13 ? 1000 : digits == 16 ? 1000000 : NS_PER_S;
    if (*p < '0' || *p > '9')
        return FC_TIME_FORM;
    while (*p >= '0' && *p <= '9')
        if (__builtin_mul_overflow(seconds, 10, &seconds) || __builtin_add_overflow(seconds, *p++ - '0', &seconds))
            return FC_TIME_RANGE;
    fraction = unit == 1 && take(&p, '.');
    if ((fraction && !take_fraction(&p, &frac_ns)) || *p != '\0')
        return FC_TIME_FORM;
    if (unit > 1)
        frac_ns = seconds % unit * (NS_PER_S / unit);
    seconds /= unit;
    enum fc_time_result rc = negative ? join(-seconds, -frac_ns, &point->ns) : join(seconds, frac_ns, &point->ns);
    if (rc == FC_TIME_OK && __builtin_add_overflow(point->ns, fraction || unit > 1 ? 1 : NS_PER_S, &point->end_ns))
        return FC_TIME_RANGE;
    return rc;
}

/* A date and a time of day, and what they are of. */
struct when {
    struct fc_time_day day;
    int hour, minute, second;
    int64_t frac_ns, unit_ns; /* of the last part that is written; 0: that is the day, or the month */
    bool whole_month;
    int east_s;
    bool local;
};

/* Nothing, Z, or a distance from UTC up to the end of the text. */
static enum fc_time_result parse_zone(const char *p, struct when *w)
{
    int hours = 0, minutes = 0;
    bool west = *p == '-';

    if (*p == '\0')
        return FC_TIME_OK;
    w->local = false;
    if (strcmp(p, "Z") == 0 || strcmp(p, "z") == 0)
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
    w->east_s = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return FC_TIME_OK;
}

/* The time is one that the zone's clocks show; *seconds: when that is first. */
static bool local_seconds(const struct when *w, int64_t *seconds)
{
    bool found = false;

    /* where clocks are set back a time is there twice, with summer time and without */
    for (int summer = 1; summer >= -1; summer--) {
        struct tm tm = {.tm_year = w->day.year - 1900,
                        .tm_mon = w->day.month - 1,
                        .tm_mday = w->day.day,
                        .tm_hour = w->hour,
                        .tm_min = w->minute,
                        .tm_sec = w->second,
                        .tm_isdst = summer};
        time_t time = mktime(&tm);
        bool same = tm.tm_year == w->day.year - 1900 && tm.tm_mon == w->day.month - 1 && tm.tm_mday == w->day.day &&
                    tm.tm_hour == w->hour && tm.tm_min == w->minute && tm.tm_sec == w->second;

        if (same && (!found || time < *seconds)) {
            *seconds = time;
            found = true;
        }
    }
    return found;
}

static enum fc_time_result when_to_ns(const struct when *w, int64_t *ns)
{
    struct when later = *w;
    int64_t seconds = 0;

    if (!w->local) {
        seconds = days_from_date(w->day.year, w->day.month, w->day.day) * 86400 + w->hour * 3600 + w->minute * 60 +
                  w->second - w->east_s;
        return join(seconds, w->frac_ns, ns);
    }
    /* a day may begin later than at midnight, where clocks are put forward then */
    for (int half = 0; half < 6; half++) {
        if (local_seconds(&later, &seconds))
            return join(seconds, w->frac_ns, ns);
        if (w->unit_ns)
            break;
        later.hour = (half + 1) / 2;
        later.minute = (half + 1) % 2 * 30;
    }
    return FC_TIME_FIELD;
}

/* The day behind this one, or the first one behind its month. */
static struct fc_time_day next_day(struct fc_time_day d, bool whole_month)
{
    if (whole_month || ++d.day > days_in_month(d.year, d.month)) {
        d.day = 1;
        d.month++;
    }
    if (d.month > 12) {
        d.month = 1;
        d.year++;
    }
    return d;
}

/* The day of now, or the one before. */
static struct fc_time_day day_of_now(const struct fc_time_base *base, bool before)
{
    time_t now = (time_t)(base->now_ns / NS_PER_S - (base->now_ns % NS_PER_S < 0));
    struct tm tm = {0};

    if (base->local)
        localtime_r(&now, &tm);
    else
        gmtime_r(&now, &tm);
    struct fc_time_day day = {tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday};
    if (!before)
        return day;
    if (--day.day == 0) {
        day.year -= day.month == 1;
        day.month = day.month == 1 ? 12 : day.month - 1;
        day.day = days_in_month(day.year, day.month);
    }
    return day;
}

/* One digit or two. */
static bool take_short(const char **p, int *value)
{
    const char *start = *p;

    if (take_digits(p, 2, value))
        return true;
    *p = start;
    return take_digits(p, 1, value);
}

static bool take_word(const char **p, const char *word)
{
    size_t len = strlen(word);

    if (strncmp(*p, word, len) != 0)
        return false;
    *p += len;
    return true;
}

/* Moves *p behind a date or a month, if there is one. */
static bool take_date(const char **p, const struct fc_time_base *base, struct when *w)
{
    const char *start = *p;
    struct fc_time_day *day = &w->day;

    if (take_word(p, "today") || take_word(p, "yesterday")) {
        *day = day_of_now(base, *start == 'y');
        return true;
    }
    if (take_digits(p, 4, &day->year) && take(p, '-') && take_short(p, &day->month)) {
        w->whole_month = **p == '\0';
        day->day = 1;
        if (w->whole_month || (take(p, '-') && take_short(p, &day->day)))
            return true;
    }
    *p = start;
    if (take_digits(p, 4, &day->year) && take_digits(p, 2, &day->month) && take_digits(p, 2, &day->day))
        return true;
    *p = start;
    return false;
}

/* HH:MM[:SS[.frac]] and a zone, up to the end of the text. */
static enum fc_time_result parse_clock(const char *p, struct when *w)
{
    if (!take_short(&p, &w->hour) || !take(&p, ':') || !take_digits(&p, 2, &w->minute))
        return FC_TIME_FORM;
    w->unit_ns = 60 * NS_PER_S;
    if (take(&p, ':')) {
        if (!take_digits(&p, 2, &w->second))
            return FC_TIME_FORM;
        w->unit_ns = NS_PER_S;
        if (take(&p, '.')) {
            if (!take_fraction(&p, &w->frac_ns))
                return FC_TIME_FORM;
            w->unit_ns = 1;
        }
    }
    return parse_zone(p, w);
}

static enum fc_time_result finish(struct when *w, struct fc_time_point *point)
{
    const struct fc_time_day *d = &w->day;
    enum fc_time_result rc;

    if (d->month < 1 || d->month > 12 || d->day < 1 || d->day > days_in_month(d->year, d->month) || w->hour > 23 ||
        w->minute > 59 || w->second > 59)
        return FC_TIME_FIELD;
    if ((rc = when_to_ns(w, &point->ns)) != FC_TIME_OK)
        return rc;
    if (w->unit_ns)
        return __builtin_add_overflow(point->ns, w->unit_ns, &point->end_ns) ? FC_TIME_RANGE : FC_TIME_OK;
    w->day = next_day(*d, w->whole_month);
    return when_to_ns(w, &point->end_ns);
}

enum fc_time_result fc_time_parse(const char *text, const struct fc_time_base *base, struct fc_time_point *point)
{
    struct when w = {.local = base->local};
    const char *p = text;
    size_t digits = strspn(text, "0123456789");
    enum fc_time_result rc = FC_TIME_OK;

    *point = (struct fc_time_point){0};
    if (take(&p, '@'))
        return parse_epoch(p, false, point);
    if (digits >= 9 && (text[digits] == '\0' || text[digits] == '.'))
        return parse_epoch(p, true, point);
    if (!take_date(&p, base, &w)) {
        w.day = base->day && base->day->month ? *base->day : day_of_now(base, false);
        rc = parse_clock(p, &w);
    } else {
        point->day = w.day;
        point->is_day = *p == '\0' && !w.whole_month;
        if (*p != '\0')
            rc = take(&p, 'T') || take(&p, 't') ? parse_clock(p, &w) : FC_TIME_FORM;
    }
    return rc ? rc : finish(&w, point);
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
