/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELP_COLUMNS = 80, HELP_LEFT = 29 };

/* Words of a paragraph, the first at column `at`, later lines behind `indent` blanks, none beyond the last column. */
static void print_wrapped(const char *text, size_t len, int at, int indent)
{
    const char *end = text + len;

    for (bool first = true; text < end; first = false) {
        size_t word = 0;
        while (text + word < end && text[word] != ' ')
            word++;
        if (!first && at + 1 + (int)word > HELP_COLUMNS) {
            printf("\n%*s", indent, "");
            at = indent;
        } else if (!first) {
            putchar(' ');
            at++;
        }
        fwrite(text, 1, word, stdout);
        at += (int)word;
        text += word + 1;
    }
    putchar('\n');
}

/* Paragraphs, a line each; what is indented goes on two columns further in. */
static void print_details(const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n"), in = strspn(text, " ");
        printf("%*s", (int)in, "");
        print_wrapped(text + in, len - in, (int)in, in ? (int)in + 2 : 0);
        text += len + (text[len] == '\n');
    }
}

static void print_help(const struct fc_command *c)
{
    printf("Usage: flowcarve %s %s\n%s\n\nOptions:\n", c->name, c->usage, c->summary);
    for (const struct fc_option *o = c->options; o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "%c%c%s --%s%s%s", o->short_name ? '-' : ' ', o->short_name ? o->short_name : ' ',
                 o->short_name ? "," : " ", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        printf("  %-26s", left);
        if (strlen(left) > 25)
            printf("\n  %-26s", "");
        putchar(' ');
        print_wrapped(o->help, strlen(o->help), HELP_LEFT, HELP_LEFT);
    }
    printf("  %-26s this text\n", "-h, --help");
    if (c->details) {
        putchar('\n');
        print_details(c->details);
    }
}

/* Edit distance, for "did you mean"; rows of at most 31 letters. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[32];
    size_t n = strlen(b);

    if (n > 31 || strlen(a) > 31)
        return 99;
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1]; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= n; j++) {
            unsigned change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            unsigned other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = change < other ? change : other;
        }
    }
    return row[n];
}

/* Words that a filter has and that look like options to who knows other tools. */
static bool is_filter_word(const struct fc_command *c, const char *name)
{
    static const char words[] =
        " host net port portrange src dst client server tcp udp icmp proto vlan mpls tunnel id "
        "state after before at between on during packets bytes duration payload ttl flags file ";
    char word[16];

    return strstr(c->usage, "FILTER") && snprintf(word, sizeof word, " %s ", name) < (int)sizeof word &&
           strstr(words, word);
}

static int find_long(const struct fc_command *c, const char *name, size_t len)
{
    for (int i = 0; c->options[i].name; i++)
        if (strlen(c->options[i].name) == len && memcmp(c->options[i].name, name, len) == 0)
            return i;
    return -1;
}

/* What an option of other tools, or of another command, is called here; NULL: nothing. */
static const char *called_here(const struct fc_command *c, const char *name)
{
    static const struct {
        const char *name, *option, *say;
    } others[] = {{"json", "format", "--format json"}, {"csv", "format", "--format csv"},
                  {"tsv", "format", "--format tsv"},   {"output", "write", "--write"},
                  {"columns", "fields", "--fields"},   {"fields", "columns", "--columns"},
                  {"port", "listen", "--listen"},      {"filter", "filter-file", "FILTER without an option"}};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(name, others[i].name) == 0 && find_long(c, others[i].option, strlen(others[i].option)) >= 0)
            return name[1] == 's' && find_long(c, "write", 5) >= 0 ? NULL : others[i].say; /* no csv of a carve */
    return NULL;
}

static void unknown(const struct fc_command *c, const char *word, const char *name)
{
    const struct fc_option *best = NULL;
    unsigned least = 3;

    if (name && is_filter_word(c, name)) {
        fc_complain(
            "%s: unknown option '%s'; '%s' is a word of the filter, without dashes (see 'flowcarve help filter')",
            c->name, word, name);
        return;
    }
    const char *say = name ? called_here(c, name) : NULL;
    if (say) {
        fc_complain("%s: unknown option '%s'; say %s", c->name, word, say);
        return;
    }
    for (const struct fc_option *o = c->options; o->name && name; o++) {
        unsigned d = distance(name, o->name);
        if (d < least && d * 2 < strlen(name)) { /* of a short word two letters are all of it */
            least = d;
            best = o;
        }
    }
    if (best)
        fc_complain("%s: unknown option '%s'; did you mean '--%s'?", c->name, word, best->name);
    else
        fc_complain("%s: unknown option '%s' (see 'flowcarve %s --help')", c->name, word, c->name);
}

struct parse {
    const struct fc_command *command;
    int argc;
    char **argv;
    int at; /* argument being looked at */
    void *args;
};

static bool is_name(const struct fc_option *o)
{
    return o->arg && (strcmp(o->arg, "DB") == 0 || strcmp(o->arg, "FILE") == 0 || strcmp(o->arg, "DIR") == 0);
}

static int take(const struct parse *p, const struct fc_option *o, const char *value)
{
    void *place = (char *)p->args + o->place;
    const char **word = place;

    if (o->take)
        return o->take(p->command->name, place, value);
    if (!o->arg) {
        *(bool *)place = true;
        return 0;
    }
    /* both may be meant, and one would be left out; an index may be that of an alias, and another one in its place */
    if (is_name(o) && strcmp(o->arg, "DB") != 0 && *word && strcmp(*word, value) != 0) {
        fc_complain("%s: --%s is given twice, '%s' and '%s'", p->command->name, o->name, *word, value);
        return -1;
    }
    *word = value;
    return 0;
}

/* The option's value: what follows in the word, or the next argument. */
static int apply(struct parse *p, int option, const char *inside, const char *word)
{
    const struct fc_option *o = &p->command->options[option];
    const char *value = inside;

    if (!o->arg && inside) {
        fc_complain("%s: option '--%s' takes no argument", p->command->name, o->name);
        return FC_EXIT_ERROR;
    }
    if (o->arg && !value) {
        if (p->at + 1 >= p->argc) {
            fc_complain("%s: option '%s' needs %s", p->command->name, word, o->arg);
            return FC_EXIT_ERROR;
        }
        value = p->argv[++p->at];
    }
    /* a variable of a script that was not set; an empty list may be meant */
    if (is_name(o) && !*value) {
        fc_complain("%s: option '%s' needs %s, not an empty name", p->command->name, word, o->arg);
        return FC_EXIT_ERROR;
    }
    return take(p, o, value) ? FC_EXIT_ERROR : -1;
}

static int long_option(struct parse *p, const char *word)
{
    const char *name = word + 2, *eq = strchr(name, '=');
    size_t len = eq ? (size_t)(eq - name) : strlen(name);
    int i = find_long(p->command, name, len);

    if (i < 0) {
        char *copy = strndup(name, len);
        unknown(p->command, word, copy);
        free(copy);
        return FC_EXIT_ERROR;
    }
    return apply(p, i, eq ? eq + 1 : NULL, word);
}

/* "-qj4": letters without argument, then at most one with. */
static int short_options(struct parse *p, const char *word)
{
    for (const char *s = word + 1; *s; s++) {
        int i = 0, rc;
        while (p->command->options[i].name && p->command->options[i].short_name != *s)
            i++;
        if (!p->command->options[i].name) {
            unknown(p->command, word, NULL);
            return FC_EXIT_ERROR;
        }
        bool takes = p->command->options[i].arg != NULL;
        if ((rc = apply(p, i, takes && s[1] ? s + 1 : NULL, word)) != -1 || takes)
            return rc;
    }
    return -1;
}

int fc_options_parse(const struct fc_command *command, int argc, char **argv, void *args, int *first)
{
    struct parse p = {command, argc, argv, 1, args};
    int words = 0, rc;
    char **keep = calloc((size_t)argc + 1, sizeof *keep);

    if (!keep) {
        fc_complain("out of memory");
        return FC_EXIT_ERROR;
    }
    for (; p.at < argc; p.at++) {
        const char *word = argv[p.at];
        rc = -1;
        if (strcmp(word, "--") == 0) {
            while (++p.at < argc)
                keep[words++] = argv[p.at];
            break;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_help(command);
            rc = fc_output_done();
        } else if (word[0] == '-' && word[1] == '-') {
            rc = long_option(&p, word);
        } else if (word[0] == '-' && word[1]) {
            rc = short_options(&p, word);
        } else {
            keep[words++] = argv[p.at];
        }
        if (rc != -1) {
            free(keep);
            return rc;
        }
    }
    *first = argc - words;
    memcpy(argv + *first, keep, (size_t)words * sizeof *keep);
    free(keep);
    return -1;
}

int fc_take_limit(const char *command, void *limit, const char *value)
{
    if (fc_number_option(value, 0, INT64_MAX, limit))
        return 0;
    fc_complain("%s: --limit takes a number, not '%s'", command, value);
    return -1;
}

int fc_take_direction(const char *command, void *direction, const char *value)
{
    static const char *const names[] = {"both", "client", "server"};

    for (int i = 0; i < 3; i++)
        if (strcmp(value, names[i]) == 0) {
            *(int *)direction = i - 1;
            return 0;
        }
    fc_complain("%s: --direction takes client, server or both, not '%s'", command, value);
    return -1;
}

int fc_take_mode(const char *command, void *place, const char *value)
{
    enum { OWNER = 0600, MOST = 0777 };
    struct fc_rights *rights = place;
    char *end;
    unsigned long mode = strtoul(value, &end, 8);

    if (*value < '0' || *value > '7' || *end || mode > MOST || (mode & OWNER) != OWNER) {
        fc_complain("%s: --mode takes 600 to 777, by which the owner may read and write, not '%s'", command, value);
        return -1;
    }
    rights->mode = (unsigned)mode;
    return 0;
}

int fc_take_group(const char *command, void *place, const char *value)
{
    struct fc_rights *rights = place;
    const struct group *group = getgrnam(value);
    int64_t number;

    if (!group && !fc_number_option(value, 0, UINT32_MAX - 1, &number)) {
        fc_complain("%s: --group takes the name or number of a group, not '%s'", command, value);
        return -1;
    }
    rights->group = group ? group->gr_gid : (unsigned)number;
    rights->has_group = true;
    return 0;
}
