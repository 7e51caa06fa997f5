/* SPDX-License-Identifier: MIT */
/* What `flowcarve follow` is asked for. Threads: the main one. */
#ifndef FC_CLI_CMD_FOLLOW_H
#define FC_CLI_CMD_FOLLOW_H

#include "cli/cli.h"
#include "cli/follow_format.h"
#include "cli/follow_grep.h"
#include "cli/log_option.h"
#include "cli/reading.h"
#include "cli/zone.h"

enum { FC_FOLLOW_BOTH = -1 };

struct fc_follow_args {
    const char *db, *id, *path, *folder, *filter_file;
    const char *iface; /* NULL: sessions of an index */
    int direction;     /* enum fc_from, or FC_FOLLOW_BOTH */
    int format;        /* enum fc_follow_format */
    struct fc_follow_options o;
    struct fc_rights rights;
    struct fc_zone zone;
    struct fc_reading reading;
    struct fc_log_option log;
    struct fc_grep *grep; /* NULL: none is asked for */
    bool quiet, verbose;
};

extern const struct fc_option fc_follow_option_table[];
extern const struct fc_values fc_follow_values[];

/* Is a word the number of a session? */
bool fc_follow_is_id(const char *text);

#endif
