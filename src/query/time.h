/* SPDX-License-Identifier: MIT */
/*
 * Points in time as text to ns since 1970. Without a zone of its own, a time is UTC, or that of the C library's zone
 * (tzset(3)).
 *
 * Threads: any, as long as none changes TZ.
 */
#ifndef FC_QUERY_TIME_H
#define FC_QUERY_TIME_H

#include <stdbool.h>
#include <stdint.h>

enum fc_time_result {
    FC_TIME_OK,
    FC_TIME_FORM,  /* not a time */
    FC_TIME_FIELD, /* the form is right, but there is no such day, hour, zone... */
    FC_TIME_RANGE  /* outside 1677 to 2262, what 64 bits of ns can say */
};

struct fc_time_day {
    int year, month, day; /* month 0: none */
};

/* What a time is read by. */
struct fc_time_base {
    int64_t now_ns;
    bool local;                    /* the C library's zone */
    const struct fc_time_day *day; /* that of a time without one; NULL: the one of now */
};

struct fc_time_point {
    int64_t ns;
    int64_t end_ns;         /* behind the month, day, minute or second that is named; else behind ns */
    struct fc_time_day day; /* as written, and false where there was no date */
    bool is_day;            /* a date, and no time of day; a month is none */
};

/*
 * A month (YYYY-MM); a date (YYYY-MM-DD, YYYYMMDD, YYYY-M-D, today, yesterday), a time of day (HH:MM[:SS[.frac]]) or
 * both with T between them, and behind a time of day a zone (Z, +HH, +HHMM, +HH:MM, or with -); or time since 1970:
 * @SECONDS[.frac], or without the @ where that has nine digits and more. Of these 13 digits are milliseconds, 16
 * microseconds and 19 nanoseconds. Fractions have 1 to 9 digits. A local time that comes twice, as clocks are set
 * back, is the first.
 */
enum fc_time_result fc_time_parse(const char *text, const struct fc_time_base *base, struct fc_time_point *point);

/* "90s", or "90" with the unit "s" apart: so many ns. Units: s sec m min h hour d day w week, and their plurals. */
enum fc_time_result fc_time_span(const char *count, const char *unit, int64_t *ns);

/* True when text is digits with or without a unit behind them, as in "90" and "2h". */
bool fc_time_is_count(const char *text);

#endif
