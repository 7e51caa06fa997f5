/* SPDX-License-Identifier: MIT */
/* The command line is no part of the library; its writers are tested from here. */
#include "cli/cluster_option.c"
