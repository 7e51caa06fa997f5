/* SPDX-License-Identifier: MIT */
/*
 * Captures of one run that hold the same bytes, plain or compressed: the first of them is indexed, the others are left
 * out and told of.
 *
 * Suspects begin with the same bytes and the same time of a first record, both read when the plan was made; nothing
 * else is looked at again. Of suspects that are stored in one form, size and samples must agree before they are read as
 * a whole; of others the compressed ones are decompressed, and a plain one is read when it is as long. None is read
 * twice in one form, however many copies there are. Damaged or cut streams, and captures without records, are copies of
 * nothing.
 *
 * Threads: the caller's, and up to `jobs` of its own.
 */
#ifndef FC_INDEX_COPIES_H
#define FC_INDEX_COPIES_H

#include "index/plan.h"

/*
 * Finds the copies among the new captures of the plan: `copy_of` becomes the path of the one that stays, which is that
 * of the least `order`. Does not depend on jobs. FC_E_NOMEM, FC_E_INTERRUPTED.
 */
int fc_copies_find(struct fc_plan *plan, unsigned jobs, const int *stop, struct fc_error *err);

#endif
