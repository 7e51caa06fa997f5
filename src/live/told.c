/* SPDX-License-Identifier: MIT */
#include "live/told.h"
#include "base/hash.h"

#include <string.h>

/* These come with each run over what others write, and mean nothing to who watches. */
static bool is_normal(const struct fc_notice *n)
{
    bool empty = n->kind == FC_NOTICE_DAMAGE && n->what.off == 0 && strcmp(n->what.cause, "file is empty") == 0;

    return empty || n->kind == FC_NOTICE_PENDING || n->kind == FC_NOTICE_GROWN || n->kind == FC_NOTICE_WAL ||
           (n->kind == FC_NOTICE_REFUSED && n->what.code == FC_E_CHANGED);
}

/* One that is pushed out by another is said once more, at the worst. */
bool fc_told_new(struct fc_told *t, const struct fc_notice *n)
{
    if (is_normal(n))
        return false;
    uint64_t hash = fc_hash_bytes(n->what.cause, strlen(n->what.cause), (uint64_t)n->kind + 1);
    hash = fc_hash_bytes(n->what.file, strlen(n->what.file), hash);
    hash = fc_hash_fold(hash ^ n->what.off, 0xeb44accab455d165ull) | 1;
    uint64_t *place = &t->hashes[hash >> 8 & (FC_TOLD_KEPT - 1)];
    bool is_new = *place != hash;
    *place = hash;
    return is_new;
}
