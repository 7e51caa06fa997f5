/* SPDX-License-Identifier: MIT */
#include "store/piece.h"
#include "flow/positions.h"
#include "store/record.h"

int fc_pieces_split(const uint8_t *blob, size_t len, struct fc_buffer scratch[2],
                    int (*each)(void *ctx, uint32_t file, const uint8_t *blob, size_t len), void *ctx)
{
    const uint8_t *plain, *p, *start;
    struct fc_segment s;
    size_t plain_len;
    int rc = fc_blob_decode(blob, len, &scratch[0], &plain, &plain_len);

    for (p = plain; rc == 0 && p < plain + plain_len;) {
        uint64_t off;
        start = p;
        if (!(p = fc_segment_head(p, plain + plain_len, &s)))
            return FC_E_DAMAGED;
        off = s.first_off;
        for (uint64_t i = 1; i < s.count; i++)
            if (!(p = fc_segment_next(p, plain + plain_len, &off)))
                return FC_E_DAMAGED;
        if (start == plain && p == plain + plain_len)
            return each(ctx, s.file, blob, len); /* one file: as it is */
        if ((rc = fc_blob_encode(start, (size_t)(p - start), &scratch[1])) == 0)
            rc = each(ctx, s.file, scratch[1].data, scratch[1].len);
    }
    return rc;
}

void fc_pieces_fini(struct fc_pieces *pieces)
{
    sqlite3_finalize(pieces->stmt);
    fc_buffer_fini(&pieces->scratch);
}

static int give(struct fc_pieces *p, const void *blob, size_t len,
                int (*segments)(void *ctx, const uint8_t *p, size_t len), void *ctx)
{
    const uint8_t *plain;
    size_t plain_len;
    int rc = fc_blob_decode(blob, len, &p->scratch, &plain, &plain_len);

    return rc ? rc : segments(ctx, plain, plain_len);
}

int fc_pieces_read(struct fc_pieces *p, int64_t session, int64_t flags, const void *blob, size_t len,
                   int (*segments)(void *ctx, const uint8_t *p, size_t len), void *ctx)
{
    static const char select[] = "SELECT positions FROM session_positions WHERE session = ? ORDER BY file, id";
    int step, rc = len ? give(p, blob, len, segments, ctx) : 0; /* none: all is beside, or forgotten */

    if (rc || !(flags & FC_ROW_MORE))
        return rc;
    if (!p->stmt && sqlite3_prepare_v2(p->sql, select, -1, &p->stmt, NULL) != SQLITE_OK)
        return FC_E_DB;
    sqlite3_bind_int64(p->stmt, 1, session);
    while (rc == 0 && (step = sqlite3_step(p->stmt)) == SQLITE_ROW)
        rc = give(p, sqlite3_column_blob(p->stmt, 0), (size_t)sqlite3_column_bytes(p->stmt, 0), segments, ctx);
    if (rc == 0 && step != SQLITE_DONE)
        return FC_E_DB; /* before a reset could change what the connection tells */
    sqlite3_reset(p->stmt);
    return rc;
}
