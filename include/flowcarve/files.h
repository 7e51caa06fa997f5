/* SPDX-License-Identifier: MIT */
/*
 * The captures of an index: which there are, whether they are where the index has them, and where they have moved to.
 *
 * Threads: as for the handle, or one call at a time per database.
 */
#ifndef FLOWCARVE_FILES_H
#define FLOWCARVE_FILES_H

#include <flowcarve/db.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is found where the index has a capture. */
enum fc_presence {
    FC_FILE_PRESENT,
    FC_FILE_PENDING,    /* present, and the index has the beginning of a record at its end */
    FC_FILE_GROWN,      /* present, and longer than what was indexed */
    FC_FILE_CHANGED,    /* another content */
    FC_FILE_MISSING,    /* nothing */
    FC_FILE_UNREADABLE, /* the system says why not: see `why` */
    FC_FILE_GONE,       /* not looked for: another capture has its name by now, and it was found nowhere else */
    FC_FILE_FORGOTTEN,  /* not looked for: the index has no positions in it any more */
    FC_FILE_ARCHIVED    /* not looked for: the index has it at a URL, and nobody has asked to check */
};

struct fc_listed_file {
    uint32_t id;
    const char *path; /* where it is, as far as the index can tell */
    enum fc_presence presence;
    const char *why;         /* of one that is unreadable; else NULL */
    const char *format;      /* pcap, pcap-ns, pcap-modified, pcapng */
    const char *compression; /* none, gzip, zstd, lz4, xz */
    uint64_t size, stream_size;
    uint64_t records, ignored, forgotten; /* as in table `files` */
    bool has_time;
    int64_t first_ns, last_ns; /* earliest and latest record, ns since 1970 */
    uint64_t damaged, lost_bytes, pending_bytes;
};
struct fc_file_list {
    struct fc_listed_file *items; /* ascending by id */
    size_t count;
    void *owned;
};

/*
 * Lists all captures. A file whose size, times, device and inode are as noted is taken for the capture; of others, and
 * with `check` of all, the fingerprint is compared; without it nothing is asked of an archive, with it the version, and
 * the fingerprint where that is another one than was noted. On success fc_file_list_fini() frees. stop: as in
 * fc_index_run().
 * FC_E_NOMEM, FC_E_IO, FC_E_DB, FC_E_INTERRUPTED.
 */
int fc_files_list(struct fc_db *db, bool check, const int *stop, struct fc_file_list *out, struct fc_error *err);
void fc_file_list_fini(struct fc_file_list *list);

/* A range of bytes of a capture of which nothing could be made; of no length: damage to compressed data. */
struct fc_listed_damage {
    uint32_t file; /* its ID */
    const char *path;
    uint64_t off, length; /* bytes */
    const char *cause;    /* a sentence without a full stop */
};

/* A code other than 0 ends the listing and is given back. What `damage` has is valid during the call. */
typedef int fc_damage_take(void *ctx, const struct fc_listed_damage *damage);

/*
 * Lists the damage of a capture by its ID, or of all (0), in the order of captures and offsets, as far as the index has
 * it (the first 65,536 ranges of each). FC_E_USAGE: there is no such capture. FC_E_NOMEM, FC_E_IO, FC_E_DB,
 * FC_E_INTERRUPTED.
 */
int fc_damage_list(struct fc_db *db, uint32_t file, fc_damage_take *take, void *ctx, struct fc_error *err);

/*
 * Has the index captures in archives? Then what reads them is loaded, so that a program may give up the right to load
 * libraries. 1, 0, or FC_E_IO: it has, and that cannot be loaded; FC_E_DB.
 */
int fc_files_archived(struct fc_db *db, struct fc_error *err);

/* "present", "pending" and so on. */
const char *fc_presence_name(enum fc_presence presence);

struct fc_relocate_result {
    uint64_t matched;  /* captures of the index whose name begins with the old path; of these: */
    uint64_t moved;    /* found under the new one, which the index has now */
    uint64_t missing;  /* not there, */
    uint64_t changed;  /* or with another content, or unreadable: the index has the old name still */
    uint64_t left_out; /* not there, and still under the old one, gone or forgotten: nothing is missed */
    /* a -wal or -journal lies beside the index until the next writer: somebody was reading, or a disk fails */
    bool wal_left;
    /* what was missing or changed, the first FC_PROBLEMS_KEPT; owned by the result */
    struct fc_error *problems;
    size_t problem_count;
};
enum { FC_PROBLEMS_KEPT = 100 };

/*
 * Captures that lie under old_path (a folder, or a capture) were moved to new_path: gives those their new name that are
 * there, by their fingerprint, all of them or, on failure, none. No session changes. old_path need not be there any
 * more. Either may be the URL of an archive (http://, https://, s3://BUCKET/KEY; without user or query, which would
 * stand in the index): what lies there is read by ranges from then on. *result is filled also on failure and must go to
 * fc_relocate_result_fini(). stop: as in fc_index_run(). FC_E_MISSING: no index, or nothing at new_path. FC_E_USAGE: a
 * URL, or what the environment says of S3, is refused. FC_E_IO: also of an archive that cannot be asked. FC_E_BUSY,
 * FC_E_DB, FC_E_NOMEM, FC_E_SCHEMA, FC_E_INTERRUPTED.
 */
int fc_files_relocate(const char *db_path, const char *old_path, const char *new_path, const int *stop,
                      struct fc_relocate_result *result, struct fc_error *err);
void fc_relocate_result_fini(struct fc_relocate_result *result);

#ifdef __cplusplus
}
#endif
#endif
