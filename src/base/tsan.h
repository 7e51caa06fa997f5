/* SPDX-License-Identifier: MIT */
/*
 * Hand-over points that ThreadSanitizer cannot see, because they go through liburcu, which it does not instrument: the
 * end of a read-side section and the call_rcu() callback that runs after it. Nothing in ordinary builds.
 */
#ifndef FC_BASE_TSAN_H
#define FC_BASE_TSAN_H

#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define FC_TSAN_ACQUIRE(addr) __tsan_acquire(addr)
#define FC_TSAN_RELEASE(addr) __tsan_release(addr)
#else
#define FC_TSAN_ACQUIRE(addr) ((void)(addr))
#define FC_TSAN_RELEASE(addr) ((void)(addr))
#endif

#endif
