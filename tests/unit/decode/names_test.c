/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "packets.h"

Test(names, every_name_is_unique_and_plain)
{
    const char *a, *b;
    for (unsigned i = 0; fc_proto_at(i, &a) >= 0; i++) {
        cr_assert_eq(strspn(a, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(a), "%s", a);
        for (unsigned j = 0; j < i; j++) {
            int64_t proto = fc_proto_at(j, &b);
            cr_assert_str_neq(a, b);
            cr_assert_neq(proto, fc_proto_number(a), "%s and %s", a, b);
        }
    }
}

Test(names, number_and_name_lead_to_each_other)
{
    const char *name;
    int64_t proto;
    unsigned i;
    for (i = 0; (proto = fc_proto_at(i, &name)) >= 0; i++) {
        cr_assert_eq(fc_proto_number(name), proto);
        cr_assert_str_eq(fc_proto_name((uint32_t)proto), name);
    }
    cr_assert_gt(i, 150);
}

Test(names, well_known_ones_are_there)
{
    cr_assert_eq(fc_proto_number("tcp"), 6);
    cr_assert_eq(fc_proto_number("icmp6"), 58);
    cr_assert_eq(fc_proto_number("arp"), FC_PROTO_ARP);
    cr_assert_eq(fc_proto_number("stp"), FC_PROTO_LLC | 0x4242);
    cr_assert_eq(fc_proto_number("lcp"), FC_PROTO_PPP | 0xc021);
    cr_assert_eq(fc_proto_number("malformed"), FC_PROTO_MALFORMED);
    cr_assert_eq(fc_proto_number("link-usb-linux"), FC_PROTO_LINK | 189);
}

Test(names, an_unknown_one_has_none)
{
    cr_assert_eq(fc_proto_number("no-such-thing"), -1);
    cr_assert_eq(fc_proto_number(""), -1);
    cr_assert_null(fc_proto_name(200));
    cr_assert_null(fc_proto_name(FC_PROTO_LINK | 13));
    cr_assert_null(fc_link_type_name(999999));
    cr_assert_null(fc_link_type_name(13));
}

Test(names, every_link_type_with_a_decoder_has_a_name)
{
    for (uint32_t type = 0; type < 1000; type++)
        cr_assert(!fc_link_type_known(type) || fc_link_type_name(type), "link type %u", type);
    cr_assert_str_eq(fc_link_type_name(LT_ETH), "ETHERNET");
    cr_assert_str_eq(fc_link_type_name(LT_SLL2), "LINUX_SLL2");
}

Test(names, ports_belong_to_seven_protocols)
{
    unsigned count = 0;
    for (uint32_t proto = 0; proto < 256; proto++)
        count += fc_proto_has_ports(proto);
    cr_assert_eq(count, 7);
    cr_assert_not(fc_proto_has_ports(FC_PROTO_ARP));
    cr_assert_not(fc_proto_has_ports(FC_PROTO_ETHERTYPE | 6));
}
