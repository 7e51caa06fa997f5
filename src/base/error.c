/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"

#include <errno.h>
#include <flowcarve/text.h>
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

void fc_path_fit(char *out, size_t size, const char *path)
{
    size_t len = strlen(path);

    if (len < size) {
        memcpy(out, path, len + 1);
        return;
    }
    /* the end of a path tells more than its start; but it does not start inside of a character */
    path += len - (size - 4);
    for (int i = 0; i < 3 && ((unsigned char)*path & 0xc0) == 0x80; i++)
        path++;
    snprintf(out, size, "...%s", path);
}

int fc_error_set(struct fc_error *err, int code, const char *file, uint64_t off, const char *fmt, ...)
{
    if (err) {
        va_list ap;

        err->code = code;
        err->off = off;
        fc_path_fit(err->file, sizeof err->file, file ? file : "");
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
    char raw[sizeof err->file + sizeof err->cause + 32];

    if (!err->file[0])
        snprintf(raw, sizeof raw, "%s", cause);
    else if (err->off == FC_NO_OFFSET)
        snprintf(raw, sizeof raw, "%s: %s", err->file, cause);
    else
        snprintf(raw, sizeof raw, "%s@%" PRIu64 ": %s", err->file, err->off, cause);
    return fc_text_show(raw, buf, size);
}
