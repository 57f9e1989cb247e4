/* port_memory.h - a port whose wire is memory: tests, benchmarks, programs of others.
 *
 * The program puts frames into `in`, where the switch receives them, and takes what the switch
 * sends from `out`.  Frames are received in place, without a copy.
 */
#ifndef VSW_PORT_MEMORY_H
#define VSW_PORT_MEMORY_H

#include "datapath/port.h"
#include "datapath/ring.h"

struct vsw_memory {
    struct vsw_ring in;   /* written by the program, read by the queue's poller */
    struct vsw_ring out;  /* written by pollers under `busy`, read by the program */
    atomic_flag busy;     /* held for the copy of one burst */
    uint64_t replays;     /* how often to start over when `in` is read to its end */
    uint8_t copied;       /* 1: what is replayed is copied first, as it is with VLANs */
    uint8_t discard;      /* 1: count what is sent and forget it (benchmarks) */
};

extern const struct vsw_port_ops vsw_port_memory_ops;

#endif
