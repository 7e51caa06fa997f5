/* SPDX-License-Identifier: MIT */
/* Any bytes as a row of open_session: what can be read is packed anew, and says the same. */
#include "fuzz.h"

#include "store/open_pack.h"

#include <flowcarve/error.h>
#include <string.h>

enum { MOST = 256 };

static int unpack(const void *data, size_t size, struct fc_open_entry *entries)
{
    struct fc_open_reader reader;
    int n = 0, rc = fc_open_reader_init(&reader, data, size);

    for (; rc == 0 && n < MOST && (rc = fc_open_reader_next(&reader, &entries[n])) == 1; n++)
        rc = 0;
    HOLDS(rc == 0 || rc == FC_E_DAMAGED);
    return rc ? -1 : n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fc_open_entry entries[MOST], again[MOST];
    static struct fc_open_pack pack;
    int n = unpack(data, size, entries);

    memset(&pack, 0, sizeof pack);
    for (int i = 0; i < n; i++)
        if (!fc_open_pack_add(&pack, &entries[i]))
            return 0;
    if (n > 0) {
        HOLDS(unpack(pack.data, pack.len, again) == n);
        HOLDS(memcmp(entries, again, (size_t)n * sizeof *entries) == 0);
    }
    return 0;
}
