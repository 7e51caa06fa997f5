/* SPDX-License-Identifier: MIT */
#include "cli/cluster_option.h"
#include "cli/cli.h"

#include <string.h>

int fc_cluster_option_rows(struct fc_cluster_option *option, const char *command, const char *value)
{
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

int fc_cluster_option_deadline(struct fc_cluster_option *option, const char *command, const char *value)
{
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
static void tell_sensors(const struct fc_cluster_option *option)
{
    for (size_t i = 0; i < fc_inquiry_sensors(option->inquiry); i++) {
        const struct fc_inquiry_sensor *s = fc_inquiry_sensor(option->inquiry, i);

        if (!s->in_engine)
            fc_complain("sensor %s is not asked: nothing of it is in the engine", s->name);
        else if (!s->in_file)
            fc_complain("sensor %s is in the engine, but not in %s", s->name, option->path);
    }
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
    if (!quiet)
        tell_sensors(option);
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
#endif
