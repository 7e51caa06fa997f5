/* SPDX-License-Identifier: MIT */
/*
 * docs/formats.md says of link types what the code's own table says (FC_BLESS=1 in the environment rewrites it), and
 * lists the encapsulations that there are, with their ids and ports.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode/udp_tunnel.h"
#include "packets.h"

#define PAGE FC_SOURCE_DIR "/docs/formats.md"
#define BEGIN "<!-- link types: made from the table in src/decode/link_types.c -->\n"
#define END "<!-- link types: end -->\n"

enum { TYPES = 1000, ROOM = 64 * 1024 };

static char *read_page(void)
{
    static char text[4 * ROOM];
    FILE *f = fopen(PAGE, "r");
    cr_assert(f, "%s", PAGE);
    text[fread(text, 1, sizeof(text) - 1, f)] = 0;
    fclose(f);
    return text;
}

static char *section(void)
{
    static char text[ROOM];
    unsigned n = 0, column = 0;

    n += (unsigned)sprintf(text + n, "\n| number | name | what is read |\n|---|---|---|\n");
    for (uint32_t type = 0; type < TYPES; type++)
        if (fc_link_type_known(type))
            n += (unsigned)sprintf(text + n, "| %u | %s | %s |\n", type, fc_link_type_name(type),
                                   fc_link_type_about(type));
    n += (unsigned)sprintf(text + n, "\nNamed, and opaque:\n");
    for (uint32_t type = 0; type < TYPES; type++) {
        char item[80];
        if (fc_link_type_known(type) || !fc_link_type_name(type))
            continue;
        unsigned size = (unsigned)sprintf(item, " %s (%u),", fc_link_type_name(type), type);
        if (column == 0 || column + size > 118) {
            text[n++] = '\n';
            column = 0;
        }
        memcpy(text + n, item + (column == 0), size - (column == 0));
        n += size - (column == 0);
        column += size;
    }
    text[n - 1] = '.';
    memcpy(text + n, "\n\n", 3);
    return text;
}

Test(formats, the_page_lists_the_link_types_of_the_table)
{
    char *page = read_page(), *at = strstr(page, BEGIN), *end = strstr(page, END), *want = section();
    cr_assert(at && end && at < end, "the page has lost its marks");
    at += strlen(BEGIN);
    if (getenv("FC_BLESS")) {
        FILE *f = fopen(PAGE ".new", "w");
        cr_assert(f);
        fprintf(f, "%.*s%s%s", (int)(at - page), page, want, end);
        cr_assert_eq(fclose(f) | rename(PAGE ".new", PAGE), 0);
        return;
    }
    cr_assert(strlen(want) == (size_t)(end - at) && memcmp(at, want, strlen(want)) == 0,
              "docs/formats.md does not say what the table of link types says; FC_BLESS=1 unit_decode rewrites it");
}

Test(formats, every_decoder_says_what_it_reads)
{
    for (uint32_t type = 0; type < TYPES; type++)
        cr_assert_eq(fc_link_type_known(type), fc_link_type_about(type) != NULL, "link type %u", type);
}

/* The table of encapsulations, from its first row on; it ends where an empty line does. */
static char *encapsulations(void)
{
    char *page = read_page(), *at = strstr(page, "## Encapsulations\n");
    cr_assert(at && (at = strstr(at, "|---|---|---|\n")));
    at += strlen("|---|---|---|\n");
    char *end = strstr(at, "\n\n");
    cr_assert(end);
    end[1] = 0;
    return at;
}

/* The row of a name, as a string of its own; NULL: there is none. */
static char *row_of(const char *table, const char *name)
{
    static char row[1000];
    char quoted[40];

    snprintf(quoted, sizeof(quoted), "`%s`", name);
    for (const char *line = table; *line; line = strchr(line, '\n') + 1) {
        size_t size = strcspn(line, "\n");
        cr_assert_lt(size, sizeof(row));
        memcpy(row, line, size);
        row[size] = 0;
        char *names = strstr(row, quoted), *column = strchr(row + 1, '|');
        cr_assert(row[0] == '|' && column);
        if (names && names < column)
            return row;
    }
    return NULL;
}

Test(formats, the_page_lists_every_encapsulation_and_its_id)
{
    const char *table = encapsulations(), *id, *name;

    for (unsigned kind = 1; (name = fc_tunnel_name(kind, &id)); kind++) {
        char *row = row_of(table, name);
        cr_assert(row, "%s is not in docs/formats.md", name);
        char *column = strchr(row + 1, '|') + 1, *end = strchr(column, '|');
        cr_assert(end);
        *end = 0;
        cr_assert(!id || strstr(column, id), "%s: the id is %s, not %s", name, id, column);
    }
}

Test(formats, the_page_lists_no_encapsulation_that_there_is_not)
{
    for (char *at = encapsulations(), *end; (at = strchr(at, '`')); at = end + 1) {
        const char *id, *name;
        unsigned kind = 1;

        cr_assert(end = strchr(at + 1, '`'));
        *end = 0;
        while ((name = fc_tunnel_name(kind, &id)) && strcmp(name, at + 1) != 0)
            kind++;
        cr_assert(name, "%s is no encapsulation", at + 1);
    }
}

Test(formats, the_page_lists_the_ports_of_tunnels_over_udp)
{
    char *table = encapsulations();

    for (unsigned i = 0; i < 16; i++) {
        char port[8];
        snprintf(port, sizeof(port), "%u", fc_udp_tunnel_ports[i]);
        cr_assert(!fc_udp_tunnel_ports[i] || strstr(table, port), "UDP port %s", port);
    }
}
