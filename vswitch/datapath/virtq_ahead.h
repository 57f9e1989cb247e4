/* virtq_ahead.h - have the next buffers of a ring on their way while one is worked on.
 *
 * Ring, descriptors and buffers were written last by the guest, on another CPU: each line takes as
 * long to come as a short frame takes to be switched, and they were most of the cost of one.
 */
#ifndef VSW_VIRTQ_AHEAD_H
#define VSW_VIRTQ_AHEAD_H

#include "datapath/virtq.h"

/* So much of a buffer; the processor sees by itself how a longer one goes on. */
#define VSW_PREFETCH_BYTES 256u
/* Chains ahead of the one worked on.  The driver wrote their lines last, on another CPU: fetching them
 * takes as long as some frames.  3 and 10 were no better, all of 1,514 bytes was worse. */
#define VSW_PREFETCH_AHEAD 6u

/* Have the first bytes of a chain come that is not yet worked on.  Nothing is judged here and nothing
 * kept: the guest may change its mind, and loses by it. */
static inline void vsw_virtq_prefetch(const struct vsw_virtq *vq)
{
    uint32_t slot = vq->next + VSW_PREFETCH_AHEAD, len = VSW_PREFETCH_BYTES;
    struct vsw_desc d;
    const uint8_t *at;

    if (!vq->packed) {
        if ((uint16_t)(vq->seen - vq->next) <= VSW_PREFETCH_AHEAD)
            return;
        slot = vsw_virtq_load(vq->driver + 4 + 2 * (size_t)(slot & (vq->size - 1u)), __ATOMIC_RELAXED);
    }
    if (slot >= vq->size)
        return;
    vsw_desc_copy(&d, (const uint8_t *)&vq->desc[slot]);
    at = vsw_guest_at(vq->guest, d.addr, &len);
    if (!at)
        return;
    len = len < d.len ? len : d.len;
    for (uint32_t i = 0; i < len; i += 64)
        __builtin_prefetch(at + i, 1);
}

#endif
