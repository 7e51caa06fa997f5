/* SPDX-License-Identifier: MIT */
/*
 * What may stand at a place of a filter: the words of the language, and the values that it knows by name. Addresses and
 * files are an index's, and not offered here. Threads: any. Memory: the text of a proposal is valid during the call
 * that gets it.
 */
#ifndef FLOWCARVE_COMPLETE_H
#define FLOWCARVE_COMPLETE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fc_proposal {
    const char *text;
    const char *kind;  /* "word", "protocol", "service", "state", "flag", "tunnel", "time", "unit"; static string */
    const char *about; /* a phrase for people, or NULL; static string */
};

enum fc_proposal_names { FC_NAMES_NONE, FC_NAMES_OF_FILES, FC_NAMES_OF_SENSORS };

/* False: no more are wanted. */
typedef bool fc_proposal_take(void *ctx, const struct fc_proposal *proposal);

/*
 * Proposes what may replace the word that ends at byte `at` of `text` (NUL-terminated; at most its length), the best
 * first: what begins with the word, then what has it inside. *start: where that word begins; equal to `at` where none
 * does. *names: of what a name may stand there, which is for the caller to propose.
 */
void fc_filter_complete(const char *text, size_t at, fc_proposal_take *take, void *ctx, size_t *start,
                        enum fc_proposal_names *names);

#ifdef __cplusplus
}
#endif
#endif
