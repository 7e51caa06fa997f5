/* SPDX-License-Identifier: MIT */
#include "cli/follow_files.h"
#include "cli/cli.h"
#include "cli/follow_format.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ENDS = FC_FROM_UNKNOWN + 1, FILES_AT_ONCE = 64, GAPS_TOLD = 10, NAME = 256 };

struct files {
    const struct fc_follow_files *o;
    struct fc_follow_files_result *result;
    struct fc_new_file done[FILES_AT_ONCE]; /* whole, but for their names */
    size_t done_count;
    struct fc_progress progress;
    int64_t told_ns;
    /* of the session at hand, by who has sent */
    char name[ENDS][NAME];
    bool left[ENDS]; /* its file is there, or is not wanted */
    struct fc_new_file file[ENDS];
    struct fc_out *out[ENDS];
};

static int fail(struct fc_error *err, int code, const char *file, const char *cause)
{
    memset(err, 0, sizeof *err);
    err->code = code;
    err->off = FC_NO_OFFSET;
    snprintf(err->file, sizeof err->file, "%s", file);
    snprintf(err->cause, sizeof err->cause, "%s", cause);
    return code;
}

/* ---- names, as those of tcpflow: 010.000.000.006.44150-212.199.202.009.00080c13, in which 13 is the session */

static int name_end(char *p, size_t size, const struct fc_session *s, bool server)
{
    const uint8_t *a = server ? s->server_addr : s->client_addr;
    int port = server ? s->server_port : s->client_port, n = 0;

    if (s->kind == FC_ADDR_IPV4)
        n = snprintf(p, size, "%03u.%03u.%03u.%03u", a[0], a[1], a[2], a[3]);
    else /* no colons, which not every system has in names; and what is no address */
        for (int i = 0; i < (s->kind == FC_ADDR_IPV6 ? 16 : 6); i += 2)
            n += snprintf(p + n, size - (size_t)n, "%s%02x%02x", i ? "." : "", a[i], a[i + 1]);
    if (port >= 0)
        n += snprintf(p + n, size - (size_t)n, ".%05d", port);
    return n;
}

static void name_files(struct files *f, const struct fc_session *s)
{
    char ends[2][64]; /* an IPv6 address and a port take 46 */

    for (int i = 0; i < 2; i++)
        name_end(ends[i], sizeof ends[i], s, i);
    for (int from = 0; from < ENDS; from++)
        snprintf(f->name[from], NAME, "%s-%s%sc%" PRId64, ends[from == FC_FROM_SERVER], ends[from != FC_FROM_SERVER],
                 from == FC_FROM_UNKNOWN ? "-unknown" : "", s->id);
}

static char *path_of(const struct files *f, int from)
{
    char *path;

    return asprintf(&path, "%s/%s", f->o->folder, f->name[from]) < 0 ? NULL : path;
}

/* ---- files */

/* Those that are whole get their names. */
static int finish_files(struct files *f, struct fc_error *err)
{
    size_t there = 0;
    int rc = fc_new_files_finish(f->done, f->done_count, &there, err);

    if (rc == 0) {
        f->result->files += f->done_count - there;
        f->result->there += there;
    }
    f->done_count = 0;
    return rc;
}

static int write_piece(struct files *f, const struct fc_piece *piece, struct fc_error *err)
{
    const int from = (int)piece->from;
    struct fc_out *out = f->out[from];
    int rc = 0;

    if (f->file[from].fd < 0 && !f->left[from]) {
        char *path = path_of(f, from);
        rc = path ? fc_new_file_open(&f->file[from], path, &f->o->rights, err)
                  : fail(err, FC_E_NOMEM, "", "out of memory");
        out->fd = f->file[from].fd;
        out->failed = 0;
        out->len = 0;
        free(path);
    }
    if (rc || f->left[from])
        return rc;
    for (uint64_t at = 0; at < piece->len; at += 1 << 20) {
        uint64_t rest = piece->len - at;
        fc_out_bytes(out, (const char *)piece->data + at, rest < 1 << 20 ? (size_t)rest : 1 << 20);
    }
    f->result->bytes += piece->len;
    return out->failed ? fail(err, FC_E_IO, f->name[from], strerror(out->failed)) : 0;
}

static void tell_gap(struct files *f, const struct fc_piece *piece)
{
    char gap[96];

    f->result->gaps++;
    f->result->gap_bytes += piece->len;
    if (f->o->quiet || f->result->gaps > GAPS_TOLD)
        return;
    fc_bar_hold(f->o->bar);
    fc_complain("warning: %s: %s behind %" PRIu64 " bytes; left out", f->name[piece->from],
                fc_follow_gap(piece, gap, sizeof gap), piece->at);
    fc_bar_release(f->o->bar);
}

static void tell_progress(struct files *f)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    int64_t now = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
    if (now - f->told_ns < 200000000 || (!f->o->bar->terminal && !f->o->bar->lines))
        return;
    f->told_ns = now;
    fc_bar_show(f->o->bar, &f->progress);
}

static int write_pieces(struct files *f, struct fc_follow *follow, struct fc_error *err)
{
    struct fc_packets_result r;
    const struct fc_piece *piece;
    int rc;

    while ((rc = fc_follow_next(follow, &piece, err)) > 0) {
        if (f->left[piece->from])
            continue;
        if (piece->kind != FC_PIECE_DATA)
            tell_gap(f, piece);
        else if ((rc = write_piece(f, piece, err)))
            return rc;
        tell_progress(f);
    }
    fc_follow_result(follow, &r);
    f->result->missing += r.missing;
    f->progress.records += r.packets;
    f->progress.bytes_done += r.bytes_read;
    for (size_t i = 0; i < r.why_count && !f->o->quiet; i++) {
        char text[FC_ERROR_TEXT_MAX];
        fc_complain("warning: %s; left out", fc_error_text(&r.why[i], text, sizeof text));
    }
    return rc;
}

/* ---- sessions */

static int open_session(struct files *f, struct fc_db *db, int64_t id, struct fc_follow **out, struct fc_error *err)
{
    const struct fc_follow_options o = {.partial = f->o->partial, .stop = f->o->stop};
    const struct fc_id_range range = {id, id};
    struct fc_filter *filter = NULL;
    int rc = fc_filter_parse("", 0, &filter, NULL);

    if (rc == 0)
        rc = fc_filter_narrow(filter, &range, 1);
    if (rc)
        fail(err, rc, "", fc_strerror(rc));
    else
        rc = fc_follow_open(db, filter, &o, out, err);
    fc_filter_free(filter);
    return rc;
}

static int follow_one(struct files *f, struct fc_db *db, const struct fc_session *s, struct fc_error *err)
{
    struct fc_follow *follow = NULL;
    bool any = false;

    name_files(f, s);
    for (int from = 0; from < ENDS; from++) {
        char *path = path_of(f, from);
        if (!path)
            return fail(err, FC_E_NOMEM, "", "out of memory");
        bool there = faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
        f->result->there += there;
        f->left[from] = there || (f->o->direction >= 0 && from != FC_FROM_UNKNOWN && from != f->o->direction);
        any |= from != FC_FROM_UNKNOWN && !f->left[from];
        f->file[from] = (struct fc_new_file){.fd = -1};
        free(path);
    }
    f->result->sessions++;
    f->progress.sessions++;
    if (!any)
        return 0;
    int rc = open_session(f, db, s->id, &follow, err);
    if (rc == 0)
        rc = write_pieces(f, follow, err);
    fc_follow_close(follow);
    for (int from = 0; from < ENDS; from++) {
        if (f->file[from].fd < 0)
            continue;
        if (rc == 0 && fc_out_flush(f->out[from]))
            rc = fail(err, FC_E_IO, f->name[from], strerror(f->out[from]->failed));
        if (rc)
            fc_new_file_abandon(&f->file[from]);
        else
            f->done[f->done_count++] = f->file[from];
    }
    return rc == 0 && f->done_count + ENDS > FILES_AT_ONCE ? finish_files(f, err) : rc;
}

int fc_follow_to_files(struct fc_db *db, const struct fc_filter *filter, const struct fc_follow_files *o,
                       struct fc_follow_files_result *result, struct fc_error *err)
{
    struct fc_query_options all = {.limit = -1};
    struct files *f = calloc(1, sizeof *f);
    struct fc_query *query = NULL;
    struct fc_session row;
    int rc = f ? 0 : fail(err, FC_E_NOMEM, "", "out of memory");

    *result = (struct fc_follow_files_result){0};
    if (rc)
        return rc;
    f->o = o;
    f->result = result;
    f->progress.phase = FC_PHASE_READING;
    for (int i = 0; i < ENDS && rc == 0; i++)
        if (!(f->out[i] = calloc(1, sizeof *f->out[i])))
            rc = fail(err, FC_E_NOMEM, "", "out of memory");
    if (rc == 0)
        rc = fc_query_open(db, filter, &all, &query, err);
    while (rc == 0 && (rc = fc_query_next(query, &row, err)) > 0)
        rc = __atomic_load_n(o->stop, __ATOMIC_RELAXED) ? fail(err, FC_E_INTERRUPTED, "", "interrupted")
                                                        : follow_one(f, db, &row, err);
    fc_query_close(query);
    if (rc == 0) {
        rc = finish_files(f, err);
    } else {
        struct fc_error ignored; /* what is whole stays, as it would if the command had ended there */
        if (f->done_count)
            finish_files(f, &ignored);
    }
    for (int i = 0; i < ENDS; i++)
        free(f->out[i]);
    free(f);
    return rc;
}
