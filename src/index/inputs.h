/* SPDX-License-Identifier: MIT */
/* Files named by the user, folders walked. Threads: one. */
#ifndef FC_INDEX_INPUTS_H
#define FC_INDEX_INPUTS_H

#include <flowcarve/index.h>

struct fc_input {
    char *path;
    bool named; /* by the user himself, not found in a folder */
};
struct fc_inputs {
    struct fc_input *items;
    size_t count, room;
};

/*
 * Collects the files of `paths`; folders are walked to the bottom in the order of names, without following symbolic
 * links to folders. A folder that cannot be read is noted in the result. FC_E_NOMEM. fc_inputs_fini() frees.
 */
int fc_inputs_collect(struct fc_inputs *inputs, const char *const *paths, size_t count, struct fc_index_result *result,
                      struct fc_error *err);
void fc_inputs_fini(struct fc_inputs *inputs);

#endif
