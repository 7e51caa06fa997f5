/* SPDX-License-Identifier: MIT */
/* What commands need that read captures which may be in archives. Threads: the main one. */
#ifndef FC_CLI_ARCHIVE_H
#define FC_CLI_ARCHIVE_H

#include <flowcarve/db.h>

/*
 * FC_NEED_ARCHIVE (cli/sandbox.h) when the index has captures at URLs, and what reads them is loaded; else 0. What
 * cannot be loaded is said where such a capture is wanted.
 */
unsigned fc_archive_needs(struct fc_db *db);

#endif
