"""The host's own port: the classic bridged host, and what is left of it."""

from __future__ import annotations

import itertools
import json
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_interface

import pytest

from support import transfer
from support.command import Running, device, ip, persistent_tap, running, tun_node
from support.dhcp import get_address
from support.frames import BROADCAST, frame
from support.namespaces import Netns
from support.net import address, configure
from support.wait import wait_for
from vswitch import LocalPort
from vswitch.linux import netlink

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("nothing_left")]

HOST, OUTSIDE, FIRST, SECOND = range(4)  # sides; number i has 192.0.2.i+1 and 2001:db8::i+1


@dataclass
class BridgedHost:
    """eth0, tap0 and tap1 on the switch, an address on br0; a namespace at each far end."""

    sides: list[Netns]
    switch: Running

    @property
    def host(self) -> Netns:
        return self.sides[HOST]

    def link(self, name: str) -> dict[str, object]:
        return json.loads(self.host.ip("-j", "link", "show", name))[0]

    def stations(self) -> dict[str, dict[str, object]]:
        return {s["mac"]: s for s in json.loads(self.switch.ask("fdb", "show", "-j"))}


@contextmanager
def bridged(sides: list[Netns], *options: str) -> Iterator[BridgedHost]:
    host, outside, *stations = sides
    host.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", outside.name)
    outside.ip("link", "set", "eth0", "up")
    local = "br0,ip=192.0.2.1/24,ip=2001:db8::1/64"
    ports = ["--port", "eth0", "--port", "tap0", "--port", "tap1"]
    with running("--local", local, *ports, *options, before=host.command()) as switch:
        for i, station in enumerate(stations):
            host.ip("link", "set", f"tap{i}", "netns", station.name, "name", "eth0")
            station.ip("link", "set", "eth0", "up")
        wait_for(
            lambda: {port["state"] for port in switch.ports().values()} == {"forwarding"},
            "all ports forward",
        )
        yield BridgedHost(sides, switch)


@pytest.fixture
def sides(netns) -> list[Netns]:
    return [netns(name) for name in ("host", "out", "s0", "s1")]


def test_host_wire_and_stations_reach_one_another_with_all_their_data(sides):
    with bridged(sides) as net:
        for side in (OUTSIDE, FIRST, SECOND):
            configure(net.sides[side], side)

        for a, b in itertools.permutations(range(4), 2):
            for version in (4, 6):
                here, there = address(a, version), address(b, version)
                transfer.tcp(net.sides[a], net.sides[b], here, there, 1 << 20)
        for a in (OUTSIDE, FIRST):
            transfer.udp(net.sides[HOST], net.sides[a], address(HOST), address(a), 100_000)
            transfer.udp(net.sides[a], net.sides[HOST], address(a), address(HOST), 100_000)


@pytest.mark.parametrize("core", ["c", "python"])
def test_a_dhcp_server_at_the_host_serves_a_station(netns, tmp_path, core):
    host, station = netns("host"), netns("s0")
    args = ("--local", "br0,ip=192.0.2.1/24", "--port", "tap0", "--core", core)
    with running(*args, before=host.command()):
        host.ip("link", "set", "tap0", "netns", station.name, "name", "eth0")
        station.ip("link", "set", "eth0", "up")

        get_address(host, station, tmp_path, ["udhcpc"], device="br0")


def test_the_hosts_address_is_static_and_nobody_takes_it_over(sides):
    with bridged(sides) as net:
        mac = net.link("br0")["address"]
        assert net.stations()[mac]["state"] == "static"
        raw = bytes.fromhex(mac.replace(":", ""))

        with net.sides[FIRST].entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
            s.bind(("eth0", 0))
            for _ in range(3):
                s.send(frame(BROADCAST, raw))
            s.send(frame(BROADCAST, b"\x02\0\0\0\0\x09"))
        wait_for(lambda: "02:00:00:00:00:09" in net.stations(), "the frame after the false ones")
        net.switch.ask("fdb", "flush")
        net.host.ip("link", "set", "br0", "down")
        wait_for(lambda: net.switch.ports()["br0"]["state"] == "down", "br0 to be down")

        assert net.stations()[mac]["ifname"] == "br0"
        assert net.stations()[mac]["state"] == "static"


def test_what_a_port_is_said_to_have_is_what_it_has(sides):
    with bridged(sides, "--mtu", "1400") as net:
        assert (
            "\nbr0: local 192.0.2.1/24 2001:db8::1/64, 1 queue, mtu 1400, vnet header, "
            "csum tso4 tso6 ecn uso ufo\n"
        ) in net.switch.out
        facts = net.switch.ports()["br0"]
        assert facts["kind"] == "local"
        assert facts["ips"] == ["192.0.2.1/24", "2001:db8::1/64"]
        assert "local 192.0.2.1/24 2001:db8::1/64, " in net.switch.ask("show")
        assert net.link("br0")["mtu"] == 1400
        assert "tentative" not in net.host.ip("-6", "addr", "show", "dev", "br0", "scope", "global")


def test_the_address_is_the_same_after_a_restart_and_another_for_another_switch(netns):
    host = netns("host")
    macs = []
    for name in ("lab", "lab", "other"):
        with running("--local", "br0", "--name", name, before=host.command()) as switch:
            macs.append(json.loads(host.ip("-j", "link", "show", "br0"))[0]["address"])
            assert switch.end() == 0

    assert macs[0] == macs[1]
    assert macs[0] != macs[2]
    assert int(macs[0][:2], 16) & 3 == 2, "locally administered, unicast"


def test_an_address_of_ones_own_choice(netns):
    host = netns("host")
    with running("--local", "br0,mac=02:00:00:00:00:07", before=host.command()) as switch:
        assert "02:00:00:00:00:07 dev br0 master vswitch static" in switch.ask("fdb", "show")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_it(sides, end):
    with bridged(sides) as net:
        net.switch.end(end)

        wait_for(lambda: "br0" not in net.host.ip("link"), "br0 to go")
        assert "192.0.2" not in net.host.ip("addr") + net.host.ip("route")


def test_a_tap_an_administrator_made_is_left_as_found():
    with persistent_tap() as tap:
        ip("addr", "add", "198.51.100.1/32", "dev", tap)
        mac = json.loads(ip("-j", "link", "show", tap))[0]["address"]
        local = f"{tap},ip=198.51.100.1/32,ip=198.51.100.2/32"
        with running("--local", local) as switch:
            assert "198.51.100.2/32" in ip("addr", "show", tap)
            assert f"{mac} dev {tap} master vswitch static" in switch.ask("fdb", "show")
            assert switch.end() == 0

        addresses = ip("addr", "show", tap)
        assert "198.51.100.1/32" in addresses
        assert "198.51.100.2/32" not in addresses


def test_an_ordinary_user_has_one_that_was_prepared(tmp_path):
    node = tun_node(tmp_path, 0o666)
    with persistent_tap("user", "nobody") as tap:
        ip("link", "set", tap, "up")
        ip("addr", "add", "198.51.100.1/32", "dev", tap)
        local = f"{tap},ip=198.51.100.1/32"
        with running("--local", local, nobody=True, tun=node) as switch:
            assert f"{tap}: local 198.51.100.1/32, " in switch.out
            assert switch.end() == 0
            assert switch.err == ""


def test_the_address_of_a_namesake_is_not_taken_off():
    with persistent_tap() as name:
        port = LocalPort(name, switch="lab", ips=[ip_interface("198.51.100.1/32")])
        other = device("o")
        ip("link", "set", name, "down")
        ip("link", "set", name, "name", other)
        ip("tuntap", "add", "dev", name, "mode", "tap")
        ip("addr", "add", "198.51.100.1/32", "dev", name)

        port.close()

        kept = netlink.addresses(name)
        ip("link", "del", other)
    assert kept == ["198.51.100.1"]
