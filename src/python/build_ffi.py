# SPDX-License-Identifier: MIT
"""Writes the C source of flowcarve._flowcarve by cffi: build_ffi.py OUT.c

What is declared here is checked by the compiler against the library's headers.
"""
import os
import re
import sys

import cffi

HERE = os.path.dirname(os.path.abspath(__file__))

LIBRARY = """
enum fc_cell { FC_CELL_ID, FC_CELL_TIME, FC_CELL_COUNT, FC_CELL_NUMBER, FC_CELL_PORT, FC_CELL_PROTO, FC_CELL_KIND, FC_CELL_STATE,
    FC_CELL_ADDR, FC_CELL_MAC, FC_CELL_TEXT, ... };
enum { FC_WANT_KEY, FC_WANT_TCP, FC_WANT_MAC, FC_WANT_VLAN, FC_WANT_MPLS, FC_WANT_TTL, FC_WANT_DSCP, FC_WANT_PAYLOAD,
    FC_WANT_TUNNEL, FC_WANT_ALL, FC_KEY_OUTER, ... };
enum { FC_ADDR_NONE, FC_ADDR_IPV4, FC_ADDR_IPV6, FC_ADDR_MAC, ... };
enum { FC_E_NOMEM, FC_E_IO, FC_E_FORMAT, FC_E_DAMAGED, FC_E_USAGE, FC_E_FILTER, FC_E_DB, FC_E_SCHEMA, FC_E_CHANGED, FC_E_MISSING,
    FC_E_INTERRUPTED, FC_E_MISMATCH, FC_E_LIMIT, FC_E_PIPE, FC_E_BUSY, FC_ERROR_TEXT_MAX, FC_TUNNEL_TEXT, FC_TEXT_MAX,
    FC_HISTOGRAM_BUCKETS, ... };
struct fc_error { int code; uint64_t off; char file[512]; char cause[512]; ...; };
const char *fc_error_text(const struct fc_error *err, char *buf, size_t size);
const char *fc_text_show(const char *text, char *buf, size_t size);
char *fc_text_proto(char *buf, uint32_t proto);
char *fc_text_time(char *buf, int64_t ns);
char *fc_text_addr(char *buf, int kind, const uint8_t *addr);
const char *fc_state_name(int state);
const char *fc_link_type_name(uint32_t link_type);

struct fc_capture;
struct fc_interface { uint64_t section_off, off; int64_t tsoffset; uint32_t section, number, link_type, snaplen; uint8_t tsresol; ...; };
struct fc_damage { uint64_t off, length; char cause[112]; ...; };
int fc_capture_open(const char *path, struct fc_capture **out, struct fc_error *err);
int fc_capture_open_fd(int fd, const char *name, struct fc_capture **out, struct fc_error *err);
int fc_capture_open_memory(const void *bytes, size_t len, const char *name, struct fc_capture **out, struct fc_error *err);
int fc_capture_format(const struct fc_capture *capture);
uint64_t fc_capture_size(const struct fc_capture *capture);
int fc_capture_compression(const struct fc_capture *capture);
void fc_capture_close(struct fc_capture *capture);
const char *fc_format_name(int format);
const char *fc_compression_name(int compression);

struct fc_db;
int fc_db_open(const char *path, struct fc_db **out, struct fc_error *err);
void fc_db_set_stop(struct fc_db *db, const int *stop);
void fc_db_close(struct fc_db *db);

struct fc_filter;
struct fc_filter_error { size_t off; size_t len; char cause[256]; ...; };
struct fc_time_options { int64_t now_ns; bool local; ...; };
struct fc_id_range { int64_t first, last; ...; };
int fc_filter_parse_with(const char *text, const struct fc_time_options *options, struct fc_filter **out, struct fc_filter_error *where);
int fc_filter_narrow(struct fc_filter *filter, const struct fc_id_range *ranges, size_t count);
void fc_filter_free(struct fc_filter *filter);
int64_t fc_query_count(struct fc_db *db, const struct fc_filter *filter, struct fc_error *err);

struct fc_query_options { const char *sort; int64_t limit; bool community_id; int64_t offset; ...; };
struct fc_column_info { const char *name; enum fc_cell cell; uint32_t size; uint32_t field; ...; };
struct fc_columns;
const struct fc_column_info *fc_column_info(unsigned column);
int fc_columns_open(struct fc_db *db, const struct fc_filter *filter, const struct fc_query_options *options, struct fc_columns **out, struct fc_error *err);
uint32_t fc_columns_fields(const struct fc_columns *columns);
void fc_columns_close(struct fc_columns *columns);

struct fc_session_files;
struct fc_session_file { uint32_t file; const char *path; uint64_t packets; ...; };
int fc_session_files_open(struct fc_db *db, struct fc_session_files **out, struct fc_error *err);
int fc_session_files(struct fc_session_files *files, int64_t session, const struct fc_session_file **list, size_t *count, struct fc_error *err);
void fc_session_files_close(struct fc_session_files *files);

struct fc_summary { char generation[64]; uint64_t sessions; int64_t last_id; uint64_t files, packets, bytes, size; bool has_time;
    int64_t start_ns, end_ns; uint32_t fields; char profile[32]; ...; };
int fc_summary_read(struct fc_db *db, struct fc_summary *summary, struct fc_error *err);

struct fc_listed_file { uint32_t id; const char *path; int presence; const char *why; const char *format; const char *compression;
    uint64_t size, stream_size, records, ignored, forgotten; bool has_time; int64_t first_ns, last_ns; uint64_t damaged, lost_bytes, pending_bytes; ...; };
struct fc_file_list { struct fc_listed_file *items; size_t count; void *owned; ...; };
int fc_files_list(struct fc_db *db, bool check, const int *stop, struct fc_file_list *out, struct fc_error *err);
void fc_file_list_fini(struct fc_file_list *list);
const char *fc_presence_name(int presence);
struct fc_listed_damage { uint32_t file; const char *path; uint64_t off, length; const char *cause; ...; };
int fc_damage_list(struct fc_db *db, uint32_t file, int (*take)(void *ctx, const struct fc_listed_damage *damage), void *ctx, struct fc_error *err);

struct fc_top;
struct fc_top_options { int by; uint32_t figures; const char *sort; int64_t limit; int64_t bucket_ns; bool by_time; ...; };
struct fc_top_row { int kind; uint8_t addr[16]; uint8_t server[16]; int port; uint32_t proto; int state; uint32_t file; const char *text;
    bool has_bucket; int64_t bucket_ns; uint64_t sessions, peers, ports, packets; bool has_bytes; uint64_t bytes, sent_bytes, received_bytes;
    bool has_time; int64_t first_ns, last_ns; uint64_t intervals; double interval_mean, interval_deviation; ...; };
int fc_top_open(struct fc_db *db, const struct fc_filter *filter, const struct fc_top_options *options, struct fc_top **out, struct fc_error *err);
int fc_top_next(struct fc_top *top, struct fc_top_row *row);
void fc_top_close(struct fc_top *top);
enum { FC_TOP_PEERS, FC_TOP_PORTS, FC_TOP_INTERVAL, ... };

struct fc_histogram_options { int by; unsigned buckets; ...; };
struct fc_histogram_sum { uint64_t sessions, packets, bytes; ...; };
struct fc_histogram_group { int64_t key; struct fc_histogram_sum total; struct fc_histogram_sum *bucket; ...; };
struct fc_histogram { int64_t bucket_ns, start_ns; size_t count; struct fc_histogram_group *group; size_t groups;
    struct fc_histogram_sum earlier, timeless; bool exact; ...; };
int fc_histogram_make(struct fc_db *db, const struct fc_filter *filter, const struct fc_histogram_options *options, struct fc_histogram *out, struct fc_error *err);
void fc_histogram_fini(struct fc_histogram *histogram);

struct fc_progress { uint64_t bytes_total, bytes_done, files_total, files_done, records_total, records, sessions_total, sessions, sessions_written; uint32_t phase; ...; };
struct fc_notice { int kind; struct fc_error what; ...; };
struct fc_index_options { unsigned jobs; bool wait; bool keep_copies; uint64_t memory_bytes; const char *profile; const char *timeouts;
    const char *fields; const char *filter; const char *exclude_net; const char *key; void (*progress)(void *, const struct fc_progress *);
    void *progress_ctx; ...; };
struct fc_index_result { uint64_t files, files_grown, files_known, files_moved, files_gone, files_refused, records, ignored, malformed,
    packets, sessions, provisional, continued, bytes, damaged_files, damages, skipped_bytes, pending_files, pending_bytes, header_bytes,
    record_bytes, other_bytes, files_skipped, files_copied; struct fc_notice *notices; size_t notice_count; uint64_t notices_left_out; ...; };
int fc_index_run(const char *db_path, const char *const *paths, size_t path_count, const struct fc_index_options *options,
    struct fc_progress *progress, const int *stop, struct fc_index_result *result, struct fc_error *err);
void fc_index_result_fini(struct fc_index_result *result);

struct fc_packets;
struct fc_packets_options { int order; bool partial; bool numbers; uint32_t fields; const int *stop; ...; };
struct fc_packets_result { uint64_t sessions, packets, bytes_read, bytes_decoded, missing, forgotten; int64_t forgotten_ns; ...; };
int fc_packets_open(struct fc_db *db, const struct fc_filter *filter, const struct fc_packets_options *options, struct fc_packets **out, struct fc_error *err);
void fc_packets_close(struct fc_packets *packets);

struct fc_follow;
struct fc_piece { int kind; int from; int64_t session; uint64_t at; uint64_t len; const uint8_t *data; int64_t ts_ns; uint32_t file; uint64_t off; ...; };
struct fc_follow_options { bool partial; const int *stop; ...; };
int fc_follow_open(struct fc_db *db, const struct fc_filter *filter, const struct fc_follow_options *options, struct fc_follow **out, struct fc_error *err);
int fc_follow_next(struct fc_follow *follow, const struct fc_piece **piece, struct fc_error *err);
void fc_follow_close(struct fc_follow *follow);

struct fc_rights { unsigned mode; ...; };
struct fc_new_file { int fd; ...; };
int fc_new_file_open(struct fc_new_file *file, const char *place, const struct fc_rights *rights, struct fc_error *err);
int fc_new_file_finish(struct fc_new_file *file, bool replace, struct fc_error *err);
void fc_new_file_abandon(struct fc_new_file *file);
struct fc_carve_options { int format; int compression; bool partial; const char *avoid; bool one_direction; int from; uint64_t first_packets, first_bytes;
    bool comments; void (*progress)(void *, const struct fc_progress *); void *progress_ctx; ...; };
struct fc_carve_result { uint64_t sessions, packets, bytes_read, bytes_decoded, bytes_written, packets_missing, packets_forgotten; int64_t forgotten_ns;
    struct fc_error *missing; size_t missing_count; ...; };
int fc_carve(struct fc_db *db, const struct fc_filter *filter, const struct fc_carve_options *options, int fd, const int *stop, struct fc_carve_result *result, struct fc_error *err);
int fc_compression_by_suffix(const char *path);
int fc_carve_format_by_suffix(const char *path);
void fc_carve_result_fini(struct fc_carve_result *result);

struct fc_look;
struct fc_look_options { const char *filter; uint32_t snaplen; uint32_t buffer; bool promiscuous; uint32_t fields; const int *stop; ...; };
struct fc_look_result { uint64_t received, dropped, dropped_iface, given; ...; };
int fc_look_open(const char *iface, const struct fc_look_options *options, struct fc_look **out, struct fc_error *err);
void fc_look_close(struct fc_look *look);

extern const char fcpy_capsule_name[];
void fcpy_capsule_end(void *capsule);
extern "Python" void fcpy_progress(void *, const struct fc_progress *);
extern "Python" int fcpy_damage(void *, const struct fc_listed_damage *);
"""


def shown(path):
    """What a header has between its marks, without comments, which cffi takes for less than C does."""
    with open(path) as f:
        text = re.search(r"/\* <cffi> \*/(.*)/\* </cffi> \*/", f.read(), re.S).group(1)
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def builder(**how):
    ffi = cffi.FFI()
    ffi.cdef(LIBRARY + shown(os.path.join(HERE, "glue", "glue.h")))
    ffi.set_source("flowcarve._flowcarve", '#include "glue.h"\n#include "capsule.h"\n', py_limited_api=True, **how)
    return ffi


def for_setup():
    """What setup.py builds: with the library, wherever that is."""
    import setup
    how = setup.how_to_link()
    how["include_dirs"] = [os.path.join("glue")] + how.get("include_dirs", [])
    how["sources"] = sorted(os.path.join("glue", n) for n in os.listdir(os.path.join(HERE, "glue")) if n.endswith(".c"))
    how["define_macros"] = how.get("define_macros", []) + [("_GNU_SOURCE", None)]
    how["extra_compile_args"] = how.get("extra_compile_args", []) + ["-fvisibility=hidden"]
    return builder(**how)


if __name__ == "__main__":
    builder().emit_c_code(sys.argv[1])
