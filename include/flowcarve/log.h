/* SPDX-License-Identifier: MIT */
/*
 * Sessions that the rows of another program's log name: Zeek's conn.log and others with its addresses (TSV, JSON),
 * Suricata's eve.json, 5-tuples as CSV, Community IDs.
 *
 * Threads: one at a time per handle. Memory: some 200 bytes a row.
 */
#ifndef FLOWCARVE_LOG_H
#define FLOWCARVE_LOG_H

#include <flowcarve/db.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fc_log;

/* A row, and the sessions that are meant by it: none, one, or several of which it cannot be told. */
struct fc_log_row {
    uint64_t line;    /* in the log, from 1 */
    const char *name; /* uid, flow_id, Community ID; else "" */
    const int64_t *ids;
    size_t id_count;
};

/*
 * Reads a log from a descriptor, which is not closed; `name` is for messages. A file may be compressed (gzip, zstd,
 * lz4, xz); it is read from its beginning. Each line is known by itself: a JSON object, a row of a TSV whose #fields
 * came before it, a Community ID ("1:..."), or proto,src,sport,dst,dport[,start[,end]] with times as the filter takes
 * them. Empty lines, other lines with # in front, a CSV's head in line 1, and objects and rows of a TSV without
 * addresses are passed over. A row without a protocol (http.log) has ports, and means any protocol. Rows of one
 * flow_id are one. On success *out must go to fc_log_close(). FC_E_FORMAT: a line that is none of these, no line that
 * has addresses where some were passed over for want of them, or what is compressed is not whole; FC_E_IO, FC_E_NOMEM.
 */
int fc_log_read(int fd, const char *name, struct fc_log **out, struct fc_error *err);

/*
 * Looks the sessions up: those of the row's endpoints, whichever was the client, and protocol, that were active at a
 * time of the row, give or take slack_ns. Ports count where the protocol has them. A row without a time means any.
 * *rows is in the log's order, and valid until the log is closed. Codes as fc_query_open().
 */
int fc_log_match(struct fc_log *log, struct fc_db *db, int64_t slack_ns, const struct fc_log_row **rows, size_t *count,
                 struct fc_error *err);

/*
 * A name of a file for the row: its name with letters, digits, dots, - and _ alone, or "row-" and its line. Returns
 * buf, cut to its size; 128 bytes are enough. Any thread.
 */
const char *fc_log_row_file_name(const struct fc_log_row *row, char *buf, size_t size);

void fc_log_close(struct fc_log *log);

#ifdef __cplusplus
}
#endif
#endif
