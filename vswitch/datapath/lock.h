/* lock.h - the short lock of a port that several pollers send to: held for one burst. */
#ifndef VSW_LOCK_H
#define VSW_LOCK_H

#include <sched.h>
#include <stdatomic.h>

static inline void vsw_lock(atomic_flag *busy)
{
    while (atomic_flag_test_and_set_explicit(busy, memory_order_acquire))
        sched_yield(); /* its holder copies or is in a system call, or has lost the CPU */
}

static inline void vsw_unlock(atomic_flag *busy)
{
    atomic_flag_clear_explicit(busy, memory_order_release);
}

#endif
