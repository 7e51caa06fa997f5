/* SPDX-License-Identifier: MIT */
/* What a format of compressed files brings, and what it is given. Inside of capture/stream.h. */
#ifndef FC_CAPTURE_CODEC_H
#define FC_CAPTURE_CODEC_H

#include "capture/stream.h"

struct fc_codec {
    const char *name;
    size_t state_size;
    uint64_t spacing; /* bytes of the stream between seek points, at least */
    /* Of a zeroed state. FC_E_NOMEM. */
    int (*init)(struct fc_stream *stream);
    void (*fini)(struct fc_stream *stream);
    /* The input is at the point's stored_off already, or at 0. FC_E_DAMAGED, FC_E_NOMEM. */
    int (*enter)(struct fc_stream *stream, const struct fc_seek_point *point);
    /* A step: bytes that came out (0 to n; none means there is more to do, or the end), or a negative code. */
    int64_t (*read)(struct fc_stream *stream, uint8_t *out, size_t n);
};

extern const struct fc_codec fc_codec_gzip, fc_codec_zstd, fc_codec_lz4, fc_codec_xz;

/* Bytes of input at hand at fc_stream_in(), after reading on where these are less than `want`; less only at the end. */
size_t fc_stream_input(struct fc_stream *stream, size_t want);
static inline const uint8_t *fc_stream_in(const struct fc_stream *stream)
{
    return stream->in + stream->in_pos;
}
static inline uint64_t fc_stream_stored(const struct fc_stream *stream)
{
    return stream->in_off + stream->in_pos;
}
/* Makes room for inputs of `want` bytes. FC_E_NOMEM. */
int fc_stream_reserve(struct fc_stream *stream, size_t want);
/* Moves the input to a place in the file. */
void fc_stream_seek(struct fc_stream *stream, uint64_t stored_off);

/* True when a seek point is due at stream offset `off`. */
bool fc_stream_due(const struct fc_stream *stream, uint64_t off);
/* Hands one on. What the watch returns. */
int fc_stream_point(struct fc_stream *stream, uint64_t off, uint64_t stored_off, const uint8_t *state, size_t len);

/* Damage at stream offset `off`: noted, and the stream goes on. What the watch returns. */
int fc_stream_note(struct fc_stream *stream, uint64_t off, const char *cause);
/* The same, and the end of the stream. */
int fc_stream_damage(struct fc_stream *stream, uint64_t off, const char *cause);
/* The end of the stream because the file ends inside `what`. FC_E_IO: it does not, but cannot be read on. */
int fc_stream_cut(struct fc_stream *stream, uint64_t off, const char *what);

/*
 * Looks at what begins where a frame of zstd or lz4 may: 1: one with this magic number, whose seek point was handed on
 * where one is due; state: the point's. Else all is done: a skippable frame, which both have in common, was passed
 * over, or the stream has ended. 0, or as fc_stream_cut() and fc_stream_point().
 */
int fc_stream_frame(struct fc_stream *stream, uint32_t magic, const uint8_t *state, size_t len);

/* Windows in the state of seek points: CRC-32 and length (4 bytes each, little-endian), then one LZ4 block. */
enum {
    FC_WINDOW_HEAD = 8,
    FC_WINDOW_MAX = 64 << 10,
    FC_WINDOW_ROOM = FC_WINDOW_HEAD + FC_WINDOW_MAX + FC_WINDOW_MAX / 255 + 16
};
/* Packs `len` bytes (at most FC_WINDOW_MAX) to out (FC_WINDOW_ROOM bytes); the bytes written. */
size_t fc_window_pack(const uint8_t *window, size_t len, uint8_t *out);
/* Unpacks to out (`room` bytes) and gives the length. FC_E_DAMAGED. */
int fc_window_unpack(const uint8_t *packed, size_t packed_len, uint8_t *out, size_t room, size_t *len);

#endif
