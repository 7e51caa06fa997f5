/* SPDX-License-Identifier: MIT */
/* What a capture tells of its interfaces, as others read it. */
#include "store/watch_lock.h"

#include <criterion/criterion.h>
#include <flowcarve/recorder.h>
#include <flowcarve/status.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static void name_index(void)
{
    snprintf(path, sizeof path, "/tmp/flowcarve-status-%d.db", (int)getpid());
}

Test(status, what_is_on_its_way_is_not_received_yet)
{
    const struct fc_recorder_counts c = {.received = 1000,
                                         .recorded = 900,
                                         .indexed = 850,
                                         .waiting = 60,
                                         .dropped_kernel = 10,
                                         .dropped_queue = 20,
                                         .dropped_disk = 10,
                                         .dropped_iface = 7};
    struct fc_loss_counts l;

    fc_status_recorded(&c, &l);
    cr_assert_eq(l.received, 890);
    cr_assert_eq(l.recorded, 850);
    cr_assert_eq(l.received, l.recorded + l.dropped_kernel + l.dropped_queue + l.dropped_disk);
    cr_assert_eq(l.dropped_iface, 7);
}

Test(status, interfaces_behind_the_last_place_are_added_up)
{
    static struct fc_status s;

    for (int second = 1; second <= 2; second++) {
        s.interface_count = 0;
        for (int i = 0; i < FC_STATUS_INTERFACES + 3; i++) {
            char name[16];
            snprintf(name, sizeof name, "eth%d", i);
            fc_status_interface(&s, name, &(struct fc_loss_counts){.received = (uint64_t)second});
        }
        cr_assert_eq(s.interface_count, FC_STATUS_INTERFACES);
        cr_assert_str_eq(s.interfaces[0].name, "eth0");
        cr_assert_eq(s.interfaces[0].total.received, second);
        cr_assert_str_eq(s.interfaces[FC_STATUS_INTERFACES - 1].name, "others");
        cr_assert_eq(s.interfaces[FC_STATUS_INTERFACES - 1].total.received, 4 * second);
    }
}

Test(status, rates_and_sums_are_those_since_the_start_in_the_first_seconds)
{
    struct fc_status_meter *meter;
    static struct fc_status s;

    cr_assert_eq(fc_status_meter_new(&meter, NULL), 0);
    s.packets = 100;
    s.bytes = 5000;
    fc_status_interface(&s, "eth0", &(struct fc_loss_counts){.received = 100, .recorded = 90, .dropped_kernel = 10});
    fc_status_interface(&s, "eth1", &(struct fc_loss_counts){.received = 7, .recorded = 7});
    fc_status_measure(meter, &s);
    cr_assert_float_eq(s.packets_per_s[0], 100, 1e-9);
    cr_assert_float_eq(s.bytes_per_s[1], 5000, 1e-9);
    cr_assert_eq(s.total.received, 107);
    cr_assert_eq(s.minute.dropped_kernel, 10);
    cr_assert_eq(s.interfaces[1].minute.recorded, 7);
    for (int i = 0; i < 5; i++) /* more often does no harm */
        fc_status_measure(meter, &s);
    cr_assert_eq(s.total.received, 107);
    cr_assert_eq(s.minute.received, 107);
    fc_status_meter_free(meter);
}

Test(status, is_read_as_it_was_told_and_by_whom)
{
    static struct fc_status told = {.role = FC_STATUS_CAPTURE, .pid = 4711, .what = "eth0"}, s;
    enum fc_status_state state;
    struct fc_watch_lock lock;
    struct fc_error err;

    name_index();
    cr_assert_eq(fc_status_read(path, &state, &s, NULL), 0);
    cr_assert(state == FC_STATUS_STOPPED && s.role == FC_STATUS_NONE);
    cr_assert_eq(fc_watch_lock_take(path, NULL, &lock, NULL), 0);
    cr_assert_eq(fc_status_read(path, &state, &s, NULL), 0);
    cr_assert(state == FC_STATUS_RUNNING && s.role == FC_STATUS_NONE);
    memset(told.word, 'x', sizeof told.word); /* without an end */
    told.interface_count = 1000;
    fc_watch_lock_tell(&lock, FC_STATUS_CAPTURE, &told, sizeof told);
    cr_assert_eq(fc_status_read(path, &state, &s, NULL), 0);
    cr_assert(state == FC_STATUS_RUNNING && s.role == FC_STATUS_CAPTURE && s.pid == 4711);
    cr_assert_eq(strlen(s.word), sizeof s.word - 1);
    cr_assert_leq(s.interface_count, FC_STATUS_INTERFACES);
    cr_assert_eq(fc_watch_lock_check(path, &err), FC_E_BUSY);
    cr_assert(strstr(err.cause, "kept up to date by flowcarve capture"), "%s", err.cause);
    fc_watch_lock_release(&lock);
}

static bool has_line(const char *text, const char *line)
{
    size_t len = strlen(line);

    for (const char *at = text; (at = strstr(at, line)); at += len)
        if ((at == text || at[-1] == '\n') && at[len] == '\n')
            return true;
    return false;
}

Test(status, prometheus_has_each_interface_and_cause_whatever_the_names)
{
    static struct fc_status s = {.role = FC_STATUS_CAPTURE, .keep_bytes = 2000, .keep_ns = 1500000000};
    static char text[65536];
    struct fc_error err;
    char file[80];

    name_index();
    snprintf(file, sizeof file, "%s.prom", path);
    fc_status_interface(&s, "eth0", &(struct fc_loss_counts){12, 7, 1, 2, 2, 9});
    fc_status_interface(&s, "a\"b\\c\nd\xff\xc3\xa4", &(struct fc_loss_counts){.received = 5, .recorded = 5});
    cr_assert_eq(fc_metrics_write(file, "x.db", NULL, &s, &err), 0, "%s", err.cause);
    FILE *in = fopen(file, "r");
    cr_assert(in);
    text[fread(text, 1, sizeof text - 1, in)] = '\0';
    fclose(in);
    unlink(file);
    static const char *const lines[] = {
        "flowcarve_packets_received_total{index=\"x.db\",interface=\"eth0\"} 12",
        "flowcarve_packets_recorded_total{index=\"x.db\",interface=\"eth0\"} 7",
        "flowcarve_packets_dropped_total{index=\"x.db\",interface=\"eth0\",cause=\"kernel\"} 1",
        "flowcarve_packets_dropped_total{index=\"x.db\",interface=\"eth0\",cause=\"queue\"} 2",
        "flowcarve_packets_dropped_total{index=\"x.db\",interface=\"eth0\",cause=\"disk\"} 2",
        "flowcarve_packets_dropped_total{index=\"x.db\",interface=\"eth0\",cause=\"interface\"} 9",
        "flowcarve_packets_received_total{index=\"x.db\",interface=\"a\\\"b\\\\c\\\\nd\\\\xff\xc3\xa4\"} 5",
        "flowcarve_keep_bytes{index=\"x.db\"} 2000",
        "flowcarve_keep_seconds{index=\"x.db\"} 1.500000000",
        "# TYPE flowcarve_packets_dropped_total counter",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        cr_assert(has_line(text, lines[i]), "%s is not in\n%s", lines[i], text);
}
