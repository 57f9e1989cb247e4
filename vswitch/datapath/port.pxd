# Declarations of port.h, drop.h and the port kinds for cimport.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from vswitch.datapath.frame cimport vsw_frame
from vswitch.datapath.ring cimport vsw_ring


cdef extern from "datapath/drop.h" nogil:
    enum:
        VSW_DROP_RESERVED
        VSW_DROP_BLOCKED
        VSW_DROP_HAIRPIN
        VSW_DROP_VLAN
        VSW_DROP_GUARDED
        VSW_DROP_POLICED
        VSW_DROP_NO_EGRESS
        VSW_DROP_SUPPRESSED
        VSW_DROP_PUNT_FULL
        VSW_DROP_RX_FULL
        VSW_DROP_N

    struct vsw_drop_reason:
        const char *name
        const char *where
        const char *text

    const vsw_drop_reason *vsw_drop_reason_of "vsw_drop_reason" (size_t reason)


cdef extern from "datapath/port.h" nogil:
    enum:
        VSW_PORTS_MAX
        VSW_QUEUES_MAX
        VSW_MTU_EXTRA
        VSW_ARENA

    struct vsw_counters:
        uint64_t rx_frames
        uint64_t rx_bytes
        uint64_t tx_frames
        uint64_t forwarded
        uint64_t punted
        uint64_t flooded_unicast
        uint64_t flooded_multicast
        uint64_t flooded_broadcast
        uint64_t *drops

    struct vsw_burst:
        unsigned n
        uint32_t lost
        uint8_t *arena
        vsw_frame *frame
        bint is_mirrored
        uint32_t *mirrored

    struct vsw_port_ops:
        pass

    struct vsw_vlans:
        pass

    struct vsw_policy:  # of pointers, whose types are each in a file of its own
        void *guard
        void *meters
        void *mirror
        void *shaper

    struct vsw_queue:
        vsw_port *port
        void *priv
        int fd
        int error
        uint16_t poller

    struct vsw_port:
        const vsw_port_ops *ops
        vsw_queue *queue
        void *priv
        uint32_t max_len
        uint16_t n_queues
        uint16_t id
        uint8_t can
        uint8_t learning
        uint8_t forwarding
        uint8_t mab
        uint16_t rules
        uint16_t backup
        vsw_vlans *vlans
        vsw_policy *policy

    struct vsw_egress:
        pass

    const vsw_port_ops *vsw_port_kind(const vsw_port *p)
    int vsw_port_rx(vsw_queue *q, vsw_burst *b)
    void vsw_port_done(vsw_queue *q)


cdef extern from "datapath/pieces.h" nogil:
    const vsw_frame *vsw_frame_whole(vsw_burst *b, const vsw_frame *f)


cdef extern from "datapath/port_tap.h" nogil:
    const vsw_port_ops vsw_port_tap_ops


cdef extern from "datapath/port_packet.h" nogil:
    enum:
        VSW_RING_SLOT

    struct vsw_packet:
        pass

    void vsw_packet_init(vsw_packet *s, uint8_t *ring, uint32_t slots)
    const vsw_port_ops vsw_port_packet_ops


cdef extern from "datapath/port_memory.h" nogil:
    struct vsw_memory:
        vsw_ring in_ "in"
        vsw_ring out
        uint64_t replays
        uint8_t copied
        uint8_t discard

    const vsw_port_ops vsw_port_memory_ops


cdef extern from "datapath/port_stream.h" nogil:
    struct vsw_stream:
        pass

    void vsw_stream_begin(vsw_stream *s)
    const vsw_port_ops vsw_port_stream_ops


cdef extern from "datapath/port_dgram.h" nogil:
    struct vsw_dgram:
        pass

    int vsw_dgram_set_peer(vsw_dgram *d, const char *path, size_t len)
    const vsw_port_ops vsw_port_dgram_ops


cdef extern from "datapath/port_pcap.h" nogil:
    struct vsw_pcap:
        uint64_t period_ns
        uint64_t loops
        int out_fd
        uint8_t pipe
        uint8_t ng
        uint64_t out_at

    bint vsw_pcap_fill(
        vsw_pcap *s, const char *frames, uint64_t size, const char *index, uint64_t index_size
    )
    const vsw_port_ops vsw_port_pcap_ops
