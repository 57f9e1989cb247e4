"""Who was given which address: what DHCP servers and clients say, put together.

    unknown --DISCOVER, REQUEST of a client--> asking --ACK of a trusted server--> leased
    leased --another ACK--> leased, as it says
    leased --its time is over, RELEASE, DECLINE, its port is gone--> unknown

An answer belongs to the port where somebody asked with its transaction number first: so nobody
takes over a lease by repeating what he heard another ask. All is bounded: a port that asks more
than ASKING_MAX forgets what it asked first, one that has GUARD_MAX leases gets no more.

No I/O: messages and the time in; which ports' leases changed out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

from vswitch.bindings import Binding, Bindings
from vswitch.guarding import Lease
from vswitch.wire.dhcp import FOREVER_S, REPLY, REQUEST, Kind, Message

# Chosen by us.
ASKING_S = 60  # longer than clients repeat one question (RFC 2131 4.1)
ASKING_MAX = 64  # per port


@dataclass(frozen=True, slots=True)
class _Question:
    port: str
    at_s: int


_Key = tuple[int, bytes, int]  # VLAN, station, transaction


class _Questions:
    """What clients asked, until it is answered or too old; whoever asks most forgets his own."""

    def __init__(self) -> None:
        self._all: dict[_Key, _Question] = {}
        self._by_port: dict[str, OrderedDict[_Key, None]] = {}

    def add(self, port: str, key: _Key, now_s: int) -> None:
        first = self._all.get(key)
        if first is not None and first.port != port and now_s - first.at_s < ASKING_S:
            return
        self._remove(key)
        its = self._by_port.setdefault(port, OrderedDict())
        if len(its) >= ASKING_MAX:
            self._remove(next(iter(its)))
        self._all[key] = _Question(port, now_s)
        its[key] = None

    def port_of(self, key: _Key) -> str | None:
        """Where that was asked first."""
        found = self._all.get(key)
        return found.port if found else None

    def expire(self, now_s: int) -> None:
        for key in [k for k, one in self._all.items() if now_s - one.at_s >= ASKING_S]:
            self._remove(key)

    def stay(self, ports: Collection[str]) -> None:
        """Forget what was asked at other ports than these."""
        for port in self._by_port.keys() - set(ports):
            for key in self._by_port.pop(port):
                del self._all[key]

    def _remove(self, key: _Key) -> None:
        if (was := self._all.pop(key, None)) is not None:
            del self._by_port[was.port][key]


class Snooping:
    """The leases of one switch; a station has one address in a VLAN."""

    def __init__(self) -> None:
        self.bindings = Bindings()
        self._questions = _Questions()

    def asked(self, port: str, vid: int, message: Message, now_s: int) -> set[str]:
        """A client at *port* said something; the ports whose leases changed."""
        if message.op != REQUEST:
            return set()
        if message.kind in (Kind.DISCOVER, Kind.REQUEST):
            self._questions.add(port, (vid, message.mac, message.xid), now_s)
            return set()
        given_up = {Kind.RELEASE: message.client_ip, Kind.DECLINE: message.requested_ip}
        ip = given_up.get(message.kind) if message.kind else None
        return self.bindings.drop(port, Lease(vid, message.mac, ip)) if ip else set()

    def answered(self, vid: int, message: Message, now_s: int) -> set[str]:
        """A trusted server said something; the ports whose leases changed."""
        lease_s = message.lease_s
        port = self._questions.port_of((vid, message.mac, message.xid))
        if message.op != REPLY or message.kind != Kind.ACK or not lease_s or port is None:
            return set()
        if not any(message.your_ip):  # of an INFORM
            return set()
        until_s = None if lease_s == FOREVER_S else now_s + lease_s
        lease = Lease(vid, message.mac, message.your_ip)
        return self.bindings.put(Binding(lease, port, until_s), alone=True)

    def expire(self, now_s: int) -> set[str]:
        """Forget what is over; the ports whose leases changed."""
        self._questions.expire(now_s)
        return self.bindings.expire(now_s)

    def stay(self, ports: Collection[str]) -> set[str]:
        """Forget what belongs to other ports than these."""
        self._questions.stay(ports)
        return self.bindings.stay(ports)
