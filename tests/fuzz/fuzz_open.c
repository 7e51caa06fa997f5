/* SPDX-License-Identifier: MIT */
/* Any bytes as a row of open_session: what can be read is packed anew, and says the same. */
#include "fuzz.h"

#include "store/open_pack.h"

#include <flowcarve/error.h>
#include <string.h>

enum { MOST = 256 };

static int unpack(const void *data, size_t size, int64_t row, int64_t *ids, struct fc_session_sum *runs)
{
    struct fc_open_reader reader;
    int n = 0, rc = fc_open_reader_init(&reader, row, data, size);

    while (rc == 0 && n < MOST) {
        memset(&runs[n], 0, sizeof runs[n]);
        rc = fc_open_reader_next(&reader, &ids[n], &runs[n]);
        if (rc != 1)
            break;
        rc = 0;
        n++;
    }
    HOLDS(rc == 0 || rc == FC_E_DAMAGED);
    return rc ? -1 : n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fc_session_sum runs[MOST], again[MOST];
    static int64_t ids[MOST], ids_again[MOST];
    static struct fc_open_pack pack;
    int n = unpack(data, size, 1, ids, runs);

    memset(&pack, 0, sizeof pack);
    for (int i = 0; i < n; i++)
        if (ids[i] < 1 || !fc_open_pack_add(&pack, ids[i], &runs[i]))
            return 0;
    if (n > 0) {
        HOLDS(unpack(pack.data, pack.len, pack.first_id, ids_again, again) == n);
        HOLDS(memcmp(ids, ids_again, (size_t)n * sizeof *ids) == 0);
    }
    return 0;
}
