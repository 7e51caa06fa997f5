/* SPDX-License-Identifier: MIT */
/* Sessions leaving the table, and packets read again for the joining of runs. */
#include "base/error.h"
#include "capture/section.h"
#include "flow/positions.h"
#include "index/pipeline.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* True when the positions of one node follow those of the other in the same capture, each of them one segment. */
static bool follows(const struct fc_node *node, const struct fc_node *before)
{
    return node->deltas && before->deltas && node->first_file == before->first_file &&
           node->first_off > before->last_off;
}

/* The positions of nodes that follow each other, as one segment. */
static int concatenate(struct fc_emitter *e, struct fc_node *const *nodes, size_t n, size_t *len)
{
    size_t most = 3 * FC_VARINT_MAX;
    uint64_t packets = 0;
    int rc;

    for (size_t i = 0; i < n; i++) {
        most += nodes[i]->pos_len + FC_VARINT_MAX;
        packets += nodes[i]->run.packets[0] + nodes[i]->run.packets[1];
    }
    if ((rc = fc_buffer_reserve(&e->plain, most)))
        return rc;
    uint8_t *p = fc_varint_put(fc_varint_put(e->plain.data, nodes[0]->first_file), packets);
    p = fc_varint_put(p, nodes[0]->first_off);
    for (size_t i = 0; i < n; i++)
        p = fc_node_append(p, i ? nodes[i - 1] : NULL, nodes[i]);
    *len = (size_t)(p - e->plain.data);
    return 0;
}

static int collect_positions(struct fc_emitter *e, const struct fc_ended *ended, const uint8_t **plain, size_t *len)
{
    struct fc_node *const *nodes = ended->nodes;
    size_t n = ended->session->count, row = 1;
    int rc = 0;

    if (n == 1) {
        *plain = nodes[0]->pos;
        *len = nodes[0]->pos_len;
        return 0;
    }
    while (row < n && follows(nodes[row], nodes[row - 1]))
        row++;
    if (row == n) {
        rc = concatenate(e, nodes, n, len);
        *plain = e->plain.data;
        return rc;
    }
    fc_positions_clear(&e->positions);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = fc_positions_add(&e->positions, nodes[i]->pos, nodes[i]->pos_len);
    if (rc == 0 && (rc = fc_buffer_reserve(&e->plain, fc_positions_size(&e->positions) + 1)) == 0) {
        *len = fc_positions_write(&e->positions, e->plain.data);
        *plain = e->plain.data;
    }
    return rc;
}

int fc_emitter_emit(void *ctx, const struct fc_ended *ended)
{
    struct fc_emitter *e = ctx;
    const struct fc_joined *s = ended->session;
    struct fc_session_record r; /* `extra` is large and seldom there */
    const uint8_t *plain = NULL;
    size_t len = 0;

    r.key = *ended->key;
    r.run = s->run;
    r.db_id = s->db_id;
    r.prior_packets = 0;
    r.first_off = ended->nodes[0]->first_off;
    r.first_file = ended->nodes[0]->first_file;
    r.has_extra = s->has_extra;
    r.open = ended->open;
    r.unchanged = 0;
    r.blob = NULL;
    r.blob_len = 0;
    for (size_t i = 0; i < s->count; i++)
        r.prior_packets += ended->nodes[i]->prior_packets;
    int rc = collect_positions(e, ended, &plain, &len);
    if (rc)
        return fc_error_set(&e->err, rc, NULL, FC_NO_OFFSET, "cannot collect the positions of a session");
    if (s->has_extra)
        r.extra = s->extra;
    if (len && fc_blob_is_plain(len)) {
        r.blob = plain;
        r.blob_len = (uint32_t)len;
    } else if (len) {
        if ((rc = fc_blob_encode(plain, len, &e->blob)))
            return fc_error_set(&e->err, rc, NULL, FC_NO_OFFSET, "out of memory");
        r.blob = e->blob.data;
        r.blob_len = (uint32_t)e->blob.len;
    } else {
        r.unchanged = 1;
    }
    return fc_spool_add(e->spool, &r, &e->err);
}

void fc_emitter_fini(struct fc_emitter *e)
{
    fc_positions_fini(&e->positions);
    fc_buffer_fini(&e->plain);
    fc_buffer_fini(&e->blob);
}

static struct fc_scan_file *file_by_id(struct fc_pipeline *p, uint32_t id)
{
    uint32_t first = p->plan->count ? p->plan->files[0].id : 0;

    /* ids are consecutive */
    return id >= first && id - first < p->plan->count ? &p->files[id - first] : NULL;
}

/* Section of `off`, by the interfaces met so far. */
static int find_section(struct fc_replayer *r, struct fc_scan_file *f, uint64_t off, bool ng)
{
    int rc = 0;

    if (r->lock)
        pthread_mutex_lock(r->lock);
    if ((ng || f->iface_count > 1) && !fc_section_covers(&r->section, f->ifaces, f->iface_count, off)) {
        fc_section_free(&r->section);
        rc = fc_section_at(f->ifaces, f->iface_count, off, &r->section);
    }
    if (r->lock)
        pthread_mutex_unlock(r->lock);
    return rc;
}

static int find_point(void *ctx, uint64_t off, struct fc_seek_point *point, struct fc_error *err)
{
    struct fc_replay_file *file = ctx;

    return fc_feed_find(file->feed, off, point, &file->state, err);
}

/* The file among those that are open; else in the place of the one that was not used for longest. */
static int open_file(struct fc_replayer *r, struct fc_scan_file *f, struct fc_replay_file **out)
{
    struct fc_replay_file *oldest = &r->files[0];
    struct fc_error err;
    int rc;

    for (size_t i = 0; i < sizeof r->files / sizeof r->files[0]; i++) {
        if (r->files[i].id == f->plan->id) {
            *out = &r->files[i];
            return 0;
        }
        oldest = r->files[i].used < oldest->used ? &r->files[i] : oldest;
    }
    if (oldest->id)
        fc_file_close(&oldest->file);
    oldest->id = 0;
    if ((rc = fc_file_open(f->plan->file.path, &oldest->file, &err)))
        return rc;
    oldest->id = f->plan->id;
    oldest->feed = f->feed;
    if (oldest->file.source)
        fc_source_set_points(oldest->file.source, find_point, oldest);
    *out = oldest;
    return 0;
}

/* Gets the reader to the file and the section of `off`. */
static int aim(struct fc_replayer *r, struct fc_scan_file *f, uint64_t off)
{
    bool ng = f->plan->file.format == FC_FORMAT_PCAPNG;
    int rc;

    if (!r->reader.buf && (rc = fc_reader_init(&r->reader, 64 << 10)))
        return rc;
    if (!r->file || r->file->id != f->plan->id) {
        r->file = NULL;
        r->reader.file = NULL; /* what is buffered belongs to the other file */
        fc_section_free(&r->section);
        if ((rc = open_file(r, f, &r->file)))
            return rc;
    }
    r->file->used = ++r->uses;
    /* in a pcap of one part nothing but the file header holds */
    if ((rc = find_section(r, f, off, ng)) ||
        (rc = fc_reader_start(&r->reader, &r->file->file, off, UINT64_MAX, ng || r->section.off ? &r->section : NULL)))
        return rc;
    r->section.pcap = r->reader.section.pcap;
    return 0;
}

int fc_replayer_read(void *ctx, uint32_t file, uint64_t off, struct fc_packet *packet, int64_t *ts_ns,
                     uint32_t *origlen)
{
    struct fc_replayer *r = ctx;
    struct fc_scan_file *f = file_by_id(r->pipeline, file);
    struct fc_record rec;
    int rc;

    if (!f)
        return FC_E_MISSING; /* of an earlier run */
    if ((rc = aim(r, f, off)))
        return rc;
    rc = fc_reader_at(&r->reader, off, 4096, &rec);
    if (rc != 1)
        return rc;
    fc_decode(rec.link_type, rec.data, rec.caplen, rec.origlen, r->pipeline->settings->mask, packet);
    *ts_ns = rec.ts_ns;
    *origlen = rec.origlen;
    return 0;
}

void fc_replayer_fini(struct fc_replayer *r)
{
    for (size_t i = 0; i < sizeof r->files / sizeof r->files[0]; i++) {
        if (r->files[i].id)
            fc_file_close(&r->files[i].file);
        fc_buffer_fini(&r->files[i].state);
    }
    fc_reader_fini(&r->reader);
    fc_section_free(&r->section);
}
