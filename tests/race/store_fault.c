/* SPDX-License-Identifier: MIT */
/*
 * What the store asks of SQLite's memory, of SQLite's files and of its own fails: each call once, and once with all
 * behind it. A run that fails says why and leaves the index as it was; one that does without has written the whole of
 * it; and the same captures can be indexed afterwards. A reader tells of an index that it cannot read, and never of a
 * damaged one.
 *
 * Failing are the allocators that SQLite is configured with, a VFS around its own, and, by -Wl,--wrap, the calls of the
 * store. Of kinds with many calls some are chosen: FLOWCARVE_TEST_ROUNDS is how many, of allocations four times as
 * many; every other one of them fails with all behind it, by FLOWCARVE_TEST_LONG each does both.
 */
#include "store/writer_internal.h"
#include "traffic.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <flowcarve/carve.h>
#include <flowcarve/db.h>
#include <flowcarve/index.h>
#include <flowcarve/query.h>
#include <flowcarve/verify.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t __real_pwrite(int fd, const void *data, size_t n, off_t off);
ssize_t __real_pread(int fd, void *data, size_t n, off_t off);
int __real_ftruncate(int fd, off_t size);
int __real_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
ssize_t __wrap_pwrite(int fd, const void *data, size_t n, off_t off);
ssize_t __wrap_pread(int fd, void *data, size_t n, off_t off);
int __wrap_fsync(int fd);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);

/* Calls that fail. The first ones are those of SQLite. */
enum kind {
    MALLOC,
    OPEN,
    READ,
    WRITE,
    TRUNCATE,
    SYNC,
    SIZE,
    LOCK,
    DELETE,
    ACCESS,
    SHARED,
    OWN_WRITE,
    OWN_READ,
    OWN_SYNC,
    OWN_TRUNCATE,
    OWN_RENAME,
    KINDS
};
static const char *const names[KINDS] = {"malloc",   "open",     "read",         "write",     "truncate", "sync",
                                         "size",     "lock",     "delete",       "access",    "shared",   "own write",
                                         "own read", "own sync", "own truncate", "own rename"};

static atomic_uint_fast64_t calls[KINDS];
static enum kind failing = KINDS;
static uint64_t fail_from, fail_to; /* of the kind, those numbered so, from 0, fail */
static atomic_bool armed;
static unsigned complaints;

static bool fails(enum kind kind)
{
    uint64_t i = atomic_fetch_add(&calls[kind], 1);

    return atomic_load(&armed) && kind == failing && i >= fail_from && i < fail_to;
}

static void arm(enum kind kind, uint64_t from, uint64_t to)
{
    for (int i = 0; i < KINDS; i++)
        atomic_store(&calls[i], 0);
    failing = kind;
    fail_from = from;
    fail_to = to;
    atomic_store(&armed, true);
}

/* --- The store's own calls. Captures are opened for reading only, and do not fail here. --- */

static bool is_own(int fd)
{
    return (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t n, off_t off)
{
    if (!fails(OWN_WRITE))
        return __real_pwrite(fd, data, n, off);
    errno = fail_from & 1 ? EIO : ENOSPC;
    return -1;
}

ssize_t __wrap_pread(int fd, void *data, size_t n, off_t off)
{
    if (!is_own(fd) || !fails(OWN_READ))
        return __real_pread(fd, data, n, off);
    errno = EIO;
    return -1;
}

static int refuse(void)
{
    errno = EIO;
    return -1;
}

int __wrap_fsync(int fd)
{
    (void)fd;
    return fails(OWN_SYNC) ? refuse() : 0;
}

int __wrap_ftruncate(int fd, off_t size)
{
    return fails(OWN_TRUNCATE) ? refuse() : __real_ftruncate(fd, size);
}

int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    return fails(OWN_RENAME) ? refuse() : __real_renameat2(from_dir, from, to_dir, to, flags);
}

/* --- SQLite's memory. --- */

static sqlite3_mem_methods memory;

static void *try_malloc(int n)
{
    return fails(MALLOC) ? NULL : memory.xMalloc(n);
}

static void *try_realloc(void *p, int n)
{
    return fails(MALLOC) ? NULL : memory.xRealloc(p, n);
}

/* --- SQLite's files. --- */

struct shim {
    sqlite3_file base;
    sqlite3_file *real; /* behind this */
};

static sqlite3_vfs *below;

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct shim *)file)->real;
}

static int file_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int file_read(sqlite3_file *f, void *data, int n, sqlite3_int64 off)
{
    return fails(READ) ? SQLITE_IOERR_READ : real_of(f)->pMethods->xRead(real_of(f), data, n, off);
}

static int file_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 off)
{
    if (fails(WRITE))
        return fail_from & 1 ? SQLITE_IOERR_WRITE : SQLITE_FULL;
    return real_of(f)->pMethods->xWrite(real_of(f), data, n, off);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return fails(TRUNCATE) ? SQLITE_IOERR_TRUNCATE : real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int file_sync(sqlite3_file *f, int flags)
{
    (void)f;
    (void)flags;
    return fails(SYNC) ? SQLITE_IOERR_FSYNC : SQLITE_OK; /* no machine stops here, and waiting takes its time */
}

static int file_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return fails(SIZE) ? SQLITE_IOERR_FSTAT : real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static int file_lock(sqlite3_file *f, int level)
{
    return fails(LOCK) ? SQLITE_IOERR_LOCK : real_of(f)->pMethods->xLock(real_of(f), level);
}

static int file_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int file_reserved(sqlite3_file *f, int *reserved)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), reserved);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int file_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int file_device(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int shared_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return fails(SHARED) ? SQLITE_IOERR_SHMMAP : real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int shared_lock(sqlite3_file *f, int offset, int n, int flags)
{
    if (flags & SQLITE_SHM_LOCK && fails(SHARED))
        return SQLITE_IOERR_SHMLOCK;
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void shared_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int shared_unmap(sqlite3_file *f, int delete)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), delete);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xShmMap = shared_map,
    .xShmLock = shared_lock,
    .xShmBarrier = shared_barrier,
    .xShmUnmap = shared_unmap,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_device,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    struct shim *shim = (struct shim *)file;
    int rc;

    (void)vfs;
    shim->base.pMethods = NULL;
    shim->real = (sqlite3_file *)(shim + 1);
    if (fails(OPEN))
        return SQLITE_CANTOPEN;
    rc = below->xOpen(below, name, shim->real, flags, out);
    if (shim->real->pMethods)
        shim->base.pMethods = &methods;
    return rc;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    return fails(DELETE) ? SQLITE_IOERR_DELETE : below->xDelete(below, name, sync);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    (void)vfs;
    return fails(ACCESS) ? SQLITE_IOERR_ACCESS : below->xAccess(below, name, flags, out);
}

static int vfs_error(sqlite3_vfs *vfs, int n, char *text)
{
    (void)vfs;
    (void)n;
    (void)text;
    return EIO;
}

static void set_up_sqlite(void)
{
    static sqlite3_mem_methods own_memory;
    static sqlite3_vfs vfs;

    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory);
    own_memory = memory;
    own_memory.xMalloc = try_malloc;
    own_memory.xRealloc = try_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &own_memory);
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0); /* else most allocations would not come to the above */
    sqlite3_initialize();
    below = sqlite3_vfs_find(NULL);
    vfs = *below;
    vfs.zName = "failing";
    vfs.szOsFile = (int)sizeof(struct shim) + below->szOsFile;
    vfs.xOpen = vfs_open;
    vfs.xDelete = vfs_delete;
    vfs.xAccess = vfs_access;
    vfs.xGetLastError = vfs_error;
    sqlite3_vfs_register(&vfs, 1);
}

/* --- Runs. --- */

/* An index of the first `before` captures gets the others, or what they have grown by, or forgets the first one. */
struct scene {
    const char *name;
    unsigned before;
    enum { ADD, GROW, FORGET, FORGET_KEEP } what;
    struct traffic *traffic;
    int64_t heap_limit; /* with little, pages are written before the end */
    uint8_t *base;      /* the index before; NULL: none */
    size_t base_len;
    uint64_t sessions; /* new ones of the last run */
    uint64_t old, new; /* digests before and after; 0: no index */
};

static char folder[64], db[80];
static uint64_t seed;
static struct rng rng;

static void complain(const char *scene, const char *what)
{
    atomic_store(&armed, false);
    fprintf(stderr, "store_fault: FLOWCARVE_TEST_SEED=%llu, %s, failing %s %llu to %llu: %s\n",
            (unsigned long long)seed, scene, failing < KINDS ? names[failing] : "nothing",
            (unsigned long long)fail_from, (unsigned long long)fail_to, what);
    if (++complaints >= 20)
        exit(1);
}

static uint64_t mix(uint64_t h, const void *data, size_t n)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}

/* All that a query gives. */
static uint64_t digest_rows(sqlite3 *sql, const char *query, uint64_t h)
{
    sqlite3_stmt *stmt;

    if (sqlite3_prepare_v2(sql, query, -1, &stmt, NULL) != SQLITE_OK)
        return 1;
    while (sqlite3_step(stmt) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
            int type = sqlite3_column_type(stmt, i);
            h = mix(h, &type, sizeof type);
            h = mix(h, sqlite3_column_blob(stmt, i), (size_t)sqlite3_column_bytes(stmt, i));
        }
    sqlite3_finalize(stmt);
    return h;
}

static bool is_text(sqlite3 *sql, const char *query, const char *want)
{
    sqlite3_stmt *stmt = NULL;
    bool is = sqlite3_prepare_v2(sql, query, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW &&
              strcmp((const char *)sqlite3_column_text(stmt, 0), want) == 0;

    sqlite3_finalize(stmt);
    return is;
}

/* Of the whole index, which must be sound and balanced; 0: there is none. */
static uint64_t digest(const char *scene)
{
    static const char *const tables[] = {"meta",
                                         "files",
                                         "interfaces",
                                         "damage",
                                         "seek_points",
                                         "protocols",
                                         "session",
                                         "session_fields",
                                         "session_span",
                                         "session_positions",
                                         "session_forgotten",
                                         "session_port",
                                         "open_session",
                                         "open_batch",
                                         "run",
                                         "open_fragment",
                                         "sqlite_stat1",
                                         "sqlite_schema"};
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    sqlite3 *sql;

    if (access(db, F_OK) != 0)
        return 0;
    if (sqlite3_open_v2(db, &sql, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
        !is_text(sql, "PRAGMA integrity_check", "ok"))
        complain(scene, "the index is not sound");
    if (!is_text(sql,
                 "SELECT (SELECT coalesce(sum(client_packets + server_packets), 0) FROM session)"
                 " - (SELECT coalesce(sum(packets), 0) FROM session_forgotten)"
                 " = (SELECT sum(records - ignored - forgotten) FROM files)",
                 "1"))
        complain(scene, "records and packets differ");
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        char query[512];
        snprintf(query, sizeof query, "SELECT * FROM %s ORDER BY 1, 2", tables[i]);
        if (strcmp(tables[i], "files") == 0) /* but ctime_ns, which is there when the captures are some seconds old */
            strcpy(query, "SELECT id, path, relative, size, stream_size, compression, mtime_ns, device, inode,"
                          " fingerprint, stored_fingerprint, begin, format, byte_order, link_types, records, ignored,"
                          " malformed, first_ns, last_ns, backward, end_off, header_bytes, record_bytes, other_bytes,"
                          " lost_bytes, damaged, pending_bytes, gone, forgotten,"
                          " CASE substr(resume, 1, 1) WHEN x'02' THEN substr(resume, 1, 2) ELSE resume END"
                          " FROM files ORDER BY id");
        if (strcmp(tables[i], "run") == 0) /* but those that noted names and times */
            strcpy(query, "SELECT first_file, last_file, first_session, last_session, changed FROM run"
                          " WHERE first_file <= last_file OR first_session <= last_session OR length(changed) > 0");
        if (strcmp(tables[i], "sqlite_stat1") == 0 && strncmp(scene, "forgetting", 10) == 0)
            continue; /* written behind the last of its transactions, or by the next run */
        if (strcmp(tables[i], "sqlite_schema") == 0)
            strcpy(query, "SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2");
        h = digest_rows(sql, query, h);
    }
    sqlite3_close(sql);
    return h;
}

static int run(struct scene *s, unsigned first, unsigned count, unsigned jobs, struct fc_error *err)
{
    const char *paths[TRAFFIC_FILES];
    struct fc_index_options o = {.jobs = jobs, .fields = "all", .memory_bytes = 16 << 20};
    struct fc_index_result result;

    for (unsigned i = 0; i < count; i++)
        paths[i] = s->traffic->files[first + i].path;
    memset(err, 0, sizeof *err);
    int rc = fc_index_run(db, paths, count, &o, NULL, NULL, &result, err);
    atomic_store(&armed, false);
    if (rc == 0 && result.files_refused)
        complain(s->name, "a capture was refused");
    s->sessions = result.sessions;
    fc_index_result_fini(&result);
    return rc;
}

static int forget(const struct scene *s, struct fc_error *err)
{
    const char *name = s->traffic->files[0].path;
    struct fc_forget_options o = {.files = &name, .file_count = 1, .keep_sessions = s->what == FORGET_KEEP};
    struct fc_forget_result result;

    memset(err, 0, sizeof *err);
    int rc = fc_forget(db, &o, NULL, &result, err);
    atomic_store(&armed, false);
    return rc;
}

/* What the scene is about. */
static int act(struct scene *s, unsigned jobs, struct fc_error *err)
{
    unsigned first = s->what == GROW ? 0 : s->before;

    return s->what >= FORGET ? forget(s, err) : run(s, first, s->traffic->file_count - first, jobs, err);
}

/* The index as it is before. */
static void restore(const struct scene *s)
{
    FILE *f;

    unlink(db);
    if (!s->base)
        return;
    f = fopen(db, "wb");
    if (!f || fwrite(s->base, 1, s->base_len, f) != s->base_len)
        abort();
    fclose(f);
}

/*
 * No file is in the folder but the database, and perhaps a journal that tells nothing: the next transaction removes
 * that.
 */
static void check_folder(const char *scene, bool journal)
{
    DIR *dir = opendir(folder);

    for (struct dirent *e; dir && (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, "test.db") != 0 &&
            !(journal && strcmp(e->d_name, "test.db-journal") == 0) &&
            !(failing == DELETE && strcmp(e->d_name, "test.db-wal") == 0)) {
            complain(scene, e->d_name);
            complain(scene, "a file was left behind");
        }
    if (dir)
        closedir(dir);
}

static void check_error(const char *scene, int rc, const struct fc_error *err)
{
    if (err->code != rc || !err->cause[0])
        complain(scene, "an error without its code or cause");
    if ((rc != FC_E_NOMEM && rc != FC_E_IO && rc != FC_E_DB) || strstr(err->cause, "damaged") ||
        strstr(err->cause, "gone"))
        complain(scene, err->cause);
}

static void fail_once(struct scene *s, enum kind kind, uint64_t from, uint64_t to)
{
    struct fc_error err;

    restore(s);
    arm(kind, from, to);
    int rc = act(s, 1 + (unsigned)rng_below(&rng, 2), &err);
    uint64_t now = digest(s->name); /* rolls back what is left of a transaction */
    if (rc)
        check_error(s->name, rc, &err);
    /* forgetting fails between any two of its transactions */
    if (now != (rc ? s->old : s->new) && !(rc && s->what >= FORGET))
        complain(s->name, rc ? "a failed run changed the index" : "a run that did without wrote another index");
    bool journal = s->what >= FORGET; /* nothing is written when there is nothing more to forget */
    check_folder(s->name, true);      /* what failed may be the way back to a rollback journal, behind the commit */
    if (act(s, 1, &err))
        complain(s->name, err.cause);
    else if (digest(s->name) != s->new)
        complain(s->name, "the next run wrote another index");
    check_folder(s->name, journal);
}

/* Some of n calls of a kind, or all of them. */
static void sweep(void (*fail)(struct scene *, enum kind, uint64_t, uint64_t), struct scene *s, enum kind kind,
                  uint64_t n)
{
    uint64_t most = test_rounds(2) * (kind == MALLOC ? 4 : 1);
    uint64_t strata = n < most ? n : most;
    bool both = strata == 1 || test_number("FLOWCARVE_TEST_LONG", 0); /* else in turn */

    for (uint64_t i = 0; i < strata; i++) {
        uint64_t lo = n * i / strata, hi = n * (i + 1) / strata, k = lo + rng_below(&rng, hi - lo);
        if (both || i % 2 == 0)
            fail(s, kind, k, k + 1);
        if (both || i % 2)
            fail(s, kind, k, UINT64_MAX);
    }
}

/* The beginning of each capture that is to grow, up to somewhere; or the whole of it. */
static void write_captures(const struct scene *s, bool whole)
{
    for (unsigned i = 0; i < s->before && s->what == GROW; i++) {
        const struct maker *m = &s->traffic->files[i].bytes;
        FILE *f = fopen(s->traffic->files[i].path, "r+b");
        if (!f || fwrite(m->at, 1, m->len, f) != m->len || fclose(f) != 0 ||
            (!whole && truncate(s->traffic->files[i].path, (off_t)(m->len * (i + 2) / (i + 3))) != 0))
            abort();
    }
}

static void prepare(struct scene *s)
{
    struct fc_error err;

    restore(s);
    if (s->before) {
        write_captures(s, false);
        if (run(s, 0, s->before, 1, &err))
            complain(s->name, err.cause);
        FILE *f = fopen(db, "rb");
        s->base = malloc(1 << 24);
        s->base_len = f && s->base ? fread(s->base, 1, 1 << 24, f) : 0;
        if (f)
            fclose(f);
        s->old = digest(s->name);
        write_captures(s, true);
    }
}

static void sweep_scene(struct scene *s)
{
    uint64_t n[KINDS];
    struct fc_error err;

    sqlite3_soft_heap_limit64(s->heap_limit);
    prepare(s);
    arm(KINDS, 0, 0);
    if (act(s, 1, &err))
        complain(s->name, err.cause);
    fprintf(stderr, "store_fault: %s: %llu sessions:", s->name, (unsigned long long)s->sessions);
    for (enum kind k = 0; k < KINDS; k++) {
        n[k] = atomic_load(&calls[k]);
        fprintf(stderr, " %s %llu", names[k], (unsigned long long)n[k]);
    }
    fprintf(stderr, "\n");
    s->new = digest(s->name);
    if (s->what == ADD && s->traffic->file_count == 2 && !s->heap_limit && !n[OWN_WRITE])
        complain(s->name, "too few sessions to add them in bulk");
    for (enum kind k = 0; k < KINDS; k++)
        sweep(fail_once, s, k, n[k]);
    free(s->base);
    s->base = NULL;
}

/* --- Readers of the index that the scene before has left. --- */

static uint64_t found, all; /* what a reader has got, and what there is */

static int query_all(struct fc_db *handle, struct fc_error *err)
{
    struct fc_filter *filter;
    struct fc_query *query;
    struct fc_session row;

    if (fc_filter_parse("port 53 or host 10.0.0.1 or vlan 7", 0, &filter, NULL))
        abort();
    int rc = fc_query_open(handle, filter, NULL, &query, err);
    if (rc == 0) {
        while ((rc = fc_query_next(query, &row, err)) == 1)
            found = mix(mix(found, &row.id, sizeof row.id), row.vlan ? row.vlan : "", row.vlan ? strlen(row.vlan) : 0);
        fc_query_close(query);
    }
    int64_t count = rc ? rc : fc_query_count(handle, filter, err);
    found += (uint64_t)count;
    fc_filter_free(filter);
    return count < 0 ? (int)count : 0;
}

static int carve_all(struct fc_db *handle, struct fc_error *err)
{
    struct fc_carve_options o = {.partial = true};
    struct fc_carve_result result;
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int rc = fc_carve(handle, NULL, &o, fd, NULL, &result, err);

    found = result.packets;
    fc_carve_result_fini(&result);
    close(fd);
    return rc;
}

static int verify_all(struct fc_db *handle, struct fc_error *err)
{
    struct fc_verify_result result;
    int rc = fc_verify(handle, NULL, NULL, &result, err);

    found = result.records + result.sessions;
    atomic_store(&armed, false);
    for (size_t i = 0; i < result.problem_count; i++)
        complain("verify", result.problems[i].cause);
    fc_verify_result_fini(&result);
    return rc;
}

static int (*reader)(struct fc_db *, struct fc_error *);

static void read_once(struct scene *s, enum kind kind, uint64_t from, uint64_t to)
{
    struct fc_error err = {0};
    struct fc_db *handle;

    found = 0;
    arm(kind, from, to);
    int rc = fc_db_open(db, &handle, &err);
    if (rc == 0) {
        rc = reader(handle, &err);
        fc_db_close(handle);
    }
    atomic_store(&armed, false);
    if (kind == KINDS)
        all = found;
    if (rc)
        check_error(s->name, rc, &err);
    else if (found != all)
        complain(s->name, "not all was found, and nothing was told");
    if (rc && kind == READ && (rc != FC_E_IO || strcmp(err.file, db) != 0))
        complain(s->name, "an index that cannot be read is not told as such");
}

static void sweep_readers(void)
{
    static const struct {
        const char *name;
        int (*call)(struct fc_db *, struct fc_error *);
    } readers[] = {{"query", query_all}, {"carve", carve_all}, {"verify", verify_all}};

    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        struct scene s = {.name = readers[i].name};
        reader = readers[i].call;
        read_once(&s, KINDS, 0, 0);
        uint64_t reads = atomic_load(&calls[READ]), allocations = atomic_load(&calls[MALLOC]);
        fprintf(stderr, "store_fault: %s: read %llu, malloc %llu\n", s.name, (unsigned long long)reads,
                (unsigned long long)allocations);
        sweep(read_once, &s, READ, reads);
        sweep(read_once, &s, MALLOC, allocations);
    }
}

int main(void)
{
    struct traffic few, some, many;
    struct traffic_options o = {.mask = FC_WANT_ALL,
                                .files = 3,
                                .packets = 60,
                                .keys = 5,
                                .fragments = 20,
                                .backwards = 10,
                                .untimed = 5,
                                .overlap = true};
    struct fc_rules rules;

    fc_writer_bulk_from = 1000;
    seed = test_seed("store_fault");
    rng.state = seed;
    set_up_sqlite();
    fc_rules_profile(&rules, "yaf");
    o.rules = &rules;
    traffic_make(&few, &rng, &o);
    o.keys = 16;
    o.files = 2;
    o.packets = 600;
    traffic_make(&some, &rng, &o);
    o.packets = 3200;
    o.overlap = false;
    traffic_make(&many, &rng, &o);
    snprintf(folder, sizeof folder, "%s/flowcarve-store-XXXXXX", test_scratch());
    if (!mkdtemp(folder))
        abort();
    snprintf(db, sizeof db, "%s/test.db", folder);
    struct scene scenes[] = {
        {.name = "fresh index", .traffic = &few},
        {.name = "addition", .before = 1, .traffic = &few},
        {.name = "addition that spills", .before = 1, .traffic = &some, .heap_limit = 100000},
        {.name = "growth", .before = 2, .what = GROW, .traffic = &few},
        {.name = "growth that spills", .before = 2, .what = GROW, .traffic = &some, .heap_limit = 100000},
        {.name = "forgetting", .before = 3, .what = FORGET, .traffic = &few},
        {.name = "forgetting all but sessions", .before = 2, .what = FORGET_KEEP, .traffic = &some},
        {.name = "forgetting much", .before = 2, .what = FORGET, .traffic = &many},
        {.name = "addition in bulk", .before = 1, .traffic = &many}};
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
        sweep_scene(&scenes[i]);
    sweep_readers();
    unlink(db);
    rmdir(folder);
    traffic_free(&few);
    traffic_free(&some);
    traffic_free(&many);
    return complaints != 0;
}
