/* SPDX-License-Identifier: MIT */
/* Bytes as hex for people and as base64 for JSON. Threads: any. Memory: the caller's buffers. */
#ifndef FC_CLI_DUMP_H
#define FC_CLI_DUMP_H

#include <stddef.h>
#include <stdint.h>

enum { FC_DUMP_ROW = 16, FC_DUMP_TEXT = 96 };

/*
 * "00000010  48 54 ...  HT.": at most FC_DUMP_ROW bytes, the first of which is `at` bytes behind the start. Writes no
 * NUL; returns the length, less than FC_DUMP_TEXT.
 */
size_t fc_dump_row(char text[FC_DUMP_TEXT], uint64_t at, const uint8_t *data, uint64_t len);

/* Up to three bytes of `len` as a group of base64, the last one with "=". Writes no NUL. */
void fc_dump_base64(char group[4], const uint8_t *data, uint64_t len);

#endif
