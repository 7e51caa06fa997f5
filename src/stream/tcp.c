/* SPDX-License-Identifier: MIT */
#include "stream/tcp.h"
#include "base/vector.h"

#include <string.h>

/* No window is larger (RFC 7323): what starts further behind is no old segment. */
#define WINDOW ((uint32_t)1 << 30)

/* The place of a sequence number; *behind: how far it is in front of what is expected, else 0. */
static uint64_t place_of(const struct fc_tcp_side *s, uint32_t seq, uint32_t *behind)
{
    uint32_t ahead = seq - s->next_seq;

    *behind = -ahead <= WINDOW ? -ahead : 0;
    return *behind ? s->next : s->next + ahead;
}

static void move_on(struct fc_tcp_side *s, uint64_t bytes)
{
    s->next += bytes;
    s->next_seq += (uint32_t)bytes;
}

/* Passes over a FIN that has come and stands at `next`: no byte. */
static void pass_fin(struct fc_tcp_side *s)
{
    move_on(s, 1);
    s->fins++;
}

static void tell(struct fc_tcp_side *s, enum fc_piece_kind kind, const uint8_t *data, uint64_t len,
                 const struct fc_piece *where, struct fc_piece_queue *out)
{
    struct fc_piece piece = *where;

    if (!len)
        return;
    piece.kind = kind;
    piece.at = s->next - s->fins;
    piece.len = len;
    piece.data = data;
    fc_queue_add(out, &piece);
    move_on(s, len);
}

/* Bytes that stand at `next`. */
static void deliver(struct fc_tcp_side *s, const uint8_t *data, uint32_t captured, uint32_t len,
                    const struct fc_piece *where, struct fc_piece_queue *out)
{
    if (captured > len)
        captured = len;
    tell(s, FC_PIECE_DATA, data, captured, where, out);
    tell(s, FC_PIECE_CUT, NULL, len - captured, where, out);
}

static struct fc_tcp_waiting *front(const struct fc_tcp_side *s)
{
    return s->count ? s->waiting[s->first] : NULL;
}

/* Delivers what waits for no gap any more. */
static void release(struct fc_tcp_side *s, struct fc_piece_queue *out)
{
    struct fc_tcp_waiting *w;

    while ((w = front(s)) && w->at == s->next) {
        deliver(s, w->data, w->captured, w->len, &w->where, out);
        s->waiting_bytes -= w->captured;
        s->first++;
        s->count--;
        fc_queue_keep(out, w);
    }
    if (!s->count)
        s->first = 0;
}

/* A FIN at `next`, and nothing else, is in front of `at`. */
static bool only_fin(const struct fc_tcp_side *s, uint64_t at)
{
    return s->has_fin && s->fin_at == s->next && at == s->next + 1;
}

/* Tells the gap in front of the first that waits. */
static void give_up(struct fc_tcp_side *s, struct fc_piece_queue *out)
{
    const struct fc_tcp_waiting *w = front(s);

    if (only_fin(s, w->at))
        pass_fin(s);
    tell(s, FC_PIECE_MISSING, NULL, w->at - s->next, &w->where, out);
    release(s, out);
}

/* Where in the list a place belongs: before the first one that ends behind it. */
static size_t find(const struct fc_tcp_side *s, uint64_t at)
{
    size_t low = 0, high = s->count;
    const struct fc_tcp_waiting *last = s->count ? s->waiting[s->first + s->count - 1] : NULL;

    if (last && last->at + last->len <= at) /* nearly always */
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct fc_tcp_waiting *w = s->waiting[s->first + middle];
        if (w->at + w->len <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Makes room for one more at the end of the array. */
static int reserve(struct fc_tcp_side *s)
{
    if (s->first && s->first + s->count == s->room) {
        memmove(s->waiting, s->waiting + s->first, s->count * sizeof(struct fc_tcp_waiting *));
        s->first = 0;
    }
    return fc_vector_reserve(&s->waiting, &s->room, s->first + s->count + 1, sizeof *s->waiting);
}

/* Copies bytes to the list as its i-th. */
static int insert(struct fc_tcp_side *s, size_t i, uint64_t at, const uint8_t *data, uint32_t captured, uint32_t len,
                  const struct fc_piece *where)
{
    if (captured > len)
        captured = len;
    struct fc_tcp_waiting *w = malloc(sizeof *w + captured), **to;
    if (!w || reserve(s)) {
        free(w);
        return FC_E_NOMEM;
    }
    *w = (struct fc_tcp_waiting){.at = at, .len = len, .captured = captured, .where = *where};
    if (captured)
        memcpy(w->data, data, captured);
    to = s->waiting + s->first + i;
    memmove(to + 1, to, (s->count - i) * sizeof(struct fc_tcp_waiting *));
    *to = w;
    s->count++;
    s->waiting_bytes += captured;
    return 0;
}

/* Puts the bytes at `at` aside that are not there yet. */
static void put_aside(struct fc_tcp_side *s, uint64_t at, const uint8_t *data, uint32_t captured, uint32_t len,
                      const struct fc_piece *where, struct fc_piece_queue *out)
{
    size_t i = find(s, at);

    while (len) {
        const struct fc_tcp_waiting *w = i < s->count ? s->waiting[s->first + i] : NULL;
        uint64_t skip = 0, n = len;
        if (w && w->at <= at) /* these came first */
            n = skip = w->at + w->len - at < len ? w->at + w->len - at : len;
        else if (w && w->at - at < len)
            n = w->at - at;
        if (!skip && insert(s, i, at, data, captured, (uint32_t)n, where)) {
            out->failed = true;
            return;
        }
        i++;
        at += n;
        data += captured < n ? captured : n;
        captured -= captured < n ? captured : (uint32_t)n;
        len -= (uint32_t)n;
    }
}

/* Bytes at `next`, between which others may wait that came first. */
static void take_next(struct fc_tcp_side *s, const uint8_t *data, uint32_t captured, uint32_t len,
                      const struct fc_piece *where, struct fc_piece_queue *out)
{
    uint64_t at = s->next, end = at + len;

    while (at < end) {
        const struct fc_tcp_waiting *w = front(s);
        uint64_t stop = w && w->at < end ? w->at : end;
        uint32_t skip = (uint32_t)(at - (end - len)), n = (uint32_t)(stop - at);
        deliver(s, data + (skip < captured ? skip : captured), skip < captured ? captured - skip : 0, n, where, out);
        release(s, out);
        at = s->next;
    }
}

/* False: the segment does not say where the direction starts. */
static bool start(struct fc_tcp_side *s, const struct fc_tcp_segment *g, uint32_t seq)
{
    bool syn = g->flags & FC_TCP_SYN;

    if (!s->started && g->flags & FC_TCP_RST && !g->len) /* its number may be of another connection */
        return false;
    if (!s->started || (syn && s->next == 0 && !s->count)) {
        s->next_seq = seq;
        s->started = true;
    }
    return true;
}

void fc_tcp_take(struct fc_tcp_side *s, const struct fc_tcp_segment *g, struct fc_piece_queue *out)
{
    uint32_t seq = g->seq + (g->flags & FC_TCP_SYN ? 1 : 0), behind;

    if (!start(s, g, seq))
        return;
    uint64_t at = place_of(s, seq, &behind);
    if (g->flags & FC_TCP_FIN && (!behind || behind <= g->len) && (!s->has_fin || s->fin_at < s->next)) {
        s->has_fin = true;
        s->fin_at = at + g->len - behind;
    }
    if (g->len <= behind)
        return;
    uint32_t skip = behind < g->captured ? behind : g->captured;
    if (only_fin(s, at)) {
        pass_fin(s);
        release(s, out);
    }
    if (at == s->next)
        take_next(s, g->data + skip, g->captured - skip, g->len - behind, &g->where, out);
    else
        put_aside(s, at, g->data + skip, g->captured - skip, g->len - behind, &g->where, out);
    while (s->waiting_bytes > FC_TCP_WAITING_BYTES || s->count > FC_TCP_WAITING_SEGMENTS)
        give_up(s, out);
}

void fc_tcp_acknowledged(struct fc_tcp_side *s, uint32_t ack, struct fc_piece_queue *out)
{
    uint32_t behind;

    if (!s->count)
        return;
    uint64_t at = place_of(s, ack, &behind);
    while (!behind && s->count && front(s)->at < at)
        give_up(s, out);
}

void fc_tcp_end(struct fc_tcp_side *s, const struct fc_piece *where, struct fc_piece_queue *out)
{
    while (s->count)
        give_up(s, out);
    if (s->has_fin && s->fin_at > s->next && s->fin_at - s->next < WINDOW)
        tell(s, FC_PIECE_MISSING, NULL, s->fin_at - s->next, where, out);
}

void fc_tcp_fini(struct fc_tcp_side *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->waiting[s->first + i]);
    free(s->waiting);
    *s = (struct fc_tcp_side){0};
}
