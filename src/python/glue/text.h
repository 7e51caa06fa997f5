/* SPDX-License-Identifier: MIT */
/* Texts of single values. */
#ifndef FLOWCARVE_GLUE_TEXT_H
#define FLOWCARVE_GLUE_TEXT_H

#include "glue.h"

/* Text of an address as a column has it, less than FCPY_TEXT bytes without a NUL; gives where it ends. */
char *fcpy_addr_text(char *p, int kind, const uint8_t addr[16]);

#endif
