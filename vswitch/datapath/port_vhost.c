/* port_vhost.c - frames out of a guest's transmit queue and into its receive queue; see port_vhost.h. */
#include "datapath/port_vhost.h"

#include "datapath/lock.h"
#include "datapath/poller.h"
#include "datapath/vhost_take.h"
#include "datapath/virtq_ahead.h"

#define ROOM_SPANS 256u  /* pieces of guest memory one frame may go to: 64 KiB in buffers of 1.5 KiB */
#define ROOM_CHAINS 128u /* take 43 chains */

/* Let the guest see what was handed back, and tell it if it asked for that: then publish has seen
 * to it that there is somebody to be called. */
static void vhost_publish(const struct vsw_vhost *vh, struct vsw_virtq *vq)
{
    if (vsw_virtq_publish(vq))
        vsw_call(vh->caller, vq->call_fd);
}

/* ------------------------------------------------------------------ receive */

static inline struct vsw_virtq *vhost_ring_of(const struct vsw_queue *q)
{
    struct vsw_vhost *vh = q->priv;

    return &vh->ring[2 * (q - q->port->queue) + 1];
}

static int vhost_rx_burst(struct vsw_queue *q, struct vsw_burst *b)
{
    struct vsw_virtq *vq = vhost_ring_of(q);
    uint8_t *at = b->arena;
    uint32_t steps = 0;
    unsigned needs = 0;
    int n = 0, got = 1;

    if (!vq->ready)
        return 0;
    if (vq->broken || q->error) /* of our ring, or of the one we send to */
        return -EPROTO;
    if (vq->armed)
        vsw_virtq_disarm(vq);
    while (n < (int)VSW_BURST && at < b->arena + VSW_BURST_BYTES && steps < VSW_CHAIN_MAX) {
        vsw_virtq_prefetch(vq);
        got = vsw_vhost_take(q->priv, vq, b, &b->frame[n], at + VSW_VHOST_FRONT, &steps);
        if (got <= 0)
            break;
        needs |= b->frame[n].needs;
        at += (VSW_VHOST_FRONT + (size_t)b->frame[n++].len + 63) & ~(size_t)63;
    }
    if (got < 0)
        vq->broken = 1; /* said with the next burst, behind the good ones of this */
    if (!vq->enabled)
        n = 0;
    if (!n || !needs) /* nobody looks at the buffers any more */
        vhost_publish(q->priv, vq);
    return got < 0 && n == 0 ? -EPROTO : n;
}

static void vhost_done(struct vsw_queue *q)
{
    vhost_publish(q->priv, vhost_ring_of(q));
}

static bool vhost_ready(struct vsw_queue *q, bool arm)
{
    struct vsw_virtq *vq = vhost_ring_of(q);

    if (!vq->ready)
        return false;
    return vq->broken || (arm ? vsw_virtq_arm(vq) : vsw_virtq_waiting(vq));
}

/* ------------------------------------------------------------------ transmit */

/* Where a frame is to be written. */
struct vhost_room {
    uint32_t bytes;
    uint32_t steps; /* of all chains together */
    unsigned n_spans, n_chains;
    struct vsw_span span[ROOM_SPANS];
    struct {
        uint16_t id, slots;
        uint32_t bytes;
    } chain[ROOM_CHAINS];
};

/* Add the next chain to @room, as much of it as @need takes; 1, 0 when there is none, or -EPROTO. */
static int vhost_add_chain(struct vsw_virtq *vq, uint32_t need, struct vhost_room *room)
{
    struct vsw_chain c;
    uint32_t before = room->bytes;
    int more = vsw_virtq_next(vq, &c);

    if (more <= 0)
        return more;
    c.steps = room->steps;
    while (room->bytes < need && room->n_spans < ROOM_SPANS &&
           (more = vsw_chain_span(vq, &c, true, need - room->bytes, &room->span[room->n_spans])) > 0)
        room->bytes += room->span[room->n_spans++].len;
    if (more < 0 || room->bytes == before || vsw_chain_leave(vq, &c, true) < 0)
        return -EPROTO;
    room->steps = c.steps;
    room->chain[room->n_chains].id = c.id;
    room->chain[room->n_chains].slots = c.slots;
    room->chain[room->n_chains++].bytes = room->bytes - before;
    return 1;
}

/* Find room for @need bytes.  1; 0 when the guest has not provided enough, or not yet, upon which
 * nothing is taken; -EMSGSIZE when its buffers are too small; -EPROTO. */
static int vhost_find_room(const struct vsw_vhost *vh, struct vsw_virtq *vq, uint32_t need,
                           struct vhost_room *room)
{
    uint16_t next = vq->next;
    uint8_t next_wrap = vq->next_wrap;
    int found;

    room->bytes = room->steps = room->n_spans = room->n_chains = 0;
    do
        found = vhost_add_chain(vq, need, room);
    while (found > 0 && room->bytes < need && vh->mergeable && room->n_chains < ROOM_CHAINS &&
           room->n_spans < ROOM_SPANS);
    if (found > 0 && room->bytes < need)
        found = -EMSGSIZE;
    if (found <= 0) {
        vq->next = next;
        vq->next_wrap = next_wrap;
    }
    return found;
}

/* Write @len bytes at offset @at of the room; @i is the span there, @done its bytes written. */
static void vhost_write(const struct vsw_guest *g, const struct vhost_room *room, unsigned *i,
                        uint32_t *done, const uint8_t *from, uint32_t len)
{
    while (len) {
        const struct vsw_span *s = &room->span[*i];
        uint32_t n = s->len - *done < len ? s->len - *done : len;

        memmove(s->at + *done, from, n); /* two guests may share memory */
        vsw_guest_dirty(g, s->gpa + *done, n);
        from += n;
        len -= n;
        *done += n;
        if (*done == s->len) {
            ++*i;
            *done = 0;
        }
    }
}

/* The header of @f for the guest, as long as the longest. */
static inline void vhost_header(const struct vsw_frame *f, unsigned n_chains,
                                uint8_t header[VSW_VNET_LEN + 2])
{
    memset(header, 0, VSW_VNET_LEN + 2);
    if (f->needs & ~VSW_PIECES) /* other remarks are not ours to make, see vnet.h */
        memcpy(header, vsw_vnet(f), VSW_VNET_LEN);
    header[VSW_VNET_LEN] = (uint8_t)n_chains; /* num_buffers, 5.1.6.4; 1 if not mergeable */
}

/* Write @f behind its header, and hand the buffers back. */
static void vhost_fill(const struct vsw_vhost *vh, struct vsw_virtq *vq, const struct vhost_room *room,
                       const struct vsw_frame *f)
{
    uint8_t header[VSW_VNET_LEN + 2];
    unsigned i = 0;
    uint32_t done = 0;

    vhost_header(f, room->n_chains, header);
    vhost_write(&vh->guest, room, &i, &done, header, vh->header_len);
    if (f->needs & VSW_PIECES) {
        const struct vsw_pieces *list = vsw_pieces(f);

        vhost_write(&vh->guest, room, &i, &done, f->data, VSW_HEAD);
        for (uint32_t k = 0; k < list->n; k++)
            vhost_write(&vh->guest, room, &i, &done, list->piece[k].at, list->piece[k].len);
    } else {
        vhost_write(&vh->guest, room, &i, &done, f->data, f->len);
    }
    for (i = 0; i < room->n_chains; i++)
        vsw_virtq_use(vq, room->chain[i].id, room->chain[i].slots, room->chain[i].bytes);
}

/* Send @f in whatever pieces the guest provides; as vhost_find_room(). */
static __attribute__((noinline)) int vhost_send_spread(const struct vsw_vhost *vh, struct vsw_virtq *vq,
                                                       const struct vsw_frame *f)
{
    struct vhost_room room;
    int found = vhost_find_room(vh, vq, vh->header_len + f->len, &room);

    if (found > 0)
        vhost_fill(vh, vq, &room, f);
    return found;
}

/* Write @f to @to, in one piece. */
static inline void vhost_put(uint8_t *to, const struct vsw_frame *f)
{
    if (f->needs & VSW_PIECES) {
        memcpy(to, f->data, VSW_HEAD);
        vsw_pieces_copy(to + VSW_HEAD, vsw_pieces(f)->piece, vsw_pieces(f)->n);
    } else if (f->len <= VSW_VHOST_COPY_MAX) {
        vsw_copy_short(to, f->data, f->len);
    } else {
        memcpy(to, f->data, f->len);
    }
}

/* Send @f; as vhost_find_room().  Most guests provide buffers that take it in one piece. */
static inline int vhost_send_one(const struct vsw_vhost *vh, struct vsw_virtq *vq,
                                 const struct vsw_frame *f)
{
    uint32_t header_len = vh->header_len, need = header_len + f->len;
    uint16_t next = vq->next;
    uint8_t header[VSW_VNET_LEN + 2];
    struct vsw_chain c;
    struct vsw_span s;
    int found = vsw_virtq_next(vq, &c);

    if (found <= 0)
        return found;
    if (vsw_chain_span(vq, &c, true, need, &s) <= 0 || s.len != need) {
        vq->next = next;
        return vhost_send_spread(vh, vq, f);
    }
    if (vsw_chain_leave(vq, &c, true) < 0)
        return -EPROTO;
    vhost_header(f, 1, header);
    memcpy(s.at, header, VSW_VNET_LEN);
    if (header_len > VSW_VNET_LEN)
        memcpy(s.at + VSW_VNET_LEN, header + VSW_VNET_LEN, 2);
    vhost_put(s.at + header_len, f);
    vsw_guest_dirty(&vh->guest, s.gpa, need);
    vsw_virtq_use(vq, c.id, c.slots, need);
    return 1;
}

/* Send while there is room; how many frames were dealt with.  Locked. */
static unsigned vhost_send(const struct vsw_vhost *vh, struct vsw_virtq *vq,
                           const struct vsw_frame *const *in, unsigned n, struct vsw_counters *c)
{
    unsigned i;

    for (i = 0; i < n; i++) {
        vsw_virtq_prefetch(vq);
        int found = vhost_send_one(vh, vq, in[i]);

        vq->broken = found == -EPROTO;
        if (found == 0 || vq->broken)
            break;
        if (found < 0) {
            c->drops[VSW_DROP_TX_ERROR]++;
            continue;
        }
        c->tx_frames++;
        c->tx_bytes += in[i]->len;
    }
    return i;
}

/* The guest broke the rules: receive nothing from it any more, and tell the control plane.  The kick
 * descriptor is the guest's as well, so that closing ours does not make epoll forget it. */
static void vhost_fail(const struct vsw_vhost *vh, struct vsw_queue *q)
{
    __atomic_store_n(&q->error, EPROTO, __ATOMIC_RELAXED);
    if (q->fd >= 0)
        epoll_ctl(q->epoll_fd, EPOLL_CTL_DEL, q->fd, NULL);
    vsw_eventfd_signal(vh->notify_fd);
}

/* The ring of our pair, or of another one while the driver uses fewer; NULL: none. */
static inline struct vsw_virtq *vhost_ring_to(struct vsw_vhost *vh, const struct vsw_queue *q)
{
    uint8_t ring = vh->to_ring[q - q->port->queue];

    return ring == VSW_RING_NONE ? NULL : &vh->ring[ring];
}

static void vhost_tx_burst(struct vsw_queue *q, const struct vsw_frame *const *in, unsigned n,
                           struct vsw_counters *c)
{
    struct vsw_vhost *vh = q->priv;
    struct vsw_virtq *vq = vhost_ring_to(vh, q);
    unsigned done;

    if (!vq) {
        c->drops[VSW_DROP_TX_ERROR] += n;
        return;
    }
    vsw_lock(&vq->busy);
    if (vq->broken) { /* only whoever holds it knows for sure */
        vsw_unlock(&vq->busy);
        c->drops[VSW_DROP_TX_ERROR] += n;
        return;
    }
    done = vhost_send(vh, vq, in, n, c);
    c->drops[vq->broken ? VSW_DROP_TX_ERROR : VSW_DROP_TX_FULL] += n - done;
    if (vq->broken)
        vhost_fail(vh, q);
    vhost_publish(vh, vq);
    vsw_unlock(&vq->busy);
}

const struct vsw_port_ops vsw_port_vhost_ops = {
    .rx_burst = vhost_rx_burst, .tx_burst = vhost_tx_burst, .ready = vhost_ready, .done = vhost_done};
