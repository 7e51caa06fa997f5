/* SPDX-License-Identifier: MIT */
/* A column of values as an array of Arrow. */
#ifndef FLOWCARVE_GLUE_ARROW_COLUMN_H
#define FLOWCARVE_GLUE_ARROW_COLUMN_H

#include "arrow.h"
#include "glue.h"

/* The format of a cell's values. Static string. */
const char *fcpy_arrow_format(int cell);
bool fcpy_arrow_nullable(int cell);

/* Makes *out of `rows` values; kind: a column of bytes, what addresses are. False: out of memory, *out is empty. */
bool fcpy_arrow_column(const struct fcpy_cell *cell, const uint8_t *base, const uint8_t *kind, size_t rows,
                       struct ArrowArray *out);

#endif
