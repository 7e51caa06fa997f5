/* SPDX-License-Identifier: MIT */
/*
 * Comparisons of Wireshark's display filters, `ip.addr == 10.0.0.6`, in the words of this filter language. They are
 * not read, as they are about packets: a message tells what to write instead. Threads: any. Memory: the caller's.
 */
#ifndef FC_QUERY_WIRESHARK_H
#define FC_QUERY_WIRESHARK_H

#include <stdbool.h>
#include <stddef.h>

enum { FC_WIRESHARK_MAX = 160 };

struct fc_wireshark {
    size_t off, len;             /* the comparison in the filter's text */
    char here[FC_WIRESHARK_MAX]; /* what to write, "" when there is no equal */
    bool other_numbers;          /* the number means something else here */
};

/* True when a comparison begins at the word at or behind byte `off` of `text`. */
bool fc_wireshark_at(const char *text, size_t off, struct fc_wireshark *found);

/* The whole filter with all its comparisons in the words of this language; false when it cannot be had in `size`. */
bool fc_wireshark_whole(const char *text, char *here, size_t size);

#endif
