/* SPDX-License-Identifier: MIT */
/*
 * Who asks, and from where: what is settled before anything is looked up. docs/http.md has the rules ("Who may ask").
 *
 * Threads: those of libmicrohttpd, one a request. Memory: headers are valid as long as their request is.
 */
#ifndef FC_SERVE_DOOR_H
#define FC_SERVE_DOOR_H

#include "serve/request.h"

struct fc_headers {
    const char *host, *origin, *fetch_site, *fetch_dest, *authorization, *cookie, *content_type, *content_length,
        *transfer_encoding, *if_none_match, *accept_encoding;
    bool twice; /* one of which there must be one alone */
};

struct fc_headers fc_door_headers(struct fc_request *request);

/* Whether a `Host` is one of the server's names. */
bool fc_door_is_ours(const struct fc_request *request, const char *host);
/* True when it is another page that asks. A document of the page itself may be opened from anywhere. */
bool fc_door_is_foreign(const struct fc_request *request, const struct fc_headers *headers);
/* By token, cookie or certificate: then request->who says who it is. A token that is shown must be good. */
bool fc_door_is_known(struct fc_request *request, const struct fc_headers *headers);
/* The value of our cookie. False: there is none. */
bool fc_door_cookie(const struct fc_serve *serve, const char *cookies, char value[FC_SECRET_SIZE]);
/* Notes the client's address and port in request->from. */
void fc_door_note_address(struct fc_request *request);

#endif
