"""Who was given which address: what DHCP servers and clients say, put together.

    unknown --DISCOVER, REQUEST of a client--> asking --ACK of a trusted server--> leased
    leased --another ACK--> leased, as it says
    leased --its time is over, RELEASE, DECLINE, its port is gone--> unknown

An answer belongs to the port where somebody asked with its transaction number first
(questions.py). A port that has GUARD_MAX leases gets no more.

No I/O: messages and the time in; which ports' leases changed out.
"""

from __future__ import annotations

from vswitch.bindings import Binding
from vswitch.guarding import Lease
from vswitch.snooped import Snooped
from vswitch.wire.dhcp import FOREVER_S, REPLY, REQUEST, Kind, Message


class Snooping(Snooped):
    """The leases of one switch; a station has one address in a VLAN."""

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
