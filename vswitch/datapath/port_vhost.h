/* port_vhost.h - a virtual machine's network card, by vhost-user: frames through shared memory.
 *
 * The guest's memory is mapped (guest.h), its virtqueues are worked on in place (virtq.h); no system
 * call is made while both sides are busy.  Ring 2i is the guest's receive queue of pair i, to which
 * we transmit; ring 2i+1 its transmit queue, from which queue i of the port receives.
 *
 * A frame is copied out of the guest as far as anything is decided by it, since its owner may change
 * it at any moment; how the rest of a long one gets from guest to guest is in pieces.h.  A guest that breaks the rules loses its port and nothing else: reception ends
 * with EPROTO, the control plane hears of it, and until then frames for it are dropped.
 */
#ifndef VSW_PORT_VHOST_H
#define VSW_PORT_VHOST_H

#include "datapath/call.h"
#include "datapath/port.h"
#include "datapath/virtq.h"

struct vsw_vhost {
    /* Written by the control plane while the pollers are parked. */
    struct vsw_guest guest;
    const struct vsw_caller *caller; /* calls the driver */
    int notify_fd;      /* eventfd of the control plane */
    uint8_t header_len; /* 12 with VERSION_1 or MRG_RXBUF, 10 otherwise (5.1.6.1) */
    uint8_t mergeable;  /* a frame may be spread over several of its buffers */
    uint8_t to_ring[VSW_QUEUES_MAX]; /* where frames sent by queue i go; VSW_RING_NONE: nowhere */

    struct vsw_virtq ring[2 * VSW_QUEUES_MAX];
};

#define VSW_RING_NONE 255u

/* Prepare a zeroed one: no guest is there yet. */
static inline void vsw_vhost_init(struct vsw_vhost *vh, const struct vsw_caller *caller, int notify_fd)
{
    vh->caller = caller;
    vh->notify_fd = notify_fd;
    vh->header_len = VSW_VNET_LEN + 2;
    memset(vh->to_ring, (int)VSW_RING_NONE, sizeof(vh->to_ring));
    for (unsigned i = 0; i < 2 * VSW_QUEUES_MAX; i++)
        vh->ring[i].call_fd = -1;
}

extern const struct vsw_port_ops vsw_port_vhost_ops;

#endif
