/* SPDX-License-Identifier: MIT */
/*
 * Criterion starts a process for each test, and in each of them libgit2, for differences of texts, which none of our
 * assertions asks for. That reads all certificates of the system, which takes longer than most tests do. These are
 * found in place of the library's.
 */
#define SHOWN __attribute__((visibility("default")))

SHOWN int git_libgit2_init(void);
SHOWN int git_libgit2_shutdown(void);

int git_libgit2_init(void)
{
    return 1;
}

int git_libgit2_shutdown(void)
{
    return 0;
}
