/* SPDX-License-Identifier: MIT */
#include "capture/digest.h"
#include "capture/stream.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { PIECE = 256 << 10 };

static bool is_stopped(const int *stop)
{
    return stop && __atomic_load_n(stop, __ATOMIC_RELAXED);
}

static int note_damage(void *ctx, uint64_t off, const char *cause)
{
    (void)off;
    (void)cause;
    *(bool *)ctx = true;
    return 0;
}

static int take_stored(const struct fc_file *file, uint8_t *buf, XXH3_state_t *state, const int *stop,
                       struct fc_digest *out)
{
    struct fc_error why;

    while (out->bytes < file->stored_size) {
        if (is_stopped(stop))
            return FC_E_INTERRUPTED;
        int64_t n = fc_file_stored(file, buf, PIECE, out->bytes, &why);
        if (n <= 0)
            return 0;
        XXH3_128bits_update(state, buf, (size_t)n);
        out->bytes += (uint64_t)n;
    }
    out->known = true;
    return 0;
}

static int take_stream(const struct fc_file *file, uint8_t *buf, XXH3_state_t *state, const int *stop,
                       struct fc_digest *out)
{
    bool damaged = false;
    const struct fc_stream_watch watch = {.damage = note_damage, .ctx = &damaged};
    struct fc_stream stream;
    int rc = fc_stream_init(&stream, file->compression, (struct fc_bytes){.fd = file->fd}, file->stored_size, &watch);

    if (rc)
        return rc;
    while (rc == 0 && !stream.ended && !damaged) {
        int64_t n = is_stopped(stop) ? FC_E_INTERRUPTED : fc_stream_read(&stream, buf);
        if (n < 0) {
            rc = (int)n;
            break;
        }
        XXH3_128bits_update(state, buf, (size_t)n);
    }
    out->bytes = stream.off;
    out->known = rc == 0 && !damaged && stream.why.code == FC_OK;
    bool unreadable = fc_stream_unreadable(&stream, NULL, NULL) != 0;
    fc_stream_fini(&stream);
    return unreadable ? 0 : rc;
}

/* Opens it again. False: it cannot be, or is another file. */
static bool open_again(const struct fc_file *file, struct fc_file *again)
{
    struct stat st;

    *again = *file;
    again->fd = fc_file_again(file);
    if (again->fd < 0)
        return false;
    if (fstat(again->fd, &st) == 0 && st.st_dev == file->dev && st.st_ino == file->ino &&
        (uint64_t)st.st_size >= file->stored_size)
        return true;
    close(again->fd);
    return false;
}

int fc_digest_take(const struct fc_file *file, bool stored, uint64_t seed, const int *stop, struct fc_digest *out)
{
    struct fc_file again;
    XXH3_state_t *state;
    uint8_t *buf;
    int rc = 0;

    *out = (struct fc_digest){.known = false};
    if (!open_again(file, &again))
        return 0;
    buf = malloc(PIECE);
    state = XXH3_createState();
    if (!buf || !state) {
        rc = FC_E_NOMEM;
    } else {
        XXH3_128bits_reset_withSeed(state, seed);
        rc = stored || file->compression == FC_COMPRESSION_NONE ? take_stored(&again, buf, state, stop, out)
                                                                : take_stream(&again, buf, state, stop, out);
        XXH128_hash_t hash = XXH3_128bits_digest(state);
        out->low = hash.low64;
        out->high = hash.high64;
    }
    XXH3_freeState(state);
    free(buf);
    close(again.fd);
    return rc;
}
