/* SPDX-License-Identifier: MIT */
#include "serve/auth.h"
#include "base/error.h"
#include "serve/ask.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TOKEN_MIN = 32, TOKEN_MAX = 256, NAME_MAX_ = 64, TOKENS_MAX = 10000 };

/* ---- secrets */

static bool make_secret(char text[FC_SECRET_SIZE])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t bytes[33] = {0};
    char *p = text;

    if (getrandom(bytes, 32, 0) != 32)
        return false;
    for (int i = 0; i < 33; i += 3) {
        uint32_t word = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];
        for (int k = 18; k >= 0 && p < text + FC_SECRET_SIZE - 1; k -= 6)
            *p++ = letters[word >> k & 63];
    }
    *p = '\0';
    return true;
}

/* Takes as long wherever they differ. */
static bool is_same(const char *a, const char *b)
{
    size_t len = strlen(a);
    unsigned char differ = 0;

    if (!len || strlen(b) != len)
        return false;
    for (size_t i = 0; i < len; i++)
        differ |= (unsigned char)a[i] ^ (unsigned char)b[i];
    return differ == 0;
}

/* ---- the file of tokens */

static unsigned read_scopes(char *text)
{
    unsigned scopes = 0;
    char *rest = NULL;

    for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        unsigned scope = strcmp(word, "metadata") == 0  ? FC_SCOPE_METADATA
                         : strcmp(word, "packets") == 0 ? FC_SCOPE_PACKETS
                                                        : 0;
        if (!scope)
            return 0;
        scopes |= scope;
    }
    return scopes;
}

static bool is_name(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
            return false;
    return len && len <= NAME_MAX_;
}

/* A line; NULL, or what is wrong with it. */
static const char *read_line(struct fc_auth *auth, char *line)
{
    char *rest = NULL, *name = strtok_r(line, " \t\r\n", &rest), *scopes = strtok_r(NULL, " \t\r\n", &rest);
    char *secret = strtok_r(NULL, " \t\r\n", &rest);
    struct fc_token_line *bigger;

    if (!name || *name == '#')
        return NULL;
    if (!secret || strtok_r(NULL, " \t\r\n", &rest))
        return "a line is NAME SCOPE[,SCOPE] TOKEN";
    if (!is_name(name))
        return "a name has letters, digits, '.', '_' and '-' alone, 64 of them at the most";
    if (strlen(secret) < TOKEN_MIN || strlen(secret) > TOKEN_MAX)
        return "a token has 32 to 256 characters";
    struct fc_who who = {.scopes = read_scopes(scopes)};
    if (!who.scopes)
        return "scopes are metadata and packets";
    if (auth->tokens == TOKENS_MAX)
        return "there are too many tokens";
    if (!(bigger = realloc(auth->token, (auth->tokens + 1) * sizeof *bigger)))
        return "out of memory";
    snprintf(who.name, sizeof who.name, "token %s", name);
    auth->token = bigger;
    bigger[auth->tokens] = (struct fc_token_line){strdup(secret), who};
    return bigger[auth->tokens++].secret ? NULL : "out of memory";
}

static int read_tokens(struct fc_auth *auth, FILE *f, const char *path, struct fc_error *err)
{
    struct stat st;
    char *line = NULL;
    const char *bad = NULL;
    size_t room = 0;
    unsigned number = 0;

    if (fstat(fileno(f), &st) != 0)
        return fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot read the tokens");
    if (!S_ISREG(st.st_mode) || st.st_mode & 077 || (st.st_uid != geteuid() && st.st_uid != 0))
        return fc_error_set(err, FC_E_USAGE, path, FC_NO_OFFSET,
                            "a file of tokens is a file that belongs to its user alone: chmod 600");
    while (!bad && getline(&line, &room, f) >= 0) {
        number++;
        bad = read_line(auth, line);
    }
    free(line);
    if (bad)
        return fc_error_set(err, FC_E_USAGE, path, FC_NO_OFFSET, "line %u: %s", number, bad);
    if (ferror(f))
        return fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot read the tokens");
    if (!auth->tokens)
        return fc_error_set(err, FC_E_USAGE, path, FC_NO_OFFSET, "there is no token in it");
    return 0;
}

int fc_auth_init(struct fc_auth *auth, const char *tokens, struct fc_error *err)
{
    memset(auth, 0, sizeof *auth);
    pthread_mutex_init(&auth->lock, NULL);
    if (!make_secret(auth->one_time))
        return fc_error_errno(err, FC_E_IO, NULL, FC_NO_OFFSET, "no random bytes");
    if (!tokens)
        return 0;
    int fd = open(tokens, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
    if (!f) {
        int rc = fc_error_errno(err, FC_E_IO, tokens, FC_NO_OFFSET, "cannot read the tokens");
        if (fd >= 0)
            close(fd);
        return rc;
    }
    int rc = read_tokens(auth, f, tokens, err);
    fclose(f);
    return rc;
}

void fc_auth_fini(struct fc_auth *auth)
{
    for (size_t i = 0; i < auth->tokens; i++) {
        explicit_bzero(auth->token[i].secret, strlen(auth->token[i].secret));
        free(auth->token[i].secret);
    }
    free(auth->token);
    pthread_mutex_destroy(&auth->lock);
    explicit_bzero(auth, sizeof *auth);
}

/* ---- asking */

bool fc_auth_token(struct fc_auth *auth, const char *token, struct fc_who *who)
{
    bool found = false;

    /* the file does not change */
    for (size_t i = 0; i < auth->tokens; i++)
        if (is_same(auth->token[i].secret, token)) {
            *who = auth->token[i].who;
            found = true;
        }
    return found;
}

bool fc_auth_cookie(struct fc_auth *auth, const char *cookie, struct fc_who *who)
{
    bool found = false;

    pthread_mutex_lock(&auth->lock);
    for (size_t i = 0; i < FC_COOKIES_MAX; i++)
        if (is_same(auth->cookie[i].secret, cookie)) {
            *who = auth->cookie[i].who;
            found = true;
        }
    pthread_mutex_unlock(&auth->lock);
    return found;
}

bool fc_auth_login(struct fc_auth *auth, const char *token, char cookie[FC_SECRET_SIZE], struct fc_who *who)
{
    bool good = fc_auth_token(auth, token, who);

    pthread_mutex_lock(&auth->lock);
    if (!good && is_same(auth->one_time, token)) {
        *who = (struct fc_who){"browser", FC_SCOPE_ALL};
        explicit_bzero(auth->one_time, sizeof auth->one_time);
        good = true;
    }
    good = good && make_secret(cookie);
    if (good) {
        auth->cookie[auth->next].who = *who;
        memcpy(auth->cookie[auth->next].secret, cookie, FC_SECRET_SIZE);
        auth->next = (auth->next + 1) % FC_COOKIES_MAX;
    }
    pthread_mutex_unlock(&auth->lock);
    return good;
}

void fc_auth_logout(struct fc_auth *auth, const char *cookie)
{
    pthread_mutex_lock(&auth->lock);
    for (size_t i = 0; i < FC_COOKIES_MAX; i++)
        if (is_same(auth->cookie[i].secret, cookie))
            explicit_bzero(&auth->cookie[i], sizeof auth->cookie[i]);
    pthread_mutex_unlock(&auth->lock);
}
