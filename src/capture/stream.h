/* SPDX-License-Identifier: MIT */
/*
 * A compressed file as a stream of the bytes it holds: from its start, or from a seek point on. Formats: gzip (RFC
 * 1952, any number of members), zstd (RFC 8878, any number of frames, skippable ones too), lz4 (frame format 1.6), xz
 * (1.1, any number of streams).
 *
 * What comes out depends on the file only, not on where decoding was entered: not the bytes, not where damage ends
 * them, not the seek points. Damage ends the stream, as a file that ends; all before it comes out.
 *
 * Threads: a stream belongs to one. Memory: 256 KiB, and what the format's decoder needs: up to 512 MiB, of which it
 * touches what the file makes it fill.
 */
#ifndef FC_CAPTURE_STREAM_H
#define FC_CAPTURE_STREAM_H

#include <flowcarve/capture.h>

struct fc_remote;

/* Where the bytes of a file come from. Both are the caller's. */
struct fc_bytes {
    int fd;
    struct fc_remote *remote; /* an archive (capture/remote.h), and not fd; NULL: none */
};

/* Where decoding may start: the stream's byte `off` comes from the file's byte `stored_off` and what `state` tells. */
struct fc_seek_point {
    uint64_t off, stored_off;
    const uint8_t *state; /* by format; see schema/flowcarve.sql */
    size_t state_len;
};

/* Receives what decoding finds on its way, in the order of the stream. */
struct fc_stream_watch {
    int (*point)(void *ctx, const struct fc_seek_point *point); /* 0, or a code that ends fc_stream_read() */
    int (*damage)(void *ctx, uint64_t off, const char *cause);  /* the same; not where the file ends early (`cut`) */
    void *ctx;
};

struct fc_stream {
    const struct fc_codec *codec;
    struct fc_bytes from;
    uint8_t *in; /* input: the bytes of the file from in_off on are in[in_pos] to in[in_len] */
    size_t in_pos, in_len, in_room;
    uint64_t in_off;
    uint64_t in_size;   /* bytes of the file: what lies behind is not read */
    bool in_end;        /* the file ends at in_len, or cannot be read on */
    int in_errno;       /* why it cannot */
    uint64_t off;       /* of the next byte that comes out */
    uint64_t point_off; /* of the last seek point */
    bool ended;
    bool cut;                            /* because the file ends early: more may follow some day */
    struct fc_error why;                 /* FC_E_DAMAGED: ended by damage, or cut; offset in the stream */
    const struct fc_stream_watch *watch; /* may be NULL */
    uint64_t bytes_read;                 /* from the file, so far */
    void *state;                         /* the codec's */
};

enum { FC_STREAM_INPUT = 256 << 10, FC_STREAM_FETCH = 16 << 10 /* at a time, from an archive */ };

/*
 * The enum fc_compression that a file is in, by its first bytes (skippable frames are looked behind), or FC_E_IO with
 * errno.
 */
int fc_stream_detect(struct fc_bytes from);

/* Starts at the beginning of a file of so many bytes. watch stays the caller's. FC_E_NOMEM. */
int fc_stream_init(struct fc_stream *stream, enum fc_compression compression, struct fc_bytes from, uint64_t size,
                   const struct fc_stream_watch *watch);
void fc_stream_fini(struct fc_stream *stream);

/* Goes to a seek point, NULL: to the start. FC_E_DAMAGED: the point is none; FC_E_NOMEM; FC_E_IO as below. */
int fc_stream_enter(struct fc_stream *stream, const struct fc_seek_point *point);

/*
 * The bytes up to the next multiple of FC_STREAM_PIECE, as many as buf must have room for; less only at the end of the
 * stream. How far the decoders get before damage depends on the room they are given, so all are given the same.
 * FC_E_NOMEM; FC_E_IO with in_errno: the file cannot be read, wherever the stream stands now; or what `watch` returned.
 */
enum { FC_STREAM_PIECE = 64 << 10 };
int64_t fc_stream_read(struct fc_stream *stream, void *buf);
/* FC_E_IO, and err: it could not be read, of which the codes above do not say why; else 0. path: the file's. */
int fc_stream_unreadable(const struct fc_stream *stream, const char *path, struct fc_error *err);

#endif
