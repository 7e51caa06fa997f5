/* SPDX-License-Identifier: MIT */
#include "source.h"
#include "packets.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DAMAGES_KEPT = 65536,
    BATCH = 256,
    BLOCK = 8 /* packets whose cells are written together: what is decoded of them stays in the nearest cache */
};

struct fcpy_source {
    pthread_mutex_t lock; /* of all that follows */
    unsigned references;
    /* one of them, none when closed */
    struct fc_capture *capture;
    struct fc_packets *packets;
    struct fc_look *look;
    bool strict;        /* damage ends it */
    uint64_t last_lost; /* offset of the last damage */
    int failed;         /* what later calls repeat, with: */
    struct fc_error why;
    struct fcpy_told told;
    struct fc_damage *damage;
    size_t damage_room;
    /* the next packet, that did not fit into the call before; what it points to is valid */
    bool waits;
    const struct fc_session_packet *next;
    struct fc_session_packet own[BLOCK]; /* of a capture, in turn */
    unsigned own_at;
    struct fc_session_packet *batch;
    size_t batch_count, batch_at;
};

static struct fcpy_source *new_source(void)
{
    struct fcpy_source *s = calloc(1, sizeof *s);

    if (s) {
        pthread_mutex_init(&s->lock, NULL);
        s->references = 1;
    }
    return s;
}

struct fcpy_source *fcpy_source_capture(struct fc_capture *capture, int strict)
{
    struct fcpy_source *s = new_source();

    if (s) {
        s->capture = capture;
        s->strict = strict;
    }
    return s;
}

struct fcpy_source *fcpy_source_packets(struct fc_packets *packets)
{
    struct fcpy_source *s = new_source();

    if (s && !(s->batch = malloc(BATCH * sizeof *s->batch))) {
        fcpy_source_free(s);
        return NULL;
    }
    if (s)
        s->packets = packets;
    return s;
}

struct fcpy_source *fcpy_source_look(struct fc_look *look)
{
    struct fcpy_source *s = new_source();

    if (s)
        s->look = look;
    return s;
}

struct fcpy_source *fcpy_source_share(struct fcpy_source *s)
{
    pthread_mutex_lock(&s->lock);
    s->references++;
    pthread_mutex_unlock(&s->lock);
    return s;
}

static void close_inside(struct fcpy_source *s)
{
    fc_capture_close(s->capture);
    fc_packets_close(s->packets);
    fc_look_close(s->look);
    s->capture = NULL;
    s->packets = NULL;
    s->look = NULL;
    s->waits = false;
    s->batch_count = s->batch_at = 0;
}

void fcpy_source_close(struct fcpy_source *s)
{
    pthread_mutex_lock(&s->lock);
    close_inside(s);
    pthread_mutex_unlock(&s->lock);
}

void fcpy_source_free(struct fcpy_source *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    bool last = --s->references == 0;
    pthread_mutex_unlock(&s->lock);
    if (!last)
        return;
    close_inside(s);
    pthread_mutex_destroy(&s->lock);
    free(s->damage);
    free(s->batch);
    free(s);
}

static int no_memory(struct fc_error *err)
{
    *err = (struct fc_error){.code = FC_E_NOMEM, .off = FC_NO_OFFSET, .cause = "out of memory"};
    return FC_E_NOMEM;
}

static int note_damage(struct fcpy_source *s, const struct fc_damage *lost, struct fc_error *err)
{
    size_t at = s->told.damages;

    if (at == s->damage_room && at < DAMAGES_KEPT) {
        size_t room = at ? at * 2 : 16;
        struct fc_damage *bigger = realloc(s->damage, room * sizeof *bigger);
        if (!bigger)
            return no_memory(err);
        s->damage = bigger;
        s->damage_room = room;
    }
    if (at < s->damage_room)
        s->damage[at] = *lost;
    s->told.damages++;
    s->told.lost_bytes += lost->length;
    return 0;
}

/* Where the last packet of a capture is. */
static struct fc_session_packet *own_last(struct fcpy_source *s)
{
    return &s->own[(s->own_at - 1) % BLOCK];
}

/* As fc_capture_next(); damage is passed over. */
static int next_record(struct fcpy_source *s, struct fc_error *err)
{
    struct fc_session_packet *own = &s->own[s->own_at++ % BLOCK];
    struct fc_damage lost;
    int rc, end;

    while ((rc = fc_capture_next(s->capture, &own->record, err)) == FC_E_DAMAGED && !s->strict) {
        if ((end = fc_capture_resync(s->capture, &lost, err)))
            return end;
        if (s->told.damages && lost.off == s->last_lost) /* a record that the file ends in is told each time */
            return 0;
        s->last_lost = lost.off;
        if ((end = note_damage(s, &lost, err)))
            return end;
    }
    if (rc == 1) {
        own->off = own->record.off;
        own->number = ++s->told.records;
        s->told.record_bytes += own->record.next_off - own->record.off;
        s->next = own;
    }
    return rc;
}

static int next_of_sessions(struct fcpy_source *s, struct fc_error *err)
{
    if (s->batch_at == s->batch_count) {
        int64_t got = fc_packets_batch(s->packets, s->batch, BATCH, err);

        s->batch_at = s->batch_count = 0;
        if (got <= 0)
            return (int)got;
        s->batch_count = (size_t)got;
    }
    s->next = &s->batch[s->batch_at++];
    s->told.records++;
    return 1;
}

/* 1, 0 at the end, FCPY_QUIET, or a code. */
static int next_packet(struct fcpy_source *s, struct fc_error *err)
{
    if (s->waits) {
        s->waits = false;
        return 1;
    }
    if (s->capture)
        return next_record(s, err);
    if (s->packets)
        return next_of_sessions(s, err);
    if (s->look) {
        int rc = fc_look_next(s->look, &s->next, err);
        s->told.records += rc == 1;
        return rc == FC_LOOK_QUIET ? FCPY_QUIET : rc;
    }
    *err = (struct fc_error){.code = FC_E_USAGE, .off = FC_NO_OFFSET, .cause = "it is closed"};
    return FC_E_USAGE;
}

/* How many packets may wait until their cells are written: what is given of bytes is gone with the next packet. */
static size_t block_of(const struct fcpy_source *s, const struct fcpy_cell *cells, size_t count)
{
    bool bytes = s->look; /* as they come */

    for (size_t i = 0; i < count; i++)
        bytes |= cells[i].cell == FCPY_CELL_BYTES;
    return bytes ? 1 : BLOCK;
}

/* The next packet, decoded, its bytes in the arena; false: there is none, or, with *rc 1, no room for it. */
static bool take_packet(struct fcpy_source *s, uint32_t want, uint8_t *arena, size_t arena_left, int *rc)
{
    if ((*rc = s->failed ? s->failed : next_packet(s, &s->why)) != 1)
        return false;
    const struct fc_record *record = &s->next->record;
    if (arena && record->caplen > arena_left) {
        s->waits = true;
        return false;
    }
    if (arena && record->caplen)
        memcpy(arena, record->data, record->caplen);
    if (s->capture && want)
        fc_decode(record->link_type, record->data, record->caplen, record->origlen, want, &own_last(s)->packet);
    return true;
}

static int64_t take_packets(struct fcpy_source *s, uint32_t want, const struct fcpy_cell *cells, size_t count,
                            size_t room, uint8_t *base, uint8_t *arena, size_t arena_size, uint64_t *need)
{
    size_t rows = 0, used = 0, block = block_of(s, cells, count), n;
    struct fcpy_given given[BLOCK];
    int rc = 1;

    do {
        size_t most = room - rows < block ? room - rows : block;

        for (n = 0; n < most && take_packet(s, want, arena ? arena + used : NULL, arena_size - used, &rc);) {
            given[n++] = (struct fcpy_given){s->next, (uint32_t)used};
            used += arena ? s->next->record.caplen : 0;
            if (s->packets && s->batch_at == s->batch_count) /* the next ones take the place of these */
                break;
        }
        fcpy_packet_columns(cells, count, given, n, base, rows);
        rows += n;
    } while (n && rows < room && rc == 1 && !s->waits && !s->look);
    if (s->waits && rows == 0)
        *need = s->next->record.caplen;
    if (rc < 0 && rc != FCPY_QUIET && (s->capture || s->packets || s->look))
        s->failed = rc;
    return rows ? (int64_t)rows : rc == 1 ? 0 : rc;
}

int64_t fcpy_source_next(struct fcpy_source *s, uint32_t want, const struct fcpy_cell *cells, size_t count, size_t room,
                         void *base, uint8_t *arena, size_t arena_size, uint64_t *need, struct fc_error *err)
{
    *need = 0;
    pthread_mutex_lock(&s->lock);
    int64_t rows = take_packets(s, want, cells, count, room, base, arena, arena_size, need);
    if (rows < 0 && err)
        *err = s->why;
    pthread_mutex_unlock(&s->lock);
    return rows;
}

int fcpy_source_rewind(struct fcpy_source *s, struct fc_error *err)
{
    int rc = FC_E_USAGE;

    pthread_mutex_lock(&s->lock);
    if (s->capture)
        rc = s->told.records || s->told.damages || s->failed ? fc_capture_seek(s->capture, 0, err) : 0;
    else
        *err = (struct fc_error){.code = FC_E_USAGE, .off = FC_NO_OFFSET, .cause = "it is closed"};
    if (rc == 0) {
        s->failed = 0;
        s->waits = false;
        s->told = (struct fcpy_told){0};
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

void fcpy_source_told(struct fcpy_source *s, struct fcpy_told *told)
{
    pthread_mutex_lock(&s->lock);
    *told = s->told;
    pthread_mutex_unlock(&s->lock);
}

size_t fcpy_source_damage(struct fcpy_source *s, size_t first, struct fc_damage *damage, size_t room)
{
    size_t n = 0;

    pthread_mutex_lock(&s->lock);
    size_t kept = s->told.damages < DAMAGES_KEPT ? s->told.damages : DAMAGES_KEPT;
    while (n < room && first + n < kept) {
        damage[n] = s->damage[first + n];
        n++;
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* A packet that waits points into the handle, and is read again behind another call on that. */
static void read_again(struct fcpy_source *s)
{
    struct fc_record *record = &own_last(s)->record;

    if (s->waits &&
        (fc_capture_seek(s->capture, record->off, &s->why) || fc_capture_next(s->capture, record, &s->why) != 1)) {
        s->waits = false;
        s->failed = FC_E_IO;
    }
}

size_t fcpy_source_interfaces(struct fcpy_source *s, size_t first, struct fc_interface *list, size_t room)
{
    size_t count = 0, n = 0;

    pthread_mutex_lock(&s->lock);
    const struct fc_interface *all = s->capture ? fc_capture_interfaces(s->capture, &count) : NULL;
    while (n < room && first + n < count) {
        list[n] = all[first + n];
        n++;
    }
    read_again(s);
    pthread_mutex_unlock(&s->lock);
    return n;
}

int fcpy_source_packets_result(struct fcpy_source *s, struct fc_packets_result *result)
{
    pthread_mutex_lock(&s->lock);
    bool has = s->packets;
    if (has)
        fc_packets_result(s->packets, result);
    pthread_mutex_unlock(&s->lock);
    return has;
}

int fcpy_source_why(struct fcpy_source *s, size_t number, struct fc_error *why)
{
    struct fc_packets_result result = {0};

    pthread_mutex_lock(&s->lock);
    if (s->packets)
        fc_packets_result(s->packets, &result);
    bool has = number < result.why_count;
    if (has)
        *why = result.why[number];
    pthread_mutex_unlock(&s->lock);
    return has;
}

int fcpy_source_look_result(struct fcpy_source *s, struct fc_look_result *result)
{
    pthread_mutex_lock(&s->lock);
    bool has = s->look;
    if (has)
        fc_look_result(s->look, result);
    pthread_mutex_unlock(&s->lock);
    return has;
}
