/* ring.h - a bounded byte ring of frames: one writer, one reader, no lock.
 *
 * Used where frames cross from one thread to another: punted frames to the control plane, and
 * both directions of a memory port.  A record is a header, the frame's virtio-net header and
 * its bytes, in place and 16-byte aligned, so the reader hands out pointers instead of copies:
 *
 *   | len | port | vnet (10) | frame ........ | pad |   next record
 *   0     4      6           16               16n
 *
 * A record never wraps: when the end of the memory is too near, a record of length VSW_RING_WRAP
 * sends the reader to the start.  `head` and `tail` count bytes for ever; the writer owns tail,
 * the reader owns head.  Full means the frame is not taken; the caller counts it.
 */
#ifndef VSW_RING_H
#define VSW_RING_H

#include "datapath/frame.h"
#include "datapath/sanitize.h"

#include <stdatomic.h>
#include <stddef.h>

#define VSW_RING_WRAP UINT32_MAX
#define VSW_RING_AHEAD 512 /* bytes to prefetch ahead: half a dozen of the shortest frames */

struct vsw_record {
    uint32_t len;
    uint16_t port; /* where the frame came from */
    uint8_t vnet[VSW_VNET_LEN];
    uint8_t data[];
};
_Static_assert(offsetof(struct vsw_record, data) == 16, "frames start on 16 bytes");

struct vsw_ring {
    uint8_t *memory; /* 16-byte aligned, owned by whoever made the ring */
    uint64_t size;   /* bytes, a power of two */

    _Alignas(64) _Atomic uint64_t tail; /* written by the writer */
    _Alignas(64) _Atomic uint64_t head; /* written by the reader */
    uint64_t peeked; /* the reader's: handed out, not yet given back */
    uint64_t filled; /* the reader's: tail as it last looked */
};

static inline uint64_t vsw_record_size(uint32_t len)
{
    return (sizeof(struct vsw_record) + (uint64_t)len + VSW_REDZONE + 15) & ~(uint64_t)15;
}

static inline struct vsw_record *vsw_ring_record(const struct vsw_ring *r, uint64_t at)
{
    return (struct vsw_record *)(void *)(r->memory + (at & (r->size - 1)));
}

/* Append a frame that came from @port; false when there is no room for it. */
static inline bool vsw_ring_put(struct vsw_ring *r, uint16_t port, const struct vsw_frame *f)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    uint64_t used = tail - atomic_load_explicit(&r->head, memory_order_acquire);
    uint64_t need = vsw_record_size(f->len), to_end = r->size - (tail & (r->size - 1));
    uint64_t skip = to_end < need ? to_end : 0;
    struct vsw_record *record;

    if (used + skip + need > r->size)
        return false;
    if (skip) {
        vsw_unpoison(vsw_ring_record(r, tail), skip);
        vsw_ring_record(r, tail)->len = VSW_RING_WRAP;
    }
    record = vsw_ring_record(r, tail + skip);
    vsw_unpoison(record, need);
    record->len = f->len;
    record->port = port;
    memcpy(record->vnet, f->data - VSW_VNET_LEN, VSW_VNET_LEN + (size_t)f->len);
    vsw_poison(record->data + f->len, need - sizeof(*record) - f->len);
    atomic_store_explicit(&r->tail, tail + skip + need, memory_order_release);
    return true;
}

/* The next record not yet handed out, or NULL.  It stays valid until vsw_ring_done(). */
static inline struct vsw_record *vsw_ring_peek(struct vsw_ring *r)
{
    struct vsw_record *record;

    if (r->peeked == r->filled) {
        r->filled = atomic_load_explicit(&r->tail, memory_order_acquire);
        if (r->peeked == r->filled)
            return NULL;
    }
    record = vsw_ring_record(r, r->peeked);
    if (record->len == VSW_RING_WRAP) {
        r->peeked += r->size - (r->peeked & (r->size - 1));
        record = vsw_ring_record(r, r->peeked);
    }
    r->peeked += vsw_record_size(record->len);
    /* Where the next record starts is known only from this one; do not wait for each in turn. */
    __builtin_prefetch((const uint8_t *)record + VSW_RING_AHEAD);
    return record;
}

/* Give back every record handed out so far. */
static inline void vsw_ring_done(struct vsw_ring *r)
{
    atomic_store_explicit(&r->head, r->peeked, memory_order_release);
}

#endif
