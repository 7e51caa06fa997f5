/* SPDX-License-Identifier: MIT */
/*
 * Values of sessions and packets as the text that the program prints and the view `sessions` has. They are written
 * by the million: without printf, without a NUL.
 *
 * buf has room for FC_TEXT_MAX bytes; each returns the byte behind the text. Threads: any.
 */
#ifndef FLOWCARVE_VALUE_H
#define FLOWCARVE_VALUE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FC_TEXT_MAX = 64 };

char *fc_text_number(char *buf, uint64_t number);
/* Of ns since 1970: 2024-05-31T10:00:00.000000000Z */
char *fc_text_time(char *buf, int64_t ns);
/* By the C library's zone (tzset(3), which none may change meanwhile): 2024-05-31T12:00:00.000000000+02:00 */
char *fc_text_local(char *buf, int64_t ns);
/* Of ns, in seconds: 12.000000001; below 0 as 0 */
char *fc_text_duration(char *buf, int64_t ns);
/*
 * kind: enum fc_addr_kind; addr: as many bytes as it has, in network order. IPv6 by RFC 5952, in hex throughout. Of no
 * address nothing.
 */
char *fc_text_addr(char *buf, int kind, const uint8_t *addr);
/* Of FC_PROTO_* space: tcp, 89, 0x88cc, llc:0x4242, ppp:0x0021, link:127 */
char *fc_text_proto(char *buf, uint32_t proto);

#ifdef __cplusplus
}
#endif
#endif
