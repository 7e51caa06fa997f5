/* SPDX-License-Identifier: MIT */
/* Blocks of pcapng (draft-ietf-opsawg-pcapng). */
#ifndef FC_CAPTURE_PCAPNG_H
#define FC_CAPTURE_PCAPNG_H

#include "base/bytes.h"
#include "capture/reader.h"

enum {
    FC_BLOCK_IDB = 1,
    FC_BLOCK_PB = 2, /* obsolete packet block */
    FC_BLOCK_SPB = 3,
    FC_BLOCK_NRB = 4, /* names of addresses */
    FC_BLOCK_ISB = 5, /* statistics of an interface */
    FC_BLOCK_EPB = 6,
    FC_BLOCK_DSB = 10, /* secrets for decryption */
    FC_BLOCK_SHB = 0x0a0d0d0a,
    FC_BYTE_ORDER_MAGIC = 0x1a2b3c4d
};

enum {
    FC_OPTION_COMMENT = 1,
    FC_OPTION_DROPCOUNT = 4,    /* of an enhanced packet block */
    FC_OPTION_SHB_USERAPPL = 4, /* 2 to 4: hardware, system and program of a section */
    FC_OPTION_TSRESOL = 9,
    FC_OPTION_FCSLEN = 13,
    FC_OPTION_TSOFFSET = 14
};

struct fc_pcapng_option {
    uint16_t code, len;
    const uint8_t *value;
};

/* Takes the option at *p, and moves *p behind it. False: the list ends here. */
static inline bool fc_pcapng_option(const uint8_t **p, const uint8_t *end, bool big, struct fc_pcapng_option *option)
{
    if (end - *p < 4)
        return false;
    *option = (struct fc_pcapng_option){fc_load16(*p, big), fc_load16(*p + 2, big), *p + 4};
    if (option->code == 0 || option->len > end - *p - 4)
        return false;
    ptrdiff_t step = 4 + ((option->len + 3) & ~3);
    *p = step > end - *p ? end : *p + step;
    return true;
}

/*
 * The block that a record just read from a pcapng is in, of rec->next_off - rec->off bytes. Valid as long as rec->data.
 */
static inline const uint8_t *fc_pcapng_block(const struct fc_reader *reader, const struct fc_record *rec)
{
    return reader->buf + (rec->off - reader->buf_off);
}

/*
 * Reads the block at `off`, which is not that of a record: 1 and *block, to be freed, and *size, bytes, rounded up to
 * 4; 0: no whole block of at most `max` bytes is here, or its type is none of `types`, of which the last one is 0.
 * *size is set also when only the type is another. FC_E_IO, FC_E_NOMEM.
 */
int fc_pcapng_load(const struct fc_file *file, uint64_t off, bool big, uint32_t max, const uint32_t *types,
                   uint8_t **block, uint32_t *size, struct fc_error *err);

/* Next packet block that starts before the reader's limit; results as fc_reader_next(). */
int fc_pcapng_next(struct fc_reader *reader, size_t ahead, struct fc_record *rec);

#endif
