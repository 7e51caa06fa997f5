/* SPDX-License-Identifier: MIT */
/*
 * Microbenchmarks of single rooms: `micro NAME [OPTION...]`. Each checks its results inside the run and prints rows of
 * five columns, separated by tabs: suite, what, figure, unit, note.
 *
 * They reach into src/, so they see more than a program that uses the library.
 */
#ifndef FC_BENCH_MICRO_H
#define FC_BENCH_MICRO_H

#include <stddef.h>
#include <stdint.h>

enum { MICRO_ROUNDS = 7 }; /* times that each figure is measured; the median is told */

/* Each returns an exit status. */
int micro_decode(int argc, char **argv);
int micro_table(int argc, char **argv);
int micro_positions(int argc, char **argv);
int micro_hash(int argc, char **argv);
int micro_read(int argc, char **argv);
int micro_btree(int argc, char **argv);

/* Seconds, from any start. */
double micro_now(void);

/* xorshift64*; the state must not be 0. */
uint64_t micro_random(uint64_t *state);

/* Sorts v. */
double micro_median(double *v, size_t n);

void micro_row(const char *suite, const char *what, double figure, const char *unit, const char *note);

/* Says what failed; returns 1. */
int micro_fail(const char *suite, const char *what);

/* The number behind -n, or `otherwise`; -1 when there is anything else on the line. */
int64_t micro_count(int argc, char **argv, int64_t otherwise);

#endif
