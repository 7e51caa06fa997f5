/* SPDX-License-Identifier: MIT */
#include "capture/s3.h"
#include "capture/url.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(archive, urls)
{
    static const char *const good[] = {"http://h", "https://h:8443/a/b%20c", "http://[::1]:80/x",
                                       "s3://b/k?#@ \xc3\xa9", "http://h/a@b"};
    static const char *const bad[] = {
        "http://",     "http://u@h/", "http://u:p@h/", "http://u:p/w@h/", "http://h/?q",        "http://h/#f",
        "http://h/ x", "http://h:/x", "http://h:8x/",  "ftp://h/",        "file:///etc/passwd", "s3://",
        "s3:///k",     "s3://b/\n",   "HTTP://h/",     "/http://h/",      "http://h\\x/",       "http://h/\xc3\xa9"};
    struct fc_error err;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_assert_eq(fc_url_check(good[i], &err), 0, "%s: %s", good[i], err.cause);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(fc_url_check(bad[i], NULL), FC_E_USAGE, "%s", bad[i]);
}

Test(archive, names_are_written_as_their_place_wants_them)
{
    static const char *const cases[][4] = {
        {"http://h/p/", "/a b%.pcap", "/day", "http://h/p/a%20b%25.pcap"},
        {"s3://b/p", "/a b%.pcap", "/day", "s3://b/p/a b%.pcap"},
        {"s3://b", "/a%20b%25.pcap", "http://h/p", "s3://b/a b%.pcap"},
        {"https://g", "/a%20b.pcap", "http://h/p", "https://g/a%20b.pcap"},
        {"http://h", "/\xff%", "s3://b", "http://h/%FF%25"},
        {"/home", "/a%20b%2%zz%00.pcap", "http://h", "/home/a b%2%zz%00.pcap"},
        {"/", "/x", "/day", "/x"},
        {"/home/one.pcap", "", "http://h/one.pcap", "/home/one.pcap"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = fc_url_join(cases[i][0], cases[i][1], cases[i][2]);
        cr_assert_str_eq(path, cases[i][3]);
        free(path);
    }
}

static void environment(const char *endpoint, const char *region, const char *id, const char *secret, const char *token)
{
    const char *const all[][2] = {{"AWS_ENDPOINT_URL", endpoint}, {"AWS_REGION", region},
                                  {"AWS_ACCESS_KEY_ID", id},      {"AWS_SECRET_ACCESS_KEY", secret},
                                  {"AWS_SESSION_TOKEN", token},   {"AWS_ENDPOINT_URL_S3", NULL},
                                  {"AWS_DEFAULT_REGION", NULL}};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i][1])
            setenv(all[i][0], all[i][1], 1);
        else
            unsetenv(all[i][0]);
}

Test(archive, places_of_objects)
{
    static const char *const cases[][5] = {
        /* endpoint, region, object, URL, host */
        {NULL, "eu-west-3", "s3://b/k/a b+", "https://b.s3.eu-west-3.amazonaws.com/k/a%20b%2B",
         "b.s3.eu-west-3.amazonaws.com"},
        {NULL, NULL, "s3://b.c/k", "https://s3.us-east-1.amazonaws.com/b.c/k", "s3.us-east-1.amazonaws.com"},
        {"http://minio:9000/", NULL, "s3://b/k", "http://minio:9000/b/k", "minio:9000"},
        {"https://minio:443", NULL, "s3://b/k", "https://minio:443/b/k", "minio"},
        {"http://h:80/sub", NULL, "s3://b/../k", "http://h:80/sub/b/../k", "h"},
    };
    struct fc_s3_place place;
    struct fc_error err;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        environment(cases[i][0], cases[i][1], NULL, NULL, NULL);
        cr_assert_eq(fc_s3_place(cases[i][2], &place, &err), 0, "%s", err.cause);
        cr_assert_str_eq(place.url, cases[i][3]);
        cr_assert_str_eq(place.host, cases[i][4]);
        cr_assert_null(place.keys.id);
    }
    environment("ftp://h", NULL, NULL, NULL, NULL);
    cr_assert_eq(fc_s3_place("s3://b/k", &place, NULL), FC_E_USAGE);
    environment(NULL, NULL, "id", NULL, NULL);
    cr_assert_eq(fc_s3_place("s3://b/k", &place, NULL), FC_E_USAGE);
    environment(NULL, NULL, "id\r\nX: y", "secret", NULL);
    cr_assert_eq(fc_s3_place("s3://b/k", &place, NULL), FC_E_USAGE);
}

#if defined FC_LIBCURL

/* "Example: GET Object" of AWS's page on the authorization header of Signature Version 4. */
Test(archive, signature_of_the_example_of_aws)
{
    const struct fc_curl *library = fc_curl(NULL);
    static struct fc_s3_place place;
    static char headers[FC_S3_HEADERS][FC_S3_HEADER_MAX];

    cr_assert_not_null(library);
    environment(NULL, NULL, "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", NULL);
    cr_assert_eq(fc_s3_place("s3://examplebucket/test.txt", &place, NULL), 0);
    strcpy(place.host, "examplebucket.s3.amazonaws.com"); /* which it was called then */
    cr_assert_eq(fc_s3_sign(library, &place, "bytes=0-9", 1369353600, headers), 3);
    cr_assert_str_eq(headers[0],
                     "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
                     "aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature="
                     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    cr_assert_str_eq(headers[2], "x-amz-date: 20130524T000000Z");
}

#endif
