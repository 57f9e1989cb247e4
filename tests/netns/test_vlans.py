"""VLANs over real devices: access namespaces, and a trunk between two switches."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from support import transfer
from support.command import Running, device, running
from support.frames import BROADCAST, frame, mac
from support.namespaces import Netns
from support.net import PATIENT, address, configure
from support.tagged import receive_whole, tagged_socket
from support.tap import raw_socket
from support.wait import wait_for

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("nothing_left")]

MB = 1 << 20
A, B = mac(0xA1), mac(0xB1)
TAG = bytes.fromhex("8100000a")


@dataclass
class Trunked:
    """Sides 0 and 1 are in VLAN 10, one on each switch; side 2, on the first, in VLAN 20."""

    sides: list[Netns]
    near: Running
    far: Running
    trunk: str  # what both switches call its ends


def _access(port: str, vid: int) -> list[str]:
    return ["--port", f"tap:{port},access={vid}"]


@contextmanager
def over_veth(near: Netns, far: Netns, trunk: str) -> Iterator[tuple[str, str]]:
    near.ip("link", "add", trunk, "type", "veth", "peer", "name", trunk, "netns", far.name)
    for ns in (near, far):
        ns.ip("link", "set", trunk, "up")
    yield f"netdev:{trunk}", f"netdev:{trunk}"


@contextmanager
def over_tap(near: Netns, far: Netns, trunk: str) -> Iterator[tuple[str, str]]:
    yield f"tap:{trunk}", f"netdev:{trunk}"


def up(switch: Running) -> None:
    wait_for(
        lambda: {port["state"] for port in switch.ports().values()} == {"forwarding"},
        "all ports forward",
    )


@pytest.fixture(params=[over_veth, over_tap], ids=["veth", "tap"])
def net(request, netns) -> Iterator[Trunked]:
    near, far = netns("near"), netns("far")
    sides = [netns(f"s{i}") for i in range(3)]
    trunk, tap = device("t"), device("a")
    others = f"{tap}2"
    with request.param(near, far, trunk) as (near_end, far_end):
        first = [*_access(tap, 10), *_access(others, 20), "--port", f"{near_end},trunk=10,20"]
        with running(*first, before=near.command()) as one:
            if request.param is over_tap:
                near.ip("link", "set", trunk, "netns", far.name)
                far.ip("link", "set", trunk, "up")
            second = [*_access(tap, 10), "--port", f"{far_end},trunk=10,20"]
            with running(*second, before=far.command()) as two:
                for ns, hub, name in ((0, near, tap), (1, far, tap), (2, near, others)):
                    hub.ip("link", "set", name, "netns", sides[ns].name, "name", "eth0")
                    sides[ns].ip("link", "set", "eth0", "up")
                    configure(sides[ns], ns)
                up(one)
                up(two)
                yield Trunked(sides, one, two, trunk)


def checksum_errors(ns: Netns) -> dict[str, int]:
    """What the kernel of a side counted of wrong checksums."""
    lines = ns.run("cat", "/proc/net/snmp").splitlines()
    found = {}
    for head, values in zip(lines[::2], lines[1::2], strict=True):
        names, numbers = head.split(), values.split()
        found |= {
            f"{names[0]}{name}": int(n)
            for name, n in zip(names[1:], numbers[1:], strict=True)
            if name == "InCsumErrors"
        }
    return found


def test_tcp_crosses_a_trunk_in_super_frames(net):
    here, there = net.sides[:2]
    for version in (4, 6):
        a, b = address(0, version), address(1, version)
        transfer.tcp(here, there, a, b, 8 * MB)
        transfer.tcp(there, here, b, a, 8 * MB)
    with there.background("iperf3", "-s", "-1", "-J"):
        wait_for(lambda: ":5201" in there.run("ss", "-ltn"), "iperf3 listens")
        said = json.loads(here.run("iperf3", "-c", address(1), "-t", "2", "-J"))

    assert said["end"]["sum_received"]["bits_per_second"] > 1e8
    assert not any(n for ns in (here, there) for n in checksum_errors(ns).values())
    sent = net.near.port(net.trunk).counters
    assert sent["tx_bytes"] / sent["tx_frames"] > 4000, "cut before the trunk"
    for switch in (net.near, net.far):
        drops = {n: c for p in switch.ports().values() for n, c in p["drops"].items() if c}
        # "vlan" are the kernel's own untagged frames at the ends of the trunk; "tx_error" there
        # may be one from before both ends were up.
        assert not {"tx_offload", "bad_offload", "too_long"} & set(drops)


def tag_with(net: Trunked, tag_type: str, *settings: str) -> None:
    for switch in (net.near, net.far):
        words = (*settings, "vlans", f"trunk=10,20,tag-type={tag_type}")
        switch.ask("link", "set", "dev", net.trunk, *words)


@pytest.mark.parametrize("net", [over_veth], indirect=True, ids=["veth"])
@pytest.mark.parametrize("tag_type", ["802.1ad", "0x9100"])
def test_tcp_crosses_a_trunk_with_other_tags(net, tag_type):
    tag_with(net, tag_type, "mtu", "1504")
    here, there = net.sides[:2]

    for version in (4, 6):
        a, b = address(0, version), address(1, version)
        transfer.tcp(here, there, a, b, 8 * MB)
        transfer.tcp(there, here, b, a, 8 * MB)

    assert not any(n for ns in (here, there) for n in checksum_errors(ns).values())
    for switch in (net.near, net.far):
        drops = switch.port(net.trunk).drops
        assert not any(drops[reason] for reason in ("tx_offload", "bad_offload", "too_long"))


@pytest.mark.parametrize("net", [over_veth], indirect=True, ids=["veth"])
def test_other_tags_do_not_fit_beside_the_mtu(net):
    """A packet socket lets only those of 802.1Q do that."""
    here = net.sides[0]
    assert " 0% packet loss" in here.run("ping", "-c1", PATIENT, "-s1472", "-Mdo", address(1))
    tag_with(net, "802.1ad")

    out = here.run("ping", "-c1", "-W1", "-s1472", "-Mdo", address(1), check=False)

    assert "100% packet loss" in out
    assert net.near.port(net.trunk).drops["too_long"] == 1
    tag_with(net, "802.1ad", "mtu", "1504")
    assert " 0% packet loss" in here.run("ping", "-c1", PATIENT, "-s1472", "-Mdo", address(1))


@pytest.mark.parametrize(("mtu", "said"), [(1504, False), (1500, True)])
def test_a_trunk_with_room_for_its_tags_does_not_differ_in_mtu(netns, mtu, said):
    hub, tap, trunk = netns("hub"), device("a"), device("t")
    hub.ip("link", "add", trunk, "type", "veth", "peer", "name", f"{trunk}2")
    args = ["--port", f"tap:{tap},access=10,tag-type=802.1ad"]
    args += ["--port", f"netdev:{trunk},trunk=10,tag-type=802.1ad,mtu={mtu}"]
    with running(*args, before=hub.command()) as switch:
        assert ("frames above 1496 bytes" in switch.err) is said
        assert ("ports differ in MTU" in switch.err) is said


def test_who_is_in_another_vlan_is_not_reached(net):
    here, there, other = net.sides
    assert " 0% packet loss" in here.run("ping", "-c1", PATIENT, address(1))

    for ns in (here, there):
        out = ns.run("ping", "-c1", "-W1", address(2), check=False)
        assert "100% packet loss" in out
    out = other.run("ping", "-c1", "-W1", address(1), check=False)
    assert "100% packet loss" in out

    net.far.ask("vlan", "set", "dev", next(p for p in net.far.ports() if p != net.trunk),
                "access", "20")  # fmt: skip
    wait_for(lambda: hears(other, 1), "an answer")


def hears(ns, side):
    """Whether it does, once: its kernel may just give up a question that nobody answered."""
    return " 0% packet loss" in ns.run("ping", "-c1", "-W1", address(side), check=False)


def test_counters_are_those_of_the_vlan(net):
    here = net.sides[0]
    here.run("ping", "-c3", "-i0.2", PATIENT, address(1))

    [trunk] = json.loads(net.near.ask("-j", "-s", "vlan", "show", "dev", net.trunk))
    by_vid = {vlan["vid"]: vlan for vlan in trunk["vlans"]}
    assert by_vid[10]["tx_packets"] >= 3
    assert by_vid[10]["rx_packets"] >= 3
    assert by_vid[20]["rx_packets"] == 0


def test_a_raw_end_of_a_trunk_sends_and_gets_tags(netns):
    """The kernel gives the tag beside the frame, and takes it so; here are no 8021q devices."""
    hub, end, side = netns("hub"), netns("end"), netns("s0")
    trunk, tap = device("t"), device("a")
    hub.ip("link", "add", trunk, "type", "veth", "peer", "name", "eth0", "netns", end.name)
    hub.ip("link", "set", trunk, "up")
    end.ip("link", "set", "eth0", "up")
    args = [*_access(tap, 10), "--port", f"netdev:{trunk},trunk=10,20"]
    with running(*args, before=hub.command()) as switch:
        hub.ip("link", "set", tap, "netns", side.name, "name", "eth0")
        side.ip("link", "set", "eth0", "up")
        up(switch)
        with end.entered():
            tagged = tagged_socket("eth0")
        with side.entered():
            plain = raw_socket("eth0")
        with tagged, plain:
            ours = frame(BROADCAST, A, b"to the trunk")
            plain.send(ours)
            assert _heard(tagged, b"to the trunk") == ours[:12] + TAG + ours[12:]

            back = frame(A, B, b"to the access port")
            for vid, payload in ((20, b"of another VLAN"), (10, b"to the access port")):
                sent = frame(A, B, payload)
                tag = b"\x81\x00" + vid.to_bytes(2)
                tagged.send(bytes(10) + sent[:12] + tag + sent[12:])
            assert _heard_plain(plain, (b"of another VLAN", b"to the access port")) == back


def _heard(sock: socket.socket, payload: bytes) -> bytes:
    """The next frame with *payload*; the kernel's own are passed over."""
    sock.settimeout(5)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        _, got = receive_whole(sock)
        if payload in got:
            return got
    raise AssertionError("nothing came")


def _heard_plain(sock: socket.socket, payloads: tuple[bytes, ...]) -> bytes:
    sock.settimeout(5)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        got = sock.recv(70_000)
        if any(payload in got for payload in payloads):
            return got
    raise AssertionError("nothing came")


def test_the_host_is_in_one_vlan(netns):
    host, friend, stranger = netns("host"), netns("s1"), netns("s2")
    taps = device("a"), device("b")
    local = device("l")
    ports = [*_access(taps[0], 10), *_access(taps[1], 20)]
    args = ["--local", f"{local},access=10,ip={address(0)}/24", *ports]
    with running(*args, before=host.command()) as switch:
        for side, (ns, tap) in enumerate(((friend, taps[0]), (stranger, taps[1])), start=1):
            host.ip("link", "set", tap, "netns", ns.name, "name", "eth0")
            ns.ip("link", "set", "eth0", "up")
            configure(ns, side)
        up(switch)

        assert " 0% packet loss" in friend.run("ping", "-c1", PATIENT, address(0))
        assert "100% packet loss" in stranger.run("ping", "-c1", "-W1", address(0), check=False)
        stations = switch.ask("fdb", "show", "state", "static")
        assert f"dev {local} vlan 10 " in stations

        switch.ask("link", "set", "dev", local, "vlans", "access=20")
        assert f"dev {local} vlan 20 " in switch.ask("fdb", "show", "state", "static")
        # Who asked in vain a moment ago may be about to give up, this ping included (arp(7)).
        stranger.ip("neigh", "flush", "dev", "eth0")
        assert " 0% packet loss" in stranger.run("ping", "-c1", PATIENT, address(0))
