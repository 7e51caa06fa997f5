/* SPDX-License-Identifier: MIT */
/*
 * `follow --grep REGEX`: lines of what the ends of sessions have sent that match a regular expression of Perl's kind
 * (PCRE2), over bytes. A line ends at LF, without a CR in front of it, at a gap, at the end of a datagram, and at the
 * end of a direction. Lines above 64 KiB are searched in parts that share 4 KiB; a longer match may be missed there.
 *
 * Sessions are taken in the order of their IDs, some 64 MiB of packets or 16,384 sessions at a time. Threads: the main
 * one. Memory: as of stream.h for these, and what has come of their lines.
 */
#ifndef FC_CLI_FOLLOW_GREP_H
#define FC_CLI_FOLLOW_GREP_H

#include "cli/format.h"

#include <flowcarve/stream.h>

struct fc_grep;

/* Compiles the expression, before the process gives up what that takes. NULL when it is wrong, which is said. */
struct fc_grep *fc_grep_compile(const char *regex);
void fc_grep_free(struct fc_grep *grep);

struct fc_follow_grep {
    int direction; /* enum fc_from, -1: both */
    bool json;     /* an object a line; else session, direction, offset and line with tabs between them */
    bool color;    /* what matches, with escape sequences */
    bool local;    /* times are in the zone of the process, else UTC */
    struct fc_follow_options follow;
};

struct fc_follow_grep_result {
    uint64_t sessions, lines; /* searched; lines that match */
    uint64_t gaps, gap_bytes; /* not searched */
    uint64_t given_up;        /* lines on which the expression took too many steps */
    uint64_t missing;         /* packets, by `follow.partial` */
    uint64_t forgotten;       /* packets, */
    int64_t forgotten_ns;     /* and since when; 0: that is not known */
};

/* Searches all sessions that the filter selects. 0, also when `out` has failed, or a code with *err. */
int fc_follow_grep(struct fc_grep *grep, struct fc_db *db, const struct fc_filter *filter,
                   const struct fc_follow_grep *o, struct fc_out *out, struct fc_follow_grep_result *result,
                   struct fc_error *err);

#endif
