/* event.h - what happened to a station, told to the control plane: one writer, one reader, no lock.
 *
 * A poller that learns, moves or refuses a station puts a record into its own ring; what the control
 * plane does by command or by age goes into a ring of its own, whose writers hold the switch's lock.
 * A frame of a known station touches none of this.
 *
 *   empty --put: rings the bell once--> asked --taken, and more to come soon--> asked
 *   asked --vsw_events_rest(): nothing was there--> empty
 *
 * While `asked` nobody rings: the reader has said that it will look again by itself, some
 * milliseconds later.  So a storm of new stations costs the poller a write to memory each, and the
 * reader a few wake-ups a second, and after the last event nobody has to wake up any more.
 *
 * A full ring loses the newest and counts it.  The state before and after is in each record, so
 * that a table can be led back to what it was (vswitch/journal.py).
 *
 * Refusals come with every frame of whoever has met a limit, or speaks as a station that is held
 * elsewhere: only the first of each on a port in each second is told.
 */
#ifndef VSW_EVENT_H
#define VSW_EVENT_H

#include "datapath/fdb_read.h"
#include "datapath/port.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

enum vsw_event_kind {
    VSW_EVENT_LEARNED = 1,
    VSW_EVENT_MOVED,
    VSW_EVENT_EXPIRED,
    VSW_EVENT_FLUSHED, /* with others of its port, or all */
    VSW_EVENT_DELETED, /* by its address */
    VSW_EVENT_PINNED,
    VSW_EVENT_REFUSED, /* not learned, as a limit is reached: the state stays */
    VSW_EVENT_HELD,    /* not moved, as the move guard holds it: the state stays */
};

enum vsw_event_flag {
    VSW_EVENT_WAS_STATIC = 1,
    VSW_EVENT_IS_STATIC = 2,
    VSW_EVENT_BY_COMMAND = 4, /* at_s is not when it happened, see there */
    VSW_EVENT_IS_LOCKED = 8,
    VSW_EVENT_WAS_LOCKED = 16,
    VSW_EVENT_IS_STICKY = 32,
    VSW_EVENT_WAS_STICKY = 64,
};

struct vsw_event {
    uint64_t key;      /* the station: its address and VLAN, see fdb_read.h */
    uint64_t ns;       /* CLOCK_MONOTONIC: their order */
    uint32_t at_s;     /* the poller's second; of EXPIRED, when it was dead for lookups; of
                        * BY_COMMAND, when it was to be dead, UINT32_MAX for never */
    uint16_t port;     /* VSW_PORT_NONE: not in the table from now on */
    uint16_t old_port; /* VSW_PORT_NONE: was not in the table */
    uint8_t kind;
    uint8_t flags;
    uint8_t unused[6];
};
_Static_assert(sizeof(struct vsw_event) == 32, "two records in a cache line; read by journal.py");

struct vsw_events {
    struct vsw_event *record; /* size of them, owned by whoever made the ring */
    uint64_t size;            /* a power of two */
    int bell;                 /* eventfd of the reader; -1: it looks by itself */

    _Alignas(64) _Atomic uint64_t tail; /* written by the writer */
    _Atomic uint64_t lost;              /* by the writer: for want of room, ever */
    uint32_t refused_s[VSW_PORTS_MAX];  /* the writer's: second of the last refusal told, plus one */
    uint32_t held_s[VSW_PORTS_MAX];     /* the same of HELD */
    _Alignas(64) _Atomic uint64_t head; /* written by the reader */
    _Atomic uint32_t asked;             /* the reader knows that it has to look */
};

static inline void vsw_eventfd_signal(int fd)
{
    uint64_t one = 1;

    /* EAGAIN: the counter is at its maximum, so the descriptor is readable anyway. */
    if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
        return;
}

static inline uint64_t vsw_events_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Tell that @e happened now; lost when the ring is full.  @r NULL: nobody wants to know. */
static __attribute__((noinline, unused)) void
vsw_events_put(struct vsw_events *r, struct vsw_event e)
{
    uint64_t tail;

    if (!r)
        return;
    tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    if (tail - atomic_load_explicit(&r->head, memory_order_acquire) >= r->size) {
        uint64_t lost = atomic_load_explicit(&r->lost, memory_order_relaxed);

        atomic_store_explicit(&r->lost, lost + 1, memory_order_relaxed);
        return;
    }
    e.ns = vsw_events_now_ns();
    r->record[tail & (r->size - 1)] = e;
    /* Both in one order for all, and so for the reader, who clears `asked` and then looks. */
    atomic_store(&r->tail, tail + 1);
    if (!atomic_load(&r->asked) && !atomic_exchange(&r->asked, 1))
        vsw_eventfd_signal(r->bell);
}

/* The same of @kind for a station that @port may not have: once a second, @told_s says when. */
static inline void vsw_events_put_once(struct vsw_events *r, enum vsw_event_kind kind,
                                       uint32_t *told_s, struct vsw_event e)
{
    if (*told_s == e.at_s + 1)
        return;
    *told_s = e.at_s + 1;
    e.kind = (uint8_t)kind;
    vsw_events_put(r, e);
}

/* It is not learned there, as a limit is reached. */
static inline void vsw_events_put_refused(struct vsw_events *r, uint64_t key, uint16_t port,
                                          uint16_t old_port, uint32_t now_s)
{
    struct vsw_event e = {.key = key, .at_s = now_s, .port = port, .old_port = old_port};

    if (r)
        vsw_events_put_once(r, VSW_EVENT_REFUSED, &r->refused_s[port], e);
}

/* It does not move there, as it is held at @old_port. */
static inline void vsw_events_put_held(struct vsw_events *r, uint64_t key, uint16_t port,
                                       uint16_t old_port, uint32_t now_s)
{
    struct vsw_event e = {.key = key, .at_s = now_s, .port = port, .old_port = old_port};

    if (r)
        vsw_events_put_once(r, VSW_EVENT_HELD, &r->held_s[port], e);
}

/* How many records wait. */
static inline uint64_t vsw_events_waiting(const struct vsw_events *r)
{
    return atomic_load(&r->tail) - atomic_load_explicit(&r->head, memory_order_relaxed);
}

/* Take the oldest @n records, at most those that wait. */
static inline void vsw_events_take(struct vsw_events *r, struct vsw_event *to, uint64_t n)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

    for (uint64_t i = 0; i < n; i++)
        to[i] = r->record[(head + i) & (r->size - 1)];
    atomic_store_explicit(&r->head, head + n, memory_order_release);
}

/* The reader will not look again by itself; false when it has to, as something came meanwhile. */
static inline bool vsw_events_rest(struct vsw_events *r)
{
    atomic_store(&r->asked, 0);
    if (!vsw_events_waiting(r))
        return true;
    atomic_store(&r->asked, 1);
    return false;
}

#endif
