/* SPDX-License-Identifier: MIT */
/*
 * What captures say of their packets beside the bytes: the interfaces, each different one once, and what is said of
 * whole sections. Read from the captures again: an index has only what it needs to read them.
 *
 * Threads: one. Memory: an interface's options, and 128 kB of comments at the most.
 */
#ifndef FC_CARVE_INTERFACE_H
#define FC_CARVE_INTERFACE_H

#include "carve/blocks.h"
#include "store/blob.h"

struct fc_carve_iface {
    uint64_t hash; /* of what follows up to the options */
    uint32_t link_type, snaplen;
    uint32_t fcs; /* as fc_pcap.fcs; 0 also when a pcap cannot say it */
    uint8_t tsresol;
    bool big_endian;
    bool pcapng;
    uint8_t *options; /* pcapng: as they stand in the capture, in its byte order, padded */
    uint32_t options_len;
    /* of the output: the number of the interface, and the section (from 1) in which that is so */
    uint32_t number, section;
};

struct fc_carve_ifaces {
    struct fc_carve_iface **slots; /* by hash; NULL: free */
    size_t count, room;            /* room: a power of two */
    /* options of the sections, in the byte order of this machine */
    struct fc_buffer comments; /* each different one once */
    struct fc_buffer machine;  /* hardware, system and program of the first section */
    bool first_seen, machines_differ;
    const char *origin; /* a comment on interfaces that are added from now on, of those of a pcapng; NULL: none */
};

void fc_carve_ifaces_fini(struct fc_carve_ifaces *all);

/*
 * Reads what the capture says of an interface, and gives *out, which is shared by all that say the same and
 * lives as long as `all`. FC_E_CHANGED: there is none. FC_E_IO, FC_E_NOMEM.
 */
int fc_carve_ifaces_add(struct fc_carve_ifaces *all, struct fc_blocks *blocks, struct fc_place_file *file,
                        const struct fc_interface *iface, struct fc_carve_iface **out, struct fc_error *err);

/* Takes in what a pcapng says of the section that starts at section_off. Codes as above. */
int fc_carve_ifaces_section(struct fc_carve_ifaces *all, struct fc_blocks *blocks, struct fc_place_file *file,
                            const struct fc_interface *iface, struct fc_error *err);

#endif
