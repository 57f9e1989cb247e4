"""The guards of a switch's ports: what is set of them, of the switch, and what DHCP gave, done.

At a port that is not trusted what servers and routers say is dropped while `SwitchGuards` says so.
With DHCP snooping its stations have to have leased the IPv4 addresses they speak for, unless
``allow-ip`` has them; the leases are those of servers at trusted ports.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager

from vswitch.bindings import Binding
from vswitch.core import Core
from vswitch.errors import WireError
from vswitch.guarding import PortGuard, SwitchGuards
from vswitch.members import Member
from vswitch.snooping import Snooping
from vswitch.vlans import NO_VLAN, PortVlans
from vswitch.wire import dhcp

log = logging.getLogger(__name__)


class Guards:
    """The guards of one switch's members; its callers hold the switch's lock.

    Args:
        core: Where the ports are numbers.
        members: All of them.
        paused: Holds the pollers.
        vlans_of: What a member does with VLANs.
    """

    def __init__(
        self,
        core: Core,
        members: Mapping[str, Member],
        *,
        paused: Callable[[], AbstractContextManager[None]],
        vlans_of: Callable[[Member], PortVlans | None],
    ) -> None:
        self._core = core
        self._members = members
        self._paused = paused
        self._vlans_of = vlans_of
        self._guards = SwitchGuards()
        self._snooping = Snooping()
        self._leases = self._snooping.bindings
        self._told = 0  # changes of the leases
        # Called with the switch's lock when a lease is another, or has another end.
        self.on_leases: Callable[[], None] = lambda: None

    # ------------------------------------------------------------ what is set

    def change(self, guards: SwitchGuards) -> None:
        """Guard all members as *guards* says."""
        self._guards = guards
        if not guards.dhcp_snooping:
            self._snooping.stay(())
            self._tell()
        with self._paused():
            self._core.fdb.set_hold(guards.move_guard_s)
            for member in self._members.values():
                self.apply(member)

    def apply(self, member: Member) -> None:
        """Let in at a member what may enter there; the pollers are held."""
        self._core.set_guard(member.number, self.guard_of(member))

    def guard_of(self, member: Member) -> PortGuard:
        """What may enter at a member."""
        settings, guards = member.settings, self._guards
        snooped = guards.dhcp_snooping and not settings.trusted
        return PortGuard(
            macs=frozenset(bytes.fromhex(mac.replace(":", "")) for mac in settings.allow_mac),
            ips=frozenset(map(_packed, settings.allow_ip)),
            leases=self._leases.leases_of(member.port.name),
            check_ip4=bool(settings.allow_ip) or snooped,
            check_ip6=bool(settings.allow_ip),
            servers=settings.trusted or not (guards.dhcp_guard or guards.dhcp_snooping),
            routers=settings.trusted or not guards.ra_guard,
            copies=guards.dhcp_snooping,
            holds=bool(guards.move_guard_s),
        )

    # ------------------------------------------------------------ what DHCP says

    def hear(self, copies: Iterable[tuple[str, bytes]], now_s: int) -> None:
        """Take what entered at ports, as frames; those of clients first, who asked first."""
        found = [heard for name, frame in copies if (heard := self._read(name, frame))]
        changed: set[str] = set()
        for port, vid, message in found:
            if not self._members[port].settings.trusted:
                changed |= self._snooping.asked(port, vid, message, now_s)
        for port, vid, message in found:
            if self._members[port].settings.trusted:
                changed |= self._snooping.answered(vid, message, now_s)
        self._update(changed)

    def _read(self, name: str, frame: bytes) -> tuple[str, int, dhcp.Message] | None:
        if name not in self._members or not self._guards.dhcp_snooping:
            return None
        member = self._members[name]
        vid, bare = _without_tag(frame, self._vlans_of(member))
        try:
            message = dhcp.in_frame(bare)
        except WireError as e:
            log.debug("no DHCP message port=%s error=%s", name, e)
            return None
        if not member.settings.trusted and message.mac != frame[6:12]:
            log.debug("DHCP for somebody else port=%s mac=%s", name, message.mac.hex(":"))
            return None
        return name, vid, message

    def expire(self, now_s: int) -> None:
        """Forget leases that are over."""
        self._update(self._snooping.expire(now_s))

    def end(self) -> None:
        """A member is gone."""
        self._snooping.stay(self._members)
        self._tell()

    def flush(self) -> None:
        """Forget all leases: their VLANs are others now."""
        self._update(self._snooping.stay(()))

    def restore(self, bindings: Iterable[Binding]) -> int:
        """Have leases that are known from before, as far as they can still be; how many."""
        taken = [binding for binding in bindings if self._can_be(binding)]
        self._update({p for one in taken for p in self._leases.put(one, alone=True)})
        return len(taken)

    def _can_be(self, binding: Binding) -> bool:
        """Whether a lease is of a port where there can be leases, and of one of its VLANs."""
        member = self._members.get(binding.port)
        if member is None or member.settings.trusted or not self._guards.dhcp_snooping:
            return False
        vlans = self._vlans_of(member)
        return binding.lease.vid in (vlans.members if vlans else (NO_VLAN,))

    def _tell(self) -> None:
        if self._leases.changes != self._told:
            self._told = self._leases.changes
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
            leases = self._leases.leases_of(port)
            log.info("leases changed port=%s leases=%d", port, len(leases))

    def counters(self) -> dict[str, int]:
        """Leases, those refused for want of room, and DHCP messages missed so far."""
        missed = sum(self._core.missed(member.number) for member in self._members.values())
        leases = self._leases
        return {"leases": len(leases.all()), "refused": leases.refused, "missed": missed}

    def bindings(self) -> list[Binding]:
        """Every lease."""
        return self._leases.all()


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
