/* SPDX-License-Identifier: MIT */
/*
 * Criterion starts a process for each test, and each of them libgit2, for differences of texts that none of our assertions asks
 * for: that reads all certificates of the system, which takes longer than most tests do. It finds these in place of the library's.
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
