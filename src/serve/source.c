/* SPDX-License-Identifier: MIT */
/* Questions that an index or an engine answers, whichever there is. */
#include "serve/ask.h"

#include <flowcarve/histogram.h>
#include <flowcarve/summary.h>
#include <flowcarve/top.h>
#include <string.h>
#if defined FC_HAS_CLUSTER
#include <flowcarve/cluster_query.h>
#endif

int fc_ask_top(struct fc_ask *ask, const struct fc_filter *filter, const struct fc_top_options *options,
               struct fc_top **top, struct fc_error *err)
{
#if defined FC_HAS_CLUSTER
    if (ask->inquiry)
        return fc_inquiry_top(ask->inquiry, filter, options, top, err);
#endif
    return fc_top_open(ask->db, filter, options, top, err);
}

int fc_ask_histogram(struct fc_ask *ask, const struct fc_filter *filter, const struct fc_histogram_options *options,
                     struct fc_histogram *out, struct fc_error *err)
{
#if defined FC_HAS_CLUSTER
    struct fc_top_row row = {0};
    struct fc_top *top;
    int rc;

    if (ask->inquiry) {
        if ((rc = fc_inquiry_top(ask->inquiry, filter, NULL, &top, err)))
            return rc;
        fc_top_next(top, &row);
        fc_top_close(top);
        if ((rc = fc_inquiry_histogram(ask->inquiry, filter, options, out, err)))
            return rc;
        out->exact = true;
        out->total = (struct fc_histogram_sum){row.sessions, row.packets, row.bytes};
        out->has_time = row.has_time;
        out->first_ns = row.first_ns;
        out->last_ns = row.last_ns;
        return 0;
    }
#endif
    return fc_histogram_make(ask->db, filter, options, out, err);
}

int fc_ask_explain(struct fc_ask *ask, const struct fc_filter *filter, struct fc_explain *out, struct fc_error *err)
{
#if defined FC_HAS_CLUSTER
    if (ask->inquiry)
        return fc_inquiry_explain(ask->inquiry, filter, out, err);
#endif
    return fc_query_explain(ask->db, filter, out, err);
}

bool fc_ask_uuid(struct fc_ask *ask)
{
    const char *uuid = fc_params_get(&ask->params, "uuid");
    struct fc_summary s;
    struct fc_error err;

    if (!uuid)
        return true;
    if (fc_summary_read(ask->db, &s, &err) != 0)
        fc_ask_fail_error(ask, &err);
    else if (strcmp(s.uuid, uuid) == 0)
        return true;
    else
        fc_ask_fail(ask, 409, "generation",
                    *s.uuid ? "this is the index %s, and not the one that is asked for" : "this index has no uuid%s",
                    s.uuid);
    return false;
}

static void put_cost(struct fc_json *j, const struct fc_query_cost *cost)
{
    fc_json_key(j, "cost");
    fc_json_mark(j, '{');
    fc_json_put_number(j, "sessions", (uint64_t)cost->sessions);
    fc_json_put_number(j, "reads", (uint64_t)cost->reads);
    fc_json_put_bool(j, "scan", cost->scan);
    fc_json_mark(j, '}');
}

int fc_ask_put_cost(struct fc_ask *ask, const struct fc_filter *filter)
{
    struct fc_query_cost cost;
    struct fc_error err;

    if (ask->inquiry) {
        fc_json_key(&ask->out, "cost");
        fc_json_null(&ask->out);
        return 0;
    }
    if (fc_query_cost(ask->db, filter, &cost, &err) != 0)
        return fc_ask_fail_error(ask, &err);
    put_cost(&ask->out, &cost);
    return 0;
}

int fc_ask_put_cost_of(struct fc_ask *ask, const struct fc_query *query)
{
    struct fc_query_cost cost;
    struct fc_error err;

    if (fc_query_cost_of(query, &cost, &err) != 0)
        return fc_ask_fail_error(ask, &err);
    put_cost(&ask->out, &cost);
    return 0;
}
