/* SPDX-License-Identifier: MIT */
#include "packets/aside.h"
#include "base/error.h"
#include "base/io.h"
#include "base/vector.h"
#include "store/sorter.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS = 3 };
static const char what[] = "temporary file";

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static const char *folder(void)
{
    const char *named = getenv("TMPDIR");

    return named && *named ? named : "/var/tmp";
}

/* Puts what is in memory into the file. */
static int write_out(struct fc_aside *s, struct fc_error *err)
{
    int rc;

    if (!s->written) {
        if ((s->fd = fc_io_temporary(folder(), err)) < 0)
            return s->fd;
    }
    if ((rc = fc_io_write(s->fd, s->memory.data, s->memory.len, s->written, what, err)))
        return rc;
    s->written += s->memory.len;
    s->memory.len = 0;
    return 0;
}

int fc_aside_add(struct fc_aside *s, const struct fc_record *rec, const uint8_t *block, uint64_t place, uint32_t iface,
                 int64_t order_ns, struct fc_error *err)
{
    struct fc_put_aside head = {.rec = *rec, .place = place, .iface = iface, .is_block = block != NULL};
    const uint8_t *bytes = block ? block : rec->data;
    int rc;

    s->used = true;
    head.block_len = block ? (uint32_t)(rec->next_off - rec->off) : rec->caplen;
    head.data_at = block ? (uint32_t)(rec->data - block) : 0;
    if (s->memory.len + sizeof head + head.block_len > FC_ASIDE_MEMORY && s->memory.len && (rc = write_out(s, err)))
        return rc;
    if (fc_vector_reserve(&s->list, &s->room, s->count + 1, WORDS * sizeof *s->list) ||
        fc_buffer_reserve(&s->memory, s->memory.len + sizeof head + head.block_len))
        return no_memory(err);
    uint64_t *entry = s->list + WORDS * s->count;
    entry[0] = (uint64_t)order_ns ^ (uint64_t)1 << 63;
    entry[1] = s->count++;
    entry[2] = s->written + s->memory.len;
    memcpy(s->memory.data + s->memory.len, &head, sizeof head);
    if (head.block_len)
        memcpy(s->memory.data + s->memory.len + sizeof head, bytes, head.block_len);
    s->memory.len += sizeof head + head.block_len;
    return 0;
}

int fc_aside_sort(struct fc_aside *s, const int *stop, struct fc_error *err)
{
    int rc;

    if (s->written && s->memory.len && (rc = write_out(s, err)))
        return rc;
    rc = s->count ? fc_sorter_array(&s->list, s->count, WORDS, 63, stop) : 0;
    return rc ? fc_error_set(err, rc, NULL, FC_NO_OFFSET, "%s", fc_strerror(rc)) : 0;
}

int fc_aside_next(struct fc_aside *s, struct fc_put_aside *out, const uint8_t **bytes, struct fc_error *err)
{
    uint64_t off;
    int rc;

    if (s->next == s->count)
        return 0;
    off = s->list[WORDS * s->next++ + 2];
    if (!s->written) {
        memcpy(out, s->memory.data + off, sizeof *out);
        *bytes = s->memory.data + off + sizeof *out;
    } else {
        if ((rc = fc_io_read(s->fd, out, sizeof *out, off, what, err)))
            return rc;
        if (fc_buffer_reserve(&s->now, out->block_len + 1))
            return no_memory(err);
        if ((rc = fc_io_read(s->fd, s->now.data, out->block_len, off + sizeof *out, what, err)))
            return rc;
        *bytes = s->now.data;
    }
    out->rec.data = *bytes + out->data_at;
    return 1;
}

void fc_aside_fini(struct fc_aside *s)
{
    if (s->written)
        close(s->fd);
    free(s->list);
    fc_buffer_fini(&s->memory);
    fc_buffer_fini(&s->now);
    memset(s, 0, sizeof *s);
}
