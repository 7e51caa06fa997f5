/* SPDX-License-Identifier: MIT */
/*
 * libcurl, and of GnuTLS what signs requests to S3, loaded when somebody is to be asked over a network: linking them
 * and the thirty libraries that they bring would take a short command longer than its work. Threads: any.
 */
#ifndef FC_BASE_CURL_H
#define FC_BASE_CURL_H

#include <flowcarve/error.h>

#ifdef FC_LIBCURL
#include <curl/curl.h>
#include <gnutls/crypto.h>

/* F(member, name of the function) */
#define FC_CURL_FUNCTIONS(F)                                                                                           \
    F(global_init, curl_global_init)                                                                                   \
    F(easy_init, curl_easy_init)                                                                                       \
    F(easy_cleanup, curl_easy_cleanup)                                                                                 \
    F(easy_reset, curl_easy_reset)                                                                                     \
    F(easy_setopt, curl_easy_setopt)                                                                                   \
    F(easy_getinfo, curl_easy_getinfo)                                                                                 \
    F(easy_perform, curl_easy_perform)                                                                                 \
    F(easy_pause, curl_easy_pause)                                                                                     \
    F(easy_strerror, curl_easy_strerror)                                                                               \
    F(easy_escape, curl_easy_escape)                                                                                   \
    F(free, curl_free)                                                                                                 \
    F(slist_append, curl_slist_append)                                                                                 \
    F(slist_free_all, curl_slist_free_all)                                                                             \
    F(multi_init, curl_multi_init)                                                                                     \
    F(multi_cleanup, curl_multi_cleanup)                                                                               \
    F(multi_add_handle, curl_multi_add_handle)                                                                         \
    F(multi_remove_handle, curl_multi_remove_handle)                                                                   \
    F(multi_perform, curl_multi_perform)                                                                               \
    F(multi_poll, curl_multi_poll)                                                                                     \
    F(multi_info_read, curl_multi_info_read)                                                                           \
    F(multi_strerror, curl_multi_strerror)
#define FC_HASH_FUNCTIONS(F)                                                                                           \
    F(hash, gnutls_hash_fast)                                                                                          \
    F(hmac, gnutls_hmac_fast)

struct fc_curl {
#define MEMBER(member, name) __typeof__(name) *member;
    FC_CURL_FUNCTIONS(MEMBER)
    FC_HASH_FUNCTIONS(MEMBER)
#undef MEMBER
};

/* Their functions, for good; NULL with FC_E_IO: they cannot be loaded. */
const struct fc_curl *fc_curl(struct fc_error *err);
#endif

#endif
