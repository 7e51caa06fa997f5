/* SPDX-License-Identifier: MIT */
/*
 * The target of a request: its path, and the parameters behind it. Strict: what is no percent-encoding, no UTF-8 or a
 * NUL makes it none. Threads: one. Memory: names and values point into the text, which is changed.
 */
#ifndef FC_SERVE_PARAMS_H
#define FC_SERVE_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

enum { FC_PARAMS_MAX = 24 };

struct fc_param {
    const char *name, *value;
    bool used; /* somebody has asked for it */
};

struct fc_params {
    const char *path;
    struct fc_param item[FC_PARAMS_MAX];
    size_t count;
};

/* Splits "/v1/count?filter=port+443", in place. NULL, or a phrase of what is wrong with it. */
const char *fc_params_read(char *target, struct fc_params *params);

/* The value of a parameter, NULL: it is not there. Notes that it is known. */
const char *fc_params_get(struct fc_params *params, const char *name);

/* The first that nobody has asked for; NULL: none. */
const char *fc_params_unknown(const struct fc_params *params);

/* True for UTF-8 in the shortest form (RFC 3629). */
bool fc_is_utf8(const char *text);

/* UTF-16 units of the first `len` bytes of UTF-8, as JavaScript counts; and the byte that so many units end at. */
size_t fc_utf16_length(const char *text, size_t len);
size_t fc_utf16_place(const char *text, size_t units);

#endif
