/* SPDX-License-Identifier: MIT */
#include "micro.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double micro_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

uint64_t micro_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

double micro_median(double *v, size_t n)
{
    qsort(v, n, sizeof *v, compare);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

void micro_row(const char *suite, const char *what, double figure, const char *unit, const char *note)
{
    printf("%s\t%s\t%.3f\t%s\t%s\n", suite, what, figure, unit, note);
    fflush(stdout);
}

int micro_fail(const char *suite, const char *what)
{
    fprintf(stderr, "micro %s: %s\n", suite, what);
    return 1;
}

int64_t micro_count(int argc, char **argv, int64_t otherwise)
{
    int64_t n = otherwise;
    int c;

    while ((c = getopt(argc, argv, "n:")) != -1)
        if (c != 'n' || (n = atoll(optarg)) < 1)
            return -1;
    return optind == argc ? n : -1;
}

static const struct suite {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about;
} suites[] = {
    {"decode", micro_decode, "[-n PACKETS]: fc_decode() by link type and mask"},
    {"table", micro_table, "[-n FLOWS]: the flow table"},
    {"positions", micro_positions, "[-n POSITIONS]: the positions blob"},
    {"hash", micro_hash, "[-n FLOWS]: hash of keys; keys that are meant to collide"},
    {"read", micro_read, "[-w BYTES] CAPTURE: ways to walk a pcap; BYTES: written besides"},
    {"btree", micro_btree, "[-n SESSIONS] [-m BYTES] [-6] [--insert] [--check] DATABASE: writing a fresh index"},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof suites / sizeof suites[0]; i++) {
        if (strcmp(argv[1], suites[i].name) == 0) {
            int rc = suites[i].run(argc - 1, argv + 1);
            if (rc == 2)
                fprintf(stderr, "usage: micro %s %s\n", suites[i].name, suites[i].about);
            return rc;
        }
    }
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
        fprintf(stderr, "micro %s %s\n", suites[i].name, suites[i].about);
    return 2;
}
