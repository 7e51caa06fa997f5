/* SPDX-License-Identifier: MIT */
/* What a recorder has counted, in table `loss`. */
#include "live/recording.h"

#include <flowcarve/status.h>
#include <string.h>

#define FORGET_NS (3600 * SECOND)

/* The first of its name, whose row of table `loss` has the sums of all. */
static bool is_first_of_name(const struct fc_writing *w, uint32_t interface)
{
    for (uint32_t i = 0; i < interface; i++)
        if (strcmp(fc_recorder_name_of(&w->interfaces[i]), fc_recorder_name_of(&w->interfaces[interface])) == 0)
            return false;
    return true;
}

/* Rows go with the sessions of their time. */
static int forget_losses(struct fc_recorder *r, int64_t now_ns, struct fc_error *err)
{
    int64_t before_ns = r->losses_ns ? now_ns - r->losses_ns : r->oldest_ns;

    if (!r->limits.retain || r->losses_ns == INT64_MAX || before_ns == INT64_MIN || now_ns - r->forgot_ns < FORGET_NS)
        return 0;
    int rc = fc_loss_forget(r->db_path, before_ns, NULL, err);
    r->forgot_ns = now_ns;
    return rc == FC_E_MISSING || rc == FC_E_BUSY ? 0 : rc;
}

static int note_losses(struct fc_recorder *r, bool write, bool last, struct fc_error *err)
{
    struct fc_writing *w = &r->writing;
    struct fc_recorder_counts counts;
    struct fc_loss_counts loss;
    int64_t now_ns = fc_recorder_wall_ns();
    int rc = 0;

    pthread_mutex_lock(&w->lock);
    uint32_t count = w->interface_count; /* those that are there do not change */
    pthread_mutex_unlock(&w->lock);
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        const char *name = fc_recorder_name_of(&w->interfaces[i]);
        if (!is_first_of_name(w, i))
            continue;
        if (i >= r->loss_begun)
            rc = fc_loss_add(r->loss, name, r->started_ns, &(struct fc_loss_counts){0}, err);
        fc_recorder_count(r, name, &counts);
        fc_status_recorded(&counts, &loss);
        rc = rc ? rc : fc_loss_add(r->loss, name, now_ns, &loss, err);
        r->loss_begun = i >= r->loss_begun && rc == 0 ? i + 1 : r->loss_begun;
    }
    if (rc || !write)
        return rc;
    rc = fc_loss_write(r->loss, last, err);
    return rc ? rc : forget_losses(r, now_ns, err);
}

void fc_recorder_tell_losses(struct fc_recorder *r, bool write, bool last)
{
    struct fc_error why;
    bool failed = note_losses(r, write, last, &why) != 0;

    if (failed && !r->loss_failed)
        fc_recorder_word(r, &why);
    r->loss_failed = failed;
}
