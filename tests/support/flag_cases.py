"""Scenarios about the flags of ports: without VLANs, in one, and at trunks; see vlan_cases.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from support.frames import BROADCAST, mac
from support.vlan_scenario import Arrival, Change, Pinned, Plug, Scenario, Step
from support.vlan_talk import (
    GROUP,
    PLAIN_PORT,
    A,
    B,
    C,
    D,
    Tag,
    access,
    case,
    every_pair,
    greetings,
    says,
    trunk,
)
from vswitch.portsettings import PortSettings


@dataclass(frozen=True)
class Alike:
    """Four ports like *port*, and stations whose frames have *tags*: where flags are tried."""

    kind: str
    port: PortSettings
    tags: tuple[Tag, ...] = ()

    @property
    def vid(self) -> int:
        """The VLAN that they talk in."""
        return self.port.vlans.pvid or 10 if self.port.vlans else 0

    @property
    def talk(self) -> list[Step]:
        """All say something to everybody, to each other, and to a group."""
        tags = self.tags
        return [*greetings(4, *tags), *every_pair(4, *tags), says(0, GROUP, A, *tags)]

    @property
    def all_kinds(self) -> list[Step]:
        """The same after unknown stations and groups were talked to at every port."""
        unknown = [self.says(n, mac(9), mac(n + 1)) for n in range(4)]
        groups = [self.says(n, GROUP, mac(n + 1)) for n in range(4)]
        return [*unknown, *groups, *self.talk]

    def says(self, port: int, dst: bytes, src: bytes) -> Arrival:
        return says(port, dst, src, *self.tags)

    def later(self, number: int, **flags: object) -> Change:
        return Change(number, replace(self.port, **flags))

    def case(self, name: str, *flags: dict[str, object], steps: Sequence[Step] = (),
             pinned: Sequence[Pinned] = ()) -> Scenario:  # fmt: skip
        """*flags* of the first ports; without *steps* they say all there is to say."""
        ports = [replace(self.port, **f) for f in (*flags, *[{}] * 4)][:4]
        return case(f"{name}, {self.kind}", ports, *(steps or self.all_kinds), pinned=pinned)


def egress_cases(at: Alike) -> list[Scenario]:
    """Flags of what leaves."""
    one, says, talk = at.case, at.says, at.talk
    return [
        one("isolated ports do not hear each other", {"isolated": True}, {"isolated": True}),
        one("one isolated port hears the others", {"isolated": True}),
        one("all ports isolated", *[{"isolated": True}] * 4),
        one("isolation ends", {"isolated": True}, {"isolated": True},
            steps=[*talk, at.later(0), *talk]),
        one("hairpin", {"hairpin": True}),
        one("hairpin at an isolated port", {"hairpin": True, "isolated": True}, {"isolated": True}),
        one("hairpin to a station that is static", {"hairpin": True},
            steps=[says(0, D, A), says(0, D, A), says(1, D, B)], pinned=[Pinned(D, 0, at.vid)]),
        one("no flood of unknown stations", {"flood": False}, {"flood": False}),
        one("no flood of groups", {"mcast_flood": False}, {"mcast_flood": False}),
        one("no flood of broadcasts", {"bcast_flood": False}, {"bcast_flood": False}),
        one("no flood at all", *[{"flood": False, "mcast_flood": False, "bcast_flood": False}] * 4),
    ]  # fmt: skip


def learning_cases(at: Alike) -> list[Scenario]:
    """Ports that learn nothing."""
    one, says, later = at.case, at.says, at.later
    return [
        one("no learning", {"learning": False}, {"learning": False}),
        one("a port that does not learn does not move stations", {}, {"learning": False}, steps=[
            says(0, BROADCAST, A), says(1, BROADCAST, A), says(2, A, C),
            later(1), says(1, BROADCAST, A), says(2, A, C)]),
        one("a port stops learning and keeps what it learned", steps=[
            *at.talk, later(1, learning=False), says(2, B, C), says(1, C, B),
            says(0, BROADCAST, B), says(2, B, C), says(1, BROADCAST, D)]),
    ]  # fmt: skip


def locked_cases(at: Alike) -> list[Scenario]:
    """Ports that let in only whom they know."""
    one, says, vid = at.case, at.says, at.vid
    return [
        one("a locked port lets in nobody", {"locked": True}),
        one("a locked port lets in its static station", {"locked": True}, {"locked": True},
            pinned=[Pinned(A, 0, vid), Pinned(B, 2, vid)]),
        one("a locked port lets in who was learned before", steps=[
            *at.talk, at.later(0, locked=True), says(0, B, A), says(0, BROADCAST, A),
            says(0, B, C), says(0, B, mac(8)), says(1, A, B),
            says(1, BROADCAST, A), says(0, B, A), at.later(0), says(0, B, A)]),
        one("a locked port that does not learn", {"locked": True, "learning": False},
            pinned=[Pinned(A, 0, vid)]),
        one("a locked port and frames that are none", {"locked": True}, pinned=[Pinned(A, 0, vid)],
            steps=[says(0, BROADCAST, GROUP), says(0, BROADCAST, bytes(6)),
                   says(0, GROUP, A), says(0, A, A)]),
        one("all flags at once", {"isolated": True, "flood": False}, {"hairpin": True},
            {"locked": True, "bcast_flood": False}, {"mcast_flood": False, "isolated": True},
            pinned=[Pinned(C, 2, vid)]),
    ]  # fmt: skip


def link_cases(at: Alike) -> list[Scenario]:
    """Links that are down, and who gets what is for them."""
    one, says, talk, vid = at.case, at.says, at.talk, at.vid
    down, up = Plug(1, up=False), Plug(1, up=True)
    return [
        one("a link that is down forgets its stations", steps=[
            *talk, down, says(0, B, A), says(0, BROADCAST, A), says(2, C, B), up, says(0, B, A)]),
        one("static stations outlast their link", pinned=[Pinned(B, 1, vid)], steps=[
            down, says(0, B, A), says(2, BROADCAST, B), up, says(0, B, A)]),
        one("a backup port gets what is for a port that is down", {}, {"backup": "p2"}, steps=[
            *talk, down, says(0, B, A), says(3, B, D),
            says(2, B, C), says(0, BROADCAST, A), says(0, GROUP, A),
            says(0, mac(9), A), says(2, A, B), says(0, B, A),
            up, says(0, B, A), says(1, A, B), says(0, B, A)]),
        one("a backup port that is isolated", {"isolated": True}, {"backup": "p2"},
            {"isolated": True}, steps=[*talk, down, says(0, B, A), says(3, B, D)]),
        one("a backup port that is down, too", {}, {"backup": "p2"}, {"backup": "p3"}, steps=[
            *talk, down, Plug(2, up=False), says(0, B, A), says(0, C, A),
            Plug(2, up=True), says(0, B, A), says(0, C, A)]),
        one("a backup port with hairpin", {}, {"backup": "p2"}, {"hairpin": True}, steps=[
            *talk, down, says(2, B, C), says(2, BROADCAST, C)]),
        one("a static station behind a backup port", {}, {"backup": "p2"}, steps=[
            says(0, B, A), down, says(0, B, A), says(2, B, C),
            says(2, A, B), says(0, B, A)], pinned=[Pinned(B, 1, vid)]),
    ]  # fmt: skip


def flag_cases(at: Alike) -> list[Scenario]:
    return [*egress_cases(at), *learning_cases(at), *locked_cases(at), *link_cases(at)]


FLAGS = [
    *flag_cases(Alike("without VLANs", PLAIN_PORT)),
    *flag_cases(Alike("access", access(10))),
    *flag_cases(Alike("trunk", trunk("10,20"), (10,))),
]
