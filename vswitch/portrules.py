"""What is set of ports, done: VLANs, flags, backups.

A switch takes notice of VLANs while one of its ports has an option about them, or a place where VMs
connect, whose ports come and go. Then all ports do something with tags: those without an option
what `vlans.PLAIN` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager

from vswitch.core import Core
from vswitch.guards import Guards
from vswitch.members import Member
from vswitch.meters import meters_of, shape_of
from vswitch.neighbouring import Neighbouring
from vswitch.portsettings import PortSettings
from vswitch.stations import Stations
from vswitch.status import VlanStatus
from vswitch.vlans import NO_VLAN, PLAIN, PortVlans


class PortRules:
    """The rules of one switch's members; its callers hold the switch's lock and its pollers.

    Args:
        core: Where the ports are numbers.
        members: All of them.
        stations: Those that are in VLANs where they no longer can be are forgotten.
        paused: Holds the pollers.
        neighbours: Told of those that are known by what is set of ports.
    """

    def __init__(
        self,
        core: Core,
        members: Mapping[str, Member],
        stations: Stations,
        paused: Callable[[], AbstractContextManager[None]],
        neighbours: Neighbouring,
    ) -> None:
        self._core = core
        self._members = members
        self._stations = stations
        self.aware = False  # of VLANs
        self._places: list[PortSettings] = []  # of ports that VMs may make
        self._backups: dict[int, int] = {}  # that are in use, by the ports that are down
        self.guards = Guards(
            core, members, paused=paused, vlans_of=self.vlans_of, neighbours=neighbours
        )

    def open(self, settings: PortSettings) -> None:
        """VMs may make ports with these settings from now on."""
        self._places.append(settings)
        self._notice(self._members.values())

    def shut(self, settings: PortSettings) -> None:
        """And at this place no more."""
        self._places.remove(settings)
        self._notice(self._members.values())

    def begin(self, member: Member) -> None:
        """Apply what is set of a new member, which is not yet among them."""
        self._notice([*self._members.values(), member])
        self._apply(member)

    def change(self, member: Member, settings: PortSettings) -> None:
        """Give one of them other settings."""
        was, member.settings = member.settings, settings
        self._notice(self._members.values())
        self._apply(member)
        if was.mab and not settings.mab:
            self._stations.flush_locked(member)

    def leave_vlans(self, member: Member, was: PortVlans | None) -> None:
        """A member's VLANs were others; the pollers, which heed that already, need not be held."""
        before, now = was or PLAIN, self.vlans_of(member)
        if now is None or not before.ingress_filter or before.members - now.members:
            self._stations.stay_in(member.number, now)

    def end(self, port: str) -> None:
        """The one of that name is gone."""
        self._notice(self._members.values())
        self.guards.end(port)
        self.use_backups()

    def vlans_of(self, member: Member) -> PortVlans | None:
        """What a member does with VLANs; None while nobody takes notice of them."""
        return (member.settings.vlans or PLAIN) if self.aware else None

    def status(self, member: Member) -> VlanStatus:
        """What a member does with VLANs, and what it counted in each."""
        counted = self._core.vlan_counters(member.number) if self.aware else {}
        return VlanStatus(member.port.name, self.vlans_of(member), counted)

    def own_vid(self, member: Member) -> int | None:
        """The VLAN of a member's own station; None if it can be in none."""
        vlans = self.vlans_of(member)
        return vlans.pvid if vlans else NO_VLAN

    def backup_of(self, member: Member) -> Member | None:
        """The port that gets what is for a member while that is down, if it is there."""
        return self._members.get(member.settings.backup)

    def use_backups(self) -> None:
        """Give what is for ports that are down to their backups, and to others what is theirs."""
        wanted = {
            member.number: backup.number
            for member in self._members.values()
            if (backup := self.backup_of(member)) and (not member.up or member.gone)
        }
        if wanted == self._backups:
            return
        told, self._backups = self._backups, wanted
        for number in [member.number for member in self._members.values()]:
            if wanted.get(number) != told.get(number):
                self._core.set_backup(number, wanted.get(number))

    def _notice(self, members: Iterable[Member]) -> None:
        members = list(members)
        aware = any(s.vlans for s in (*self._places, *(m.settings for m in members)))
        if aware == self.aware:
            return
        self.aware = aware
        self._stations.flush(None, None)  # they were in other VLANs, or in none
        self.guards.flush()
        for member in members:
            self._set_vlans(member)
            self.guards.apply(member)  # neighbours are in other VLANs

    def _apply(self, member: Member) -> None:
        self._set_vlans(member)
        self._core.set_flags(member.number, member.settings)
        self._core.set_meters(member.number, meters_of(member.settings))
        self._core.set_shaper(member.number, shape_of(member.settings))
        self.guards.apply(member)
        self.use_backups()

    def _set_vlans(self, member: Member) -> None:
        self._core.set_vlans(member.number, self.vlans_of(member))
        self._stations.settle(member, self.own_vid(member))
