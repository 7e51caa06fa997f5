/* SPDX-License-Identifier: MIT */
#include "cluster/config.h"
#include "base/error.h"
#include "base/export.h"
#include "base/vector.h"
#include "query/words.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SENSORS_MAX = 10000, SECRET_MAX = 4096, NAME_LONGEST = 63 };

/* Where a line belongs. */
struct place {
    struct fc_cluster *cluster;
    struct fc_peer *peer; /* of the section; NULL in front of the first one */
    bool is_engine, is_common;
    unsigned line;
    struct fc_error *err;
};

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static int bad_line(const struct place *at, const char *cause)
{
    return fc_error_set(at->err, FC_E_USAGE, at->cluster->path, FC_NO_OFFSET, "line %u: %s", at->line, cause);
}

FC_EXPORT bool fc_is_sensor_name(const char *name)
{
    return fc_word_is_sensor(name);
}

/* What a URL is without the slashes at its end; a secret in it would get into messages and lists of processes. */
static const char *check_url(const char *text, size_t *len)
{
    size_t scheme = strncmp(text, "http://", 7) == 0 ? 7 : strncmp(text, "https://", 8) == 0 ? 8 : 0;

    if (!scheme || !text[scheme] || text[scheme] == '/' || strpbrk(text, " \t?#\"\\"))
        return "a URL is http://HOST[:PORT] or https://HOST[:PORT], with a path perhaps";
    if (memchr(text + scheme, '@', strcspn(text + scheme, "/")))
        return "a URL has no name and no password in it: there are keys for these";
    for (*len = strlen(text); text[*len - 1] == '/';)
        (*len)--;
    return NULL;
}

const char *fc_engine_url(const char *text, char **url, char **database)
{
    size_t len;
    const char *bad = check_url(text, &len), *path;

    *url = *database = NULL;
    if (bad)
        return bad;
    path = strchr(strstr(text, "//") + 2, '/');
    if (!path || path >= text + len)
        return "the path of an engine's URL is the database: http://HOST:8123/DATABASE";
    size_t name = (size_t)(text + len - path - 1);
    for (size_t i = 0; i < name; i++)
        if (!isalnum((unsigned char)path[1 + i]) && path[1 + i] != '_')
            return "a database has letters, digits and '_' alone";
    if (name > NAME_LONGEST || isdigit((unsigned char)path[1]))
        return "a database begins with a letter, and has 63 characters at the most";
    *url = strndup(text, (size_t)(path - text));
    *database = strndup(path + 1, name);
    return *url && *database ? NULL : "out of memory";
}

int fc_secret_read(const char *path, char **out, struct fc_error *err)
{
    FILE *f = fopen(path, "re");
    char text[SECRET_MAX + 2];
    struct stat st;
    size_t len;

    *out = NULL;
    if (!f || fstat(fileno(f), &st) != 0) {
        int rc = fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot be read");
        if (f)
            fclose(f);
        return rc;
    }
    len = fread(text, 1, sizeof text - 1, f);
    bool failed = ferror(f) != 0;
    fclose(f);
    if (failed)
        return fc_error_set(err, FC_E_IO, path, FC_NO_OFFSET, "cannot be read");
    if (!S_ISREG(st.st_mode) || st.st_mode & 077 || (st.st_uid != geteuid() && st.st_uid != 0))
        return fc_error_set(err, FC_E_USAGE, path, FC_NO_OFFSET,
                            "what is secret is in a file that belongs to its user alone: chmod 600");
    while (len && strchr("\r\n", text[len - 1]))
        len--;
    text[len] = '\0';
    if (!len || len > SECRET_MAX || strlen(text) != len || strpbrk(text, "\r\n"))
        return fc_error_set(err, FC_E_USAGE, path, FC_NO_OFFSET, "one line of at most %d bytes is to be in it",
                            SECRET_MAX);
    if (!(*out = strdup(text)))
        return no_memory(err);
    return 0;
}

/* ---- lines */

/* A name as it is in the file, from the folder that the file is in. */
static char *beside(const struct fc_cluster *cluster, const char *name)
{
    const char *slash = strrchr(cluster->path, '/');
    char *full = NULL;

    if (*name == '/' || !slash)
        return strdup(name);
    return asprintf(&full, "%.*s/%s", (int)(slash - cluster->path), cluster->path, name) < 0 ? NULL : full;
}

static int set_secret(const struct place *at, char **to, const char *name)
{
    char *path = beside(at->cluster, name);
    int rc = path ? fc_secret_read(path, to, at->err) : no_memory(at->err);

    free(path);
    return rc;
}

static int set_url(const struct place *at, const char *value)
{
    size_t len;
    const char *bad =
        at->is_engine ? fc_engine_url(value, &at->peer->url, &at->cluster->database) : check_url(value, &len);

    if (bad)
        return bad_line(at, bad);
    if (!at->is_engine && !(at->peer->url = strndup(value, len)))
        return no_memory(at->err);
    return 0;
}

static int set_value(const struct place *at, const char *key, const char *value)
{
    struct fc_peer *p = at->peer;
    bool is_sensor = !at->is_engine && !at->is_common;
    const struct {
        const char *key;
        char **to;
        bool fits;
        enum { URL, NAME_OF_FILE, SECRET, TEXT } kind;
    } known[] = {
        {"url", &p->url, !at->is_common, URL},
        {"ca", &p->ca, true, NAME_OF_FILE},
        {"cert", &p->cert, true, NAME_OF_FILE},
        {"key", &p->key, true, NAME_OF_FILE},
        {"token-file", &p->token, is_sensor || at->is_common, SECRET},
        {"user", &p->user, at->is_engine, TEXT},
        {"password-file", &p->password, at->is_engine, SECRET},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].key, key) != 0 || !known[i].fits)
            continue;
        if (*known[i].to)
            return bad_line(at, "this key was there before");
        if (!*value)
            return bad_line(at, "a value is missing");
        if (known[i].kind == URL)
            return set_url(at, value);
        if (known[i].kind == SECRET)
            return set_secret(at, known[i].to, value);
        *known[i].to = known[i].kind == TEXT ? strdup(value) : beside(at->cluster, value);
        return *known[i].to ? 0 : no_memory(at->err);
    }
    return bad_line(at, at->is_engine ? "keys of [engine] are url, user, password-file, ca, cert, key"
                        : is_sensor   ? "keys of a sensor are url, ca, cert, key, token-file"
                                      : "keys of [sensors] are ca, cert, key, token-file");
}

static int add_sensor(struct place *at, const char *name)
{
    struct fc_cluster *c = at->cluster;

    if (!fc_is_sensor_name(name))
        return bad_line(at, "a sensor's name has letters, digits, '.', '_' and '-', 63 of them at the most");
    for (size_t i = 0; i < c->sensors; i++)
        if (strcmp(c->sensor[i].name, name) == 0)
            return bad_line(at, "this sensor was there before");
    if (c->sensors == SENSORS_MAX)
        return bad_line(at, "there are too many sensors");
    if (fc_vector_reserve(&c->sensor, &c->room, c->sensors + 1, sizeof *c->sensor))
        return no_memory(at->err);
    c->sensor[c->sensors] = (struct fc_sensor){.name = strdup(name), .line = at->line};
    at->peer = &c->sensor[c->sensors].peer;
    return c->sensor[c->sensors++].name ? 0 : no_memory(at->err);
}

static int begin_section(struct place *at, char *line)
{
    size_t len = strlen(line);

    if (line[len - 1] != ']')
        return bad_line(at, "a section ends with ]");
    line[len - 1] = '\0';
    at->is_engine = strcmp(line, "[engine") == 0;
    at->is_common = strcmp(line, "[sensors") == 0;
    if (at->is_engine && at->cluster->engine.url)
        return bad_line(at, "there was an engine before");
    at->peer = at->is_engine ? &at->cluster->engine : &at->cluster->common;
    if (at->is_engine || at->is_common)
        return 0;
    if (strncmp(line, "[sensor ", 8) != 0)
        return bad_line(at, "sections are [engine], [sensors] and [sensor NAME]");
    return add_sensor(at, line + 8 + strspn(line + 8, " \t"));
}

static int read_line(struct place *at, char *line)
{
    char *equals;

    line += strspn(line, " \t");
    for (size_t len = strlen(line); len && isspace((unsigned char)line[len - 1]);)
        line[--len] = '\0';
    if (!*line || *line == '#' || *line == ';')
        return 0;
    if (*line == '[')
        return begin_section(at, line);
    if (!at->peer || !(equals = strchr(line, '=')))
        return bad_line(at, at->peer ? "a line is KEY = VALUE"
                                     : "a section is to begin first: [engine], [sensors] or [sensor NAME]");
    char *end = equals;
    while (end > line && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    return set_value(at, line, equals + 1 + strspn(equals + 1, " \t"));
}

/* What is not said of a sensor is what is said of all. */
static int share(struct fc_cluster *c, struct fc_error *err)
{
    for (size_t i = 0; i < c->sensors; i++) {
        struct fc_peer *p = &c->sensor[i].peer;
        struct {
            char **to;
            const char *from;
        } each[] = {
            {&p->ca, c->common.ca}, {&p->cert, c->common.cert}, {&p->key, c->common.key}, {&p->token, c->common.token}};
        if (!p->url)
            return fc_error_set(err, FC_E_USAGE, c->path, FC_NO_OFFSET, "line %u: sensor %s has no url",
                                c->sensor[i].line, c->sensor[i].name);
        for (size_t k = 0; k < sizeof each / sizeof *each; k++)
            if (!*each[k].to && each[k].from && !(*each[k].to = strdup(each[k].from)))
                return no_memory(err);
    }
    if (!c->engine.url)
        return fc_error_set(err, FC_E_USAGE, c->path, FC_NO_OFFSET, "there is no section [engine] with a url");
    return 0;
}

FC_EXPORT int fc_cluster_read(const char *path, struct fc_cluster **out, struct fc_error *err)
{
    struct fc_cluster *c = calloc(1, sizeof *c);
    struct place at = {.cluster = c, .err = err};
    size_t room = 0;
    char *line = NULL;
    FILE *f;
    int rc = 0;

    *out = NULL;
    if (!c || !(c->path = strdup(path))) {
        free(c);
        return no_memory(err);
    }
    if (!(f = fopen(path, "re"))) {
        fc_cluster_free(c);
        return fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot be read");
    }
    for (ssize_t len; !rc && (len = getline(&line, &room, f)) >= 0;) {
        at.line++;
        rc = memchr(line, '\0', (size_t)len) ? bad_line(&at, "a byte 0") : read_line(&at, line);
    }
    if (!rc && ferror(f))
        rc = fc_error_set(err, FC_E_IO, path, FC_NO_OFFSET, "cannot be read");
    fclose(f);
    free(line);
    if (rc || (rc = share(c, err))) {
        fc_cluster_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

FC_EXPORT int fc_cluster_of_engine(const struct fc_engine_options *o, struct fc_cluster **out, struct fc_error *err)
{
    struct fc_cluster *c = calloc(1, sizeof *c);
    struct fc_peer *p = c ? &c->engine : NULL;
    const char *bad;
    int rc;

    *out = NULL;
    if (!c)
        return no_memory(err);
    if ((bad = fc_engine_url(o->url, &p->url, &c->database)))
        rc = fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "%s: %s", o->url, bad);
    else
        rc = o->password_file ? fc_secret_read(o->password_file, &p->password, err) : 0;
    if (rc == 0 && ((o->user && !(p->user = strdup(o->user))) || (o->ca && !(p->ca = strdup(o->ca))) ||
                    (o->cert && !(p->cert = strdup(o->cert))) || (o->key && !(p->key = strdup(o->key)))))
        rc = no_memory(err);
    if (rc)
        fc_cluster_free(c);
    else
        *out = c;
    return rc;
}

FC_EXPORT void fc_cluster_free(struct fc_cluster *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->sensors; i++) {
        free(c->sensor[i].name);
        fc_peer_fini(&c->sensor[i].peer);
    }
    free(c->sensor);
    fc_peer_fini(&c->engine);
    fc_peer_fini(&c->common);
    free(c->database);
    free(c->path);
    free(c);
}

FC_EXPORT size_t fc_cluster_sensors(const struct fc_cluster *cluster)
{
    return cluster->sensors;
}

FC_EXPORT const char *fc_cluster_sensor_name(const struct fc_cluster *cluster, size_t number)
{
    return cluster->sensor[number].name;
}
