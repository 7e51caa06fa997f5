/* SPDX-License-Identifier: MIT */
#include "index/finish.h"
#include "base/error.h"
#include "index/held.h"
#include "store/ahead.h"

#include <flowcarve/decode.h>

/* Pieces of a stream larger than this, with no place to enter them, are worth a word. */
#define PIECE_BYTES ((uint64_t)64 << 20)

/* The seek points of a compressed file, and a word where they are far apart. */
static int write_points(const struct fc_scan_file *f, struct fc_writer *writer, struct fc_index_result *result,
                        struct fc_error *err)
{
    const struct fc_file *file = &f->plan->file;
    uint64_t last = 0, widest = 0;
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

static int write_files(struct fc_pipeline *p, struct fc_writer *writer, struct fc_index_result *result,
                       struct fc_error *err)
{
    struct fc_door door;
    int rc = 0;

    fc_door_init(&door, p->settings);
    for (size_t i = 0; i < p->plan->count && rc == 0; i++) {
        const struct fc_scan_file *f = &p->files[i];
        const struct fc_file *file = &f->plan->file;
        struct fc_file_row row = {
            .id = f->plan->id,
            .path = file->path,
            .size = file->stored_size,
            .stream_size = file->size,
            .compression = file->compression,
            .mtime_ns = file->mtime_ns,
            .fingerprint = f->fingerprint,
            .format = file->format,
            .records = f->records,
            .ignored = f->ignored,
            .malformed = f->malformed,
            .backward = f->backward,
            .first_ns = f->first_ns,
            .last_ns = f->last_ns,
            .end_off = f->next_off,
            .header_bytes = f->header_bytes,
            .record_bytes = f->record_bytes,
            .other_bytes = f->other_bytes,
            .ifaces = f->ifaces,
            .iface_count = f->iface_count,
            .damage = &f->damage,
        };
        rc = fc_writer_add_file(writer, &row, err);
        if (rc == 0 && f->feed)
            rc = write_points(f, writer, result, err);
        if (rc == 0)
            rc = note_unfiltered(result, f, &door, err);
        result->files++;
        result->bytes += file->size;
        result->records += f->records;
        result->ignored += f->ignored;
        result->malformed += f->malformed;
        result->header_bytes += f->header_bytes;
        result->record_bytes += f->record_bytes;
        result->other_bytes += f->other_bytes;
        note_damage(result, f);
    }
    fc_door_fini(&door);
    return rc;
}

bool fc_session_open(const struct fc_pipeline *p, const struct fc_flow_key *key, const struct fc_run *run)
{
    int64_t end = fc_run_expiry_ns(&p->settings->rules, key->proto, run);

    return end == FC_NEVER || end >= p->clock_ns;
}

static int write_sessions(struct fc_pipeline *p, struct fc_writer *writer, struct fc_index_result *result,
                          struct fc_error *err)
{
    struct fc_session_record *record;
    struct fc_ahead *ahead;
    struct fc_merge *merge;
    uint64_t records = 0;
    int rc = fc_merge_open(p->spools, p->jobs + 1, &merge, err);

    if (rc)
        return rc;
    for (unsigned i = 0; i <= p->jobs; i++)
        records += fc_spool_count(p->spools[i]);
    fc_writer_expect(writer, records, p->stop);
    if (!(ahead = fc_ahead_open(merge, records, p->jobs == 1))) {
        fc_merge_close(merge);
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    }
    while ((rc = fc_ahead_next(ahead, &record, err)) == 1) {
        if (p->stop && __atomic_load_n(p->stop, __ATOMIC_RELAXED)) {
            rc = fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
            break;
        }
        record->open = record->open && fc_session_open(p, &record->key, &record->run);
        if (record->db_id && fc_held_whole(p->held, record->db_id))
            record->unchanged = 0;
        int64_t id = record->db_id;
        if ((rc = fc_writer_session(writer, record, p->settings->fields, &id, err)) ||
            (rc = fc_held_written(p->held, writer, record, id, err)))
            break;
        if (record->unchanged)
            continue;
        uint64_t added = record->run.packets[0] + record->run.packets[1] - record->prior_packets;
        result->sessions += record->db_id == 0;
        result->continued += record->db_id != 0 && added;
        result->packets += added;
    }
    fc_ahead_close(ahead);
    fc_merge_close(merge);
    return rc;
}

int fc_write_index(struct fc_pipeline *p, struct fc_writer *writer, struct fc_index_result *result,
                   struct fc_error *err)
{
    const struct fc_fragment *first;
    size_t count;
    int rc;

    if ((rc = write_files(p, writer, result, err)) || (rc = fc_writer_clear_open(writer, err)) ||
        (rc = fc_held_release(p->held, writer, err)) || (rc = write_sessions(p, writer, result, err)))
        return rc;
    first = fc_fragments_open(p->fragments, &count);
    rc = fc_writer_set_fragments(writer, first, count, fc_fragment_from_ns(p->clock_ns), err);
    return rc ? rc : fc_held_save(p->held, writer, err);
}
