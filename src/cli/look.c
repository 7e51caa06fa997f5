/* SPDX-License-Identifier: MIT */
#include "cli/look.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

bool fc_is_iface(const char *value)
{
    return *value && *value != '@' && value[strspn(value, "0123456789,- ")];
}

struct fc_look *fc_look_begin(const char *command, const char *iface, const char *filter, uint32_t fields, bool quiet)
{
    const struct fc_look_options o = {.filter = filter, .fields = fields, .stop = &fc_stop};
    struct fc_look *look;
    struct fc_error err;

    if (fc_look_open(iface, &o, &look, &err)) {
        fc_complain_error(&err);
        if (err.code == FC_E_FILTER)
            fc_complain("%s: the filter of an interface is one of pcap-filter(7)", command);
        return NULL;
    }
    fc_catch_signals();
    if (!quiet)
        fprintf(stderr, "listening on %s\n", iface);
    return look;
}

void fc_look_end(struct fc_look *look, bool quiet)
{
    struct fc_look_result r;
    char b[3][48];

    fc_look_result(look, &r);
    if (quiet)
        return;
    fprintf(stderr, "%s, %s received by the filter, %s dropped by the kernel",
            fc_human_things(r.given, "packet", b[0], sizeof b[0]), fc_human_count(r.received, b[1], sizeof b[1]),
            fc_human_count(r.dropped, b[2], sizeof b[2]));
    if (r.dropped_iface)
        fprintf(stderr, ", %s by the interface", fc_human_count(r.dropped_iface, b[0], sizeof b[0]));
    fputc('\n', stderr);
}
