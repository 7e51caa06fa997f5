/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

#include <sys/random.h>
#include <time.h>

uint64_t fc_hash_bytes(const void *data, size_t len, uint64_t seed)
{
    const uint8_t *p = data;
    uint64_t h = seed ^ fc_hash_fold(len ^ 0xa0761d6478bd642full, 0xe7037ed1a0b428dbull);

    while (len) {
        uint64_t w[2] = {0, 0};
        size_t n = len < sizeof w ? len : sizeof w;
        memcpy(w, p, n);
        h = fc_hash_mix(h, w[0], w[1]);
        p += n;
        len -= n;
    }
    return fc_hash_fold(h, 0x589965cc75374cc3ull);
}

uint64_t fc_hash_secret(void)
{
    uint64_t seed;
    struct timespec now;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == (ssize_t)sizeof seed)
        return seed;
    clock_gettime(CLOCK_REALTIME, &now); /* early boot: better than a constant */
    return fc_hash_fold((uint64_t)now.tv_nsec ^ 0xa0761d6478bd642full, (uint64_t)now.tv_sec ^ (uintptr_t)&seed);
}
