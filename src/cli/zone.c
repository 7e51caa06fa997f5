/* SPDX-License-Identifier: MIT */
#include "cli/zone.h"
#include "cli/cli.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

/* The C library takes a zone that it does not know for UTC, so that files are looked for before. */
static bool is_zone_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    char magic[4] = "";
    bool is = f && fread(magic, 1, sizeof magic, f) == sizeof magic && memcmp(magic, "TZif", 4) == 0;

    if (f)
        fclose(f);
    return is;
}

static const char *folder(void)
{
    const char *given = getenv("TZDIR");

    return given && *given ? given : "/usr/share/zoneinfo";
}

static bool is_zone_name(const char *name)
{
    char path[512];

    if (!isalpha((unsigned char)name[0]) || strstr(name, "..") ||
        (size_t)snprintf(path, sizeof path, "%s/%s", folder(), name) >= sizeof path)
        return false;
    return is_zone_file(path);
}

/* "+02:00" as POSIX has it, where what is east of Greenwich has a minus sign: "<+0200>-02:00". */
static bool offset_zone(const char *value, char *text, size_t size)
{
    unsigned hours = 0, minutes = 0;
    int used = 0;
    const char *digits = value + 1;
    bool is = (*value == '+' || *value == '-') && isdigit((unsigned char)*digits) &&
              ((sscanf(digits, "%2u:%2u%n", &hours, &minutes, &used) == 2 && !digits[used]) ||
               (sscanf(digits, "%2u%2u%n", &hours, &minutes, &used) == 2 && used == 4 && !digits[used]) ||
               (minutes = 0, sscanf(digits, "%2u%n", &hours, &used) == 1 && !digits[used]));

    if (!is || hours > 23 || minutes > 59)
        return false;
    snprintf(text, size, "<%c%02u%02u>%c%02u:%02u", *value, hours, minutes, *value == '+' ? '-' : '+', hours, minutes);
    return true;
}

/* The system's zone by the name that leads to it, or by what it is called now. */
static void name_local(struct fc_zone *zone)
{
    char link[256];
    const char *given = getenv("TZ"), *name;
    ssize_t len = readlink("/etc/localtime", link, sizeof link - 1);

    link[len < 0 ? 0 : len] = '\0';
    name = given ? given + (*given == ':') : strstr(link, "zoneinfo/") ? strstr(link, "zoneinfo/") + 9 : tzname[0];
    snprintf(zone->name, sizeof zone->name, "%s", *name ? name : "UTC");
}

/* A value of TZ that the C library knows: a file, or a rule, which has digits. */
static bool is_known(const char *tz)
{
    const char *name = tz + (*tz == ':');

    return !*name || is_zone_name(name) || (*name == '/' && is_zone_file(name)) ||
           (*tz != ':' && strpbrk(tz, "0123456789"));
}

static bool set_local(struct fc_zone *zone, const char *command)
{
    const char *given = getenv("TZ");

    if (given && !is_known(given)) {
        fc_complain("%s: the environment's TZ says '%s', which is no zone in %s", command, given, folder());
        return false;
    }
    tzset();
    zone->local = true;
    name_local(zone);
    return true;
}

int fc_take_zone(const char *command, void *place, const char *value)
{
    struct fc_zone *zone = place;
    char text[80];

    *zone = (struct fc_zone){0};
    if (strcmp(value, "local") == 0)
        return set_local(zone, command) ? 0 : -1;
    if (strcasecmp(value, "UTC") == 0 || strcasecmp(value, "Z") == 0)
        return 0;
    if (!offset_zone(value, text, sizeof text)) {
        if (strlen(value) >= sizeof zone->name || !is_zone_name(value)) {
            fc_complain("%s: unknown zone '%s'; --tz takes a name of %s, as in Europe/Berlin, an offset as in +02:00, "
                        "UTC or local",
                        command, value, folder());
            return -1;
        }
        snprintf(text, sizeof text, ":%s", value);
    }
    if (setenv("TZ", text, 1) != 0) {
        fc_complain("out of memory");
        return -1;
    }
    tzset();
    zone->local = true;
    snprintf(zone->name, sizeof zone->name, "%s", value);
    return 0;
}

const char *fc_zone_name(const struct fc_zone *zone)
{
    return zone->name[0] ? zone->name : "UTC";
}
