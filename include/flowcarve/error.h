/* SPDX-License-Identifier: MIT */
/*
 * Error codes and the error record that every fallible call fills.
 *
 * A function returns 0 (or a count) on success and one of the negative FC_E_* codes on failure. Where it
 * takes a `struct fc_error *`, that pointer may be NULL; when it is not, it is filled exactly once, where the
 * failure happened, with file, offset and cause. Nothing below the command line prints.
 *
 * Threads: a struct fc_error belongs to one thread. Memory: it is plain data, nothing to free.
 */
#ifndef FLOWCARVE_ERROR_H
#define FLOWCARVE_ERROR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, value, text): the one table of codes. */
#define FC_ERROR_TABLE(X)                                                                                              \
    X(FC_E_NOMEM, -1, "out of memory")                                                                                 \
    X(FC_E_IO, -2, "input/output error")                                                                               \
    X(FC_E_FORMAT, -3, "not a capture")                                                                                \
    X(FC_E_DAMAGED, -4, "damaged capture")                                                                             \
    X(FC_E_USAGE, -5, "invalid argument")                                                                              \
    X(FC_E_FILTER, -6, "invalid filter")                                                                               \
    X(FC_E_DB, -7, "database error")                                                                                   \
    X(FC_E_SCHEMA, -8, "not a flowcarve index")                                                                        \
    X(FC_E_CHANGED, -9, "capture has changed since it was indexed")                                                    \
    X(FC_E_MISSING, -10, "capture is missing")                                                                         \
    X(FC_E_INTERRUPTED, -11, "interrupted")                                                                            \
    X(FC_E_MISMATCH, -12, "index and captures disagree")                                                               \
    X(FC_E_LIMIT, -13, "limit exceeded")                                                                               \
    X(FC_E_PIPE, -14, "output closed")                                                                                 \
    X(FC_E_BUSY, -15, "another process writes the index")

enum fc_error_code {
    FC_OK = 0,
#define X(name, value, text) name = value,
    FC_ERROR_TABLE(X)
#undef X
};

#define FC_NO_OFFSET UINT64_MAX

struct fc_error {
    int code;        /* FC_OK or FC_E_* */
    uint64_t off;    /* byte offset in `file`, FC_NO_OFFSET when there is none */
    char file[512];  /* path as the user gave it, shortened at the front when longer; "" when none */
    char cause[512]; /* a sentence without a full stop */
};

/* The table's text for a code; "unknown error" for a number that is none. Any thread. */
const char *fc_strerror(int code);

/* Room for the longest text of an error. */
enum { FC_ERROR_TEXT_MAX = 4224 };

/* Writes "file@offset: cause" (file and offset only when set) into buf, fit for a terminal (see text.h), always
 * NUL-terminated. Returns buf. */
const char *fc_error_text(const struct fc_error *err, char *buf, size_t size);

#ifdef __cplusplus
}
#endif
#endif
