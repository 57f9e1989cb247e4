"""Any scenario for a Linux bridge: few stations and VLANs, so that they meet."""

from __future__ import annotations

from hypothesis import strategies as st

from support.frames import BROADCAST, mac
from support.vlan_scenario import Change, Pinned, Plug, Scenario, Step
from support.vlan_talk import GROUP, OLD_TAG, says
from vswitch.portsettings import PortSettings
from vswitch.vlans import C_TAG, S_TAG, PortVlans, VidSet

STATIONS = list(map(mac, range(1, 6)))
VIDS = [1, 10, 20, 4094]
STRANGE_VIDS = [0, 0, 30, 4095]
# Tags of the switch's own type do not count against the MTU of 1500.
LENGTHS = [*[60] * 8, 64, 65, 1000, 1514, 1518]
MANY = VidSet.parse("20-40")  # all 4,094 take the kernel half a second
STEPS_MOST = 25
PLUGS_MOST = 1  # each may take the kernel a second

stations = st.sampled_from(STATIONS)
destinations = st.sampled_from([*STATIONS * 3, BROADCAST, BROADCAST, BROADCAST, GROUP])
sources = st.sampled_from([*STATIONS * 5, GROUP, bytes(6)])
tags = st.tuples(
    st.sampled_from([*[C_TAG] * 4, *[S_TAG] * 3, OLD_TAG]),
    st.builds(
        lambda vid, priority: priority << 12 | vid,
        st.sampled_from([*VIDS * 3, *STRANGE_VIDS]),
        st.sampled_from([0, 0, 0, 1, 7, 14]),
    ),
)


def seldom(value: object, otherwise: object, *, in_n: int = 6) -> st.SearchStrategy:
    """*value* once in a while."""
    return st.sampled_from([otherwise] * (in_n - 1) + [value])


@st.composite
def port_vlans(draw: st.DrawFn) -> PortVlans:
    """As the bridge has them: a PVID is a member, and the door asks for membership alone."""
    some = draw(st.sets(st.sampled_from(VIDS)))
    members = VidSet.of(some) | draw(seldom(MANY, VidSet(), in_n=8))
    pvid = draw(st.sampled_from([None, *some, *some]))
    untagged = draw(st.sets(st.sampled_from(VIDS)).map(VidSet.of))
    usual = VidSet() if pvid is None else VidSet.of([pvid])
    return PortVlans(
        pvid=pvid,
        members=members,
        untagged=draw(st.sampled_from([usual, usual, untagged])) & members,
    )


@st.composite
def settings(draw: st.DrawFn, number: int, n_ports: int, *, aware: bool) -> PortSettings:
    """Of port *number*; *aware*: with VLANs."""
    others = [f"p{n}" for n in range(n_ports) if n != number]
    return PortSettings(
        vlans=draw(port_vlans()) if aware else None,
        learning=draw(seldom(False, True)),
        isolated=draw(seldom(True, False, in_n=4)),
        hairpin=draw(seldom(True, False)),
        flood=draw(seldom(False, True)),
        mcast_flood=draw(seldom(False, True)),
        bcast_flood=draw(seldom(False, True)),
        locked=draw(seldom(True, False)),
        backup=draw(st.sampled_from(["", *others])),
    )


@st.composite
def pinned(draw: st.DrawFn, ports: list[PortSettings]) -> tuple[Pinned, ...]:
    """The bridge takes a static station only at a port that is of its VLAN."""
    wishes = st.tuples(st.sampled_from(range(len(ports))), stations, st.sampled_from(VIDS))
    found = {}
    for port, address, vid in draw(st.lists(wishes, max_size=3)):
        vlans = ports[port].vlans
        if vlans is None or vid in vlans.members:
            vid = vid if vlans else 0
            found[vid, address] = Pinned(address, port, vid)
    return tuple(found.values())


@st.composite
def steps(draw: st.DrawFn, n_ports: int, *, aware: bool) -> tuple[Step, ...]:
    """Frames most of all; few changes, as each is a command."""
    drawn: list[Step] = []
    down: set[int] = set()
    plugs = 0
    numbers = st.integers(0, n_ports - 1)
    for _ in range(draw(st.integers(1, STEPS_MOST))):
        kind, port = (
            draw(st.sampled_from(["frame"] * 80 + ["change", "change", "plug"])),
            draw(numbers),
        )
        if kind == "change":
            drawn.append(Change(port, draw(settings(port, n_ports, aware=aware))))
        elif kind == "plug" and (plugs < PLUGS_MOST or port in down):
            drawn.append(Plug(port, up=port in down))
            plugs += port not in down
            down ^= {port}
        else:
            some_tags = draw(st.lists(tags, max_size=3))
            length = draw(st.sampled_from(LENGTHS))
            drawn.append(says(port, draw(destinations), draw(sources), *some_tags, length=length))
    return tuple(drawn)


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    n_ports = draw(st.integers(2, 5))
    aware, tag_type = draw(st.sampled_from([(True, C_TAG)] * 2 + [(True, S_TAG), (False, C_TAG)]))
    ports = [draw(settings(number, n_ports, aware=aware)) for number in range(n_ports)]
    return Scenario(
        "any",
        tuple(ports),
        draw(steps(n_ports, aware=aware)),
        draw(pinned(ports)),
        tag_type,
    )
