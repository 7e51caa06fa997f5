/* SPDX-License-Identifier: MIT */
/*
 * libcurl, and of GnuTLS what signs requests to S3, loaded when a capture is read by its URL: commands that read files
 * alone would spend more time on linking them than on their work. Threads: any.
 */
#ifndef FC_CAPTURE_LIBCURL_H
#define FC_CAPTURE_LIBCURL_H

#include <flowcarve/error.h>

#if defined FC_LIBCURL

#include <curl/curl.h>
#include <gnutls/crypto.h>

/* F(member, name of the function) */
#define FC_CURL_FUNCTIONS(F)                                                                                           \
    F(global_init, curl_global_init)                                                                                   \
    F(easy_init, curl_easy_init)                                                                                       \
    F(easy_reset, curl_easy_reset)                                                                                     \
    F(easy_setopt, curl_easy_setopt)                                                                                   \
    F(easy_perform, curl_easy_perform)                                                                                 \
    F(easy_getinfo, curl_easy_getinfo)                                                                                 \
    F(easy_cleanup, curl_easy_cleanup)                                                                                 \
    F(easy_strerror, curl_easy_strerror)                                                                               \
    F(slist_append, curl_slist_append)                                                                                 \
    F(slist_free_all, curl_slist_free_all)
#define FC_HASH_FUNCTIONS(F)                                                                                           \
    F(hash, gnutls_hash_fast)                                                                                          \
    F(hmac, gnutls_hmac_fast)

struct fc_libcurl {
#define MEMBER(member, name) __typeof__(name) *member;
    FC_CURL_FUNCTIONS(MEMBER)
    FC_HASH_FUNCTIONS(MEMBER)
#undef MEMBER
};

/* Their functions, for good; NULL with FC_E_IO: they cannot be loaded. */
const struct fc_libcurl *fc_libcurl(struct fc_error *err);

#endif
#endif
