/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

FC_EXPORT const char *fc_strerror(int code)
{
    switch (code) {
    case FC_OK:
        return "no error";
#define X(name, value, text)                                                                                           \
    case name:                                                                                                         \
        return text;
        FC_ERROR_TABLE(X)
#undef X
    default:
        return "unknown error";
    }
}

static void set_file(struct fc_error *err, const char *file)
{
    size_t len = file ? strlen(file) : 0;

    if (len < sizeof err->file) {
        memcpy(err->file, file ? file : "", len + 1);
        return;
    }
    /* the end of a path tells more than its start */
    memcpy(err->file, "...", 3);
    memcpy(err->file + 3, file + len - (sizeof err->file - 4), sizeof err->file - 3);
}

int fc_error_set(struct fc_error *err, int code, const char *file, uint64_t off, const char *fmt, ...)
{
    if (err) {
        va_list ap;

        err->code = code;
        err->off = off;
        set_file(err, file);
        va_start(ap, fmt);
        vsnprintf(err->cause, sizeof err->cause, fmt, ap);
        va_end(ap);
    }
    return code;
}

int fc_error_errno(struct fc_error *err, int code, const char *file, uint64_t off, const char *what)
{
    int saved = errno;
    return fc_error_set(err, code, file, off, "%s: %s", what, strerror(saved));
}

FC_EXPORT const char *fc_error_text(const struct fc_error *err, char *buf, size_t size)
{
    const char *cause = err->cause[0] ? err->cause : fc_strerror(err->code);

    if (!err->file[0])
        snprintf(buf, size, "%s", cause);
    else if (err->off == FC_NO_OFFSET)
        snprintf(buf, size, "%s: %s", err->file, cause);
    else
        snprintf(buf, size, "%s@%" PRIu64 ": %s", err->file, err->off, cause);
    return buf;
}
