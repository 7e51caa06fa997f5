/* SPDX-License-Identifier: MIT */
/* Sessions that leave the flow table. */
#include "base/error.h"
#include "flow/positions.h"
#include "index/pipeline.h"

#include <stdlib.h>
#include <string.h>

/* A thousand at a time: all workers count in one place. */
static void count_session(struct fc_emitter *e)
{
    enum { TOLD_AT_ONCE = 1024 };

    if (++e->untold < TOLD_AT_ONCE)
        return;
    if (e->progress)
        __atomic_fetch_add(&e->progress->sessions, e->untold, __ATOMIC_RELAXED);
    e->untold = 0;
}

int fc_emitter_emit(void *ctx, const struct fc_ended *ended)
{
    struct fc_emitter *e = ctx;
    struct fc_session_record r; /* `extra` is large and seldom there */
    size_t len;
    int rc;

    r.key = ended->key;
    r.session = ended->session;
    r.db_id = ended->id;
    r.prior_packets = ended->prior_packets;
    r.first_off = ended->first_off;
    r.first_file = ended->first_file;
    r.late = ended->late;
    r.has_extra = ended->extra != NULL;
    if (ended->extra)
        r.extra = *ended->extra;
    r.open = ended->last;
    r.unchanged = ended->id && !ended->pos_len;
    r.blob = NULL;
    r.blob_len = 0;
    if (!r.unchanged) {
        if ((rc = fc_positions_canonical(ended->id ? 0 : ended->first_file, ended->first_off, ended->pos,
                                         ended->pos_len, ended->pos_plain, &e->plain, &e->room, &len)))
            return fc_error_set(&e->err, rc, NULL, FC_NO_OFFSET, "cannot collect the positions of a session");
        r.blob = e->plain;
        r.blob_len = (uint32_t)len;
        if (!fc_blob_is_plain(len)) {
            if ((rc = fc_blob_encode(e->plain, len, &e->blob)))
                return fc_error_set(&e->err, rc, NULL, FC_NO_OFFSET, "out of memory");
            r.blob = e->blob.data;
            r.blob_len = (uint32_t)e->blob.len;
        }
    } else if (r.open) {
        return 0; /* what the index has of it still holds */
    }
    count_session(e);
    return fc_spool_add(e->spool, &r, &e->err);
}

void fc_emitter_fini(struct fc_emitter *e)
{
    free(e->plain);
    fc_buffer_fini(&e->blob);
}
