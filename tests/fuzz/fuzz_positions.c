/* SPDX-License-Identifier: MIT */
/* Any bytes as a positions blob: what can be read is written anew, and says the same. */
#include "fuzz.h"

#include "flow/positions.h"
#include "store/blob.h"

#include <string.h>

/* Walks the segments; the number of positions, or -1. Of a hostile count no more than its bytes allow. */
static int64_t walk(const uint8_t *p, size_t len, uint64_t *sum)
{
    const uint8_t *end = p + len;
    struct fc_segment s;
    int64_t n = 0;

    while (p < end) {
        if (!(p = fc_segment_head(p, end, &s)))
            return -1;
        uint64_t off = s.first_off;
        *sum = *sum * 31 + s.file;
        for (uint64_t i = 0; i < s.count; i++) {
            if (i && !(p = fc_segment_next(p, end, &off)))
                return -1;
            *sum = *sum * 31 + off;
            n++;
        }
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fc_buffer scratch = {0}, blob = {0}, second = {0}, out = {0};
    struct fc_positions positions = {0};
    const uint8_t *plain, *again;
    uint64_t a = 0, b = 0;
    size_t len, len2;

    if (fc_blob_decode(data, size, &scratch, &plain, &len) == 0 && len && len < 1 << 20 && plain[0]) {
        HOLDS(fc_blob_encode(plain, len, &blob) == 0);
        HOLDS(fc_blob_decode(blob.data, blob.len, &second, &again, &len2) == 0);
        HOLDS(len == len2 && memcmp(plain, again, len) == 0);
        int64_t n = walk(plain, len, &a);
        int rc = fc_positions_add(&positions, plain, len);
        HOLDS(rc == 0 || rc == FC_E_DAMAGED || rc == FC_E_NOMEM);
        if (rc == 0 && n > 0) {
            HOLDS(fc_buffer_reserve(&out, fc_positions_size(&positions) + 1) == 0);
            size_t written = fc_positions_write(&positions, out.data);
            /* a record that was listed twice is in it once */
            int64_t kept = walk(out.data, written, &b);
            HOLDS(written <= fc_positions_size(&positions) && kept >= 1 && kept <= n);
            fc_positions_clear(&positions);
            HOLDS(fc_positions_add(&positions, out.data, written) == 0 &&
                  fc_positions_write(&positions, out.data) == written);
        }
    }
    fc_positions_fini(&positions);
    fc_buffer_fini(&scratch);
    fc_buffer_fini(&second);
    fc_buffer_fini(&blob);
    fc_buffer_fini(&out);
    return 0;
}
