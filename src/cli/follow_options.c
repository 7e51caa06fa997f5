/* SPDX-License-Identifier: MIT */
/* Options of `flowcarve follow`; the command itself is in cmd_follow.c. */
#include "cli/cmd_follow.h"
#include "cli/filter_words.h"
#include "cli/look.h"

#include <string.h>

bool fc_follow_is_id(const char *text)
{
    const char *digits = text + (*text == '-');

    return *digits && !digits[strspn(digits, "0123456789")];
}

static int take_id(const char *command, void *args, const char *value)
{
    struct fc_follow_args *a = args;

    if (fc_is_iface(value)) {
        a->iface = value;
        return 0;
    }
    a->id = value;
    if (fc_follow_is_id(value))
        return 0;
    fc_complain("%s: --id takes the number of one session, not '%s'", command, value);
    return -1;
}

static int take_format(const char *command, void *format, const char *value)
{
    *(int *)format = fc_follow_format_by_name(value);
    if (*(int *)format >= 0)
        return 0;
    fc_complain("%s: --format takes ascii, hex, json or raw, not '%s'", command, value);
    return -1;
}

static int take_grep(const char *command, void *place, const char *value)
{
    struct fc_grep **grep = place;

    (void)command;
    fc_grep_free(*grep);
    *grep = fc_grep_compile(value);
    return *grep ? 0 : -1;
}

const struct fc_option fc_follow_option_table[] = {
    FC_OPTION_DB(struct fc_follow_args),
    FC_OPTION_READ(struct fc_follow_args),
    FC_OPTION_NO_KEEP(struct fc_follow_args),
    {"id", 'i', "N",
     "the session by its ID; so does a number alone; or an interface: payload as it comes, and FILTER is one of "
     "pcap-filter",
     FC_TAKE_ALL(take_id)},
    {"direction", 0, "NAME", "what client or server has sent, or both (default)",
     FC_TAKE(struct fc_follow_args, direction, fc_take_direction)},
    {"format", 'f', "NAME", "ascii (default), hex, json (an object a line, data in base64), or raw: the bytes alone",
     FC_TAKE(struct fc_follow_args, format, take_format)},
    {"write", 'w', "FILE", "write to a file; - for standard output", FC_WORD(struct fc_follow_args, path)},
    {"to", 0, "DIR",
     "write the bytes alone, of each session that matches and each end a file; those that are there are kept",
     FC_WORD(struct fc_follow_args, folder)},
    {"grep", 0, "REGEX",
     "print the lines that match, of each session that matches: its ID, who sent it, the offset in what that "
     "end has sent, the line",
     FC_TAKE(struct fc_follow_args, grep, take_grep)},
    {"partial", 0, NULL, "go on when captures are missing or have changed", FC_FLAG(struct fc_follow_args, o.partial)},
    FC_OPTION_MODE(struct fc_follow_args, rights),
    FC_OPTION_GROUP(struct fc_follow_args, rights),
    FC_OPTION_TZ(struct fc_follow_args),
    FC_OPTION_FILTER_FILE(struct fc_follow_args),
    FC_OPTION_FROM(struct fc_follow_args),
    FC_OPTION_SLACK(struct fc_follow_args),
    {"quiet", 'q', NULL, "errors only", FC_FLAG(struct fc_follow_args, quiet)},
    {"verbose", 'v', NULL, "also tell how many bytes there were", FC_FLAG(struct fc_follow_args, verbose)},
    {0},
};

const struct fc_values fc_follow_values[] = {
    {"direction", "client server both"},
    {"format", "ascii hex json raw"},
    {0},
};
