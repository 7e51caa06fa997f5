/* SPDX-License-Identifier: MIT */
/*
 * A filter held against sessions one by one, without SQL: what sample.c does where it reads the pages of the table. It
 * knows the conditions about what a sample has, and gives what the SQL gives (tests compare both).
 *
 * Threads: any.
 */
#ifndef FC_QUERY_MATCH_H
#define FC_QUERY_MATCH_H

#include "query/ast.h"
#include "query/sample.h"

/* Whether all conditions of a tree are known, and so few that asking each is no matter. */
bool fc_match_knows(const struct fc_ast *tree);

/* Does a tree that is known match the session? */
bool fc_matches(const struct fc_ast *tree, const struct fc_sample *sample);

#endif
