/* SPDX-License-Identifier: MIT */
/*
 * When flows leave. For each timeout there is a wheel of FC_WHEEL_SLOTS slots, each for a grain, a sixteenth of the
 * timeout. A flow is entered once, into the slot of its expiry as it is then; when time has passed that slot, the flow
 * has expired, or is entered anew by the expiry it has by then. An entry that is not a flow's latest (`timeout` and
 * `due` say which is) is passed over.
 */
#include "flow/partition.h"

#include <stdlib.h>

enum { AHEAD = 12 };

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

void fc_wheel_init(struct fc_partition *p)
{
    for (int i = 0; i < FC_TIMEOUT_ACTIVE; i++) {
        struct fc_wheel *w = &p->wheels[i];
        int64_t timeout = p->table->rules->timeout_ns[i];
        *w = (struct fc_wheel){.done = INT64_MIN};
        if (timeout != FC_NEVER)
            w->grain_ns = timeout / FC_WHEEL_PARTS + 1;
    }
}

void fc_wheel_fini(struct fc_partition *p)
{
    for (int i = 0; i < FC_TIMEOUT_ACTIVE; i++)
        for (int k = 0; k < FC_WHEEL_SLOTS; k++)
            free(p->wheels[i].slots[k].flows);
    fc_wheel_init(p);
}

static bool has_expired(const struct fc_partition *p, const struct fc_flow *f, int64_t now_ns)
{
    return now_ns > f->last_ns && (uint64_t)now_ns - (uint64_t)f->last_ns > p->table->timeout[f->timeout];
}

/* Goes through the entries of a slot, whose time has passed. */
static int empty(struct fc_partition *p, unsigned timeout, struct fc_wheel_slot *slot, struct fc_advancer *a,
                 int64_t now_ns)
{
    uint32_t *flows = slot->flows;
    size_t count = slot->count, room = slot->room;
    uint16_t due = (uint16_t)slot->number;
    int rc = 0;

    /* what is entered anew may need this slot */
    slot->flows = NULL;
    slot->count = slot->room = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (i + AHEAD < count) {
            const uint8_t *ahead = (const uint8_t *)fc_flow_at(p, flows[i + AHEAD]);
            __builtin_prefetch(ahead, 1);
            __builtin_prefetch(ahead + 64, 1);
        }
        struct fc_flow *f = fc_flow_at(p, flows[i]);
        if (f->timeout != timeout || f->due != due || !f->seen)
            continue;
        if (!has_expired(p, f, now_ns)) {
            rc = fc_wheel_enter(p, flows[i], a, now_ns);
            continue;
        }
        rc = fc_flow_emit(p, f, true, a);
        fc_flow_drop_positions(p, f);
        f->seen = 0; /* in no session: other entries of it are passed over */
        if (rc == 0)
            rc = fc_partition_remove(p, flows[i]);
    }
    if (!slot->flows) {
        slot->flows = flows;
        slot->room = room;
    } else {
        free(flows);
        p->slabs.bytes -= room * sizeof *flows;
    }
    return rc;
}

int fc_wheel_enter(struct fc_partition *p, uint32_t number, struct fc_advancer *a, int64_t now_ns)
{
    struct fc_flow *f = fc_flow_at(p, number);
    struct fc_wheel *w;
    int64_t expiry, n, most;

    if (f->timeout >= FC_TIMEOUT_ACTIVE)
        return 0; /* it has none */
    w = &p->wheels[f->timeout];
    if (!w->grain_ns || f->last_ns == FC_TIME_NONE ||
        __builtin_add_overflow(f->last_ns, p->table->rules->timeout_ns[f->timeout], &expiry))
        return 0;
    n = floor_div(expiry, w->grain_ns);
    /* one that lies further ahead, as a session of the index may, is looked at before it is due */
    if (!__builtin_add_overflow(floor_div(now_ns, w->grain_ns), FC_WHEEL_SLOTS - 2, &most))
        n = n < most ? n : most;
    f->due = (uint16_t)n;
    struct fc_wheel_slot *slot = &w->slots[(uint64_t)n % FC_WHEEL_SLOTS];
    if (slot->count && slot->number != n) {
        /* more than a timeout older, so time has passed it */
        int rc = empty(p, f->timeout, slot, a, now_ns);
        if (rc)
            return rc;
    }
    if (slot->count == slot->room) {
        size_t room = slot->room;
        if (fc_vector_reserve(&slot->flows, &slot->room, slot->count + 1, sizeof *slot->flows))
            return FC_E_NOMEM;
        p->slabs.bytes += (slot->room - room) * sizeof *slot->flows;
    }
    slot->number = n;
    slot->flows[slot->count++] = number;
    return 0;
}

int fc_wheel_turn(struct fc_partition *p, struct fc_advancer *a, int64_t now_ns)
{
    int rc = 0;

    if (now_ns == FC_TIME_NONE)
        return 0;
    for (unsigned i = 0; i < FC_TIMEOUT_ACTIVE && rc == 0; i++) {
        struct fc_wheel *w = &p->wheels[i];
        if (!w->grain_ns)
            continue;
        int64_t reached = floor_div(now_ns, w->grain_ns);
        if (reached <= w->done)
            continue;
        w->done = reached;
        for (unsigned k = 0; k < FC_WHEEL_SLOTS && rc == 0; k++) {
            struct fc_wheel_slot *slot = &w->slots[k];
            if (slot->count && slot->number < reached)
                rc = empty(p, i, slot, a, now_ns);
        }
    }
    return rc;
}
