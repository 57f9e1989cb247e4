"""The control plane's hand on a vhost-user port: its guest's memory, and its rings.

`Mapping` is a piece of a guest's memory in our address space (``datapath/mapping.h``). `Guest` is
what a port knows of its guest (``datapath/port_vhost.h``); all of its methods are *parked*: they
may be called only while no poller is between two gates.
"""
import os

cimport cython
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t

from vswitch._fastpath cimport Datapath
from vswitch.datapath.frame cimport VSW_PIECES
from vswitch.datapath.poller cimport *
from vswitch.datapath.port cimport *
from vswitch.datapath.vhost cimport *

from vswitch._ports import vhost_port

REGIONS_MAX = VSW_REGIONS_MAX


@cython.final
cdef class Mapping:
    """*size* bytes of a file, shared with whoever has it, from *offset* (of whole pages) on.

    Raises OSError: EINVAL when the file is shorter, EMEDIUMTYPE when it may keep us waiting.
    """

    cdef vsw_mapping *_at

    def __cinit__(self, int fd, *, uint64_t size, uint64_t offset=0):
        self._at = vsw_mapping_open(fd, size, offset)
        if self._at is NULL:
            raise OSError(errno, os.strerror(errno))

    def __dealloc__(self):
        if self._at is not NULL:
            vsw_mapping_close(self._at)

    @property
    def lost(self):
        """The file was shrunk, and there are zeroes where it was."""
        return bool(vsw_mapping_is_lost(self._at))

    @property
    def size(self):
        return self._at.size


@cython.final
cdef class Guest:
    """The guest behind vhost-user port number *port* of *datapath*."""

    cdef Datapath _dp
    cdef vsw_vhost *_vhost
    cdef vsw_port *_port
    cdef list _regions  # of Mapping
    cdef dict _left_at  # by ring: where we stopped
    cdef object _log

    def __cinit__(self, Datapath datapath not None, unsigned port):
        cdef vsw_port *p = datapath._port_at(port)
        self._dp = datapath
        self._port = p
        self._vhost = <vsw_vhost *><uintptr_t>vhost_port(datapath, port)
        self._regions = []
        self._left_at = {}

    @property
    def lost(self):
        """Some of its memory is, or its log: a file was shrunk."""
        return any(mapping.lost for mapping in (*self._regions, self._log) if mapping is not None)

    def set_features(
        self, *, bint long_header, bint mergeable, bint event_idx, bint indirect, bint packed,
        unsigned offloads,
    ):
        """What was negotiated; *offloads*: bits of frames the guest takes unfinished."""
        cdef unsigned i
        self._vhost.header_len = 12 if long_header else 10
        self._vhost.mergeable = mergeable
        self._port.can = <uint8_t>(offloads | VSW_PIECES)
        for i in range(2 * self._port.n_queues):
            self._vhost.ring[i].event_idx = event_idx
            self._vhost.ring[i].indirect = indirect
            self._vhost.ring[i].packed = packed

    def set_memory(self, regions):
        """Replace what is known of its memory: (guest address, Mapping, offset, size) of each.

        Rings hold addresses: stop them before, and start them again.  Raises ValueError.
        """
        cdef vsw_guest *g = &self._vhost.guest
        cdef Mapping mapping
        cdef uint64_t gpa, offset, size
        cdef list kept = []
        if not regions:
            self._left_at.clear()
        if len(regions) > VSW_REGIONS_MAX:
            raise ValueError(f"memory has at most {REGIONS_MAX} regions, not {len(regions)}")
        for gpa, mapping, offset, size in regions:
            if offset > mapping._at.size or not 1 <= size <= mapping._at.size - offset:
                raise ValueError("a region lies beyond its file")
            if gpa + size < gpa:
                raise ValueError("a region wraps around the end of the address space")
            kept.append(mapping)
        g.n_regions = 0
        for gpa, mapping, offset, size in regions:
            g.region[g.n_regions].gpa = gpa
            g.region[g.n_regions].size = size
            g.region[g.n_regions].at = vsw_mapping_data(mapping._at) + offset
            g.n_regions += 1
        self._regions = kept

    def set_log(self, Mapping log, uint64_t size=0):
        """Note in *log*, of *size* bytes, which pages we write; None: do not."""
        self._vhost.guest.log = NULL
        if log is not None:
            if size > log._at.size:
                raise ValueError("the log lies beyond its file")
            self._vhost.guest.log_size = size
            self._vhost.guest.log = vsw_mapping_data(log._at)
        self._log = log

    def set_log_address(self, unsigned ring, uint64_t gpa):
        """Where ring number *ring* has its used part, for the log; 0: do not note it."""
        self._ring(ring).log_gpa = gpa

    def start(
        self, unsigned ring, *, unsigned size, uint64_t desc, uint64_t driver, uint64_t device,
        unsigned base,
    ):
        """Begin to work on a ring: guest addresses of its three parts, and where to go on.

        *base* is what `stop` returns. Raises ValueError: an address is not in its memory, or not
        aligned (virtio 1.2, 2.7 and 2.8.10.1), or *size* is no ring's. A split ring goes on
        where its used index says, a packed one whose *base* is the beginning, and which
        we did not leave there, where its slots say.
        """
        cdef vsw_virtq *vq = self._ring(ring)
        if not 1 <= size <= VSW_VIRTQ_SIZE_MAX or (size & (size - 1) and not vq.packed):
            raise ValueError(f"a ring has no {size} descriptors")
        if vq.packed and (base & 0x7fff) >= size:
            raise ValueError(f"a ring of {size} has no index {base & 0x7fff}")
        vq.guest = &self._vhost.guest
        vq.desc = <vsw_desc *>self._find(desc, 16 * size, 16)
        vq.desc_gpa = desc
        vq.driver = self._find(driver, 4 if vq.packed else 6 + 2 * size, 4 if vq.packed else 2)
        vq.device = self._find(device, 4 if vq.packed else 6 + 8 * size, 4)
        vq.size = <uint16_t>size
        # All up to the used index is done, by us or by who was here before: we work in order.
        if not vq.packed:
            base = vsw_virtq_used_index(vq)
        elif self._left_at.get(ring) != base:
            base = vsw_packed_recovered(vq, base)
        vsw_virtq_begin(vq, base)
        vq.ready = True
        self._route()
        if ring % 2 and self._port.queue[ring // 2].fd >= 0:
            vsw_poller_activate(self._poller(ring // 2), &self._port.queue[ring // 2])
        elif ring % 2 == 0:
            vsw_virtq_disarm(vq)  # we fill what is there, and wait for nothing

    def stop(self, unsigned ring):
        """End work on a ring; where it stands: of a packed one bits 0-15 for what we take, and
        16-31 for what we hand back, each with the wrap counter in its highest bit."""
        cdef vsw_virtq *vq = self._ring(ring)
        vq.ready = False
        self._route()
        self._left_at[ring] = vsw_virtq_base(vq)
        return self._left_at[ring]

    def enable(self, unsigned ring, *, bint enabled):
        """Let frames flow through a ring, or not: then what the guest sends is discarded."""
        self._ring(ring).enabled = enabled
        self._route()

    def set_call(self, unsigned ring, int fd):
        """Signal eventfd *fd* to tell the driver of the ring; -1: it looks by itself."""
        self._ring(ring).call_fd = fd

    def set_kick(self, unsigned queue, int fd):
        """Have eventfd *fd* wake the queue's poller; -1: nothing does.

        Raises OSError: it cannot be waited for.
        """
        cdef vsw_queue *q = self._queue(queue)
        cdef vsw_poller *p = self._poller(queue)
        cdef int err
        vsw_poller_forget(p, q)
        q.fd = fd
        q.error = 0
        if fd >= 0:
            err = vsw_poller_watch(p, q)
            if err < 0:
                q.fd = -1
                raise OSError(-err, os.strerror(-err))
            vsw_poller_activate(p, q)  # what came before, nobody tells

    cdef vsw_poller *_poller(self, unsigned queue):
        return self._dp._poller[self._port.queue[queue].poller]

    cdef vsw_queue *_queue(self, unsigned queue) except NULL:
        if queue >= self._port.n_queues:
            raise ValueError(f"no queue {queue}")
        return &self._port.queue[queue]

    cdef vsw_virtq *_ring(self, unsigned ring) except NULL:
        self._queue(ring // 2)
        return &self._vhost.ring[ring]

    cdef uint8_t *_find(self, uint64_t gpa, uint32_t size, unsigned alignment) except NULL:
        cdef uint32_t there = size
        cdef uint8_t *at = vsw_guest_at(&self._vhost.guest, gpa, &there)
        if at is NULL or there != size:
            raise ValueError(f"{size} bytes at {gpa:#x} are not in the guest's memory")
        if <uintptr_t>at % alignment:
            raise ValueError(f"a ring's part at {gpa:#x} is not aligned to {alignment}")
        return at

    cdef void _route(self):
        # Frames sent by queue i go to pair i, or, while the driver uses fewer, to another.
        cdef unsigned i, n = 0
        cdef uint8_t[VSW_QUEUES_MAX] ready
        for i in range(self._port.n_queues):
            if self._vhost.ring[2 * i].ready and self._vhost.ring[2 * i].enabled:
                ready[n] = <uint8_t>(2 * i)
                n += 1
        for i in range(self._port.n_queues):
            self._vhost.to_ring[i] = ready[i % n] if n else <uint8_t>VSW_RING_NONE
