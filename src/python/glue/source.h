/* SPDX-License-Identifier: MIT */
/* Inside of a source of packets, for what holds one beside Python. */
#ifndef FLOWCARVE_GLUE_SOURCE_H
#define FLOWCARVE_GLUE_SOURCE_H

#include "glue.h"

/* One more reference, for fcpy_source_free(). */
struct fcpy_source *fcpy_source_share(struct fcpy_source *source);

#endif
