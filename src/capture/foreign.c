/* SPDX-License-Identifier: MIT */
/*
 * What a file that is no capture of ours looks like, for a message that helps. Magic numbers and fields are those by
 * which Wireshark's wiretap library knows the formats.
 */
#include "capture/foreign.h"
#include "base/bytes.h"

#include <string.h>

enum { NEAR = 400 * 86400 }; /* seconds between records of one capture */

struct magic {
    const char *bytes;
    size_t len;
    const char *what;
};

static const struct magic magics[] = {
    {"\x1f\x8b", 2, "gzip-compressed data; uncompress it first"},
    {"\x28\xb5\x2f\xfd", 4, "zstd-compressed data; uncompress it first"},
    {"\x04\x22\x4d\x18", 4, "lz4-compressed data; uncompress it first"},
    {"\x02\x21\x4c\x18", 4, "lz4-compressed data in the legacy format; uncompress it first"},
    {"\xfd"
     "7zXZ",
     5, "xz-compressed data; uncompress it first"},
    {"BZh", 3, "bzip2-compressed data; uncompress it first"},
    {"PK\x03\x04", 4, "a zip archive; unpack it first"},
    {"SQLite format 3", 15, "an SQLite database"},
    {"\xa1\xb2\xc3\x4d", 4, "a capture in a reserved variant of pcap"},
    {"snoop\0\0\0", 8, "a snoop capture; convert it with editcap"},
    {"btsnoop\0", 8, "a btsnoop capture; convert it with editcap"},
    {"GMBU", 4, "a Network Monitor capture; convert it with editcap"},
    {"RTSS", 4, "a Network Monitor capture; convert it with editcap"},
    {"TRSNIFF data", 12, "a Sniffer capture; convert it with editcap"},
    {"XCP\0", 4, "a NetXRay capture; convert it with editcap"},
    {"\xaa\xaa\xaa\xaa", 4, "a 5View capture; convert it with editcap"},
    {"\x01\x10\x4c\x00\x01\x05", 6, "a LANalyzer capture; convert it with editcap"},
    {"TR\0\x64\0", 5, "an HP-UX nettl trace; convert it with editcap"},
    {"iptrace 1.0", 11, "an AIX iptrace; convert it with editcap"},
    {"iptrace 2.0", 11, "an AIX iptrace; convert it with editcap"},
    {"ObserverPktBuffe", 16, "an Observer capture; convert it with editcap"},
    {"\x05VNF", 4, "a Visual Networks capture; convert it with editcap"},
    {"\x7fver", 4, "an EtherPeek capture; convert it with editcap"},
    {"EyeSDN", 6, "an EyeSDN trace; convert it with editcap"},
    {"\0\0\x02\0\x12\x05\0\x10", 8, "a Tektronix K12 capture; convert it with editcap"},
    {"+---------+---------------+", 27, "a K12 text file; convert it with editcap"},
    {"Session Transcript", 18, "a Catapult DCT2000 trace; convert it with editcap"},
};

/* In text, at the start of a line. */
static const struct magic words[] = {
    {";$FILEVERSION=", 14, "a PEAK CAN trace; convert it with editcap"},
    {"PRI-XMIT-", 9, "an Ascend trace; convert it with editcap"},
    {"PRI-RCV-", 8, "an Ascend trace; convert it with editcap"},
    {"XMIT-", 5, "an Ascend trace; convert it with editcap"},
    {"RECV-", 5, "an Ascend trace; convert it with editcap"},
    {"XMIT:", 5, "an Ascend trace; convert it with editcap"},
    {"RECV:", 5, "an Ascend trace; convert it with editcap"},
    {"WD_DIALOUT_DISP:", 16, "an Ascend trace; convert it with editcap"},
};

static const char *magic_at(const struct magic *known, size_t count, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < count; i++)
        if (n >= known[i].len && memcmp(p, known[i].bytes, known[i].len) == 0)
            return known[i].what;
    return NULL;
}

static const char *word_in(const uint8_t *p, size_t n)
{
    const char *what = NULL;

    if (memchr(p, 0, n))
        return NULL;
    for (const uint8_t *line = p, *end; line && !what; line = end ? end + 1 : NULL) {
        size_t left = n - (size_t)(line - p);
        what = magic_at(words, sizeof words / sizeof words[0], line, left);
        end = memchr(line, '\n', left);
    }
    return what;
}

/* Seconds of records that may follow one another; 0: none is said. */
static bool near_seconds(uint32_t a, uint32_t b)
{
    return !a || !b || (a > b ? a - b : b - a) <= NEAR;
}

/* Endace's format has no magic number: times, types and lengths of the first records must be such. */
static bool is_erf(const uint8_t *p, size_t n, bool more)
{
    enum { HEADER = 16, TYPES = 48, RECORDS = 3 };
    unsigned records = 0;
    uint32_t sec = 0;
    size_t off = 0;

    for (; records < RECORDS && n - off >= HEADER; records++) {
        const uint8_t *h = p + off;
        uint32_t type = h[8] & 0x7f, size = fc_load16(h + 10, true), now = fc_load32(h + 4, false);
        if (!type || type > TYPES || size < HEADER || !near_seconds(sec, now) || (!now && fc_load32(h, false)))
            return false;
        sec = now ? now : sec;
        if (size > n - off)
            return records && more;
        off += size;
    }
    return records == RECORDS || (records && off == n && !more);
}

/*
 * isdn4bsd's has none either: size with its header, unit, type, direction, bytes cut, count, time; in the writer's byte
 * order.
 */
static bool is_i4b(const uint8_t *p, size_t n, bool more, bool big)
{
    enum { HEADER = 32, LARGEST = 16384, RECORDS = 2 };
    unsigned records = 0;
    uint32_t sec = 0;
    size_t off = 0;

    for (; records < RECORDS && n - off >= HEADER; records++) {
        const uint8_t *h = p + off;
        uint32_t size = fc_load32(h, big), now = fc_load32(h + 24, big);
        if (size < HEADER || size > LARGEST || fc_load32(h + 4, big) > 4 || fc_load32(h + 8, big) > 4 ||
            fc_load32(h + 12, big) > 2 || fc_load32(h + 16, big) > 2048 || fc_load32(h + 28, big) >= 1000000 || !now ||
            !near_seconds(sec, now))
            return false;
        sec = now;
        if (size > n - off)
            return records && more;
        off += size;
    }
    return records == RECORDS || (records && off == n && !more);
}

const char *fc_foreign(const uint8_t *p, size_t n, bool more)
{
    const char *what = magic_at(magics, sizeof magics / sizeof magics[0], p, n);

    if (!what)
        what = word_in(p, n);
    if (!what && is_erf(p, n, more))
        what = "an ERF capture; convert it with editcap";
    if (!what && (is_i4b(p, n, more, false) || is_i4b(p, n, more, true)))
        what = "an isdn4bsd trace; convert it with editcap";
    return what ? what : "no pcap or pcapng magic number";
}
