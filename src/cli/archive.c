/* SPDX-License-Identifier: MIT */
#include "cli/archive.h"
#include "cli/sandbox.h"

#include <flowcarve/files.h>

unsigned fc_archive_needs(struct fc_db *db)
{
    return fc_files_archived(db, NULL) == 1 ? FC_NEED_ARCHIVE : 0;
}
