"""Who was given which IPv6 address: what DHCPv6 servers and clients say, put together (RFC 7513).

    unknown --SOLICIT, REQUEST, RENEW, REBIND--> asking --REPLY of a trusted server--> leased
    leased --another REPLY--> leased, as it says; for no time: unknown
    leased --its time is over, RELEASE, DECLINE, its port is gone--> unknown

As snooping.py, with these differences: a station may have several addresses; who it is, is said by
the frame, and its identifier (DUID) is part of the question; the answer goes to the station itself,
since relays take off what they put around it.
"""

from __future__ import annotations

from vswitch.bindings import Binding
from vswitch.guarding import Lease
from vswitch.snooped import Snooped
from vswitch.wire.dhcp6 import FOREVER_S, Address, Kind, Message

_QUESTIONS = (Kind.SOLICIT, Kind.REQUEST, Kind.RENEW, Kind.REBIND)  # RFC 8415 18.3, 18.2.1


class Snooping6(Snooped):
    """The IPv6 leases of one switch."""

    def asked(self, port: str, vid: int, mac: bytes, message: Message, now_s: int) -> set[str]:
        """The client *mac* at *port* said something; the ports whose leases changed."""
        if message.kind in _QUESTIONS and message.client:
            self._questions.add(port, (vid, mac, message.xid, message.client), now_s)
        if message.kind not in (Kind.RELEASE, Kind.DECLINE):
            return set()
        given_up = [self.bindings.drop(port, Lease(vid, mac, a.ip)) for a in message.addresses]
        return set().union(*given_up)

    def answered(self, vid: int, mac: bytes, message: Message, now_s: int) -> set[str]:
        """A trusted server said something to *mac*; the ports whose leases changed."""
        port = self._questions.port_of((vid, mac, message.xid, message.client))
        if message.kind != Kind.REPLY or port is None:
            return set()
        changed: set[str] = set()
        for address in message.addresses:
            changed |= self._lend(port, Lease(vid, mac, address.ip), address, now_s)
        return changed

    def _lend(self, port: str, lease: Lease, address: Address, now_s: int) -> set[str]:
        if not address.valid_s:
            return self.bindings.drop(port, lease)
        until_s = None if address.valid_s == FOREVER_S else now_s + address.valid_s
        return self.bindings.put(Binding(lease, port, until_s), alone=False)
