/* virtq_begin.h - where a ring begins: at its start, where it was left, or where a dead back-end was.
 *
 * Called by the control plane, while the pollers are parked.
 */
#ifndef VSW_VIRTQ_BEGIN_H
#define VSW_VIRTQ_BEGIN_H

#include "datapath/virtq.h"

/* Start, or go on, at @base: of a split ring the index of the next available entry, of a packed one
 * its slot, and the wrap counter in bit 15 (vhost-user specification, VHOST_USER_SET_VRING_BASE).  We
 * take and hand back in order and at once, so the next used one is the same; what the specification
 * has of it in bits 16 to 31 some front-ends leave out.  The caller has set the rest. */
static inline void vsw_virtq_begin(struct vsw_virtq *vq, uint32_t base)
{
    vq->next = vq->seen = vq->used = vq->published = (uint16_t)base;
    vq->next_wrap = vq->used_wrap = 0;
    vq->batch = 0;
    vq->broken = 0;
    vq->armed = 1;
    if (vq->packed) {
        vq->next = base & 0x7fff;
        vq->next_wrap = base >> 15 & 1;
        vq->used = vq->published = vq->next;
        vq->used_wrap = vq->next_wrap;
    }
}

/* Where the ring stands, as vsw_virtq_begin() takes it. */
static inline uint32_t vsw_virtq_base(const struct vsw_virtq *vq)
{
    if (!vq->packed)
        return vq->next;
    return vq->next | (uint32_t)vq->next_wrap << 15 | (uint32_t)vq->used << 16 |
           (uint32_t)vq->used_wrap << 31;
}

/* What the driver of a split ring was shown last, by us or by who was here before. */
static inline uint16_t vsw_virtq_used_index(const struct vsw_virtq *vq)
{
    return vsw_virtq_load(vq->device + 2, __ATOMIC_RELAXED);
}

/* ------------------------------------------------------------------ recover (packed) */

/* The wrap counter with which slot @i will be, or is, available: it is the other one once used. */
static inline uint8_t vsw_packed_turn(const struct vsw_virtq *vq, uint32_t i)
{
    uint16_t flags = vq->desc[i].packed.flags;
    uint8_t avail = !!(flags & VSW_DESC_AVAIL);

    return avail ^ (avail == !!(flags & VSW_DESC_USED));
}

/* Whether the turn changes between slot @i and the one before it, in whose place at the ring's
 * beginning stands the last one of the other round. */
static inline bool vsw_packed_is_edge(const struct vsw_virtq *vq, uint32_t i)
{
    return vsw_packed_turn(vq, i) != (i ? vsw_packed_turn(vq, i - 1) : !vsw_packed_turn(vq, vq->size - 1u));
}

/* Finish what was half published at slot @i, upon which it and those that follow are used. */
static inline void vsw_packed_finish(struct vsw_virtq *vq, uint32_t i)
{
    struct vsw_desc *d = &vq->desc[i];
    uint32_t flags = vsw_packed_turn(vq, i) ? VSW_DESC_AVAIL | VSW_DESC_USED : 0;

    __atomic_store_n(&d->packed.flags, (uint16_t)(d->len ? flags | VSW_DESC_WRITE : flags), __ATOMIC_RELEASE);
    vsw_virtq_dirty(vq);
}

/* Where a packed ring stands, when a back-end died and the front-end, which does not know, says the
 * beginning (QEMU): what the driver and we wrote last to each slot tells, since we work in order.
 * The turn changes at one slot, ours; at three if we died between the flags of a burst's later
 * descriptors and those of its first.  Anything else is chains of several slots, of which only the
 * first is marked: then @base has to do.  The walk reads a ring once. */
static inline uint32_t vsw_packed_recovered(struct vsw_virtq *vq, uint32_t base)
{
    uint32_t i, edges = 0, at[3] = {0};

    if ((base & 0xffff) != 0x8000)
        return base;
    for (i = 0; i < vq->size && edges <= 3; i++)
        if (vsw_packed_is_edge(vq, i) && edges++ < 3)
            at[edges - 1] = i;
    for (i = 0; i < 3 && edges == 3; i++) {
        uint32_t first = at[i], second = at[(i + 1) % 3];

        if ((first + 1) % vq->size != second ||
            !(vq->desc[first].packed.flags & VSW_DESC_AVAIL) == !(vq->desc[first].packed.flags & VSW_DESC_USED))
            continue;
        vsw_packed_finish(vq, first);
        at[0] = at[(i + 2) % 3];
        edges = 1;
    }
    if (edges != 1)
        return base;
    return at[0] | (uint32_t)vsw_packed_turn(vq, at[0]) << 15;
}

#endif
