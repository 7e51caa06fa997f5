/* SPDX-License-Identifier: MIT */
#include "flow/session.h"

int64_t fc_session_expiry_ns(const struct fc_rules *rules, uint32_t proto, const struct fc_session_sum *s)
{
    enum fc_timeout which = fc_timeout_of(fc_timeouts_of(proto), s->tcp_flags, s->packets[0] && s->packets[1]);
    int64_t timeout = rules->timeout_ns[which], at;

    if (s->last_ns == FC_TIME_NONE || timeout == FC_NEVER || __builtin_add_overflow(s->last_ns, timeout, &at))
        return FC_NEVER;
    return at;
}
