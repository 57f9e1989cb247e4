/* finish.h - the last step of a burst: to the device as it is, or finished for it first.
 *
 * A frame may come with work left undone: a checksum to fill in, a super-frame to cut (vnet.h).
 * Or it has yet to be put together (pieces.h).  A port that takes such frames gets them untouched.
 * For one that does not, pieces are joined where there is room for them, and the rest is done here
 * into the poller's scratch memory, a few segments at a time, so what a stranger asks for costs time
 * in proportion to the bytes he sent and memory not at all.
 */
#ifndef VSW_FINISH_H
#define VSW_FINISH_H

#include "datapath/gso.h"
#include "datapath/pieces.h"
#include "datapath/poller.h"
#include "datapath/port.h"
#include "datapath/vlan.h"

/* Frames on their way to one queue, sent when the list or the scratch memory is full. */
struct vsw_outbox {
    struct vsw_queue *q;
    struct vsw_counters *c;
    struct vsw_burst *burst; /* whose frames they are */
    uint8_t *at, *end; /* free scratch memory */
    uint8_t *scratch;
    unsigned n;
    const struct vsw_frame *in[VSW_BURST];
    struct vsw_frame made[VSW_BURST]; /* frames that live in scratch memory */
};

static inline void vsw_outbox_flush(struct vsw_outbox *o)
{
    if (o->n)
        o->q->port->ops->tx_burst(o->q, o->in, o->n, o->c);
    o->n = 0;
    o->at = o->scratch;
}

/* Cut the super-frame @f and send the segments, after what waits already. */
static inline void vsw_outbox_cut(struct vsw_outbox *o, const struct vsw_frame *f)
{
    struct vsw_gso gso;

    vsw_outbox_flush(o);
    if (vsw_gso_begin(&gso, f) < 0) {
        o->c->drops[VSW_DROP_TX_OFFLOAD]++;
        return;
    }
    if (vsw_gso_longest(&gso) > o->q->port->max_len + (f->tagged ? VSW_TAG_LEN : 0u)) {
        o->c->drops[VSW_DROP_TOO_LONG]++;
        return;
    }
    while ((o->n = vsw_gso_next(&gso, o->scratch, VSW_SCRATCH, o->made, VSW_BURST)) > 0) {
        for (unsigned i = 0; i < o->n; i++)
            o->in[i] = &o->made[i];
        vsw_outbox_flush(o);
    }
}

/* Add @f with its checksum filled in. */
static inline void vsw_outbox_complete(struct vsw_outbox *o, const struct vsw_frame *f)
{
    if (o->at + VSW_GSO_BUF_SIZE > o->end)
        vsw_outbox_flush(o);
    o->at += (vsw_csum_complete(f, o->at, &o->made[o->n]) + 15u) & ~15u;
    o->in[o->n] = &o->made[o->n];
    o->n++;
}

static inline void vsw_outbox_add(struct vsw_outbox *o, const struct vsw_frame *f)
{
    const struct vsw_port *port = o->q->port;
    unsigned undone = f->needs & ~(unsigned)port->can;

    if (undone)
        vsw_frame_whole(o->burst, f);
    if (o->n == VSW_BURST)
        vsw_outbox_flush(o);
    if (undone && (f->needs & VSW_GSO_BITS)) /* no half of it: virtio 1.2, 5.1.3.1 */
        vsw_outbox_cut(o, f);
    else if (vsw_frame_bare_len(f) > port->max_len && !(f->needs & VSW_GSO_BITS))
        o->c->drops[VSW_DROP_TOO_LONG]++;
    else if (undone)
        vsw_outbox_complete(o, f);
    else
        o->in[o->n++] = f;
}

static __attribute__((noinline, unused)) void vsw_finish(struct vsw_poller *p, struct vsw_queue *q,
                                                 const struct vsw_egress *out,
                                                 struct vsw_counters *c)
{
    struct vsw_outbox o = {.q = q, .c = c, .burst = &p->burst, .scratch = p->scratch,
                           .at = p->scratch, .end = p->scratch + VSW_SCRATCH};

    for (unsigned i = 0; i < out->n; i++)
        vsw_outbox_add(&o, out->frame[i]);
    vsw_outbox_flush(&o);
}

/* Note that @f leaves by @port when the burst is sent. */
static inline void vsw_egress_add(struct vsw_poller *p, uint16_t port, const struct vsw_frame *f)
{
    struct vsw_egress *out = &p->egress[port];

    if (out->n == 0)
        p->touched[p->n_touched++] = port;
    out->frame[out->n++] = f;
    out->needs |= f->needs;
    if (f->len > out->longest && !(f->needs & VSW_GSO_BITS))
        out->longest = f->len;
}

/* Put together what is for a port that does not take pieces. */
static __attribute__((noinline, unused)) void vsw_egress_join(struct vsw_poller *p,
                                                              struct vsw_egress *out)
{
    for (unsigned i = 0; i < out->n; i++)
        vsw_frame_whole(&p->burst, out->frame[i]);
    out->needs &= (uint8_t)~VSW_PIECES;
}

/* Send what the burst has for @port, in the form it has by now, and empty the list. */
static inline void vsw_egress_send(struct vsw_poller *p, const struct vsw_port *port)
{
    struct vsw_egress *out = &p->egress[port->id];
    struct vsw_counters *c = &p->counters[port->id];
    struct vsw_queue *q = vsw_port_tx_queue(port, p->id);

    if (__builtin_expect(out->needs & ~(unsigned)port->can & VSW_PIECES, 0))
        vsw_egress_join(p, out);
    if (__builtin_expect(!(out->needs & ~(unsigned)port->can) && out->longest <= port->max_len, 1))
        port->ops->tx_burst(q, out->frame, out->n, c);
    else
        vsw_finish(p, q, out, c);
    out->n = 0;
    out->longest = 0;
    out->needs = 0;
}

#endif
