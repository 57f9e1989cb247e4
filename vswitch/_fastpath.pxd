# Layout of Datapath, for the other compiled modules.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from vswitch.datapath.event cimport vsw_events
from vswitch.datapath.fdb cimport vsw_fdb
from vswitch.datapath.frame cimport vsw_frame
from vswitch.datapath.poller cimport vsw_gate, vsw_poller
from vswitch.datapath.port cimport VSW_PORTS_MAX, vsw_counters, vsw_port, vsw_port_ops, vsw_queue
from vswitch.datapath.ring cimport vsw_ring
from vswitch.datapath.rules cimport vsw_entrance, vsw_question


cdef class Datapath:
    # Owner -> what it allocated: a port number, (port number, what for), or None.
    cdef dict _memory
    cdef vsw_port *_port
    cdef vsw_poller **_poller
    cdef unsigned _n_pollers
    cdef unsigned _ports_end  # one more than the highest port number in use
    cdef vsw_fdb *_fdb
    cdef vsw_gate *_gate
    cdef bint _gate_ready
    cdef unsigned _n_flood
    cdef unsigned _flood_rules  # enum vsw_rule bits: what any of them asks of what is flooded
    cdef uint16_t[VSW_PORTS_MAX] _flood  # forwarding ports, in order of their numbers
    cdef uint8_t[16] _reserved           # enum vsw_verdict by last nibble of 01-80-C2-00-00-0x
    cdef readonly object counter_memory  # vsw_counters[pollers][PORTS_MAX]
    cdef readonly object pulse_memory    # vsw_pulse[pollers]

    cdef unsigned _receive(self, vsw_poller *p, vsw_queue *q) noexcept nogil
    cdef void _round(self, vsw_poller *p) noexcept nogil
    cdef void _count_lost(self, vsw_poller *p, vsw_counters *c) noexcept nogil
    cdef void _admit(
        self, vsw_poller *p, vsw_counters *c, vsw_port *src, unsigned n, vsw_entrance enter
    ) noexcept nogil
    cdef void _sift(
        self, vsw_poller *p, vsw_counters *c, vsw_port *src, vsw_question may
    ) noexcept nogil
    cdef void _learn(self, vsw_poller *p, vsw_port *src) noexcept nogil
    cdef void _decide(self, vsw_poller *p, vsw_counters *c, vsw_port *src) noexcept nogil
    cdef void _forward_by_rule(
        self, vsw_poller *p, vsw_counters *c, vsw_port *src, uint16_t dst, const vsw_frame *f
    ) noexcept nogil
    cdef void _flood_frame(
        self, vsw_poller *p, vsw_counters *c, vsw_port *src, const vsw_frame *f
    ) noexcept nogil
    cdef unsigned _flood_by_rule(
        self, vsw_poller *p, vsw_counters *c, vsw_port *src, const vsw_frame *f
    ) noexcept nogil
    cdef void _transmit(self, vsw_poller *p) noexcept nogil

    cdef void *_allocate(self, size_t size, owner=*) except NULL
    cdef int _make_fdb(self, uint32_t limit, uint32_t ageing_s, bytes salt) except -1
    cdef int _make_pollers(self, unsigned n, double busy_poll_us, int notify_fd) except -1
    cdef int _make_ring(self, owner, vsw_ring *ring, uint64_t size) except -1
    cdef vsw_events *_make_events(self, uint64_t n, int bell) except NULL
    cdef vsw_poller *_poller_at(self, unsigned poller) except NULL
    cdef vsw_port *_new_port(self, unsigned offloads, uint32_t mtu) except NULL
    cdef int _attach(self, vsw_port *port, const vsw_port_ops *ops, fds) except -1
    cdef void _list_flood(self) noexcept
    cdef void _reset_counters(self, uint16_t port)
    cdef vsw_port *_port_at(self, unsigned port) except NULL
