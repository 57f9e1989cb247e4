/* punt.h - received frames that are for the control plane, or for nobody. */
#ifndef VSW_PUNT_H
#define VSW_PUNT_H

#include "datapath/admit.h"
#include "datapath/pieces.h"
#include "datapath/poller.h"
#include "datapath/ring.h"

/* Instead of a reason to drop: the frame is for the control plane, and is not even learned from. */
#define VSW_PUNTED (VSW_DROP_N + 1)

static __attribute__((noinline, unused)) void vsw_punt(struct vsw_poller *p, struct vsw_counters *c,
                                                       const struct vsw_port *src,
                                                       const struct vsw_frame *f)
{
    if (vsw_ring_put(&p->punt, src->id, vsw_frame_whole(&p->burst, f))) {
        c->punted++;
        vsw_poller_notify(p);
    } else {
        c->drops[VSW_DROP_PUNT_FULL]++;
    }
}

/* @f is for a reserved address that is not forwarded. */
static inline void vsw_keep(struct vsw_poller *p, struct vsw_counters *c, const struct vsw_port *src,
                            const struct vsw_frame *f)
{
    if (f->verdict == VSW_DISCARD)
        c->drops[VSW_DROP_RESERVED]++;
    else
        vsw_punt(p, c, src, f);
}

/* @f may not go on by itself: @why is a reason to drop it, or VSW_PUNTED. */
static inline void vsw_refuse(struct vsw_poller *p, struct vsw_counters *c, const struct vsw_port *src,
                              const struct vsw_frame *f, unsigned why)
{
    if (why == VSW_PUNTED)
        vsw_punt(p, c, src, f);
    else
        c->drops[why]++;
}

#endif
