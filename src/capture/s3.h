/* SPDX-License-Identifier: MIT */
/*
 * What objects of S3, and of what speaks as it does, are asked for by: their place in HTTP, and the signature of a
 * request (AWS Signature Version 4). Everything comes from the environment: AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL,
 * AWS_REGION or AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. Nothing of the keys is
 * in any text that is made here but the headers.
 *
 * Threads: any, as long as nobody changes the environment.
 */
#ifndef FC_CAPTURE_S3_H
#define FC_CAPTURE_S3_H

#include "base/curl.h"
#include "capture/url.h"

#include <stddef.h>
#include <time.h>

struct fc_s3_keys {
    const char *id, *secret, *token, *region; /* token: NULL: none */
};

struct fc_s3_place {
    char url[3 * FC_URL_MAX]; /* to ask for */
    char host[FC_URL_MAX];    /* as it stands in the header Host */
    const char *path;         /* the part of the URL behind it */
    struct fc_s3_keys keys;   /* id NULL: requests are not signed */
};

/* Of "s3://BUCKET/KEY". FC_E_USAGE: the environment is half of what is needed, or wrong. */
int fc_s3_place(const char *url, struct fc_s3_place *place, struct fc_error *err);

#if defined FC_LIBCURL

enum { FC_S3_HEADERS = 4, FC_S3_HEADER_MAX = 8192 };

/*
 * The headers that make a GET of this range ("bytes=0-9") a signed one, of this moment: "Name: value" each; returns how
 * many. The range must be sent as it is here, and so must the host. 0: the token is too long.
 */
int fc_s3_sign(const struct fc_curl *library, const struct fc_s3_place *place, const char *range, time_t now,
               char headers[FC_S3_HEADERS][FC_S3_HEADER_MAX]);

#endif
#endif
