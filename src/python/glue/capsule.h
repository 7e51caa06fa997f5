/* SPDX-License-Identifier: MIT */
/* Capsules of Python's in which streams of Arrow are handed on. */
#ifndef FLOWCARVE_GLUE_CAPSULE_H
#define FLOWCARVE_GLUE_CAPSULE_H

/* "arrow_array_stream", as their name must be the same pointer as long as there is one. */
extern const char fcpy_capsule_name[];

/* The destructor of a capsule: takes a PyObject. */
void fcpy_capsule_end(void *capsule);

#endif
