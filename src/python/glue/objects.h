/* SPDX-License-Identifier: MIT */
/* Objects of Python's, by its stable interface. */
#ifndef FLOWCARVE_GLUE_OBJECTS_H
#define FLOWCARVE_GLUE_OBJECTS_H

#define Py_LIMITED_API 0x03080000
#include <Python.h>

#include "glue.h"

/*
 * A new reference to the value of a cell, at `at`: None where there is none, NULL with an exception. kind: of an
 * address, enum fc_addr_kind.
 */
PyObject *fcpy_value(const struct fcpy_cell *cell, int form, const uint8_t *at, int kind);

#endif
