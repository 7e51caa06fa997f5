/* SPDX-License-Identifier: MIT */
/* docs/formats.md says of link types what the code's own table says. FC_BLESS=1 in the environment rewrites it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
