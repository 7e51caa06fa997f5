/* SPDX-License-Identifier: MIT */
/*
 * A file a session. Sessions are taken in the order of their IDs, which is that of time, as many as fit into memory: of
 * these all records are read at once, in the order of their captures. One that is larger is carved by itself.
 */
#include "base/error.h"
#include "base/export.h"
#include "base/ticker.h"
#include "base/vector.h"
#include "carve/carving.h"
#include "packets/kept.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    MEMORY = 64 << 20, /* bytes of records that are kept */
    RECORD = 80,       /* and of what is kept of each beside them */
    SESSIONS = 8192,   /* at a time */
    OPEN_MOST = 512,   /* files that are synced to the disk together */
    NAME_BYTES = 256,  /* of a file, without its folder */
};

struct item {
    int64_t id;
    char *name; /* in the folder, without suffix */
};

struct split {
    struct fc_db *db;
    const struct fc_carve_options *options;
    const char *folder;
    const struct fc_rights *rights;
    const int *stop;
    struct fc_carve_result *result;
    struct fc_progress *progress;
    /* sessions to be carved next */
    struct item *items;
    size_t count, room;
    uint64_t bytes;
    /* files that are whole and not on disk */
    struct fc_new_file *files;
    size_t file_count, file_most;
    /* parts of one session, by ID, and the next of them; NULL: each session is a part, under its own name */
    struct single *singles;
    size_t single_count, single;
};

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

/* "-10.0.0.6_44150": names of files have no colons everywhere. */
static void add_end(char *buf, size_t size, int kind, const uint8_t *addr, int port)
{
    char text[INET6_ADDRSTRLEN] = "";
    size_t len = strlen(buf);

    if (kind == FC_ADDR_MAC)
        snprintf(text, sizeof text, "%02x.%02x.%02x.%02x.%02x.%02x", addr[0], addr[1], addr[2], addr[3], addr[4],
                 addr[5]);
    else
        inet_ntop(kind == FC_ADDR_IPV4 ? AF_INET : AF_INET6, addr, text, sizeof text);
    for (char *p = text; *p; p++)
        *p = *p == ':' ? '.' : *p;
    if (port < 0)
        snprintf(buf + len, size - len, "-%s", text);
    else
        snprintf(buf + len, size - len, "-%s_%d", text, port);
}

FC_EXPORT const char *fc_session_file_name(const struct fc_session *row, char *buf, size_t size)
{
    const char *proto = fc_proto_name(row->proto);

    if (proto)
        snprintf(buf, size, "%lld-%s", (long long)row->id, proto);
    else
        snprintf(buf, size, "%lld-%lu", (long long)row->id, (unsigned long)row->proto);
    for (char *p = buf; *p; p++) /* a name of ours, but one never knows */
        *p = *p == '/' || *p == ':' || *p == ' ' ? '_' : *p;
    if (row->kind != FC_ADDR_NONE) {
        add_end(buf, size, row->kind, row->client_addr, row->client_port);
        add_end(buf, size, row->kind, row->server_addr, row->server_port);
    }
    return buf;
}

static const char *const suffixes[] = {".pcap", ".pcapng"};

static char *path_of(const struct split *s, const char *name, bool pcapng)
{
    char *path;

    return asprintf(&path, "%s/%s%s%s", s->folder, name, suffixes[pcapng],
                    fc_compression_suffixes[s->options->compression]) < 0
               ? NULL
               : path;
}

/* 1: the session's file is there. */
static int is_there(const struct split *s, const char *name, struct fc_error *err)
{
    for (int pcapng = 0; pcapng < 2; pcapng++) {
        if (s->options->format == (pcapng ? FC_CARVE_PCAP : FC_CARVE_PCAPNG))
            continue;
        char *path = path_of(s, name, pcapng);
        if (!path)
            return no_memory(err);
        bool there = faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
        free(path);
        if (there)
            return 1;
    }
    return 0;
}

/* Files that are whole get their names. */
static int finish_files(struct split *s, struct fc_error *err)
{
    size_t there = 0;
    int rc = fc_new_files_finish(s->files, s->file_count, &there, err);

    if (rc == 0) {
        s->result->files_written += s->file_count - there;
        s->result->files_skipped += there;
    }
    s->file_count = 0;
    return rc;
}

/* Carves what was found; its captures are described. */
static int write_file(struct split *s, struct fc_carving *c, const char *name, struct fc_error *err)
{
    struct fc_output_form form;
    struct fc_new_file *file = &s->files[s->file_count];
    int rc = fc_carving_choose(c, s->options->format, &form, err);

    if (rc)
        return rc;
    char *path = path_of(s, name, form.pcapng);
    if (!path)
        return no_memory(err);
    if ((rc = fc_new_file_open(file, path, s->rights, err)) == 0) {
        s->file_count++;
        rc = fc_carving_write(c, &form, file->fd, s->stop, err);
        if (rc == FC_E_IO && !err->file[0])
            fc_error_set(err, rc, path, FC_NO_OFFSET, "%s", err->cause);
    }
    free(path);
    if (rc == 0) {
        s->result->packets += c->records;
        s->result->bytes_written += c->out.written;
        FC_PROGRESS_ADD(s->progress, sessions, 1);
    }
    if (file->fd >= 0 && (rc || !c->records)) { /* nothing that is asked for is there */
        fc_new_file_abandon(file);
        s->file_count--;
    }
    return rc == 0 && s->file_count == s->file_most ? finish_files(s, err) : rc;
}

static bool any_packets(const struct fc_places *places)
{
    for (size_t i = 0; i < places->stored.count; i++)
        if (places->files[i].count)
            return true;
    return false;
}

/* Adds the captures that were left out to those that are known to be. */
static int add_missing(struct split *s, const struct fc_places *places, struct fc_error *err)
{
    struct fc_carve_result *r = s->result;

    r->packets_missing += places->packets_missing;
    for (size_t i = 0; i < places->missing_count; i++) {
        size_t k = 0;
        while (k < r->missing_count && strcmp(r->missing[k].file, places->missing[i].file) != 0)
            k++;
        if (k < r->missing_count)
            continue;
        struct fc_error *bigger = realloc(r->missing, (k + 1) * sizeof *bigger);
        if (!bigger)
            return no_memory(err);
        r->missing = bigger;
        r->missing[r->missing_count++] = places->missing[i];
    }
    return 0;
}

static void add_read(struct split *s, const struct fc_packets *packets)
{
    struct fc_packets_result r;

    fc_packets_result(packets, &r);
    s->result->bytes_read += r.bytes_read;
    s->result->bytes_decoded += r.bytes_decoded;
    s->result->packets_forgotten += r.forgotten;
    if (r.forgotten_ns > s->result->forgotten_ns)
        s->result->forgotten_ns = r.forgotten_ns;
}

static int filter_of(const struct item *items, size_t count, struct fc_filter **out, struct fc_error *err)
{
    struct fc_id_range *ranges = malloc((count + 1) * sizeof *ranges);
    int rc = ranges ? fc_filter_parse("", 0, out, NULL) : FC_E_NOMEM;

    for (size_t i = 0; rc == 0 && i < count; i++)
        ranges[i] = (struct fc_id_range){items[i].id, items[i].id};
    if (rc == 0 && (rc = fc_filter_narrow(*out, ranges, count)))
        fc_filter_free(*out);
    free(ranges);
    return rc ? no_memory(err) : 0;
}

/* Sessions of one file, streamed. */
static int carve_large(struct split *s, const struct item *items, size_t count, const char *name, struct fc_error *err)
{
    struct fc_packets_options which = {.partial = s->options->partial, .stop = s->stop};
    struct fc_carving c = {.options = s->options, .progress = s->progress};
    struct fc_filter *filter;
    int rc = filter_of(items, count, &filter, err);

    if (rc)
        return rc;
    rc = fc_packets_find(&c.packets, s->db, filter, &which, fc_carve_describe, &c.files, err);
    if (rc == 0 && any_packets(&c.packets.places))
        rc = write_file(s, &c, name, err);
    add_read(s, &c.packets);
    int noted = add_missing(s, &c.packets.places, err);
    fc_carving_fini(&c);
    fc_packets_fini(&c.packets);
    fc_filter_free(filter);
    return rc ? rc : noted;
}

/* One of those that were read together. */
static int carve_kept(struct split *s, struct fc_kept *kept, struct fc_blocks *blocks, size_t i, const char *name,
                      struct fc_error *err)
{
    struct fc_carving c = {.options = s->options, .progress = s->progress, .files.blocks = blocks};
    struct fc_places *places = &c.packets.places;
    int rc = 0;

    fc_kept_enter(kept, i, &c.packets);
    for (size_t k = 0; k < places->stored.count && rc == 0; k++)
        if (places->files[k].count)
            rc = fc_carve_describe(&c.files, places, &places->files[k], err);
    if (rc == 0 && any_packets(places))
        rc = write_file(s, &c, name, err);
    int noted = add_missing(s, places, err);
    fc_carving_fini(&c);
    fc_kept_leave(kept, &c.packets);
    return rc ? rc : noted;
}

static int compare_item(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static int carve_items(struct split *s, struct fc_error *err)
{
    struct fc_packets_options which = {.partial = s->options->partial, .stop = s->stop};
    struct fc_blocks blocks = {.items = NULL};
    struct fc_filter *filter;
    struct fc_kept kept;
    int rc = filter_of(s->items, s->count, &filter, err);

    if (rc)
        return rc;
    qsort(s->items, s->count, sizeof *s->items, compare_item);
    rc = fc_kept_read(&kept, s->db, filter, &which, err);
    add_read(s, &kept.all);
    for (size_t i = 0; rc == 0 && i < kept.all.places.session_count; i++) {
        struct item key = {.id = kept.all.places.sessions[i].id};
        const struct item *item = bsearch(&key, s->items, s->count, sizeof key, compare_item);
        if (fc_places_stopped(&kept.all.places))
            rc = fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
        else if (item)
            rc = carve_kept(s, &kept, &blocks, i, item->name, err);
    }
    /* records that have changed are told by the sessions that they are of */
    kept.all.places.packets_missing -= kept.all.places.packets_missing < kept.absent_count ? 0 : kept.absent_count;
    int noted = add_missing(s, &kept.all.places, err);
    fc_blocks_fini(&blocks);
    fc_kept_fini(&kept);
    fc_filter_free(filter);
    return rc ? rc : noted;
}

static void drop_items(struct split *s)
{
    while (s->count)
        free(s->items[--s->count].name);
    s->bytes = 0;
}

/* The session, as a file of this name; 1 when that is there. */
static int add_named(struct split *s, const struct fc_session *row, const char *name, struct fc_error *err)
{
    uint64_t packets = row->client_packets + row->server_packets;
    uint64_t bytes = row->client_bytes + row->server_bytes + packets * RECORD;
    int rc = is_there(s, name, err);

    s->result->sessions++;
    if (rc) {
        s->result->files_skipped += rc == 1;
        return rc < 0 ? rc : 0;
    }
    if (bytes > MEMORY)
        return carve_large(s, &(struct item){.id = row->id}, 1, name, err);
    if (s->count && (s->bytes + bytes > MEMORY || s->count == SESSIONS)) {
        rc = carve_items(s, err);
        drop_items(s);
        if (rc)
            return rc;
    }
    if (fc_vector_reserve(&s->items, &s->room, s->count + 1, sizeof *s->items) ||
        !(s->items[s->count].name = strdup(name)))
        return no_memory(err);
    s->items[s->count++].id = row->id;
    s->bytes += bytes;
    return 0;
}

/* Parts of one session, by its ID. */
struct single {
    int64_t id;
    const char *name;
};

static int compare_single(const void *a, const void *b)
{
    const struct single *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static int add_session(struct split *s, const struct fc_session *row, struct fc_error *err)
{
    char name[NAME_BYTES];
    int rc = 0;

    if (!s->singles)
        return add_named(s, row, fc_session_file_name(row, name, sizeof name), err);
    while (s->single < s->single_count && s->singles[s->single].id < row->id)
        s->single++;
    /* the first one is read with others; of one that is in more parts than one, the others are carved by themselves */
    for (size_t i = s->single; i < s->single_count && s->singles[i].id == row->id && rc == 0; i++) {
        if (i == s->single) {
            rc = add_named(s, row, s->singles[i].name, err);
        } else if ((rc = is_there(s, s->singles[i].name, err)) == 0) {
            s->result->sessions++;
            rc = carve_large(s, &(struct item){.id = row->id}, 1, s->singles[i].name, err);
        } else if (rc == 1) {
            s->result->sessions++;
            s->result->files_skipped++;
            rc = 0;
        }
    }
    return rc;
}

static int add_sessions(struct split *s, const struct fc_filter *filter, struct fc_error *err)
{
    struct fc_session row;
    struct fc_query *query;
    int rc = fc_query_open(s->db, filter, NULL, &query, err);

    if (rc)
        return rc;
    while ((rc = fc_query_next(query, &row, err)) == 1 && (rc = add_session(s, &row, err)) == 0)
        if (s->stop && __atomic_load_n(s->stop, __ATOMIC_RELAXED)) {
            rc = fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
            break;
        }
    fc_query_close(query);
    if (rc == 0 && s->count)
        rc = carve_items(s, err);
    drop_items(s);
    return rc;
}

/* As many files as may be open beside those that are read. */
static size_t files_at_once(void)
{
    enum { OTHERS = 32 };
    struct rlimit limit;
    rlim_t most = OPEN_MOST;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < OPEN_MOST + OTHERS)
        most = limit.rlim_cur > 2 * OTHERS - 1 ? limit.rlim_cur - OTHERS : limit.rlim_cur / 4;
    return most ? (size_t)most : 1;
}

static int begin_files(struct split *s, struct fc_error *err)
{
    int rc = s->options->comments
                 ? fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "comments go into one file with all sessions")
                 : fc_new_folder(s->folder, s->rights, err);

    memset(s->result, 0, sizeof *s->result);
    s->file_most = files_at_once();
    if (rc == 0 && !(s->files = calloc(s->file_most, sizeof *s->files)))
        rc = no_memory(err);
    return rc;
}

/* Ends with this code: what is whole gets its name. */
static int end_files(struct split *s, int rc, struct fc_error *err)
{
    struct fc_error why;
    int finished;

    if (rc == FC_E_INTERRUPTED) /* to sync takes its time */
        while (s->file_count)
            fc_new_file_abandon(&s->files[--s->file_count]);
    finished = s->files ? finish_files(s, rc ? &why : err) : 0;
    free(s->items);
    free(s->files);
    return rc ? rc : finished;
}

static struct split new_split(struct fc_db *db, const struct fc_carve_options *options, const char *folder,
                              const struct fc_rights *rights, const int *stop, struct fc_carve_result *result,
                              struct fc_progress *progress)
{
    static const struct fc_carve_options none = {0};
    static const struct fc_rights owner_alone = {0};

    return (struct split){.db = db,
                          .options = options ? options : &none,
                          .folder = folder,
                          .rights = rights ? rights : &owner_alone,
                          .stop = stop,
                          .progress = progress,
                          .result = result};
}

FC_EXPORT int fc_carve_split(struct fc_db *db, const struct fc_filter *filter, const struct fc_carve_options *options,
                             const char *folder, const struct fc_rights *rights, const int *stop,
                             struct fc_carve_result *result, struct fc_error *err)
{
    struct fc_progress progress = {.phase = FC_PHASE_READING};
    struct split s = new_split(db, options, folder, rights, stop, result, &progress);
    struct fc_ticker ticker;
    struct fc_error local;
    int rc;

    err = err ? err : &local;
    fc_ticker_start(&ticker, &progress, s.options->progress, s.options->progress_ctx);
    rc = begin_files(&s, err);
    if (rc == 0)
        rc = add_sessions(&s, filter, err);
    rc = end_files(&s, rc, err);
    if (rc == 0)
        FC_PROGRESS_SET(s.progress, phase, FC_PHASE_DONE);
    fc_ticker_stop(&ticker);
    return rc;
}

/* A part of several sessions. */
static int carve_part(struct split *s, const struct fc_carve_part *part, struct fc_error *err)
{
    struct item *items;
    int rc = is_there(s, part->name, err);

    s->result->sessions += part->id_count;
    s->result->files_skipped += rc == 1;
    if (rc)
        return rc < 0 ? rc : 0;
    if (!(items = calloc(part->id_count, sizeof *items)))
        return no_memory(err);
    for (size_t i = 0; i < part->id_count; i++)
        items[i].id = part->ids[i];
    rc = carve_large(s, items, part->id_count, part->name, err);
    free(items);
    return rc;
}

static int carve_singles(struct split *s, const struct fc_carve_part *parts, size_t count, struct fc_error *err)
{
    struct item *ids = malloc((count + 1) * sizeof *ids);
    struct fc_filter *filter;
    int rc = 0;

    s->singles = malloc((count + 1) * sizeof *s->singles);
    if (!ids || !s->singles)
        rc = no_memory(err);
    for (size_t i = 0; i < count && rc == 0; i++)
        if (parts[i].id_count == 1) {
            ids[s->single_count] = (struct item){.id = parts[i].ids[0]};
            s->singles[s->single_count++] = (struct single){parts[i].ids[0], parts[i].name};
        }
    if (rc == 0 && s->single_count && (rc = filter_of(ids, s->single_count, &filter, err)) == 0) {
        qsort(s->singles, s->single_count, sizeof *s->singles, compare_single);
        rc = add_sessions(s, filter, err);
        fc_filter_free(filter);
    }
    free(ids);
    free(s->singles);
    return rc;
}

FC_EXPORT int fc_carve_parts(struct fc_db *db, const struct fc_carve_part *parts, size_t count,
                             const struct fc_carve_options *options, const char *folder, const struct fc_rights *rights,
                             const int *stop, struct fc_carve_result *result, struct fc_error *err)
{
    struct fc_progress progress = {.phase = FC_PHASE_READING};
    struct split s = new_split(db, options, folder, rights, stop, result, &progress);
    struct fc_ticker ticker;
    struct fc_error local;
    int rc;

    err = err ? err : &local;
    fc_ticker_start(&ticker, &progress, s.options->progress, s.options->progress_ctx);
    rc = begin_files(&s, err);
    if (rc == 0)
        rc = carve_singles(&s, parts, count, err);
    for (size_t i = 0; i < count && rc == 0; i++)
        if (parts[i].id_count > 1)
            rc = carve_part(&s, &parts[i], err);
    rc = end_files(&s, rc, err);
    if (rc == 0)
        FC_PROGRESS_SET(s.progress, phase, FC_PHASE_DONE);
    fc_ticker_stop(&ticker);
    return rc;
}
