/* SPDX-License-Identifier: MIT */
/* One run of indexing, of what is named and of files that were found otherwise. Threads, errors: flowcarve/index.h. */
#ifndef FC_INDEX_RUN_H
#define FC_INDEX_RUN_H

#include "index/inputs.h"

struct fc_index_input {
    const char *const *paths; /* as for fc_index_run() */
    size_t path_count;
    const struct fc_offered *offered; /* files besides; their descriptors stay open until the run has ended */
    size_t offered_count;
    /*
     * The caller has the lock of store/watch_lock.h, which keeps others out, and adds again soon: the index stays in
     * WAL mode (store/writer.h, fc_writer_set_staying())
     */
    bool watched;
};

int fc_index_input(const char *db_path, const struct fc_index_input *input, const struct fc_index_options *options,
                   struct fc_progress *progress, const int *stop, struct fc_index_result *result, struct fc_error *err);

#endif
