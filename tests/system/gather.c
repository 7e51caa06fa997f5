/* SPDX-License-Identifier: MIT */
/*
 * Carves from sensors, without an engine that says which sessions: for test_cluster_carve.py.
 *     gather CLUSTER OUTPUT [KEY=VALUE]... SENSOR/GENERATION/IDS...    a line for the result, and one for what is
 * missing gather CLUSTER status                                            a line a sensor
 */
#include <flowcarve/cluster_carve.h>

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int stop;

static void on_signal(int number)
{
    (void)number;
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
}

static bool set(struct fc_cluster_carve_options *o, const char *word)
{
    const char *value = strchr(word, '=') + 1;

    if (strncmp(word, "format=", 7) == 0)
        o->carve.format = strcmp(value, "pcap") == 0 ? FC_CARVE_PCAP : FC_CARVE_PCAPNG;
    else if (strncmp(word, "partial=", 8) == 0)
        o->carve.partial = true;
    else if (strncmp(word, "comments=", 9) == 0)
        o->carve.comments = true;
    else if (strncmp(word, "first=", 6) == 0)
        o->carve.first_packets = strtoull(value, NULL, 10);
    else if (strncmp(word, "silence=", 8) == 0)
        o->silence_ms = (unsigned)atoi(value);
    else if (strncmp(word, "server=", 7) == 0)
        o->carve.one_direction = true, o->carve.from = FC_FROM_SERVER;
    else
        return false;
    return true;
}

static struct fc_id_range *read_ids(const char *text, size_t *count)
{
    struct fc_id_range *list = calloc(strlen(text) + 1, sizeof *list);

    for (*count = 0; *text; (*count)++) {
        char *end;
        list[*count].first = list[*count].last = strtoll(text, &end, 10);
        if (*end == '-')
            list[*count].last = strtoll(end + 1, &end, 10);
        text = *end ? end + 1 : end;
    }
    return list;
}

static void read_part(struct fc_cluster_part *part, char *word)
{
    char *generation = strchr(word, '/'), *ids;

    *generation++ = '\0';
    ids = strchr(generation, '/');
    *ids++ = '\0';
    part->sensor = word;
    for (int i = 0; i < 16; i++)
        sscanf(generation + 2 * i, "%2hhx", &part->generation[i]);
    part->ranges = read_ids(ids, &part->range_count);
}

static int tell_sensors(const struct fc_cluster *cluster, struct fc_error *err)
{
    struct fc_cluster_sensor_status *s = calloc(fc_cluster_sensors(cluster) + 1, sizeof *s);
    char text[FC_ERROR_TEXT_MAX];
    int rc = fc_cluster_ask_sensors(cluster, &stop, s, err);

    for (size_t i = 0; rc == 0 && i < fc_cluster_sensors(cluster); i++)
        printf("%s|%d|%s|%s|%s|%" PRIu64 "|%" PRId64 "|%d|%" PRId64 "|%s\n", s[i].name, s[i].reachable, s[i].version,
               s[i].sensor, s[i].uuid, s[i].sessions, s[i].has_time ? s[i].end_ns : 0, s[i].has_clock,
               s[i].clock_off_ns, s[i].why.code ? fc_error_text(&s[i].why, text, sizeof text) : "");
    free(s);
    return rc;
}

/* KiB that this process has had at the most; what wait4(2) tells is that of its parent, if that has more. */
static long peak(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long kib = -1;

    while (f && fgets(line, sizeof line, f))
        sscanf(line, "VmHWM: %ld", &kib);
    if (f)
        fclose(f);
    return kib;
}

static int carve(const struct fc_cluster *cluster, int argc, char **argv, struct fc_error *err)
{
    struct fc_cluster_part *parts = calloc((size_t)argc + 1, sizeof *parts);
    struct fc_cluster_carve_options o = {.silence_ms = 0};
    struct fc_cluster_carve_result r;
    char text[FC_ERROR_TEXT_MAX];
    size_t count = 0;
    int fd = open(argv[0], O_WRONLY | O_CREAT | O_TRUNC, 0600);

    for (int i = 1; i < argc; i++)
        if (!strchr(argv[i], '=') || !set(&o, argv[i]))
            read_part(&parts[count++], argv[i]);
    int rc = fc_cluster_carve(cluster, parts, count, &o, fd, &stop, &r, err);
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %ld\n", r.sensors, r.sessions, r.packets,
           r.packets_forgotten, r.bytes_written, peak());
    for (size_t i = 0; i < r.missing_count; i++)
        printf("missing %s %" PRIu64 " %" PRIu64 " [%s] %d %s\n", parts[r.missing[i].part].sensor,
               r.missing[i].sessions, r.missing[i].packets, r.missing[i].ids, r.missing[i].why.code,
               fc_error_text(&r.missing[i].why, text, sizeof text));
    fc_cluster_carve_result_fini(&r);
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)parts[i].ranges);
    free(parts);
    close(fd);
    return rc;
}

int main(int argc, char **argv)
{
    char text[FC_ERROR_TEXT_MAX];
    struct fc_cluster *cluster;
    struct fc_error err;
    int rc = argc < 3 ? FC_E_USAGE : fc_cluster_read(argv[1], &cluster, &err);

    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_signal);
    if (argc < 3)
        return 64;
    if (rc == 0) {
        rc = strcmp(argv[2], "status") == 0 ? tell_sensors(cluster, &err) : carve(cluster, argc - 2, argv + 2, &err);
        fc_cluster_free(cluster);
    }
    if (rc)
        printf("error %d %s\n", rc, fc_error_text(&err, text, sizeof text));
    return rc != 0;
}
