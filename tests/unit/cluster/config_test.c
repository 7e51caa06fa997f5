/* SPDX-License-Identifier: MIT */
#include "cluster/config.h"
#include "cluster/tables.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/flowcarve-cluster-XXXXXX";

static void make_folder(void)
{
    cr_assert(mkdtemp(folder));
}

static const char *file(const char *name, const char *text, mode_t mode)
{
    static char path[300];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    cr_assert(f);
    fputs(text, f);
    fclose(f);
    cr_assert_eq(chmod(path, mode), 0);
    return path;
}

static void remove_folder(void)
{
    static const char *const names[] = {"c.ini", "pw", "token"};
    char path[300];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

TestSuite(config, .init = make_folder, .fini = remove_folder);

Test(config, names_who_takes_part_and_what_holds_for_all)
{
    struct fc_cluster *c;
    struct fc_error err = {0};
    char ca[300];

    file("pw", "open sesame\n", 0600);
    file("token", "0123456789abcdef0123456789abcdef", 0600);
    const char *path = file("c.ini",
                            "# a comment\n"
                            "[engine]\n url = http://127.0.0.1:8123/flow_carve/ \nuser=analyst\npassword-file = pw\n"
                            "[sensors]\nca = ca.pem\ntoken-file = token\n"
                            "\n[sensor nyc1]\nurl = https://nyc1.example:8484/\n"
                            "[sensor ams-2]\nurl = https://ams.example\nca = /etc/ams.pem\n",
                            0644);
    cr_assert_eq(fc_cluster_read(path, &c, &err), 0, "%s", err.cause);
    cr_assert_str_eq(c->engine.url, "http://127.0.0.1:8123");
    cr_assert_str_eq(c->database, "flow_carve");
    cr_assert_str_eq(c->engine.user, "analyst");
    cr_assert_str_eq(c->engine.password, "open sesame");
    cr_assert_eq(fc_cluster_sensors(c), 2);
    cr_assert_str_eq(fc_cluster_sensor_name(c, 0), "nyc1");
    cr_assert_str_eq(c->sensor[0].peer.url, "https://nyc1.example:8484");
    snprintf(ca, sizeof ca, "%s/ca.pem", folder);
    cr_assert_str_eq(c->sensor[0].peer.ca, ca);
    cr_assert_str_eq(c->sensor[0].peer.token, "0123456789abcdef0123456789abcdef");
    cr_assert_str_eq(c->sensor[1].peer.ca, "/etc/ams.pem");
    fc_cluster_free(c);
}

Test(config, says_which_line_is_wrong)
{
    static const struct {
        const char *text, *cause;
    } cases[] = {
        {"url = http://a/b\n", "line 1: a section is to begin first: [engine], [sensors] or [sensor NAME]"},
        {"[engine\n", "line 1: a section ends with ]"},
        {"[motor]\n", "line 1: sections are [engine], [sensors] and [sensor NAME]"},
        {"[engine]\nurl\n", "line 2: a line is KEY = VALUE"},
        {"[engine]\nurl =\n", "line 2: a value is missing"},
        {"[engine]\nurl = http://a/b\nurl = http://a/b\n", "line 3: this key was there before"},
        {"[engine]\nurl = http://a/b\n[engine]\n", "line 3: there was an engine before"},
        {"[engine]\nurl = http://a\n",
         "line 2: the path of an engine's URL is the database: http://HOST:8123/DATABASE"},
        {"[engine]\nurl = http://a/b-c\n", "line 2: a database has letters, digits and '_' alone"},
        {"[engine]\nurl = http://me:secret@a/b\n",
         "line 2: a URL has no name and no password in it: there are keys for these"},
        {"[engine]\nurl = ftp://a/b\n",
         "line 2: a URL is http://HOST[:PORT] or https://HOST[:PORT], with a path perhaps"},
        {"[engine]\ntoken-file = x\n", "line 2: keys of [engine] are url, user, password-file, ca, cert, key"},
        {"[sensor a]\nuser = x\n", "line 2: keys of a sensor are url, ca, cert, key, token-file"},
        {"[sensors]\nurl = http://a\n", "line 2: keys of [sensors] are ca, cert, key, token-file"},
        {"[sensor a'b]\n", "line 1: a sensor's name has letters, digits, '.', '_' and '-', 63 of them at the most"},
        {"[sensor a]\nurl = http://a\n[sensor a]\n", "line 3: this sensor was there before"},
        {"[sensor a]\n", "line 1: sensor a has no url"},
        {"", "there is no section [engine] with a url"},
    };
    struct fc_cluster *c;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fc_error err = {0};
        const char *path = file("c.ini", cases[i].text, 0644);
        cr_assert_eq(fc_cluster_read(path, &c, &err), FC_E_USAGE, "%s", cases[i].text);
        cr_assert_str_eq(err.cause, cases[i].cause);
        cr_assert_str_eq(err.file, path);
        cr_assert_null(c);
    }
}

Test(config, does_not_take_a_secret_that_others_may_read)
{
    struct fc_cluster *c;
    struct fc_error err = {0};
    const char *path;

    file("pw", "open sesame\n", 0640);
    path = file("c.ini", "[engine]\nurl = http://a/b\npassword-file = pw\n", 0644);
    cr_assert_eq(fc_cluster_read(path, &c, &err), FC_E_USAGE);
    cr_assert(strstr(err.cause, "chmod 600"));
}

struct seen {
    int statements, local, distributed, markers;
    bool replicated;
};

static int look(void *ctx, const char *statement, struct fc_error *err)
{
    struct seen *seen = ctx;

    (void)err;
    cr_assert_eq(strncmp(statement, "CREATE ", 7), 0, "%s", statement);
    seen->statements++;
    seen->local += strstr(statement, "session_local") != NULL;
    seen->distributed += strstr(statement, "Distributed(big, flowcarve, ") != NULL;
    seen->markers += strchr(statement, '@') != NULL;
    seen->replicated |=
        strstr(statement, "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/flowcarve/session', "
                          "'{replica}', revision)") != NULL;
    return 0;
}

Test(tables, have_their_words_put_in)
{
    struct seen one = {0}, many = {0};
    struct fc_error err;

    cr_assert_eq(fc_tables_each(NULL, &(struct fc_tables_options){0}, look, &one, &err), 0);
    cr_assert_eq(one.statements, 8);
    cr_assert_eq(one.local + one.distributed + one.markers, 0);
    cr_assert_eq(fc_tables_each(NULL, &(struct fc_tables_options){"big", true}, look, &many, &err), 0);
    cr_assert_eq(many.statements, 14);
    cr_assert_eq(many.distributed, 6);
    cr_assert_eq(many.markers, 0);
    cr_assert(many.replicated);
    cr_assert_eq(fc_tables_each(NULL, &(struct fc_tables_options){"x') --", false}, look, &many, &err), FC_E_USAGE);
    cr_assert_eq(fc_tables_each(NULL, &(struct fc_tables_options){NULL, true}, look, &many, &err), FC_E_USAGE);
}
