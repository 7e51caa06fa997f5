/* SPDX-License-Identifier: MIT */
#include "cli/filter_words.h"
#include "cli/cli.h"
#include "cli/cmd_query.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 2 << 20 }; /* more than a filter may have */

static char *read_file(const char *command, const char *file)
{
    bool standard = strcmp(file, "-") == 0;
    FILE *f = standard ? stdin : fopen(file, "rb");
    char *text = f ? malloc(FILE_MAX + 1) : NULL;
    size_t len = text ? fread(text, 1, FILE_MAX + 1, f) : 0;
    bool read = text && !ferror(f);

    if (!read)
        fc_complain("%s: cannot read the filter in %s: %s", command, file, strerror(errno));
    else if (len > FILE_MAX || memchr(text, '\0', len))
        fc_complain("%s: %s is no filter: %s", command, file, len > FILE_MAX ? "it is too large" : "it is no text");
    if (f && !standard)
        fclose(f);
    if (!read || len > FILE_MAX || memchr(text, '\0', len)) {
        free(text);
        return NULL;
    }
    text[len] = '\0';
    return text;
}

/* Where a comment begins in a line: a # at its start or behind a blank, not in quotes around a name; else len. */
static size_t comment_at(const char *line, size_t len)
{
    char quote = '\0';

    for (size_t i = 0; i < len; i++) {
        bool starts = i == 0 || strchr(" \t", line[i - 1]);

        if (quote)
            quote = line[i] == quote ? '\0' : quote;
        else if (starts && line[i] == '#')
            return i;
        else if ((line[i] == '"' || line[i] == '\'') && (starts || line[i - 1] == ','))
            quote = line[i];
    }
    return len;
}

/* Comments become blanks, so that places in the text stay what they are; so does a mark of UTF-8 in front. */
static void blank_comments(char *text)
{
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
        memset(text, ' ', 3);
    for (char *line = text; *line;) {
        size_t len = strcspn(line, "\n"), comment = comment_at(line, len);
        memset(line + comment, ' ', len - comment);
        line += len + (line[len] == '\n');
    }
}

/* A mistake in one of two texts is shown in that one. */
static bool is_filter(const char *text)
{
    struct fc_filter_error where;
    struct fc_filter *filter = NULL;
    int rc = fc_filter_parse_with(text, NULL, &filter, &where);

    if (rc == FC_E_FILTER)
        fc_print_filter_error(text, &where);
    fc_filter_free(filter);
    return rc != FC_E_FILTER;
}

char *fc_filter_words(const char *command, const char *file, int count, char **words)
{
    char *joined = fc_join_words(count, words), *text = NULL, *both = NULL;

    if (!joined) {
        fc_complain("out of memory");
        return NULL;
    }
    if (!file)
        return joined;
    if ((text = read_file(command, file))) {
        blank_comments(text);
        if (!*joined || !text[strspn(text, " \t\r\n\v\f")]) {
            both = *joined ? joined : text;
        } else if (is_filter(text) && is_filter(joined) && asprintf(&both, "(%s\n) and (%s)", text, joined) < 0) {
            fc_complain("out of memory");
            both = NULL;
        }
    }
    if (both != text)
        free(text);
    if (both != joined)
        free(joined);
    return both;
}
