"""What each kind of port needs to be one of a `Datapath`, and frames in rings.

The functions that add a port return its number. They are *parked*: to be called only while no
poller is between two gates. Descriptors stay the caller's: close them after the port is removed.

`Wire` is the far end of a memory port (``datapath/port_memory.h``), `punted` takes what the pollers
put aside for the control plane.
"""
import os

cimport cython
from libc.stdint cimport UINT32_MAX, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy
from posix.unistd cimport close

from vswitch._fastpath cimport Datapath
from vswitch.datapath.frame cimport *
from vswitch.datapath.poller cimport *
from vswitch.datapath.port cimport *
from vswitch.datapath.ring cimport *
from vswitch.datapath.vhost cimport vsw_port_vhost_ops, vsw_vhost, vsw_vhost_init


def add_tap_port(Datapath dp not None, fds, *, unsigned offloads, uint32_t mtu):
    """Attach the open, non-blocking queues of a TAP; return the port number.  *Parked.*

    The descriptors stay the caller's: close them after the port is removed.
    """
    cdef vsw_port *port = dp._new_port(offloads, mtu)
    return dp._attach(port, &vsw_port_tap_ops, fds)


def add_packet_port(Datapath dp not None, fds, *, unsigned offloads, uint32_t mtu, rings=()):
    """The same for packet sockets, bound to one device (see `vswitch.linux.packet`).

    *rings*: of each socket its mapped rx ring, or None; kept until the port is removed.
    """
    cdef vsw_port *port = dp._new_port(offloads, mtu)
    cdef vsw_packet *s
    cdef uint8_t[::1] ring
    cdef unsigned i
    s = <vsw_packet *>dp._allocate(len(fds) * sizeof(vsw_packet), port.id)
    for i in range(<unsigned>len(fds)):
        if i < len(rings) and rings[i] is not None:
            ring = rings[i]
            dp._memory[port.id].append(ring)
            vsw_packet_init(&s[i], &ring[0], <uint32_t>(ring.shape[0] // VSW_RING_SLOT))
        else:
            vsw_packet_init(&s[i], NULL, 0)
    port.priv = s
    return dp._attach(port, &vsw_port_packet_ops, fds)


def add_memory_port(
    Datapath dp not None, *, int fd, unsigned offloads, uint32_t mtu, uint64_t size
):
    """Add a port of two rings of *size* bytes, a power of two; return its number.  *Parked.*

    *fd* is an eventfd that wakes the poller, or -1 for a switch that is polled by hand.
    """
    cdef vsw_port *port
    cdef vsw_memory *m
    if size < 2 * VSW_FRAME_MAX or size & (size - 1):
        raise ValueError(f"size must be a power of two above {2 * VSW_FRAME_MAX}, not {size}")
    port = dp._new_port(offloads, mtu)
    m = <vsw_memory *>dp._allocate(sizeof(vsw_memory), port.id)
    dp._make_ring(port.id, &m.in_, size)
    dp._make_ring(port.id, &m.out, size)
    port.priv = m
    return dp._attach(port, &vsw_port_memory_ops, [fd])


def add_stream_port(Datapath dp not None, int fd, *, uint32_t mtu):
    """Attach a stream socket with frames behind their lengths; return its number.  *Parked.*"""
    cdef vsw_port *port = dp._new_port(0, mtu)
    port.priv = dp._allocate(sizeof(vsw_stream), port.id)
    dp._attach(port, &vsw_port_stream_ops, [fd])
    set_fd(dp, port.id, fd)
    return port.id


def add_dgram_port(Datapath dp not None, int fd, *, bytes peer, uint32_t mtu):
    """Attach a datagram socket, connected or with *peer*, a path; its number.  *Parked.*"""
    cdef vsw_port *port = dp._new_port(0, mtu)
    port.priv = dp._allocate(sizeof(vsw_dgram), port.id)
    if vsw_dgram_set_peer(<vsw_dgram *>port.priv, peer, len(peer)) < 0:
        raise ValueError(f"path too long: {peer!r}")
    return dp._attach(port, &vsw_port_dgram_ops, [fd])


def add_pcap_port(
    Datapath dp not None, int fd, *, bytes frames, bytes index, times, out, uint32_t mtu
):
    """Add a port whose wire is files, see `vswitch.ports.pcap`; its number.  *Parked.*"""
    cdef vsw_port *port = dp._new_port(0, mtu)
    cdef vsw_pcap *s = <vsw_pcap *>dp._allocate(sizeof(vsw_pcap), port.id)
    dp._memory[port.id].append((frames, index))
    port.priv = s
    (s.period_ns, s.loops), (s.out_fd, s.out_at, s.pipe, s.ng) = times, out
    if not vsw_pcap_fill(s, frames, len(frames), index, len(index)):
        raise ValueError("index and frames do not fit each other")
    return dp._attach(port, &vsw_port_pcap_ops, [fd])


def add_vhost_port(Datapath dp not None, *, unsigned queues, uint32_t mtu):
    """Add a port for a guest with up to *queues* queue pairs; its number.  *Parked.*

    Nothing flows before a `Guest` has started its rings.  Raises OSError: guests cannot be called.
    """
    cdef vsw_port *port = dp._new_port(0, mtu)
    cdef vsw_poller *caller = dp._poller[port.id % dp._n_pollers]  # any will do
    cdef int err = vsw_caller_open(&caller.caller)
    if err < 0:
        raise OSError(-err, os.strerror(-err))
    port.priv = dp._allocate(sizeof(vsw_vhost), port.id)
    vsw_vhost_init(<vsw_vhost *>port.priv, &caller.caller, dp._poller[0].notify_fd)
    return dp._attach(port, &vsw_port_vhost_ops, [-1] * queues)


def vhost_port(Datapath dp not None, unsigned port):
    """The address of a vhost-user port's `vsw_vhost`.  Raises ValueError: it is another's."""
    cdef vsw_port *p = dp._port_at(port)
    if vsw_port_kind(p) != &vsw_port_vhost_ops:
        raise ValueError(f"port {port} is not a vhost-user port")
    return <uintptr_t>p.priv


def set_fd(Datapath dp not None, unsigned port, int fd):
    """Give a stream port another socket, -1 for none; the old is still open.  *Parked.*"""
    cdef vsw_port *p = dp._port_at(port)
    if vsw_port_kind(p) != &vsw_port_stream_ops:
        raise ValueError(f"port {port} is not a stream port")
    vsw_stream_begin(<vsw_stream *>p.priv)
    cdef int err = vsw_poller_exchange(dp._poller[p.queue.poller], p.queue, fd)
    if err < 0:
        raise OSError(-err, os.strerror(-err))


@cython.final
cdef class Wire:
    """The far end of a memory port; one thread at a time sends, one receives."""

    cdef object _keep  # the rings outlive the port while somebody looks at them
    cdef vsw_memory *_memory
    cdef int _fd
    cdef uint16_t _port

    def __cinit__(self, Datapath datapath not None, unsigned port):
        cdef vsw_port *p = datapath._port_at(port)
        if vsw_port_kind(p) != &vsw_port_memory_ops:
            raise ValueError(f"port {port} is not a memory port")
        self._keep = datapath._memory[port]
        self._memory = <vsw_memory *>p.priv
        # Its own: the port's may be closed, and its number another file's, while we send.
        self._fd = -1 if p.queue.fd < 0 else os.dup(p.queue.fd)
        self._port = p.id

    def __dealloc__(self):
        if self._fd > 0:
            close(self._fd)

    def send(self, const uint8_t[::1] record not None):
        """Put one frame in; False when the ring is full.

        *record* is the 10 bytes of the virtio-net header and the frame.
        """
        cdef vsw_frame f
        if not VSW_VNET_LEN <= record.shape[0] <= <Py_ssize_t>(VSW_VNET_LEN + VSW_FRAME_MAX):
            raise ValueError(f"record must have 10..{10 + VSW_FRAME_MAX} bytes")
        f.data = &record[0] + VSW_VNET_LEN
        f.len = <uint32_t>(record.shape[0] - VSW_VNET_LEN)
        if not vsw_ring_put(&self._memory.in_, self._port, &f):
            return False
        vsw_eventfd_signal(self._fd)
        return True

    def receive(self):
        """Take what the switch sent: a list of (virtio-net header, frame)."""
        return [(vnet, frame) for _, vnet, frame in _drain(&self._memory.out)]

    def send_many(self, const uint8_t[::1] records not None, const uint32_t[::1] ends not None):
        """Put many frames in, as long as they fit; how many did.

        *records* are virtio-net headers and frames one behind the other; *ends* says where in
        it each frame ends.
        """
        cdef uint32_t begin = 0
        cdef Py_ssize_t i, n = 0
        cdef vsw_frame f
        for i in range(ends.shape[0]):
            if not (begin + VSW_VNET_LEN <= ends[i] <= records.shape[0]
                    and ends[i] - begin <= VSW_VNET_LEN + VSW_FRAME_MAX):
                raise ValueError(f"record {i} must have 10..{10 + VSW_FRAME_MAX} bytes of records")
            begin = ends[i]
        begin = 0
        with nogil:
            for i in range(ends.shape[0]):
                f.data = &records[begin] + VSW_VNET_LEN
                f.len = ends[i] - begin - VSW_VNET_LEN
                if not vsw_ring_put(&self._memory.in_, self._port, &f):
                    break
                begin = ends[i]
                n += 1
            vsw_eventfd_signal(self._fd)
        return n

    def receive_many(self, uint8_t[::1] records not None, uint32_t[::1] ends not None):
        """Take frames, laid out as `send_many` takes them, until none waits or room runs out.

        Returns how many.  It stops while *records* may still have 65,578 bytes left: room for
        the longest.
        """
        cdef vsw_record *record
        cdef size_t at = 0, size = records.shape[0]
        cdef Py_ssize_t n = 0
        if size > UINT32_MAX:
            raise ValueError("records may have 4 GiB at most")
        with nogil:
            while n < ends.shape[0] and size - at >= VSW_VNET_LEN + VSW_FRAME_MAX:
                record = vsw_ring_peek(&self._memory.out)
                if record is NULL:
                    break
                memcpy(&records[at], record.vnet, VSW_VNET_LEN + record.len)
                at += VSW_VNET_LEN + record.len
                ends[n] = <uint32_t>at
                n += 1
            vsw_ring_done(&self._memory.out)
        return n

    def replay(self, uint64_t times, *, discard, copied=False):
        """Let the switch receive what waits here *times* more, for benchmarks.  *Parked.*

        The frames are read again where they lie; *copied*: out of a copy, as those of a port with
        VLANs always are, whose tags may change.  *discard*: what it sends is only counted.
        """
        self._memory.replays = times
        self._memory.copied = bool(copied)
        self._memory.discard = bool(discard)


def punted(Datapath datapath not None):
    """Take the frames for the control plane: a list of (port, virtio-net header, frame)."""
    cdef unsigned i
    frames = []
    for i in range(datapath._n_pollers):
        frames += _drain(&datapath._poller[i].punt)
    return frames


cdef list _drain(vsw_ring *ring):
    cdef vsw_record *record = vsw_ring_peek(ring)
    frames = []
    while record is not NULL:
        frames.append((record.port, record.vnet[:VSW_VNET_LEN], record.data[:record.len]))
        record = vsw_ring_peek(ring)
    vsw_ring_done(ring)
    return frames
