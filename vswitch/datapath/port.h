/* port.h - what every port kind offers, and what the loop keeps about a port.
 *
 * A port has one queue or several; a queue belongs to one poller, which alone receives from
 * it.  Any poller may transmit on any port: it uses queue (its number modulo the count), so
 * that a kernel that steers flows by the queue they were heard on answers to the same poller.
 * What a port kind is stays behind its two operations; the loop never asks.
 */
#ifndef VSW_PORT_H
#define VSW_PORT_H

#include "datapath/drop.h"
#include "datapath/frame.h"

#include <stdbool.h>
#include <stddef.h>

#define VSW_PORTS_MAX 1024u
#define VSW_QUEUES_MAX 16u

/* How much longer than its MTU a frame may be: the Ethernet header and one tag, whether the
 * frame has a tag or not (as the Linux bridge, __is_skb_forwardable() in net/core/dev.c). */
#define VSW_MTU_EXTRA (VSW_ETH_LEN + 4u)

/* A burst read from a device ends with the frame that passes so many bytes.  What was just received
 * is then still in the first-level cache (32 KiB and more) when it is sent. */
#define VSW_BURST_BYTES (16u * 1024u)
/* The same for a stream: one call brings and takes them all, and a call costs more, with the waking
 * of the receiver, than to find the frames in the second-level cache only. */
#define VSW_BURST_BYTES_MAX (64u * 1024u)
/* Room for the bytes of one burst: the last frame may be of any size, and is aligned. */
#define VSW_ARENA (VSW_BURST_BYTES_MAX + VSW_FRAME_MAX + 128u)

/* Written by one poller each, word by word; read by anyone without a lock.  Sums over the
 * pollers are taken outside. */
struct vsw_counters {
    _Alignas(64) uint64_t rx_frames; /* all that arrived, dropped ones included */
    uint64_t rx_bytes;
    uint64_t tx_frames; /* taken by the device */
    uint64_t tx_bytes;
    uint64_t forwarded; /* received frames handed to at least one other port */
    uint64_t punted;    /* received frames given to the control plane */
    uint64_t flooded_unicast;
    uint64_t flooded_multicast;
    _Alignas(64) uint64_t flooded_broadcast; /* from here on: not touched by known unicast */
    uint64_t drops[VSW_DROP_N];
};
_Static_assert(offsetof(struct vsw_counters, flooded_broadcast) == 64, "two groups, two lines");
_Static_assert(VSW_DROP_N <= 23 && sizeof(struct vsw_counters) == 256, "four lines");

struct vsw_burst {
    unsigned n;
    uint32_t lost; /* frames that were lost before us (RX_FULL); the loop counts them and resets */
    uint8_t *arena; /* VSW_ARENA bytes for kinds that read into our memory; 64-byte aligned */
    struct vsw_frame frame[VSW_BURST];
    bool is_mirrored; /* some of it is, then `mirrored` holds; the loop resets it */
    uint32_t mirrored[VSW_BURST]; /* of frame[i]: mirrors whose target has it, a bit each; mirror.h */
};

struct vsw_queue;

struct vsw_port_ops {
    /* Fill @b with what waits, at most VSW_BURST frames; their bytes stay until the next call.
     * Sets data, len and needs (0 or VSW_PIECES) of each frame, and nothing else; adds to
     * @b->lost.  Never blocks.
     * Returns the number of frames (0: nothing waiting), or -errno when the queue cannot be read
     * any more. */
    int (*rx_burst)(struct vsw_queue *q, struct vsw_burst *b);
    /* Send @n frames in order.  Never blocks, keeps no reference.  Counts into @c what the
     * device took, and the rest as drops. */
    void (*tx_burst)(struct vsw_queue *q, const struct vsw_frame *const *in, unsigned n,
                     struct vsw_counters *c);
    /* For a kind that can be looked at without a system call, and whose descriptor says only that
     * something came while it was armed: whether frames wait.  With @arm the sender is asked to
     * wake us, unless some do.  NULL: the descriptor is readable while frames wait. */
    bool (*ready)(struct vsw_queue *q, bool arm);
    /* For a kind that delivers frames in pieces: the burst has been sent, and where they lay may be
     * used again.  Called after every rx_burst that gave frames, in the same round.  NULL: it has no
     * use for that. */
    void (*done)(struct vsw_queue *q);
    /* NULL, or the kind's own operations, when these stand around them (shaper.h). */
    const struct vsw_port_ops *kind;
};

struct vsw_port;
struct vsw_poller;
struct vsw_vlans;
struct vsw_guard;
struct vsw_meters;
struct vsw_mirror;
struct vsw_shaper;

struct vsw_queue {
    struct vsw_port *port;
    const struct vsw_poller *clock; /* its poller, for a kind that looks at the time */
    void *priv; /* the kind's own state */
    int fd;     /* readable when frames wait; -1 when the kind has none */
    int error;  /* errno that ended reception, 0 while it lives */
    int epoll_fd; /* of its poller, for a kind that waits for room as well */
    uint16_t poller;
    uint8_t active; /* on its poller's list of queues worth reading */
    uint16_t idle;  /* rounds in which an active queue was empty */
};

/* What else is set of a port; NULL each while its rule is not set. */
struct vsw_policy {
    struct vsw_guard *guard;
    struct vsw_meters *meters;
    struct vsw_mirror *mirror;
    struct vsw_shaper *shaper;
};

/* Read by pollers, written by the control plane while they are parked. */
struct vsw_port {
    _Alignas(64) const struct vsw_port_ops *ops; /* NULL: no such port */
    struct vsw_queue *queue;
    void *priv;           /* the kind's own state, shared by its queues */
    uint32_t max_len;    /* longest frame it may send, bytes */
    uint16_t n_queues;
    uint16_t id;        /* number of the port in its Datapath */
    uint8_t can;        /* enum vsw_offload bits it takes unfinished */
    uint8_t learning;   /* 0/1, from the port's state (IEEE 802.1Q-2018 8.4) */
    uint8_t forwarding; /* 0/1 */
    uint8_t mab;        /* 0/1: with VSW_LOCKED, who knocks is noted; mab.h */
    uint16_t rules;     /* enum vsw_rule bits: what else decides what enters and leaves; rules.h */
    uint16_t backup;    /* with VSW_BACKUP: the port that gets what is for this one */
    struct vsw_vlans *vlans; /* vlan.h; NULL while the switch is VLAN-unaware */
    struct vsw_policy *policy; /* NULL unless something of it is set */
};
_Static_assert(sizeof(struct vsw_port) == 64, "a port is one cache line");

/* The frames of one burst that leave by one port. */
struct vsw_egress {
    _Alignas(64) unsigned n;
    uint32_t longest; /* bytes, super-frames aside */
    uint8_t needs;    /* enum vsw_offload bits of all of them */
    const struct vsw_frame *frame[VSW_BURST];
};

static inline const struct vsw_port_ops *vsw_port_kind(const struct vsw_port *p)
{
    return p->ops->kind ? p->ops->kind : p->ops;
}

static inline int vsw_port_rx(struct vsw_queue *q, struct vsw_burst *b)
{
    return q->port->ops->rx_burst(q, b);
}

static inline void vsw_port_done(struct vsw_queue *q)
{
    if (q->port->ops->done)
        q->port->ops->done(q);
}

static inline struct vsw_queue *vsw_port_tx_queue(const struct vsw_port *p, unsigned poller)
{
    return &p->queue[poller % p->n_queues];
}

#endif
