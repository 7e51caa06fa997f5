/* SPDX-License-Identifier: MIT */
/* Marks what the shared library shows; all else is hidden. */
#ifndef FC_BASE_EXPORT_H
#define FC_BASE_EXPORT_H

#define FC_EXPORT __attribute__((visibility("default")))

#endif
