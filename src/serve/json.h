/* SPDX-License-Identifier: MIT */
/*
 * JSON written to memory. Text goes through fc_text_escape() alone; commas come by themselves. Threads: one. Memory:
 * the text is owned by the structure. Without memory nothing more is written, and `failed` says so.
 */
#ifndef FC_SERVE_JSON_H
#define FC_SERVE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fc_json {
    char *text; /* not NUL-terminated */
    size_t len, room;
    bool failed;
};

/* '{', '}', '[' or ']'. */
void fc_json_mark(struct fc_json *json, char mark);
void fc_json_key(struct fc_json *json, const char *key);
/* NULL: null. */
void fc_json_text(struct fc_json *json, const char *text);
/* Of known content, without what would have to be escaped: [text, end); nothing is null. */
void fc_json_plain(struct fc_json *json, const char *text, const char *end);
void fc_json_number(struct fc_json *json, uint64_t number);
void fc_json_signed(struct fc_json *json, int64_t number);
void fc_json_bool(struct fc_json *json, bool value);
void fc_json_null(struct fc_json *json);
/* A value that is JSON already: a number as text. */
void fc_json_raw(struct fc_json *json, const char *text, size_t len);
/* What is no JSON, for answers that are none. */
void fc_json_bytes(struct fc_json *json, const uint8_t *data, size_t len);
void fc_json_base64(struct fc_json *json, const uint8_t *data, size_t len);
/* The end of a line, behind which another value may begin. */
void fc_json_line(struct fc_json *json);

/* Key and value. */
void fc_json_put_text(struct fc_json *json, const char *key, const char *text);
void fc_json_put_number(struct fc_json *json, const char *key, uint64_t number);
void fc_json_put_bool(struct fc_json *json, const char *key, bool value);
/* "KEY" as text, "KEY_ns" as number; both null where there is no time. */
void fc_json_put_time(struct fc_json *json, const char *key, bool has, int64_t ns);

void fc_json_fini(struct fc_json *json);

#endif
