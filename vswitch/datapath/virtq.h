/* virtq.h - one virtqueue, seen from the device: take buffers, hand them back, and who rings whom.
 *
 * Split rings (virtio 1.2, 2.7) and packed ones (2.8) behind the same six verbs:
 *
 *   next     the next chain of buffers the driver has made available
 *   span     the next piece of a chain, translated and checked; leave it when done
 *   use      hand a chain back; not seen by the driver yet
 *   publish  let the driver see what was handed back, and say whether it wants a call
 *   arm      ask for a kick when buffers come; tells whether some are there already
 *   disarm   ask for none
 *
 * Everything in the ring comes from a stranger.  Each descriptor is copied before it is judged;
 * indices, lengths, chains and flags that the specification forbids end in -EPROTO, upon which the
 * caller never touches the queue again.  A walk has at most VSW_CHAIN_MAX steps.
 *
 * Where a ring begins, and goes on after somebody died, is in virtq_begin.h.
 *
 * Owner: for the ring we receive from, its poller; for the one we send to, whoever holds `busy`.
 */
#ifndef VSW_VIRTQ_H
#define VSW_VIRTQ_H

#include "datapath/guest.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* From the specification: struct virtq_desc and struct pvirtq_desc differ in their last two
 * fields only.  Little endian, as is every machine we know to run such guests. */
#define VSW_DESC_NEXT 1u
#define VSW_DESC_WRITE 2u
#define VSW_DESC_INDIRECT 4u
#define VSW_DESC_AVAIL (1u << 7) /* packed, 2.8.1 */
#define VSW_DESC_USED (1u << 15)
#define VSW_AVAIL_NO_INTERRUPT 1u /* split, 2.7.6: the driver wants no calls */
#define VSW_USED_NO_NOTIFY 1u     /* split, 2.7.8: the device wants no kicks */
enum { VSW_EVENT_ENABLE, VSW_EVENT_DISABLE, VSW_EVENT_DESC }; /* packed, 2.8.14 */
#define VSW_VIRTQ_SIZE_MAX 32768u /* 2.7: a power of two for split; 2.8.10.1 the same for packed */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "virtio 1.x rings are little endian");

/* Chosen by us: descriptors one frame may consist of, as QEMU has it (VIRTQUEUE_MAX_SIZE). */
#define VSW_CHAIN_MAX 1024u

struct vsw_desc {
    uint64_t addr;
    uint32_t len;
    union {
        struct {
            uint16_t flags, next;
        } split;
        struct {
            uint16_t id, flags;
        } packed;
    };
};
_Static_assert(sizeof(struct vsw_desc) == 16, "virtio 1.2, 2.7.5 and 2.8.13");

struct vsw_virtq {
    /* Written by the control plane while the pollers are parked. */
    _Alignas(64) const struct vsw_guest *guest;
    struct vsw_desc *desc; /* `size` of them */
    uint8_t *driver;       /* split: the available ring; packed: event suppression, 4 bytes */
    uint8_t *device;       /* split: the used ring; packed: event suppression, 4 bytes */
    uint64_t log_gpa;      /* of `device`, for the log; 0: nobody asks */
    uint64_t desc_gpa;     /* of `desc`, which we write if it is a packed ring */
    int call_fd;           /* -1: the driver looks by itself */
    uint16_t size;
    uint8_t ready;   /* everything above is set */
    uint8_t enabled; /* frames flow; otherwise what the guest sends is discarded */
    uint8_t packed, event_idx, indirect; /* what was negotiated */

    /* The owner's. */
    _Alignas(64) atomic_flag busy;
    uint8_t broken;     /* -EPROTO happened */
    uint8_t next_wrap;  /* packed: the wrap counters, 2.8.1 */
    uint8_t used_wrap;
    uint16_t next;      /* split: index into the available ring, running; packed: a slot */
    uint16_t seen;      /* split: the driver's index when we last looked */
    uint16_t used;      /* split: index into the used ring, running; packed: a slot */
    uint16_t published; /* `used` as the driver knows it */
    uint16_t batch;     /* chains used and not published */
    uint16_t first_flags; /* packed: of the first of them */
    uint8_t armed;      /* the driver kicks us */
};
_Static_assert(sizeof(struct vsw_virtq) == 128, "what is only read has a line of its own");

/* Where a walk along a chain stands. */
struct vsw_chain {
    const uint8_t *table; /* descriptors: the ring's own, or an indirect table */
    uint32_t table_size;  /* descriptors in it */
    uint32_t at;          /* the next one */
    uint32_t steps;
    uint64_t gpa; /* what is left of the last one */
    uint32_t left;
    uint16_t id;    /* by which the driver knows the chain */
    uint16_t slots; /* packed: how many of the ring's descriptors it takes */
    bool more, indirect;
};

/* A piece of a buffer, in one piece here. */
struct vsw_span {
    uint8_t *at;
    uint64_t gpa;
    uint32_t len;
};

static inline uint16_t vsw_virtq_load(const uint8_t *field, int order)
{
    return __atomic_load_n((const uint16_t *)(const void *)field, order);
}

static inline void vsw_virtq_store(uint8_t *field, uint16_t value, int order)
{
    __atomic_store_n((uint16_t *)(void *)field, value, order);
}

/* Copy a descriptor; a compiler that does not see whence it came cannot read it there again. */
static inline void vsw_desc_copy(struct vsw_desc *d, const uint8_t *from)
{
    memcpy(d, from, sizeof(*d));
    __asm__ volatile("" : "+m"(*d));
}

/* Say that the ring was written where only the device writes. */
static inline void vsw_virtq_dirty(const struct vsw_virtq *vq)
{
    if (__builtin_expect(!vq->log_gpa, 1))
        return;
    vsw_guest_dirty(vq->guest, vq->log_gpa, vq->packed ? 4 : 6u + 8u * vq->size);
    if (vq->packed)
        vsw_guest_dirty(vq->guest, vq->desc_gpa, 16u * vq->size);
}

/* ------------------------------------------------------------------ split: fields of the rings */

static inline const uint8_t *vsw_split_avail_idx(const struct vsw_virtq *vq)
{
    return vq->driver + 2;
}

static inline const uint8_t *vsw_split_used_event(const struct vsw_virtq *vq)
{
    return vq->driver + 4 + 2 * (size_t)vq->size;
}

static inline uint8_t *vsw_split_avail_event(const struct vsw_virtq *vq)
{
    return vq->device + 4 + 8 * (size_t)vq->size;
}

/* ------------------------------------------------------------------ next */

static inline int vsw_split_next(struct vsw_virtq *vq, struct vsw_chain *c)
{
    if (vq->next == vq->seen) {
        vq->seen = vsw_virtq_load(vsw_split_avail_idx(vq), __ATOMIC_ACQUIRE);
        if ((uint16_t)(vq->seen - vq->next) > vq->size)
            return -EPROTO;
        if (vq->next == vq->seen)
            return 0;
    }
    size_t slot = vq->next & (vq->size - 1u);

    c->id = vsw_virtq_load(vq->driver + 4 + 2 * slot, __ATOMIC_RELAXED);
    c->at = c->id;
    vq->next++;
    return 1;
}

static inline bool vsw_packed_is_available(const struct vsw_virtq *vq)
{
    uint16_t flags = __atomic_load_n(&vq->desc[vq->next].packed.flags, __ATOMIC_ACQUIRE);

    return !!(flags & VSW_DESC_AVAIL) == vq->next_wrap && !!(flags & VSW_DESC_USED) != vq->next_wrap;
}

/* Begin with the next chain; 1, 0 when there is none, or -EPROTO. */
static inline int vsw_virtq_next(struct vsw_virtq *vq, struct vsw_chain *c)
{
    int found;

    *c = (struct vsw_chain){.table = (const uint8_t *)vq->desc, .table_size = vq->size, .more = true};
    if (!vq->packed) {
        found = vsw_split_next(vq, c);
    } else {
        found = vsw_packed_is_available(vq);
        c->at = vq->next;
    }
    return found;
}

/* ------------------------------------------------------------------ span */

/* Go on in the indirect table that @d names (2.7.5.3, 2.8.7). */
static inline int vsw_chain_enter(const struct vsw_virtq *vq, struct vsw_chain *c,
                                  const struct vsw_desc *d, bool more)
{
    uint32_t len = d->len;
    const uint8_t *table = vsw_guest_at(vq->guest, d->addr, &len);

    if (!vq->indirect || c->indirect || more || !table || len != d->len || len == 0 || len % sizeof(*d))
        return -EPROTO;
    c->table = table;
    c->table_size = len / (uint32_t)sizeof(*d);
    c->at = 0;
    c->indirect = true;
    c->more = true;
    return 0;
}

/* Find the descriptor behind @d, a split one. */
static inline int vsw_split_step(const struct vsw_virtq *vq, struct vsw_chain *c, struct vsw_desc *d,
                                 uint16_t *flags)
{
    if (c->at >= c->table_size)
        return -EPROTO;
    vsw_desc_copy(d, c->table + c->at * sizeof(*d));
    *flags = d->split.flags;
    c->more = *flags & VSW_DESC_NEXT;
    c->at = d->split.next;
    if (*flags & VSW_DESC_INDIRECT)
        return vsw_chain_enter(vq, c, d, c->more);
    return 0;
}

/* The same for a packed one: descriptors follow each other, the last one has the chain's id; an
 * indirect table is used to its end. */
static inline int vsw_packed_step(const struct vsw_virtq *vq, struct vsw_chain *c, struct vsw_desc *d,
                                  uint16_t *flags)
{
    vsw_desc_copy(d, c->table + c->at * sizeof(*d));
    *flags = d->packed.flags;
    c->at++;
    if (c->indirect) {
        c->more = c->at < c->table_size;
        return *flags & VSW_DESC_INDIRECT ? -EPROTO : 0;
    }
    if (++c->slots > vq->size)
        return -EPROTO;
    if (c->at == vq->size)
        c->at = 0;
    c->id = d->packed.id;
    c->more = *flags & VSW_DESC_NEXT;
    if (*flags & VSW_DESC_INDIRECT)
        return vsw_chain_enter(vq, c, d, c->more);
    return 0;
}

/* DPDK's driver (22.11) says of the header in an indirect table of a packed ring that the device may
 * write it, and means that it is to be read; that is as safe as any other. */
static inline bool vsw_chain_is_dpdk(const struct vsw_virtq *vq, const struct vsw_chain *c, bool writable)
{
    return vq->packed && c->indirect && !writable;
}

/* Load the next descriptor of a chain that has more; 0, or -EPROTO. */
static inline int vsw_chain_step(const struct vsw_virtq *vq, struct vsw_chain *c, bool writable)
{
    struct vsw_desc d;
    uint16_t flags;
    int err;

    do {
        if (++c->steps > VSW_CHAIN_MAX)
            return -EPROTO;
        err = vq->packed ? vsw_packed_step(vq, c, &d, &flags) : vsw_split_step(vq, c, &d, &flags);
        if (err < 0)
            return err;
    } while (flags & VSW_DESC_INDIRECT);
    if (!!(flags & VSW_DESC_WRITE) != writable && !vsw_chain_is_dpdk(vq, c, writable))
        return -EPROTO;
    c->gpa = d.addr;
    c->left = d.len;
    return 0;
}

/* The next piece of a chain, of at most @max bytes; 1, 0 at its end, or -EPROTO.  @writable: the
 * device is to write it; a chain that mixes both is refused, as a frame has no use for it. */
static inline int vsw_chain_span(const struct vsw_virtq *vq, struct vsw_chain *c, bool writable,
                                 uint32_t max, struct vsw_span *s)
{
    while (!c->left) {
        if (!c->more)
            return 0;
        int err = vsw_chain_step(vq, c, writable);
        if (err < 0)
            return err;
    }
    s->len = c->left < max ? c->left : max;
    s->gpa = c->gpa;
    s->at = vsw_guest_at(vq->guest, s->gpa, &s->len);
    if (!s->at)
        return -EPROTO;
    c->gpa += s->len;
    c->left -= s->len;
    return 1;
}

/* Take back the span that was had last. */
static inline void vsw_chain_back(struct vsw_chain *c, const struct vsw_span *s)
{
    c->gpa -= s->len;
    c->left += s->len;
}

/* Leave the chain: the next one can be had.  In a packed ring it begins behind the last descriptor of
 * this one, which has to be found first.  0, or -EPROTO. */
static inline int vsw_chain_leave(struct vsw_virtq *vq, struct vsw_chain *c, bool writable)
{
    if (!vq->packed)
        return 0;
    while (c->more) {
        int err = vsw_chain_step(vq, c, writable);
        if (err < 0)
            return err;
    }
    vq->next = (uint16_t)(vq->next + c->slots);
    if (vq->next >= vq->size) {
        vq->next = (uint16_t)(vq->next - vq->size);
        vq->next_wrap ^= 1;
    }
    return 0;
}

/* ------------------------------------------------------------------ use */

static inline void vsw_split_use(struct vsw_virtq *vq, uint16_t id, uint32_t len)
{
    uint32_t elem[2] = {id, len};

    memcpy(vq->device + 4 + 8 * (size_t)(vq->used & (vq->size - 1u)), elem, sizeof(elem));
    vq->used++;
}

/* The first used descriptor of a batch gets its flags in publish: until then the driver sees none
 * of them (2.8.6). */
static inline void vsw_packed_use(struct vsw_virtq *vq, uint16_t id, uint16_t slots, uint32_t len)
{
    struct vsw_desc *d = &vq->desc[vq->used];
    uint32_t flags = vq->used_wrap ? VSW_DESC_AVAIL | VSW_DESC_USED : 0;

    if (len)
        flags |= VSW_DESC_WRITE;
    d->packed.id = id;
    d->len = len;
    if (vq->batch == 0)
        vq->first_flags = (uint16_t)flags;
    else
        __atomic_store_n(&d->packed.flags, (uint16_t)flags, __ATOMIC_RELEASE);
    vq->used = (uint16_t)(vq->used + slots);
    if (vq->used >= vq->size) {
        vq->used = (uint16_t)(vq->used - vq->size);
        vq->used_wrap ^= 1;
    }
}

/* Hand chain @id of @slots descriptors back, of which we wrote @len bytes; in the order of next. */
static inline void vsw_virtq_use(struct vsw_virtq *vq, uint16_t id, uint16_t slots, uint32_t len)
{
    if (vq->packed)
        vsw_packed_use(vq, id, slots, len);
    else
        vsw_split_use(vq, id, len);
    vq->batch++;
}

/* ------------------------------------------------------------------ publish */

/* Whether index @event lies in @old..@new, @new excluded (2.7.10, vring_need_event()). */
static inline bool vsw_event_passed(uint16_t event, uint16_t new, uint16_t old)
{
    return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

static inline bool vsw_split_wants_call(const struct vsw_virtq *vq, uint16_t old)
{
    if (vq->event_idx)
        return vsw_event_passed(vsw_virtq_load(vsw_split_used_event(vq), __ATOMIC_RELAXED), vq->used, old);
    return !(vsw_virtq_load(vq->driver, __ATOMIC_RELAXED) & VSW_AVAIL_NO_INTERRUPT);
}

static inline bool vsw_packed_wants_call(const struct vsw_virtq *vq, uint16_t old)
{
    uint16_t flags = vsw_virtq_load(vq->driver + 2, __ATOMIC_ACQUIRE);
    uint16_t where = vsw_virtq_load(vq->driver, __ATOMIC_RELAXED);
    uint16_t event = where & 0x7fff;

    if (flags != VSW_EVENT_DESC)
        return flags == VSW_EVENT_ENABLE;
    if (where >> 15 != vq->used_wrap)
        event = (uint16_t)(event - vq->size);
    if (vq->used <= old)
        old = (uint16_t)(old - vq->size);
    return vsw_event_passed(event, vq->used, old);
}

/* Let the driver see what was handed back; whether it wants to be called for it. */
static inline bool vsw_virtq_publish(struct vsw_virtq *vq)
{
    uint16_t old = vq->published;

    if (!vq->batch)
        return false;
    if (vq->packed)
        __atomic_store_n(&vq->desc[old].packed.flags, vq->first_flags, __ATOMIC_RELEASE);
    else
        vsw_virtq_store(vq->device + 2, vq->used, __ATOMIC_RELEASE);
    vsw_virtq_dirty(vq);
    vq->published = vq->used;
    vq->batch = 0;
    if (vq->call_fd < 0)
        return false;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the driver arms, then looks; we show, then look */
    return vq->packed ? vsw_packed_wants_call(vq, old) : vsw_split_wants_call(vq, old);
}

/* ------------------------------------------------------------------ arm */

/* Whether there is a chain to be had. */
static inline bool vsw_virtq_waiting(const struct vsw_virtq *vq)
{
    if (vq->packed)
        return vsw_packed_is_available(vq);
    return vsw_virtq_load(vsw_split_avail_idx(vq), __ATOMIC_ACQUIRE) != vq->next;
}

/* Ask for a kick with the next chain; whether there is one already. */
static inline bool vsw_virtq_arm(struct vsw_virtq *vq)
{
    if (vq->packed && vq->event_idx) {
        vsw_virtq_store(vq->device, (uint16_t)(vq->next | vq->next_wrap << 15), __ATOMIC_RELAXED);
        vsw_virtq_store(vq->device + 2, VSW_EVENT_DESC, __ATOMIC_RELEASE);
    } else if (vq->packed) {
        vsw_virtq_store(vq->device + 2, VSW_EVENT_ENABLE, __ATOMIC_RELEASE);
    } else if (vq->event_idx) {
        vsw_virtq_store(vsw_split_avail_event(vq), vq->next, __ATOMIC_RELAXED);
    } else {
        vsw_virtq_store(vq->device, 0, __ATOMIC_RELAXED);
    }
    vq->armed = 1;
    vsw_virtq_dirty(vq);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return vsw_virtq_waiting(vq);
}

/* Ask for no kicks.  With event indices in a split ring an index that lies behind does that. */
static inline void vsw_virtq_disarm(struct vsw_virtq *vq)
{
    vq->armed = 0;
    if (vq->packed)
        vsw_virtq_store(vq->device + 2, VSW_EVENT_DISABLE, __ATOMIC_RELAXED);
    else if (!vq->event_idx)
        vsw_virtq_store(vq->device, VSW_USED_NO_NOTIFY, __ATOMIC_RELAXED);
    vsw_virtq_dirty(vq);
}

#endif
