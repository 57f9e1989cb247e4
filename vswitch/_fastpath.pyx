"""The way of a frame: receive, admit, learn, decide, transmit.

Read `Datapath._receive` first: it is the whole path of one burst, and each stage is one method
below it.  What the stages call is in ``datapath/``: ``admit.h`` (what may enter), ``fdb.h`` (who
is where), ``vlan.h`` and ``rules.h`` (what else a port asks for, if anything), ``finish.h`` (what a
port cannot do itself), ``port_tap.c`` and its likes.  When and how long a poller sleeps is in
``poller.h``.

The second half of the file makes and unmakes what the first half walks through; its methods
raise, those of the first half never do.  What a kind of port needs is in ``_ports.pyx``; what the
control plane reads and changes while frames flow, the forwarding database, in ``_tables.pyx``.
"""
import os

cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from vswitch._memory cimport Memory
from vswitch.datapath.event cimport *
from vswitch.datapath.fdb cimport *
from vswitch.datapath.frame cimport *
from vswitch.datapath.mirror cimport *
from vswitch.datapath.poller cimport *
from vswitch.datapath.port cimport *
from vswitch.datapath.ring cimport *
from vswitch.datapath.rules cimport *
from vswitch.datapath.shaper cimport vsw_shaper_end, vsw_shapers_send
from vswitch.datapath.suppress cimport vsw_suppress

from vswitch.errors import PortLimitError


cdef extern from *:
    const char *VSW_PROFILE  # setup.py: release, debug or asan

PROFILE = VSW_PROFILE.decode()
PUNT_BYTES = 1 << 20  # frames waiting for the control plane, per poller
EVENTS = 1 << 14  # the same, per poller: 0.16 s of 100,000 new stations a second
EVENTS_COMMANDED = 1 << 16  # those of one command or sweep: a whole table of usual size
PORTS_MAX, QUEUES_MAX = VSW_PORTS_MAX, VSW_QUEUES_MAX
FDB_LIMIT_MAX, POLLERS_MAX = 4_194_304, 64
FRAME_MAX, RING_SLOT, MTU_EXTRA = VSW_FRAME_MAX, VSW_RING_SLOT, VSW_MTU_EXTRA
PULSE_TIMES, BURST = VSW_PULSE_TIMES, VSW_BURST
OFFLOADS = {"csum": 1, "tso4": 2, "tso6": 4, "ecn": 8, "uso": 16, "ufo": 32}
DROP_REASONS = tuple(
    (vsw_drop_reason_of(i).name.decode().lower(),
     vsw_drop_reason_of(i).where.decode(),
     vsw_drop_reason_of(i).text.decode())
    for i in range(VSW_DROP_N)
)


# final: no subclass, so the calls below are direct and C can inline them.  no_gc: the garbage
# collector would empty _memory, found in somebody's cycle of references, before __dealloc__ has
# closed what lies there.  Nothing in here refers to anything outside, so nothing can leak.
@cython.final
@cython.no_gc
cdef class Datapath:
    """Ports, forwarding database and pollers.

    Poller threads call `run`; or nobody does, and one thread calls `poll`.  Methods marked
    *parked* may be called only while no poller is between two gates: before any runs, or
    between `pause` and `resume`.
    """

    # ------------------------------------------------------------------ the frame path

    def run(self, unsigned poller):
        """Be poller number *poller* until `stop`; the calling thread's GIL is released."""
        cdef vsw_poller *p = self._poller_at(poller)
        with nogil:
            if vsw_gate_enter(self._gate):
                while vsw_gate_pass(self._gate):
                    vsw_shapers_send(p)  # first: it says how long there is time to sleep
                    vsw_poller_gather(p)
                    self._round(p)
                    p.pulse.rounds += 1

    cdef void _round(self, vsw_poller *p) noexcept nogil:
        cdef unsigned i = 0
        while i < p.n_active:
            i += vsw_poller_keep(p, i, self._receive(p, p.active[i]))

    def poll(self, uint32_t now_s):
        """Give every queue one burst, in order of ports; return the number of frames received.

        For a switch without poller threads.  *now_s* is the clock that learning and ageing
        see, in seconds.
        """
        cdef unsigned i, q, n = 0
        cdef vsw_port *port
        cdef vsw_poller *p
        with nogil:
            for i in range(self._n_pollers):
                vsw_poller_by_hand(self._poller[i], now_s)
                vsw_shapers_send(self._poller[i])
                self._poller[i].pulse.rounds += 1
            for i in range(self._ports_end):
                port = &self._port[i]
                for q in range(port.n_queues):
                    p = self._poller[port.queue[q].poller]
                    if not port.queue[q].error:
                        n += self._receive(p, &port.queue[q])
        return n

    cdef unsigned _receive(self, vsw_poller *p, vsw_queue *q) noexcept nogil:
        cdef vsw_port *port = q.port
        cdef vsw_counters *c = &p.counters[port.id]
        cdef uint64_t since = vsw_pulse_begin(p.pulse)
        cdef int n = vsw_port_rx(q, &p.burst)
        if p.burst.lost:
            self._count_lost(p, c)
        if n <= 0:
            if n < 0:
                vsw_poller_fail(p, q, -n)
            return 0
        if port.vlans is NULL:
            self._admit(p, c, port, <unsigned>n, vsw_enter)
        else:
            self._admit(p, c, port, <unsigned>n, vsw_enter_vlan)
        if port.rules & VSW_MIRRORED:
            vsw_mirror_in(p, port)
        if port.rules & VSW_RULES_IN:
            vsw_rules_begin(p, port)
            self._sift(p, c, port, vsw_may_enter)
        if port.learning:
            self._learn(p, port)
        if port.rules & VSW_RULES_STAY:
            self._sift(p, c, port, vsw_may_stay)
        self._decide(p, c, port)
        self._transmit(p)
        vsw_port_done(q)
        vsw_pulse_end(p.pulse, <unsigned>n, since)
        return <unsigned>n

    cdef void _count_lost(self, vsw_poller *p, vsw_counters *c) noexcept nogil:
        c.rx_frames += p.burst.lost
        c.drops[VSW_DROP_RX_FULL] += p.burst.lost
        p.burst.lost = 0

    cdef inline void _admit(
        self, vsw_poller *p, vsw_counters *c, vsw_port *src, unsigned n, vsw_entrance enter
    ) noexcept nogil:
        cdef vsw_frame *f
        cdef vsw_frame *kept = p.burst.frame
        cdef unsigned i, verdict
        cdef uint64_t n_bytes = 0
        for i in range(n):
            f = &p.burst.frame[i]
            n_bytes += f.len
            verdict = enter(p, self._fdb, src, f, self._reserved)
            if verdict < VSW_DROP_N:
                c.drops[verdict] += 1
            if verdict != VSW_ADMITTED:
                continue
            if kept != f:
                kept[0] = f[0]
            kept += 1
        p.burst.n = <unsigned>(kept - p.burst.frame)
        p.burst.is_mirrored = False
        c.rx_frames += n
        c.rx_bytes += n_bytes

    cdef void _sift(
        self, vsw_poller *p, vsw_counters *c, vsw_port *src, vsw_question may
    ) noexcept nogil:
        # Keep the frames that the port's rules let in.
        cdef unsigned i, verdict, n = 0
        for i in range(p.burst.n):
            verdict = may(p, self._fdb, src, &p.burst.frame[i])
            if verdict != VSW_ADMITTED:
                vsw_refuse(p, c, src, &p.burst.frame[i], verdict)
                continue
            if n != i:
                p.burst.frame[n] = p.burst.frame[i]
                p.burst.mirrored[n] = p.burst.mirrored[i]
            n += 1
        p.burst.n = n

    cdef inline void _learn(self, vsw_poller *p, vsw_port *src) noexcept nogil:
        # The whole burst is learned before any of it is decided: a frame can profit from one
        # behind it.
        cdef const vsw_frame *f
        cdef unsigned i
        for i in range(p.burst.n):
            f = &p.burst.frame[i]
            vsw_fdb_learn(self._fdb, f.src, f.src_hash, src.id, p.now_s, &p.events)

    cdef inline void _decide(self, vsw_poller *p, vsw_counters *c, vsw_port *src) noexcept nogil:
        cdef const vsw_frame *f
        cdef uint16_t dst
        cdef unsigned i
        for i in range(p.burst.n):
            f = &p.burst.frame[i]
            if f.verdict != VSW_FORWARD:
                vsw_keep(p, c, src, f)  # a reserved address
                continue
            if not src.forwarding:
                c.drops[VSW_DROP_BLOCKED] += 1
                continue
            dst = <uint16_t>VSW_PORT_NONE
            if not vsw_mac_is_group(f.data):
                dst = vsw_fdb_lookup(self._fdb, f.dst, f.dst_hash, p.now_s)
            if dst == VSW_PORT_NONE:
                self._flood_frame(p, c, src, f)
            elif dst != src.id and vsw_may_pass(&self._port[dst], f):
                vsw_egress_add(p, dst, f)
                c.forwarded += 1
            else:
                self._forward_by_rule(p, c, src, dst, f)

    cdef void _forward_by_rule(
        self, vsw_poller *p, vsw_counters *c, vsw_port *src, uint16_t dst, const vsw_frame *f
    ) noexcept nogil:
        cdef const vsw_port *to = vsw_port_for(self._port, &self._port[dst])
        if vsw_may_leave(src, to, f):
            vsw_egress_add(p, to.id, f)
            c.forwarded += 1
        else:
            c.drops[VSW_DROP_HAIRPIN if to.id == src.id else VSW_DROP_NO_EGRESS] += 1

    cdef void _flood_frame(
        self, vsw_poller *p, vsw_counters *c, vsw_port *src, const vsw_frame *f
    ) noexcept nogil:
        cdef unsigned i, copies = 0
        if vsw_is_storm(p, src, f):
            c.drops[VSW_DROP_POLICED] += 1
            return
        if self._flood_rules:
            copies = self._flood_by_rule(p, c, src, f)
        else:
            for i in range(self._n_flood):
                if self._flood[i] != src.id:
                    vsw_egress_add(p, self._flood[i], f)
                    copies += 1
            c.drops[VSW_DROP_NO_EGRESS] += not copies
        if not copies:
            return
        c.forwarded += 1
        if not vsw_mac_is_group(f.data):
            c.flooded_unicast += 1
        elif vsw_mac_is_broadcast(f.data):
            c.flooded_broadcast += 1
        else:
            c.flooded_multicast += 1

    cdef unsigned _flood_by_rule(
        self, vsw_poller *p, vsw_counters *c, vsw_port *src, const vsw_frame *f
    ) noexcept nogil:
        cdef unsigned i, copies = 0, bar = vsw_flood_bar(f), asked = self._flood_rules
        if asked & VSW_NEIGH_SUPPRESS and vsw_suppress(p, self._fdb, self._port, src, f):
            bar |= VSW_NEIGH_SUPPRESS  # its answer may be at the end of the burst now
        for i in range(self._n_flood):
            if vsw_may_flood(src, &self._port[self._flood[i]], f, bar):
                vsw_egress_add(p, self._flood[i], f)
                copies += 1
        if not copies:
            c.drops[VSW_DROP_SUPPRESSED if bar & VSW_NEIGH_SUPPRESS else VSW_DROP_NO_EGRESS] += 1
        return copies

    cdef inline void _transmit(self, vsw_poller *p) noexcept nogil:
        cdef const vsw_port *port
        cdef unsigned i
        for i in range(p.n_touched):
            port = &self._port[p.touched[i]]
            if port.vlans is not NULL:
                vsw_vlan_leave(p, port, &p.egress[port.id])
            if port.rules & VSW_MIRRORED:
                vsw_mirror_out(p, port)
            vsw_egress_send(p, port)
        p.n_touched = 0

    # ------------------------------------------------------------------ life

    def __cinit__(
        self, *, unsigned pollers=1, uint32_t fdb_limit=65536, uint32_t ageing_s=300,
        double busy_poll_us=50, salt=None, int notify_fd=-1,
    ):
        if not 1 <= pollers <= POLLERS_MAX:
            raise ValueError(f"pollers must be in 1..{POLLERS_MAX}, not {pollers}")
        if not 1 <= fdb_limit <= FDB_LIMIT_MAX:
            raise ValueError(f"fdb_limit must be in 1..{FDB_LIMIT_MAX}, not {fdb_limit}")
        if not 0 <= busy_poll_us <= 1e6:
            raise ValueError(f"busy_poll_us must be in 0..1000000, not {busy_poll_us}")
        self._memory = {}
        self._gate = <vsw_gate *>self._allocate(sizeof(vsw_gate))
        if vsw_gate_init(self._gate) < 0:
            raise MemoryError("cannot make a mutex")
        self._gate_ready = True
        self._port = <vsw_port *>self._allocate(VSW_PORTS_MAX * sizeof(vsw_port))
        self._make_fdb(fdb_limit, ageing_s, os.urandom(16) if salt is None else salt)
        self._fdb.events = self._make_events(EVENTS_COMMANDED, notify_fd)
        self._make_pollers(pollers, busy_poll_us, notify_fd)
        memset(&self._reserved[1], VSW_DISCARD, 15)

    def __dealloc__(self):
        cdef unsigned i
        for i in range(self._n_pollers):
            vsw_poller_close(self._poller[i])
        if self._gate_ready:
            vsw_gate_destroy(self._gate)

    cdef void *_allocate(self, size_t size, owner=None) except NULL:
        cdef Memory memory = Memory(size)
        self._memory.setdefault(owner, []).append(memory)
        return memory.at

    cdef int _make_fdb(self, uint32_t limit, uint32_t ageing_s, bytes salt) except -1:
        # At most half of the places are ever taken, see fdb.h.
        cdef uint64_t buckets = 32
        cdef size_t size
        while buckets * VSW_FDB_WAYS < 2 * <uint64_t>limit:
            buckets *= 2
        size = buckets * sizeof(vsw_fdb_bucket)
        if len(salt) != 16:
            raise ValueError(f"salt must have 16 bytes, not {len(salt)}")
        self._fdb = <vsw_fdb *>self._allocate(sizeof(vsw_fdb))
        self._fdb.bucket = <vsw_fdb_bucket *>self._allocate(size)
        self._fdb.mask = buckets - 1
        self._fdb.limit = limit
        self._fdb.ageing_s = ageing_s
        memcpy(self._fdb.salt, <const char *>salt, 16)
        self._fdb.port_limit = <uint32_t *>self._allocate(VSW_PORTS_MAX * sizeof(uint32_t))
        self._fdb.port_entries = <vsw_atomic_u32 *>self._allocate(VSW_PORTS_MAX * sizeof(uint32_t))
        return 0

    cdef int _make_pollers(self, unsigned n, double busy_poll_us, int notify_fd) except -1:
        cdef vsw_poller *p
        cdef Memory counters = Memory(n * VSW_PORTS_MAX * sizeof(vsw_counters))
        cdef Memory pulses = Memory(n * sizeof(vsw_pulse))
        cdef unsigned i
        cdef int err
        self.counter_memory = counters
        self.pulse_memory = pulses
        self._poller = <vsw_poller **>self._allocate(n * sizeof(vsw_poller *))
        for i in range(n):
            p = <vsw_poller *>self._allocate(sizeof(vsw_poller))
            self._poller[i] = p
            self._n_pollers = i + 1
            p.id = <uint16_t>i
            p.notify_fd = notify_fd
            p.busy_poll_ns = <uint64_t>(busy_poll_us * 1000)
            p.counters = <vsw_counters *>counters.at + i * VSW_PORTS_MAX
            p.pulse = <vsw_pulse *>pulses.at + i
            p.egress = <vsw_egress *>self._allocate(VSW_PORTS_MAX * sizeof(vsw_egress))
            p.scratch = <uint8_t *>self._allocate(VSW_SCRATCH)
            p.burst.arena = <uint8_t *>self._allocate(VSW_ARENA)
            self._make_ring(None, &p.punt, PUNT_BYTES)
            p.events = self._make_events(EVENTS, notify_fd)
            err = vsw_poller_open(p)
            if err < 0:
                raise OSError(-err, os.strerror(-err))
        return 0

    cdef int _make_ring(self, owner, vsw_ring *ring, uint64_t size) except -1:
        ring.memory = <uint8_t *>self._allocate(size, owner)
        ring.size = size
        return 0

    cdef vsw_events *_make_events(self, uint64_t n, int bell) except NULL:
        cdef vsw_events *events = <vsw_events *>self._allocate(sizeof(vsw_events))
        events.record = <vsw_event *>self._allocate(n * sizeof(vsw_event))
        events.size = n
        events.bell = bell
        return events

    # ------------------------------------------------------------------ pollers

    def wake(self):
        """Have every poller make a round soon, whether frames wait or not."""
        cdef unsigned i
        for i in range(self._n_pollers):
            vsw_poller_wake(self._poller[i])

    def pause(self):
        """Return once every poller stands between two rounds; nests with `resume`."""
        vsw_gate_close(self._gate)
        self.wake()
        with nogil:
            vsw_gate_wait(self._gate)

    def resume(self):
        """Undo one `pause`."""
        vsw_gate_open(self._gate)

    def stop(self):
        """Send every poller home, for good."""
        vsw_gate_stop(self._gate)
        self.wake()

    cdef vsw_poller *_poller_at(self, unsigned poller) except NULL:
        if poller >= self._n_pollers:
            raise ValueError(f"poller must be in 0..{self._n_pollers - 1}, not {poller}")
        return self._poller[poller]

    # ------------------------------------------------------------------ ports

    cdef vsw_port *_new_port(self, unsigned offloads, uint32_t mtu) except NULL:
        cdef unsigned i
        for i in range(<unsigned>VSW_PORTS_MAX):
            if self._port[i].ops is NULL:
                break
        else:
            raise PortLimitError(VSW_PORTS_MAX)
        memset(&self._port[i], 0, sizeof(vsw_port))
        self._port[i].id = <uint16_t>i
        self._port[i].can = <uint8_t>(offloads & ~<unsigned>VSW_PIECES)
        self._port[i].max_len = mtu + VSW_MTU_EXTRA
        return &self._port[i]

    cdef int _attach(self, vsw_port *port, const vsw_port_ops *ops, fds) except -1:
        cdef vsw_queue *q
        cdef int err
        cdef unsigned i, n
        if not 1 <= len(fds) <= VSW_QUEUES_MAX:
            raise ValueError(f"a port has 1..{VSW_QUEUES_MAX} queues, not {len(fds)}")
        port.queue = <vsw_queue *>self._allocate(len(fds) * sizeof(vsw_queue), port.id)
        port.ops = ops
        self._ports_end = max(self._ports_end, port.id + 1)
        for i in range(<unsigned>len(fds)):
            q = &port.queue[i]
            q.port = port
            q.priv = port.priv
            q.fd = fds[i]
            # Queue i goes to poller i, which also sends on it (vsw_port_tx_queue); ports with one
            # queue are spread.
            n = i if len(fds) > 1 else port.id
            err = vsw_poller_watch(self._poller[n % self._n_pollers], q)
            if err < 0:
                self.remove_port(port.id)
                raise OSError(-err, os.strerror(-err))
            port.n_queues += 1
        self._fdb.port_limit[port.id] = 0
        self._reset_counters(port.id)
        self.set_port(port.id, learning=True, forwarding=True)
        return port.id

    cdef void _reset_counters(self, uint16_t port):
        cdef unsigned i
        for i in range(self._n_pollers):
            memset(&self._poller[i].counters[port], 0, sizeof(vsw_counters))

    cdef vsw_port *_port_at(self, unsigned port) except NULL:
        # The loop indexes its tables with what the fdb says, unchecked.
        if port >= VSW_PORTS_MAX or self._port[port].ops is NULL:
            raise ValueError(f"no port {port}")
        return &self._port[port]

    def set_port(self, unsigned port, *, learning=None, forwarding=None, mtu=None, fdb_limit=None):
        """Change what is given.  *Parked.*  *fdb_limit* 0: only the switch's limit counts."""
        cdef vsw_port *p = self._port_at(port)
        if learning is not None:
            p.learning = bool(learning)
        if mtu is not None:
            p.max_len = <uint32_t>mtu + VSW_MTU_EXTRA
        if fdb_limit is not None:
            self._fdb.port_limit[port] = fdb_limit
        if forwarding is not None:
            p.forwarding = bool(forwarding)
            p.rules = (p.rules & ~VSW_BLOCKED) | (0 if p.forwarding else VSW_BLOCKED)
            self._list_flood()

    cdef void _list_flood(self) noexcept:
        # What flooding looks at, after a port's rules have changed.
        cdef unsigned i
        self._n_flood = 0
        self._flood_rules = 0
        for i in range(self._ports_end):
            if self._port[i].forwarding and not self._port[i].rules & VSW_ASIDE:
                self._flood[self._n_flood] = <uint16_t>i
                self._n_flood += 1
                self._flood_rules |= self._port[i].rules & VSW_RULES_FLOOD

    def remove_port(self, unsigned port):
        """Forget a port with its stations, static ones too.  *Parked.*"""
        cdef vsw_port *p = self._port_at(port)
        cdef unsigned i
        self.set_port(port, learning=False, forwarding=False)
        vsw_shaper_end(p, NULL)
        for i in range(p.n_queues):
            vsw_poller_forget(self._poller[p.queue[i].poller], &p.queue[i])
        for i in range(self._ports_end):
            if self._port[i].backup == port:
                self._port[i].rules &= ~VSW_BACKUP
        vsw_fdb_flush(self._fdb, <uint16_t>port, True)
        memset(p, 0, sizeof(vsw_port))
        del self._memory[port]
        for owner in [owner for owner in self._memory if isinstance(owner, tuple)]:
            if owner[0] == port:
                del self._memory[owner]

    def port_error(self, unsigned port):
        """The errno that ended reception on a queue of the port, 0 while all live."""
        cdef vsw_port *p = self._port_at(port)
        cdef unsigned i
        for i in range(p.n_queues):
            if p.queue[i].error:
                return p.queue[i].error
        return 0
