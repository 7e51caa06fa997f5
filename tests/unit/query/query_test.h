/* SPDX-License-Identifier: MIT */
/* Shared by the suites of the query room: an index to ask, a naive twin of the SQL, and a printer of trees. */
#ifndef QUERY_TEST_H
#define QUERY_TEST_H

#include "query/ast.h"
#include "query/fields.h"
#include "query/filter.h"
#include "store/db.h"
#include "store/schema.h"

#include <criterion/criterion.h>
#include <flowcarve/decode.h>
#include <flowcarve/query.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW INT64_C(1714557600000000000) /* 2024-05-01T10:00:00Z */

/* xorshift64*: the same numbers everywhere */
uint64_t test_random(uint64_t *state);
unsigned test_below(uint64_t *state, unsigned n);

/* Seed of a random suite: FLOWCARVE_TEST_SEED, or a fixed one; printed. */
uint64_t test_seed(void);
/* Rounds of a random suite: FLOWCARVE_TEST_ROUNDS, or the suite's own number, tenfold by FLOWCARVE_TEST_LONG. */
unsigned test_rounds(unsigned normal);

/* Sessions of a random index. vlan, mpls and tunnel of a row point into its own text. */
struct test_session {
    struct fc_session s;
    char vlan[24], mpls[24], tunnel[48];
    uint8_t mac[2][6];
    char community_id[FC_COMMUNITY_ID_SIZE];
    unsigned flags; /* column of the row */
};

struct test_index {
    char path[64];
    struct fc_db *db;
    struct test_session *rows;
    unsigned count;
    uint32_t fields;
};

enum { ALL_FIELDS = 0x3ff };

/* An index of `count` random sessions with the given fields, in a temporary file; closed and removed by the second. */
struct test_index *test_index_new(uint64_t *state, unsigned count, uint32_t fields);
void test_index_free(struct test_index *index);

/* An index whose tables the caller fills: runs `sql` between the schema and its indexes. */
struct test_index *test_index_sql(const char *fields, const char *sql);

/*
 * Does the tree match the session, that of a struct test_session? The specification in its simplest form, without SQL.
 */
bool test_matches(const struct fc_ast *node, const struct fc_session *row);
/* The same with `src` read as `dst`: a bug for the suites to find. */
extern bool test_planted;

/* Text of a tree with every parenthesis written; free() it. */
char *test_tree(const struct fc_filter *filter);

/* A random filter: `pcap` keeps to words that pcap-filter(7) knows. Returns buf. */
char *test_filter(uint64_t *state, bool pcap, char *buf, size_t size);

#endif
