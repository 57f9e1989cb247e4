# Declarations of poller.h, call.h, pulse.h, gate.h and finish.h for cimport.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from vswitch.datapath.event cimport vsw_events
from vswitch.datapath.frame cimport vsw_frame
from vswitch.datapath.neigh cimport vsw_neighs
from vswitch.datapath.port cimport vsw_burst, vsw_counters, vsw_egress, vsw_port, vsw_queue
from vswitch.datapath.ring cimport vsw_ring


cdef extern from "datapath/gate.h" nogil:
    struct vsw_gate:
        pass

    int vsw_gate_init(vsw_gate *g)
    void vsw_gate_destroy(vsw_gate *g)
    bint vsw_gate_enter(vsw_gate *g)
    bint vsw_gate_pass(vsw_gate *g)
    void vsw_gate_close(vsw_gate *g)
    void vsw_gate_wait(vsw_gate *g)
    void vsw_gate_open(vsw_gate *g)
    void vsw_gate_stop(vsw_gate *g)


cdef extern from "datapath/call.h" nogil:
    struct vsw_caller:
        pass

    int vsw_caller_open(vsw_caller *c)


cdef extern from "datapath/pulse.h" nogil:
    enum:
        VSW_PULSE_TIMES

    struct vsw_pulse:
        uint64_t rounds

    uint64_t vsw_pulse_begin(const vsw_pulse *p)
    void vsw_pulse_end(vsw_pulse *p, unsigned frames, uint64_t since)


cdef extern from "datapath/poller.h" nogil:
    enum:
        VSW_SCRATCH

    struct vsw_poller:
        int epoll_fd
        int wake_fd
        int notify_fd
        uint16_t id
        uint8_t by_hand
        vsw_caller caller
        uint64_t busy_poll_ns
        vsw_counters *counters
        vsw_pulse *pulse
        vsw_egress *egress
        uint8_t *scratch
        uint32_t now_s
        unsigned n_active
        unsigned n_touched
        uint16_t *touched
        vsw_queue **active
        vsw_burst burst
        vsw_ring punt
        const uint8_t *probe_id
        uint64_t probes_s
        const vsw_neighs *neighs
        uint8_t *answers
        uint64_t answered
        uint64_t suppressed
        vsw_events *events

    void vsw_poller_by_hand(vsw_poller *p, uint32_t now_s)
    int vsw_poller_open(vsw_poller *p)
    void vsw_poller_close(vsw_poller *p)
    int vsw_poller_watch(vsw_poller *p, vsw_queue *q)
    void vsw_poller_wake(const vsw_poller *p)
    void vsw_eventfd_signal(int fd)
    void vsw_poller_gather(vsw_poller *p)
    void vsw_poller_fail(vsw_poller *p, vsw_queue *q, int error)
    unsigned vsw_poller_keep(vsw_poller *p, unsigned i, unsigned frames)
    void vsw_poller_activate(vsw_poller *p, vsw_queue *q)
    void vsw_poller_forget(vsw_poller *p, vsw_queue *q)
    int vsw_poller_exchange(vsw_poller *p, vsw_queue *q, int fd)
    void vsw_poller_notify(const vsw_poller *p)


cdef extern from "datapath/admit.h" nogil:
    enum:
        VSW_FORWARD
        VSW_PUNT
        VSW_DISCARD

    enum:
        VSW_ADMITTED

    unsigned vsw_admit(vsw_frame *f, const uint8_t *reserved)


cdef extern from "datapath/loop.h" nogil:
    enum:
        VSW_PROBE_ID_LEN


cdef extern from "datapath/punt.h" nogil:
    void vsw_keep(vsw_poller *p, vsw_counters *c, const vsw_port *src, const vsw_frame *f)
    void vsw_refuse(
        vsw_poller *p, vsw_counters *c, const vsw_port *src, const vsw_frame *f, unsigned why
    )


cdef extern from "datapath/finish.h" nogil:
    void vsw_egress_add(vsw_poller *p, uint16_t port, const vsw_frame *f)
    void vsw_egress_send(vsw_poller *p, const vsw_port *port)
