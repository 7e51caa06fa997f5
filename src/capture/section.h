/* SPDX-License-Identifier: MIT */
/* The pcapng state at an offset, from the list of a file's interfaces, for reading single records. */
#ifndef FC_CAPTURE_SECTION_H
#define FC_CAPTURE_SECTION_H

#include "capture/reader.h"

/*
 * Section and interfaces that hold at `off`. ifaces: all of the file, in file order. FC_E_DAMAGED: none is described
 * before off. FC_E_NOMEM. On success fc_section_free() frees.
 */
int fc_section_at(const struct fc_interface *ifaces, size_t count, uint64_t off, struct fc_section *section);

/*
 * Interfaces [*first, *last) are all of the section that `off` lies in, which ends at *end. False: no interface is
 * described before off.
 */
bool fc_section_range(const struct fc_interface *ifaces, size_t count, uint64_t off, size_t *first, size_t *last,
                      uint64_t *end);

/* True when `section`, made by fc_section_at(), also holds at `off`. */
bool fc_section_covers(const struct fc_section *section, const struct fc_interface *ifaces, size_t count, uint64_t off);

#endif
