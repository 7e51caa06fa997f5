/* SPDX-License-Identifier: MIT */
/*
 * Indexing of captures into a database.
 *
 * The result does not depend on the number of threads nor on the chunk size. A call either completes and leaves the
 * index on disk, or leaves the state from before. Damage in a capture is passed over, counted and located; that is no
 * failure.
 *
 * Threads: one call at a time per database; fc_progress may be read, and `stop` set, from any thread or signal handler.
 */
#ifndef FLOWCARVE_INDEX_H
#define FLOWCARVE_INDEX_H

#include <flowcarve/error.h>
#include <flowcarve/newfile.h>
#include <flowcarve/progress.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fc_notice;

struct fc_index_options {
    /* threads, and as many more that decompress; 0: one a processor. From 2 on, writing takes up to three */
    unsigned jobs;
    /* 65536 to 1 GiB; 0: up to 16 MiB, less with little memory or many captures that overlap in time */
    uint64_t chunk_bytes;
    bool wait;         /* until no other process writes the index, as long as it takes */
    const char *spool; /* a new file, which the stream among the paths ("-" or a FIFO) is written to; NULL: none */
    bool keep_copies;  /* index a capture that has the content of another one, too, and count its packets twice */
    struct fc_rights rights; /* of an index that is made, and of the spool */
    bool unsynced;           /* do not wait for the disk: an index that can be made again when the machine goes down */
    uint64_t memory_bytes;   /* aim for flows and sessions not yet written; 0: 512 MiB. At least 16 MiB */
    /*
     * What follows is stored in the index and holds for all captures added later. NULL: what the index has, or the
     * default. FC_E_USAGE when it differs from what the index has.
     */
    const char *profile;  /* flowcarve, wireshark, zeek, suricata, arkime, yaf */
    const char *timeouts; /* "tcp=3600,udp=180", see the manual */
    /* "mac,vlan,mpls,tunnel,ttl,dscp,tcp-flags,isn,payload,community-id", "all" */
    const char *fields;
    const char *filter;      /* pcap-filter(7): records that do not match are left out */
    const char *exclude_net; /* "10.0.0.0/8,2001:db8::/32": records with an address in one are left out */
    /*
     * What makes a session's key beside protocol, addresses and ports: "vlan", "tunnel": these ids are part of it;
     * "outer": it is that of the outermost IP layer. Comma-separated.
     */
    const char *key;
    /*
     * Told of each capture that there is something to know of, at once, by the calling thread; NULL: see
     * fc_index_result.notices.
     */
    void (*notice)(void *ctx, const struct fc_notice *notice);
    void *notice_ctx;
    /*
     * Called once by the calling thread, before a capture is opened and before there are other threads, when the index
     * is open and what a filter needs of libpcap is loaded: a program may give up rights here that parsing does not
     * need. names: the filter may have names of hosts in it, which are looked up later. NULL: nothing is called.
     */
    void (*ready)(void *ctx, bool names);
    void *ready_ctx;
    fc_progress_call *progress; /* NULL: nobody is told */
    void *progress_ctx;
};

enum fc_notice_kind {
    FC_NOTICE_SKIPPED, /* passed over: found in a folder and no capture, or the same file or folder as another one */
    FC_NOTICE_DAMAGE,  /* bytes of it are not in the index */
    FC_NOTICE_REFUSED, /* see files_refused */
    FC_NOTICE_OLDER,   /* it starts before the end of what was indexed */
    FC_NOTICE_GROWN,   /* it has grown while it was read: what was there at first is indexed */
    FC_NOTICE_PIECE,   /* compressed in a way that makes carving slow */
    FC_NOTICE_FILTER,  /* the filter does not work on a link type, the records of which are ignored */
    FC_NOTICE_WAL,     /* the index has a -wal file beside it, since somebody was reading it */
    FC_NOTICE_PENDING, /* it ends inside a record, or early: the next run goes on when it has grown */
    FC_NOTICE_LINK,    /* a symbolic link in a folder to a folder that is not searched */
    FC_NOTICE_COPY,    /* passed over: it holds, plain or compressed, what another one does */
    FC_NOTICE_TIMES    /* it has times outside of 1677 to 2262, which the index holds as the nearest of these */
};

/* Something the user should know of one capture. */
struct fc_notice {
    enum fc_notice_kind kind;
    struct fc_error what; /* its file, and what there is to say */
};

enum { FC_NOTICES_KEPT = 1000 };

/*
 * The balance: records = packets in sessions + ignored; bytes = headers + records + other blocks + skipped + pending.
 * Of captures that have grown it is that of what was read now.
 */
struct fc_index_result {
    uint64_t files;       /* new */
    uint64_t files_grown; /* known, and read on where they had ended */
    uint64_t files_known; /* skipped, were indexed before and are unchanged */
    uint64_t files_moved; /* of the known: found under a new name, which the index has now */
    uint64_t files_gone;  /* of the index: another content was found in their place */
    /* named by the user, but no capture; or unreadable, folders too; or changed while they were indexed */
    uint64_t files_refused;
    uint64_t records;
    uint64_t ignored;     /* left out by filter and exclude_net */
    uint64_t malformed;   /* of the records: in malformed sessions */
    uint64_t packets;     /* in the sessions written now */
    uint64_t sessions;    /* new */
    uint64_t provisional; /* sessions of fragments whose first one may still come; they have negative IDs until then */
    uint64_t continued;   /* sessions of the index that got packets */
    uint64_t bytes;       /* size of the captures read, uncompressed */
    uint64_t damaged_files;
    uint64_t damages;                                 /* ranges of bytes of which nothing could be made, */
    uint64_t skipped_bytes;                           /* and their sum */
    uint64_t pending_files, pending_bytes;            /* at the end of captures: what is no whole record yet */
    uint64_t header_bytes, record_bytes, other_bytes; /* with skipped_bytes and pending_bytes they are `bytes` */
    uint64_t suspended;        /* times that a part of the flow table went to a file for want of memory */
    uint64_t rescanned_chunks; /* whose start was guessed wrong */
    uint64_t peak_flows;
    int64_t read_ns, write_ns, sync_ns;
    uint64_t files_skipped; /* notices of FC_NOTICE_SKIPPED */
    uint64_t files_copied;  /* notices of FC_NOTICE_COPY: not indexed, as the content of another capture is */
    /* without options.notice: the first FC_NOTICES_KEPT; owned by the result */
    struct fc_notice *notices;
    size_t notice_count;
    uint64_t notices_left_out;
    void (*notice)(void *ctx, const struct fc_notice *notice); /* as in the options */
    void *notice_ctx;
};

/*
 * Indexes files and folders into the database at db_path. *result is filled also on failure (what is known by then) and
 * must go to fc_index_result_fini(). options, progress and stop may be NULL; progress: counts that others may look at
 * meanwhile, all 0 before; once *stop is not 0 the call ends with
 * FC_E_INTERRUPTED. 0 also when some of the files were refused: see the result.
 * FC_E_FORMAT: none of the files is a capture that can be indexed; no index was made.
 * FC_E_LIMIT: the process has too many files open for one more. FC_E_USAGE, FC_E_NOMEM, FC_E_IO, FC_E_DB, FC_E_SCHEMA,
 * FC_E_BUSY (another process writes the index).
 */
int fc_index_run(const char *db_path, const char *const *paths, size_t path_count,
                 const struct fc_index_options *options, struct fc_progress *progress, const int *stop,
                 struct fc_index_result *result, struct fc_error *err);
void fc_index_result_fini(struct fc_index_result *result);

/* Which captures' positions are to leave an index. */
struct fc_forget_options {
    bool has_before;
    int64_t before_ns; /* those of which the latest record is before that, ns since 1970 */
    bool gone;         /* those of which another capture has the name, or that are not in their folder any more */
    const char *const *files; /* those of these names */
    size_t file_count;
    bool keep_sessions; /* sessions of which no packet is left stay, with their counts */
};
struct fc_forget_result {
    uint64_t files, packets, sessions; /* captures, packets of them; sessions that went */
    /* a -wal or -journal lies beside the index until the next writer: somebody was reading, or a disk fails */
    bool wal_left;
    uint64_t size_before, size_after; /* bytes of the index; room that was freed inside is used again */
};

/*
 * Takes positions out of the index, capture by capture, in small transactions beside which others read on. What is
 * counted stays, in `files` and `session`, and with it how much is forgotten. Captures themselves are not touched.
 * options: one of before, gone and files at least, else FC_E_USAGE; so is a file that is not in the index. *result is
 * filled also on failure: what was forgotten until then is. stop as in fc_index_run(). FC_E_MISSING: no index. FC_E_DB,
 * FC_E_IO, FC_E_NOMEM, FC_E_SCHEMA, FC_E_INTERRUPTED.
 */
int fc_forget(const char *db_path, const struct fc_forget_options *options, const int *stop,
              struct fc_forget_result *result, struct fc_error *err);

#ifdef __cplusplus
}
#endif
#endif
