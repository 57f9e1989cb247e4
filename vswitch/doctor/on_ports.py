"""Checks of ports, each for itself: its device, its other end, its queues."""

from __future__ import annotations

from collections.abc import Iterator

from vswitch.control.schema import PortInfo
from vswitch.doctor.facts import Device, Facts, Host, SwitchFacts
from vswitch.doctor.finding import Finding, add_port, command, remove_port

LOST = 1e-3  # the share of frames above which a loss is a warning: TCP halves its rate long before
LOST_LEAST = 100  # frames; what is lost before a port is opened, or as a VM ends, is less
TXQUEUELEN = 10_000


def holders(facts: Facts) -> Iterator[Finding]:
    """The file end of each TAP has one holder: the switch, or whom it talks to."""
    for switch, port, _ in facts.attached():
        if port.driver != "tap":
            continue
        found = facts.host.holders.get(port.name, ())
        others = [h for h in found if h.pid != switch.pid]
        if port.end == "file" and others:
            yield Finding(
                "holders",
                "error",
                f"{others[0]} holds queues of {port.name} as well: it gets a part of the frames",
                switch.name,
                port.name,
                command("kill", others[0].pid),
            )
        elif port.end == "interface" and not found and facts.host.sees_all:
            yield Finding(
                "holders",
                "warning",
                f"no program holds the file end of {port.name}: "
                "frames sent to that port go nowhere until one does",
                switch.name,
                port.name,
                f"{remove_port(switch, port.name)} && {add_port(switch, f'tap:{port.name}')}",
            )


def links(facts: Facts) -> Iterator[Finding]:
    """Every port has its device, that is up and has a carrier."""
    for switch, port, device in facts.attached():
        if not device.up:
            text = f"{port.name} is down"
            fix = command("ip", "link", "set", "dev", port.name, "up")
            yield Finding("carrier", "warning", text, switch.name, port.name, fix)
        elif port.end == "interface" and not device.carrier and not _has_no_holder(facts, device):
            yield Finding("carrier", "warning", *_no_carrier(facts, switch, port, device))
    for switch in facts.switches:
        for port in switch.ports:
            if port.state == "gone":
                text = f"the device of {port.name} is gone: deleted, or moved away"
                fix = remove_port(switch, port.name)
                yield Finding("carrier", "error", text, switch.name, port.name, fix)


def _has_no_holder(facts: Facts, device: Device) -> bool:
    """Whether `holders` says why a TAP has no carrier."""
    host = facts.host
    return device.kind == "tun" and host.sees_all and not host.holders.get(device.name)


def _no_carrier(
    facts: Facts, switch: SwitchFacts, port: PortInfo, device: Device
) -> tuple[str, str, str, str]:
    text, fix = f"{port.name} has no carrier", ""
    other = facts.host.by_index(device.below)
    if other and not other.up:
        text += f": its other end {other.name} is down"
        fix = command("ip", "link", "set", "dev", other.name, "up")
    return text, switch.name, port.name, fix


def addresses(facts: Facts) -> Iterator[Finding]:
    """The host answers at no device whose interface end is a port."""
    for switch, port, device in facts.attached():
        if port.end == "interface" and device.addresses:
            yield Finding(
                "host-address",
                "warning",
                f"{port.name} has the address {device.addresses[0]}: "
                "the host answers there, beside the switch",
                switch.name,
                port.name,
                command("ip", "addr", "flush", "dev", port.name),
            )


def masters(facts: Facts) -> Iterator[Finding]:
    """No Linux bridge forwards what comes by an interface end, too."""
    for switch, port, device in facts.attached():
        if port.end == "interface" and device.master:
            yield Finding(
                "bridged",
                "error",
                f"{port.name} is part of {device.master}: both forward its frames",
                switch.name,
                port.name,
                command("ip", "link", "set", "dev", port.name, "nomaster"),
            )


def bridge_hooks(facts: Facts) -> Iterator[Finding]:
    """The firewall does not see what a Linux bridge carries to or from a port."""
    hooks = facts.host.bridge_hooks
    for switch, port, device in facts.attached() if hooks else ():
        if bridge := _bridge_of(facts.host, device):
            yield Finding(
                "br_netfilter",
                "warning",
                f"{bridge}, behind {port.name}, hands its frames to the host's firewall "
                f"({hooks[0]} is 1), which may drop them",
                switch.name,
                port.name,
                command("sysctl", "-w", *(f"net.bridge.{hook}=0" for hook in hooks)),
            )


def _bridge_of(host: Host, device: Device) -> str:
    """The Linux bridge a device, or the other end of its veth, is part of; or nothing."""
    other = host.by_index(device.below)
    for end in (device, other if device.kind == "veth" else None):
        if end and end.master and host.devices[end.master].kind == "bridge":
            return end.master
    return ""


def wireless(facts: Facts) -> Iterator[Finding]:
    """No port needs an access point to take frames of stations behind it."""
    for switch, port, device in facts.attached():
        if device.wireless:
            yield Finding(
                "wireless",
                "warning",
                f"{port.name} is wireless: access points drop frames of stations behind it",
                switch.name,
                port.name,
                remove_port(switch, port.name),
            )


def drops(facts: Facts) -> Iterator[Finding]:
    """Queues did not overflow."""
    for switch in facts.switches:
        for port in switch.ports:
            rx, tx = port.drops.get("rx_full", 0), port.drops.get("tx_full", 0)
            if rx:
                severity = _severity(rx, port.counters["rx_frames"])
                text = f"{rx} frames came to {port.name} faster than they were read (rx_full)"
                yield Finding("drops", severity, text, switch.name, port.name)
            if tx:
                severity = _severity(tx, tx + port.counters["tx_frames"])
                text = f"{tx} frames found the queue of {port.name} full (tx_full)"
                yield Finding("drops", severity, text, switch.name, port.name)


def tap_queues(facts: Facts) -> Iterator[Finding]:
    """What the kernel keeps of a TAP until the switch reads it did not overflow."""
    for switch, port, device in facts.attached():
        if port.end != "file" or not device.tx_dropped:
            continue
        lost = device.tx_dropped
        text = f"{lost} frames, since {port.name} was made, were dropped by the kernel before "
        text += f"anybody read them (txqueuelen {device.txqueuelen})"
        severity, fix = _severity(lost, lost + port.counters["rx_frames"]), ""
        if device.txqueuelen < TXQUEUELEN:
            fix = command("ip", "link", "set", "dev", port.name, "txqueuelen", TXQUEUELEN)
        else:  # they may have been lost before it was made so long
            severity = "note"
        yield Finding("drops", severity, text, switch.name, port.name, fix)


def _severity(lost: int, frames: int) -> str:
    return "warning" if lost > max(LOST_LEAST, LOST * frames) else "note"
