/* SPDX-License-Identifier: MIT */
/* Blocks of pcapng (draft-ietf-opsawg-pcapng). */
#ifndef FC_CAPTURE_PCAPNG_H
#define FC_CAPTURE_PCAPNG_H

#include "capture/reader.h"

enum {
    FC_BLOCK_IDB = 1,
    FC_BLOCK_PB = 2, /* obsolete packet block */
    FC_BLOCK_SPB = 3,
    FC_BLOCK_EPB = 6,
    FC_BLOCK_SHB = 0x0a0d0d0a,
    FC_BYTE_ORDER_MAGIC = 0x1a2b3c4d
};

/* Next packet block that starts before the reader's limit; results as fc_reader_next(). */
int fc_pcapng_next(struct fc_reader *reader, size_t ahead, struct fc_record *rec);

#endif
