/* SPDX-License-Identifier: MIT */
/* What the index remembers of loose fragments and their sessions, read and written. */
#include "base/error.h"
#include "index/held.h"

#include <stdlib.h>
#include <string.h>

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static int compare_place(const void *a, const void *b)
{
    return fc_held_compare_place(a, b);
}

static int compare_held(const void *a, const void *b)
{
    return fc_held_compare(a, b);
}

static int compare_id(const void *a, const void *b)
{
    const struct fc_held_session *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

struct fc_held_session *fc_held_find(const struct fc_held *h, int64_t id)
{
    struct fc_held_session want = {.id = id};

    return h->count ? bsearch(&want, h->sessions, h->count, sizeof want, compare_id) : NULL;
}

static int grow(void *list, size_t *room, size_t count, size_t size)
{
    void **p = list;

    if (count < *room)
        return 0;
    size_t more = *room ? *room * 2 : 16;
    void *bigger = realloc(*p, more * size);
    if (!bigger)
        return FC_E_NOMEM;
    *p = bigger;
    *room = more;
    return 0;
}

static int read_one(void *ctx, const struct fc_fragment *later, struct fc_node *rest)
{
    struct fc_held *h = ctx;

    if (grow(&h->read, &h->read_room, h->read_count, sizeof *h->read)) {
        free(later->node);
        free(rest);
        return FC_E_NOMEM;
    }
    h->read[h->read_count++] = *later;
    if (!rest)
        return 0;
    if (grow(&h->sessions, &h->room, h->count, sizeof *h->sessions)) {
        free(rest);
        return FC_E_NOMEM;
    }
    h->sessions[h->count++] = (struct fc_held_session){.id = later->held, .rest = rest};
    return 0;
}

/* Sorts, and drops what is there twice. */
static void sort_sessions(struct fc_held *h)
{
    size_t n = 0;

    if (h->count)
        qsort(h->sessions, h->count, sizeof *h->sessions, compare_id);
    for (size_t i = 0; i < h->count; i++)
        if (!n || h->sessions[n - 1].id != h->sessions[i].id)
            h->sessions[n++] = h->sessions[i];
        else
            free(h->sessions[i].rest);
    h->count = n;
}

/* One entry for each session that fragments were read of; `first` and `count` are those in `read`, which is sorted. */
static int make_sessions(struct fc_held *h)
{
    sort_sessions(h);
    size_t rests = h->count;

    for (size_t i = 0; i < h->read_count; i++) {
        if (i && h->read[i].held == h->read[i - 1].held)
            continue;
        struct fc_held_session want = {.id = h->read[i].held};
        if (rests && bsearch(&want, h->sessions, rests, sizeof want, compare_id))
            continue;
        if (grow(&h->sessions, &h->room, h->count, sizeof *h->sessions))
            return FC_E_NOMEM;
        h->sessions[h->count++] = want;
    }
    sort_sessions(h);
    for (size_t i = 0; i < h->read_count; i++) {
        struct fc_held_session *s = fc_held_find(h, h->read[i].held);
        s->first = s->count ? s->first : i;
        s->count++;
    }
    return 0;
}

struct check {
    const struct fc_held *held;
    struct fc_held_session *session;
    bool good;
};

/* The row, its rest and its fragments must be of one mind; else the session stays as it is. */
static int check_row(void *ctx, const struct fc_flow_key *key, int64_t id, const struct fc_run *run)
{
    struct check *c = ctx;
    struct fc_held_session *s = c->session;
    uint64_t packets = s->count;

    (void)id;
    s->key = *key;
    if (s->rest)
        packets += s->rest->run.packets[0] + s->rest->run.packets[1];
    c->good = packets == run->packets[0] + run->packets[1];
    for (size_t i = s->first; i < s->first + s->count && c->good; i++) {
        const struct fc_fragment *f = &c->held->read[i];
        c->good = memcmp(&f->flow, key, sizeof *key) == 0 && (i == s->first || fc_held_compare_place(f - 1, f) != 0);
    }
    return 0;
}

/* Drops sessions whose remembered state is not good, and their fragments. */
static int check_sessions(struct fc_held *h, struct fc_writer *writer, struct fc_error *err)
{
    size_t n = 0;

    for (size_t i = 0; i < h->count; i++) {
        struct check c = {h, &h->sessions[i], false};
        int rc = fc_writer_prior(writer, c.session->id, check_row, &c, err);
        if (rc)
            return rc;
        struct fc_held_session s = h->sessions[i];
        h->sessions[i].rest = NULL;
        if (c.good) {
            h->sessions[n++] = s;
            continue;
        }
        free(s.rest);
        for (size_t k = s.first; k < s.first + s.count; k++) {
            free(h->read[k].node);
            h->read[k].node = NULL;
        }
    }
    h->count = n;
    return 0;
}

static int hand_on(struct fc_held *h, struct fc_fragments *fragments)
{
    int rc = 0;

    if (h->read_count)
        qsort(h->read, h->read_count, sizeof *h->read, compare_place);
    for (size_t i = 0; i < h->read_count && rc == 0; i++) {
        struct fc_fragment f = h->read[i];
        h->read[i].node = NULL;
        rc = f.node ? fc_fragments_restore_loose(fragments, &f) : 0;
    }
    return rc;
}

int fc_held_load(struct fc_held *h, struct fc_writer *writer, struct fc_fragments *fragments, bool want_extra,
                 struct fc_error *err)
{
    h->writer = writer;
    int rc = fc_writer_loose(writer, want_extra, read_one, h, err);

    if (rc)
        return rc == FC_E_NOMEM ? no_memory(err) : rc;
    if (!h->read_count)
        return 0;
    qsort(h->read, h->read_count, sizeof *h->read, compare_held);
    if (make_sessions(h))
        return no_memory(err);
    if ((rc = check_sessions(h, writer, err)))
        return rc;
    return hand_on(h, fragments) ? no_memory(err) : 0;
}

static int release_one(const struct fc_held *h, const struct fc_held_session *s, struct fc_writer *writer,
                       struct fc_error *err)
{
    struct fc_release release = {.id = s->id, .whole = !s->keeps, .gone = s->gone};
    struct fc_place *places = calloc(s->count + 1, sizeof *places);
    int rc;

    if (!places)
        return no_memory(err);
    for (size_t i = 0; i < s->count; i++) {
        const struct fc_fragment *f = h->members[s->first + i].fragment;
        places[i] = (struct fc_place){f->file, f->off};
    }
    release.places = places;
    release.count = s->count;
    rc = fc_writer_release(writer, &release, err);
    free(places);
    return rc;
}

static int compare_session(const void *a, const void *b)
{
    const struct fc_held_loose *x = a, *y = b;
    int order = memcmp(&x->fragment->flow, &y->fragment->flow, sizeof x->fragment->flow);

    if (order)
        return order;
    if (x->first_file != y->first_file)
        return x->first_file < y->first_file ? -1 : 1;
    return x->first_off < y->first_off ? -1 : x->first_off > y->first_off;
}

/* The first of the loose fragments of a session, or where it would be. */
static size_t first_of(const struct fc_held *h, const struct fc_session_record *r)
{
    struct fc_fragment at = {.flow = r->key};
    struct fc_held_loose want = {.fragment = &at, .first_file = r->first_file, .first_off = r->first_off};
    size_t lo = 0, hi = h->loose_count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare_session(&h->loose[mid], &want) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool is_of(const struct fc_held *h, size_t i, const struct fc_session_record *r)
{
    return i < h->loose_count && h->loose[i].fragment->held == r->db_id && h->loose[i].first_file == r->first_file &&
           h->loose[i].first_off == r->first_off && memcmp(&h->loose[i].fragment->flow, &r->key, sizeof r->key) == 0;
}

int fc_held_fields(struct fc_held *h, int64_t id, struct fc_extra *extra, struct fc_error *err)
{
    if (grow(&h->whole, &h->whole_room, h->whole_count, sizeof *h->whole))
        return no_memory(err);
    h->whole[h->whole_count++] = id;
    return fc_writer_take_fields(h->writer, id, extra, err);
}

static int compare_whole(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

bool fc_held_whole(const struct fc_held *h, int64_t id)
{
    return fc_held_find(h, id) || (h->whole_count && bsearch(&id, h->whole, h->whole_count, sizeof id, compare_whole));
}

int fc_held_release(struct fc_held *h, struct fc_writer *writer, struct fc_error *err)
{
    int rc = 0;

    if (h->loose_count)
        qsort(h->loose, h->loose_count, sizeof *h->loose, compare_session);
    if (h->whole_count)
        qsort(h->whole, h->whole_count, sizeof *h->whole, compare_whole);
    for (size_t i = 0; i < h->count && rc == 0; i++)
        rc = release_one(h, &h->sessions[i], writer, err);
    return rc;
}

int fc_held_written(struct fc_held *h, struct fc_writer *writer, const struct fc_session_record *r, int64_t id,
                    struct fc_error *err)
{
    const struct fc_held_session *s = r->db_id ? fc_held_find(h, r->db_id) : NULL;

    if (h->loose_count && !r->db_id)
        for (size_t i = first_of(h, r); is_of(h, i, r); i++)
            h->loose[i].fragment->held = id;
    return s && s->moved ? fc_writer_add_ports(writer, id, &r->key, err) : 0;
}

static int compare_file(const void *a, const void *b)
{
    return fc_held_compare_place(((const struct fc_held_loose *)a)->fragment,
                                 ((const struct fc_held_loose *)b)->fragment);
}

int fc_held_save(struct fc_held *h, struct fc_writer *writer, struct fc_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < h->count && rc == 0; i++)
        if (h->sessions[i].gone || h->sessions[i].moved)
            rc = fc_writer_drop_ports(writer, h->sessions[i].id, &h->sessions[i].key, err);
    if (h->loose_count)
        qsort(h->loose, h->loose_count, sizeof *h->loose, compare_file);
    for (size_t i = 0; i < h->loose_count && rc == 0; i++) {
        const struct fc_held_loose *l = &h->loose[i];
        if (l->fragment->held)
            rc = fc_writer_add_loose(writer, l->fragment, l->rest, err);
    }
    return rc;
}

void fc_held_fini(struct fc_held *h)
{
    for (size_t i = 0; i < h->read_count; i++)
        free(h->read[i].node);
    for (size_t i = 0; i < h->addition_count; i++)
        free(h->additions[i].node);
    for (size_t i = 0; i < h->count; i++)
        free(h->sessions[i].rest);
    for (size_t i = 0; i < h->loose_count; i++)
        free(h->loose[i].rest);
    free(h->whole);
    free(h->read);
    free(h->sessions);
    free(h->members);
    free(h->additions);
    free(h->loose);
    memset(h, 0, sizeof *h);
}
