"""Facts in the words of bridge(8): lines for people, keys for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vswitch.text import table

if TYPE_CHECKING:
    from vswitch.control.schema import FdbEntry, PortInfo

# What bridge(8) calls the state of a port whose `PortInfo.state` is ours.
STATES = {
    "forwarding": "forwarding",
    "blocked": "blocking",
    "looped": "blocking",
    "mirror": "disabled",  # with carrier
}
# In the order of "bridge -d link": fields of `PortInfo`, and what is so of every port here.
FLAGS: Mapping[str, bool | None] = {
    "hairpin": None,
    "guard": False,
    "root_block": False,
    "fastleave": False,
    "learning": None,
    "flood": None,
    "mcast_flood": None,
    "bcast_flood": None,
    "mcast_to_unicast": False,
    "neigh_suppress": None,
    "vlan_tunnel": False,
    "backup_port": None,  # if there is one
    "isolated": None,
    "locked": None,
    "mab": None,
}
MISSED, ERRORS = "rx_full", "tx_error"  # the drops that ip(8) counts apart


def fdb_line(e: FdbEntry, master: str, *, statistics: bool, port: bool = True) -> str:
    """The words of ``bridge fdb show`` in their order; a dynamic row ends in a blank there.

    *port*: whether to say which; bridge does not when it was asked for one.
    """
    dev = f"dev {e.port} " if port else ""
    vlan = f"vlan {e.vid} " if e.vid else ""
    age = e.age_s or 0
    used = f"used {age}/{age} " if statistics else ""
    flags = "".join(f"{flag} " for flag in _flags(e))
    state = "static" if e.static else ""
    return f"{e.mac} {dev}{vlan}{used}{flags}master {master} {state}"


def fdb_keys(e: FdbEntry, master: str, *, statistics: bool, port: bool = True) -> dict[str, object]:
    """A station with the keys of ``bridge -j fdb show``."""
    age = e.age_s or 0
    return {
        "mac": e.mac,
        **({"ifname": e.port} if port else {}),
        **({"vlan": e.vid} if e.vid else {}),
        **({"used": age, "updated": age} if statistics else {}),
        "flags": _flags(e),
        "master": master,
        "state": "static" if e.static else "",
    }


def _flags(e: FdbEntry) -> list[str]:
    return [flag for flag in ("sticky", "locked") if getattr(e, flag)]


def link_keys(
    port: PortInfo, master: str, where: Mapping[str, str], *, details: bool, statistics: bool
) -> dict[str, object]:
    """A port with the keys of ``bridge -j link``, and those of ``ip -j -s link`` for numbers.

    *where* says of each reason for drops whether it is "rx" or "tx".
    """
    up = port.state in STATES
    return {
        "ifindex": port.number + 1,  # theirs begin at 1
        "ifname": port.name,
        "flags": [*(() if up else ("NO-CARRIER",)), "BROADCAST", "MULTICAST", "UP"]
        + (["LOWER_UP"] if up else []),
        "mtu": port.mtu,
        "master": master,
        "state": STATES.get(port.state, "disabled"),
        **(flags_of(port) if details else {}),
        **({"stats64": numbers(port, where)} if statistics else {}),
    }


def flags_of(port: PortInfo) -> dict[str, bool | str]:
    """What ``bridge -d link`` says is on and off, and the backup."""
    said: dict[str, bool | str] = {}
    for name, always in FLAGS.items():
        if name == "backup_port":
            said |= {name: port.backup} if port.backup else {}
        else:
            said[name] = getattr(port, name) if always is None else always
    return said


def numbers(port: PortInfo, where: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """The counters of ``ip -j -s link`` that we have."""

    def dropped(side: str) -> int:
        return sum(
            n for why, n in port.drops.items() if where[why] == side and why not in (MISSED, ERRORS)
        )

    c = port.counters
    return {
        "rx": {
            "bytes": c["rx_bytes"],
            "packets": c["rx_frames"],
            "errors": 0,
            "dropped": dropped("rx"),
            "missed": port.drops[MISSED],
        },
        "tx": {
            "bytes": c["tx_bytes"],
            "packets": c["tx_frames"],
            "errors": port.drops[ERRORS],
            "dropped": dropped("tx"),
        },
    }


def link_lines(keys: Mapping[str, object], *, width: int | None) -> str:
    """The same facts as ``bridge link`` and ``ip -s link`` write them.

    *width*: of a terminal, in characters; None: of nobody's, and all flags are in one line.
    """
    flags = keys["flags"]
    assert isinstance(flags, list)
    lines = [
        f"{keys['ifindex']}: {keys['ifname']}: <{','.join(flags)}> mtu {keys['mtu']} "
        f"master {keys['master']} state {keys['state']} "
    ]
    said = [f"{key} {_shown(value)}" for key, value in keys.items() if key in FLAGS]
    if said:
        lines += _wrapped(said, width) if width else ["    " + " ".join(said)]
    stats = keys.get("stats64")
    if isinstance(stats, dict):
        for side, counted in stats.items():
            lines += _counted(side, counted)
    return "\n".join(lines)


def _shown(value: object) -> str:
    return str(value) if isinstance(value, str) else "on" if value else "off"


def _wrapped(words: Sequence[str], width: int) -> list[str]:
    """Indented, and no line longer than a terminal's; bridge has them all in one."""
    lines = ["   "]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > width:
            lines.append("   ")
        lines[-1] += f" {word}"
    return lines


def _counted(side: str, counted: Mapping[str, int]) -> list[str]:
    """Two lines: what is counted, and how much."""
    rows = table([f"{side.upper()}:", *counted], [["", *map(str, counted.values())]])
    return [f"    {line}" for line in rows.splitlines()]
