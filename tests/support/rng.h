/* SPDX-License-Identifier: MIT */
/*
 * Random numbers for tests: splitmix64, the same on every machine. A suite's seed is printed; FLOWCARVE_TEST_SEED sets
 * it, FLOWCARVE_TEST_ROUNDS says how many rounds to run.
 */
#ifndef FC_TEST_RNG_H
#define FC_TEST_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* 0 to n - 1. */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
    return rng_next(r) % n;
}

/* lo to hi, both included. */
static inline uint64_t rng_between(struct rng *r, uint64_t lo, uint64_t hi)
{
    return lo + rng_below(r, hi - lo + 1);
}

static inline bool rng_chance(struct rng *r, unsigned percent)
{
    return rng_below(r, 100) < percent;
}

static inline void rng_fill(struct rng *r, void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)p)[i] = (uint8_t)rng_next(r);
}

#define RNG_SHUFFLE(r, list, n)                                                                                        \
    do {                                                                                                               \
        for (size_t shuffle_i = (n); shuffle_i > 1; shuffle_i--) {                                                     \
            size_t shuffle_k = rng_below(r, shuffle_i);                                                                \
            __typeof__((list)[0]) shuffle_t = (list)[shuffle_i - 1];                                                   \
            (list)[shuffle_i - 1] = (list)[shuffle_k];                                                                 \
            (list)[shuffle_k] = shuffle_t;                                                                             \
        }                                                                                                              \
    } while (0)

static inline uint64_t test_number(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);

    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* Where files of tests go: TMPDIR, else memory, where fsync() costs nothing, else the usual place. */
static inline const char *test_scratch(void)
{
    const char *named = getenv("TMPDIR");

    return named && *named ? named : access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

/* The suite's seed, printed. */
static inline uint64_t test_seed(const char *suite)
{
    uint64_t seed = test_number("FLOWCARVE_TEST_SEED", 20240607);

    fprintf(stderr, "%s: FLOWCARVE_TEST_SEED=%llu\n", suite, (unsigned long long)seed);
    return seed;
}

/*
 * Rounds of a suite that by itself runs `otherwise`: ten times as many when FLOWCARVE_TEST_LONG is set, and a quarter
 * where a sanitizer makes each of them slow.
 */
static inline uint64_t test_rounds(uint64_t otherwise)
{
    if (test_number("FLOWCARVE_TEST_LONG", 0))
        otherwise *= 10;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    otherwise = otherwise < 4 ? 1 : otherwise / 4;
#endif
    return test_number("FLOWCARVE_TEST_ROUNDS", otherwise);
}

#endif
