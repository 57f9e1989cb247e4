"""What is set of the ports of a switch, anything of it, while the fuzzer sends."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from support.frames import mac
from vswitch import Switch
from vswitch.errors import ConfigError, FdbError, MirrorExistsError
from vswitch.mirrors import DIRECTIONS, Mirror, Source
from vswitch.vlans import VidSet
from vswitch.vlanwords import parse

# The tags of the fuzzer's frames (traffic.py) are of EtherType 0x8100 and VLAN 5, two at most.
VLANS = (
    "none",
    "access=5",
    "access=10",
    "access=5,tag-type=802.1ad",
    "trunk=all,native=10",
    "trunk=5,10,native=5,native-mode=tagged",
    "trunk=5,accept=tagged",
    "trunk=all,native=5,tag-type=0x9100",
    "trunk=all,native=4094,tag-type=802.1ad",
    "trunk=10,11,native=4094,translate=5:10",
    "pvid=10,untagged=5,10,tagged=20-29,ingress-filter=off",
)
FLAGS = ("isolated", "hairpin", "flood", "mcast_flood", "bcast_flood", "locked", "limit_drop")


def change(switch: Switch, rng: np.random.Generator, *, probes: bool) -> None:
    """Change one thing; *probes*: also whether the switch says something by itself."""
    port, other = (str(name) for name in rng.choice(list(switch.ports), 2, replace=False))
    number = int(rng.integers(0, 128))
    match int(rng.integers(0, 9)):
        case 0 | 1 | 2:
            switch.set_port(port, vlans=parse(port, str(rng.choice(VLANS))))
        case 3 | 4:
            said = {flag: bool(number >> bit & 1) for bit, flag in enumerate(FLAGS)}
            switch.set_port(port, backup=other, **said)
        case 5 | 6:
            _mirror(switch, port, other, number)
        case 7:
            _station(switch, port, number)
        case 8:
            _plug(switch, port, up=number % 2 > 0)
    if probes and number < 16:
        switch.loops.configure(("off", "report", "on")[number % 3], 1 + number)


def _mirror(switch: Switch, port: str, target: str, number: int) -> None:
    """Begin a mirror, or end the oldest."""
    there = switch.mirrors.all
    if number < 48 and there:
        switch.mirrors.remove(there[0].name)
        return
    sources = (Source(port, DIRECTIONS[number % 3]),) if number < 112 else ()
    vids = VidSet.parse("5,10") if number >= 96 else None
    with suppress(ConfigError, MirrorExistsError):  # it looks at a target, or is there
        switch.mirrors.add(Mirror(f"m{number % 4}", target, sources, vids))


def _station(switch: Switch, port: str, number: int) -> None:
    """Pin a station in some VLAN, have it stick there, or forget it."""
    vid, station = (0, 5, 10)[number % 3], mac(number % 16)
    with suppress(ConfigError, FdbError):  # the port is not of that VLAN, or there is no room
        (switch.pin, switch.stick)[number % 2](station, port, vid=vid)
    if number < 64:
        switch.unpin(station, vid=vid)


def _plug(switch: Switch, port: str, *, up: bool) -> None:
    """Pull the cable of a port, or put it back."""
    with switch._lock:
        member, links = switch._members[port], switch._upkeep.links
        if up:
            links.set_up(member)
        else:
            links.take_down(member, "pulled", 20)
