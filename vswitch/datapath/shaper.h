/* shaper.h - what leaves a port, no faster than a rate: frames wait in a queue for their turn.
 *
 * Theory of operation
 *   A shaper stands around a port's kind: the port has a copy of the kind's operations whose tx_burst
 *   is the one below, and nothing else knows of it.  A port without one has nothing on its path.
 *
 *     nothing waits, and the bucket (meter.h) is not empty -> sent at once, by whichever poller
 *     something waits, or it is                            -> copied to the end of the queue
 *     the queue is full                                    -> VSW_DROP_TX_FULL
 *
 *   The port's owner, the poller of its first queue, sends what waits: once a round it looks at its
 *   shapers, and sleeps no longer than until the next frame is due.  Who finds the queue empty and puts
 *   something in wakes it, so nothing is slept on.
 *
 *   Another rate, or room for more or less, leaves what waits where it is, in order.  When the shaper
 *   ends, or its port, what waits is dropped (VSW_DROP_TX_FULL), as tc(8) does with a qdisc: to send
 *   it at once would be the burst that the shaper is there against, made while all pollers stand at
 *   the gate; to send it later would be a limit that nobody has set any more.
 *
 *   A super-frame is sent as it is and costs what its segments do; those behind it pay (meter.h).
 *   So the bucket may be small.  It must hold what passes while the owner sleeps too long: epoll
 *   counts in milliseconds, and a busy machine is late by some more.
 *
 * Ownership: frames are copied, so nobody waits for a receiver with his buffers.  All but the first
 * group of members is touched under the lock only, which is held for one burst.
 */
#ifndef VSW_SHAPER_H
#define VSW_SHAPER_H

#include "datapath/lock.h"
#include "datapath/meter.h"
#include "datapath/pieces.h"
#include "datapath/poller.h"
#include "datapath/ring.h"

struct vsw_shaper {
    /* Set up while parked. */
    _Alignas(64) struct vsw_port_ops ops; /* the port's; ops.kind are those it had */
    struct vsw_port *port;
    struct vsw_poller *owner;
    struct vsw_shaper *next; /* of the same owner */
    uint64_t rate, burst;    /* as they were set: bits a second, bytes */
    uint64_t limit;          /* bytes of frames that may wait */

    _Alignas(64) atomic_flag busy;
    _Atomic uint64_t queued; /* bytes of frames that wait; written under the lock */
    struct vsw_meter meter;
    struct vsw_ring ring; /* more than twice as large as the limit: short frames, and the wrap */
};

static inline uint64_t vsw_shaper_now_ns(const struct vsw_shaper *s)
{
    return s->owner->by_hand ? s->owner->now_ns : vsw_now_ns(CLOCK_MONOTONIC);
}

static inline bool vsw_shaper_pay(struct vsw_shaper *s, uint64_t now_ns, const struct vsw_frame *f)
{
    return vsw_meter_take(&s->meter, now_ns, vsw_meter_cost(&s->meter, vsw_meter_units(&s->meter, f)));
}

/* Have @f wait; false when there is no room. */
static inline bool vsw_shaper_put(struct vsw_shaper *s, const struct vsw_frame *f)
{
    uint64_t queued = atomic_load_explicit(&s->queued, memory_order_relaxed);

    if (queued + f->len > s->limit || !vsw_ring_put(&s->ring, s->port->id, f))
        return false;
    if (f->needs & VSW_PIECES) { /* the ring has the head, and a list where the rest is to be */
        uint64_t tail = atomic_load_explicit(&s->ring.tail, memory_order_relaxed);
        struct vsw_record *record = vsw_ring_record(&s->ring, tail - vsw_record_size(f->len));

        vsw_pieces_copy(record->data + VSW_HEAD, vsw_pieces(f)->piece, vsw_pieces(f)->n);
    }
    atomic_store_explicit(&s->queued, queued + f->len, memory_order_release);
    return true;
}

/* The tx_burst of a port with a shaper. */
static __attribute__((unused)) void vsw_shaper_tx_burst(struct vsw_queue *q,
                                                        const struct vsw_frame *const *in,
                                                        unsigned n, struct vsw_counters *c)
{
    struct vsw_shaper *s = q->port->policy->shaper;
    uint64_t now_ns = vsw_shaper_now_ns(s);
    unsigned passed = 0;

    vsw_lock(&s->busy);
    bool was_empty = !atomic_load_explicit(&s->queued, memory_order_relaxed);

    while (was_empty && passed < n && vsw_shaper_pay(s, now_ns, in[passed]))
        passed++;
    if (passed)
        s->ops.kind->tx_burst(q, in, passed, c);
    for (unsigned i = passed; i < n; i++)
        if (!vsw_shaper_put(s, in[i]))
            c->drops[VSW_DROP_TX_FULL]++;
    vsw_unlock(&s->busy);
    /* The owner itself looks after its round. */
    if (was_empty && passed < n && c != &s->owner->counters[s->port->id])
        vsw_poller_wake(s->owner);
}

/* Take the next frame out of the queue, as @f, if it can pay at @now_ns: it stays where it is until
 * vsw_ring_done(). */
static inline bool vsw_shaper_next(struct vsw_shaper *s, uint64_t now_ns, struct vsw_frame *f)
{
    uint64_t peeked = s->ring.peeked;
    struct vsw_record *record = vsw_ring_peek(&s->ring);

    if (!record)
        return false;
    *f = (struct vsw_frame){.data = record->data, .len = record->len};
    vsw_vnet_check(f); /* what it needs; that it fits was found when it came */
    if (vsw_shaper_pay(s, now_ns, f))
        return true;
    s->ring.peeked = peeked;
    return false;
}

/* Send a burst of what waits, as far as it can pay; returns how many frames.  Under the lock. */
static inline unsigned vsw_shaper_send_burst(struct vsw_shaper *s, uint64_t now_ns)
{
    struct vsw_frame frame[VSW_BURST_CALLS];
    const struct vsw_frame *out[VSW_BURST_CALLS];
    struct vsw_queue *q = vsw_port_tx_queue(s->port, s->owner->id);
    uint64_t sent = 0;
    unsigned n = 0;

    while (n < VSW_BURST_CALLS && vsw_shaper_next(s, now_ns, &frame[n])) {
        sent += frame[n].len;
        out[n] = &frame[n];
        n++;
    }
    if (n)
        s->ops.kind->tx_burst(q, out, n, &s->owner->counters[s->port->id]);
    vsw_ring_done(&s->ring);
    atomic_fetch_sub_explicit(&s->queued, sent, memory_order_release);
    return n;
}

/* When the bucket will not be empty any more. */
static inline uint64_t vsw_shaper_due_ns(const struct vsw_shaper *s, uint64_t now_ns)
{
    uint64_t tat = atomic_load_explicit(&s->meter.tat, memory_order_relaxed);
    uint64_t used = vsw_meter_used(tat, now_ns * VSW_METER_TICKS);

    return now_ns + (used < s->meter.burst ? 0 : (used - s->meter.burst) / VSW_METER_TICKS + 1);
}

/* Send what waits and is due, a burst at most unless @p is polled by hand, and have @p woken for the
 * rest. */
static inline void vsw_shaper_send(struct vsw_poller *p, struct vsw_shaper *s)
{
    uint64_t now_ns = vsw_shaper_now_ns(s), due_ns;

    vsw_lock(&s->busy);
    while (vsw_shaper_send_burst(s, now_ns) == VSW_BURST_CALLS && p->by_hand)
        ;
    if (atomic_load_explicit(&s->queued, memory_order_relaxed)) {
        due_ns = vsw_shaper_due_ns(s, now_ns);
        if (!p->due_ns || due_ns < p->due_ns)
            p->due_ns = due_ns;
    }
    vsw_unlock(&s->busy);
}

/* The same for all that @p owns. */
static inline void vsw_shapers_send(struct vsw_poller *p)
{
    p->due_ns = 0;
    for (struct vsw_shaper *s = p->shapers; s; s = s->next)
        if (atomic_load_explicit(&s->queued, memory_order_acquire))
            vsw_shaper_send(p, s);
}

/* Put @s, of which rate, burst, limit and ring are set, around @port, whose owner is @owner. */
static inline void vsw_shaper_begin(struct vsw_shaper *s, struct vsw_port *port,
                                    struct vsw_poller *owner)
{
    vsw_meter_set(&s->meter, s->rate, true, s->burst);
    s->ops = *port->ops;
    s->ops.kind = port->ops;
    s->ops.tx_burst = vsw_shaper_tx_burst;
    s->port = port;
    s->owner = owner;
    s->next = owner->shapers;
    owner->shapers = s;
    port->policy->shaper = s;
    port->ops = &s->ops;
}

/* Have what waits in @s wait in @heir, of which limit and ring are set, as far as there is room, and its
 * bucket be as empty; without an heir, and room, it is dropped. */
static inline void vsw_shaper_hand_over(struct vsw_shaper *s, struct vsw_shaper *heir)
{
    struct vsw_counters *c = &s->owner->counters[s->port->id];
    struct vsw_record *record;

    if (heir) {
        heir->port = s->port;
        heir->meter = s->meter;
    }
    while ((record = vsw_ring_peek(&s->ring))) {
        struct vsw_frame f = {.data = record->data, .len = record->len};

        if (!heir || !vsw_shaper_put(heir, &f))
            c->drops[VSW_DROP_TX_FULL]++;
    }
}

/* Take the shaper of @port away, if it has one; what waits goes to @heir, unless that is NULL.  It is to
 * begin then: it is not yet around the port. */
static inline void vsw_shaper_end(struct vsw_port *port, struct vsw_shaper *heir)
{
    struct vsw_shaper *s = port->policy ? port->policy->shaper : NULL;
    struct vsw_shaper **at;

    if (!s)
        return;
    vsw_shaper_hand_over(s, heir);
    for (at = &s->owner->shapers; *at != s; at = &(*at)->next)
        ;
    *at = s->next;
    port->ops = s->ops.kind;
    port->policy->shaper = NULL;
}

#endif
