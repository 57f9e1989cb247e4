"""A Linux bridge with VLAN filtering in a virtual machine, put through scenarios.

The bridge's ports are TAPs there; ``tests/vms/wires.c`` holds their file ends, and is talked to
through a virtio-serial port. One boot serves any number of scenarios, each with a new bridge.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from support.vlan_scenario import Arrival, Change, Outcome, Pinned, Place, Scenario, Sent
from support.vm import IMAGE, Image, Vm
from vswitch.portsettings import PortSettings
from vswitch.vlans import TAG_TYPES, PortVlans, VidSet

INITRD = "bridge.gz"
PORTS_MOST = 6
ANSWER_S = 60
TYPE_NAMES = {number: name for name, number in TAG_TYPES.items()}
NO_VLANS = PortVlans(pvid=None, members=VidSet(), untagged=VidSet())
FLAGS = (
    "learning", "isolated", "hairpin", "flood", "mcast_flood", "bcast_flood", "locked",
)  # fmt: skip
ALL_FORWARD = "! grep -L 3 /sys/class/net/br0/brif/*/state\n"  # BR_STATE_FORWARDING


class Wires:
    """What ``wires.c`` answers, over *stream*."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def run(self, script: str) -> str:
        """Run a script of shell; what it printed, AssertionError unless it succeeded."""
        self._ask(f"run {len(script)}", script.encode())
        _, status, length = self._line("ran")
        printed = self._stream.read(int(length)).decode()
        assert status == "0", f"{printed}\n{script}"
        return printed

    def frame(self, port: int, frame: bytes) -> Sent:
        """Have a port receive a frame; what each port sends because of it."""
        self._ask(f"frame {port} {len(frame)}", frame)
        return self._sent()

    def carrier(self, port: int, *, up: bool) -> None:
        """Put a port's plug in, or pull it."""
        self._ask(f"carrier {port} {up:d}")
        assert not any(self._sent())

    def _ask(self, request: str, more: bytes = b"") -> None:
        self._stream.write(f"{request}\n".encode() + more)
        self._stream.flush()

    def _line(self, *expected: str) -> list[str]:
        line = self._stream.readline().decode()
        assert line.startswith(expected), f"wires said {line!r}, not {expected}"
        return line.split()

    def _sent(self) -> Sent:
        frames: list[list[bytes]] = [[] for _ in range(PORTS_MOST)]
        while (words := self._line("sent", "done"))[0] == "sent":
            frames[int(words[1])].append(self._stream.read(int(words[2])))
        return tuple(map(tuple, frames))


class KernelBridge:
    """The bridge br0 of the virtual machine; made anew for each scenario."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires
        self._made = False
        self._unplugged: set[int] = set()
        self._switched_off: set[int] = set()
        ups = "\n".join(f"link set p{n} up" for n in range(PORTS_MOST))
        quick = "echo 1 >/sys/kernel/rcu_expedited"  # to remove a bridge takes half as long then
        wires.run(ip("echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6", quick, lines=[ups]))

    def play(self, scenario: Scenario) -> Outcome:
        """Let it all happen; AssertionError if the kernel takes some of it for wrong."""
        for port in sorted(self._unplugged | self._switched_off):
            self._up(port)
        self._make(scenario)
        settings = list(scenario.ports)
        sent = []
        for step in scenario.steps:
            frames: Sent = ((),) * PORTS_MOST
            if isinstance(step, Arrival):
                frames = self._wires.frame(step.port, step.frame)
            elif isinstance(step, Change):
                self._change(step.port, settings[step.port], step.settings)
                settings[step.port] = step.settings
            elif step.up:
                self._up(step.port)
            else:
                self._down(step.port, settings[step.port])
            assert not any(frames[len(settings) :])
            sent.append(frames[: len(settings)])
        return Outcome(tuple(sent), self._check(settings))

    def _make(self, scenario: Scenario) -> None:
        protocol = TYPE_NAMES[scenario.tag_type]
        links = [
            "link add br0 type bridge stp_state 0 forward_delay 0 ageing_time 30000"
            " mcast_snooping 0 mcast_querier 0"
            f" vlan_filtering {scenario.aware:d} vlan_default_pvid 0 vlan_protocol {protocol}",
            "link set br0 up",
            *(f"link set p{n} master br0" for n in range(len(scenario.ports))),
            *(flag_words(n, its) for n, its in enumerate(scenario.ports)),
        ]
        if self._made:
            links.insert(0, "link del br0")
        vlans = [
            line
            for n, its in enumerate(scenario.ports)
            for line in vlan_words(n, NO_VLANS, its.vlans or NO_VLANS)
        ]
        stations = [pin_words(station) for station in scenario.pinned]
        self._made = True
        self._wires.run(ip(lines=links) + bridge(vlans + stations) + ALL_FORWARD)

    def _change(self, port: int, old: PortSettings, new: PortSettings) -> None:
        vlans = vlan_words(port, old.vlans or NO_VLANS, new.vlans or NO_VLANS)
        self._wires.run(ip(lines=[flag_words(port, new)]) + bridge(vlans))

    def _down(self, port: int, its: PortSettings) -> None:
        """Pull the plug, which a backup port is for; it takes the kernel up to a second to notice.
        Otherwise the port is switched off, which to a bridge is the same."""
        if its.backup:
            self._unplugged.add(port)
            self._wires.carrier(port, up=False)
            self._wait_until(port, up=False)
        else:
            self._switched_off.add(port)
            self._wires.run(ip(lines=[f"link set p{port} down"]))

    def _up(self, port: int) -> None:
        if port in self._unplugged:
            self._unplugged.remove(port)
            self._wires.carrier(port, up=True)
            self._wait_until(port, up=True)
        else:
            self._switched_off.remove(port)
            self._wires.run(ip(lines=[f"link set p{port} up"]))

    def _wait_until(self, port: int, *, up: bool) -> None:
        """The kernel tells the bridge while it holds the lock of all such changes: behind a change
        of ours it has."""
        state = "up" if up else "down"
        self._wires.run(
            f'until [ "$(cat /sys/class/net/p{port}/operstate)" = {state} ]; do sleep 0.02; done\n'
            + ip(lines=["link set lo up"])
        )

    def _check(self, settings: Iterable[PortSettings]) -> dict[tuple[int, bytes], Place]:
        said = self._wires.run(bridge(["vlan show", "fdb show br br0"], "-compressvlans -json"))
        vlans, stations = map(json.loads, said.splitlines())
        told = {f"p{n}": s.vlans for n, s in enumerate(settings) if s.vlans and s.vlans.members}
        assert shown_vlans(vlans) == told
        return dict(map(shown_station, (s for s in stations if s["state"] != "permanent")))


def ip(*before: str, lines: Iterable[str]) -> str:
    """A script with *lines* for ip(8)."""
    return "\n".join([*before, "/sbin/ip -batch - <<'END' || exit 1", *lines, "END", ""])


def bridge(lines: Iterable[str], options: str = "") -> str:
    """A script with *lines* for bridge(8)."""
    return "\n".join([f"/sbin/bridge {options} -batch - <<'END' || exit 1", *lines, "END", ""])


def flag_words(port: int, its: PortSettings) -> str:
    assert not its.limit_drop, "the bridge has no limit of a port"
    words = [f"{name} {'on' if getattr(its, name) else 'off'}" for name in FLAGS]
    words.append(f"backup_port {its.backup}" if its.backup else "nobackup_port")
    return f"link set p{port} type bridge_slave {' '.join(words)}"


def vlan_words(port: int, old: PortVlans, new: PortVlans) -> Iterator[str]:
    """Lines for bridge(8) that make *new* of *old*."""
    assert new == PortVlans(new.pvid, new.members, new.untagged, tag_type=new.tag_type)
    assert new.pvid is None or new.pvid in new.members
    for vids in ranges(old.members - new.members):
        yield f"vlan del dev p{port} vid {vids}"
    for vids in ranges((new.members - new.untagged) - (old.members - old.untagged)):
        yield f"vlan add dev p{port} vid {vids}"
    for vids in ranges(new.untagged - old.untagged):
        yield f"vlan add dev p{port} vid {vids} untagged"
    for vid in {old.pvid, new.pvid} - {None}:
        if vid in new.members:
            words = " pvid" * (vid == new.pvid) + " untagged" * (vid in new.untagged)
            yield f"vlan add dev p{port} vid {vid}{words}"


def ranges(vids: VidSet) -> Iterator[str]:
    for low, high in vids.ranges():
        yield f"{low}" if low == high else f"{low}-{high}"


def pin_words(station: Pinned) -> str:
    vlan = f" vlan {station.vid}" if station.vid else ""
    sticky = "" if station.moves else " sticky"
    return f"fdb add {station.mac.hex(':')} dev p{station.port} master static{sticky}{vlan}"


def shown_vlans(rows: Iterable[dict]) -> dict[str, PortVlans]:
    """What ``bridge -c -j vlan show`` says of each port."""
    shown = {}
    for row in rows:
        pvid, members, untagged = None, VidSet(), VidSet()
        for vlan in row["vlans"]:
            some = VidSet.of(range(vlan["vlan"], vlan.get("vlanEnd", vlan["vlan"]) + 1))
            flags = vlan.get("flags", ())
            members |= some
            if "Egress Untagged" in flags:
                untagged |= some
            if "PVID" in flags:
                pvid = vlan["vlan"]
        shown[row["ifname"]] = PortVlans(pvid=pvid, members=members, untagged=untagged)
    return shown


def shown_station(row: dict) -> tuple[tuple[int, bytes], Place]:
    """A row of ``bridge -j fdb show``."""
    mac = bytes.fromhex(row["mac"].replace(":", ""))
    return (row.get("vlan", 0), mac), Place(int(row["ifname"][1:]), row["state"] == "static")


@contextmanager
def kernel_bridge(folder: Path) -> Iterator[KernelBridge]:
    """Boot a virtual machine with a bridge, sockets in *folder*; it is gone at the end."""
    path = str(folder / "wires")
    vm = Vm(Image(IMAGE / "vmlinuz", IMAGE / INITRD), (
        "-chardev", f"socket,id=wires,path={path},server=on,wait=off",
        "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=wires",
    ))  # fmt: skip
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            vm.wait_until_up()
            connection.settimeout(ANSWER_S)
            connection.connect(path)
            for module in ("virtio_console", "tun", "bridge"):
                vm.run(f"modprobe {module}")
            vm.run(f"wires /dev/vport*p1 {PORTS_MOST} &")
            with connection.makefile("rwb") as stream:
                yield KernelBridge(Wires(stream))
        finally:
            vm.close()
