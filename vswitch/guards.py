"""The guards of a switch's ports: what is set of them, of the switch, and what DHCP gave, done.

At a port that is not trusted what servers and routers say is dropped while `SwitchGuards` says so.
With DHCP snooping its stations have to have leased the IPv4 addresses they speak for, unless
``allow-ip`` has them; the leases are those of servers at trusted ports. The same of IPv6, but for
link-local addresses, from which who has none yet asks: unless ``allow-ip`` has one of these.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from vswitch import options
from vswitch.bindings import Binding
from vswitch.core import Core
from vswitch.errors import WireError
from vswitch.guarding import Lease, PortGuard, SwitchGuards
from vswitch.members import Member
from vswitch.neighbouring import Neighbouring
from vswitch.neighbours import DHCP, GUARD, Known, Neighbour, is_possible
from vswitch.snooping import Snooping
from vswitch.snooping6 import Snooping6
from vswitch.vlans import NO_VLAN, PortVlans
from vswitch.wire import dhcp, dhcp6

log = logging.getLogger(__name__)
_IP6 = b"\x86\xdd"  # EtherType


@dataclass(frozen=True, slots=True)
class _Heard:
    """A message, and where it entered."""

    port: str
    vid: int
    source: bytes  # Ethernet addresses of its frame
    target: bytes
    message: dhcp.Message | dhcp6.Message


class Guards:
    """The guards of one switch's members; its callers hold the switch's lock.

    Args:
        core: Where the ports are numbers.
        members: All of them.
        paused: Holds the pollers.
        vlans_of: What a member does with VLANs.
        neighbours: Told who has which address.
    """

    def __init__(
        self,
        core: Core,
        members: Mapping[str, Member],
        *,
        paused: Callable[[], AbstractContextManager[None]],
        vlans_of: Callable[[Member], PortVlans | None],
        neighbours: Neighbouring,
    ) -> None:
        self._core = core
        self._members = members
        self._paused = paused
        self._vlans_of = vlans_of
        self._neighbours = neighbours
        self._guards = SwitchGuards()
        self._v4, self._v6 = Snooping(), Snooping6()
        self._leases = {4: self._v4.bindings, 16: self._v6.bindings}  # by bytes of an address
        self._told = 0  # changes of the leases
        # Called with the switch's lock when a lease is another, or has another end.
        self.on_leases: Callable[[], None] = lambda: None

    # ------------------------------------------------------------ what is set

    def change(self, guards: SwitchGuards) -> None:
        """Guard all members as *guards* says."""
        self._guards = guards
        if not guards.dhcp_snooping:
            self._v4.clear()
        if not guards.dhcp6_snooping:
            self._v6.clear()
        self._tell()
        wanted = [(one.number, self.guard_of(one)) for one in self._members.values()]
        with self._paused():
            self._core.fdb.set_hold(guards.move_guard_s)
            for number, guard in wanted:
                self._core.set_guard(number, guard)
        for member in self._members.values():
            self._neighbours.learn(member.port.name, self._known_at(member))

    def apply(self, member: Member) -> None:
        """Let in at a member what may enter there; the pollers are held."""
        self._core.set_guard(member.number, self.guard_of(member))
        self._neighbours.learn(member.port.name, self._known_at(member))

    def _known_at(self, member: Member) -> Iterator[Known]:
        """Whose addresses are known because they may be spoken for there by one station only."""
        settings, vlans = member.settings, self._vlans_of(member)
        vid = vlans.pvid if vlans else NO_VLAN  # where untagged frames are
        if len(settings.allow_mac) == 1 and vid is not None:
            mac = options.mac("allow-mac", settings.allow_mac[0])
            for ip in filter(is_possible, map(_packed, settings.allow_ip)):
                # A router that says it is none loses its hosts, and to say it is one harms nobody.
                yield Known(Neighbour(ip, mac, vid, router=settings.trusted), GUARD)
        for lease in self._leases_of(member.port.name):
            if is_possible(lease.ip):
                yield Known(Neighbour(lease.ip, lease.mac, lease.vid), DHCP)

    def guard_of(self, member: Member) -> PortGuard:
        """What may enter at a member."""
        settings, guards = member.settings, self._guards
        snooped6 = guards.dhcp6_snooping and not settings.trusted
        ips = frozenset(map(_packed, settings.allow_ip))
        return PortGuard(
            macs=frozenset(bytes.fromhex(mac.replace(":", "")) for mac in settings.allow_mac),
            ips=ips,
            leases=self._leases_of(member.port.name),
            check_ip4=bool(ips) or (guards.dhcp_snooping and not settings.trusted),
            check_ip6=bool(ips) or snooped6,
            servers=settings.trusted or not (guards.dhcp_guard or guards.snoops),
            routers=settings.trusted or not guards.ra_guard,
            copies=guards.snoops,
            holds=bool(guards.move_guard_s),
            link_locals=snooped6 and not any(map(_is_link_local, ips)),
        )

    def _leases_of(self, port: str) -> frozenset[Lease]:
        return self._leases[4].leases_of(port) | self._leases[16].leases_of(port)

    # ------------------------------------------------------------ what DHCP says

    def hear(self, copies: Iterable[tuple[str, bytes]], now_s: int) -> None:
        """Take what entered at ports, as frames; those of clients first, who asked first."""
        found = [heard for name, frame in copies if (heard := self._read(name, frame))]
        changed: set[str] = set()
        for one in found:
            if not self._members[one.port].settings.trusted:
                changed |= self._asked(one, now_s)
        for one in found:
            if self._members[one.port].settings.trusted:
                changed |= self._answered(one, now_s)
        self._update(changed)

    def _read(self, name: str, frame: bytes) -> _Heard | None:
        if name not in self._members:
            return None
        vid, bare = _without_tag(frame, self._vlans_of(self._members[name]))
        try:
            message = dhcp6.in_frame(bare) if bare[12:14] == _IP6 else dhcp.in_frame(bare)
        except WireError as e:
            log.debug("no DHCP message port=%s error=%s", name, e)
            return None
        is_on = self._is_snooped(16 if isinstance(message, dhcp6.Message) else 4)
        return _Heard(name, vid, frame[6:12], frame[:6], message) if is_on else None

    def _asked(self, heard: _Heard, now_s: int) -> set[str]:
        message = heard.message
        if isinstance(message, dhcp6.Message):
            return self._v6.asked(heard.port, heard.vid, heard.source, message, now_s)
        if message.mac != heard.source:
            log.debug("DHCP for somebody else port=%s mac=%s", heard.port, message.mac.hex(":"))
            return set()
        return self._v4.asked(heard.port, heard.vid, message, now_s)

    def _answered(self, heard: _Heard, now_s: int) -> set[str]:
        message = heard.message
        if isinstance(message, dhcp6.Message):
            return self._v6.answered(heard.vid, heard.target, message, now_s)
        return self._v4.answered(heard.vid, message, now_s)

    def _is_snooped(self, length: int) -> bool:
        """Whether addresses of so many bytes have to be leased."""
        return self._guards.dhcp_snooping if length == 4 else self._guards.dhcp6_snooping

    def expire(self, now_s: int) -> None:
        """Forget leases that are over."""
        self._update(self._v4.expire(now_s) | self._v6.expire(now_s))

    def end(self, port: str) -> None:
        """A member is gone; the pollers are held, and so only its own leases are looked at."""
        self._v4.leave(port)
        self._v6.leave(port)
        self._neighbours.learn(port, ())
        self._tell()

    def flush(self) -> None:
        """Forget all leases: their VLANs are others now."""
        self._update(self._v4.clear() | self._v6.clear())

    def restore(self, bindings: Iterable[Binding]) -> int:
        """Have leases that are known from before, as far as they can still be; how many."""
        before = self.counters()["leases"]
        changed: set[str] = set()
        for one in filter(self._can_be, bindings):
            length = len(one.lease.ip)
            changed |= self._leases[length].put(one, alone=length == 4)
        self._update(changed)
        return self.counters()["leases"] - before

    def _can_be(self, binding: Binding) -> bool:
        """Whether a lease is of a port where there can be leases, and of one of its VLANs."""
        member = self._members.get(binding.port)
        if member is None or member.settings.trusted:
            return False
        vlans = self._vlans_of(member)
        is_there = binding.lease.vid in (vlans.members if vlans else (NO_VLAN,))
        return is_there and self._is_snooped(len(binding.lease.ip))

    def _tell(self) -> None:
        changes = sum(bindings.changes for bindings in self._leases.values())
        if changes != self._told:
            self._told = changes
            self.on_leases()

    def _update(self, ports: Iterable[str]) -> None:
        self._tell()
        ports = sorted(port for port in ports if port in self._members)
        if not ports:
            return
        with self._paused():
            for port in ports:
                self.apply(self._members[port])
        for port in ports:
            log.info("leases changed port=%s leases=%d", port, len(self._leases_of(port)))

    def counters(self) -> dict[str, int]:
        """Leases, those refused for want of room, and DHCP messages missed so far."""
        missed = sum(self._core.missed(member.number) for member in self._members.values())
        refused = sum(bindings.refused for bindings in self._leases.values())
        return {"leases": len(self.bindings()), "refused": refused, "missed": missed}

    def bindings(self) -> list[Binding]:
        """Every lease, those of IPv4 first."""
        return [*self._leases[4].all(), *self._leases[16].all()]


def _is_link_local(ip: bytes) -> bool:
    return len(ip) == 16 and ip[0] == 0xFE and ip[1] >> 6 == 2  # fe80::/10, RFC 4291 2.4


def _packed(ip: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)


def _without_tag(frame: bytes, vlans: PortVlans | None) -> tuple[int, bytes]:
    """The VLAN of a frame that a port with *vlans* let in, and the frame without its tag."""
    if vlans is None:
        return 0, frame
    if int.from_bytes(frame[12:14]) != vlans.tag_type:
        return vlans.pvid or 0, frame
    vid = int.from_bytes(frame[14:16]) & 0xFFF
    ours = dict(vlans.translate).get(vid, vid) if vid else vlans.pvid or 0
    return ours, frame[:12] + frame[16:]
