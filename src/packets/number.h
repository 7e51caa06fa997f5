/* SPDX-License-Identifier: MIT */
/* Numbers of records in their capture, as Wireshark counts them: the records before are walked. Threads: one. */
#ifndef FC_PACKETS_NUMBER_H
#define FC_PACKETS_NUMBER_H

#include "packets/places.h"

struct fc_numbers {
    uint64_t *offs, *numbers; /* ascending */
    size_t count;
};

/*
 * Counts up to the last position of a file, which need not be open; its positions are in the order of their offsets.
 * A record inside of damage has no number. FC_E_NOMEM, FC_E_IO, FC_E_CHANGED, FC_E_INTERRUPTED.
 */
int fc_numbers_count(struct fc_numbers *numbers, struct fc_places *places, struct fc_place_file *file,
                     struct fc_error *err);
/* Number of the record at `off`; 0: it has none. */
uint64_t fc_numbers_find(const struct fc_numbers *numbers, uint64_t off);
void fc_numbers_fini(struct fc_numbers *numbers);

#endif
