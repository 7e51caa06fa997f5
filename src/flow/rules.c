/* SPDX-License-Identifier: MIT */
#include "flow/rules.h"
#include "base/error.h"
#include "base/export.h"

#include <flowcarve/decode.h>

#include <stdlib.h>
#include <string.h>

#define S 1000000000LL

static const struct {
    const char *name;
    int64_t ns[FC_TIMEOUT_COUNT];
} profiles[] = {
    /*             tcp new  est.      closed   udp new  udp      icmp     sctp     other    active */
    {"flowcarve", {60 * S, 3600 * S, 60 * S, 180 * S, 180 * S, 60 * S, 300 * S, 300 * S, FC_NEVER, FC_NEVER}},
    {"wireshark", {FC_NEVER, FC_NEVER, FC_NEVER, FC_NEVER, FC_NEVER, FC_NEVER, FC_NEVER, FC_NEVER, FC_NEVER, FC_NEVER}},
    {"zeek", {5 * S, 300 * S, 5 * S, 60 * S, 60 * S, 60 * S, 60 * S, 60 * S, FC_NEVER, FC_NEVER}},
    {"suricata", {60 * S, 600 * S, 60 * S, 30 * S, 300 * S, 300 * S, 300 * S, 300 * S, FC_NEVER, FC_NEVER}},
    {"arkime", {480 * S, 480 * S, 480 * S, 60 * S, 60 * S, 10 * S, 60 * S, 60 * S, FC_NEVER, FC_NEVER}},
    {"yaf", {300 * S, 300 * S, 300 * S, 300 * S, 300 * S, 300 * S, 300 * S, 300 * S, 1800 * S, FC_NEVER}},
};

int fc_rules_profile(struct fc_rules *rules, const char *name)
{
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        if (strcmp(profiles[i].name, name) == 0) {
            memcpy(rules->timeout_ns, profiles[i].ns, sizeof rules->timeout_ns);
            return 0;
        }
    }
    return FC_E_USAGE;
}

static int set_by_name(struct fc_rules *rules, const char *name, size_t len, int64_t ns)
{
    static const struct {
        const char *name;
        enum fc_timeout a, b;
    } names[] = {
        {"tcp-new", FC_TIMEOUT_TCP_NEW, FC_TIMEOUT_TCP_NEW},
        {"tcp", FC_TIMEOUT_TCP_ESTABLISHED, FC_TIMEOUT_TCP_ESTABLISHED},
        {"tcp-established", FC_TIMEOUT_TCP_ESTABLISHED, FC_TIMEOUT_TCP_ESTABLISHED},
        {"tcp-closed", FC_TIMEOUT_TCP_CLOSED, FC_TIMEOUT_TCP_CLOSED},
        {"udp-new", FC_TIMEOUT_UDP_NEW, FC_TIMEOUT_UDP_NEW},
        {"udp", FC_TIMEOUT_UDP_NEW, FC_TIMEOUT_UDP},
        {"icmp", FC_TIMEOUT_ICMP, FC_TIMEOUT_ICMP},
        {"sctp", FC_TIMEOUT_SCTP, FC_TIMEOUT_SCTP},
        {"other", FC_TIMEOUT_OTHER, FC_TIMEOUT_OTHER},
        {"active", FC_TIMEOUT_ACTIVE, FC_TIMEOUT_ACTIVE},
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strlen(names[i].name) == len && memcmp(names[i].name, name, len) == 0) {
            for (int t = (int)names[i].a; t <= (int)names[i].b; t++)
                rules->timeout_ns[t] = ns;
            return 0;
        }
    }
    return FC_E_USAGE;
}

int fc_rules_timeout(struct fc_rules *rules, const char *list, struct fc_error *err)
{
    const char *p = list;

    while (*p) {
        size_t len = strcspn(p, ",");
        const char *eq = memchr(p, '=', len);
        char number[32], *end;
        int64_t ns = FC_NEVER;

        if (!eq || (size_t)(p + len - eq) > sizeof number)
            return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "timeout '%.*s' is not NAME=SECONDS", (int)len, p);
        memcpy(number, eq + 1, (size_t)(p + len - eq - 1));
        number[p + len - eq - 1] = '\0';
        if (strcmp(number, "never") != 0) {
            double seconds = strtod(number, &end);
            if (end == number || *end || !(seconds >= 0 && seconds <= 1e9))
                return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "'%s' is not a number of seconds", number);
            ns = (int64_t)(seconds * 1e9 + 0.5);
        }
        if (set_by_name(rules, p, (size_t)(eq - p), ns))
            return fc_error_set(
                err, FC_E_USAGE, NULL, FC_NO_OFFSET,
                "unknown timeout '%.*s' (tcp-new, tcp, tcp-closed, udp-new, udp, icmp, sctp, other, active)",
                (int)(eq - p), p);
        p += len + (p[len] == ',');
    }
    return 0;
}

int64_t fc_rules_longest_ns(const struct fc_rules *rules)
{
    int64_t longest = 0;

    for (int i = 0; i < FC_TIMEOUT_ACTIVE; i++)
        longest = rules->timeout_ns[i] > longest ? rules->timeout_ns[i] : longest;
    return longest;
}

FC_EXPORT const char *fc_state_name(int state)
{
    static const char *const names[] = {"new", "established", "closed", "reset", "midstream"};

    return state < 0 || state >= (int)(sizeof names / sizeof names[0]) ? NULL : names[state];
}

enum fc_timeouts fc_timeouts_of(uint32_t proto)
{
    switch (proto) {
    case 6:
        return FC_TIMEOUTS_TCP;
    case 17:
    case 136:
        return FC_TIMEOUTS_UDP;
    case 1:
    case 58:
        return FC_TIMEOUTS_ICMP;
    case 132:
        return FC_TIMEOUTS_SCTP;
    case FC_PROTO_MALFORMED:
        return FC_TIMEOUTS_NONE;
    default:
        return FC_TIMEOUTS_OTHER;
    }
}
