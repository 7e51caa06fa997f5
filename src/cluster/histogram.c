/* SPDX-License-Identifier: MIT */
/*
 * Sessions of many sensors over time. First and last start are asked for, then sums of as many buckets as reach from
 * one to the other, so that what comes is as little as what is shown.
 */
#include "query/histogram.h"
#include "base/error.h"
#include "base/export.h"
#include "cluster/inquiry.h"
#include "cluster/source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum part { WITHIN, EARLIER, TIMELESS };

struct asking {
    struct fc_histogram_making *making;
    int64_t length;
};

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static int too_large(struct fc_error *err)
{
    return fc_error_set(err, FC_E_LIMIT, NULL, FC_NO_OFFSET,
                        "a sum has more than 64 bits: some sessions' numbers cannot be true");
}

/* Sums as query/top.h has them: of upper and lower halves. */
static bool read_sum(struct fc_binary *row, uint64_t *sum)
{
    uint64_t high = fc_binary_u64(row), low = fc_binary_u64(row);

    *sum = (high << 32) + low;
    return high >> 32 == 0 && *sum >= low;
}

static int take_bucket(void *ctx, struct fc_binary *row, struct fc_error *err)
{
    struct asking *a = ctx;
    enum part part = (enum part)fc_binary_below(row, fc_binary_u8(row), TIMELESS);
    int64_t key = fc_binary_i64(row), bucket = fc_binary_i64(row), start_ns;
    struct fc_histogram_sum sum = {.sessions = fc_binary_u64(row)};
    bool fits = read_sum(row, &sum.packets);

    fits &= read_sum(row, &sum.bytes);
    /* the first one may begin before what 64 bits can say */
    if (__builtin_mul_overflow(bucket, a->length, &start_ns)) {
        row->bad |= bucket > 0;
        start_ns = INT64_MIN;
    }
    row->bad |= key < 0;
    if (row->cut || row->bad)
        return 0;
    if (!fits)
        return too_large(err);
    if (part == EARLIER)
        fc_histogram_add_earlier(a->making, &sum);
    else if (part == TIMELESS)
        fc_histogram_add_timeless(a->making, &sum);
    else if (fc_histogram_add(a->making, key, start_ns, &sum))
        return no_memory(err);
    return 0;
}

static char *write_question(const struct fc_histogram_options *o, const struct asking *a, const struct fc_where *where)
{
    struct fc_statement s = {0};
    FILE *out = fc_statement_begin(&s);

    if (!out)
        return fc_statement_end(&s);
    fputs("SELECT toUInt8(multiIf(timed = 0, 2, ", out);
    if (o->has_from)
        fprintf(out, "start_ns < %" PRId64 ", 1, ", o->from_ns);
    fprintf(out, "0)) AS part, toInt64(if(part = 0, %s, 0)) AS key, ",
            o->by == FC_HISTOGRAM_PROTOCOL ? "proto"
            : o->by == FC_HISTOGRAM_STATE  ? "state"
                                           : "0");
    fprintf(out,
            "if(part = 0, intDiv(start_ns, toInt64(%" PRId64 ")) - (start_ns %% toInt64(%" PRId64
            ") < 0), toInt64(0)) AS bucket, count(), ",
            a->length, a->length);
    fputs("sum(bitShiftRight(client_packets + server_packets, 32)), "
          "sum(bitAnd(client_packets + server_packets, 4294967295)), "
          "sum(bitShiftRight(client_bytes + server_bytes, 32)), sum(bitAnd(client_bytes + server_bytes, 4294967295))",
          out);
    fprintf(out, FC_FROM_SESSION "%s GROUP BY part, key, bucket FORMAT RowBinary", where->text);
    return fc_statement_end(&s);
}

static int ask(struct fc_inquiry *q, const struct fc_histogram_options *o, struct asking *a, struct fc_where *where,
               struct fc_error *err)
{
    int64_t first_ns, last_ns;
    int rc = fc_inquiry_starts(q, where, o->has_from ? o->from_ns : INT64_MIN, &first_ns, &last_ns, err);

    if (rc)
        return rc;
    a->length = fc_histogram_length(a->making, first_ns, last_ns);
    fc_histogram_set_length(a->making, a->length);
    rc = fc_inquiry_ask(q, write_question(o, a, where), where, false, take_bucket, a, err);
    return rc ? rc : fc_source_check(q, where, err);
}

FC_EXPORT int fc_inquiry_histogram(struct fc_inquiry *q, const struct fc_filter *filter,
                                   const struct fc_histogram_options *options, struct fc_histogram *out,
                                   struct fc_error *err)
{
    struct fc_histogram_options o = options ? *options : (struct fc_histogram_options){0};
    struct asking a = {0};
    struct fc_where where;
    int rc;

    memset(out, 0, sizeof *out);
    o.sums = false;
    if ((rc = fc_histogram_begin(&o, 1, &a.making, err)))
        return rc;
    rc = fc_where_make(q, filter, &where, err);
    where.sums = true;
    while (rc == 0 && where.text && (rc = ask(q, &o, &a, &where, err)) == 1) {
        (void)fc_histogram_end(a.making, NULL);
        if ((rc = fc_histogram_begin(&o, 1, &a.making, err)))
            break;
    }
    fc_where_fini(&where);
    if (a.making && fc_histogram_end(a.making, rc ? NULL : out))
        rc = no_memory(err);
    return rc;
}
