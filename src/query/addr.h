/* SPDX-License-Identifier: MIT */
/* Addresses as text to bytes in network order. Strict: no octal, no names, nothing behind the address. */
#ifndef FC_QUERY_ADDR_H
#define FC_QUERY_ADDR_H

#include <stdbool.h>
#include <stdint.h>

/* "10", "10.1", "10.1.2" or "10.1.2.3": fills the parts that are there, the others with 0. Their number, 0 on error. */
int fc_addr_ipv4(const char *text, uint8_t addr[4]);
bool fc_addr_ipv6(const char *text, uint8_t addr[16]);
/* Every form that pcap-filter(7) lists: 0:11:22:33:44:55, with - or ., 0011.2233.4455, 001122334455. */
bool fc_addr_mac(const char *text, uint8_t addr[6]);

/* Text of an address of `family` (FC_ADDR_IPV4 or FC_ADDR_IPV6); buf has 46 bytes. */
const char *fc_addr_print(int family, const uint8_t *addr, char *buf);

/* First `bits` bits set, the others clear; `size` bytes. */
void fc_addr_mask(uint8_t *mask, unsigned size, unsigned bits);

/* Clears the bits of addr outside mask; true when there were any. */
bool fc_addr_clip(uint8_t *addr, const uint8_t *mask, unsigned size);

/* Length of the prefix that the mask is, -1 when its set bits are not at the front. */
int fc_addr_prefix(const uint8_t *mask, unsigned size);

#endif
