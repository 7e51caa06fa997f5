/* SPDX-License-Identifier: MIT */
/* The text format of Prometheus, version 0.0.4. */
#include "base/error.h"
#include "base/export.h"

#include <flowcarve/status.h>
#include <flowcarve/text.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct out {
    FILE *to;
    const char *index;
};

/* Between quotes \ " and line ends are written with a backslash; all else is UTF-8, which text of others may not be. */
static void put_label(FILE *to, const char *name, const char *value)
{
    char part[256];

    fprintf(to, "%s=\"", name);
    while (*value) {
        size_t n = fc_text_escape(FC_TEXT_MESSAGE, &value, part, sizeof part);
        for (size_t i = 0; i < n; i++) {
            if (part[i] == '\\' || part[i] == '"')
                fputc('\\', to);
            fputc(part[i], to);
        }
    }
    fputc('"', to);
}

static void describe(const struct out *o, const char *name, const char *type, const char *help)
{
    fprintf(o->to, "# HELP flowcarve_%s %s\n# TYPE flowcarve_%s %s\n", name, help, name, type);
}

static void put(const struct out *o, const char *name, const char *interface, const char *cause, uint64_t value)
{
    fprintf(o->to, "flowcarve_%s{", name);
    put_label(o->to, "index", o->index);
    if (interface) {
        fputc(',', o->to);
        put_label(o->to, "interface", interface);
    }
    if (cause) {
        fputc(',', o->to);
        put_label(o->to, "cause", cause);
    }
    fprintf(o->to, "} %" PRIu64 "\n", value);
}

static void counter(const struct out *o, const char *name, const char *help, uint64_t value)
{
    describe(o, name, "counter", help);
    put(o, name, NULL, NULL, value);
}

static void gauge(const struct out *o, const char *name, const char *help, uint64_t value)
{
    describe(o, name, "gauge", help);
    put(o, name, NULL, NULL, value);
}

static void seconds(const struct out *o, const char *name, const char *help, int64_t ns)
{
    describe(o, name, "gauge", help);
    fprintf(o->to, "flowcarve_%s{", name);
    put_label(o->to, "index", o->index);
    if (ns < 0)
        ns = 0;
    fprintf(o->to, "} %" PRId64 ".%09" PRId64 "\n", ns / 1000000000, ns % 1000000000);
}

static void put_interfaces(const struct out *o, const struct fc_status *s)
{
    describe(o, "packets_received_total", "counter", "Packets that have passed the filter.");
    for (uint32_t i = 0; i < s->interface_count; i++)
        put(o, "packets_received_total", s->interfaces[i].name, NULL, s->interfaces[i].total.received);
    describe(o, "packets_recorded_total", "counter", "Packets in captures and in the index.");
    for (uint32_t i = 0; i < s->interface_count; i++)
        put(o, "packets_recorded_total", s->interfaces[i].name, NULL, s->interfaces[i].total.recorded);
    describe(o, "packets_dropped_total", "counter",
             "Packets that were lost; those with cause interface are not among the received ones.");
    for (uint32_t i = 0; i < s->interface_count; i++) {
        const struct fc_loss_counts *c = &s->interfaces[i].total;
        put(o, "packets_dropped_total", s->interfaces[i].name, "kernel", c->dropped_kernel);
        put(o, "packets_dropped_total", s->interfaces[i].name, "queue", c->dropped_queue);
        put(o, "packets_dropped_total", s->interfaces[i].name, "disk", c->dropped_disk);
        put(o, "packets_dropped_total", s->interfaces[i].name, "interface", c->dropped_iface);
    }
}

static void put_retention(const struct out *o, const struct fc_status *s)
{
    if (s->keep_bytes)
        gauge(o, "keep_bytes", "Limit of the captures' size.", s->keep_bytes);
    if (s->keep_ns)
        seconds(o, "keep_seconds", "Limit of the captures' age.", s->keep_ns);
    if (s->min_free_bytes)
        gauge(o, "min_free_bytes", "What is to be left free of the file system.", s->min_free_bytes);
    if (s->keep_sessions_ns)
        seconds(o, "keep_sessions_seconds", "Limit of the sessions' age.", s->keep_sessions_ns);
    gauge(o, "captures_bytes", "Size of the captures that are looked after.", s->captures_bytes);
    counter(o, "captures_deleted_total", "Captures that were deleted as a limit was reached.", s->deleted_files);
    counter(o, "captures_deleted_bytes_total", "Their size.", s->deleted_bytes);
    counter(o, "sessions_forgotten_total", "Sessions that were forgotten as a limit was reached.",
            s->forgotten_sessions);
}

static void put_all(const struct out *o, const struct fc_status *s, const struct fc_status_index *index)
{
    bool captures = s->role == FC_STATUS_CAPTURE;

    seconds(o, "start_time_seconds", "When the process began, since 1970.", s->started_ns);
    seconds(o, "lag_seconds", "Age of the oldest that is not in the index yet.", s->lag_ns);
    if (captures) {
        put_interfaces(o, s);
        counter(o, "bytes_recorded_total", "Bytes of packets as recorded.", s->bytes);
        gauge(o, "packets_waiting", "Packets on their way to the index.", s->waiting);
    } else {
        counter(o, "packets_indexed_total", "Packets of captures that were indexed.", s->packets);
        counter(o, "bytes_indexed_total", "Bytes of captures that were indexed.", s->bytes);
        gauge(o, "captures_waiting", "Files with something that is not in the index yet.", s->waiting);
        counter(o, "captures_missed_total", "Files that went before they could be read.", s->missed);
    }
    counter(o, "captures_total", "Captures that are new in the index.", s->files);
    counter(o, "sessions_total", "Sessions that are new in the index.", s->sessions);
    counter(o, "commits_total", "Commits that have changed the index.", s->commits);
    counter(o, "errors_total", "Times that something went wrong, which is in the log.", s->errors);
    seconds(o, "commit_seconds", "How long the latest commit took.", s->commit_took_ns);
    if (captures || s->keep_bytes || s->keep_ns || s->min_free_bytes || s->keep_sessions_ns)
        put_retention(o, s);
    gauge(o, "index_bytes", "Size of the index.", index->bytes);
    gauge(o, "filesystem_free_bytes", "Free space of the file system that has the index.", index->free_bytes);
    gauge(o, "filesystem_size_bytes", "Size of that.", index->disk_bytes);
}

/* The name under which the file is made, beside its place: hidden, and none that a collector looks for. */
static char *temporary_name(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *temporary = NULL;

    return asprintf(&temporary, "%.*s.%s.new", (int)(name - path), path, name) < 0 ? NULL : temporary;
}

static int put_file(const char *temporary, const char *path, const struct fc_rights *rights, const char *text,
                    size_t size, struct fc_error *err)
{
    enum { EVERYBODY = 0644 };
    const struct fc_rights r = rights ? *rights : (struct fc_rights){0};

    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot make the file");
    bool done = (!r.has_group || fchown(fd, (uid_t)-1, r.group) == 0) && fchmod(fd, r.mode ? r.mode : EVERYBODY) == 0;
    errno = done ? ENOSPC : errno; /* what a write of fewer bytes means */
    done = done && write(fd, text, size) == (ssize_t)size && rename(temporary, path) == 0;
    if (!done) {
        fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot write the file");
        unlink(temporary);
    }
    close(fd);
    return done ? 0 : FC_E_IO;
}

FC_EXPORT int fc_metrics_write(const char *path, const char *db_path, const struct fc_rights *rights,
                               const struct fc_status *s, struct fc_error *err)
{
    char *text = NULL, *temporary = temporary_name(path);
    struct fc_status_index index;
    size_t size = 0;
    struct out o = {open_memstream(&text, &size), db_path};
    int rc = FC_E_NOMEM;

    fc_status_of_disk(db_path, &index);
    if (o.to && temporary) {
        put_all(&o, s, &index);
        bool whole = !ferror(o.to);
        if (fclose(o.to) == 0 && whole)
            rc = put_file(temporary, path, rights, text, size, err);
    } else if (o.to) {
        fclose(o.to);
    }
    if (rc == FC_E_NOMEM)
        fc_error_set(err, rc, path, FC_NO_OFFSET, "out of memory");
    free(text);
    free(temporary);
    return rc;
}
