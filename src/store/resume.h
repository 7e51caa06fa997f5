/* SPDX-License-Identifier: MIT */
/* files.resume, byte by byte as in schema/flowcarve.sql. Threads: any. */
#ifndef FC_STORE_RESUME_H
#define FC_STORE_RESUME_H

#include "store/writer.h"

enum { FC_RESUME_BYTES = 2 + 7 * 8 };

/* Writes what the row says; returns the bytes, FC_RESUME_BYTES. */
size_t fc_resume_put(const struct fc_file_row *row, uint8_t *out);

/* Reads section (without interfaces), clock, tail_ns and mark. False: of another version, or damaged. */
bool fc_resume_get(const uint8_t *p, size_t len, struct fc_file_state *state);

#endif
