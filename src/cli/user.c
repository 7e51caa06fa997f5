/* SPDX-License-Identifier: MIT */
#include "cli/user.h"
#include "cli/cli.h"
#include "cli/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int fc_take_user(const char *command, void *user, const char *value)
{
    const struct passwd *p = getpwnam(value);

    if (!p) {
        fc_complain("%s: --user takes the name of a user, not '%s'", command, value);
        return -1;
    }
    *(struct fc_user *)user = (struct fc_user){value, p->pw_uid, p->pw_gid};
    return 0;
}

static int fail(struct fc_error *err, int code, const char *file, const char *what)
{
    *err = (struct fc_error){.code = code, .off = FC_NO_OFFSET};
    snprintf(err->file, sizeof err->file, "%s", file);
    snprintf(err->cause, sizeof err->cause, "%s: %s", what, strerror(errno));
    return code;
}

/* The C library has no function for it. */
static int keep_right_to_capture(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    data[CAP_TO_INDEX(CAP_NET_RAW)].effective = CAP_TO_MASK(CAP_NET_RAW);
    data[CAP_TO_INDEX(CAP_NET_RAW)].permitted = CAP_TO_MASK(CAP_NET_RAW);
    return (int)syscall(SYS_capset, &head, data);
}

int fc_user_become(const struct fc_user *user, struct fc_error *err)
{
    char what[160];

    snprintf(what, sizeof what, "cannot become user '%.100s'", user->name);
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || initgroups(user->name, user->gid) || setgid(user->gid) ||
        setuid(user->uid) || keep_right_to_capture() || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return fail(err, FC_E_USAGE, "", what);
    return 0;
}

static bool may(const char *path, int how)
{
    return faccessat(AT_FDCWD, path, how, AT_EACCESS) == 0;
}

int fc_user_may_write(const char *folder, const char *file, struct fc_error *err)
{
    char *beside = fc_sandbox_folder(file);
    int rc = 0;

    if (!may(folder, W_OK | X_OK))
        rc = fail(err, FC_E_IO, folder, "cannot write in this folder");
    else if (beside && !may(beside, W_OK | X_OK))
        rc = fail(err, FC_E_IO, beside, "cannot write in the folder of the index");
    else if (!may(file, R_OK | W_OK) && errno != ENOENT)
        rc = fail(err, FC_E_IO, file, "cannot write the index");
    free(beside);
    return rc;
}
