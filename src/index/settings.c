/* SPDX-License-Identifier: MIT */
#include "index/settings.h"
#include "base/error.h"
#include "flow/key.h"
#include "store/record.h"
#include "store/writer.h"

#include <arpa/inet.h>
#include <flowcarve/fields.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t mask, field;
} field_names[] = {
#define FIELD(FIELD, bit, name, want) {name, want, FC_FIELD_##FIELD},
    FC_FIELDS(FIELD)
#undef FIELD
};
enum { FIELD_COUNT = sizeof field_names / sizeof field_names[0] };

/* All names, each with something behind it. */
#define NAME(FIELD, bit, name, want) name ", "
#define NAMES FC_FIELDS(NAME)

static int field_by_name(const char *name, size_t len)
{
    for (int i = 0; i < FIELD_COUNT; i++)
        if (strlen(field_names[i].name) == len && memcmp(field_names[i].name, name, len) == 0)
            return i;
    return -1;
}

/* Sets mask and fields; the stored list has the names in table order, whatever order they came in. */
static int parse_fields(struct fc_settings *s, const char *list, struct fc_error *err)
{
    unsigned chosen = 0;
    char text[sizeof NAMES] = "";

    for (const char *p = list; *p;) {
        size_t len = strcspn(p, ",");
        int i = field_by_name(p, len);
        if (len == 3 && memcmp(p, "all", 3) == 0)
            chosen = (1u << FIELD_COUNT) - 1;
        else if (i < 0)
            return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "unknown field '%.*s' (" NAMES "all)", (int)len,
                                p);
        else
            chosen |= 1u << i;
        p += len + (p[len] == ',');
    }
    for (int i = 0; i < FIELD_COUNT; i++) {
        if (!(chosen >> i & 1))
            continue;
        s->mask |= field_names[i].mask;
        s->fields |= field_names[i].field;
        if (text[0])
            strcat(text, ",");
        strcat(text, field_names[i].name);
    }
    s->field_list = strdup(text);
    return s->field_list ? 0 : FC_E_NOMEM;
}

static int compare_net(const void *a, const void *b)
{
    const struct fc_net *x = a, *y = b;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return memcmp(x->low, y->low, 16);
}

/* "10.0.0.0/8", "2001:db8::1". Host bits are ignored, as an exclusion is about a range. */
static int parse_net(const char *text, size_t len, struct fc_net *net)
{
    char buf[64], *slash, *end;
    long bits;

    if (len >= sizeof buf)
        return FC_E_USAGE;
    memcpy(buf, text, len);
    buf[len] = '\0';
    if ((slash = strchr(buf, '/')))
        *slash++ = '\0';
    memset(net, 0, sizeof *net);
    if (inet_pton(AF_INET, buf, net->low) == 1)
        net->kind = FC_ADDR_IPV4;
    else if (inet_pton(AF_INET6, buf, net->low) == 1)
        net->kind = FC_ADDR_IPV6;
    else
        return FC_E_USAGE;
    long width = net->kind == FC_ADDR_IPV4 ? 32 : 128;
    bits = width;
    if (slash) {
        bits = strtol(slash, &end, 10);
        if (end == slash || *end || bits < 0 || bits > width)
            return FC_E_USAGE;
    }
    memcpy(net->high, net->low, 16);
    for (long i = bits; i < width; i++) {
        net->low[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
        net->high[i / 8] |= (uint8_t)(0x80 >> i % 8);
    }
    return 0;
}

static int parse_nets(struct fc_settings *s, const char *list, struct fc_error *err)
{
    size_t n = 1;

    for (const char *p = list; *p; p++)
        n += *p == ',';
    s->nets = calloc(n, sizeof *s->nets);
    if (!s->nets)
        return FC_E_NOMEM;
    for (const char *p = list; *p;) {
        size_t len = strcspn(p, ",");
        if (parse_net(p, len, &s->nets[s->net_count++]))
            return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET,
                                "'%.*s' is not an address or a range like 10.0.0.0/8", (int)len, p);
        p += len + (p[len] == ',');
    }
    qsort(s->nets, s->net_count, sizeof *s->nets, compare_net);
    n = 0;
    for (size_t i = 0; i < s->net_count; i++) { /* prefixes nest or are disjoint: drop the nested ones */
        struct fc_net *last = n ? &s->nets[n - 1] : NULL;
        if (last && last->kind == s->nets[i].kind && memcmp(last->high, s->nets[i].low, 16) >= 0) {
            if (memcmp(last->high, s->nets[i].high, 16) < 0)
                memcpy(last->high, s->nets[i].high, 16);
            continue;
        }
        s->nets[n++] = s->nets[i];
    }
    s->net_count = n;
    return 0;
}

static const char *or_default(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

int fc_settings_init(struct fc_settings *s, const struct fc_index_options *o, struct fc_error *err)
{
    const char *profile = or_default(o->profile, "flowcarve"), *key = or_default(o->key, "");
    int rc = 0;

    memset(s, 0, sizeof *s);
    s->mask = FC_WANT_SESSION;
    s->profile = strdup(profile);
    s->timeouts = strdup(or_default(o->timeouts, ""));
    s->filter = strdup(or_default(o->filter, ""));
    s->exclude_net = strdup(or_default(o->exclude_net, ""));
    s->key = malloc(FC_KEY_PARTS_TEXT);
    if (!s->profile || !s->timeouts || !s->filter || !s->exclude_net || !s->key)
        rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    else if (fc_rules_profile(&s->rules, profile))
        rc = fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET,
                          "unknown profile '%s' (flowcarve, wireshark, zeek, suricata, arkime, yaf)", profile);
    else if (fc_key_parts(key, &s->mask, s->key))
        rc = fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "unknown key part in '%s' (vlan, tunnel, outer)", key);
    else if ((rc = fc_rules_timeout(&s->rules, s->timeouts, err)) == 0 &&
             (rc = parse_fields(s, or_default(o->fields, ""), err)) == 0)
        rc = parse_nets(s, s->exclude_net, err);
    if (rc)
        fc_settings_fini(s);
    return rc;
}

void fc_settings_fini(struct fc_settings *s)
{
    free(s->profile);
    free(s->timeouts);
    free(s->field_list);
    free(s->filter);
    free(s->exclude_net);
    free(s->key);
    free(s->nets);
    memset(s, 0, sizeof *s);
}

static bool excluded(const struct fc_settings *s, uint8_t kind, const uint8_t addr[16])
{
    size_t lo = 0, hi = s->net_count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct fc_net *net = &s->nets[mid];
        if (net->kind < kind || (net->kind == kind && memcmp(net->high, addr, 16) < 0))
            lo = mid + 1;
        else if (net->kind > kind || memcmp(net->low, addr, 16) > 0)
            hi = mid;
        else
            return true;
    }
    return false;
}

bool fc_settings_excludes(const struct fc_settings *s, const struct fc_flow_key *key)
{
    return excluded(s, key->addr_kind, key->addr[0]) || excluded(s, key->addr_kind, key->addr[1]);
}
