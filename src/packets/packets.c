/* SPDX-License-Identifier: MIT */
#include "packets/packets.h"
#include "base/error.h"
#include "base/export.h"
#include "base/heap.h"
#include "flow/key.h"
#include "store/db.h"

#include <stdlib.h>
#include <string.h>

static inline bool is_before(const size_t *a, const size_t *b, const struct fc_packets *p)
{
    const struct fc_record_source *x = &p->sources[*a], *y = &p->sources[*b];

    if (x->order_ns != y->order_ns && p->by_time)
        return x->order_ns < y->order_ns;
    return x->f->stored->id < y->f->stored->id;
}

FC_HEAP(sources, size_t, const struct fc_packets *, is_before)

static int compare_start(const void *a, const void *b)
{
    const struct fc_place_file *x = *(struct fc_place_file *const *)a, *y = *(struct fc_place_file *const *)b;

    if (x->stored->first_ns != y->stored->first_ns)
        return x->stored->first_ns < y->stored->first_ns ? -1 : 1;
    return x->stored->id < y->stored->id ? -1 : x->stored->id > y->stored->id;
}

int fc_packets_find(struct fc_packets *p, struct fc_db *db, const struct fc_filter *filter,
                    const struct fc_packets_options *options, fc_places_examine *examine, void *ctx,
                    struct fc_error *err)
{
    p->by_time = options->order == FC_PACKETS_BY_TIME && !options->positions;
    p->read = !options->positions;
    p->counted = options->numbers;
    p->db_path = db->path;
    return fc_places_make(&p->places, db, filter, options, examine, ctx, err);
}

int fc_packets_start(struct fc_packets *p, struct fc_error *err)
{
    size_t n = 0;

    for (size_t i = 0; i < p->places.stored.count; i++)
        n += p->places.files[i].count != 0;
    p->waiting = calloc(n + 1, sizeof *p->waiting);
    p->sources = calloc(n + 1, sizeof *p->sources);
    p->heap = calloc(n + 1, sizeof *p->heap);
    if (p->counted)
        p->numbers = calloc(n + 1, sizeof *p->numbers);
    if (!p->waiting || !p->sources || !p->heap || (p->counted && !p->numbers))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    for (size_t i = 0; i < p->places.stored.count; i++)
        if (p->places.files[i].count)
            p->waiting[p->file_count++] = &p->places.files[i];
    if (p->by_time)
        qsort(p->waiting, p->file_count, sizeof *p->waiting, compare_start);
    return 0;
}

static void close_source(struct fc_packets *p, size_t i)
{
    p->bytes_read += p->sources[i].bytes_read;
    p->bytes_decoded += p->sources[i].bytes_decoded;
    p->sources[i].bytes_read = p->sources[i].bytes_decoded = 0;
    fc_record_source_fini(&p->sources[i]);
    if (p->numbers)
        fc_numbers_fini(&p->numbers[i]);
}

/* Opens the captures whose turn has come: those that start no later than the earliest record at hand. */
static int open_due(struct fc_packets *p, struct fc_error *err)
{
    while (p->opened < p->file_count) {
        struct fc_place_file *f = p->waiting[p->opened];
        struct fc_record_source *s = &p->sources[p->opened];
        int rc;
        if (p->live && (!p->by_time || f->stored->first_ns > p->sources[p->heap[0]].order_ns))
            break;
        if (p->numbers && (rc = fc_numbers_count(&p->numbers[p->opened], &p->places, f, err)))
            return rc;
        if ((rc = fc_record_source_init(s, &p->places, f, p->by_time, err)))
            return rc;
        p->heap[p->live++] = p->opened++;
        if ((rc = fc_record_source_next(s, err)) < 0)
            return rc;
        if (rc == 0) /* partial: nothing of it is left */
            p->live--;
        else
            sources_rise(p->heap, p->live - 1, p);
    }
    return 0;
}

/* Goes on behind the record that was given last. */
static int advance(struct fc_packets *p, struct fc_error *err)
{
    struct fc_record_source *s = &p->sources[p->heap[0]];
    int rc = fc_record_source_next(s, err);

    if (rc < 0)
        return rc;
    if (rc == 0) {
        if (p->at_end && (rc = p->at_end(p->at_end_ctx, s->f, err)))
            return rc;
        close_source(p, p->heap[0]);
        p->heap[0] = p->heap[--p->live];
    }
    sources_sink(p->heap, p->live, 0, p);
    return 0;
}

/* All is given: what `partial` has left out is told, and sessions are looked at as a whole. */
static int finish(struct fc_packets *p, struct fc_error *err)
{
    struct fc_places *places = &p->places;
    uint64_t changed = places->changed;

    places->changed = 0;
    if (changed && fc_places_note(places, &places->changed_why, changed))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    return fc_places_check(places, p->db_path, err);
}

int fc_packets_step(struct fc_packets *p, struct fc_record_source **source, struct fc_error *err)
{
    int rc = 0;

    if ((p->packets & 0x3ff) == 0 && fc_places_stopped(&p->places))
        return fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
    if (p->started)
        rc = advance(p, err);
    if (rc == 0)
        rc = open_due(p, err);
    if (rc)
        return rc;
    p->started = p->live != 0;
    if (!p->live)
        return finish(p, err);
    p->packets++;
    *source = &p->sources[p->heap[0]];
    return 1;
}

void fc_packets_stop(struct fc_packets *p)
{
    for (size_t i = 0; i < p->opened; i++)
        close_source(p, i);
    if (p->numbers && p->opened < p->file_count) /* one that could not be opened */
        fc_numbers_fini(&p->numbers[p->opened]);
    free(p->waiting);
    free(p->sources);
    free(p->numbers);
    free(p->heap);
    free(p->bytes);
}

void fc_packets_fini(struct fc_packets *p)
{
    fc_packets_stop(p);
    fc_places_fini(&p->places);
}

FC_EXPORT int fc_packets_open(struct fc_db *db, const struct fc_filter *filter,
                              const struct fc_packets_options *options, struct fc_packets **out, struct fc_error *err)
{
    static const struct fc_packets_options none = {0};
    struct fc_packets *p = calloc(1, sizeof *p);
    int rc;

    if (!p)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    rc = fc_packets_find(p, db, filter, options ? options : &none, NULL, NULL, err);
    if (rc == 0)
        rc = fc_packets_start(p, err);
    if (rc)
        fc_packets_close(p);
    else
        *out = p;
    return rc;
}

enum fc_from fc_packets_sender(const struct fc_place_session *session, const struct fc_packet *packet)
{
    const struct fc_flow_key *key = &session->key;
    int dir = packet->dir;

    if (packet->frag == FC_FRAG_LATER || memcmp(key->addr, packet->key.addr, sizeof key->addr) != 0)
        dir = fc_key_dir(key, packet);
    if (dir < 0)
        return FC_FROM_UNKNOWN;
    return dir == session->client ? FC_FROM_CLIENT : FC_FROM_SERVER;
}

static void fill(struct fc_packets *p, const struct fc_record_source *s)
{
    struct fc_session_packet *now = &p->now;

    now->session = s->session->id;
    now->nth = (uint64_t)(s->session - p->places.sessions);
    now->from = fc_packets_sender(s->session, &s->packet);
    now->file = s->f->stored->id;
    now->path = s->f->stored->path;
    now->off = s->rec.off;
    now->number = p->numbers ? fc_numbers_find(&p->numbers[p->heap[0]], s->rec.off) : 0;
    now->record = s->rec;
    now->packet = s->packet;
}

/* The next position, without its capture. */
static int next_position(struct fc_packets *p, struct fc_error *err)
{
    if ((p->packets & 0xffff) == 0 && fc_places_stopped(&p->places))
        return fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
    if (p->opened == p->file_count)
        return 0;
    const struct fc_place_file *f = p->waiting[p->opened];
    const struct fc_place *place = &f->pos[p->place++];
    p->now = (struct fc_session_packet){.session = p->places.sessions[place->session].id,
                                        .nth = place->session,
                                        .from = FC_FROM_UNKNOWN,
                                        .file = f->stored->id,
                                        .path = f->stored->path,
                                        .off = place->off,
                                        .record = {.off = place->off, .ts_ns = FC_TIME_NONE}};
    if (p->place == f->count) {
        p->place = 0;
        p->opened++;
    }
    p->packets++;
    return 1;
}

FC_EXPORT int fc_packets_next(struct fc_packets *p, const struct fc_session_packet **packet, struct fc_error *err)
{
    struct fc_record_source *source;
    int rc = p->failed;

    if (p->held) {
        p->held = false;
        *packet = &p->now;
        return 1;
    }
    if (rc == 0) {
        rc = p->read ? fc_packets_step(p, &source, &p->why) : next_position(p, &p->why);
        p->failed = rc < 0 ? rc : 0;
    }
    if (rc < 0 && err)
        *err = p->why;
    if (rc == 1 && p->read)
        fill(p, source);
    *packet = &p->now;
    return rc;
}

FC_EXPORT int64_t fc_packets_batch(struct fc_packets *p, struct fc_session_packet *batch, size_t room,
                                   struct fc_error *err)
{
    enum { BYTES = 1 << 20 };
    const struct fc_session_packet *packet;
    size_t count = 0, used = 0;
    int rc = 0;

    while (count < room && (rc = fc_packets_next(p, &packet, err)) > 0) {
        size_t len = packet->record.data ? packet->record.caplen : 0;
        if (count && used + len > p->bytes_room) {
            p->held = true;
            break;
        }
        if (len > p->bytes_room || !p->bytes) { /* the first of a batch: nothing points to the old ones */
            size_t want = len > BYTES ? len : BYTES;
            free(p->bytes);
            p->bytes_room = (p->bytes = malloc(want)) ? want : 0;
        }
        if (!p->bytes) {
            p->held = true;
            return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        }
        batch[count] = *packet;
        if (len)
            batch[count].record.data = memcpy(p->bytes + used, packet->record.data, len);
        used += len;
        count++;
    }
    return count ? (int64_t)count : rc;
}

FC_EXPORT void fc_packets_result(const struct fc_packets *p, struct fc_packets_result *result)
{
    *result = (struct fc_packets_result){.sessions = p->places.session_count,
                                         .packets = p->packets - p->held,
                                         .bytes_read = p->bytes_read,
                                         .bytes_decoded = p->bytes_decoded,
                                         .missing = p->places.packets_missing,
                                         .forgotten = p->places.forgotten,
                                         .forgotten_ns = p->places.forgotten_ns,
                                         .why = p->places.missing,
                                         .why_count = p->places.missing_count};
    for (size_t i = 0; i < p->opened && p->read; i++) {
        result->bytes_read += p->sources[i].bytes_read;
        result->bytes_decoded += p->sources[i].bytes_decoded;
    }
}

FC_EXPORT void fc_packets_close(struct fc_packets *p)
{
    if (!p)
        return;
    if (!p->read)
        p->opened = 0;
    fc_packets_fini(p);
    free(p);
}
