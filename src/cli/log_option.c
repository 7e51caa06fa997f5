/* SPDX-License-Identifier: MIT */
#include "cli/log_option.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fc_take_slack(const char *command, void *place, const char *value)
{
    struct fc_log_option *o = place;

    o->has_slack = true;
    o->slack_ns = 0;
    if (strcmp(value, "0") == 0 || fc_duration_option(value, &o->slack_ns))
        return 0;
    fc_complain("%s: --slack takes a time as 500ms or 2s, not '%s'", command, value);
    return -1;
}

static bool is_standard(const char *name)
{
    return name && strcmp(name, "-") == 0;
}

bool fc_log_option_alone(const struct fc_log_option *o, const char *command, const char *filter_file, bool ids)
{
    if (ids + is_standard(filter_file) + is_standard(o->path) <= 1)
        return true;
    fc_complain("%s: standard input can be one of the filter, the IDs and the log", command);
    return false;
}

/* Counts the rows and tells which of them are not one session; the IDs of all go to *ids. */
static bool sum_up(struct fc_log_option *o, bool quiet, struct fc_id_range **ids, size_t *id_count)
{
    size_t total = 0;

    for (size_t i = 0; i < o->row_count; i++)
        total += o->rows[i].id_count;
    if (!(*ids = malloc((total + 1) * sizeof **ids))) {
        fc_complain("out of memory");
        return false;
    }
    *id_count = 0;
    for (size_t i = 0; i < o->row_count; i++) {
        const struct fc_log_row *row = &o->rows[i];
        for (size_t k = 0; k < row->id_count; k++)
            (*ids)[(*id_count)++] = (struct fc_id_range){row->ids[k], row->ids[k]};
        o->found += row->id_count == 1;
        o->ambiguous += row->id_count > 1;
        if (row->id_count == 1 || quiet)
            continue;
        fc_complain("%s%s: line %" PRIu64 "%s%s", row->id_count ? "several sessions, " : "not found",
                    !row->id_count  ? ""
                    : o->of_several ? o->of_several
                                    : "all taken",
                    row->line, *row->name ? ", " : "", row->name);
    }
    return true;
}

bool fc_log_option_narrow(struct fc_log_option *o, const char *command, bool quiet, struct fc_db *db,
                          struct fc_filter *filter)
{
    bool standard = is_standard(o->path);
    int fd = standard ? STDIN_FILENO : open(o->path, O_RDONLY | O_CLOEXEC);
    struct fc_id_range *ids = NULL;
    size_t id_count;
    struct fc_error err;

    if (fd < 0) {
        fc_complain("%s: cannot open %s: %s", command, o->path, strerror(errno));
        return false;
    }
    int rc = fc_log_read(fd, standard ? "standard input" : o->path, &o->log, &err);
    if (rc == 0)
        rc = fc_log_match(o->log, db, o->has_slack ? o->slack_ns : 1000000000, &o->rows, &o->row_count, &err);
    if (rc)
        fc_complain_error(&err);
    bool good = rc == 0 && sum_up(o, quiet, &ids, &id_count) && fc_filter_narrow(filter, ids, id_count) == 0;
    free(ids);
    if (!standard)
        close(fd);
    return good;
}

void fc_log_option_report(const struct fc_log_option *o)
{
    char b[48];

    if (o->log)
        fprintf(stderr, "%s: %" PRIu64 " found, %" PRIu64 " ambiguous, %" PRIu64 " not found\n",
                fc_human_things(o->row_count, "row", b, sizeof b), o->found, o->ambiguous,
                o->row_count - o->found - o->ambiguous);
}

void fc_log_option_close(struct fc_log_option *o)
{
    fc_log_close(o->log);
    o->log = NULL;
}
