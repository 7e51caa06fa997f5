/* SPDX-License-Identifier: MIT */
/*
 * Where a capture goes on behind damage. All answers depend on the file, an offset and the section only, so that they
 * are the same for every chunk size; docs/architecture-captures.md ("Damage") has the rules.
 *
 * Cost: the file is looked at in blocks of 1 MiB (with 1 MiB of what follows), each once while it is the current one:
 * for every offset, is a plausible header here, and how many follow it in a chain, and where does the chain break. That
 * is linear in the size of the file, whatever its bytes are.
 *
 * Threads: as the reader it belongs to. Memory: 14 MiB once damage was met.
 */
#ifndef FC_CAPTURE_RESYNC_H
#define FC_CAPTURE_RESYNC_H

#include "capture/reader.h"

/* Bytes: nothing is read before the multiple of this in front of an offset. */
enum { FC_RESYNC_BLOCK = 1 << 20 };

struct fc_resync;

void fc_resync_free(struct fc_resync *resync);
/* What it knows holds no more: another file or section. NULL is allowed. */
void fc_resync_forget(struct fc_resync *resync);

enum fc_odd { FC_ODD_KEEP = 0, FC_ODD_HEADER = 2, FC_ODD_DAMAGE = 3 };

/*
 * An odd pcap record header at `off`: is it one all the same, or a file header? May mark the reader failed (FC_E_IO,
 * FC_E_NOMEM).
 */
enum fc_odd fc_resync_odd(struct fc_reader *reader, uint64_t off);

/*
 * Of a record at `off` that is said to end at `next`, where nothing sound starts or the file has ended: where inside of
 * it do records start that go on behind `next`? 0: nowhere, or the reader has failed.
 */
uint64_t fc_resync_swallowed(struct fc_reader *reader, uint64_t off, uint64_t next);

/* pcapng: do blocks that can be believed start at `off`, or does the file end there? */
bool fc_resync_blocks(struct fc_reader *reader, uint64_t off);

#endif
