/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/table_cell.h"

#include <flowcarve/status.h>
#include <flowcarve/text.h>
#include <flowcarve/value.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct args {
    const char *db;
    bool json, quiet, verbose;
};

static const struct fc_option options[] = {
    FC_OPTION_DB(struct args),
    FC_OPTION_JSON(struct args),
    {"quiet", 'q', NULL, "print nothing: the exit status tells whether anything is running",
     FC_FLAG(struct args, quiet)},
    {"verbose", 'v', NULL, "also tell of commits, of captures that are forgotten or gone, of all losses",
     FC_FLAG(struct args, verbose)},
    {0},
};

/* All that there is to tell. */
struct facts {
    const char *db;
    bool verbose, has_loss;
    enum fc_status_state state;
    struct fc_status s;
    bool has_index;
    struct fc_status_index index;
    int64_t now_ns;
};

static const char *const state_names[] = {"stopped", "running", "killed"};
static const char *const role_names[] = {"flowcarve", "watch", "capture"};

static const char *role_name(const struct fc_status *s)
{
    return role_names[s->role <= FC_STATUS_CAPTURE ? s->role : 0];
}

/* ---- JSON: flat, and an object an interface */

struct json {
    bool first;
    bool null; /* what follows is not known */
};

static void put_string(const char *text)
{
    char part[256];

    putchar('"');
    while (*text)
        fwrite(part, 1, fc_text_escape(FC_TEXT_JSON, &text, part, sizeof part), stdout);
    putchar('"');
}

/* True when a value is to follow. */
static bool put_key(struct json *j, const char *key)
{
    printf("%s\"%s\":", j->first ? "" : ",", key);
    j->first = false;
    if (j->null)
        fputs("null", stdout);
    return !j->null;
}

static void put_text(struct json *j, const char *key, const char *text)
{
    if (put_key(j, key))
        put_string(text);
}

static void put_number(struct json *j, const char *key, uint64_t number)
{
    if (put_key(j, key))
        printf("%" PRIu64, number);
}

static void put_decimal(struct json *j, const char *key, double number)
{
    if (put_key(j, key))
        printf("%.3f", number);
}

static void put_seconds(struct json *j, const char *key, int64_t ns)
{
    put_decimal(j, key, (double)ns / 1e9);
}

/* As text, and as ns behind it; 0 is none. */
static void put_time(struct json *j, const char *key, const char *key_ns, int64_t ns)
{
    struct json here = {.first = j->first, .null = j->null || !ns};
    char text[FC_TEXT_MAX];

    *fc_text_time(text, ns) = '\0';
    put_text(&here, key, text);
    if (put_key(&here, key_ns))
        printf("%" PRId64, ns);
    j->first = false;
}

static void put_counts(struct json *j, const char *prefix, const struct fc_loss_counts *c)
{
    const struct {
        const char *key;
        uint64_t number;
    } members[] = {
        {"received", c->received},           {"recorded", c->recorded},         {"dropped_kernel", c->dropped_kernel},
        {"dropped_queue", c->dropped_queue}, {"dropped_disk", c->dropped_disk}, {"dropped_iface", c->dropped_iface}};
    char key[64];

    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        snprintf(key, sizeof key, "%s%s", prefix, members[i].key);
        put_number(j, key, members[i].number);
    }
}

static void put_interfaces(const struct fc_status *s)
{
    fputs(",\"interfaces\":[", stdout);
    for (uint32_t i = 0; i < s->interface_count; i++) {
        struct json j = {.first = true};
        fputs(i ? ",{" : "{", stdout);
        put_text(&j, "interface", s->interfaces[i].name);
        put_counts(&j, "", &s->interfaces[i].total);
        put_counts(&j, "minute_", &s->interfaces[i].minute);
        putchar('}');
    }
    putchar(']');
}

static void put_process(struct json *j, const struct facts *f)
{
    const struct fc_status *s = &f->s;

    j->null = !s->role;
    put_text(j, "command", role_name(s));
    put_number(j, "pid", s->pid);
    put_text(j, "what", s->what);
    put_time(j, "started", "started_ns", s->started_ns);
    put_time(j, "told", "told_ns", s->told_ns);
    put_number(j, "packets", s->packets);
    put_number(j, "bytes", s->bytes);
    put_number(j, "captures_added", s->files);
    put_number(j, "captures_missed", s->missed);
    put_number(j, "sessions_added", s->sessions);
    put_number(j, "commits", s->commits);
    put_seconds(j, "commit", s->commit_took_ns);
    put_decimal(j, "packets_per_s_10s", s->packets_per_s[0]);
    put_decimal(j, "packets_per_s_60s", s->packets_per_s[1]);
    put_decimal(j, "bytes_per_s_10s", s->bytes_per_s[0]);
    put_decimal(j, "bytes_per_s_60s", s->bytes_per_s[1]);
    put_seconds(j, "lag", s->lag_ns);
    put_number(j, "waiting", s->waiting);
    put_counts(j, "", &s->total);
    put_counts(j, "minute_", &s->minute);
    put_interfaces(s);
    put_number(j, "keep_bytes", s->keep_bytes);
    put_seconds(j, "keep", s->keep_ns);
    put_number(j, "min_free_bytes", s->min_free_bytes);
    put_seconds(j, "keep_sessions", s->keep_sessions_ns);
    put_number(j, "kept_bytes", s->captures_bytes);
    put_number(j, "deleted_captures", s->deleted_files);
    put_number(j, "deleted_bytes", s->deleted_bytes);
    put_number(j, "forgotten_sessions", s->forgotten_sessions);
    put_number(j, "errors", s->errors);
    j->null |= !s->word_ns;
    put_text(j, "error", s->word);
    j->null = !s->role;
    put_time(j, "error_time", "error_time_ns", s->word_ns);
}

static void put_index(struct json *j, const struct facts *f)
{
    const struct fc_status_index *i = &f->index;

    j->null = false;
    put_text(j, "index", f->db);
    put_number(j, "free_bytes", i->free_bytes);
    put_number(j, "disk_bytes", i->disk_bytes);
    j->null = !f->has_index;
    put_number(j, "index_bytes", i->bytes);
    put_number(j, "captures", i->captures);
    put_number(j, "captures_forgotten", i->forgotten);
    put_number(j, "captures_gone", i->gone);
    put_number(j, "captures_bytes", i->captures_bytes);
    put_number(j, "index_packets", i->packets);
    put_number(j, "last_session", i->last_session);
    j->null |= !i->has_time;
    put_time(j, "first", "first_ns", i->first_ns);
    put_time(j, "last", "last_ns", i->last_ns);
    j->null = !f->has_index || !f->has_loss;
    put_counts(j, "loss_", &i->loss);
}

static void print_json(const struct facts *f)
{
    struct json j = {.first = true};

    putchar('{');
    put_text(&j, "state", state_names[f->state]);
    put_process(&j, f);
    put_index(&j, f);
    fputs("}\n", stdout);
}

/* ---- for people, in 80 columns */

enum { TEXT = FC_CELL_MAX };

static const char *time_text(int64_t ns, char *buf)
{
    fc_cell_time(buf, ns, 0, false);
    return buf;
}

static const char *age_text(int64_t ns, char *buf)
{
    fc_cell_duration(buf, ns > 0 ? (uint64_t)ns : 0);
    return buf;
}

/* What others wrote, cut to what is left of a line behind its title. */
static const char *show(const char *text, char *buf)
{
    enum { MOST = 69 };

    return fc_text_show(text, buf, MOST);
}

static void print_state(const struct facts *f)
{
    const int64_t silent_ns = INT64_C(10) * 1000000000;
    const struct fc_status *s = &f->s;
    char b[3][TEXT];

    if (f->state == FC_STATUS_STOPPED) {
        puts("state      not running: nothing keeps this index up to date");
        return;
    }
    if (!s->role) {
        puts("state      running; it tells nothing of itself");
        return;
    }
    if (f->state == FC_STATUS_KILLED)
        printf("state      not running: %s, process %u, was killed; what it told last, at\n           %s, is below\n",
               role_name(s), s->pid, time_text(s->told_ns, b[0]));
    else
        printf("state      %s is running, process %u, since %s (%s)\n", role_name(s), s->pid,
               time_text(s->started_ns, b[0]), age_text(f->now_ns - s->started_ns, b[1]));
    printf("           %s\n", show(s->what, b[0]));
    if (f->state == FC_STATUS_RUNNING && f->now_ns - s->told_ns > silent_ns)
        printf("           it has told nothing for %s\n", age_text(f->now_ns - s->told_ns, b[0]));
}

static void print_work(const struct fc_status *s, bool verbose)
{
    char b[4][TEXT];
    bool captures = s->role == FC_STATUS_CAPTURE;

    if (s->waiting)
        printf("behind     %s: %s not in the index yet\n", age_text(s->lag_ns, b[0]),
               fc_human_things(s->waiting, captures ? "packet" : "file", b[1], TEXT));
    else
        puts("behind     nothing: all is in the index");
    printf("rates      %12s packets/s, %9s/s over 10 s\n", fc_human_count((uint64_t)s->packets_per_s[0], b[0], TEXT),
           fc_human_bytes((uint64_t)s->bytes_per_s[0], b[1], TEXT));
    printf("           %12s packets/s, %9s/s over the last minute\n",
           fc_human_count((uint64_t)s->packets_per_s[1], b[0], TEXT),
           fc_human_bytes((uint64_t)s->bytes_per_s[1], b[1], TEXT));
    printf("done       %s, %s\n           in %s, %s\n", fc_human_things(s->packets, "packet", b[0], TEXT),
           fc_human_bytes(s->bytes, b[1], TEXT), fc_human_things(s->sessions, "new session", b[2], TEXT),
           fc_human_things(s->files, "new capture", b[3], TEXT));
    if (s->missed)
        printf("           %s gone before %s could be read\n", fc_human_things(s->missed, "file", b[0], TEXT),
               s->missed == 1 ? "it" : "they");
    if (verbose)
        printf("           %s; the latest took %s\n", fc_human_things(s->commits, "commit", b[0], TEXT),
               age_text(s->commit_took_ns, b[1]));
}

static void print_loss(const char *name, const struct fc_loss_counts *c)
{
    const uint64_t numbers[] = {c->received,      c->recorded,     c->dropped_kernel,
                                c->dropped_queue, c->dropped_disk, c->dropped_iface};
    char b[TEXT];

    printf("%-13.13s", name);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        printf(" %*s", i < 2 ? 14 : 8, fc_human_count(numbers[i], b, TEXT));
    putchar('\n');
}

static void print_losses(const struct fc_status *s)
{
    char b[TEXT];

    if (!s->interface_count)
        return;
    printf("\n%-13s %14s %14s %8s %8s %8s %8s\n", "PACKETS", "RECEIVED", "RECORDED", "KERNEL", "QUEUE", "DISK",
           "IFACE");
    for (uint32_t i = 0; i < s->interface_count; i++) {
        print_loss(fc_text_show(s->interfaces[i].name, b, sizeof b), &s->interfaces[i].total);
        print_loss("  1 minute", &s->interfaces[i].minute);
    }
    putchar('\n');
}

/* One more part of a line, whose title stands in front of the first one. */
static void put_part(bool *any, const char *text, const char *behind)
{
    printf("%s%s%s", *any ? ", " : "keep       ", text, behind);
    *any = true;
}

static void print_limits(const struct fc_status *s)
{
    bool any = false;
    char b[3][TEXT];

    if (s->keep_bytes)
        put_part(&any, fc_human_bytes(s->keep_bytes, b[0], TEXT), " of captures");
    if (s->keep_ns)
        put_part(&any, age_text(s->keep_ns, b[0]), "");
    if (s->keep_sessions_ns)
        put_part(&any, age_text(s->keep_sessions_ns, b[0]), " of sessions");
    if (s->min_free_bytes)
        put_part(&any, fc_human_bytes(s->min_free_bytes, b[0], TEXT), " free");
    if (any)
        printf("\n           there are %s of captures\n", fc_human_bytes(s->captures_bytes, b[0], TEXT));
    if (s->deleted_files || s->forgotten_sessions)
        printf("           %s deleted (%s), %s forgotten\n", fc_human_things(s->deleted_files, "capture", b[0], TEXT),
               fc_human_bytes(s->deleted_bytes, b[1], TEXT),
               fc_human_things(s->forgotten_sessions, "session", b[2], TEXT));
}

static void print_index(const struct facts *f)
{
    const struct fc_status_index *i = &f->index;
    const struct fc_loss_counts *c = &i->loss;
    char b[6][4 * TEXT];

    printf("index      %s\n", show(f->db, b[0]));
    if (!f->has_index)
        puts("           is not there yet: no capture has come");
    if (f->has_index)
        printf("           %s, %s, sessions up to ID %s\n", fc_human_things(i->captures, "capture", b[0], TEXT),
               fc_human_things(i->packets, "packet", b[1], TEXT), fc_human_count(i->last_session, b[2], TEXT));
    if (f->verbose && f->has_index)
        printf("           %s forgotten, %s gone\n", fc_human_things(i->forgotten, "capture", b[0], TEXT),
               fc_human_count(i->gone, b[1], TEXT));
    if (i->has_time)
        printf("           from %s to %s\n", time_text(i->first_ns, b[0]), time_text(i->last_ns, b[1]));
    if (c->received)
        printf("           %s of %s lost while captured\n",
               fc_human_count(c->dropped_kernel + c->dropped_queue + c->dropped_disk, b[0], TEXT),
               fc_human_things(c->received, "packet", b[1], TEXT));
    printf("disk       %s of captures, %s of index; %s of %s are free\n", fc_human_bytes(i->captures_bytes, b[0], TEXT),
           fc_human_bytes(i->bytes, b[1], TEXT), fc_human_bytes(i->free_bytes, b[2], TEXT),
           fc_human_bytes(i->disk_bytes, b[3], TEXT));
}

static void print_text(const struct facts *f)
{
    char b[2][4 * TEXT];

    print_state(f);
    if (f->s.role) {
        print_work(&f->s, f->verbose);
        print_losses(&f->s);
        print_limits(&f->s);
    }
    print_index(f);
    if (f->s.word_ns)
        printf("error      at %s; %s so far; the latest:\n           %s\n", time_text(f->s.word_ns, b[0]),
               fc_human_things(f->s.errors, "error", b[1], TEXT), f->s.word);
}

static int run(int argc, char **argv)
{
    static struct facts f;
    struct args a = {0};
    struct timespec now;
    struct fc_error err;
    int first, rc = fc_options_parse(&fc_command_status, argc, argv, &a, &first);

    if (rc >= 0)
        return rc;
    if (first != argc) {
        fc_complain("status: takes no words, '%s' is one too many", argv[first]);
        return FC_EXIT_ERROR;
    }
    f.db = fc_db_name(a.db);
    f.verbose = a.verbose;
    rc = fc_status_read(f.db, &f.state, &f.s, &err);
    if (rc == 0) {
        f.has_loss = !a.quiet && (a.verbose || f.state != FC_STATUS_RUNNING);
        rc = fc_status_of_index(f.db, f.has_loss, &f.index, &err);
        f.has_index = rc == 0;
        if (rc == FC_E_MISSING && f.state == FC_STATUS_RUNNING)
            rc = 0;
    }
    if (rc) {
        fc_complain_error(&err);
        return FC_EXIT_ERROR;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    f.now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    if (a.json && !a.quiet)
        print_json(&f);
    else if (!a.quiet)
        print_text(&f);
    rc = fc_output_done();
    return rc ? rc : f.state == FC_STATUS_RUNNING ? FC_EXIT_OK : FC_EXIT_NONE;
}

const struct fc_command fc_command_status = {
    .name = "status",
    .usage = "[OPTION...]",
    .summary = "tell of the watch or capture that keeps an index up to date",
    .details =
        "How far it is behind, how much comes, what is lost and why, what is kept and how much room there is; also "
        "where "
        "nothing is running, as far as the index knows. It is told once a second by what runs, and looked up without "
        "disturbing it. Exit status: 0 when something is running, 1 when nothing is, 2 when there is no index, or "
        "another error.\n"
        "Counts and rates of packets: a watch's are of what it has indexed, a capture's of what has come and passed "
        "the "
        "filter. RECEIVED is RECORDED with the packets that were dropped by the kernel (its buffer was full), for want "
        "of "
        "room in memory (QUEUE) and as the disk was too slow or full (DISK). What the interface drops (IFACE) is not "
        "among "
        "those received. Table loss of the index has it by time.\n",
    .options = options,
    .run = run,
};
