/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd and GnuTLS, loaded when a server is opened: short commands would spend more time on linking them and
 * what they need than on their work. Threads: any.
 */
#ifndef FC_SERVE_MHD_H
#define FC_SERVE_MHD_H

#include <flowcarve/error.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>

/* F(member, name of the function) */
#define FC_MHD_FUNCTIONS(F)                                                                                            \
    F(start_daemon, MHD_start_daemon)                                                                                  \
    F(stop_daemon, MHD_stop_daemon)                                                                                    \
    F(quiesce_daemon, MHD_quiesce_daemon)                                                                              \
    F(suspend_connection, MHD_suspend_connection)                                                                      \
    F(resume_connection, MHD_resume_connection)                                                                        \
    F(create_response_from_buffer, MHD_create_response_from_buffer)                                                    \
    F(create_response_from_callback, MHD_create_response_from_callback)                                                \
    F(add_response_header, MHD_add_response_header)                                                                    \
    F(add_response_footer, MHD_add_response_footer)                                                                    \
    F(set_connection_option, MHD_set_connection_option)                                                                \
    F(queue_response, MHD_queue_response)                                                                              \
    F(destroy_response, MHD_destroy_response)                                                                          \
    F(get_connection_values, MHD_get_connection_values)                                                                \
    F(get_connection_info, MHD_get_connection_info)                                                                    \
    F(is_feature_supported, MHD_is_feature_supported)
#define FC_GNUTLS_FUNCTIONS(F)                                                                                         \
    F(certificate_verify_peers, gnutls_certificate_verify_peers)                                                       \
    F(certificate_get_peers, gnutls_certificate_get_peers)                                                             \
    F(x509_crt_init, gnutls_x509_crt_init)                                                                             \
    F(x509_crt_import, gnutls_x509_crt_import)                                                                         \
    F(x509_crt_get_dn, gnutls_x509_crt_get_dn)                                                                         \
    F(x509_crt_deinit, gnutls_x509_crt_deinit)

struct fc_mhd {
#define MEMBER(member, name) __typeof__(name) *member;
    FC_MHD_FUNCTIONS(MEMBER)
    FC_GNUTLS_FUNCTIONS(MEMBER)
#undef MEMBER
};

/* Their functions, for good; NULL with FC_E_IO: they cannot be loaded. */
const struct fc_mhd *fc_mhd(struct fc_error *err);

#endif
