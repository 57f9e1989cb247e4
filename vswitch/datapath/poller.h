/* poller.h - one thread of the datapath: which queues it reads, when it sleeps, what it holds.
 *
 * A queue that epoll reported stays on the poller's list of active queues until a read of it
 * comes back empty; while any is active epoll is asked only every VSW_EPOLL_EVERY rounds, for
 * queues that have woken up meanwhile.  Every active queue gets one burst per round, so a busy
 * port cannot starve a quiet one.
 *
 * A queue that can be looked at without a system call (`ready` in port.h: shared memory) stays
 * active for VSW_IDLE_ROUNDS empty rounds, or until the poller sleeps; only then is its sender asked
 * for a wake-up, which costs him one system call each.
 *
 * With nothing to do the poller waits.  Spinning saves the cost of going to sleep and waking
 * up, some microseconds, and costs as many as it lasts.  So, in the spirit of KVM's halt polling
 * (halt_poll_ns), it spins while frames keep arriving within the allowed maximum:
 *   the window is twice the recent wait, as long as that is within busy_poll_ns;
 *   otherwise, and after any wait longer than busy_poll_ns, it is nothing: sleep at once.
 * KVM's own rule, to double the window after every wait shorter than the maximum, spun through
 * the 30 us gaps of a TCP stream and cost a quarter more CPU per gigabit than sleeping; this one
 * costs 1 % (benchmarks/compare.py, figure tcp).
 */
#ifndef VSW_POLLER_H
#define VSW_POLLER_H

#include "datapath/call.h"
#include "datapath/event.h"
#include "datapath/port.h"
#include "datapath/pulse.h"
#include "datapath/ring.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define VSW_EPOLL_EVERY 4u /* rounds; so many bursts a newly busy queue may have to wait for */
#define VSW_IDLE_ROUNDS 1024u /* while others are busy: some 100 us to 1 ms */
#define VSW_EPOLL_EVENTS 64      /* per call; more come with the next */
#define VSW_WAIT_SHARE 4u /* the last wait is a quarter of the smoothed one */
#define VSW_WAIT_LONG 4u  /* after a long wait, about ten short ones until spinning begins */
#define VSW_SCRATCH (128u * 1024u) /* finished frames waiting to be sent, bytes */

struct vsw_neighs;

struct vsw_poller {
    /* Set up while parked. */
    _Alignas(64) struct vsw_events *events; /* read by the control plane; first, see vsw_fdb_learn */
    int epoll_fd;
    int wake_fd;   /* eventfd: leave the sleep, somebody stands at the gate */
    int notify_fd; /* eventfd of the control plane: punted frames, failed queues */
    uint16_t id;
    uint8_t by_hand; /* Datapath.poll() sets now_s; there is no other clock */
    struct vsw_caller caller; /* of guests; open once there is a port that may have one */
    struct vsw_counters *counters; /* by port; this poller's own */
    struct vsw_egress *egress;     /* by port */
    uint8_t *scratch;              /* VSW_SCRATCH bytes, 64-byte aligned */

    /* The poller's own. */
    _Alignas(64) uint32_t now_s;
    unsigned n_active;
    unsigned n_busy; /* queues that had frames in the last round */
    unsigned n_touched;
    unsigned rounds_left; /* until epoll is asked again */
    uint64_t wait_ns; /* how long frames let us wait lately */
    uint64_t busy_poll_ns; /* the window's maximum; here, as the line above is full */
    struct vsw_pulse *pulse; /* of its own; the same */
    uint64_t now_ns; /* when the burst was received, if its port has meters */
    uint64_t due_ns; /* when a shaper has to be looked at, 0: none */
    struct vsw_shaper *shapers; /* of the ports it owns; shaper.h */
    uint16_t touched[VSW_PORTS_MAX]; /* ports with frames in egress[] */
    struct vsw_queue *active[VSW_PORTS_MAX * VSW_QUEUES_MAX];
    struct vsw_burst burst;
    struct vsw_ring punt; /* read by the control plane */
    const uint8_t *probe_id; /* of probes that are ours, loop.h; set up while parked */
    uint64_t probes_s;       /* the second that `probes_left` is of */
    uint32_t probes_left;    /* that may still be punted in it */
    const struct vsw_neighs *neighs; /* neigh.h; NULL: none is known; set up while parked */
    uint8_t *answers;    /* VSW_BURST of VSW_ANSWER_SIZE, with `neighs`; suppress.h */
    uint64_t answered;   /* questions; read by anyone */
    uint64_t suppressed; /* and what else was not sent everywhere, the same included */
};

_Static_assert(offsetof(struct vsw_poller, events) == 0, "its address is the poller's");
_Static_assert(offsetof(struct vsw_poller, now_s) == 64, "what is read only has a line");

/* It is @now_s, says whoever polls by hand. */
static inline void vsw_poller_by_hand(struct vsw_poller *p, uint32_t now_s)
{
    p->by_hand = 1;
    p->now_ns += (uint64_t)(uint32_t)(now_s - p->now_s) * 1000000000u; /* seconds wrap, this goes on */
    p->now_s = now_s;
}

/* Look at the clock, for what counts in less than seconds. */
static inline void vsw_poller_look_at_clock(struct vsw_poller *p)
{
    if (!p->by_hand)
        p->now_ns = vsw_now_ns(CLOCK_MONOTONIC);
}

/* Make the descriptors of a zeroed poller; 0 or -errno.  vsw_poller_close() takes either. */
static inline int vsw_poller_open(struct vsw_poller *p)
{
    struct epoll_event wake = {.events = EPOLLIN, .data.ptr = NULL};

    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    p->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (p->epoll_fd < 0 || p->wake_fd < 0 ||
        epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->wake_fd, &wake) < 0)
        return -errno;
    return 0;
}

static inline void vsw_poller_close(struct vsw_poller *p)
{
    if (p->epoll_fd > 0)
        close(p->epoll_fd);
    if (p->wake_fd > 0)
        close(p->wake_fd);
    vsw_caller_close(&p->caller);
}

/* Have the poller look at @q from now on; 0 or -errno. */
static inline int vsw_poller_watch(struct vsw_poller *p, struct vsw_queue *q)
{
    /* A queue that is looked at has a descriptor that nobody reads: its every signal is news. */
    uint32_t edge = q->port->ops->ready ? (uint32_t)EPOLLET : 0;
    struct epoll_event readable = {.events = EPOLLIN | edge, .data.ptr = q};

    q->poller = p->id;
    q->clock = p;
    q->epoll_fd = p->epoll_fd;
    if (q->fd >= 0 && epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, q->fd, &readable) < 0)
        return -errno;
    return 0;
}

/* Get the poller out of its sleep. */
static inline void vsw_poller_wake(const struct vsw_poller *p)
{
    vsw_eventfd_signal(p->wake_fd);
}

/* Tell the control plane that there is something for it. */
static inline void vsw_poller_notify(const struct vsw_poller *p)
{
    vsw_eventfd_signal(p->notify_fd);
}

/* The queue cannot be read any more: forget it, and say so. */
static inline void vsw_poller_fail(struct vsw_poller *p, struct vsw_queue *q, int error)
{
    q->error = error;
    if (q->fd >= 0)
        epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, q->fd, NULL);
    vsw_poller_notify(p);
}

static inline void vsw_poller_activate(struct vsw_poller *p, struct vsw_queue *q)
{
    if (q->active || q->error)
        return;
    q->active = 1;
    q->idle = 0;
    p->active[p->n_active++] = q;
}

/* Drop active queue number @i from the list; the last one takes its place. */
static inline void vsw_poller_retire(struct vsw_poller *p, unsigned i)
{
    p->active[i]->active = 0;
    p->active[i] = p->active[--p->n_active];
}

/* Active queue number @i had @frames in this round: what becomes of it.  1: it stays on the list,
 * 0: another took its place. */
static inline unsigned vsw_poller_keep(struct vsw_poller *p, unsigned i, unsigned frames)
{
    struct vsw_queue *q = p->active[i];

    if (frames) {
        q->idle = 0;
        p->n_busy++;
        return 1;
    }
    if (q->port->ops->ready && !q->error &&
        (++q->idle < VSW_IDLE_ROUNDS || q->port->ops->ready(q, true)))
        return 1;
    vsw_poller_retire(p, i);
    return 0;
}

/* The queue is about to be removed (the poller is parked). */
static inline void vsw_poller_forget(struct vsw_poller *p, struct vsw_queue *q)
{
    if (q->fd >= 0 && !q->error)
        epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, q->fd, NULL);
    for (unsigned i = 0; i < p->n_active; i++)
        if (p->active[i] == q)
            vsw_poller_retire(p, i);
}

/* Have the queue read @fd from now on, or nothing if that is -1: it is as one that failed then,
 * with ENOTCONN.  0 or -errno.  The poller is parked. */
static inline int vsw_poller_exchange(struct vsw_poller *p, struct vsw_queue *q, int fd)
{
    int err;

    vsw_poller_forget(p, q);
    q->fd = fd;
    err = vsw_poller_watch(p, q);
    q->error = err < 0 ? -err : fd < 0 ? ENOTCONN : 0;
    return err;
}

/* Ask epoll for up to @timeout_ms (-1: for ever); returns how many descriptors were ready. */
static inline int vsw_poller_ask(struct vsw_poller *p, int timeout_ms)
{
    struct epoll_event event[VSW_EPOLL_EVENTS];
    int n = epoll_wait(p->epoll_fd, event, VSW_EPOLL_EVENTS, timeout_ms);
    uint64_t count;

    for (int i = 0; i < n; i++) {
        if (event[i].data.ptr)
            vsw_poller_activate(p, event[i].data.ptr);
        else if (read(p->wake_fd, &count, sizeof(count)) < 0)
            continue; /* EAGAIN: already cleared */
    }
    p->rounds_left = VSW_EPOLL_EVERY;
    return n;
}

/* How long to spin: twice the recent wait, if frames keep coming within the allowed maximum. */
static inline uint64_t vsw_poller_window(const struct vsw_poller *p)
{
    return 2 * p->wait_ns <= p->busy_poll_ns ? 2 * p->wait_ns : 0;
}

/* Whether one of the active queues, all of which were empty, has frames now. */
static inline bool vsw_poller_look(const struct vsw_poller *p)
{
    for (unsigned i = 0; i < p->n_active; i++)
        if (p->active[i]->port->ops->ready(p->active[i], false))
            return true;
    return false;
}

/* Have all of them wake us, and take them off the list; true when one has frames after all. */
static inline bool vsw_poller_arm(struct vsw_poller *p)
{
    while (p->n_active) {
        if (p->active[0]->port->ops->ready(p->active[0], true))
            return true;
        vsw_poller_retire(p, 0);
    }
    return false;
}

/* How long to sleep at most, at @now_ns: until a shaper is due. */
static inline int vsw_poller_timeout_ms(const struct vsw_poller *p, uint64_t now_ns)
{
    if (!p->due_ns)
        return -1;
    if (p->due_ns <= now_ns)
        return 0;
    uint64_t ms = (p->due_ns - now_ns + 999999u) / 1000000u;

    return ms < 60000u ? (int)ms : 60000;
}

/* Nothing was there in the last round: spin for the window, then sleep until a descriptor is
 * ready. */
static inline void vsw_poller_wait(struct vsw_poller *p)
{
    uint64_t start = vsw_now_ns(CLOCK_MONOTONIC), waited = 0, window = vsw_poller_window(p);
    bool ready = false;

    while (!ready && waited < window) {
        ready = vsw_poller_look(p) || vsw_poller_ask(p, 0);
        waited = vsw_now_ns(CLOCK_MONOTONIC) - start;
    }
    if (!ready && !vsw_poller_arm(p)) {
        vsw_poller_ask(p, vsw_poller_timeout_ms(p, start + waited));
        waited = vsw_now_ns(CLOCK_MONOTONIC) - start;
    }
    if (waited > p->busy_poll_ns)
        p->wait_ns = VSW_WAIT_LONG * p->busy_poll_ns;
    else
        p->wait_ns = p->wait_ns - p->wait_ns / VSW_WAIT_SHARE + waited / VSW_WAIT_SHARE;
}

/* Before a round: find out which queues are worth reading. */
static inline void vsw_poller_gather(struct vsw_poller *p)
{
    if (!p->n_busy)
        vsw_poller_wait(p);
    else if (--p->rounds_left == 0)
        vsw_poller_ask(p, 0);
    p->n_busy = 0;
    p->now_s = (uint32_t)(vsw_now_ns(CLOCK_MONOTONIC_COARSE) / 1000000000u);
}

#endif
