/* SPDX-License-Identifier: MIT */
#include "index/copies.h"
#include "base/error.h"
#include "base/hash.h"
#include "capture/digest.h"
#include "capture/print.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct suspect {
    struct fc_plan_file *f;
    const struct suspect *first; /* the one that it is a copy of, which is none itself */
    bool asked;                  /* it is among those to be read next */
    bool printed;
    uint64_t print;
    struct fc_digest stored, stream;
};

struct suspects {
    struct suspect *items; /* by group, then in the order of the plan */
    size_t count;
    unsigned jobs;
    uint64_t seed;
    const int *stop;
};

typedef bool alike(const struct suspect *a, const struct suspect *b);

static bool is_plain(const struct suspect *s)
{
    return s->f->file.compression == FC_COMPRESSION_NONE;
}

static bool same_group(const struct suspect *a, const struct suspect *b)
{
    return a->f->begin == b->f->begin;
}

static bool same_form(const struct suspect *a, const struct suspect *b)
{
    return a->f->file.compression == b->f->file.compression && a->f->file.stored_size == b->f->file.stored_size;
}

static bool same_print(const struct suspect *a, const struct suspect *b)
{
    return same_form(a, b) && a->printed && b->printed && a->print == b->print;
}

static bool same_stored(const struct suspect *a, const struct suspect *b)
{
    return a->f->file.compression == b->f->file.compression && fc_digest_same(&a->stored, &b->stored);
}

static bool one_is_packed(const struct suspect *a, const struct suspect *b)
{
    return !is_plain(a) || !is_plain(b);
}

static bool same_length(const struct suspect *a, const struct suspect *b)
{
    const struct suspect *plain = is_plain(a) ? a : b, *packed = is_plain(a) ? b : a;

    return is_plain(plain) && packed->stream.known && packed->stream.bytes == plain->f->file.stored_size;
}

static bool same_stream(const struct suspect *a, const struct suspect *b)
{
    return fc_digest_same(&a->stream, &b->stream);
}

static int compare_suspects(const void *a, const void *b)
{
    const struct fc_plan_file *x = ((const struct suspect *)a)->f, *y = ((const struct suspect *)b)->f;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* All that are not alone in their group. */
static int collect(struct suspects *s, const struct fc_plan *plan)
{
    struct suspect *all = calloc(plan->count + 1, sizeof *all);
    size_t n = 0;

    if (!all)
        return FC_E_NOMEM;
    for (size_t i = 0; i < plan->count; i++)
        if (!plan->files[i].state && plan->files[i].has_records)
            all[n++].f = &plan->files[i];
    if (n)
        qsort(all, n, sizeof *all, compare_suspects);
    for (size_t i = 0; i < n; i++)
        if ((i && same_group(&all[i], &all[i - 1])) || (i + 1 < n && same_group(&all[i], &all[i + 1])))
            all[s->count++] = all[i];
    s->items = all;
    return 0;
}

/* Those of a group that are alike, and not found out yet, are to be read. */
static void ask(struct suspects *s, alike *are_alike)
{
    for (size_t i = 0; i < s->count; i++)
        s->items[i].asked = false;
    for (size_t i = 0; i < s->count; i++)
        for (size_t j = i; j-- && same_group(&s->items[j], &s->items[i]);)
            if (!s->items[i].first && !s->items[j].first && are_alike(&s->items[i], &s->items[j]))
                s->items[i].asked = s->items[j].asked = true;
}

static void settle(struct suspects *s, alike *are_alike)
{
    for (size_t i = 0; i < s->count; i++)
        for (size_t j = i; j-- && same_group(&s->items[j], &s->items[i]);)
            if (!s->items[i].first && !s->items[j].first && are_alike(&s->items[i], &s->items[j]))
                s->items[i].first = &s->items[j]; /* all that are alike before it have found theirs */
}

/* A plain file's samples; a compressed one's were taken for the plan. Whoever cannot be read is like nothing. */
static void take_print(struct suspect *s)
{
    struct fc_file view = s->f->file;
    struct fc_prints prints;
    struct fc_error why;

    if (!is_plain(s)) {
        s->print = s->f->stored_fingerprint;
        s->printed = true;
        return;
    }
    if ((view.fd = fc_file_again(&view)) < 0)
        return;
    s->printed = fc_file_prints(&view, view.stored_size, &prints, &why) == 0;
    s->print = prints.stored;
    close(view.fd);
}

/* Several threads read those that are asked for, each the next one. */
struct reading {
    const struct suspects *s;
    bool stored;
    size_t next; /* atomic */
    int failed;  /* atomic: the first code */
};

static void *read_next(void *arg)
{
    struct reading *r = arg;
    size_t i;
    int rc = 0, none = 0;

    while (rc == 0 && (i = __atomic_fetch_add(&r->next, 1, __ATOMIC_RELAXED)) < r->s->count) {
        struct suspect *s = &r->s->items[i];
        if (s->asked)
            rc = fc_digest_take(&s->f->file, r->stored, r->s->seed, r->s->stop, r->stored ? &s->stored : &s->stream);
    }
    if (rc)
        __atomic_compare_exchange_n(&r->failed, &none, rc, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return NULL;
}

static int read_asked(const struct suspects *s, bool stored)
{
    struct reading r = {.s = s, .stored = stored};
    pthread_t threads[64];
    size_t asked = 0, started = 0;

    for (size_t i = 0; i < s->count; i++)
        asked += s->items[i].asked;
    while (started + 1 < asked && started + 1 < s->jobs && started < sizeof threads / sizeof threads[0] &&
           pthread_create(&threads[started], NULL, read_next, &r) == 0)
        started++;
    read_next(&r);
    while (started)
        pthread_join(threads[--started], NULL);
    return r.failed;
}

/* Those that are stored in one form. */
static int compare_stored(struct suspects *s)
{
    int rc;

    ask(s, same_form);
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].asked)
            take_print(&s->items[i]);
    ask(s, same_print);
    if ((rc = read_asked(s, true)) == 0)
        settle(s, same_stored);
    return rc;
}

/* What is left is compared with what compressed ones hold. */
static int compare_streams(struct suspects *s)
{
    int rc;

    ask(s, one_is_packed);
    for (size_t i = 0; i < s->count; i++)
        s->items[i].asked &= !is_plain(&s->items[i]);
    if ((rc = read_asked(s, false)))
        return rc;
    ask(s, same_length);
    for (size_t i = 0; i < s->count; i++) {
        struct suspect *one = &s->items[i];
        if (is_plain(one) && one->stored.known)
            one->stream = one->stored;
        one->asked &= is_plain(one) && !one->stream.known;
    }
    if ((rc = read_asked(s, false)) == 0)
        settle(s, same_stream);
    return rc;
}

int fc_copies_find(struct fc_plan *plan, unsigned jobs, const int *stop, struct fc_error *err)
{
    struct suspects s = {.jobs = jobs, .seed = fc_hash_secret(), .stop = stop};
    int rc = collect(&s, plan);

    if (rc == 0 && s.count && (rc = compare_stored(&s)) == 0)
        rc = compare_streams(&s);
    for (size_t i = 0; i < s.count && rc == 0; i++) {
        const struct suspect *first = s.items[i].first;
        while (first && first->first)
            first = first->first;
        if (first)
            s.items[i].f->copy_of = first->f->file.path;
    }
    free(s.items);
    return rc ? fc_error_set(err, rc, NULL, FC_NO_OFFSET, rc == FC_E_NOMEM ? "out of memory" : "interrupted") : 0;
}
