/* SPDX-License-Identifier: MIT */
#include "base/export.h"

#include <flowcarve/decode.h>
#include <flowcarve/value.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                  "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                  "8081828384858687888990919293949596979899";

FC_EXPORT char *fc_text_number(char *buf, uint64_t number)
{
    char digits[20], *p = digits + sizeof digits;

    while (number >= 100) {
        p -= 2;
        memcpy(p, digit_pairs + number % 100 * 2, 2);
        number /= 100;
    }
    if (number >= 10) {
        p -= 2;
        memcpy(p, digit_pairs + number * 2, 2);
    } else {
        *--p = (char)('0' + number);
    }
    size_t len = (size_t)(digits + sizeof digits - p);
    memcpy(buf, p, len);
    return buf + len;
}

/* `width` digits with leading zeros. */
static char *fixed(char *buf, uint32_t number, unsigned width)
{
    for (unsigned i = width; i > 0; i--) {
        buf[i - 1] = (char)('0' + number % 10);
        number /= 10;
    }
    return buf + width;
}

/* Date of a day since 1970-01-01 in the Gregorian calendar; years are counted from March inside. */
static char *text_date(char *buf, int64_t day)
{
    int64_t shifted = day + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    int64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);

    buf = fixed(buf, (uint32_t)year, 4);
    *buf++ = '-';
    buf = fixed(buf, (uint32_t)month, 2);
    *buf++ = '-';
    return fixed(buf, (uint32_t)(day_of_year - (153 * march_month + 2) / 5 + 1), 2);
}

FC_EXPORT char *fc_text_time(char *buf, int64_t ns)
{
    int64_t seconds = ns / NS_PER_S, frac = ns % NS_PER_S, day;

    if (frac < 0) {
        frac += NS_PER_S;
        seconds--;
    }
    day = (seconds >= 0 ? seconds : seconds - 86399) / 86400;
    uint32_t second = (uint32_t)(seconds - day * 86400);
    buf = text_date(buf, day);
    *buf++ = 'T';
    buf = fixed(buf, second / 3600, 2);
    *buf++ = ':';
    buf = fixed(buf, second / 60 % 60, 2);
    *buf++ = ':';
    buf = fixed(buf, second % 60, 2);
    *buf++ = '.';
    buf = fixed(buf, (uint32_t)frac, 9);
    *buf++ = 'Z';
    return buf;
}

FC_EXPORT char *fc_text_local(char *buf, int64_t ns)
{
    time_t seconds = (time_t)(ns / NS_PER_S - (ns % NS_PER_S < 0));
    struct tm tm = {0};
    int64_t shown;

    /* what the clocks there show, written as if it were UTC */
    if (!localtime_r(&seconds, &tm) || __builtin_add_overflow(ns, tm.tm_gmtoff * NS_PER_S, &shown))
        return fc_text_time(buf, ns);
    buf = fc_text_time(buf, shown) - 1;
    unsigned minutes = (unsigned)labs(tm.tm_gmtoff) / 60;
    *buf++ = tm.tm_gmtoff < 0 ? '-' : '+';
    buf = fixed(buf, minutes / 60, 2);
    *buf++ = ':';
    return fixed(buf, minutes % 60, 2);
}

FC_EXPORT char *fc_text_duration(char *buf, int64_t ns)
{
    uint64_t positive = ns < 0 ? 0 : (uint64_t)ns;

    buf = fc_text_number(buf, positive / (uint64_t)NS_PER_S);
    *buf++ = '.';
    return fixed(buf, (uint32_t)(positive % (uint64_t)NS_PER_S), 9);
}

static char *text_ipv4(char *buf, const uint8_t *addr)
{
    for (int i = 0; i < 4; i++) {
        if (i)
            *buf++ = '.';
        buf = fc_text_number(buf, addr[i]);
    }
    return buf;
}

static const char hex[] = "0123456789abcdef";

static char *text_group(char *buf, unsigned group)
{
    bool any = false;

    for (int shift = 12; shift >= 0; shift -= 4) {
        any |= (group >> shift & 15) != 0 || shift == 0;
        if (any)
            *buf++ = hex[group >> shift & 15];
    }
    return buf;
}

/* RFC 5952 section 4, always in hex: the first of the longest runs of two or more zero groups becomes ::. */
static char *text_ipv6(char *buf, const uint8_t *addr)
{
    unsigned group[8], best = 8, best_len = 1;

    for (unsigned i = 0; i < 8; i++)
        group[i] = (unsigned)addr[2 * i] << 8 | addr[2 * i + 1];
    for (unsigned i = 0, len; i < 8; i += len + 1) {
        for (len = 0; i + len < 8 && group[i + len] == 0; len++)
            ;
        if (len > best_len) {
            best = i;
            best_len = len;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        if (i == best) {
            *buf++ = ':';
            *buf++ = ':';
            i += best_len - 1;
            continue;
        }
        if (i > 0 && i != best + best_len)
            *buf++ = ':';
        buf = text_group(buf, group[i]);
    }
    return buf;
}

static char *text_mac(char *buf, const uint8_t *addr)
{
    for (int i = 0; i < 6; i++) {
        if (i)
            *buf++ = ':';
        *buf++ = hex[addr[i] >> 4];
        *buf++ = hex[addr[i] & 15];
    }
    return buf;
}

FC_EXPORT char *fc_text_addr(char *buf, int kind, const uint8_t *addr)
{
    switch (kind) {
    case FC_ADDR_IPV4:
        return text_ipv4(buf, addr);
    case FC_ADDR_IPV6:
        return text_ipv6(buf, addr);
    case FC_ADDR_MAC:
        return text_mac(buf, addr);
    default:
        return buf;
    }
}

static char *text_hex(char *buf, const char *prefix, uint32_t number)
{
    return buf + snprintf(buf, FC_TEXT_MAX, "%s0x%04x", prefix, number);
}

FC_EXPORT char *fc_text_proto(char *buf, uint32_t proto)
{
    const char *name = fc_proto_name(proto);

    if (name)
        return stpncpy(buf, name, FC_TEXT_MAX - 1);
    if (proto < FC_PROTO_ETHERTYPE)
        return fc_text_number(buf, proto);
    if (proto < FC_PROTO_LLC)
        return text_hex(buf, "", proto - FC_PROTO_ETHERTYPE);
    if (proto < FC_PROTO_LINK)
        return text_hex(buf, "llc:", proto - FC_PROTO_LLC);
    if (proto >= FC_PROTO_PPP)
        return text_hex(buf, "ppp:", proto - FC_PROTO_PPP);
    memcpy(buf, "link:", 5);
    return fc_text_number(buf + 5, proto - FC_PROTO_LINK);
}
