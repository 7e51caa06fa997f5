/* SPDX-License-Identifier: MIT */
/*
 * SHA-1 of short messages, for identifiers that others have defined with it; no protection of anything.
 *
 * Threads: any. Memory: the caller's. Limits: FC_SHA1_SHORT bytes, so that the message is one block.
 * Source: RFC 3174.
 */
#ifndef FC_BASE_SHA1_H
#define FC_BASE_SHA1_H

#include <stddef.h>
#include <stdint.h>

enum { FC_SHA1_SIZE = 20, FC_SHA1_SHORT = 55 };

/* Digest of `len` <= FC_SHA1_SHORT bytes. */
void fc_sha1_short(const uint8_t *message, size_t len, uint8_t digest[FC_SHA1_SIZE]);

#endif
