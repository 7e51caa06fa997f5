/* SPDX-License-Identifier: MIT */
#include "cli/cluster_option.h"
#include "cli/cli.h"

#include <string.h>

int fc_take_rows(const char *command, void *place, const char *value)
{
    struct fc_cluster_option *option = place;
    int64_t rows;
    uint64_t with_unit;

    if (fc_number_option(value, 1, INT64_MAX, &rows)) {
        option->o.rows_max = (uint64_t)rows;
        return 0;
    }
    size_t len = strlen(value);
    char digits[24];
    if (len > 1 && len < sizeof digits && strchr("kMG", value[len - 1])) {
        memcpy(digits, value, len - 1);
        digits[len - 1] = '\0';
        with_unit = value[len - 1] == 'k' ? 1000 : value[len - 1] == 'M' ? 1000000 : 1000000000;
        if (fc_number_option(digits, 1, INT64_MAX / 1000000000, &rows)) {
            option->o.rows_max = (uint64_t)rows * with_unit;
            return 0;
        }
    }
    fc_complain("%s: --max-rows takes a number as in 500M or 2G, not '%s'", command, value);
    return -1;
}

int fc_take_deadline(const char *command, void *place, const char *value)
{
    struct fc_cluster_option *option = place;
    enum { LONGEST_S = 86400 };
    int64_t ns;

    if (fc_duration_option(value, &ns) && ns >= 1000000 && ns <= LONGEST_S * INT64_C(1000000000)) {
        option->o.deadline_ms = (unsigned)(ns / 1000000);
        return 0;
    }
    fc_complain("%s: --deadline takes a time up to a day, as in 30s or 5m, not '%s'", command, value);
    return -1;
}

bool fc_cluster_option_fits(const struct fc_cluster_option *option, const char *command, const char *other)
{
    if (option->path && other)
        fc_complain("%s: %s is about an index, and does not go with --cluster", command, other);
    else if (!option->path && (option->o.rows_max || option->o.deadline_ms))
        fc_complain("%s: --max-rows and --deadline go with --cluster", command);
    else
        return true;
    return false;
}

#ifdef FC_HAS_CLUSTER
/* Those of one kind, the first ones by name. */
static void tell_some(const struct fc_cluster_option *option, bool in_file, const char *what)
{
    enum { TOLD = 10 };
    size_t count = 0;

    for (size_t i = 0; i < fc_inquiry_sensors(option->inquiry); i++) {
        const struct fc_inquiry_sensor *s = fc_inquiry_sensor(option->inquiry, i);

        if (in_file ? !s->in_engine : !s->in_file) {
            if (count++ < TOLD)
                fc_complain("sensor %s %s", s->name, what);
        }
    }
    if (count > TOLD)
        fc_complain("... and %zu sensors more", count - TOLD);
}

bool fc_cluster_option_open(struct fc_cluster_option *option, const char *command, bool quiet)
{
    struct fc_error err;

    (void)command;
    if (fc_cluster_read(option->path, &option->cluster, &err) ||
        fc_inquiry_open(option->cluster, &option->o, &option->inquiry, &err)) {
        fc_complain_error(&err);
        return false;
    }
    if (!quiet) {
        tell_some(option, true, "is not asked: nothing of it is in the engine");
        tell_some(option, false, "is in the engine, but not in the file of the cluster");
    }
    return true;
}

void fc_cluster_option_close(struct fc_cluster_option *option)
{
    fc_inquiry_close(option->inquiry);
    fc_cluster_free(option->cluster);
    option->inquiry = NULL;
    option->cluster = NULL;
}
#else
bool fc_cluster_option_open(struct fc_cluster_option *option, const char *command, bool quiet)
{
    (void)option;
    (void)quiet;
    fc_complain("%s: this flowcarve was built without what asks other machines (FLOWCARVE_REMOTE)", command);
    return false;
}

void fc_cluster_option_close(struct fc_cluster_option *option)
{
    (void)option;
}

/* What the commands name, and nobody calls, since nothing was opened. */
static int not_built(struct fc_error *err)
{
    if (err)
        *err = (struct fc_error){.code = FC_E_USAGE, .off = FC_NO_OFFSET};
    return FC_E_USAGE;
}

int fc_inquiry_rows(struct fc_inquiry *inquiry, const struct fc_filter *filter,
                    const struct fc_inquiry_rows_options *options, fc_inquiry_row *call, void *ctx,
                    struct fc_error *err)
{
    (void)inquiry;
    (void)filter;
    (void)options;
    (void)call;
    (void)ctx;
    return not_built(err);
}

int64_t fc_inquiry_count(struct fc_inquiry *inquiry, const struct fc_filter *filter, struct fc_error *err)
{
    (void)inquiry;
    (void)filter;
    return not_built(err);
}

int fc_inquiry_top(struct fc_inquiry *inquiry, const struct fc_filter *filter, const struct fc_top_options *options,
                   struct fc_top **out, struct fc_error *err)
{
    (void)inquiry;
    (void)filter;
    (void)options;
    *out = NULL;
    return not_built(err);
}

int fc_inquiry_explain(struct fc_inquiry *inquiry, const struct fc_filter *filter, struct fc_explain *out,
                       struct fc_error *err)
{
    (void)inquiry;
    (void)filter;
    *out = (struct fc_explain){0};
    return not_built(err);
}

uint32_t fc_inquiry_fields(const struct fc_inquiry *inquiry, const struct fc_filter *filter)
{
    (void)inquiry;
    (void)filter;
    return 0;
}
#endif
