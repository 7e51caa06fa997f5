/* SPDX-License-Identifier: MIT */
#include "live/keeping.h"
#include "base/error.h"
#include "live/changes.h"
#include "store/db.h"
#include "store/writer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SECOND INT64_C(1000000000)
#define FAILED_MOST_NS (60 * SECOND)

static void see(struct fc_keeping *k, uint64_t *dev, uint64_t *ino)
{
    struct stat st;
    bool there = stat(k->db_path, &st) == 0;

    *dev = there ? st.st_dev : 0;
    *ino = there ? st.st_ino : 0;
}

/* A look at it makes the connection one that counts. */
static void hold(struct fc_keeping *k)
{
    char *value = NULL;

    if (!k->held && k->has_index)
        (void)fc_db_open(k->db_path, &k->held, NULL);
    if (k->held && fc_db_meta(k->held, "profile", &value, NULL) == 0)
        free(value);
}

void fc_keeping_see(struct fc_keeping *k, bool failed)
{
    see(k, &k->dev, &k->ino);
    k->has_index |= k->ino != 0;
    if (!failed)
        hold(k);
}

bool fc_keeping_lost(struct fc_keeping *k, fc_keeping_word *word, void *ctx)
{
    struct fc_error what;
    uint64_t dev, ino;

    see(k, &dev, &ino);
    if (!k->has_index || (ino && dev == k->dev && ino == k->ino))
        return false;
    k->has_index = false;
    fc_db_close(k->held);
    k->held = NULL;
    fc_error_set(&what, FC_OK, k->db_path, FC_NO_OFFSET, "is not the one that it was: all is looked at once more");
    word(ctx, &what);
    return true;
}

void fc_keeping_fail(struct fc_keeping *k, const struct fc_error *why, fc_keeping_word *word, void *ctx)
{
    bool same = k->failure.code == why->code && strcmp(k->failure.cause, why->cause) == 0 &&
                strcmp(k->failure.file, why->file) == 0;

    k->failed_ns = k->failed_ns ? k->failed_ns * 2 : SECOND;
    if (k->failed_ns > FAILED_MOST_NS)
        k->failed_ns = FAILED_MOST_NS;
    k->next_ns = fc_live_now() + k->failed_ns;
    k->failure = *why;
    if (!same)
        word(ctx, why);
}

void fc_keeping_succeed(struct fc_keeping *k, fc_keeping_word *word, void *ctx)
{
    struct fc_error what;

    if (k->failed_ns) {
        fc_error_set(&what, FC_OK, k->db_path, FC_NO_OFFSET, "is up to date again");
        word(ctx, &what);
    }
    k->failed_ns = 0;
    k->failure.code = FC_OK;
}

bool fc_keeping_for_ever(int rc)
{
    return rc == FC_E_INTERRUPTED || rc == FC_E_USAGE || rc == FC_E_SCHEMA || rc == FC_E_FILTER;
}

void fc_keeping_end(struct fc_keeping *k)
{
    struct fc_writer *writer;
    struct stat st;
    bool fresh;

    fc_db_close(k->held);
    k->held = NULL;
    if (k->has_index && stat(k->db_path, &st) == 0 && fc_writer_open(k->db_path, &writer, &fresh, NULL) == 0)
        fc_writer_close(writer);
}
