/* meter.h - how much may enter a port in a second: policing, and storm control.
 *
 * Theory of operation
 *   A token bucket, kept as the moment at which it will be full again: the theoretical arrival time
 *   (TAT) of the generic cell rate algorithm (ITU-T I.371 annex A).  With `used`, what is missing in
 *   the bucket, as time:
 *
 *     used = max(TAT - now, 0)
 *     used >= burst  ->  the frame does not conform, and nothing changes
 *     used <  burst  ->  it does, and TAT becomes now + used + its cost
 *
 *   So a frame may take more than there is, and what it took too much is paid back by those behind it.
 *   A super-frame of 64 KiB therefore gets through a bucket that holds less; over any time t no more
 *   than t times the rate, the burst and one frame pass.
 *
 *   The TAT is one word, exchanged by compare-and-swap: any poller may charge a meter, none waits.
 *
 * Cost: what the frame will be on a wire without offloads.  A super-frame counts as its segments,
 * and as the headers of each, whatever becomes of it behind us.  Bytes are those of frames: without
 * preamble and FCS, as tc(8) counts them.
 *
 * Time: ticks of 1/16 ns.  At 400 Gbit/s a frame of 1514 bytes takes 484 of them, so rates are kept
 * to 0.1 %, to 2.5 % with the shortest frames.  The word wraps after 36 years; a TAT that is further
 * ahead than any frame puts it is one that was passed long ago, up to 29 years.
 */
#ifndef VSW_METER_H
#define VSW_METER_H

#include "datapath/gso.h"
#include "datapath/poller.h"
#include "datapath/port.h"

#include <stdatomic.h>

/* Chosen by us. */
#define VSW_METER_TICKS 16u /* a nanosecond */
#define VSW_METER_SHIFT 24  /* fractional bits of `scale`: 400 Gbit/s to 1e-7, and 1 bit/s fits */
#define VSW_METER_RATE_MAX 400000000000u /* bits, or packets, a second */
#define VSW_METER_COST_MAX ((uint64_t)1 << 60) /* ticks, 2 years: of a burst, or of one frame */
#define VSW_METER_USED_MAX ((uint64_t)3 << 60) /* a burst and a frame, and pollers' clocks differ */
#define VSW_STORMS 3u

struct vsw_meter {
    /* Read by pollers, written by the control plane while they are parked. */
    _Alignas(64) uint64_t scale; /* ticks a unit, times 2^VSW_METER_SHIFT; 0: nothing is metered */
    uint64_t burst;              /* ticks */
    uint8_t in_bytes;            /* 0/1: a unit is a byte, or a packet */
    /* Written by any poller. */
    _Alignas(64) _Atomic uint64_t tat; /* ticks */
};
_Static_assert(offsetof(struct vsw_meter, tat) == 64, "what all read shares a line with what they write");

/* Of one port. */
struct vsw_meters {
    struct vsw_meter police;            /* of all that enters */
    struct vsw_meter storm[VSW_STORMS]; /* of what is flooded, by enum vsw_flood */
};

/* What @units cost, in ticks, rounded to the nearest. */
static inline uint64_t vsw_meter_cost(const struct vsw_meter *m, uint64_t units)
{
    unsigned __int128 cost =
        ((unsigned __int128)units * m->scale + (1u << (VSW_METER_SHIFT - 1))) >> VSW_METER_SHIFT;

    return cost < VSW_METER_COST_MAX ? (uint64_t)cost : VSW_METER_COST_MAX;
}

/* Let @rate units pass a second, of bytes or of packets: 1..VSW_METER_RATE_MAX bits or packets, 0 for
 * no limit, and @burst units at once.  The bucket is full then, unless nothing has changed. */
static inline void vsw_meter_set(struct vsw_meter *m, uint64_t rate, bool in_bytes, uint64_t burst)
{
    unsigned __int128 second = (unsigned __int128)VSW_METER_TICKS * 1000000000u * (in_bytes ? 8u : 1u);
    struct vsw_meter is = {.in_bytes = in_bytes};

    is.scale = rate ? (uint64_t)(((second << VSW_METER_SHIFT) + rate / 2) / rate) : 0;
    is.burst = vsw_meter_cost(&is, burst);
    if (!is.burst)
        is.burst = 1; /* less than a tick */
    if (m->scale == is.scale && m->burst == is.burst && m->in_bytes == is.in_bytes)
        return;
    m->scale = is.scale;
    m->burst = is.burst;
    m->in_bytes = is.in_bytes;
    atomic_store_explicit(&m->tat, 0, memory_order_relaxed);
}

/* What is missing in a bucket at @now, in ticks. */
static inline uint64_t vsw_meter_used(uint64_t tat, uint64_t now)
{
    return tat - now <= VSW_METER_USED_MAX ? tat - now : 0;
}

/* Take @cost out of the bucket at @now_ns; false when it is empty. */
static inline bool vsw_meter_take(struct vsw_meter *m, uint64_t now_ns, uint64_t cost)
{
    uint64_t now = now_ns * VSW_METER_TICKS, used;
    uint64_t tat = atomic_load_explicit(&m->tat, memory_order_relaxed);

    do {
        used = vsw_meter_used(tat, now);
        if (used >= m->burst)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&m->tat, &tat, now + used + cost,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* The segments that an admitted super-frame stands for, or their bytes. */
static inline uint64_t vsw_super_units(const struct vsw_frame *f, bool in_bytes)
{
    struct vsw_gso g = {.len = f->len};

    g.is_ufo = vsw_vnet_parse_gso(f, &g.at) == VSW_UFO;
    vsw_gso_count(&g, vsw_le16(vsw_vnet(f) + VSW_VNET_GSO_SIZE)); /* be they too many to be cut */
    if (!in_bytes)
        return g.segments;
    bool has_fragment_header = g.is_ufo && g.at.is_v6 && g.segments > 1;
    uint64_t headers = g.front + (has_fragment_header ? VSW_FRAGMENT_LEN : 0u);

    return g.segments * headers + f->len - g.front;
}

static inline uint64_t vsw_meter_units(const struct vsw_meter *m, const struct vsw_frame *f)
{
    if (f->needs & VSW_GSO_BITS)
        return vsw_super_units(f, m->in_bytes);
    return m->in_bytes ? f->len : 1;
}

/* Whether @f, received at p->now_ns, is more than @m lets pass. */
static inline bool vsw_meter_drops(const struct vsw_poller *p, struct vsw_meter *m,
                                   const struct vsw_frame *f)
{
    return m->scale && !vsw_meter_take(m, p->now_ns, vsw_meter_cost(m, vsw_meter_units(m, f)));
}

#endif
