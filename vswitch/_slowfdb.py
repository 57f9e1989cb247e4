"""The stations of the datapath in plain Python, for the control plane (see ``_slowpath.py``)."""

from __future__ import annotations

import struct
import threading
from typing import Protocol

from vswitch._slowevents import ToldFdb

ROW = struct.Struct("=6sHHBBI")  # struct vsw_fdb_row
Bytes = bytes | bytearray | memoryview


class Holder(Protocol):
    """What is needed of a datapath."""

    lock: threading.RLock
    fdb: ToldFdb

    def port_at(self, port: int) -> object: ...


class Fdb:
    """The forwarding database of *datapath*; see `vswitch._tables.Fdb`."""

    def __init__(self, datapath: Holder) -> None:
        self._dp = datapath
        self._table = datapath.fdb

    def learn(self, vid: int, mac: Bytes, port: int, now_s: int) -> None:
        """Learn a station as from a frame."""
        with self._dp.lock:
            self._dp.port_at(port)
            self._table.learn(*_key(vid, mac), port, now_s)

    def lookup(self, vid: int, mac: Bytes, now_s: int) -> int | None:
        """The port number of a station, or None."""
        with self._dp.lock:
            return self._table.lookup(*_key(vid, mac), now_s)

    def pin(self, vid: int, mac: Bytes, port: int) -> None:
        """Pin a station to a port; raises FdbFullError at a limit."""
        with self._dp.lock:
            self._dp.port_at(port)
            self._table.pin(*_key(vid, mac), port)

    def stick(self, vid: int, mac: Bytes, port: int, now_s: int) -> None:
        """The same for a station that ages, but does not move."""
        with self._dp.lock:
            self._dp.port_at(port)
            self._table.stick(*_key(vid, mac), port, now_s)

    def delete(self, vid: int, mac: Bytes) -> bool:
        """Forget a station; whether it was there."""
        with self._dp.lock:
            return self._table.delete(*_key(vid, mac))

    def flush(self, port: int | None = None, *, with_static: bool = False) -> int:
        """Forget the stations of one port or of all; how many there were."""
        with self._dp.lock:
            if port is not None:
                self._dp.port_at(port)
            return self._table.flush(port, with_static=with_static)

    def flush_locked(self, port: int) -> int:
        """Forget those who only knocked at a port; how many there were.  *Parked.*"""
        with self._dp.lock:
            self._dp.port_at(port)
            return self._table.flush_locked(port)

    def expire(self, now_s: int) -> int:
        """Free the places of stations that were not heard for the ageing time; how many."""
        with self._dp.lock:
            return self._table.expire(now_s)

    def sweep(self, now_s: int) -> int:
        """The same: a table of plain Python is not swept in parts."""
        return self.expire(now_s)

    def rows(self, now_s: int) -> memoryview:
        """The live stations as rows of 16 bytes, see ROW."""
        with self._dp.lock:
            rows = [
                ROW.pack(r.mac, r.vid, r.port, r.static, r.flags, r.age_s)
                for r in self._table.rows(now_s)
            ]
        return memoryview(bytearray(b"".join(rows)))

    def counters(self) -> dict[str, int]:
        """Events since the start, and how full the table is."""
        t = self._table
        with self._dp.lock:
            return {
                "entries": len(t),
                "limit": t.limit,
                "learned": t.learned,
                "moved": t.moved,
                "expired": t.expired,
                "refused": t.refused,
                "crowded": 0,
            }

    def port_entries(self, port: int) -> int:
        """How many stations the port has."""
        self._dp.port_at(port)
        return self._table.port_entries[port]

    def set_ageing(self, ageing_s: int, now_s: int = 0) -> None:
        """Change the ageing time, seconds; 0: stations stay for ever.  *Parked.*"""
        self._table.ageing_s = ageing_s
        self._table.ageing_since_s = now_s

    def set_hold(self, hold_s: int) -> None:
        """A station heard within so many seconds does not move; 0: it does.  *Parked.*"""
        self._table.hold_s = hold_s

    def events(self) -> list[bytes]:
        """Take what happened since the last call, see `vswitch._tables.Fdb.events`."""
        with self._dp.lock:
            return list(filter(None, [self._table.take()]))

    def events_lost(self) -> int:
        """How many were lost for want of room, ever."""
        return self._table.lost

    def events_rest(self) -> bool:
        """Have the bell rung at the next event; False when there are some already."""
        with self._dp.lock:
            return self._table.rest()


def _key(vid: int, mac: Bytes) -> tuple[int, bytes]:
    if len(mac) != 6 or not 0 <= vid <= 4095:
        raise ValueError(f"a station is 6 bytes and a VLAN 0..4095, not {bytes(mac)!r} and {vid}")
    return vid, bytes(mac)
