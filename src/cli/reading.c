/* SPDX-License-Identifier: MIT */
#include "cli/reading.h"
#include "cli/cli.h"
#include "cli/cmd_index.h"
#include "cli/cmd_query.h"

#include <errno.h>
#include <fcntl.h>
#include <flowcarve/files.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEY_DIGITS = 32 };

static const char all_fields[] = "-all"; /* end of the name of an index that has them */

static void fail_memory(void)
{
    fc_complain("out of memory");
}

int fc_take_reading(const char *command, void *reading, const char *path)
{
    struct fc_reading *r = reading;
    char **more = realloc(r->paths, ((size_t)r->count + 1) * sizeof *more);

    (void)command;
    if (!more || !(more[r->count] = strdup(path))) {
        r->paths = more ? more : r->paths;
        fail_memory();
        return -1;
    }
    r->paths = more;
    r->count++;
    return 0;
}

char *fc_cache_folder(void)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char *folder = NULL;

    if (cache && *cache == '/' ? asprintf(&folder, "%s/flowcarve", cache) < 0
                               : !home || *home != '/' || asprintf(&folder, "%s/.cache/flowcarve", home) < 0)
        return NULL;
    return folder;
}

bool fc_cache_is_index(const char *name)
{
    size_t digits = strspn(name, "0123456789abcdef");

    return digits == KEY_DIGITS && (strcmp(name + digits, ".db") == 0 || strcmp(name + digits, "-all.db") == 0);
}

int fc_cache_remove(const char *db)
{
    static const char *const beside[] = {"-wal", "-shm", "-journal"};
    char *name;

    for (unsigned i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        if (asprintf(&name, "%s%s", db, beside[i]) < 0)
            continue;
        unlink(name);
        free(name);
    }
    return unlink(db) == 0 || errno == ENOENT ? 0 : -1;
}

/* One with a name of its own, and what was begun of it. */
static void remove_temporary(const char *db)
{
    char *site;

    if (asprintf(&site, "%s.new", db) >= 0) {
        unlink(site);
        free(site);
    }
    fc_cache_remove(db);
}

/* mkdir -p; what is made is the owner's alone. */
static bool make_folder(char *path)
{
    for (char *p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        bool made = mkdir(path, 0700) == 0 || errno == EEXIST;
        *p = '/';
        if (!made)
            return false;
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* FNV-1a, of 128 bits by two of 64 with other beginnings; who can choose inodes may as well write the index. */
static void mix(uint64_t hash[2], uint64_t value)
{
    for (int i = 0; i < 64; i += 8) {
        hash[0] = (hash[0] ^ (value >> i & 255)) * UINT64_C(0x100000001b3);
        hash[1] = (hash[1] ^ (~value >> i & 255)) * UINT64_C(0x100000001b3);
    }
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, 2 * sizeof(uint64_t));
}

/* The name of their index without its end. False: one is not there, which is said. */
static bool name_captures(struct fc_reading *r, const char *command, char key[KEY_DIGITS + 1])
{
    uint64_t hash[2] = {UINT64_C(0xcbf29ce484222325), UINT64_C(0x9ae16a3b2f90404f)}, (*ids)[2];
    struct stat st;
    bool there = true, folders = false;

    if (!(ids = calloc((size_t)r->count, sizeof *ids))) {
        fail_memory();
        return false;
    }
    for (int i = 0; i < r->count && there; i++) {
        there = strcmp(r->paths[i], "-") != 0 && stat(r->paths[i], &st) == 0;
        if (strcmp(r->paths[i], "-") == 0)
            fc_complain("%s: -r takes captures and folders; of a stream 'flowcarve index --spool' makes an index",
                        command);
        else if (!there)
            fc_complain("%s: %s", r->paths[i], strerror(errno));
        else if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
            fc_complain("%s: -r takes captures and folders, '%s' is neither%s", command, r->paths[i],
                        S_ISFIFO(st.st_mode) ? "; of a stream 'flowcarve index --spool' makes an index" : "");
            there = false;
        } else {
            folders |= S_ISDIR(st.st_mode);
            ids[i][0] = (uint64_t)st.st_dev;
            ids[i][1] = (uint64_t)st.st_ino;
        }
    }
    qsort(ids, (size_t)r->count, sizeof *ids, compare_ids);
    for (int i = 0; i < r->count; i++) {
        if (i && compare_ids(ids[i], ids[i - 1]) == 0)
            continue;
        mix(hash, ids[i][0]);
        mix(hash, ids[i][1]);
        r->files++;
    }
    r->files = folders ? 0 : r->files;
    snprintf(key, KEY_DIGITS + 1, "%016" PRIx64 "%016" PRIx64, hash[0], hash[1]);
    free(ids);
    return there;
}

/* ---- the process that indexes */

/* A temporary index goes also when a signal ends the command. */
static char *doomed;

static void remove_doomed(int number)
{
    unlink(doomed);
    signal(number, SIG_DFL);
    raise(number);
}

static const int signals[] = {SIGHUP, SIGINT, SIGTERM};

/*
 * Waits for the child; a signal that asks this process to end is handed on, and waited until the child has tidied up.
 * Returns its exit status.
 */
static int wait_for(pid_t child, const sigset_t *waited, int *ended_by)
{
    int status;

    *ended_by = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
        int number = sigwaitinfo(waited, NULL);
        if (number > 0 && number != SIGCHLD) {
            kill(child, number);
            *ended_by = number;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : FC_EXIT_ERROR;
}

/* Indexes in a child. Dies of the signal that asks for it meanwhile. */
static int index_apart(const struct fc_kept_index *kept, char **paths, int count)
{
    sigset_t waited, before;
    int ended_by, status;
    pid_t parent = getpid();

    sigemptyset(&waited);
    sigaddset(&waited, SIGCHLD);
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction now;
        if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaddset(&waited, signals[i]);
    }
    sigprocmask(SIG_BLOCK, &waited, &before);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            _exit(FC_EXIT_ERROR);
        status = fc_index_kept(kept, paths, count);
        if (status == FC_EXIT_ERROR)
            fc_die_of_signal();
        fflush(NULL);
        _exit(status);
    }
    status = child < 0 ? FC_EXIT_ERROR : wait_for(child, &waited, &ended_by);
    if (child < 0)
        fc_complain("cannot start a process: %s", strerror(errno));
    else if (ended_by) {
        if (doomed)
            remove_temporary(doomed);
        signal(ended_by, SIG_DFL);
        raise(ended_by);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return status;
}

/* What is to be done with an index before it is used. */
enum state {
    CURRENT, /* nothing */
    BEHIND,  /* there may be more to index */
    STALE    /* it has sessions of captures that are not there any more, or of another content, or is none: made anew */
};

/* files: how many captures were named, where all that was named are captures; else 0, as folders are to be searched. */
static enum state look_at(const char *path, size_t files)
{
    enum state state = BEHIND;
    struct fc_file_list list;
    struct fc_db *db;

    if (fc_db_open(path, &db, NULL) != 0)
        return STALE;
    if (fc_files_list(db, false, NULL, &list, NULL) == 0) {
        state = list.count == files ? CURRENT : BEHIND;
        for (size_t i = 0; i < list.count; i++) {
            enum fc_presence presence = list.items[i].presence;
            if (presence == FC_FILE_MISSING || presence == FC_FILE_GONE || presence == FC_FILE_CHANGED ||
                presence == FC_FILE_FORGOTTEN)
                state = STALE;
            else if (presence != FC_FILE_PRESENT && presence != FC_FILE_PENDING && state == CURRENT)
                state = BEHIND;
        }
        fc_file_list_fini(&list);
    }
    fc_db_close(db);
    return state;
}

/* An index of another version of the program, say: it can be made again. */
static bool is_foreign(const char *path)
{
    struct fc_db *db = NULL;
    int rc = access(path, F_OK) == 0 ? fc_db_open(path, &db, NULL) : 0;

    fc_db_close(db);
    return rc == FC_E_SCHEMA || rc == FC_E_FORMAT;
}

static bool bring_up_to_date(struct fc_reading *r, bool all, const char *what, bool quiet)
{
    const struct fc_kept_index kept = {.db = r->db, .what = what, .all = all, .quiet = quiet};

    if (is_foreign(r->db))
        fc_cache_remove(r->db);
    else if (r->files && !r->temporary && access(r->db, F_OK) == 0 && look_at(r->db, r->files) == CURRENT)
        return true;
    int status = index_apart(&kept, r->paths, r->count);
    if (status != FC_EXIT_ERROR && look_at(r->db, 0) == STALE) {
        fc_cache_remove(r->db);
        status = index_apart(&kept, r->paths, r->count);
    }
    r->refused = status == FC_EXIT_NONE;
    return status != FC_EXIT_ERROR;
}

/* ---- where it is */

static bool in_temporary_file(struct fc_reading *r)
{
    const char *folder = getenv("TMPDIR"), end[] = ".db";
    struct sigaction action = {.sa_handler = remove_doomed}, before;

    if (asprintf(&r->db, "%s/flowcarve-XXXXXX%s", folder && *folder ? folder : "/var/tmp", end) < 0) {
        r->db = NULL;
        fail_memory();
        return false;
    }
    sigset_t all, mask;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &mask);                  /* there is no file without the handler that removes it */
    int fd = mkostemps(r->db, sizeof end - 1, O_CLOEXEC); /* an empty file is as good as none */
    if (fd < 0) {
        fc_complain("%s: cannot make an index: %s", r->db, strerror(errno));
    } else {
        close(fd);
        r->temporary = true;
        doomed = r->db;
        for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++)
            if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
                sigaction(signals[i], &action, NULL);
    }
    sigprocmask(SIG_SETMASK, &mask, NULL);
    return r->temporary;
}

/* An index with all fields is used where there is one; *all: it has them. */
static bool in_cache(struct fc_reading *r, const char *key, bool *all)
{
    char *folder = fc_cache_folder(), *plain = NULL;
    bool made = folder && make_folder(folder);

    if (!made)
        fc_complain("there is no folder to keep the index in (%s); --no-keep does without, -d names an index",
                    folder ? strerror(errno) : "$HOME is not set");
    else if (asprintf(&r->db, "%s/%s%s.db", folder, key, all_fields) < 0 ||
             asprintf(&plain, "%s/%s.db", folder, key) < 0) {
        fail_memory();
        made = false;
    } else if (*all) {
        fc_cache_remove(plain);
    } else if (access(r->db, F_OK) == 0) {
        *all = true;
    } else {
        free(r->db);
        r->db = plain;
        plain = NULL;
    }
    free(plain);
    free(folder);
    return made;
}

const char *fc_reading_db(struct fc_reading *r, const char *command, const char *db, const char *filter,
                          const struct fc_zone *zone, uint32_t fields, bool quiet)
{
    const struct fc_time_options times = {.local = zone && zone->local};
    struct fc_filter_error where;
    struct fc_filter *parsed = NULL;
    char key[KEY_DIGITS + 1], *what = NULL;

    if (!r->count) {
        if (r->no_keep)
            fc_complain("%s: --no-keep goes with -r", command);
        return r->no_keep ? NULL : fc_db_name(db);
    }
    if (db) {
        fc_complain("%s: -r is in place of an index; -d names one", command);
        return NULL;
    }
    int rc = fc_filter_parse_with(filter, &times, &parsed, &where);
    if (rc == FC_E_FILTER)
        fc_print_filter_error(filter, &where);
    else if (rc)
        fc_complain("%s", fc_strerror(rc));
    /* a Community ID is computed where it is not held */
    bool all = rc == 0 && ((fields | fc_filter_fields(parsed, NULL)) & ~(uint32_t)FC_FIELD_COMMUNITY_ID) != 0;
    fc_filter_free(parsed);
    if (rc || !name_captures(r, command, key) || !(r->no_keep ? in_temporary_file(r) : in_cache(r, key, &all)))
        return NULL;
    if (asprintf(&what, "its index is kept (%s)", r->db) < 0)
        what = NULL;
    bool made = bring_up_to_date(r, all, r->no_keep || !what ? "its index is not kept" : what, quiet);
    free(what);
    if (made && !r->no_keep)
        utimensat(AT_FDCWD, r->db, NULL, 0); /* when it was of use */
    return made ? r->db : NULL;
}

int fc_reading_end(struct fc_reading *r, int status)
{
    if (r->temporary)
        remove_temporary(r->db);
    for (unsigned i = 0; r->temporary && i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction now;
        if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == remove_doomed)
            signal(signals[i], SIG_DFL);
    }
    doomed = NULL;
    for (int i = 0; i < r->count; i++)
        free(r->paths[i]);
    free(r->paths);
    free(r->db);
    if (status == FC_EXIT_NONE && r->refused)
        status = FC_EXIT_ERROR;
    *r = (struct fc_reading){0};
    return status;
}
