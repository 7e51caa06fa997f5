/* SPDX-License-Identifier: MIT */
/* Trees and errors of filters; that they mean what libpcap says is test_pcap.c's. */
#include "query_test.h"

#include "query/explain.h"

static void expect_tree(const char *text, const char *tree)
{
    struct fc_filter_error where;
    struct fc_filter *filter;
    char *got;

    cr_assert_eq(fc_filter_parse(text, NOW, &filter, &where), 0, "%s: %s at %zu", text, where.cause, where.off);
    got = test_tree(filter);
    cr_expect_str_eq(got, tree, "%s\n  reads as %s\n  expected %s", text, got, tree);
    free(got);
    fc_filter_free(filter);
}

static void expect_same(const char *text, const char *as)
{
    struct fc_filter_error where;
    struct fc_filter *filter;

    cr_assert_eq(fc_filter_parse(as, NOW, &filter, &where), 0, "%s: %s", as, where.cause);
    char *tree = test_tree(filter);
    expect_tree(text, tree);
    free(tree);
    fc_filter_free(filter);
}

/* `marked` is the wrong part of the filter, at its first place unless it ends the filter. */
static void expect_error(const char *text, const char *marked, const char *cause)
{
    struct fc_filter_error where = {0};
    struct fc_filter *filter;
    const char *place = marked[0] ? strstr(text, marked) : text + strlen(text);

    cr_assert_eq(fc_filter_parse(text, NOW, &filter, &where), FC_E_FILTER, "accepted: %s", text);
    cr_expect_null(filter);
    cr_expect(strstr(where.cause, cause), "%s\n  says %s\n  expected %s", text, where.cause, cause);
    cr_expect_eq(where.off, (size_t)(place - text), "%s: %s at %zu", text, where.cause, where.off);
    cr_expect_eq(where.len, strlen(marked), "%s: %s has length %zu", text, where.cause, where.len);
}

Test(parse, nothing_means_every_session)
{
    struct fc_filter *filter;

    expect_tree("", "");
    expect_tree(" \t\n", "");
    cr_assert_eq(fc_filter_parse(NULL, NOW, &filter, NULL), 0);
    cr_assert_null(filter->root);
    fc_filter_free(filter);
    fc_filter_free(NULL);
}

Test(parse, an_end_is_read_as_tables_print_it)
{
    expect_same("10.0.0.6:44150", "(src host 10.0.0.6 and src port 44150) or (dst host 10.0.0.6 and dst port 44150)");
    expect_same("host 10.0.0.6:44150", "10.0.0.6:44150");
    expect_same("src 10.0.0.6:44150", "src host 10.0.0.6 and src port 44150");
    expect_same("src and dst 10.0.0.6:80", "src and dst host 10.0.0.6 and src and dst port 80");
    expect_same("[2001:db8::1]:443",
                "(src host 2001:db8::1 and src port 443) or (dst host 2001:db8::1 and dst port 443)");
    expect_same("host [::1]", "host ::1");
    expect_same("[::1] or [::2]", "host ::1 or host ::2");
    expect_same("port 53 or 10.0.0.6:0", "port 53 or (10.0.0.6:0)");
    expect_same("not 10.0.0.6:1 and tcp", "not (10.0.0.6:1) and tcp");
    expect_error("10.0.0.6:65536", "10.0.0.6:65536", "no number from 0 to 65535");
    expect_error("10.0.0.6:", "10.0.0.6:", "no number from 0 to 65535");
    expect_error("[::1]:x", "[::1]:x", "no number from 0 to 65535");
    expect_error("[::1]443", "[::1]443", "no IPv6 address");
    expect_error("net [::1]", "[::1]", "no IPv6 address");
    expect_error("ether host [::1]", "[::1]", "no link address");
    expect_error("tcp[13:2] = 2", "[", "looks into packets");
}

/* The suggestion behind `lead` is a filter, which means what `same` means. */
static void expect_suggestion(const char *text, const char *lead, const char *same)
{
    struct fc_filter_error where = {0};
    struct fc_filter *filter;
    char words[256], *end;

    cr_assert_eq(fc_filter_parse(text, NOW, &filter, &where), FC_E_FILTER, "accepted: %s", text);
    cr_assert(strstr(where.cause, lead), "%s: %s", text, where.cause);
    snprintf(words, sizeof words, "%s", strstr(where.cause, lead) + strlen(lead));
    if (lead[strlen(lead) - 1] == '\'' && (end = strrchr(words, '\'')))
        *end = '\0';
    cr_expect_str_eq(words, same, "%s\n  says %s\n  expected %s", text, words, same);
    cr_expect_eq(fc_filter_parse(words, NOW, &filter, &where), 0, "%s: %s", words, where.cause);
    fc_filter_free(filter);
}

Test(parse, words_of_wireshark_are_answered_with_ours)
{
    static const char *const pairs[][2] = {
        {"ip.addr == 10.0.0.6", "host 10.0.0.6"},
        {"ip.addr==10.0.0.0/8", "net 10.0.0.0/8"},
        {"ip.src eq 10.0.0.6", "src host 10.0.0.6"},
        {"ip.dst != 10.0.0.6", "not dst host 10.0.0.6"},
        {"ipv6.addr == 2001:db8::1", "host 2001:db8::1"},
        {"ipv6.dst ne 2001:db8::/32", "not dst net 2001:db8::/32"},
        {"tcp.port == 443", "tcp port 443"},
        {"udp.port eq 53", "udp port 53"},
        {"tcp.srcport==443", "tcp src port 443"},
        {"udp.dstport == 53", "udp dst port 53"},
        {"eth.addr == 02:00:00:00:00:01", "ether host 02:00:00:00:00:01"},
        {"eth.src == 02:00:00:00:00:01", "ether src 02:00:00:00:00:01"},
        {"vlan.id == 10", "vlan 10"},
        {"ip.proto == 89", "proto 89"},
        {"ip.ttl == 64", "ttl 64"},
        {"tcp.stream eq 5", "id 5"},
        {"frame.time >= \"2024-05-01 10:00:00\"", "after 2024-05-01T10:00:00"},
        {"frame.time_epoch < 1714557600", "before @1714557600"},
        {"ip.addr == 10.0.0.6 && tcp.port == 80", "host 10.0.0.6 and tcp port 80"},
        {"!(ip.addr == 10.0.0.6) && !udp", "not (host 10.0.0.6) and not udp"},
        {"tcp || ip.addr == 10.0.0.6", "tcp or host 10.0.0.6"},
        /* there `and` binds tighter than `or`: only the comparison can be told */
        {"ip.addr == 10.0.0.6 || tcp.port == 80 && udp", "host 10.0.0.6"},
        {"ip.addr == 10.0.0.6 && dns", "host 10.0.0.6"},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        expect_suggestion(pairs[i][0], "; here: ", pairs[i][1]);
    expect_error("tcp and http.host == 5", "http.host == 5", "has no equal here");
    expect_error("ip.addr == nonsense", "ip.addr == nonsense", "has no equal here");
    expect_error("tcp.port > 1000", "tcp.port > 1000", "has no equal here");
    expect_error("frame.time >= \"May 1, 2024\"", "frame.time >= \"May 1, 2024\"", "has no equal here");
}

Test(parse, what_is_nearly_right_is_answered_with_what_is)
{
    expect_suggestion("state = new", "say '", "state new");
    expect_suggestion("state == new", "say '", "state new");
    expect_suggestion("tcp and port != 80", "say '", "not port 80");
    expect_suggestion("id = 5 or tcp", "say '", "id 5");
    expect_suggestion("vlan == 5", "say '", "vlan 5");
    expect_suggestion("dns", "port: ", "port 53");
    expect_suggestion("TLS and tcp", "port: ", "port 443");
    expect_suggestion("tcp and http", "port: ", "port 80");
    expect_error("state = foo", "=", "no '=' between 'state' and its value");
}

Test(parse, and_binds_no_tighter_than_or)
{
    expect_tree("tcp or udp and ip", "((proto 6 or proto 17) and ip)");
    expect_tree("tcp and udp or ip", "((proto 6 and proto 17) or ip)");
    expect_tree("tcp or (udp and ip)", "(proto 6 or (proto 17 and ip))");
    expect_tree("tcp || udp && ip", "((proto 6 or proto 17) and ip)");
    expect_tree("tcp or udp or ip", "(proto 6 or proto 17 or ip)");
}

Test(parse, not_binds_tightest)
{
    expect_tree("not tcp and udp", "((not proto 6) and proto 17)");
    expect_tree("! tcp or !udp", "((not proto 6) or (not proto 17))");
    expect_tree("!(tcp or udp)", "(not (proto 6 or proto 17))");
    expect_tree("not not tcp", "(not (not proto 6))");
}

Test(parse, qualifiers_carry_over_to_bare_values)
{
    expect_tree("not host 10.0.0.1 and 10.0.0.2", "((not host 10.0.0.1) and host 10.0.0.2)");
    expect_tree("port 80 or 443", "(port 80 or port 443)");
    expect_tree("port 80 or not 443", "(port 80 or (not port 443))");
    expect_tree("tcp dst port 21 or 20", "(dst tcp port 21 or dst tcp port 20)");
    expect_tree("tcp port 80 and (host 10.0.0.1) or 90", "((tcp port 80 and host 10.0.0.1) or tcp port 90)");
    expect_tree("src 10.0.0.1 or 10.0.0.2", "(src host 10.0.0.1 or src host 10.0.0.2)");
    expect_tree("host 10.0.0.1 and (10.0.0.2 or 10.0.0.3)", "(host 10.0.0.1 and (host 10.0.0.2 or host 10.0.0.3))");
    expect_tree("port (80 or not 443)", "(port 80 or (not port 443))");
    expect_tree("id 1 or 5-7", "(id 1 or id 5-7)");
    expect_tree("state closed or reset", "(state 2 or state 3)");
    expect_tree("vlan 10 or 20", "(vlan 10 or vlan 20)");
}

Test(parse, lists_are_one_of_their_values)
{
    expect_tree("port 80,443", "(port 80 or port 443)");
    expect_tree("port 80 , 443, 8080", "(port 80 or port 443 or port 8080)");
    expect_tree("tcp dst port http,443 and udp", "((dst tcp port 80 or dst tcp port 443) and proto 17)");
    expect_tree("not port 80,443 and tcp", "((not (port 80 or port 443)) and proto 6)");
    expect_tree("host 10.0.0.1,2001:db8::1", "(host 10.0.0.1 or host 2001:db8::1)");
    expect_tree("net 10,192.168.0.0/16", "(net 10.0.0.0/8 or net 192.168.0.0/16)");
    expect_tree("10.0.0.1,10.0.0.0/8", "(host 10.0.0.1 or net 10.0.0.0/8)");
    expect_tree("src host (10.0.0.1,10.0.0.2 or 10.0.0.3)",
                "(src host 10.0.0.1 or src host 10.0.0.2 or src host 10.0.0.3)");
    expect_tree("port 80 or 443,8080", "(port 80 or (port 443 or port 8080))");
    expect_tree(
        "port 80,443 or 10.0.0.1:53",
        "(port 80 or port 443 or ((src host 10.0.0.1 and src port 53) or (dst host 10.0.0.1 and dst port 53)))");
    expect_tree("portrange 1-2,5-6", "(port 1-2 or port 5-6)");
    expect_tree("id 1,5-9,42", "(id 1 or id 5-9 or id 42)");
    expect_tree("state new,reset", "(state 0 or state 3)");
    expect_tree("proto tcp,47", "(proto 6 or proto 47)");
    expect_tree("vlan 10,20 and not tunnel gre,vxlan:42",
                "((vlan 10 or vlan 20) and (not (tunnel gre or tunnel vxlan:42)))");
    expect_tree("community-id 1:LQU9qZlK+B5F3KDmev6m5PMibrg=,1:LQU9qZlK+B5F3KDmev6m5PMibrg= and tcp",
                "((community-id 1:LQU9qZlK+B5F3KDmev6m5PMibrg= or community-id 1:LQU9qZlK+B5F3KDmev6m5PMibrg=)"
                " and proto 6)");
    expect_same("10.0.0.6:1,[::1]:2", "10.0.0.6:1 or ([::1]:2)");
    expect_error("port 80,", "", "the filter ends where a port is expected");
    expect_error("port ,80", ",", "',' where a port is expected");
    expect_error("port 80,tcp", "tcp", "'tcp' is no port number and no known service");
    expect_error("host 10.0.0.1,and", "and", "'and' where an address is expected");
    expect_error("tcp,udp", ",", "write 'proto tcp,...'");
    expect_error("(tcp),udp", ",", "',' where 'and' or 'or' is expected");
}

Test(parse, numbers_of_a_session_are_compared_in_words_and_signs)
{
    expect_tree("packets over 3", "packets from 4");
    expect_tree("packets under 3", "packets to 2");
    expect_tree("packets at least 3", "packets from 3");
    expect_tree("packets at most 3", "packets to 3");
    expect_tree("packets between 3 and 5 and tcp", "(packets from 3 to 5 and proto 6)");
    expect_same("packets>3", "packets over 3");
    expect_same("packets < 3", "packets under 3");
    expect_same("packets>=3 and bytes<=10k", "packets at least 3 and bytes at most 10k");
    expect_tree("packets = 3", "packets from 3 to 3");
    expect_tree("packets == 3 or packets=4", "(packets from 3 to 3 or packets from 4 to 4)");
    expect_tree("client bytes over 10M", "src bytes from 10000001");
    expect_tree("server packets under 2 and not dst bytes at least 1", "(dst packets to 1 and (not dst bytes from 1))");
    expect_tree("payload over 0 or server payload under 5", "(payload from 1 or dst payload to 4)");
    expect_tree("ttl 64", "ttl from 64 to 64");
    expect_tree("client ttl 64,128", "(src ttl from 64 to 64 or src ttl from 128 to 128)");
    expect_tree("src and dst ttl under 5", "src and dst ttl to 4");
    expect_tree("ttl (64 or 128) and tcp", "((ttl from 64 to 64 or ttl from 128 to 128) and proto 6)");
}

Test(parse, numbers_have_units)
{
    static const struct {
        const char *text;
        int64_t number;
    } sizes[] = {{"7", 7},           {"10k", 10000},      {"10K", 10000},
                 {"1.5M", 1500000},  {"2G", 2000000000},  {"1 k", 1000},
                 {"3Ki", 3072},      {"0.5Mi", 524288},   {"1Gi", 1073741824},
                 {"10MB", 10000000}, {"10MiB", 10485760}, {"1T", 1000000000000},
                 {"0.001k", 1},      {"1.50k", 1500},     {"00012", 12}},
      times[] = {{"7", 7000000000},
                 {"2.5s", 2500000000},
                 {"18.988ms", 18988000},
                 {"1us", 1000},
                 {"3ns", 3},
                 {"5m", 300000000000},
                 {"5 minutes", 300000000000},
                 {"1.5h", 5400000000000},
                 {"1d", 86400000000000},
                 {"2 weeks", 1209600000000000},
                 {"0.000000001", 1}};
    char text[80], tree[80];

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        snprintf(text, sizeof text, "bytes at most %s", sizes[i].text);
        snprintf(tree, sizeof tree, "bytes to %lld", (long long)sizes[i].number);
        expect_tree(text, tree);
    }
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        snprintf(text, sizeof text, "duration at most %s", times[i].text);
        snprintf(tree, sizeof tree, "duration to %lld", (long long)times[i].number);
        expect_tree(text, tree);
    }
    expect_error("bytes over 10m", "10m", "units: k, M, G (1000), Ki, Mi, Gi (1024)");
    expect_error("bytes over 10 parsecs", "parsecs", "'and' or 'or' is expected");
    expect_error("duration over 10x", "10x", "units: ms, s, m, h, d");
    expect_error("duration under 5M", "5M", "units: ms, s, m, h, d");
    expect_error("bytes over 1.5", "1.5", "no whole number of bytes");
    expect_error("duration over 0.5ns", "0.5ns", "no whole number of nanoseconds");
    expect_error("bytes over 1.", "1.", "is no number");
    expect_error("bytes over 9223372036854775807", "9223372036854775807", "too large");
    expect_error("bytes over 99999999999T", "99999999999T", "too large");
    expect_error("packets over 1.00000000000000000000001", "1.00000000000000000000001", "too large, or no whole");
    expect_error("bytes over -1", "-1", "where a number is expected, as in '10M'");
    expect_error("ttl 256", "256", "a TTL is a number from 0 to 255");
    expect_error("ttl over 5s", "5s", "units: none");
}

/* `bytes > 10M and tcp` comes to us without the sign and the word behind it. */
Test(parse, what_the_shell_took_is_guessed)
{
    static const char hint[] = "signs must be quoted, or the shell takes them: '%s > %s'";
    static const char *const texts[][4] = {{"bytes", "", "bytes", "10M"},
                                           {"tcp and bytes", "", "bytes", "10M"},
                                           {"bytes and tcp", "and", "bytes", "10M"},
                                           {"(packets or tcp)", "or", "packets", "100"},
                                           {"(duration)", ")", "duration", "5m"},
                                           {"ttl", "", "ttl", "64"},
                                           {"packets 3", "3", "packets", "100"},
                                           {"client payload", "", "payload", "10k"}};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char cause[200];
        snprintf(cause, sizeof cause, hint, texts[i][2], texts[i][3]); /* NOLINT: a format of this file */
        expect_error(texts[i][0], texts[i][1], cause);
    }
    expect_error("bytes over", "", "the filter ends where a number is expected, as in '10M'");
    expect_error("bytes over and tcp", "and", "where a number is expected");
    expect_error("bytes != 5", "!=", "say 'not bytes = ...'");
    expect_error("bytes between 5", "", "a second number");
    expect_error("bytes between 5 or 7", "or", "a second number");
    expect_error("bytes at 5", "at", "how many?");
    expect_error("bytes > = 5", "=", "where a number is expected");
    expect_error("client duration over 5", "duration", "'duration' has no source and destination");
    expect_error("src or dst bytes over 5", "over", "with neither word those of both");
    expect_error("tcp bytes over 5", "bytes", "'and' is needed between 'tcp' and 'bytes'");
    expect_error("bytes over 5 or 6", "6", "only a part of an address; write 'net 6', or of a session 'id 6'");
    expect_error("host 10.1", "10.1", "only a part of an address; write 'net 10.1'");
    expect_error("host 10.0.0.1/8", "10.0.0.1/8", "is a network; write 'net 10.0.0.0/8'");
    expect_error("host 2001:db8::1/32", "2001:db8::1/32", "is a network; write 'net 2001:db8::/32'");
    expect_error("after 2024", "2024", "a month or a day is expected, not a year alone: 2024-01, 2024-01-31");
    expect_error("before 2024 and tcp", "2024", "a month or a day is expected, not a year alone: 2024-01, 2024-01-31");
    expect_error("after 2024 hours", "2024 hours", "'ago' is missing");
    expect_error("after 30 and tcp", "and", "a unit is expected");
}

Test(parse, ends_are_client_and_server)
{
    expect_same("client 10.0.0.1", "src 10.0.0.1");
    expect_same("server port 80 and client net 10", "dst port 80 and src net 10");
    expect_same("client or server host 10.0.0.1", "src or dst host 10.0.0.1");
    expect_same("client and dst net 10", "src and dst net 10");
    expect_tree("src or dst port 80", "port 80");
    expect_tree("dst and src net 10", "src and dst net 10.0.0.0/8");
    expect_same("src and dst net 10,192.168", "(src net 10 or src net 192.168) and (dst net 10 or dst net 192.168)");
    expect_same("not src and dst net 10.0.0.0 mask 255.0.0.0,192.168 and tcp",
                "not ((src net 10 or src net 192.168) and (dst net 10 or dst net 192.168)) and tcp");
    expect_same("src and dst port 80 or 443", "(src and dst port 80) or (src and dst port 443)");
    expect_error("src and dst port 80,http,x1", "x1", "no known service");
    expect_tree("src host 10.0.0.1 and src port 80", "(src host 10.0.0.1 and src port 80)");
    expect_tree("dst 10.0.0.1", "dst host 10.0.0.1");
    expect_error("src or src port 80", "or", "an address is expected");
    expect_error("src", "", "the filter ends where an address is expected");
}

Test(parse, addresses_in_every_form)
{
    expect_tree("10.0.0.1", "host 10.0.0.1");
    expect_tree("10.0.0.0/8", "net 10.0.0.0/8");
    expect_tree("2001:db8::1", "host 2001:db8::1");
    expect_tree("src 2001:db8::/32", "src net 2001:db8::/32");
    expect_tree("fe80::1 or ::", "(host fe80::1 or host ::)");
    expect_tree("host 10.0.0.1/32", "net 10.0.0.1/32");
    expect_tree("net 10", "net 10.0.0.0/8");
    expect_tree("net 192.168.1", "net 192.168.1.0/24");
    expect_tree("net 192.168.1.7", "net 192.168.1.7/32");
    expect_tree("net 10.1/16", "net 10.1.0.0/16");
    expect_tree("net 10/8", "net 10.0.0.0/8");
    expect_tree("net 0.0.0.0/0", "net 0.0.0.0/0");
    expect_tree("net 10.0.0.0 mask 255.0.0.0", "net 10.0.0.0/8");
    expect_tree("net 0.0.0.1 mask 0.0.0.255", "net 0.0.0.1/0 mask 0.0.0.255");
    expect_tree("ip6 net 2001:db8::/32", "ip6 net 2001:db8::/32");
    expect_tree("arp host 10.0.0.1", "arp host 10.0.0.1");
    expect_tree("ether host 0:11:22:33:44:55", "ether host 00:11:22:33:44:55");
    expect_tree("ether src 0011.2233.4455", "src ether host 00:11:22:33:44:55");
    expect_tree("ether dst 001122334455", "dst ether host 00:11:22:33:44:55");
}

Test(parse, wrong_addresses_are_explained)
{
    expect_error("net 10.0.0.5/8", "10.0.0.5/8", "non-network bits set in '10.0.0.5/8'; the network is 10.0.0.0/8");
    expect_error("net 10.0.0.5 mask 255.0.0.0", "10.0.0.5", "the network is 10.0.0.0/8");
    expect_error("net 10.0.0.5 mask 255.0.0.2", "10.0.0.5", "the network is 10.0.0.0 mask 255.0.0.2");
    expect_error("net 2001:db8::1/32", "2001:db8::1/32", "the network is 2001:db8::/32");
    expect_error("net 10.0.0.0/33", "10.0.0.0/33", "0 to 32");
    expect_error("net ::/129", "::/129", "0 to 128");
    expect_error("net 10.0.0.0/", "10.0.0.0/", "0 to 32");
    expect_error("host 10.0.0.0/24", "10.0.0.0/24", "write 'net 10.0.0.0/24'");
    expect_error("host 10.1", "10.1", "write 'net 10.1'");
    expect_error("host 10.0.0.256", "10.0.0.256", "no IPv4 address");
    expect_error("host 010.0.0.1", "010.0.0.1", "no IPv4 address");
    expect_error("host 1::2::3", "1::2::3", "no IPv6 address");
    expect_error("host 00:11:22:33:44:55", "00:11:22:33:44:55", "write 'ether host 00:11:22:33:44:55'");
    expect_error("host example.org", "example.org", "names are not looked up");
    expect_error("src sundown", "sundown", "names are not looked up");
    expect_error("ip host ::1", "::1", "'ip' does not go with an IPv6 address");
    expect_error("arp host ::1", "::1", "'arp' does not go with an IPv6 address");
    expect_error("tcp host 10.0.0.1", "10.0.0.1", "'tcp' does not go with an address; put 'and' between them");
    expect_error("ether host 10.0.0.1", "10.0.0.1", "no link address");
    expect_error("ether net 10", "10", "no networks of link addresses");
    expect_error("net 10.0.0.0 mask tcp", "tcp", "a mask such as");
    expect_error("net 10 mask", "", "a mask such as");
    expect_error("host", "", "the filter ends where an address is expected");
    expect_error("host and tcp", "and", "'and' where an address is expected");
    expect_error("src 443", "443", "is 'port 443' meant?");
}

Test(parse, ports_are_numbers_names_and_ranges)
{
    expect_tree("port 0x50", "port 80");
    expect_tree("port domain", "port 53");
    expect_tree("tcp port domain", "tcp port 53");
    expect_tree("port ssh", "tcp port 22");
    expect_tree("portrange 10-20 or 30", "(port 10-20 or port 30)");
    expect_tree("portrange 20-10", "port 10-20");
    expect_tree("portrange ftp-data-ssh", "tcp port 20-22");
    expect_tree("sctp dst portrange 5-6", "dst sctp port 5-6");
    expect_tree("port 0 or 65535", "(port 0 or port 65535)");
    expect_error("port 65536", "65536", "0 to 65535");
    expect_error("port 080", "080", "without leading zeros");
    expect_error("port 10-20", "10-20", "write 'portrange 10-20'");
    expect_error("port 10.0.0.1", "10.0.0.1", "write 'host 10.0.0.1'");
    expect_error("port 80 or 10.0.0.1", "10.0.0.1", "write 'host 10.0.0.1'");
    expect_error("port nosuchservice", "nosuchservice", "no known service");
    expect_error("udp port ssh", "ssh", "'ssh' is not known for udp");
    expect_error("ip port 80", "80", "'ip' does not go with a port");
    expect_error("icmp port 80", "80", "'icmp' does not go with a port");
    expect_error("tcp 80", "80", "is '80' a port or an address? Write 'tcp port ...' or 'tcp and host ...'");
}

Test(parse, protocols_by_number_name_and_word)
{
    expect_tree("icmp", "ip proto 1");
    expect_tree("icmp6 or icmpv6", "(ip6 proto 58 or ip6 proto 58)");
    expect_tree("proto 6", "proto 6");
    expect_tree("proto tcp", "proto 6");
    expect_tree("proto \\tcp or 17", "(proto 6 or proto 17)");
    expect_tree("ip6 proto 17", "ip6 proto 17");
    expect_tree("ip and ip6", "(ip and ip6)");
    expect_tree("arp or rarp", "(proto 67590 or proto 98357)");
    expect_tree("proto 0x9000", "proto 102400");
    expect_tree("proto llc:0x4242", "proto 148034");
    expect_tree("proto link:147", "proto 196755");
    expect_tree("proto ppp:0x0021", "proto 262177");
    expect_error("proto 256", "256", "no protocol");
    expect_error("proto nosuch", "nosuch", "no protocol");
    expect_error("ip proto 0x9000", "0x9000", "no IP protocol");
    expect_error("tcp proto 6", "6", "'tcp' does not go with 'proto'");
    expect_error("src proto 6", "proto", "no source and destination");
}

Test(parse, words_of_sessions)
{
    expect_tree("vlan", "vlan");
    expect_tree("vlan and tcp", "(vlan and proto 6)");
    expect_tree("vlan (10 or 20)", "(vlan 10 or vlan 20)");
    expect_tree("mpls 16 and not mpls 17", "(mpls 16 and (not mpls 17))");
    expect_tree("tunnel", "tunnel");
    expect_tree("tunnel and tcp", "(tunnel and proto 6)");
    expect_tree("tunnel vxlan", "tunnel vxlan");
    expect_tree("tunnel 6in4 or teredo", "(tunnel 6in4 or tunnel teredo)");
    expect_tree("tunnel (vxlan:42 or gre:0x10)", "(tunnel vxlan:42 or tunnel gre:16)");
    expect_tree("tunnel l2tp:1.2", "tunnel l2tp:65538");
    expect_error("tunnel ipip:5", "ipip:5", "is no encapsulation");
    expect_error("tunnel l2tp:5", "l2tp:5", "is no encapsulation");
    expect_error("tunnel vxlam", "vxlam", "is no encapsulation: ipip 6in4 4in6 6in6 gre nvgre");
    expect_error("tunnel gtp:5", "gtp:5",
                 "gtpu l2tp l2tpv3 pppoe pw pbb vntag teredo capwap tzsp etherip esp nsh lisp mpls pim eoip ayiya");
    expect_tree("id 7-5", "id 5-7");
    expect_tree("after 2024-05-01 and before 2024-05-02", "(after 1714521600000000000 and before 1714608000000000000)");
    expect_tree("after 2024-05-01 10:00 or tcp", "(after 1714557600000000000 or proto 6)");
    expect_tree("after now", "after 1714557600000000000");
    expect_tree("before 10 minutes ago", "before 1714557000000000000");
    expect_tree("after 2h ago and tcp", "(after 1714550400000000000 and proto 6)");
    expect_tree("before @1.5", "before 1500000000");
    expect_tree("after 1714557600", "after 1714557600000000000");
    expect_tree("after 1714557600.5 and before 1714557600123456789",
                "(after 1714557600500000000 and before 1714557600123456789)");
    expect_tree("after 20240430 and before 22:20", "(after 1714435200000000000 and before 1714602000000000000)");
    expect_tree("after yesterday 8:05", "after 1714464300000000000");
    expect_tree("before 2024-5-1 10:00", "before 1714557600000000000");
    expect_tree("after 100000000 seconds ago", "after 1614557600000000000");
    expect_tree("at 2024-05-01 10:00", "(after 1714557600000000000 and before 1714557600000000001)");
    expect_tree("at now and tcp", "(after 1714557600000000000 and before 1714557600000000001 and proto 6)");
    expect_tree("on 2024-05-01", "(after 1714521600000000000 and before 1714608000000000000)");
    expect_same("not on yesterday or udp", "not (after 2024-04-30 and before 2024-05-01) or udp");
    expect_same("during 2024-04-30", "on 20240430");
    expect_same("during 2024-02", "after 2024-02-01 and before 2024-03-01");
    expect_same("during 2023-12", "after 2023-12 and before 2024-01");
    expect_same("during 2024-2 and tcp", "after 2024-02-01 and before 2024-03-01 and tcp");
    expect_same("during 9:59", "after 2024-05-01T09:59 and before 2024-05-01T10:00");
    expect_same("during 2024-05-01 09:59:59", "after 2024-05-01T09:59:59 and before 2024-05-01T10:00");
    expect_same("between 2024-04-30 and 2024-05-01T10:00 and tcp",
                "(after 2024-04-30 and before 2024-05-01T10:00:00.000000001) and tcp");
    expect_same("between 2024-4-30 22:20 and 22:30", "after 2024-04-30T22:20 and before 2024-04-30T22:30:00.000000001");
    expect_same("between 1h ago and now", "after 1h ago and before 2024-05-01T10:00:00.000000001");
    expect_error("between 2024-05-01", "", "a second time");
    expect_error("between 2024-05-01 or tcp", "or", "a second time");
    expect_error("between 2024-05-01 and tcp", "tcp", "a time is expected");
    expect_error("between 2024-05-02 and 2024-05-01", "2024-05-01", "before the first");
    expect_error("on 2024-05-01 10:00", "2024-05-01", "a day is expected behind 'on'");
    expect_error("on now", "now", "a day is expected behind 'on'");
    expect_error("at", "", "a time is expected");
    expect_error("during 2024-02-30", "2024-02-30", "there is no such time");
    expect_error("during 2024-13", "2024-13", "there is no such time");
    expect_error("on 2024-02", "2024-02", "a day is expected behind 'on'; of a time, say 'at' or 'during'");
    expect_error("after 99999999999", "99999999999", "outside of");
    expect_error("vlan 4096", "4096", "0 to 4095");
    expect_error("mpls 1048576", "1048576", "0 to 1048575");
    expect_error("id 5-", "5-", "a session id is a number");
    expect_error("id x", "x", "a session id is a number");
    expect_tree("state rejected", "mark 16");
    expect_tree("state new,rejected or reset", "(state 0 or mark 16 or state 3)");
    expect_tree("state closed or reset by client", "(state 2 or mark 2)");
    expect_tree("reset by server and tcp", "(mark 4 and proto 6)");
    expect_tree("reset by src,server", "mark 6");
    expect_tree("flags syn,ack", "flags 18");
    expect_tree("client flags rst and not server flags psh,urg , fin", "(src flags 4 and (not dst flags 41))");
    expect_tree("flags ece,cwr,push", "flags 200");
    expect_tree("src and dst flags fin", "src and dst flags 1");
    expect_tree("file a.pcap", "file a.pcap");
    expect_tree("(file day/*.pcap,b[1].pcap) and tcp", "((file day/*.pcap or file b[1].pcap) and proto 6)");
    expect_tree("file \"a (copy), b.pcap\" or file 'x y'", "(file a (copy), b.pcap or file x y)");
    expect_tree("file and", "file and");
    expect_error("file", "", "the name of a capture is expected");
    expect_error("file \"a b", "\"a", "the quote is never closed");
    expect_error("file \"\"", "\"\"", "the name of a capture is expected");
    expect_error("file a.pcap,", "", "the name of a capture is expected");
    expect_error("src file a", "file", "'file' has no source and destination");
    expect_error("flags", "", "flags are expected: fin, syn");
    expect_error("flags syn,foo", "foo", "flags are expected: fin, syn");
    expect_error("flags syn and 5", "5", "");
    expect_error("reset", "", "say 'reset by client'");
    expect_error("reset by host", "host", "'client' or 'server' is expected");
    expect_error("rejected and tcp", "rejected", "say 'state rejected'");
    expect_error("state = rejected", "=", "say 'state rejected'");
    expect_error("state open", "open", "states are new, established");
    expect_error("after", "", "a time is expected");
    expect_error("after tomorrow", "tomorrow", "a time is expected");
    expect_error("after 2024-02-30", "2024-02-30", "there is no such time");
    expect_error("after 2024-05-01 25:00", "2024-05-01 25:00", "there is no such time");
    expect_error("after 2h", "2h", "'ago' is missing behind '2h'");
    expect_error("after 2 and tcp", "and", "a unit is expected behind '2'");
    expect_error("after 2 parsecs ago", "parsecs", "unknown unit");
    expect_error("after 9999999999999w ago", "9999999999999w", "outside of");
    expect_error("tcp state new", "state", "'and' is needed between 'tcp' and 'state'");
}

static void write_all(FILE *out, const struct fc_ast *node)
{
    if (!node->first) {
        fc_ast_write(out, node);
        return;
    }
    fputs(node->type == FC_AST_NOT ? "(not " : "(", out);
    for (const struct fc_ast *child = node->first; child; child = child->next) {
        write_all(out, child);
        fputs(!child->next ? ")" : node->type == FC_AST_AND ? " and " : " or ", out);
    }
}

/* Conditions are explained in words that mean the same. */
Test(parse, reads_what_it_writes)
{
    uint64_t state = test_seed();
    char text[2000];

    for (unsigned i = 0, rounds = test_rounds(2000); i < rounds; i++) {
        struct fc_filter *filter, *again;
        struct fc_filter_error where;
        char *written = NULL;
        size_t size;

        test_filter(&state, false, text, sizeof text);
        cr_assert_eq(fc_filter_parse(text, NOW, &filter, NULL), 0);
        FILE *out = open_memstream(&written, &size);
        write_all(out, filter->root);
        fclose(out);
        cr_assert_eq(fc_filter_parse(written, 0, &again, &where), 0, "%s\n%s\n%s", text, written, where.cause);
        char *before = test_tree(filter), *behind = test_tree(again);
        cr_assert_str_eq(before, behind, "%s\n%s\n%s", written, before, behind);
        free(before);
        free(behind);
        free(written);
        fc_filter_free(filter);
        fc_filter_free(again);
    }
    expect_same("file \"a 'b'\" and proto link:147,llc:0x4242,ppp:0x21,0x9000 and bytes under 0 and tunnel l2tp:1.2",
                "file \"a 'b'\" and proto link:147,llc:0x4242,ppp:0x21,0x9000 and bytes under 0 and tunnel l2tp:1.2");
}

Test(parse, typing_errors_get_a_suggestion)
{
    expect_error("tpc port 80", "tpc", "unknown word 'tpc'; did you mean 'tcp'?");
    expect_error("tcp prot 80", "prot", "did you mean 'port'?");
    expect_error("TCP", "TCP", "did you mean 'tcp'?");
    expect_error("hots 10.0.0.1", "hots", "did you mean 'host'?");
    expect_error("tcp nad udp", "nad", "did you mean 'and'?");
    expect_error("portrang 1-2", "portrang", "did you mean 'portrange'?");
    expect_error("frobnicate", "frobnicate", "unknown word 'frobnicate'");
    expect_error("none", "none", "unknown word 'none'");
}

Test(parse, words_of_other_places_have_one_here)
{
    expect_error("server_port 443", "server_port", "unknown word 'server_port'; say 'server port'");
    expect_error("tcp and client_bytes > 5", "client_bytes", "say 'client bytes'");
    expect_error("host 10.0.0.1 or sport 5", "sport", "say 'src port'");
    expect_error("tcp since yesterday", "since", "say 'after'");
    expect_error("mac 00:11:22:33:44:55", "mac", "say 'ether host'");
    expect_error("start > 2024-01-01", "start", "say 'after' or 'before'");
    expect_error("1:LQU9qZlK+B5F3KDmev6m5PMibrg", "1:LQU9qZlK+B5F3KDmev6m5PMibrg",
                 "write 'community-id 1:LQU9qZlK+B5F3KDmev6m5PMibrg'");
    expect_same("proto icmpv6", "proto 58");
    expect_same("proto icmpv6,tcp", "proto 58 or proto 6");
}

Test(parse, words_about_packets_say_so)
{
    static const char hint[] = "looks into packets; carve the sessions first, then filter with tcpdump";

    expect_error("tcp[13] & 2 != 0", "[", hint);
    expect_error("less 100", "less", hint);
    expect_error("tcp and len > 5", "len", hint);
    expect_error("ip broadcast", "broadcast", hint);
    expect_error("gateway 10.0.0.1", "gateway", hint);
    expect_error("ether proto 0x800", "0x800", "looks into packets");
    expect_error("tcp & udp", "&", hint);
}

Test(parse, broken_structure_points_to_the_place)
{
    expect_error("(tcp", "(", "never closed");
    expect_error("tcp)", ")", "')' without '('");
    expect_error("()", ")", "')' where a condition is expected");
    expect_error("tcp and", "", "the filter ends where a condition is expected");
    expect_error("and tcp", "and", "'and' where a condition is expected");
    expect_error("tcp udp", "udp", "'udp' where 'and' or 'or' is expected");
    expect_error("tcp (udp)", "(", "'(' where 'and' or 'or' is expected");
    expect_error("host (10.0.0.1", "(", "never closed");
    expect_error("src (host 10.0.0.1)", "host", "only an address may stand in these parentheses");
    expect_error("443", "443", "is 'port 443' meant?");
    expect_error("tcp or 443", "443", "is 'port 443' meant?");
}

Test(parse, limits_are_errors_not_crashes)
{
    struct fc_filter_error where;
    struct fc_filter *filter;
    size_t size = FC_FILTER_TEXT_MAX + 2;
    char *text = malloc(size);

    memset(text, '(', size);
    text[5000] = '\0';
    cr_expect_eq(fc_filter_parse(text, NOW, &filter, &where), FC_E_FILTER);
    cr_expect_eq(where.off, FC_FILTER_NEST_MAX);
    memset(text, '!', 5000);
    cr_expect_eq(fc_filter_parse(text, NOW, &filter, &where), FC_E_FILTER);
    memset(text, ' ', size);
    text[size - 1] = '\0';
    cr_expect_eq(fc_filter_parse(text, NOW, &filter, &where), FC_E_FILTER);
    cr_expect(strstr(where.cause, "bytes"));
    memset(text, 'x', size);
    text[300] = '\0';
    cr_expect_eq(fc_filter_parse(text, NOW, &filter, &where), FC_E_FILTER);
    strcpy(text, "tcp");
    for (unsigned i = 0; i < 600; i++)
        strcat(text, " and udp or tcp");
    cr_expect_eq(fc_filter_parse(text, NOW, &filter, &where), FC_E_FILTER);
    cr_expect(strstr(where.cause, "group with parentheses"));
    strcpy(text, "host ");
    for (unsigned i = 0; i < 50; i++)
        strcat(text, "10.0.0.1");
    cr_expect_eq(fc_filter_parse(text, NOW, &filter, &where), FC_E_FILTER);
    free(text);
}

/* Any bytes: the parser must come back with a tree or a place inside the text. */
Test(parse, survives_random_bytes_and_broken_filters)
{
    static const char alphabet[] = "abcdehinoprstuvx0123456789.:/-()!&|[]<>= \\@T\xc3\xff\x01";
    uint64_t state = test_seed();
    char text[2000];

    for (unsigned i = 0, rounds = test_rounds(4000); i < rounds; i++) {
        struct fc_filter_error where = {0};
        struct fc_filter *filter;
        unsigned len = test_below(&state, 60);

        if (i % 2) {
            test_filter(&state, false, text, sizeof text);
            len = (unsigned)strlen(text);
            for (unsigned k = 0; k < 3 && len; k++)
                text[test_below(&state, len)] = alphabet[test_below(&state, sizeof alphabet - 1)];
        } else {
            for (unsigned k = 0; k < len; k++)
                text[k] = alphabet[test_below(&state, sizeof alphabet - 1)];
        }
        text[len] = '\0';
        if (fc_filter_parse(text, NOW, &filter, &where) == 0)
            fc_filter_free(filter);
        else
            cr_assert(where.off + where.len <= strlen(text) && where.cause[0], "%s", text);
    }
}
