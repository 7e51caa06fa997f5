/* SPDX-License-Identifier: MIT */
/*
 * decode_dump outer|inner
 *
 * Prints the session key of each packet, for comparison with another decoder (decode_diff.py).
 *
 * In, per line: link type, original length, captured bytes in hex ("-" when there are none). Packets come as text so
 * that the other side chooses how captures are read, and mixed link types cost nothing.
 * Out, per line, tab-separated: class, key, direction, fragment state, one-way, encapsulations.
 *   class  ip, arp, link (link-layer session), unknown (no decoder for the link type), malformed
 *   key    ver|proto|addrA|portA|addrB|portB, "-" without IP addresses; else the protocol number follows as 0x...
 */
#include <arpa/inet.h>
#include <flowcarve/decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *class_of(uint32_t link_type, const struct fc_packet *p)
{
    if (p->malformed)
        return "malformed";
    if (!fc_link_type_known(link_type))
        return "unknown";
    if (p->key.proto < 256)
        return "ip";
    return p->key.addr_kind == FC_ADDR_IPV4 ? "arp" : "link";
}

static void print_packet(uint32_t link_type, const struct fc_packet *p)
{
    const struct fc_flow_key *k = &p->key;
    char a[INET6_ADDRSTRLEN], b[INET6_ADDRSTRLEN];

    printf("%s\t", class_of(link_type, p));
    if (k->addr_kind == FC_ADDR_IPV4 || k->addr_kind == FC_ADDR_IPV6) {
        int family = k->addr_kind == FC_ADDR_IPV4 ? AF_INET : AF_INET6;
        inet_ntop(family, k->addr[0], a, sizeof(a));
        inet_ntop(family, k->addr[1], b, sizeof(b));
        printf("%d|%u|%s|%u|%s|%u", k->addr_kind, k->proto, a, k->port[0], b, k->port[1]);
    } else {
        printf("0x%x", k->proto);
    }
    char tunnel[FC_TUNNEL_TEXT] = "-";
    if (p->got & FC_WANT_TUNNEL)
        fc_tunnel_text(p->tunnel, p->tunnel_count, tunnel, sizeof(tunnel));
    printf("\t%c\t%c\t%u\t%s\n", p->dir ? '<' : '>',
           p->frag == FC_FRAG_FIRST ? 'F'
           : p->frag                ? 'L'
                                    : '-',
           k->one_way, tunnel);
}

/* sscanf() would look for the end of the line at each byte. */
static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Returns the number of bytes, or -1 when the text is not hex. */
static long from_hex(const char *text, uint8_t *bytes)
{
    long n = 0;

    if (text[0] == '-')
        return 0;
    for (; text[0] && text[0] != '\n'; text += 2, n++) {
        int high = digit(text[0]), low = digit(text[1]);
        if (high < 0 || low < 0)
            return -1;
        bytes[n] = (uint8_t)(high << 4 | low);
    }
    return n;
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t size = 0;
    int status = 0;

    while (getline(&line, &size, stdin) > 0) {
        unsigned link_type, origlen;
        int at = 0;
        struct fc_packet packet;
        uint8_t *bytes = malloc(size);
        long n =
            bytes && sscanf(line, "%u %u %n", &link_type, &origlen, &at) == 2 && at ? from_hex(line + at, bytes) : -1;
        if (n < 0) {
            fprintf(stderr, "decode_dump: bad line\n");
            status = 1;
        } else {
            uint8_t *exact = n ? realloc(bytes, (size_t)n) : bytes; /* exactly caplen, for sanitizers */
            if (exact)
                bytes = exact;
            fc_decode(link_type, bytes, (uint32_t)n, origlen,
                      FC_WANT_ALL | (argc > 1 && strcmp(argv[1], "outer") == 0 ? FC_KEY_OUTER : 0), &packet);
            print_packet(link_type, &packet);
        }
        free(bytes);
        if (status)
            break;
    }
    free(line);
    return status;
}
