/* SPDX-License-Identifier: MIT */
/*
 * The blocks of a pcapng that is written: little-endian, times in ns or µs. Each function writes a block to `out`,
 * which must have room, and returns its length, a multiple of 4. Pure.
 */
#ifndef FC_LIVE_BLOCKS_H
#define FC_LIVE_BLOCKS_H

#include <flowcarve/recorder.h>

/* Most that a block can take: packets with their data; of the others, options are cut to FC_BLOCK_OPTION bytes. */
enum { FC_BLOCK_OPTION = 1024, FC_BLOCK_HEAD_MAX = 4096, FC_BLOCK_PACKET = 32 };

size_t fc_block_section(uint8_t *out);
size_t fc_block_interface(uint8_t *out, const struct fc_recorder_interface *iface);

/* Bytes of the block of a packet. */
static inline size_t fc_block_packet_bytes(uint32_t caplen)
{
    return FC_BLOCK_PACKET + (((size_t)caplen + 3) & ~(size_t)3);
}
size_t fc_block_packet(uint8_t *out, const struct fc_recorder_packet *packet, uint8_t tsresol);

/* What was counted of an interface between two times; received as in struct fc_recorder_counts. */
struct fc_block_statistics {
    int64_t start_ns, end_ns;
    uint64_t received, dropped_kernel, dropped_iface, recorded;
};
size_t fc_block_statistics(uint8_t *out, uint32_t interface, uint8_t tsresol, const struct fc_block_statistics *s);

/* Of a block of these that is whole at p. */
uint32_t fc_block_length(const uint8_t *p);
uint32_t fc_block_packet_interface(const uint8_t *p);
uint32_t fc_block_packet_caplen(const uint8_t *p);
int64_t fc_block_packet_ns(const uint8_t *p, uint8_t tsresol);

/*
 * How many of the n bytes are whole blocks, one behind the other. *packets: how many of them are packets.
 */
size_t fc_block_whole(const uint8_t *p, size_t n, uint64_t *packets);

#endif
