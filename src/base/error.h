/* SPDX-License-Identifier: MIT */
/* Filling of struct fc_error. Threads: any, on errors of their own. */
#ifndef FC_BASE_ERROR_H
#define FC_BASE_ERROR_H

#include <flowcarve/error.h>
#include <stddef.h>

/*
 * Fills *err (NULL allowed) with code, file (NULL: none), offset (FC_NO_OFFSET: none) and a printf-like cause.
 * Returns code, so that a caller can `return fc_error_set(...)`.
 */
int fc_error_set(struct fc_error *err, int code, const char *file, uint64_t off, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* The same for a failed system call: the cause gets ": " and the text of errno appended. */
int fc_error_errno(struct fc_error *err, int code, const char *file, uint64_t off, const char *what);

/* Copies a path to out (size > 4), shortened at the front, with "..." there, when it is too long. */
void fc_path_fit(char *out, size_t size, const char *path);

#endif
