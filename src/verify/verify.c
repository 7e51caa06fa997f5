/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "base/ticker.h"
#include "capture/url.h"
#include "flow/key.h"
#include "index/libpcap.h"
#include "index/settings.h"
#include "verify/lookup.h"
#include "verify/loss.h"
#include "verify/positions.h"

#include <flowcarve/verify.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROBLEMS_MAX = 100 };

struct verify {
    struct fc_db *db;
    struct fc_settings settings;
    struct fc_door door;
    struct fc_stored_files files;
    struct fc_verify_positions all;
    struct fc_verify_result *result;
    const int *stop;
    bool archived;           /* those in archives are read, too */
    struct fc_error unasked; /* why libpcap could not be asked for the first time; code 0: it could */
    struct fc_progress progress;
    uint64_t bytes_before; /* of the readings that are done */
};

/* So much of the capture at hand was read, this time. */
static void told(struct verify *v, const struct fc_stored_file *stored, uint64_t bytes)
{
    FC_PROGRESS_SET(&v->progress, bytes_done,
                    v->bytes_before + (bytes < stored->stream_size ? bytes : stored->stream_size));
}

/* A difference: counted, and the first ones kept in words. */
static void __attribute__((format(printf, 5, 6)))
differ(struct verify *v, struct fc_verify_file *row, const char *path, uint64_t off, const char *fmt, ...)
{
    struct fc_verify_result *r = v->result;
    char text[256];
    va_list ap;

    r->differences++;
    if (row)
        row->differences++;
    if (r->problem_count == PROBLEMS_MAX)
        return;
    struct fc_error *bigger = realloc(r->problems, (r->problem_count + 1) * sizeof *bigger);
    if (!bigger)
        return;
    r->problems = bigger;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fc_error_set(&r->problems[r->problem_count++], FC_E_MISMATCH, path, off, "%s", text);
}

static void damaged_session(void *ctx, int64_t id, const char *cause)
{
    struct verify *v = ctx;

    differ(v, NULL, v->db->path, FC_NO_OFFSET, "session %" PRId64 ": %s", id, cause);
}

static void not_found(void *ctx, const char *text)
{
    struct verify *v = ctx;

    differ(v, NULL, v->db->path, FC_NO_OFFSET, "%s", text);
}

static int stopped(void *ctx)
{
    const struct verify *v = ctx;

    return v->stop && __atomic_load_n(v->stop, __ATOMIC_RELAXED);
}

/* A record that stands in session s. */
static void check_packet(struct verify *v, struct fc_verify_file *row, const struct fc_record *rec,
                         struct fc_packet *packet, struct fc_verify_session *s)
{
    int dir = packet->frag == FC_FRAG_LATER ? fc_key_dir(&s->key, packet) : packet->dir;

    if (!fc_key_fits(&s->key, packet, v->settings.mask)) {
        differ(v, row, row->path, rec->off, "record does not fit session %" PRId64, s->id);
        return;
    }
    if (dir < 0) { /* its addresses are those around a tunnel, or the same at both ends: its first fragment knows */
        s->blind = true;
        dir = 0;
    }
    s->shown |= fc_key_shown(&s->key, packet);
    row->in_sessions++;
    row->malformed += packet->malformed;
    s->packets[dir]--;
    s->bytes[dir] -= rec->origlen;
    if (rec->ts_ns == FC_TIME_NONE)
        return;
    if (s->seen_low == FC_TIME_NONE || rec->ts_ns < s->seen_low)
        s->seen_low = rec->ts_ns;
    if (s->seen_high == FC_TIME_NONE || rec->ts_ns > s->seen_high)
        s->seen_high = rec->ts_ns;
}

/* True when the index was told to leave this record out. */
static int left_out(struct verify *v, const struct fc_record *rec, const struct fc_packet *packet, struct fc_error *err)
{
    int match = fc_door_match(&v->door, rec, err);

    return match < 0 ? match : !match || fc_settings_excludes(&v->settings, &packet->key);
}

/* What the walk has passed over, beside what the index says of it. */
struct damage_walk {
    struct verify *v;
    struct fc_verify_file *row;
    const struct fc_damage *own;
    size_t count, next;
    bool packed; /* ranges of no bytes are damage to the compressed data, which the walk does not see */
    uint64_t unseen;
};

static int compare_damage(void *ctx, uint64_t off, uint64_t length)
{
    struct damage_walk *w = ctx;

    if (w->packed && !length) {
        w->unseen++;
        return 0;
    }
    const struct fc_damage *d = w->next < w->count ? &w->own[w->next] : NULL;
    w->next++;
    if (!d || d->off != off || d->length != length) {
        differ(w->v, w->row, w->row->path, off, "the index lists %" PRIu64 " bytes of damage here, which is not so",
               length);
        return 1; /* those behind it would differ all */
    }
    return 0;
}

static int check_damage(struct verify *v, struct fc_verify_file *row, const struct fc_stored_file *stored,
                        const struct fc_file *file, const struct fc_damage_list *lost, struct fc_error *err)
{
    bool none = file->source && !lost->bytes; /* an empty stream */
    struct damage_walk w = {.v = v,
                            .row = row,
                            .own = lost->items,
                            .count = none ? 0 : fc_damage_kept(lost),
                            .packed = file->source != NULL};
    int rc = fc_stored_damage(v->db, stored->id, compare_damage, &w, err);

    if (rc)
        return rc < 0 ? rc : 0;
    row->damages = (none ? 0 : lost->count) + w.unseen;
    bool even = row->damages == stored->damaged || (w.packed && stored->damaged > FC_DAMAGE_MAX);
    if (w.next != w.count || !even)
        differ(v, row, row->path, FC_NO_OFFSET, "%" PRIu64 " ranges are damaged, the index says %" PRIu64, row->damages,
               stored->damaged);
    return 0;
}

/* Every byte of the capture is something, and what the index says of it is so. */
static int check_bytes(struct verify *v, struct fc_verify_file *row, const struct fc_stored_file *stored,
                       const struct fc_file *file, const struct fc_reader *reader, struct fc_error *err)
{
    row->size = reader->size == FC_SIZE_UNKNOWN ? stored->stream_size : reader->size; /* unknown: reading has failed */
    row->header_bytes = file->data_off + reader->header_bytes;
    row->other_bytes = reader->other_bytes;
    row->lost_bytes = reader->lost.bytes;
    row->pending_bytes = reader->pending_bytes;
    row->damages = reader->lost.count + (reader->failed != 0);
    if (reader->failed && row->size > reader->pos)
        row->lost_bytes += row->size - reader->pos;
    uint64_t sum = row->header_bytes + row->record_bytes + row->other_bytes + row->lost_bytes + row->pending_bytes;
    if (sum != row->size)
        differ(v, row, row->path, FC_NO_OFFSET, "%" PRIu64 " bytes are not accounted for", row->size - sum);
    if (reader->failed)
        return 0; /* a disk that cannot be read now tells nothing of the index */
    if (row->size != stored->stream_size || row->header_bytes != stored->header_bytes ||
        row->record_bytes != stored->record_bytes || row->other_bytes != stored->other_bytes ||
        row->lost_bytes != stored->lost_bytes || row->pending_bytes != stored->pending_bytes)
        differ(v, row, row->path, FC_NO_OFFSET, "its bytes are not divided as the index says");
    return check_damage(v, row, stored, file, &reader->lost, err);
}

/* Walks the capture and its list of positions side by side. */
static int check_records(struct verify *v, struct fc_verify_file *row, struct fc_reader *reader,
                         struct fc_verify_list *list, struct fc_error *err)
{
    struct fc_packet packet;
    struct fc_record rec;
    size_t i = 0;
    int rc;

    while ((rc = fc_reader_walk(reader, &rec, UINT64_MAX)) == 1) {
        row->records++;
        row->record_bytes += rec.next_off - rec.off;
        for (; i < list->count && list->pos[i].off < rec.off; i++)
            differ(v, row, row->path, list->pos[i].off, "session %" PRId64 " has a packet where no record starts",
                   v->all.sessions[list->pos[i].session].id);
        fc_decode(rec.link_type, rec.data, rec.caplen, rec.origlen, v->settings.mask | FC_WANT_TUNNEL, &packet);
        int out = left_out(v, &rec, &packet, err);
        if (out < 0) {
            rc = out;
            break;
        }
        row->ignored += out != 0;
        if (i < list->count && list->pos[i].off == rec.off) {
            check_packet(v, row, &rec, &packet, &v->all.sessions[list->pos[i++].session]);
            if (out)
                differ(v, row, row->path, rec.off, "record should have been left out");
        } else if (!out) {
            differ(v, row, row->path, rec.off, "record is in no session");
        }
        for (; i < list->count && list->pos[i].off == rec.off; i++)
            differ(v, row, row->path, rec.off, "record is in sessions %" PRId64 " and %" PRId64,
                   v->all.sessions[list->pos[i - 1].session].id, v->all.sessions[list->pos[i].session].id);
        if ((row->records & 0xfff) == 0) {
            told(v, &v->files.items[list - v->all.lists], rec.next_off);
            FC_PROGRESS_ADD(&v->progress, records, 0x1000);
        }
        if ((row->records & 0xfff) == 0 && stopped(v)) {
            rc = fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
            break;
        }
    }
    if (rc == FC_E_IO && reader->failed) { /* tells nothing of the records behind it */
        differ(v, row, row->path, reader->why.off, "%.200s", reader->why.cause);
        return 0;
    }
    for (; rc != FC_E_INTERRUPTED && i < list->count; i++)
        differ(v, row, row->path, list->pos[i].off, "session %" PRId64 " has a packet behind the last record",
               v->all.sessions[list->pos[i].session].id);
    if (rc == FC_E_NOMEM && reader->failed)
        *err = reader->why;
    return rc;
}

static int check_content(struct verify *v, struct fc_verify_file *row, const struct fc_stored_file *stored,
                         const struct fc_file *file, struct fc_error *err)
{
    struct fc_verify_list *list = &v->all.lists[stored - v->files.items];
    struct fc_reader reader;
    int rc = fc_reader_init(&reader, FC_READER_BUFFER);

    reader.stop = v->stop;
    if (rc == 0)
        rc = fc_reader_start(&reader, file, 0, UINT64_MAX, NULL);
    if (rc)
        fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
    else if ((rc = check_records(v, row, &reader, list, err)) == 0)
        rc = check_bytes(v, row, stored, file, &reader, err);
    /* libpcap stops at damage, and takes a second file header for a record */
    if (reader.lost.count || (file->format != FC_FORMAT_PCAPNG && reader.section.number))
        row->libpcap_records = -1;
    fc_reader_fini(&reader);
    return rc;
}

/*
 * A capture as a stream for libpcap, which by name reads plain ones only, and all that there is by then: more than was
 * indexed, where it grows.
 */
struct unpacked {
    struct fc_file file;
    uint64_t off;
};

static ssize_t unpacked_read(void *cookie, char *buf, size_t n)
{
    struct unpacked *u = cookie;
    int64_t got = fc_file_read(&u->file, buf, n, u->off, NULL);

    u->off += got > 0 ? (uint64_t)got : 0;
    if (got < 0)
        errno = got == FC_E_NOMEM ? ENOMEM : EIO;
    return got < 0 ? -1 : (ssize_t)got;
}

static int unpacked_close(void *cookie)
{
    struct unpacked *u = cookie;

    fc_file_close(&u->file);
    free(u);
    return 0;
}

/* By errno, where libpcap has failed: was it the system's doing? What it does not understand leaves errno alone. */
static bool is_systems(int why)
{
    return why == EIO || why == ENOMEM || why == EMFILE || why == ENFILE || why == EACCES || why == ENOENT ||
           why == ESTALE;
}

/* NULL: with errno. */
static pcap_t *open_libpcap(const struct fc_libpcap *libpcap, const struct fc_stored_file *stored, char *message)
{
    enum { STREAM_BUFFER = 256 << 10 };
    static const cookie_io_functions_t functions = {.read = unpacked_read, .close = unpacked_close};
    struct unpacked *u = calloc(1, sizeof *u);
    FILE *stream = NULL;
    pcap_t *p = NULL;

    struct fc_error err;
    int rc = u ? fc_file_open_first(stored->path, stored->size, &u->file, &err) : FC_E_NOMEM, why;

    if (rc) {
        if (u)
            snprintf(message, PCAP_ERRBUF_SIZE, "%.*s", PCAP_ERRBUF_SIZE - 1, err.cause);
        free(u);
        errno = rc == FC_E_NOMEM ? ENOMEM : EIO; /* it has just been opened and read */
        return NULL;
    }
    errno = 0;
    stream = fopencookie(u, "r", functions);
    if (stream)
        setvbuf(stream, NULL, _IOFBF, STREAM_BUFFER);
    if (stream)
        p = libpcap->fopen_offline(stream, message);
    why = errno;
    if (stream && !p)
        fclose(stream);
    if (!stream)
        unpacked_close(u);
    errno = why;
    return p;
}

/* libpcap could not do its part: the first reason is kept. */
static void miss_libpcap(struct verify *v, const char *path, const char *why)
{
    if (!v->unasked.code)
        fc_error_set(&v->unasked, FC_E_IO, path, FC_NO_OFFSET, "%s%s", path ? "libpcap cannot read it: " : "", why);
}

/* libpcap's own count, where it reads the capture to its end. */
static void ask_libpcap(struct verify *v, struct fc_verify_file *row, const struct fc_stored_file *stored)
{
    const char *path = stored->path;
    char message[PCAP_ERRBUF_SIZE] = "";
    struct pcap_pkthdr *header;
    const u_char *data;
    struct fc_error err = {.code = 0};
    const struct fc_libpcap *libpcap = fc_libpcap(&err);
    pcap_t *p = libpcap ? open_libpcap(libpcap, stored, message) : NULL;
    int64_t n = 0;
    int rc = PCAP_ERROR, why = errno;

    row->libpcap_records = -1;
    if (p) {
        uint64_t bytes = 0;
        errno = 0;
        while ((rc = libpcap->next_ex(p, &header, &data)) == 1) {
            bytes += sizeof(struct pcap_pkthdr) + header->caplen; /* as far as it tells */
            if ((++n & 0xfff) != 0)
                continue;
            told(v, stored, bytes);
            if (stopped(v))
                break;
        }
        why = errno;
        if (rc == PCAP_ERROR)
            snprintf(message, sizeof message, "%s", libpcap->geterr(p));
        libpcap->close(p);
    }
    if (rc == PCAP_ERROR_BREAK)
        row->libpcap_records = n;
    else
        snprintf(row->libpcap_message, sizeof row->libpcap_message, "%.*s", (int)sizeof row->libpcap_message - 1,
                 libpcap ? message : err.cause);
    if (!libpcap)
        miss_libpcap(v, NULL, err.cause);
    else if (rc == PCAP_ERROR && is_systems(why))
        miss_libpcap(v, path, message[0] ? message : strerror(why));
}

/* What a capture that is gone has given to a session cannot be counted any more. */
static void leave_out_sessions(struct verify *v, size_t file)
{
    const struct fc_verify_list *list = &v->all.lists[file];

    for (size_t i = 0; i < list->count; i++)
        v->all.sessions[list->pos[i].session].partial = true;
}

static int check_file(struct verify *v, size_t i, struct fc_error *err)
{
    struct fc_stored_file *stored = &v->files.items[i];
    struct fc_verify_file *row = &v->result->files[i];
    const bool archive = fc_is_url(stored->path);
    struct fc_error why;
    struct fc_file file;
    int rc;

    row->id = stored->id;
    row->indexed = stored->records;
    fc_path_fit(row->path, sizeof row->path, stored->path);
    row->libpcap_records = -1;
    if (stored->forgotten) {
        uint64_t left = v->all.lists[i].count;
        if (left + stored->forgotten != stored->records - stored->ignored)
            differ(v, row, stored->path, FC_NO_OFFSET,
                   "%" PRIu64 " packets in sessions and %" PRIu64 " forgotten are not the %" PRIu64 " of the index",
                   left, stored->forgotten, stored->records - stored->ignored);
        leave_out_sessions(v, i);
        row->forgotten = stored->forgotten;
        v->result->forgotten++;
        return 0;
    }
    if (stored->gone) {
        leave_out_sessions(v, i);
        row->gone = true;
        v->result->gone++;
        return 0;
    }
    if (archive && !v->archived) {
        leave_out_sessions(v, i);
        row->archived = true;
        v->result->archived++;
        return 0;
    }
    stored->stop = v->stop;
    rc = fc_stored_file_open(stored, &file, &why);
    if (rc == FC_E_NOMEM || rc == FC_E_LIMIT || rc == FC_E_INTERRUPTED) {
        *err = why;
        return rc;
    }
    if (rc) {
        row->missing = rc == FC_E_MISSING;
        differ(v, row, stored->path, why.off, "%.200s", why.cause);
        return 0;
    }
    if (archive)
        snprintf(row->libpcap_message, sizeof row->libpcap_message,
                 "not asked, as it would read the archive once more");
    else
        ask_libpcap(v, row, stored);
    v->bytes_before += stored->stream_size;
    told(v, stored, 0);
    rc = check_content(v, row, stored, &file, err);
    fc_file_close(&file);
    if (rc)
        return rc;
    if (row->records != row->indexed)
        differ(v, row, stored->path, FC_NO_OFFSET, "%" PRIu64 " records, the index says %" PRIu64, row->records,
               row->indexed);
    if (row->ignored != stored->ignored)
        differ(v, row, stored->path, FC_NO_OFFSET, "%" PRIu64 " records are to be left out, the index says %" PRIu64,
               row->ignored, stored->ignored);
    if (row->libpcap_records >= 0 && (uint64_t)row->libpcap_records != row->records)
        differ(v, row, stored->path, FC_NO_OFFSET, "%" PRIu64 " records, libpcap finds %" PRId64, row->records,
               row->libpcap_records);
    return 0;
}

/* Every session's sums have been counted down to nothing. */
static void check_sessions(struct verify *v)
{
    for (size_t i = 0; i < v->all.session_count; i++) {
        const struct fc_verify_session *s = &v->all.sessions[i];
        if (s->partial)
            continue;
        bool even = s->packets[0] + s->packets[1] == 0 && s->bytes[0] + s->bytes[1] == 0;
        if (!s->blind)
            even = !s->packets[0] && !s->packets[1] && !s->bytes[0] && !s->bytes[1];
        if (s->low_ns != s->seen_low || s->high_ns != s->seen_high)
            differ(v, NULL, v->db->path, FC_NO_OFFSET,
                   "session %" PRId64 ": its times differ from those of its records", s->id);
        if (!fc_shown_fits(s->shown))
            differ(v, NULL, v->db->path, FC_NO_OFFSET,
                   "session %" PRId64 " has fragments of a tunnel that it is not in", s->id);
        if (!even)
            differ(v, NULL, v->db->path, FC_NO_OFFSET, "session %" PRId64 ": packets or bytes differ from its records",
                   s->id);
    }
}

static int load_settings(struct verify *v, struct fc_error *err)
{
    char *filter = NULL, *nets = NULL, *key = NULL;
    int rc;

    if ((rc = fc_db_meta(v->db, "filter", &filter, err)) == 0 &&
        (rc = fc_db_meta(v->db, "exclude_net", &nets, err)) == 0 && (rc = fc_db_meta(v->db, "key", &key, err)) == 0) {
        struct fc_index_options o = {.filter = filter, .exclude_net = nets, .key = key};
        rc = fc_settings_init(&v->settings, &o, err);
    }
    free(filter);
    free(nets);
    free(key);
    return rc;
}

static void begin_progress(struct verify *v)
{
    uint64_t bytes = 0, records = 0;

    for (size_t i = 0; i < v->files.count; i++) {
        bytes += 2 * v->files.items[i].stream_size;
        records += v->files.items[i].records;
    }
    FC_PROGRESS_SET(&v->progress, bytes_total, bytes);
    FC_PROGRESS_SET(&v->progress, records_total, records);
    FC_PROGRESS_SET(&v->progress, files_total, v->files.count);
    FC_PROGRESS_SET(&v->progress, sessions, v->all.session_count);
    FC_PROGRESS_SET(&v->progress, phase, FC_PHASE_READING);
}

static int run(struct verify *v, struct fc_error *err)
{
    struct fc_verify_result *r = v->result;
    bool complete = true;
    uint64_t before = 0;
    int rc = load_settings(v, err);

    if (rc || (rc = fc_stored_files_load(v->db, &v->files, err)))
        return rc;
    fc_door_init(&v->door, &v->settings);
    if ((rc = fc_verify_positions_load(v->db, &v->files, &v->all, damaged_session, v, v->stop, err)))
        return rc;
    r->files = calloc(v->files.count + 1, sizeof *r->files);
    if (!r->files)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    r->sessions = v->all.session_count;
    begin_progress(v);
    for (size_t i = 0; i < v->files.count && rc == 0; i++) {
        if (stopped(v)) {
            rc = FC_E_INTERRUPTED;
            break;
        }
        r->file_count++;
        v->bytes_before = before;
        rc = check_file(v, i, err);
        before += 2 * v->files.items[i].stream_size;
        FC_PROGRESS_SET(&v->progress, bytes_done, before);
        FC_PROGRESS_ADD(&v->progress, files_done, 1);
        complete &= r->files[i].gone || r->files[i].forgotten || r->files[i].archived ||
                    r->files[i].records == r->files[i].indexed;
        r->records += r->files[i].records;
        FC_PROGRESS_SET(&v->progress, records, r->records);
        r->in_sessions += r->files[i].in_sessions;
        r->ignored += r->files[i].ignored;
        r->bytes += r->files[i].size;
        r->header_bytes += r->files[i].header_bytes;
        r->record_bytes += r->files[i].record_bytes;
        r->other_bytes += r->files[i].other_bytes;
        r->lost_bytes += r->files[i].lost_bytes;
        r->pending_bytes += r->files[i].pending_bytes;
        r->libpcap_unable += r->files[i].libpcap_message[0] != 0;
    }
    FC_PROGRESS_SET(&v->progress, phase, FC_PHASE_JOINING);
    if (rc == 0 && complete) /* with a capture missing every sum would differ */
        check_sessions(v);
    fc_verify_positions_fini(&v->all);
    if (rc == 0)
        rc = fc_verify_loss(v->db, not_found, v, err);
    return rc ? rc : fc_verify_lookup(v->db, not_found, v, err);
}

FC_EXPORT int fc_verify_prepare(struct fc_db *db, bool *names, struct fc_error *err)
{
    char *filter = NULL;
    int rc = fc_db_meta(db, "filter", &filter, err);

    *names = filter && *filter;
    free(filter);
    return rc ? rc : fc_libpcap(err) ? 0 : FC_E_IO;
}

FC_EXPORT int fc_verify(struct fc_db *db, const struct fc_verify_options *options, const int *stop,
                        struct fc_verify_result *result, struct fc_error *err)
{
    const struct fc_verify_options o = options ? *options : (struct fc_verify_options){0};
    struct verify v = {.db = db, .result = result, .stop = stop, .archived = o.archived};
    struct fc_ticker ticker;
    struct fc_error local;
    int rc;

    err = err ? err : &local;
    memset(result, 0, sizeof *result);
    sqlite3_progress_handler(db->sql, 100000, stopped, &v);
    fc_ticker_start(&ticker, &v.progress, o.progress, o.progress_ctx);
    rc = run(&v, err);
    if (rc == 0)
        FC_PROGRESS_SET(&v.progress, phase, FC_PHASE_DONE);
    fc_ticker_stop(&ticker);
    fc_db_set_stop(db, db->stop);
    if (rc && stopped(&v))
        rc = fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
    fc_door_fini(&v.door);
    fc_settings_fini(&v.settings);
    fc_verify_positions_fini(&v.all);
    fc_stored_files_fini(&v.files);
    if (rc == 0 && !result->differences && v.unasked.code) {
        *err = v.unasked;
        rc = err->code;
    }
    if (rc == 0 && result->differences)
        rc = fc_error_set(err, FC_E_MISMATCH, db->path, FC_NO_OFFSET, "%" PRIu64 " difference%s", result->differences,
                          result->differences == 1 ? "" : "s");
    return rc;
}

FC_EXPORT void fc_verify_result_fini(struct fc_verify_result *result)
{
    free(result->files);
    free(result->problems);
    result->files = NULL;
    result->problems = NULL;
    result->file_count = result->problem_count = 0;
}
