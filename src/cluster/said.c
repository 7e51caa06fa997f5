/* SPDX-License-Identifier: MIT */
#include "cluster/said.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A character of a text, behind a backslash or not; moves *p behind it. What is not ASCII by \u becomes a question
 * mark. */
static char character(const char **p)
{
    static const char escapes[] = "bfnrt", meant[] = "\b\f\n\r\t";
    const char *which;
    char hex[5] = "";

    if (**p != '\\' || !(*p)[1])
        return *(*p)++;
    char c = (*p)[1];
    *p += 2;
    if ((which = strchr(escapes, c)))
        return meant[which - escapes];
    if (c != 'u')
        return c;
    snprintf(hex, sizeof hex, "%.4s", *p);
    *p += strlen(hex);
    unsigned long unit = strtoul(hex, NULL, 16);
    return unit && unit < 0x80 ? (char)unit : '?';
}

const char *fc_said(const char *json, const char *key, char *buf, size_t size)
{
    char quoted[64];
    size_t len = 0;

    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *p = strstr(json, quoted);
    if (!p)
        return NULL;
    p += strlen(quoted);
    p += strspn(p, " ");
    bool text = *p == '"';
    p += text;
    while (*p && len + 1 < size && (text ? *p != '"' : !strchr(",}] \r\n", *p)))
        buf[len++] = text ? character(&p) : *p++;
    buf[len] = '\0';
    return buf;
}

int fc_sensor_refused(const struct fc_http_answer *answer, const char *name, struct fc_error *err)
{
    static const struct {
        long status;
        const char *code; /* NULL: any */
        int rc;
    } known[] = {
        {409, "missing", FC_E_MISSING}, {409, NULL, FC_E_CHANGED}, {404, "not_found", FC_E_MISSING},
        {413, "too_large", FC_E_LIMIT}, {401, NULL, FC_E_USAGE},   {403, NULL, FC_E_USAGE},
    };
    char code[64], message[400], file[300];
    int rc = FC_E_IO;

    if (!fc_said(answer->text, "code", code, sizeof code))
        *code = '\0';
    if (!fc_said(answer->text, "message", message, sizeof message))
        snprintf(message, sizeof message, "%s", "it does not say why; is it flowcarve serve?");
    for (size_t i = 0; i < sizeof known / sizeof known[0] && rc == FC_E_IO; i++)
        if (known[i].status == answer->status && (!known[i].code || strcmp(known[i].code, code) == 0))
            rc = known[i].rc;
    bool of_file = rc != FC_E_LIMIT && fc_said(answer->text, "file", file, sizeof file);
    return fc_error_set(err, rc, name, FC_NO_OFFSET, "it answers %ld: %s%s%s", answer->status, of_file ? file : "",
                        of_file ? ": " : "", message);
}
