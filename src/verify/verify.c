/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "index/settings.h"
#include "verify/positions.h"

#include <flowcarve/verify.h>

#include <inttypes.h>
#include <pcap/pcap.h>
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
};

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

/* A record that stands in session s. */
static void check_packet(struct verify *v, struct fc_verify_file *row, const struct fc_record *rec,
                         struct fc_packet *packet, struct fc_verify_session *s)
{
    int dir = packet->frag == FC_FRAG_LATER ? fc_key_ends(&s->key, packet) : packet->dir;

    if (!fc_key_fits(&s->key, packet)) {
        differ(v, row, row->path, rec->off, "record does not fit session %" PRId64, s->id);
        return;
    }
    if (dir < 0) { /* of a tunnel's datagram: it has other addresses than the session, whose first fragment knows */
        s->blind = true;
        dir = 0;
    }
    row->in_sessions++;
    row->malformed += packet->malformed;
    s->packets[dir]--;
    s->bytes[dir] -= rec->origlen;
}

/* True when the index was told to leave this record out. */
static int left_out(struct verify *v, const struct fc_record *rec, const struct fc_packet *packet, struct fc_error *err)
{
    int match = fc_door_match(&v->door, rec, err);

    return match < 0 ? match : !match || fc_settings_excludes(&v->settings, &packet->key);
}

/* Walks the capture and its list of positions side by side. */
static int check_records(struct verify *v, struct fc_verify_file *row, const struct fc_file *file,
                         struct fc_verify_list *list, struct fc_error *err)
{
    struct fc_packet packet;
    struct fc_reader reader;
    struct fc_record rec;
    size_t i = 0;
    int rc = fc_reader_init(&reader, FC_READER_BUFFER);

    if (rc || (rc = fc_reader_start(&reader, file, 0, UINT64_MAX, NULL)))
        return fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
    while ((rc = fc_reader_next(&reader, &rec)) == 1) {
        row->records++;
        for (; i < list->count && list->off[i] < rec.off; i++)
            differ(v, row, row->path, list->off[i], "session %" PRId64 " has a packet where no record starts",
                   v->all.sessions[list->session[i]].id);
        fc_decode(rec.link_type, rec.data, rec.caplen, rec.origlen, v->settings.mask, &packet);
        int out = left_out(v, &rec, &packet, err);
        if (out < 0) {
            rc = out;
            break;
        }
        row->ignored += out != 0;
        if (i < list->count && list->off[i] == rec.off) {
            check_packet(v, row, &rec, &packet, &v->all.sessions[list->session[i++]]);
            if (out)
                differ(v, row, row->path, rec.off, "record should have been left out");
        } else if (!out) {
            differ(v, row, row->path, rec.off, "record is in no session");
        }
        for (; i < list->count && list->off[i] == rec.off; i++)
            differ(v, row, row->path, rec.off, "record is in sessions %" PRId64 " and %" PRId64,
                   v->all.sessions[list->session[i - 1]].id, v->all.sessions[list->session[i]].id);
        if ((row->records & 0xfff) == 0 && v->stop && __atomic_load_n(v->stop, __ATOMIC_RELAXED)) {
            rc = fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
            break;
        }
    }
    for (; rc != FC_E_INTERRUPTED && i < list->count; i++)
        differ(v, row, row->path, list->off[i], "session %" PRId64 " has a packet behind the last record",
               v->all.sessions[list->session[i]].id);
    fc_reader_fini(&reader);
    return rc == FC_E_DAMAGED || rc == FC_E_IO ? 0 : rc;
}

/* A compressed capture as a stream for libpcap, which reads plain ones only. */
struct unpacked {
    struct fc_file file;
    uint64_t off;
};

static ssize_t unpacked_read(void *cookie, char *buf, size_t n)
{
    struct unpacked *u = cookie;
    int64_t got = fc_file_read(&u->file, buf, n, u->off, NULL);

    u->off += got > 0 ? (uint64_t)got : 0;
    return got < 0 ? -1 : (ssize_t)got;
}

static int unpacked_close(void *cookie)
{
    struct unpacked *u = cookie;

    fc_file_close(&u->file);
    free(u);
    return 0;
}

static pcap_t *open_libpcap(const char *path, char *message)
{
    static const cookie_io_functions_t functions = {.read = unpacked_read, .close = unpacked_close};
    struct unpacked *u = calloc(1, sizeof *u);
    FILE *stream = NULL;
    pcap_t *p = NULL;

    if (!u || fc_file_open(path, &u->file, NULL)) {
        free(u);
        return NULL;
    }
    if (!u->file.source)
        p = pcap_open_offline(path, message);
    else if ((stream = fopencookie(u, "r", functions)) && !(p = pcap_fopen_offline(stream, message)))
        fclose(stream);
    if (!stream)
        unpacked_close(u);
    return p;
}

/* libpcap's own count, where it reads the capture to its end. */
static void ask_libpcap(struct fc_verify_file *row, const char *path)
{
    char message[PCAP_ERRBUF_SIZE] = "";
    struct pcap_pkthdr *header;
    const u_char *data;
    pcap_t *p = open_libpcap(path, message);
    int64_t n = 0;
    int rc = PCAP_ERROR;

    row->libpcap_records = -1;
    if (p) {
        while ((rc = pcap_next_ex(p, &header, &data)) == 1)
            n++;
        if (rc == PCAP_ERROR)
            snprintf(message, sizeof message, "%s", pcap_geterr(p));
        pcap_close(p);
    }
    if (rc == PCAP_ERROR_BREAK)
        row->libpcap_records = n;
    else
        snprintf(row->libpcap_message, sizeof row->libpcap_message, "%.*s", (int)sizeof row->libpcap_message - 1,
                 message);
}

static int check_file(struct verify *v, size_t i, struct fc_error *err)
{
    const struct fc_stored_file *stored = &v->files.items[i];
    struct fc_verify_file *row = &v->result->files[i];
    struct fc_error why;
    struct fc_file file;
    size_t len = strlen(stored->path);
    int rc;

    row->id = stored->id;
    row->indexed = stored->records;
    snprintf(row->path, sizeof row->path, "%s",
             stored->path + (len < sizeof row->path ? 0 : len - sizeof row->path + 1));
    row->libpcap_records = -1;
    rc = fc_stored_file_open(stored, &file, &why);
    if (rc == FC_E_NOMEM) {
        *err = why;
        return rc;
    }
    if (rc) {
        differ(v, row, stored->path, why.off, "%.200s", why.cause);
        return 0;
    }
    rc = check_records(v, row, &file, &v->all.lists[i], err);
    fc_file_close(&file);
    if (rc)
        return rc;
    if (row->records != row->indexed)
        differ(v, row, stored->path, FC_NO_OFFSET, "%" PRIu64 " records, the index says %" PRIu64, row->records,
               row->indexed);
    if (row->ignored != stored->ignored)
        differ(v, row, stored->path, FC_NO_OFFSET, "%" PRIu64 " records are to be left out, the index says %" PRIu64,
               row->ignored, stored->ignored);
    ask_libpcap(row, stored->path);
    /* behind damage, and where libpcap gives up early, the two cannot agree */
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
        bool even = s->packets[0] + s->packets[1] == 0 && s->bytes[0] + s->bytes[1] == 0;
        if (!s->blind)
            even = !s->packets[0] && !s->packets[1] && !s->bytes[0] && !s->bytes[1];
        if (!even)
            differ(v, NULL, v->db->path, FC_NO_OFFSET, "session %" PRId64 ": packets or bytes differ from its records",
                   s->id);
    }
}

static int load_settings(struct verify *v, struct fc_error *err)
{
    char *filter = fc_db_meta(v->db->sql, "filter"), *nets = fc_db_meta(v->db->sql, "exclude_net");
    char *key = fc_db_meta(v->db->sql, "key");
    struct fc_index_options o = {.filter = filter, .exclude_net = nets, .key = key};
    int rc = filter && nets && key ? fc_settings_init(&v->settings, &o, err)
                                   : fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");

    free(filter);
    free(nets);
    free(key);
    return rc;
}

static int run(struct verify *v, struct fc_error *err)
{
    struct fc_verify_result *r = v->result;
    bool complete = true;
    int rc = load_settings(v, err);

    if (rc || (rc = fc_stored_files_load(v->db, &v->files, err)))
        return rc;
    fc_door_init(&v->door, &v->settings);
    if ((rc = fc_verify_positions_load(v->db, &v->files, &v->all, damaged_session, v, err)))
        return rc;
    r->files = calloc(v->files.count + 1, sizeof *r->files);
    if (!r->files)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    r->sessions = v->all.session_count;
    for (size_t i = 0; i < v->files.count && rc == 0; i++) {
        r->file_count++;
        rc = check_file(v, i, err);
        complete &= r->files[i].records == r->files[i].indexed;
        r->records += r->files[i].records;
        r->in_sessions += r->files[i].in_sessions;
        r->ignored += r->files[i].ignored;
    }
    if (rc == 0 && complete) /* with a capture missing every sum would differ */
        check_sessions(v);
    return rc;
}

FC_EXPORT int fc_verify(struct fc_db *db, const int *stop, struct fc_verify_result *result, struct fc_error *err)
{
    struct verify v = {.db = db, .result = result, .stop = stop};
    struct fc_error local;
    int rc;

    err = err ? err : &local;
    memset(result, 0, sizeof *result);
    rc = run(&v, err);
    fc_door_fini(&v.door);
    fc_settings_fini(&v.settings);
    fc_verify_positions_fini(&v.all);
    fc_stored_files_fini(&v.files);
    if (rc == 0 && result->differences)
        rc = fc_error_set(err, FC_E_MISMATCH, db->path, FC_NO_OFFSET, "%" PRIu64 " differences", result->differences);
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
