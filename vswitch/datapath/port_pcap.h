/* port_pcap.h - a port whose wire is files: a capture that enters, a recording of what leaves.
 *
 * The frames lie in memory, each behind a virtio-net header of zeroes, with the time when it is
 * due.  The queue's descriptor is a timer, which the kernel makes readable when the next frame is
 * due; frames that are due together are handed out in bursts, and where they lie.  When the last
 * has entered, the queue ends with ENODATA and is never looked at again; the port goes on sending.
 *
 *   first read: the capture begins now  ->  due frames ... timer ... due frames  ->  ENODATA
 *
 * What leaves is written as records with the time of day (draft-ietf-opsawg-pcap section 5,
 * -pcapng 4.3), under a lock held for one system call.  No part of a record is left in a file: what
 * a full disk took of one is cut off again.  A pipe takes records of up to PIPE_BUF bytes as a
 * whole, or not at all (pipe(7)); so nothing longer may be sent there, which is for the caller to
 * see to.
 */
#ifndef VSW_PORT_PCAP_H
#define VSW_PORT_PCAP_H

#include "datapath/port.h"

#include <stdatomic.h>

#define VSW_PCAP_OVERHEAD 35u /* most bytes around a frame: an Enhanced Packet Block, padded */

/* A frame of the capture, as ports/pcap.py packs it.  It begins behind the one before it, with its
 * virtio-net header. */
struct vsw_pcap_entry {
    uint64_t due_ns; /* since the begin */
    uint64_t end;    /* of the frame, from the first byte of all frames */
};

struct vsw_pcap {
    /* Set up while parked. */
    const uint8_t *frames;
    const struct vsw_pcap_entry *entry;
    uint64_t n_entries;
    uint64_t period_ns; /* from one begin to the next */
    uint64_t loops;     /* 0: without end */
    int out_fd;         /* -1: what leaves is counted and forgotten */
    uint8_t pipe;       /* out_fd is one, or anything else that has no places */
    uint8_t ng;         /* records are pcapng's */

    /* The queue's poller's. */
    uint8_t begun;
    uint64_t begin_ns; /* of this loop */
    uint64_t done;     /* loops */
    uint64_t next;     /* entry */

    atomic_flag busy;  /* held for one write */
    uint64_t out_at;   /* where the next record goes, in a file */
};

/* Take @frames of @size bytes, and @index with their entries; both stay the caller's.  Whether the
 * entries follow each other in there. */
static inline bool vsw_pcap_fill(struct vsw_pcap *s, const char *frames, uint64_t size,
                                 const char *index, uint64_t index_size)
{
    uint64_t at = 0;

    s->frames = (const uint8_t *)frames;
    s->entry = (const struct vsw_pcap_entry *)(const void *)index;
    s->n_entries = index_size / sizeof(*s->entry);
    for (uint64_t i = 0; i < s->n_entries; at = s->entry[i++].end)
        if (s->entry[i].end > size || s->entry[i].end < at + VSW_VNET_LEN)
            return false;
    return true;
}

extern const struct vsw_port_ops vsw_port_pcap_ops;

#endif
