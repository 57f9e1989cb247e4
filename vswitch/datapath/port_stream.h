/* port_stream.h - a port over a stream socket: QEMU's -netdev stream, passt, another switch.
 *
 * Every frame travels behind its length, 4 bytes, big endian (QEMU, net/stream_data.c); there is
 * no virtio-net header, so frames arrive finished and have to leave finished.
 *
 * A stream has no frames, only bytes: what one call reads may end in the middle of a frame, or
 * of a length, and what one call writes may, too.  So the port keeps, between two calls,
 *   - what was read and not handed out yet, at most a frame's beginning when nothing is active;
 *   - what is left of one frame that the socket took in part (`rest`).  It goes out before
 *     anything else, or the stream would be out of step for ever.  Should no further frame come,
 *     it must not lie there: while there is a rest the owner's epoll watches for room, too, and
 *     every rx_burst tries to send it.
 * Frames that the socket does not take at all are dropped: a stalled VM costs nobody else
 * anything, and keeps its connection.
 */
#ifndef VSW_PORT_STREAM_H
#define VSW_PORT_STREAM_H

#include "datapath/port.h"

#include <stdatomic.h>

#define VSW_STREAM_PREFIX 4u
/* Bytes a call reads: a burst of long frames, several of short ones. */
#define VSW_STREAM_CHUNK VSW_BURST_BYTES_MAX
/* The beginning of the longest frame, and a whole chunk behind it. */
#define VSW_STREAM_BUFFER (VSW_STREAM_PREFIX + VSW_FRAME_MAX + VSW_STREAM_CHUNK)

struct vsw_stream {
    /* Of the poller that owns the queue: bytes read and not handed out. */
    _Alignas(64) uint32_t start;
    uint32_t end;
    uint8_t buffer[VSW_STREAM_BUFFER];

    /* Of whoever transmits, under `busy`, held for one system call. */
    _Alignas(64) atomic_flag busy;
    _Atomic uint32_t rest_len; /* written under `busy`; read without it as a hint */
    uint32_t rest_at;
    uint8_t rest[VSW_STREAM_PREFIX + VSW_FRAME_MAX];
};

/* Begin anew, with another connection: nothing read, no rest.  The pollers are parked. */
static inline void vsw_stream_begin(struct vsw_stream *s)
{
    s->start = s->end = 0;
    atomic_store_explicit(&s->rest_len, 0, memory_order_relaxed);
}

extern const struct vsw_port_ops vsw_port_stream_ops;

#endif
