/* SPDX-License-Identifier: MIT */
#include "fcgen.h"

#include <stdio.h>
#include <string.h>

void fcgen_rng_init(struct fcgen_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        rng->s[i] = z ^ z >> 31;
    }
}

static void print_summary(const struct fcgen_gen *g)
{
    uint64_t ms = (g->clock_ns - g->opt->start_sec * FCGEN_NS) / 1000000;
    fprintf(stderr,
            "fcgen: %llu packets, %llu sessions, %llu bytes, %u files, %llu.%03u s of capture, "
            "longest silence in a session %u ms\n",
            (unsigned long long)g->packets, (unsigned long long)g->started,
            (unsigned long long)fcgen_writer_bytes(g->out), (unsigned)fcgen_writer_files(g->out),
            (unsigned long long)(ms / 1000), (unsigned)(ms % 1000), (unsigned)(g->max_gap_ns / 1000000));
}

int main(int argc, char **argv)
{
    struct fcgen_options opt;
    struct fcgen_gen gen;
    int rc = fcgen_options_parse(&opt, argc, argv);
    if (rc != 0)
        return rc < 0 ? 2 : 0;
    rc = fcgen_gen_init(&gen, &opt);
    if (rc == 0) {
        rc = fcgen_gen_run(&gen);
        if (rc == 0 && !opt.quiet)
            print_summary(&gen);
    }
    if (fcgen_gen_fini(&gen) != 0)
        rc = -1;
    return rc != 0 ? 2 : 0;
}
