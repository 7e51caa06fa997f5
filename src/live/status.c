/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "live/changes.h"
#include "store/db.h"
#include "store/watch_lock.h"

#include <flowcarve/recorder.h>
#include <flowcarve/status.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#define SECOND INT64_C(1000000000)

/* ---- rates, by what was counted in the last minute */

enum { SAMPLES = 64, RATES = 2 };

static const int64_t rate_ns[RATES] = {10 * SECOND, 60 * SECOND};

struct sample {
    int64_t at_ns; /* monotonic */
    uint64_t packets, bytes;
    struct fc_loss_counts total[FC_STATUS_INTERFACES];
};

struct fc_status_meter {
    struct sample ring[SAMPLES]; /* one a second; the latest is number count - 1 */
    uint64_t count;
    int64_t began_ns;
};

FC_EXPORT int fc_status_meter_new(struct fc_status_meter **out, struct fc_error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    (*out)->began_ns = fc_live_now();
    return 0;
}

FC_EXPORT void fc_status_meter_free(struct fc_status_meter *m)
{
    free(m);
}

/* The latest sample that is as old as that, else the oldest there is; NULL: it is the start, with counts of 0. */
static const struct sample *sample_before(const struct fc_status_meter *m, int64_t at_ns)
{
    uint64_t oldest = m->count > SAMPLES ? m->count - SAMPLES : 0;

    for (uint64_t i = m->count; i > oldest; i--)
        if (m->ring[(i - 1) % SAMPLES].at_ns <= at_ns)
            return &m->ring[(i - 1) % SAMPLES];
    return oldest ? &m->ring[oldest % SAMPLES] : NULL;
}

static uint64_t more(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

static void add_more(struct fc_loss_counts *to, const struct fc_loss_counts *now, const struct fc_loss_counts *before)
{
    to->received += more(now->received, before->received);
    to->recorded += more(now->recorded, before->recorded);
    to->dropped_kernel += more(now->dropped_kernel, before->dropped_kernel);
    to->dropped_queue += more(now->dropped_queue, before->dropped_queue);
    to->dropped_disk += more(now->dropped_disk, before->dropped_disk);
    to->dropped_iface += more(now->dropped_iface, before->dropped_iface);
}

static void measure_rates(const struct fc_status_meter *m, struct fc_status *s, int64_t now)
{
    for (int i = 0; i < RATES; i++) {
        const struct sample *b = sample_before(m, now - rate_ns[i]);
        int64_t took_ns = now - (b ? b->at_ns : m->began_ns);
        double seconds = took_ns > SECOND ? (double)took_ns / 1e9 : 1;
        s->packets_per_s[i] = (double)more(s->packets, b ? b->packets : 0) / seconds;
        s->bytes_per_s[i] = (double)more(s->bytes, b ? b->bytes : 0) / seconds;
    }
}

static void measure_losses(const struct fc_status_meter *m, struct fc_status *s, int64_t now)
{
    static const struct fc_loss_counts none;
    const struct sample *b = sample_before(m, now - rate_ns[RATES - 1]);

    s->total = s->minute = none;
    for (uint32_t i = 0; i < s->interface_count; i++) {
        struct fc_status_interface *f = &s->interfaces[i];
        f->minute = none;
        add_more(&f->minute, &f->total, b ? &b->total[i] : &none);
        add_more(&s->minute, &f->minute, &none);
        add_more(&s->total, &f->total, &none);
    }
}

static void note_sample(struct fc_status_meter *m, const struct fc_status *s, int64_t now)
{
    struct sample *p = &m->ring[m->count % SAMPLES];

    if (m->count && now - m->ring[(m->count - 1) % SAMPLES].at_ns < SECOND)
        return;
    *p = (struct sample){.at_ns = now, .packets = s->packets, .bytes = s->bytes};
    for (uint32_t i = 0; i < s->interface_count; i++)
        p->total[i] = s->interfaces[i].total;
    m->count++;
}

static int64_t wall_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * SECOND + ts.tv_nsec;
}

FC_EXPORT void fc_status_measure(struct fc_status_meter *m, struct fc_status *s)
{
    int64_t now = fc_live_now();

    s->told_ns = wall_ns();
    measure_rates(m, s, now);
    measure_losses(m, s, now);
    note_sample(m, s, now);
}

FC_EXPORT void fc_status_recorded(const struct fc_recorder_counts *c, struct fc_loss_counts *out)
{
    uint64_t way = c->waiting + more(c->recorded, c->indexed);

    *out = (struct fc_loss_counts){
        .received = more(c->received, way),
        .recorded = c->indexed,
        .dropped_kernel = c->dropped_kernel,
        .dropped_queue = c->dropped_queue,
        .dropped_disk = c->dropped_disk,
        .dropped_iface = c->dropped_iface,
    };
}

FC_EXPORT void fc_status_interface(struct fc_status *s, const char *name, const struct fc_loss_counts *total)
{
    static const struct fc_loss_counts none;
    uint32_t i = 0;

    while (i < s->interface_count && strncmp(s->interfaces[i].name, name, FC_STATUS_NAME - 1) != 0)
        i++;
    if (i < FC_STATUS_INTERFACES - 1) {
        snprintf(s->interfaces[i].name, FC_STATUS_NAME, "%s", name);
        s->interfaces[i].total = none;
    } else {
        i = FC_STATUS_INTERFACES - 1;
        if (s->interface_count == i)
            s->interfaces[i].total = none;
        snprintf(s->interfaces[i].name, FC_STATUS_NAME, "others");
    }
    if (i == s->interface_count)
        s->interface_count++;
    add_more(&s->interfaces[i].total, total, &none);
}

/* ---- reading */

static void end_text(char *text, size_t size)
{
    text[size - 1] = '\0';
}

FC_EXPORT int fc_status_read(const char *db_path, enum fc_status_state *state, struct fc_status *s,
                             struct fc_error *err)
{
    struct fc_watch_note note;
    int rc = fc_watch_lock_read(db_path, s, sizeof *s, &note, err);

    if (rc || !note.kind)
        memset(s, 0, sizeof *s);
    *state = note.held ? FC_STATUS_RUNNING : note.kind ? FC_STATUS_KILLED : FC_STATUS_STOPPED;
    end_text(s->what, sizeof s->what);
    end_text(s->word, sizeof s->word);
    if (s->interface_count > FC_STATUS_INTERFACES)
        s->interface_count = FC_STATUS_INTERFACES;
    for (int i = 0; i < FC_STATUS_INTERFACES; i++)
        end_text(s->interfaces[i].name, sizeof s->interfaces[i].name);
    return rc;
}

static int read_numbers(struct fc_db *db, const char *query, int64_t *out, int count, struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = 0;

    if (sqlite3_prepare_v2(db->sql, query, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        for (int i = 0; i < count; i++)
            out[i] = sqlite3_column_int64(stmt, i);
    else
        rc = fc_db_error(db->sql, db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc;
}

static int add_loss(void *ctx, const struct fc_loss_row *row)
{
    static const struct fc_loss_counts none;

    add_more(ctx, &row->counts, &none);
    return 0;
}

static int read_index(struct fc_db *db, bool loss, struct fc_status_index *out, struct fc_error *err)
{
    int64_t f[4] = {0}, s[4] = {0}, last = 0;
    int rc;

    if ((rc = read_numbers(
             db,
             "SELECT count(*), ifnull(sum(forgotten > 0 AND forgotten = records - ignored), 0),"
             " ifnull(sum(gone AND NOT forgotten), 0), ifnull(sum(CASE WHEN NOT gone AND NOT (forgotten > 0"
             " AND forgotten = records - ignored) THEN size END), 0) FROM files",
             f, 4, err)) ||
        (rc = read_numbers(db,
                           "SELECT ifnull(sum(packets), 0), max(start_ns) IS NOT NULL, ifnull(min(start_ns), 0),"
                           " ifnull(max(end_ns), 0) FROM session_span",
                           s, 4, err)) ||
        (rc = read_numbers(
             db, "SELECT ifnull(max(last_session), 0) FROM (SELECT last_session FROM run ORDER BY id DESC LIMIT 1)",
             &last, 1, err)))
        return rc;
    out->captures = (uint64_t)f[0];
    out->forgotten = (uint64_t)f[1];
    out->gone = (uint64_t)f[2];
    out->captures_bytes = (uint64_t)f[3];
    out->packets = (uint64_t)s[0];
    out->has_time = s[1];
    out->first_ns = s[2];
    out->last_ns = s[3];
    out->last_session = last > 0 ? (uint64_t)last : 0;
    return loss ? fc_loss_read(db, INT64_MIN, INT64_MAX, add_loss, &out->loss, err) : 0;
}

FC_EXPORT void fc_status_of_disk(const char *db_path, struct fc_status_index *out)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char *place = fc_db_place(db_path), *folder = place ? fc_path_folder(place) : NULL, *name;
    struct statvfs disk;
    struct stat st;

    out->bytes = out->free_bytes = out->disk_bytes = 0;
    for (unsigned i = 0; place && i < sizeof ends / sizeof *ends; i++)
        if (asprintf(&name, "%s%s", place, ends[i]) >= 0) {
            out->bytes += stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
            free(name);
        }
    if (folder && statvfs(folder, &disk) == 0) {
        out->free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
        out->disk_bytes = (uint64_t)(disk.f_blocks - disk.f_bfree + disk.f_bavail) * disk.f_frsize;
    }
    free(folder);
    free(place);
}

FC_EXPORT int fc_status_of_index(const char *db_path, bool loss, struct fc_status_index *out, struct fc_error *err)
{
    struct fc_db *db = NULL;

    memset(out, 0, sizeof *out);
    fc_status_of_disk(db_path, out);
    int rc = fc_db_open(db_path, &db, err);
    if (rc == 0)
        rc = read_index(db, loss, out, err);
    fc_db_close(db);
    return rc;
}
