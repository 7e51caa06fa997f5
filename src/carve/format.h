/* SPDX-License-Identifier: MIT */
/* Which format holds the chosen records. Threads: one. */
#ifndef FC_CARVE_FORMAT_H
#define FC_CARVE_FORMAT_H

#include "carve/describe.h"
#include "carve/output.h"

#include <flowcarve/carve.h>

/*
 * Decides what the output is, by the interfaces that the chosen records use. Records are read for that only where
 * interfaces of their section differ in what a pcap says. FC_E_USAGE: a pcap is asked for and cannot hold them.
 * FC_E_CHANGED, FC_E_IO, FC_E_NOMEM.
 */
int fc_carve_choose(struct fc_places *places, const struct fc_carve_files *files, enum fc_carve_format format,
                    struct fc_output_form *form, struct fc_error *err);

#endif
