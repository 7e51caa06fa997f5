/* SPDX-License-Identifier: MIT */
/*
 * Who asks: tokens of a file, the one-time token of the page, and the cookies that these are exchanged for. Cookies
 * live in memory, and no longer than the server. Threads: any.
 */
#ifndef FC_SERVE_AUTH_H
#define FC_SERVE_AUTH_H

#include <flowcarve/error.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* 32 random bytes as base64url, with its NUL. */
enum { FC_SECRET_SIZE = 44, FC_WHO_MAX = 96, FC_COOKIES_MAX = 64 };

struct fc_who {
    char name[FC_WHO_MAX]; /* "browser", "token ci", "certificate CN=..." */
    unsigned scopes;       /* FC_SCOPE_*; 0: nobody */
};

struct fc_auth {
    pthread_mutex_t lock;
    char one_time[FC_SECRET_SIZE]; /* "": used */
    struct fc_cookie {
        char secret[FC_SECRET_SIZE]; /* "": there is none */
        struct fc_who who;
    } cookie[FC_COOKIES_MAX];
    size_t next; /* the place of the next one: the oldest goes */
    struct fc_token_line {
        char *secret;
        struct fc_who who;
    } * token;
    size_t tokens;
};

/*
 * Reads the file of tokens (NULL: none). FC_E_USAGE: a line is no good, or the file is open to others. FC_E_IO,
 * FC_E_NOMEM. fc_auth_fini() in any case.
 */
int fc_auth_init(struct fc_auth *auth, const char *tokens, struct fc_error *err);
void fc_auth_fini(struct fc_auth *auth);

/* Each: true, and who it is. */
bool fc_auth_token(struct fc_auth *auth, const char *token, struct fc_who *who);
bool fc_auth_cookie(struct fc_auth *auth, const char *cookie, struct fc_who *who);
/* Exchanges a token for a new cookie. */
bool fc_auth_login(struct fc_auth *auth, const char *token, char cookie[FC_SECRET_SIZE], struct fc_who *who);
void fc_auth_logout(struct fc_auth *auth, const char *cookie);

#endif
