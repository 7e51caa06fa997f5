/* SPDX-License-Identifier: MIT */
/*
 * Text that others wrote (names of files, captures, databases), made fit for a terminal, a table or JSON.
 *
 * What is not shown as it is: control characters (C0 with line ends, DEL, C1), the separators of lines and paragraphs
 * and the marks that turn the direction of text (U+2028 to U+202E and their kin), and bytes that are not UTF-8. All
 * else stays.
 *
 * Threads: any. Memory: the caller's.
 */
#ifndef FLOWCARVE_TEXT_H
#define FLOWCARVE_TEXT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fc_text_form {
    FC_TEXT_MESSAGE, /* \n \r \t \x1b \u009b, bytes \xff; a backslash stays, so that once more changes nothing */
    FC_TEXT_TSV,     /* the same with \\ for a backslash: can be turned back */
    FC_TEXT_CSV,     /* the same with "" for a quote, for between quotes (RFC 4180) */
    FC_TEXT_JSON     /* \u001b \" \\, U+FFFD for bytes that are not UTF-8; for between quotes (RFC 8259) */
};

/* Bytes that one character takes at most in any form. */
enum { FC_TEXT_CHARACTER_MAX = 6 };

/*
 * Writes characters of *text (NUL-terminated) to buf, which has `size` bytes, FC_TEXT_CHARACTER_MAX at the least, as
 * long as there is room, without a NUL. Returns the bytes written; *text is moved behind what they stand for, and
 * **text is '\0' when that was all.
 */
size_t fc_text_escape(enum fc_text_form form, const char **text, char *buf, size_t size);

/* As much of text as there is room for in the form of messages, always with a NUL; size > 0. Returns buf. */
const char *fc_text_show(const char *text, char *buf, size_t size);

#ifdef __cplusplus
}
#endif
#endif
