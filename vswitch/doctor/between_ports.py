"""Checks of ports beside one another: what fits each alone, and not both."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator

from vswitch.control.schema import PortInfo
from vswitch.doctor.facts import Device, Facts, Host, SwitchFacts
from vswitch.doctor.finding import Finding, add_port, change_port, command, remove_port
from vswitch.vlans import TAG_BYTES

# Kinds of ports that take unfinished frames if they are let.
COULD = {"tap", "netdev", "local", "vhost-user", "fd"}
MOVES_PER_S, MOVES_LEAST = 1, 100  # more is no migration


def mtus(facts: Facts) -> Iterator[Finding]:
    """Every port takes frames as long as the others send."""
    for switch in facts.switches:
        there = [port for port in switch.ports if port.state != "gone"]
        if len({port.mtu - _of_tag(port) for port in there}) < 2:
            continue
        deciding = [port for port in there if not _of_tag(port)] or there
        found = Counter(port.mtu - _of_tag(port) for port in deciding)
        usual = min(found, key=lambda mtu: (-found[mtu], mtu))
        for port in there:
            if (mtu := port.mtu - _of_tag(port)) != usual:
                short = "what is longer is dropped there"
                long = "what it lets in is too long for others"
                tag = f" ({_of_tag(port)} of them for its tags)" if _of_tag(port) else ""
                text = f"{port.name} has MTU {port.mtu}{tag}, other ports have {usual}: "
                text += short if mtu < usual else long
                fix = _set_mtu(facts, switch, port, usual + _of_tag(port))
                yield Finding("mtu", "warning", text, switch.name, port.name, fix)


def _of_tag(port: PortInfo) -> int:
    """Bytes of a port's MTU that its tags take, see `PortStatus.longest`."""
    vlans = port.vlans
    beside = port.end != "interface" or not vlans or vlans.tag_type == "802.1Q" or not vlans.tagged
    return 0 if beside else TAG_BYTES


def _set_mtu(facts: Facts, switch: SwitchFacts, port: PortInfo, mtu: int) -> str:
    if any(port is other for _, other, _ in facts.attached()):
        return command("ip", "link", "set", "dev", port.name, "mtu", mtu)
    # A socket's, or that of a device in another namespace: the switch can.
    return change_port(switch, port.name, "mtu", mtu)


def offloads(facts: Facts) -> Iterator[Finding]:
    """No port makes the switch finish in software what the others leave undone."""
    for switch in facts.switches:
        up = [p for p in switch.ports if p.kind in COULD and p.state == "forwarding"]
        having = [port for port in up if port.offloads]
        for port in up if having else ():
            if not port.offloads:
                yield Finding(
                    "offloads",
                    "note",
                    f"{port.name} has no offloads and {having[0].name} has: "
                    "checksums and segments between them are made in software",
                    switch.name,
                    port.name,
                    f"{remove_port(switch, port.name)} && {add_port(switch, port.name)}"
                    if port.kind in ("tap", "netdev")
                    else "",
                )


def stations(facts: Facts) -> Iterator[Finding]:
    """An address is at one port."""
    at: dict[str, tuple[SwitchFacts, PortInfo]] = {}
    for switch, port, device in facts.attached():
        first = at.setdefault(device.mac, (switch, port))
        if first[1] is not port:
            text = f"{first[1].name} and {port.name} have the same address {device.mac}"
            yield Finding("duplicates", "error", text, switch.name, port.name, _new_mac(port.name))
    for switch, port, device in facts.attached():
        for station in switch.stations:
            if station.mac == device.mac and station.port != port.name:
                text = f"{station.mac}, the address of {port.name}, was heard from {station.port}"
                fix = _new_mac(port.name)
                yield Finding("duplicates", "error", text, switch.name, station.port, fix)


def _new_mac(name: str) -> str:
    mac = b"\x02" + hashlib.sha256(name.encode()).digest()[:5]
    return command("ip", "link", "set", "dev", name, "address", mac.hex(":"))


def host_addresses(facts: Facts) -> Iterator[Finding]:
    """The host has each of its IP addresses once."""
    ours = {device.name: (switch, port) for switch, port, device in facts.attached()}
    at: dict[str, Device] = {}
    for device in sorted(
        facts.host.devices.values(), key=lambda d: not _is_local(ours.get(d.name))
    ):
        for address in device.addresses:
            first = at.setdefault(address.partition("/")[0], device)
            if first is device or not {first.name, device.name} & ours.keys():
                continue
            # The host's own port is where it should be.
            wrong = device if _is_local(ours.get(first.name)) or device.name in ours else first
            switch, port = ours.get(device.name) or ours[first.name]
            text = f"{address} is an address of {first.name} and of {device.name}"
            fix = command("ip", "addr", "del", _of(wrong, address), "dev", wrong.name)
            yield Finding("duplicates", "error", text, switch.name, port.name, fix)


def _is_local(found: tuple[SwitchFacts, PortInfo] | None) -> bool:
    return found is not None and found[1].kind == "local"


def _of(device: Device, address: str) -> str:
    """*address* with the length of the prefix that *device* has."""
    ip = address.partition("/")[0]
    return next(a for a in device.addresses if a.partition("/")[0] == ip)


def segments(facts: Facts) -> Iterator[Finding]:
    """No frame that leaves by a port comes back by another."""
    at: dict[tuple[str, str], PortInfo] = {}
    for switch, port, device in facts.attached():
        if not (segment := _segment(facts.host, device)):
            continue
        first = at.setdefault((switch.name, segment), port)
        if first is port:
            continue
        fix = remove_port(switch, port.name)
        if device.master:
            fix = command("ip", "link", "set", "dev", port.name, "nomaster")
        text = f"{first.name} and {port.name} are both on {segment}: frames go round for ever"
        yield Finding("loop", "error", text, switch.name, port.name, fix)


def _segment(host: Host, device: Device) -> str:
    """What joins a device to others of this host, or nothing."""
    other = host.by_index(device.below)
    if device.kind == "macvlan" and other:
        return other.name
    ends = [device, other] if device.kind == "veth" and other else [device]
    for end in ends:
        if end.master:
            # A bridge with STP blocks one of the two: the switch forwards its messages.
            return "" if host.devices[end.master].stp else end.master
    if len(ends) == 2:
        return "one veth, " + " and ".join(sorted(end.name for end in ends))
    return device.name  # the parent of a macvlan that is a port, too


def moves(facts: Facts) -> Iterator[Finding]:
    """Stations stay where they are."""
    for switch in facts.switches:
        if switch.moved > max(MOVES_LEAST, MOVES_PER_S * switch.uptime_s):
            yield Finding(
                "loop",
                "warning",
                f"stations of {switch.name} moved between ports {switch.moved} times in "
                f"{switch.uptime_s} s: there is a loop, or two have one address",
                switch.name,
            )


def backups(facts: Facts) -> Iterator[Finding]:
    """Who is to stand in for a port is there."""
    for switch in facts.switches:
        names = {port.name for port in switch.ports}
        for port in switch.ports:
            if port.backup and port.backup not in names:
                text = f"{port.backup}, the backup of {port.name}, is no port of {switch.name}: "
                text += f"when {port.name} goes down nobody stands in for it"
                fix = change_port(switch, port.name, "nobackup_port")
                yield Finding("backup", "warning", text, switch.name, port.name, fix)
