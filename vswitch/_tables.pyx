"""What the control plane reads and changes while frames flow: stations, and frames in rings.

`Fdb` is the forwarding database (``datapath/fdb.h``); all of it may be called while pollers run.
`Wire` is the far end of a memory port (``datapath/port_memory.h``).
"""
import os

cimport cython
from libc.stdint cimport UINT32_MAX, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from posix.unistd cimport close

from vswitch._fastpath cimport Datapath
from vswitch._memory cimport Memory
from vswitch.datapath.fdb cimport *
from vswitch.datapath.frame cimport *
from vswitch.datapath.poller cimport vsw_eventfd_signal
from vswitch.datapath.port cimport *
from vswitch.datapath.ring cimport *

from vswitch.errors import FdbFullError


cdef uint64_t SWEEP_BUCKETS = 32768


@cython.final
cdef class Fdb:
    """The forwarding database of a `Datapath`: (VLAN, station) to port."""

    cdef Datapath _dp
    cdef vsw_fdb *_table
    cdef uint64_t _swept  # buckets, ever

    def __cinit__(self, Datapath datapath not None):
        self._dp = datapath
        self._table = datapath._fdb

    def learn(self, uint16_t vid, const uint8_t[::1] mac not None, unsigned port, uint32_t now_s):
        """Learn a station as from a frame."""
        cdef uint64_t key = _key(vid, mac)
        cdef uint64_t hash = vsw_fdb_hash(self._table, key)
        vsw_fdb_learn(self._table, key, hash, self._dp._port_at(port).id, now_s)

    def lookup(self, uint16_t vid, const uint8_t[::1] mac not None, uint32_t now_s):
        """The port number of a station, or None."""
        cdef uint64_t key = _key(vid, mac)
        port = vsw_fdb_lookup(self._table, key, vsw_fdb_hash(self._table, key), now_s)
        return None if port == VSW_PORT_NONE else port

    def pin(self, uint16_t vid, const uint8_t[::1] mac not None, unsigned port):
        """Pin a station to a port; raises FdbFullError at a limit."""
        if vsw_fdb_pin(self._table, _key(vid, mac), self._dp._port_at(port).id) < 0:
            raise FdbFullError(vid, bytes(mac))

    def delete(self, uint16_t vid, const uint8_t[::1] mac not None):
        """Forget a station; whether it was there."""
        return bool(vsw_fdb_delete(self._table, _key(vid, mac)))

    def flush(self, port=None, *, with_static=False):
        """Forget the stations of one port or of all; how many there were."""
        cdef uint16_t number = <uint16_t>VSW_PORT_NONE
        cdef bint static = with_static
        cdef uint32_t n
        if port is not None:
            number = self._dp._port_at(port).id
        with nogil:
            n = vsw_fdb_flush(self._table, number, static)
            # Once more: an entry that moved to its other bucket meanwhile, behind the scan.
            n += vsw_fdb_flush(self._table, number, static)
        return n

    def expire(self, uint32_t now_s):
        """Free the places of stations that were not heard for the ageing time; how many."""
        cdef uint32_t n
        with nogil:
            n = vsw_fdb_expire(self._table, now_s)
        return n

    def sweep(self, uint32_t now_s):
        """`expire` in the next 32,768 buckets, a quarter of a millisecond's work; how many.

        That is all of a table of up to 65,536 stations, and a 64th of the largest.
        """
        cdef uint32_t n
        with nogil:
            n = vsw_fdb_sweep(self._table, self._swept, SWEEP_BUCKETS, now_s)
        self._swept += SWEEP_BUCKETS
        return n

    def rows(self, uint32_t now_s):
        """The live stations, 16 bytes each: mac[6], vid, port, static (u16 each), age (u32)."""
        # Room for some that are learned meanwhile; more of them show up in the next call.
        cdef uint32_t most = self._table.entries + 1024
        cdef Memory rows = Memory(most * 16)
        cdef uint32_t n
        with nogil:
            n = vsw_fdb_dump(self._table, <vsw_fdb_row *>rows.at, most, now_s)
        return memoryview(rows)[:n * 16]

    def counters(self):
        """Events since the start, and how full the table is."""
        return {
            "entries": self._table.entries,
            "limit": self._table.limit,
            "learned": self._table.learned,
            "moved": self._table.moved,
            "expired": self._table.expired,
            "refused": self._table.refused,
            "crowded": self._table.crowded,
        }

    def port_entries(self, unsigned port):
        """How many stations the port has."""
        return self._table.port_entries[self._dp._port_at(port).id]

    def set_ageing(self, uint32_t ageing_s):
        """Change the ageing time, seconds; 0: stations stay for ever.  *Parked.*"""
        self._table.ageing_s = ageing_s


@cython.final
cdef class Wire:
    """The far end of a memory port; one thread at a time sends, one receives."""

    cdef object _keep  # the rings outlive the port while somebody looks at them
    cdef vsw_memory *_memory
    cdef int _fd
    cdef uint16_t _port

    def __cinit__(self, Datapath datapath not None, unsigned port):
        cdef vsw_port *p = datapath._port_at(port)
        if not datapath._is_memory(p):
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

    def replay(self, uint64_t times, *, discard):
        """Let the switch receive what waits here *times* more, for benchmarks.  *Parked.*

        The frames are read again where they lie.  *discard*: what it sends is only counted.
        """
        self._memory.replays = times
        self._memory.discard = bool(discard)


def punted(Datapath datapath not None):
    """Take the frames for the control plane: a list of (port, virtio-net header, frame)."""
    cdef unsigned i
    frames = []
    for i in range(datapath._n_pollers):
        frames += _drain(&datapath._poller[i].punt)
    return frames


cdef uint64_t _key(uint16_t vid, const uint8_t[::1] mac) except 0:
    if mac.shape[0] != 6 or vid > 4095:
        raise ValueError(f"a station is 6 bytes and a VLAN 0..4095, not {bytes(mac)!r} and {vid}")
    return vsw_fdb_key(vid, &mac[0])


cdef list _drain(vsw_ring *ring):
    cdef vsw_record *record = vsw_ring_peek(ring)
    frames = []
    while record is not NULL:
        frames.append((record.port, record.vnet[:VSW_VNET_LEN], record.data[:record.len]))
        record = vsw_ring_peek(ring)
    vsw_ring_done(ring)
    return frames
