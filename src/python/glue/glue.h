/* SPDX-License-Identifier: MIT */
/*
 * What the Python package calls beside the library: many packets a call, as columns of values. Sees what any program
 * sees of the library, its public headers.
 *
 * build_ffi.py shows the part between the marks to cffi.
 */
#ifndef FLOWCARVE_GLUE_H
#define FLOWCARVE_GLUE_H

#include <flowcarve/flowcarve.h>

/* <cffi> */

/* What a value is: enum fc_cell, and these of packets. */
enum {
    FCPY_CELL_U32 = 32, /* uint32_t */
    FCPY_CELL_SMALL,    /* int16_t from 0 on; -1: none */
    FCPY_CELL_BYTE,     /* uint8_t */
    FCPY_CELL_FROM,     /* uint8_t, enum fc_from */
    FCPY_CELL_BYTES     /* the first bytes of something, as many as the cell's size, filled up with 0 */
};

struct fcpy_field_info {
    const char *name;
    int cell;      /* see above */
    uint32_t size; /* bytes; 0: as many as are asked for */
    uint32_t want; /* FC_WANT_* that it takes */
    int of;        /* FCPY_OF_*: which packets have it */
};
enum { FCPY_OF_ALL, FCPY_OF_CAPTURE, FCPY_OF_SESSION };

/* The fields of packets, from 0 on; NULL past the last. */
const struct fcpy_field_info *fcpy_field(unsigned field);

/* Where the values of a field, or of a column of sessions, go: `off` bytes behind the base of a call. */
struct fcpy_cell {
    unsigned field; /* its number */
    int cell;       /* what it is, see above */
    uint32_t size;  /* bytes of a value */
    uint64_t stride, off;
};

/* Where packets come from. Any thread may call: each call waits for those of others. */
struct fcpy_source;

struct fcpy_source *fcpy_source_capture(struct fc_capture *capture, int strict);
struct fcpy_source *fcpy_source_packets(struct fc_packets *packets);
struct fcpy_source *fcpy_source_look(struct fc_look *look);
/* Closes what it reads; what is called behind that gives FC_E_USAGE. */
void fcpy_source_close(struct fcpy_source *source);
/* Gives up a reference; the last one closes and frees. */
void fcpy_source_free(struct fcpy_source *source);

enum { FCPY_QUIET = -1000 }; /* nothing has come to an interface for a moment */

/*
 * The next packets: writes `count` cells of each behind `base`, and, when there is an arena, its bytes to that: where
 * they begin there is the field data_at. As many as there is room for; 0 at the end, or with *need set where the arena
 * is too small for the next packet alone; FCPY_QUIET; or a code, which later calls repeat.
 */
int64_t fcpy_source_next(struct fcpy_source *source, uint32_t want, const struct fcpy_cell *cells, size_t count,
                         size_t room, void *base, uint8_t *arena, size_t arena_size, uint64_t *need,
                         struct fc_error *err);

/* To the beginning of a capture. */
int fcpy_source_rewind(struct fcpy_source *source, struct fc_error *err);

/* What was read so far, and what of a capture could not be. The first 65,536 ranges are kept. */
struct fcpy_told {
    uint64_t records, record_bytes; /* of a capture: with the heads of records */
    uint64_t damages, lost_bytes;
};
void fcpy_source_told(struct fcpy_source *source, struct fcpy_told *told);
size_t fcpy_source_damage(struct fcpy_source *source, size_t first, struct fc_damage *damage, size_t room);
size_t fcpy_source_interfaces(struct fcpy_source *source, size_t first, struct fc_interface *list, size_t room);
int fcpy_source_packets_result(struct fcpy_source *source, struct fc_packets_result *result);
/* Why packets are missing, the one of a number. 0: there is none. */
int fcpy_source_why(struct fcpy_source *source, size_t number, struct fc_error *why);
int fcpy_source_look_result(struct fcpy_source *source, struct fc_look_result *result);

/*
 * How an attribute of a row has a value: as people write it, an address as bytes, the number behind a name, true or
 * false, or as a memoryview of bytes of a packet.
 */
enum { FCPY_AS_TEXT, FCPY_AS_RAW, FCPY_AS_NUMBER, FCPY_AS_TRUTH, FCPY_AS_BYTES };
enum { FCPY_NO_COLUMN = 64 }; /* columns of rows have numbers below */

/*
 * Addresses of a column as texts, each with a line feed behind it; their length. `out` has room for FCPY_TEXT each.
 * kind: a column of what they are, NULL: IPv4 where they are mapped, else IPv6.
 */
enum { FCPY_TEXT = 48 };
size_t fcpy_addr_texts(const void *column, uint64_t stride, const void *kind, uint64_t kind_stride, size_t rows,
                       char *out);
size_t fcpy_mac_texts(const void *column, uint64_t stride, size_t rows, char *out);

/* struct ArrowArrayStream of the packets of a capture, or of a query; on success it is to be released. The fields must
 * stay as long as that; a stream of a query has db and filter, and closes them. */
int fcpy_arrow_packets(struct fcpy_source *source, uint32_t want, const struct fcpy_cell *cells,
                       const char *const *names, size_t count, size_t room, void *stream);
int fcpy_arrow_sessions(struct fc_db *db, struct fc_filter *filter, const struct fc_query_options *options,
                        const struct fcpy_cell *cells, const char *const *names, size_t count, size_t room,
                        void *stream, struct fc_error *err);
/* Of a capsule "arrow_array_stream" that nobody has taken: releases the stream and frees it. */
void *fcpy_arrow_new(void);
void fcpy_arrow_drop(void *stream);

int64_t fcpy_columns_next(struct fc_columns *columns, const struct fcpy_cell *cells, size_t count, size_t room,
                          void *base, struct fc_error *err);

/* </cffi> */

#endif
