/* SPDX-License-Identifier: MIT */
#include "cluster/streams.h"
#include "base/curl.h"
#include "base/error.h"
#include "base/vector.h"
#include "cluster/said.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum {
    WINDOW = 1 << 20,
    WINDOW_MOST = 192 << 20, /* a packet of some links has 128 MiB */
    SLACK = 128 << 10,
    SILENCE_MS = 30000,
    CONNECT_MS = 10000,
    POLL_MS = 50,
    BYTES_A_S = 50000, /* of a list of sessions */
    TRAILER_MOST = 64 << 10,
    BESIDE = 32 /* descriptors for all else */
};

struct stream {
    struct fc_source source;
    struct fc_streams *all;
    CURL *easy;
    struct curl_slist *headers;
    const char *name;
    char *url;
    uint8_t *data; /* bytes from `base` on */
    size_t len, room, most;
    uint64_t base, keep;
    bool begun, paused, body, done;
    int64_t moved_ns, begun_ns;
    int64_t sent_ns, answered_ns; /* the request, when there was a connection; and the first byte of the answer */
    curl_off_t uploaded;
    unsigned patience_ms; /* beside that for silence, before the answer begins: a long list takes its time */
    int code;             /* of what has ended it; 0: the answer is whole */
    struct fc_error why;
    struct fc_http_answer answer; /* headers: of the trailer */
    size_t text_len, headers_len, trailer_len;
    char message[CURL_ERROR_SIZE];
};

struct fc_streams {
    const struct fc_curl *curl;
    CURLM *multi;
    struct fc_streams_options options;
    int64_t begun_ns;
    struct stream *items;
    size_t count;
};

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool is_stopped(const struct fc_streams *all)
{
    return all->options.stop && __atomic_load_n(all->options.stop, __ATOMIC_RELAXED);
}

/* ---- the window */

/* Bytes that must stay. */
static size_t held(const struct stream *s)
{
    uint64_t end = s->base + s->len;

    return s->keep < end ? (size_t)(end - (s->keep > s->base ? s->keep : s->base)) : 0;
}

/* Room behind what there is, in place of what is not asked for any more. FC_E_NOMEM. */
static int make_room(struct stream *s, size_t more)
{
    size_t stays = held(s), gone = s->len - stays;

    if (s->len + more <= s->room)
        return 0;
    if (gone) {
        memmove(s->data, s->data + gone, stays);
        s->base += gone;
        s->len = stays;
    }
    return fc_vector_reserve(&s->data, &s->room, s->len + more, 1);
}

/* ---- what comes */

static void note_answer(struct stream *s)
{
    curl_off_t us = 0;

    s->all->curl->easy_getinfo(s->easy, CURLINFO_PRETRANSFER_TIME_T, &us);
    s->sent_ns = s->begun_ns + us * 1000;
    s->answered_ns = s->moved_ns;
}

static size_t take_body(char *data, size_t one, size_t len, void *ctx)
{
    struct stream *s = ctx;
    long status = 0;

    (void)one;
    s->moved_ns = now_ns();
    s->all->curl->easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        size_t room = FC_HTTP_TEXT_MAX - 1 - s->text_len, fits = len < room ? len : room;
        memcpy(s->answer.text + s->text_len, data, fits);
        s->text_len += fits;
        return len;
    }
    if (!s->body)
        note_answer(s);
    s->body = true;
    if (held(s) + len > s->most) {
        s->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (make_room(s, len)) {
        s->code = fc_error_set(&s->why, FC_E_NOMEM, s->name, FC_NO_OFFSET, "out of memory");
        return CURL_WRITEFUNC_ERROR;
    }
    memcpy(s->data + s->len, data, len);
    s->len += len;
    return len;
}

/* What comes behind a body is the trailer, which libcurl would keep whatever its length. */
static size_t take_header(char *data, size_t one, size_t len, void *ctx)
{
    struct stream *s = ctx;

    (void)one;
    s->moved_ns = now_ns();
    if (!s->body)
        return len;
    s->trailer_len += len;
    if (s->trailer_len > TRAILER_MOST) {
        s->code = fc_error_set(&s->why, FC_E_IO, s->name, FC_NO_OFFSET, "its trailer has no end");
        return CURL_WRITEFUNC_ERROR;
    }
    s->headers_len = fc_http_note_header(&s->answer, s->headers_len, data, len);
    return len;
}

static int on_progress(void *ctx, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up)
{
    struct stream *s = ctx;

    (void)total;
    (void)now;
    (void)up_total;
    if (up != s->uploaded) {
        s->uploaded = up;
        s->moved_ns = now_ns();
    }
    return is_stopped(s->all);
}

/* ---- how it ends */

static void end_with(struct stream *s, int code, const char *cause)
{
    s->done = true;
    if (!s->code)
        s->code = fc_error_set(&s->why, code, s->name, FC_NO_OFFSET, "%s", cause);
}

static void finish(struct stream *s, CURLcode result)
{
    const struct fc_curl *c = s->all->curl;
    const char *cause = *s->message ? s->message : c->easy_strerror(result);

    c->easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &s->answer.status);
    s->done = true;
    if (s->code)
        return;
    if (result == CURLE_OK && s->answer.status != 200)
        s->code = fc_sensor_refused(&s->answer, s->name, &s->why);
    else if (result == CURLE_OUT_OF_MEMORY) /* libcurl says so of a header that is too long as well */
        end_with(s, FC_E_IO, "out of memory, or a header of it has no end");
    else if (result != CURLE_OK && s->body)
        s->code = fc_error_set(&s->why, FC_E_IO, s->name, FC_NO_OFFSET, "it has broken off behind %llu bytes: %s",
                               (unsigned long long)(s->base + s->len), cause);
    else if (result != CURLE_OK)
        end_with(s, FC_E_IO, cause);
}

static struct stream *find(struct fc_streams *all, const CURL *easy)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].easy == easy)
            return &all->items[i];
    return NULL;
}

static void look_at_times(struct fc_streams *all)
{
    unsigned silence_ms = all->options.silence_ms ? all->options.silence_ms : SILENCE_MS;
    int64_t now = now_ns();
    char cause[64];

    for (size_t i = 0; i < all->count; i++) {
        struct stream *s = &all->items[i];
        if (!s->begun || s->done)
            continue;
        int64_t quiet_ms = (now - s->moved_ns) / 1000000;
        bool late = all->options.deadline_ms && (now - all->begun_ns) / 1000000 > all->options.deadline_ms;
        unsigned patience_ms = silence_ms + (s->body ? 0 : s->patience_ms);
        if (!late && (s->paused || quiet_ms < patience_ms))
            continue;
        snprintf(cause, sizeof cause, late ? "it has not answered within %g s" : "nothing has come for %g s",
                 (late ? all->options.deadline_ms : patience_ms) / 1e3);
        end_with(s, FC_E_IO, cause);
        all->curl->multi_remove_handle(all->multi, s->easy);
    }
}

static bool lacks(const struct stream *s, uint64_t end)
{
    return s->base + s->len < end && !s->done;
}

/* Gives all of them a turn, and waits for a moment when nothing has come of the one that is read up to `end`. */
static int step(struct fc_streams *all, const struct stream *read, uint64_t end, struct fc_error *err)
{
    const struct fc_curl *c = all->curl;
    int running, left, seen;
    CURLMcode code = c->multi_perform(all->multi, &running);

    for (CURLMsg *m; (m = c->multi_info_read(all->multi, &left));) {
        struct stream *s = m->msg == CURLMSG_DONE ? find(all, m->easy_handle) : NULL;
        if (s && !s->done) {
            finish(s, m->data.result);
            c->multi_remove_handle(all->multi, s->easy);
            return 0;
        }
    }
    if (code == CURLM_OK && running && lacks(read, end))
        code = c->multi_poll(all->multi, NULL, 0, POLL_MS, &seen);
    if (is_stopped(all))
        return fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
    look_at_times(all);
    return code == CURLM_OK ? 0 : fc_error_set(err, FC_E_IO, NULL, FC_NO_OFFSET, "%s", c->multi_strerror(code));
}

/* ---- reading */

static void go_on(struct stream *s)
{
    if (!s->paused || s->done)
        return;
    s->paused = false;
    s->moved_ns = now_ns();
    s->all->curl->easy_pause(s->easy, CURLPAUSE_CONT); /* may call take_body() */
}

static int64_t read_stream(struct fc_source *source, void *buf, size_t n, uint64_t off, struct fc_error *err)
{
    struct stream *s = (struct stream *)source;
    uint64_t end = off + n;

    if (off < s->keep || end - s->keep > WINDOW_MOST)
        return fc_error_set(err, FC_E_LIMIT, s->name, off, "what it sends cannot be held");
    if (end - s->keep + SLACK > s->most)
        s->most = (size_t)(end - s->keep) + SLACK;
    while (lacks(s, end)) {
        go_on(s);
        int rc = lacks(s, end) ? step(s->all, s, end, err) : 0;
        if (rc)
            return rc;
    }
    if (s->base + s->len < end && s->code) {
        if (err)
            *err = s->why;
        return s->code;
    }
    if (off < s->base)
        return fc_error_set(err, FC_E_LIMIT, s->name, off, "what it sends cannot be held");
    size_t there = s->base + s->len > off ? (size_t)(s->base + s->len - off) : 0;
    n = there < n ? there : n;
    if (n)
        memcpy(buf, s->data + (off - s->base), n);
    return (int64_t)n;
}

static uint64_t stream_size(struct fc_source *source)
{
    const struct stream *s = (const struct stream *)source;

    return s->done && !s->code ? s->base + s->len : FC_SIZE_UNKNOWN;
}

static void leave_open(struct fc_source *source)
{
    (void)source;
}

void fc_streams_keep(struct fc_streams *all, size_t number, uint64_t off)
{
    struct stream *s = &all->items[number];

    s->keep = off > s->keep ? off : s->keep;
    if (s->paused && held(s) <= s->most / 2)
        go_on(s);
}

struct fc_source *fc_streams_source(struct fc_streams *all, size_t number)
{
    return &all->items[number].source;
}

uint64_t fc_streams_bytes(const struct fc_streams *all, size_t number)
{
    return all->items[number].base + all->items[number].len;
}

int64_t fc_streams_middle(const struct fc_streams *all, size_t number)
{
    const struct stream *s = &all->items[number];
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - (now_ns() - s->answered_ns) -
           (s->answered_ns - s->sent_ns) / 2;
}

const char *fc_streams_trailer(const struct fc_streams *all, size_t number, const char *name, char *buf, size_t size)
{
    const struct stream *s = &all->items[number];

    return s->done && !s->code ? fc_http_header(&s->answer, name, buf, size) : NULL;
}

/* ---- beginning and end */

static bool set_options(struct stream *s, const struct fc_peer *peer, const char *body, size_t len)
{
    const struct fc_curl *c = s->all->curl;
    bool bad = !fc_http_set_peer(c, s->easy, peer);

#define SET(option, value) bad |= c->easy_setopt(s->easy, option, value) != CURLE_OK
    SET(CURLOPT_URL, s->url);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); /* a window that is full is TCP's */
    SET(CURLOPT_ERRORBUFFER, s->message);
    SET(CURLOPT_HTTPHEADER, s->headers);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, s);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, s);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, s);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    if (body) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDS, body);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    }
#undef SET
#if LIBCURL_VERSION_NUM >= 0x075700
    c->easy_setopt(s->easy, CURLOPT_QUICK_EXIT,
                   1L); /* looking up a name is not waited for; where it is not known, it is */
#endif
    return !bad;
}

static bool add_header(struct stream *s, const char *line)
{
    struct curl_slist *longer = s->all->curl->slist_append(s->headers, line);

    s->headers = longer ? longer : s->headers;
    return longer != NULL;
}

static bool add_headers(struct stream *s, const struct fc_peer *peer, bool post)
{
    char *line = NULL;
    bool good = !post || (add_header(s, "Content-Type: application/json") && add_header(s, "Expect:"));

    if (!good || !peer->token)
        return good;
    if (asprintf(&line, "Authorization: Bearer %s", peer->token) < 0)
        return false;
    good = add_header(s, line);
    explicit_bzero(line, strlen(line));
    free(line);
    return good;
}

int fc_streams_begin(struct fc_streams *all, size_t number, const struct fc_peer *peer, const char *name,
                     const char *path, const char *body, size_t len, struct fc_error *err)
{
    struct stream *s = &all->items[number];

    s->name = name;
    s->patience_ms = (unsigned)(len / BYTES_A_S) * 1000;
    s->easy = all->curl->easy_init();
    if (asprintf(&s->url, "%s%s", peer->url, path) < 0)
        s->url = NULL;
    if (!s->easy || !s->url || !add_headers(s, peer, body != NULL) || !set_options(s, peer, body, len) ||
        all->curl->multi_add_handle(all->multi, s->easy) != CURLM_OK) {
        s->done = true;
        return s->code = fc_error_set(err, FC_E_NOMEM, name, FC_NO_OFFSET,
                                      "out of memory, or a value that libcurl does not take");
    }
    s->begun = true;
    s->moved_ns = s->begun_ns = now_ns();
    return 0;
}

void fc_streams_end(struct fc_streams *all, size_t number)
{
    struct stream *s = &all->items[number];

    if (s->easy && s->begun)
        all->curl->multi_remove_handle(all->multi, s->easy); /* one that has ended is none of it: that does nothing */
    if (s->easy)
        all->curl->easy_cleanup(s->easy);
    s->easy = NULL;
    all->curl->slist_free_all(s->headers);
    s->headers = NULL;
    free(s->url);
    s->url = NULL;
    free(s->data);
    s->data = NULL;
    s->base += s->len;
    s->len = s->room = 0;
    s->done = true;
}

int fc_streams_open(size_t count, const struct fc_streams_options *options, struct fc_streams **out,
                    struct fc_error *err)
{
    const struct fc_curl *curl = fc_curl(err);
    struct fc_streams *all;
    struct rlimit limit;

    *out = NULL;
    if (!curl)
        return FC_E_IO;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && count + BESIDE > limit.rlim_cur)
        return fc_error_set(err, FC_E_LIMIT, NULL, FC_NO_OFFSET,
                            "%zu sensors are asked at once, and a process may have %llu files open here (ulimit -n)",
                            count, (unsigned long long)limit.rlim_cur);
    if (!(all = calloc(1, sizeof *all)) || !(all->items = calloc(count + 1, sizeof *all->items)) ||
        !(all->multi = curl->multi_init())) {
        free(all ? all->items : NULL);
        free(all);
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    }
    all->curl = curl;
    all->options = *options;
    all->begun_ns = now_ns();
    for (; all->count < count; all->count++) {
        struct stream *s = &all->items[all->count];
        s->source =
            (struct fc_source){.read = read_stream, .size = stream_size, .close = leave_open, .stop = options->stop};
        s->all = all;
        s->most = WINDOW;
    }
    *out = all;
    return 0;
}

void fc_streams_close(struct fc_streams *all)
{
    if (!all)
        return;
    for (size_t i = 0; i < all->count; i++)
        fc_streams_end(all, i);
    all->curl->multi_cleanup(all->multi);
    free(all->items);
    free(all);
}
