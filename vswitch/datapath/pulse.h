/* pulse.h - what a poller tells of itself: its rounds, the sizes of its bursts, the time of a few.
 *
 * Theory of operation
 *   A round costs one increment, a burst another: bursts are counted by their exact size, so the
 *   same words give how many there were, how large, and how many frames.  After every
 *   VSW_PULSE_EVERY bursts of one size, beginning with the first, the next burst is timed from
 *   before it is received until it is sent; which one that is does not depend on how long it takes.
 *
 * Written by one poller, word by word; read by anyone without a lock.
 */
#ifndef VSW_PULSE_H
#define VSW_PULSE_H

#include "datapath/frame.h"

#include <stddef.h>
#include <time.h>

#define VSW_PULSE_EVERY 1024u /* bursts for one that is timed: two clock readings, some 50 ns */
#define VSW_PULSE_TIMES 24u   /* the last but one: 2^22 ns, 4 ms a frame; the last: longer */

struct vsw_pulse {
    _Alignas(64) uint64_t rounds;
    uint64_t timed_ns;               /* nanoseconds a frame took, summed over the timed bursts */
    uint64_t timed[VSW_PULSE_TIMES]; /* timed bursts, by nanoseconds a frame: up to 2^i */
    uint64_t bursts[VSW_BURST + 1];  /* by frames */
    uint64_t time_next;              /* 0/1: the next burst is to be timed */
};
_Static_assert(offsetof(struct vsw_pulse, time_next) == 8 * (2 + VSW_PULSE_TIMES + VSW_BURST + 1),
               "words without gaps, as core.py reads them");

static inline uint64_t vsw_now_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Before a burst is received: the time if it is to be timed, or 0. */
static inline uint64_t vsw_pulse_begin(const struct vsw_pulse *p)
{
    return __builtin_expect(p->time_next != 0, 0) ? vsw_now_ns(CLOCK_MONOTONIC) : 0;
}

static __attribute__((noinline, unused)) void vsw_pulse_time(struct vsw_pulse *p, unsigned frames,
                                                             uint64_t took_ns)
{
    uint64_t ns = took_ns / frames;
    unsigned i = ns > 1 ? 64u - (unsigned)__builtin_clzll(ns - 1) : 0;

    p->timed[i < VSW_PULSE_TIMES ? i : VSW_PULSE_TIMES - 1]++;
    p->timed_ns += ns;
}

/* A burst of @frames, at least one, is sent; @since is what vsw_pulse_begin() said. */
static inline void vsw_pulse_end(struct vsw_pulse *p, unsigned frames, uint64_t since)
{
    uint64_t nth = p->bursts[frames]++;

    if (__builtin_expect(since != 0, 0)) {
        vsw_pulse_time(p, frames, vsw_now_ns(CLOCK_MONOTONIC) - since);
        p->time_next = 0;
    }
    if (__builtin_expect(nth % VSW_PULSE_EVERY == 0, 0))
        p->time_next = 1;
}

#endif
