/* SPDX-License-Identifier: MIT */
/* What a file that is no capture of ours may be. */
#ifndef FC_CAPTURE_FOREIGN_H
#define FC_CAPTURE_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FC_FOREIGN_BYTES = 4096 }; /* more of a file is not looked at */

/* In words, from the first n bytes of it; `more` follow. Static. */
const char *fc_foreign(const uint8_t *p, size_t n, bool more);

#endif
