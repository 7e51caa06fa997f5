/* SPDX-License-Identifier: MIT */
#include "cluster/incoming.h"
#include "base/error.h"
#include "base/vector.h"
#include "capture/pcapng.h"

#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_MOST = 1 << 20, /* of what is no packet: longer ones are not passed on */
    IFACES_MOST = 100000, /* of a section */
    DESCRIBED_MOST = 64 << 20
};

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static int broken(const struct fc_incoming *in, uint64_t off, const char *cause, struct fc_error *err)
{
    return fc_error_set(err, FC_E_IO, in->stored.path, off, "what it sends is no capture: %s", cause);
}

int fc_incoming_open(struct fc_incoming *in, struct fc_streams *streams, size_t number, const char *name,
                     const char *origin, struct fc_carve_ifaces *ifaces, const int *stop, struct fc_error *err)
{
    int rc;

    memset(in, 0, sizeof *in);
    in->streams = streams;
    in->number = number;
    in->ifaces = ifaces;
    in->origin = origin;
    in->order_ns = FC_TIME_NONE;
    in->place.stored = &in->stored;
    in->place.file.fd = in->place.file.held = -1;
    in->stored.path = (char *)(uintptr_t)name; /* read alone */
    if (fc_reader_init(&in->reader, FC_READER_BUFFER))
        return no_memory(err);
    in->reader.stop = stop;
    in->reader.met_most = IFACES_MOST;
    if ((rc = fc_file_open_source(fc_streams_source(streams, number), name, &in->place.file, err)))
        return rc == FC_E_FORMAT ? broken(in, 0, "it does not begin as one", err) : rc;
    if (in->place.file.format != FC_FORMAT_PCAPNG)
        return broken(in, 0, "it is no pcapng", err);
    rc = fc_reader_start(&in->reader, &in->place.file, 0, UINT64_MAX, NULL);
    return rc ? no_memory(err) : 0;
}

void fc_incoming_fini(struct fc_incoming *in)
{
    fc_reader_fini(&in->reader);
    fc_file_close(&in->place.file);
    fc_buffer_fini(&in->bytes);
    free(in->block);
    free(in->iface);
    in->block = NULL;
    in->iface = NULL;
    in->iface_count = in->block_count = 0;
}

/* ---- what stands between records */

/* An interface, which the reader has met. */
static int add_iface(struct fc_incoming *in, const struct fc_interface *met, struct fc_error *err)
{
    size_t known = in->ifaces->count;
    struct fc_carve_iface *iface;
    int rc = 0;

    if (!in->begun) {
        in->begun = true;
        rc = fc_carve_ifaces_section(in->ifaces, NULL, &in->place, met, err);
    }
    in->ifaces->origin = in->origin;
    rc = rc ? rc : fc_carve_ifaces_add(in->ifaces, NULL, &in->place, met, &iface, err);
    in->ifaces->origin = NULL;
    if (rc)
        return rc == FC_E_CHANGED ? broken(in, met->off, "an interface is not described", err) : rc;
    in->described += in->ifaces->count > known ? sizeof *iface + iface->options_len : 0;
    if (in->described > DESCRIBED_MOST)
        return fc_error_set(err, FC_E_LIMIT, in->stored.path, met->off, "it describes too many interfaces");
    if (fc_vector_reserve(&in->iface, &in->iface_room, in->iface_count + 1, sizeof *in->iface))
        return no_memory(err);
    in->iface[in->iface_count++] = iface;
    return 0;
}

/* A block that is passed on in front of the record. */
static int add_block(struct fc_incoming *in, uint32_t type, uint64_t off, struct fc_error *err)
{
    const uint32_t types[] = {type, 0};
    struct fc_incoming_block b = {.type = type, .big_endian = in->big_endian, .at = in->bytes.len};
    uint8_t *data;
    int rc = fc_pcapng_load(&in->place.file, off, in->big_endian, BLOCK_MOST, types, &data, &b.size, err);

    if (rc != 1)
        return rc;
    if (type == FC_BLOCK_ISB && b.size >= 24) {
        uint32_t number = fc_load32(data + 8, in->big_endian);
        b.iface = number < in->iface_count ? in->iface[number] : NULL;
    }
    rc = fc_buffer_reserve(&in->bytes, in->bytes.len + b.size);
    if (rc == 0)
        rc = fc_vector_reserve(&in->block, &in->block_room, in->block_count + 1, sizeof *in->block);
    if (rc == 0) {
        memcpy(in->bytes.data + in->bytes.len, data, b.size);
        in->bytes.len += b.size;
        in->block[in->block_count++] = b;
    }
    free(data);
    return rc ? no_memory(err) : 0;
}

static int scan_block(struct fc_incoming *in, const uint8_t head[12], uint32_t type, uint64_t off, size_t *met,
                      struct fc_error *err)
{
    switch (type) {
    case FC_BLOCK_SHB:
        in->big_endian = fc_load32(head + 8, true) == FC_BYTE_ORDER_MAGIC;
        in->iface_count = 0;
        return 0;
    case FC_BLOCK_IDB:
        if (*met >= in->reader.met_count)
            return broken(in, off, "an interface is not described", err);
        return add_iface(in, &in->reader.met[(*met)++], err);
    case FC_BLOCK_NRB:
    case FC_BLOCK_DSB:
    case FC_BLOCK_ISB:
        return add_block(in, type, off, err);
    default:
        return 0;
    }
}

/* Blocks from `off` up to `end`, whose frames the reader has found good. */
static int scan(struct fc_incoming *in, uint64_t off, uint64_t end, struct fc_error *err)
{
    uint8_t head[12];
    size_t met = 0;

    while (off < end) {
        int64_t n = fc_file_read(&in->place.file, head, sizeof head, off, err);
        if (n < (int64_t)sizeof head)
            return n < 0 ? (int)n : broken(in, off, "it ends inside of a block", err);
        bool section = fc_load32(head, true) == FC_BLOCK_SHB;
        if (section)
            in->big_endian = fc_load32(head + 8, true) == FC_BYTE_ORDER_MAGIC;
        uint32_t size = (fc_load32(head + 4, in->big_endian) + 3) & ~3u;
        int rc = scan_block(in, head, section ? FC_BLOCK_SHB : fc_load32(head, in->big_endian), off, &met, err);
        if (rc || size < sizeof head)
            return rc ? rc : broken(in, off, "a block has no length", err);
        off += size;
    }
    in->reader.met_count = 0; /* they are noted here, and there may be many */
    return 0;
}

int fc_incoming_next(struct fc_incoming *in, struct fc_error *err)
{
    uint64_t from = in->reader.pos;
    int rc, found;

    fc_streams_keep(in->streams, in->number, from);
    if ((found = fc_reader_next(&in->reader, &in->rec)) < 0) {
        if (found == FC_E_DAMAGED)
            return broken(in, in->reader.damage_off, in->reader.why.cause, err);
        if (err)
            *err = in->reader.why;
        return found;
    }
    in->block_count = 0;
    in->bytes.len = 0;
    if ((rc = scan(in, from, found ? in->rec.off : in->reader.pos, err)) || !found)
        return rc;
    if (in->rec.iface >= in->iface_count)
        return broken(in, in->rec.off, "an interface is not described", err);
    if (in->rec.ts_ns != FC_TIME_NONE)
        in->order_ns = in->rec.ts_ns;
    in->records++;
    return 1;
}

/* ---- writing */

int fc_incoming_write_blocks(struct fc_incoming *in, struct fc_output *out)
{
    int rc = 0;

    for (size_t i = 0; i < in->block_count && rc == 0 && out->form.pcapng; i++) {
        const struct fc_incoming_block *b = &in->block[i];
        const uint8_t *data = in->bytes.data + b->at;
        if (b->type != FC_BLOCK_ISB)
            rc = fc_output_blocks(out, b->big_endian, data, b->size);
        else if (b->iface && b->iface->section) /* one that has packets in the output */
            rc = fc_output_block(out, b->iface, data, b->size);
    }
    return rc;
}

int fc_incoming_write(struct fc_incoming *in, struct fc_output *out)
{
    return fc_output_record(out, fc_incoming_iface(in), &in->rec, fc_pcapng_block(&in->reader, &in->rec));
}
