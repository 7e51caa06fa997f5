/* SPDX-License-Identifier: MIT */
/* Points in time as text to ns since 1970. Without a zone, a time is UTC, as everything that flowcarve prints. */
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

/*
 * YYYY-MM-DD, YYYY-MM-DDTHH:MM[:SS[.frac]] with an optional zone (Z, +HH, +HHMM, +HH:MM, or with -),
 * or @SECONDS[.frac] since 1970. Fractions have 1 to 9 digits.
 */
enum fc_time_result fc_time_parse(const char *text, int64_t *ns);

/* "90s", or "90" with the unit "s" apart: so many ns. Units: s sec m min h hour d day w week, and their plurals. */
enum fc_time_result fc_time_span(const char *count, const char *unit, int64_t *ns);

/* True when text is digits with or without a unit behind them, as in "90" and "2h". */
bool fc_time_is_count(const char *text);

#endif
