/* SPDX-License-Identifier: MIT */
#include "index/finish.h"
#include "base/error.h"
#include "base/ticker.h"
#include "base/varint.h"
#include "flow/positions.h"
#include "store/ahead.h"
#include "store/writer.h"

#include <stdlib.h>
#include <string.h>

#include <flowcarve/decode.h>

/* Pieces of a stream larger than this, with no place to enter them, are worth a word. */
#define PIECE_BYTES ((uint64_t)64 << 20)

/* The seek points of a compressed file, and a word where they are far apart. */
static int write_points(const struct fc_scan_file *f, struct fc_writer *writer, struct fc_index_result *result,
                        struct fc_error *err)
{
    const struct fc_file *file = &f->plan->file;
    uint64_t last = f->plan->state ? f->plan->state->point.off : 0, widest = 0;
    struct fc_seek_point point;
    struct fc_buffer state = {0};
    struct fc_error note;
    int rc = 0;

    for (size_t i = 0; i < fc_feed_points(f->feed) && rc == 0; i++) {
        if ((rc = fc_feed_point(f->feed, i, &point, &state, err)) == 0)
            rc = fc_writer_add_point(writer, f->plan->id, &point, err);
        widest = point.off - last > widest ? point.off - last : widest;
        last = point.off;
    }
    fc_buffer_fini(&state);
    if (file->size - last > widest)
        widest = file->size - last;
    if (rc == 0 && widest > PIECE_BYTES) {
        fc_error_set(&note, FC_OK, file->path, FC_NO_OFFSET,
                     "%s offers no place to start within %llu MiB; carving from there decompresses up to as much",
                     fc_compression_name(file->compression), (unsigned long long)(widest >> 20));
        fc_notice_add(result, FC_NOTICE_PIECE, &note);
    }
    return rc;
}

enum { NOTICES_MAX = 10 }; /* ranges of one capture told of; table `damage` has them all */

static void note_damage(struct fc_index_result *result, const struct fc_scan_file *f)
{
    const char *path = f->plan->file.path;
    struct fc_error why;

    result->damaged_files += f->damage.count != 0;
    result->damages += f->damage.count;
    result->skipped_bytes += f->damage.bytes;
    for (size_t k = 0; k < f->damage.count && k < NOTICES_MAX; k++) {
        const struct fc_damage *d = &f->damage.items[k];
        if (d->length)
            fc_error_set(&why, FC_E_DAMAGED, path, d->off, "%s (%llu byte%s not read)", d->cause,
                         (unsigned long long)d->length, d->length == 1 ? "" : "s");
        else
            fc_error_set(&why, FC_E_DAMAGED, path, d->off, "%s", d->cause);
        fc_notice_add(result, FC_NOTICE_DAMAGE, &why);
    }
    if (f->damage.count > NOTICES_MAX) {
        fc_error_set(&why, FC_E_DAMAGED, path, FC_NO_OFFSET, "and %zu more range%s, %llu bytes not read in all",
                     f->damage.count - NOTICES_MAX, f->damage.count == NOTICES_MAX + 1 ? "" : "s",
                     (unsigned long long)f->damage.bytes);
        fc_notice_add(result, FC_NOTICE_DAMAGE, &why);
    }
}

/* A word for each link type of the capture that the filter cannot be asked about. 0, FC_E_NOMEM, FC_E_IO. */
static int note_unfiltered(struct fc_index_result *result, const struct fc_scan_file *f, struct fc_door *door,
                           struct fc_error *err)
{
    uint64_t seen[0x10000 / 64] = {0};
    struct fc_error why, note;
    int notices = 0;

    for (size_t k = 0; k < f->iface_count && f->ignored && notices < NOTICES_MAX; k++) {
        uint32_t link_type = f->ifaces[k].link_type & 0xffff;
        if (seen[link_type / 64] >> link_type % 64 & 1)
            continue;
        seen[link_type / 64] |= UINT64_C(1) << link_type % 64;
        int fits = fc_door_fits(door, link_type, &why);
        if (fits < 0) {
            *err = why;
            return fits;
        }
        if (fits)
            continue;
        const char *name = fc_link_type_name(link_type);
        fc_error_set(&note, FC_OK, f->plan->file.path, FC_NO_OFFSET,
                     "records of link type %u (%s) are left out, as the filter does not work on them: %s", link_type,
                     name ? name : "unknown", why.cause);
        fc_notice_add(result, FC_NOTICE_FILTER, &note);
        notices++;
    }
    return 0;
}

/* A word on what is no whole record yet. */
static void note_pending(struct fc_index_result *result, const struct fc_scan_file *f)
{
    const char *cut = f->feed ? fc_feed_cut(f->feed) : NULL;
    unsigned long long n = f->pending_bytes;
    struct fc_error why;

    if (!n && !cut)
        return;
    result->pending_files++;
    result->pending_bytes += n;
    if (!n)
        fc_error_set(&why, FC_OK, f->plan->file.path, FC_NO_OFFSET, "its compressed data are not complete yet (%.300s)",
                     cut);
    else
        fc_error_set(&why, FC_OK, f->plan->file.path, FC_NO_OFFSET,
                     "its last %llu byte%s no whole record yet%s%.300s%s", n, n == 1 ? " is" : "s are", cut ? " (" : "",
                     cut ? cut : "", cut ? ")" : "");
    fc_notice_add(result, FC_NOTICE_PENDING, &why);
}

/* A word on times that 64 bits of nanoseconds cannot say; a carve has them as they were. */
static void note_times(struct fc_index_result *result, const struct fc_scan_file *f)
{
    struct fc_error why;

    if (f->last_ns != INT64_MAX && f->first_ns != FC_TIME_NONE + 1)
        return;
    fc_error_set(&why, FC_OK, f->plan->file.path, FC_NO_OFFSET,
                 "has times outside of 1677 to 2262; the index holds the nearest of these");
    fc_notice_add(result, FC_NOTICE_TIMES, &why);
}

/* The same numbers, of what was read now. */
static void count_file(struct fc_index_result *result, const struct fc_scan_file *f)
{
    static const struct fc_file_state none;
    const struct fc_file_state *before = f->plan->state ? f->plan->state : &none;

    result->files += !f->plan->state;
    result->files_grown += f->plan->state != NULL;
    result->bytes += f->plan->file.size - before->end_off;
    result->records += f->records - before->records;
    result->ignored += f->ignored - before->ignored;
    result->malformed += f->malformed - before->malformed;
    result->header_bytes += f->header_bytes - before->header_bytes;
    result->record_bytes += f->record_bytes - before->record_bytes;
    result->other_bytes += f->other_bytes - before->other_bytes;
}

static int write_files(struct fc_pipeline *p, struct fc_writer *writer, struct fc_index_result *result,
                       struct fc_error *err)
{
    struct fc_door door;
    int rc = 0;

    fc_door_init(&door, p->settings);
    for (size_t i = 0; i < p->plan->count && rc == 0; i++) {
        const struct fc_scan_file *f = &p->files[i];
        const struct fc_file *file = &f->plan->file;
        uint64_t end_off = f->tail_off != FC_NO_OFFSET ? f->tail_off : f->next_off;
        struct fc_file_row row = {
            .id = f->plan->id,
            .state = f->plan->state,
            .path = file->path,
            .size = file->stored_size,
            .stream_size = file->size,
            .compression = file->compression,
            .mtime_ns = file->mtime_ns,
            .ctime_ns = fc_file_ctime(file),
            .dev = file->dev,
            .ino = file->ino,
            .fingerprint = f->feed ? fc_feed_fingerprint(f->feed) : f->fingerprint,
            .stored_fingerprint = f->stored_fingerprint,
            .begin = f->plan->begin,
            .format = file->format,
            .records = f->records,
            .ignored = f->ignored,
            .malformed = f->malformed,
            .backward = f->backward,
            .first_ns = f->first_ns,
            .last_ns = f->last_ns,
            .end_off = end_off,
            .header_bytes = f->header_bytes,
            .record_bytes = f->record_bytes,
            .other_bytes = f->other_bytes,
            .ifaces = f->ifaces,
            .iface_count = f->iface_count,
            .damage = &f->damage,
            .pending_bytes = f->pending_bytes,
            .section = &f->section,
            .clock = &f->clock,
            .tail_ns = f->tail_ns,
            .mark = f->feed ? fc_feed_mark(f->feed, end_off) : 0,
        };
        rc = fc_writer_add_file(writer, &row, err);
        if (rc == 0 && f->feed)
            rc = write_points(f, writer, result, err);
        if (rc == 0)
            rc = note_unfiltered(result, f, &door, err);
        count_file(result, f);
        note_damage(result, f);
        note_pending(result, f);
        note_times(result, f);
        if (f->grown) {
            struct fc_error why;
            fc_error_set(&why, FC_OK, file->path, FC_NO_OFFSET,
                         "has grown while it was read; its first %llu bytes are indexed",
                         (unsigned long long)file->stored_size);
            fc_notice_add(result, FC_NOTICE_GROWN, &why);
        }
    }
    fc_door_fini(&door);
    return rc;
}

/*
 * Until when a later packet may continue a session. db_id: or what the index held of it until now, whose state may have
 * had any timeout.
 */
static int64_t until_ns(const struct fc_rules *rules, const struct fc_session_record *r)
{
    int64_t end = fc_session_expiry_ns(rules, r->key.proto, &r->session), longest = fc_rules_longest_ns(rules);

    if (!r->db_id || end == FC_NEVER)
        return end;
    if (r->session.first_ns == FC_TIME_NONE || longest == FC_NEVER ||
        __builtin_add_overflow(r->session.last_ns, longest, &end))
        return FC_NEVER;
    return end;
}

static int write_sessions(struct fc_pipeline *p, struct fc_writer *writer, struct fc_index_result *result,
                          struct fc_error *err)
{
    struct fc_session_record *record;
    struct fc_ahead *ahead;
    struct fc_merge *merge;
    const struct fc_rules *rules = &p->settings->rules;
    uint64_t records = 0;
    int rc = fc_merge_open(p->spools, p->jobs + 1, &merge, err);

    if (rc)
        return rc;
    for (unsigned i = 0; i <= p->jobs; i++)
        records += fc_spool_count(p->spools[i]);
    fc_writer_expect(writer, records);
    FC_PROGRESS_SET(p->progress, sessions, records);
    FC_PROGRESS_SET(p->progress, sessions_total, records);
    if (!(ahead = fc_ahead_open(merge, records, p->jobs == 1))) {
        fc_merge_close(merge);
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    }
    while ((rc = fc_ahead_next(ahead, &record, err)) == 1) {
        if (p->stop && __atomic_load_n(p->stop, __ATOMIC_RELAXED)) {
            rc = fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
            break;
        }
        FC_PROGRESS_ADD(p->progress, sessions_written, 1);
        bool expired = fc_session_expiry_ns(rules, record->key.proto, &record->session) < p->clock_ns;
        if (record->unchanged && expired)
            continue; /* and so has what the index has of it */
        record->open = record->open && !expired;
        record->until_ns = until_ns(rules, record);
        if ((rc = fc_writer_session(writer, record, p->settings->fields, NULL, err)))
            break;
        if (record->unchanged)
            continue;
        uint64_t added = record->session.packets[0] + record->session.packets[1] - record->prior_packets;
        result->sessions += record->db_id == 0;
        result->continued += record->db_id != 0 && added;
        result->packets += added;
    }
    fc_ahead_close(ahead);
    fc_merge_close(merge);
    return rc;
}

/* ---- provisional sessions: fragments that wait, by the name under which they do */

static int compare_waiting(const void *a, const void *b)
{
    const struct fc_waiting *x = *(const struct fc_waiting *const *)a, *y = *(const struct fc_waiting *const *)b;
    int order = memcmp(&x->name, &y->name, sizeof x->name);

    if (order)
        return order;
    if (x->ns != y->ns)
        return x->ns < y->ns ? -1 : 1;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->off < y->off ? -1 : x->off > y->off;
}

static int compare_groups(const void *a, const void *b)
{
    const struct fc_waiting *x = **(const struct fc_waiting *const *const *)a,
                            *y = **(const struct fc_waiting *const *const *)b;

    if (x->ns != y->ns)
        return x->ns < y->ns ? -1 : 1;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->off < y->off ? -1 : x->off > y->off;
}

/* The record of a group, whose blob goes to *plain. */
static int make_record(const struct fc_waiting *const *list, size_t count, struct fc_session_record *r,
                       struct fc_buffer *plain, struct fc_buffer *blob)
{
    struct fc_positions positions = {0};
    int rc = 0;

    memset(r, 0, sizeof *r);
    r->key = list[0]->key;
    r->first_file = list[0]->file;
    r->first_off = list[0]->off;
    r->session = (struct fc_session_sum){.first_ns = list[0]->ns,
                                         .last_ns = list[count - 1]->ns,
                                         .min_ns = FC_TIME_NONE,
                                         .max_ns = FC_TIME_NONE,
                                         .first_dir = list[0]->dir};
    for (size_t i = 0; i < count && rc == 0; i++) {
        const struct fc_waiting *w = list[i];
        uint8_t pos[3 * FC_VARINT_MAX];
        uint8_t *p = fc_varint_put(fc_varint_put(fc_varint_put(pos, w->file), 1), w->off);
        struct fc_session_sum *s = &r->session;
        s->packets[w->dir]++;
        s->bytes[w->dir] += w->origlen;
        if (w->ts_ns != FC_TIME_NONE) {
            s->min_ns = s->min_ns == FC_TIME_NONE || w->ts_ns < s->min_ns ? w->ts_ns : s->min_ns;
            s->max_ns = w->ts_ns > s->max_ns ? w->ts_ns : s->max_ns;
        }
        if (w->extra) {
            r->has_extra = 1;
            fc_extra_append(&r->extra, w->extra);
        }
        rc = fc_positions_add(&positions, pos, (size_t)(p - pos));
    }
    if (rc == 0 && (rc = fc_buffer_reserve(plain, fc_positions_size(&positions) + 1)) == 0 &&
        (rc = fc_blob_encode(plain->data, fc_positions_write(&positions, plain->data), blob)) == 0) {
        r->blob = blob->data;
        r->blob_len = (uint32_t)blob->len;
    }
    fc_positions_fini(&positions);
    return rc;
}

static int write_groups(struct fc_pipeline *p, struct fc_writer *writer, const struct fc_waiting **list, size_t count,
                        struct fc_index_result *result, struct fc_error *err)
{
    const struct fc_waiting ***groups = malloc((count + 1) * sizeof *groups);
    struct fc_buffer plain = {0}, blob = {0};
    struct fc_session_record r;
    size_t n = 0;
    int rc = groups ? 0 : FC_E_NOMEM;

    qsort(list, count, sizeof *list, compare_waiting);
    for (size_t i = 0; i < count && rc == 0; i++)
        if (!i || memcmp(&list[i]->name, &list[i - 1]->name, sizeof list[i]->name) != 0)
            groups[n++] = &list[i];
    if (rc == 0)
        qsort(groups, n, sizeof *groups, compare_groups);
    /* the lowest ID first: SQLite fills pages that are appended to, and halves others */
    for (size_t i = n; i-- > 0 && rc == 0;) {
        size_t of = 1;
        while (groups[i] + of < list + count && memcmp(&groups[i][of]->name, &groups[i][0]->name, sizeof r.key) == 0)
            of++;
        if ((rc = make_record(groups[i], of, &r, &plain, &blob)))
            break;
        rc = fc_writer_provisional(writer, &r, p->settings->fields, -(int64_t)(i + 1), err);
        for (size_t k = 0; k < of; k++)
            result->packets += !groups[i][k]->old;
        result->provisional++;
    }
    free(groups);
    fc_buffer_fini(&plain);
    fc_buffer_fini(&blob);
    return rc == FC_E_NOMEM ? fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory") : rc;
}

static int write_fragments(struct fc_pipeline *p, struct fc_writer *writer, struct fc_index_result *result,
                           struct fc_error *err)
{
    struct fc_fragments *f = p->fragments;
    size_t count = fc_fragments_waiting_count(f), n = 0;
    const struct fc_waiting **list = malloc((count + 1) * sizeof *list), *w;
    int rc = list ? 0 : fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");

    for (size_t i = 0; i < fc_fragments_first_count(f) && rc == 0; i++)
        rc = fc_writer_add_first(writer, fc_fragments_first(f, i), err);
    for (size_t i = 0; i < count && rc == 0; i++)
        if ((w = fc_fragments_waiting(f, i))) {
            list[n++] = w;
            rc = fc_writer_add_waiting(writer, w, err);
        }
    if (rc == 0 && n)
        rc = write_groups(p, writer, list, n, result, err);
    free(list);
    return rc;
}

/*
 * Sessions of the index have got packets, and some captures start before its end: what then may be other than if all
 * had been indexed at once.
 */
static void note_older(const struct fc_pipeline *p, struct fc_index_result *result)
{
    struct fc_error why;

    for (size_t i = 0; i < p->plan->count && result->continued; i++)
        if (p->plan->files[i].early) {
            fc_error_set(&why, FC_OK, p->plan->files[i].file.path, FC_NO_OFFSET,
                         "starts before the end of what is indexed; session IDs stay as they are, and sessions that the"
                         " index has are neither joined nor split");
            fc_notice_add(result, FC_NOTICE_OLDER, &why);
        }
}

int fc_write_index(struct fc_pipeline *p, struct fc_writer *writer, struct fc_index_result *result,
                   struct fc_error *err)
{
    int rc;

    if ((rc = write_files(p, writer, result, err)) || (rc = fc_writer_set_clock(writer, p->clock_ns, err)) ||
        (rc = fc_writer_forget_fragments(writer, err)) || (rc = write_sessions(p, writer, result, err)))
        return rc;
    note_older(p, result);
    return write_fragments(p, writer, result, err);
}
