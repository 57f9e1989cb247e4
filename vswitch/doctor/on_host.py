"""Checks of the host, whether a switch runs or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vswitch.doctor.facts import Facts
from vswitch.doctor.finding import Finding, command

TUN = "/dev/net/tun"
FULL = 0.9  # of a limit
FILES_WISH, AIO_WISH = (
    65536,
    1 << 20,
)  # what to ask for; one or the other is a distribution's default


def tun_node(facts: Facts) -> Iterator[Finding]:
    """/dev/net/tun is there, and for us."""
    if facts.host.tun == "missing":
        text = f"there is no {TUN}: no TAP can be a port"
        yield Finding("tun", "error", text, fix="modprobe tun")
    elif facts.host.tun == "refused":
        text = f"{facts.host.user} may not read and write {TUN}: no TAP can be a port"
        yield Finding("tun", "error", text, fix=command("sudo", "chmod", "0666", TUN))


def capabilities(facts: Facts) -> Iterator[Finding]:
    """TAPs can be made, or there is one for this user; devices can be opened."""
    host = facts.host
    own = any(d.kind == "tun" and d.owner == host.uid for d in host.devices.values())
    if not host.net_admin and not own:
        made = f"ip tuntap add dev tap0 mode tap user {command(host.user)}"
        yield Finding(
            "capabilities",
            "note",
            f"{host.user} has no CAP_NET_ADMIN and no TAP of his own: only sockets can be ports",
            fix=f"sudo {made} && sudo ip link set dev tap0 up",
        )
    if host.net_admin and not host.net_raw:
        yield Finding(
            "capabilities",
            "note",
            "CAP_NET_RAW is missing: the interface end of a device cannot be a port",
        )


def dead_sockets(facts: Facts) -> Iterator[Finding]:
    """No switch was killed before it could clean up."""
    for path in facts.host.dead:
        name = Path(path).stem
        yield Finding(
            "leftovers",
            "warning",
            f"switch {name} ended without removing its socket {path}: nobody answers there",
            fix=command("rm", path),
        )


def idle_taps(facts: Facts) -> Iterator[Finding]:
    """Every TAP is somebody's."""
    host = facts.host
    if not host.sees_all:
        return
    used = {port.name for switch in facts.switches for port in switch.ports}
    for device in host.devices.values():
        if not device.persistent or device.name in used or host.holders.get(device.name):
            continue
        if device.owner is not None or device.master:  # made for somebody, or plugged in already
            continue
        if device.up and device.carrier:  # held, by a process of another pid namespace
            continue
        yield Finding(
            "leftovers",
            "note",
            f"TAP {device.name} stays for ever, and no program holds it",
            fix=command("ip", "link", "del", "dev", device.name),
        )


def open_files(facts: Facts) -> Iterator[Finding]:
    """Switches have room for more descriptors."""
    for switch in facts.switches:
        if switch.files is None:
            continue
        used, allowed = switch.files
        if used < FULL * allowed:
            continue
        wish = max(FILES_WISH, 4 * allowed)
        yield Finding(
            "limits",
            "warning",
            f"switch {switch.name} has {used} files open of {allowed} it may",
            switch=switch.name,
            fix=command("prlimit", "--pid", switch.pid, f"--nofile={wish}:{wish}"),
        )


def asynchronous_operations(facts: Facts) -> Iterator[Finding]:
    """Guests can be called: each call is an asynchronous operation."""
    used, allowed = facts.host.aio
    if used >= FULL * allowed:
        yield Finding(
            "limits",
            "warning",
            f"{used} of {allowed} asynchronous operations of this host are in use: "
            "guests on vhost-user ports need some",
            fix=command("sysctl", "-w", f"fs.aio-max-nr={max(AIO_WISH, 4 * allowed)}"),
        )


def answers(facts: Facts) -> Iterator[Finding]:
    """Switches answer."""
    for switch in facts.switches:
        if switch.silent:
            text = f"switch {switch.name} runs and could not be asked: {switch.silent}"
            yield Finding("answers", "error", text, switch=switch.name)
