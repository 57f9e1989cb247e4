"""Facts in the words of Open vSwitch: ``ovs-appctl fdb/show``, ``fdb/stats-show``, ``ovs-vsctl
show``."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vswitch.vlans import VidSet

if TYPE_CHECKING:
    from vswitch.control.schema import FdbEntry, FdbInfo, PortInfo, SwitchInfo

LOCAL = "LOCAL"  # what the host's own port is called in place of a number


def numbers(ports: Sequence[PortInfo]) -> dict[str, str]:
    """Names to numbers as there, where they begin at 1."""
    return {p.name: LOCAL if p.kind == "local" else str(p.number + 1) for p in ports}


def fdb_table(entries: Sequence[FdbEntry], number: Mapping[str, str]) -> str:
    """What ``ovs-appctl fdb/show`` prints."""
    lines = [" port  VLAN  MAC                Age"]
    for e in entries:
        age = "static" if e.static else f"{e.age_s or 0:3d}"
        lines.append(f"{number.get(e.port, '?'):>5}  {e.vid:4d}  {e.mac}  {age}")
    return "\n".join(lines)


def fdb_keys(entries: Sequence[FdbEntry], number: Mapping[str, str]) -> list[dict[str, object]]:
    """What ``ovs-appctl --format json fdb/show`` prints."""

    def port(name: str) -> int | str:
        said = number.get(name, "?")
        return int(said) if said.isdecimal() else said

    return [
        {
            "port": port(e.port),
            "vlan": e.vid,
            "mac": e.mac,
            **({"static": True} if e.static else {"age": e.age_s or 0}),
        }
        for e in entries
    ]


def stats(name: str, fdb: FdbInfo) -> str:
    """What ``ovs-appctl fdb/stats-show`` prints. Nobody is ever evicted here."""
    return "\n".join([
        f'Statistics for bridge "{name}":',
        f"  Current/maximum MAC entries in the table: {fdb.entries}/{fdb.limit}",
        f"  Current static MAC entries in the table : {fdb.static}",
        f"  Total number of learned MAC entries     : {fdb.learned}",
        f"  Total number of expired MAC entries     : {fdb.expired}",
        "  Total number of evicted MAC entries     : 0",
        f"  Total number of port moved MAC entries  : {fdb.moved}",
    ])  # fmt: skip


def tree(info: SwitchInfo, ports: Sequence[PortInfo]) -> str:
    """What ``ovs-vsctl show`` prints; the first line tells switches of different names apart."""
    lines = [
        str(uuid.uuid5(uuid.NAMESPACE_OID, info.name)),
        f"    Bridge {_quoted(info.name)}",
        "        datapath_type: netdev",
    ]
    types = {"local": "internal", "netdev": ""}
    for port in sorted(ports, key=lambda p: p.name):
        name = _quoted(port.name)
        lines += [f"        Port {name}", *_vlans(port), f"            Interface {name}"]
        if kind := types.get(port.kind, port.kind):
            lines.append(f"                type: {kind}")
    return "\n".join([*lines, f'    ovs_version: "{info.version}"'])


def _vlans(port: PortInfo) -> list[str]:
    """A port's VLANs: "tag" is that of untagged frames there, "trunks" those with tags."""
    if port.vlans is None or port.vlans.mode == "plain":
        return []
    trunks = ", ".join(map(str, VidSet.parse(port.vlans.tagged or "none")))
    return [
        *([f"            tag: {port.vlans.pvid}"] if port.vlans.pvid else []),
        *([f"            trunks: [{trunks}]"] if trunks else []),
    ]


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name) else f'"{name}"'
