"""What the control plane reads and changes while frames flow: the stations.

`Fdb` is the forwarding database (``datapath/fdb.h``); all of it may be called while pollers run.
"""
cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from vswitch._fastpath cimport Datapath
from vswitch._memory cimport Memory
from vswitch.datapath.event cimport *
from vswitch.datapath.fdb cimport *
from vswitch.datapath.frame cimport *
from vswitch.datapath.port cimport *

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
        cdef uint16_t number = self._dp._port_at(port).id
        vsw_fdb_learn(self._table, key, hash, number, now_s, &self._table.events)

    def lookup(self, uint16_t vid, const uint8_t[::1] mac not None, uint32_t now_s):
        """The port number of a station, or None."""
        cdef uint64_t key = _key(vid, mac)
        port = vsw_fdb_lookup(self._table, key, vsw_fdb_hash(self._table, key), now_s)
        return None if port == VSW_PORT_NONE else port

    def pin(self, uint16_t vid, const uint8_t[::1] mac not None, unsigned port):
        """Pin a station to a port; raises FdbFullError at a limit."""
        if vsw_fdb_pin(self._table, _key(vid, mac), self._dp._port_at(port).id) < 0:
            raise FdbFullError(vid, bytes(mac))

    def stick(self, uint16_t vid, const uint8_t[::1] mac not None, unsigned port, uint32_t now_s):
        """The same for a station that ages as one that was just heard, but does not move."""
        cdef uint64_t key = _key(vid, mac)
        if vsw_fdb_enter(self._table, key, self._dp._port_at(port).id, VSW_FDB_STICKY, now_s) < 0:
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

    def flush_locked(self, unsigned port):
        """Forget those who only knocked at a port; how many there were.  *Parked.*"""
        return vsw_fdb_flush_locked(self._table, self._dp._port_at(port).id)

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
        """The live stations, 16 bytes each: mac, vid and port (u16), static, flags (u8), age."""
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

    def set_ageing(self, uint32_t ageing_s, uint32_t now_s=0):
        """Change the ageing time, seconds; 0: stations stay for ever.  *Parked.*"""
        self._table.ageing_s = ageing_s
        self._table.ageing_since_s = now_s

    def set_hold(self, uint32_t hold_s):
        """A station heard within so many seconds does not move; 0: it does.  *Parked.*"""
        self._table.hold_s = hold_s

    # ------------------------------------------------------------------ what happened

    def events(self):
        """Take what happened since the last call: records of 32 bytes, as in
        ``datapath/event.h``, of each writer that had any, each in order."""
        taken = [_taken(self._ring(i)) for i in range(self._dp._n_pollers + 1)]
        return [records for records in taken if records]

    def events_lost(self):
        """How many were lost for want of room, ever."""
        return sum([self._ring(i).lost for i in range(self._dp._n_pollers + 1)])

    def events_rest(self):
        """Have the bell rung at the next event; False when there are some already.

        From that event on it is not rung again before the next call.
        """
        return all([vsw_events_rest(self._ring(i)) for i in range(self._dp._n_pollers + 1)])

    cdef vsw_events *_ring(self, unsigned i) noexcept:
        # The pollers', and behind them the one of the control plane.
        return self._dp._poller[i].events if i < self._dp._n_pollers else self._table.events


cdef bytes _taken(vsw_events *ring):
    cdef uint64_t n = vsw_events_waiting(ring)
    cdef bytes records
    if not n:
        return b""
    records = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(n * sizeof(vsw_event)))
    vsw_events_take(ring, <vsw_event *><char *>records, n)
    return records


cdef uint64_t _key(uint16_t vid, const uint8_t[::1] mac) except 0:
    if mac.shape[0] != 6 or vid > 4095:
        raise ValueError(f"a station is 6 bytes and a VLAN 0..4095, not {bytes(mac)!r} and {vid}")
    return vsw_fdb_key(vid, &mac[0])
