"""The same traffic through a Linux bridge and through us: the same lines, the same keys."""

import json
import os
import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.lab import Lab
from support.served import served
from support.tap import tap
from support.wait import wait_for
from vswitch import cli
from vswitch.control import address
from vswitch.linux import tun

pytestmark = pytest.mark.netns

PORTS = ("p0", "p1")
STATIC = bytes.fromhex("020000000009")
# What bridge(8) says of ports besides: an STP that is off, and snooping.
THEIRS = {"ifindex", "link", "priority", "cost", "mcast_router"}


@pytest.fixture
def bridge(netns):
    """bridge(8) on a bridge called lab, after the traffic."""
    ns = netns("br")
    with ExitStack() as stack:
        with ns.entered():
            for sysctl in ("all", "default"):
                Path(f"/proc/sys/net/ipv6/conf/{sysctl}/disable_ipv6").write_text("1")
            ns.ip("link", "add", "lab", "up", "type", "bridge")
            plain = tun.IFF_TAP | tun.IFF_NO_PI
            fds = {name: stack.enter_context(tap(name, plain)) for name in PORTS}
            for name in PORTS:
                ns.ip("link", "set", name, "master", "lab")
        wait_for(
            lambda: ns.run("bridge", "link").count("state forwarding") == len(PORTS),
            "both ports forward",
        )
        for port, frame in traffic():
            os.write(fds[port], frame)
        ns.run("bridge", "fdb", "add", STATIC.hex(":"), "dev", "p1", "master", "static")
        yield lambda line: ns.run("bridge", *line.split())


@pytest.fixture
def vswitch(tmp_path, capsys, monkeypatch):
    """Our command on a switch of the same name, after the same traffic."""
    monkeypatch.setattr(address, "directory", lambda: tmp_path)
    lab = Lab(*PORTS)
    for port, frame in traffic():
        lab.send(port, frame)
    lab.switch.pin(STATIC, "p1")

    def run(line):
        assert cli.main(line.split()) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out

    with served(lab.switch, tmp_path / "lab.sock"):
        yield run
    lab.close()


def traffic():
    """Five stations; the first moves, two talk to one another."""
    stations = [bytes([2, 0, 0, 0, 1, i]) for i in range(5)]
    tail = b"\x88\xb5" + bytes(46)
    for i, mac in enumerate(stations):
        yield PORTS[i % 2], b"\xff" * 6 + mac + tail
    yield "p1", b"\xff" * 6 + stations[0] + tail
    yield "p0", stations[1] + stations[2] + tail


def stations_of(text):
    """The rows of stations that talked, in an order; without what a kernel has for itself, or says
    of its clock."""
    rows = [row for row in text.splitlines(keepends=True) if "permanent" not in row]
    return sorted(re.sub(r"used \d+/\d+", "used N/N", row) for row in rows)


@pytest.mark.parametrize(
    "line",
    [
        "fdb show br lab", "-s fdb show br lab", "-d fdb show br lab", "f s br lab",
        "fdb show dev p0", "-stat fdb show dev p1",
        "fdb show br lab brport p1", "fdb list brport p0",
        "fdb show br lab state static", "fdb show br lab state dynamic", "fdb show br lab dynamic",
        "fdb show br lab vlan 7",
    ],
)  # fmt: skip
def test_fdb_has_the_same_lines(bridge, vswitch, line):
    assert stations_of(vswitch(line)) == stations_of(bridge(line))


@pytest.mark.parametrize(
    "line",
    [
        "-j fdb show br lab",
        "-j -s fdb show br lab",
        "-j -d fdb show dev p1",
        "-json -p fdb show dev p0",
    ],
)
def test_fdb_has_the_same_keys_in_the_same_order(bridge, vswitch, line):
    def read(text):
        rows = [row for row in json.loads(text) if row["state"] != "permanent"]
        for row in rows:
            row.update({key: 0 for key in ("used", "updated") if key in row})
        return sorted(json.dumps(row) for row in rows)

    assert read(vswitch(line)) == read(bridge(line))


@pytest.mark.parametrize("line", ["-j link", "-j -d link show", "-j -d link show dev p0"])
def test_links_have_the_same_keys(bridge, vswitch, line):
    theirs = [
        {key: value for key, value in link.items() if key not in THEIRS}
        for link in json.loads(bridge(line))
    ]
    known = {"mab"} & {key for link in theirs for key in link}  # said by iproute2 from 6.2 on
    skipped = {"ifindex", "mab"} - known
    ours = [
        {k: v for k, v in link.items() if k not in skipped} for link in json.loads(vswitch(line))
    ]

    assert list(map(json.dumps, ours)) == list(map(json.dumps, theirs))


@pytest.mark.parametrize("line", ["link", "-d link show dev p1"])
def test_links_have_the_same_words(bridge, vswitch, line):
    def words(text):
        bare = re.sub(r"(priority|cost|mcast_router) \d+ ", "", text)
        return re.sub(r"\d+: ", "", bare).split()

    ours, theirs = words(vswitch(line)), words(bridge(line))
    if "mab" not in theirs:  # iproute2 before 6.2
        ours = words(vswitch(line).replace("mab off", ""))
    assert ours == theirs


@pytest.mark.parametrize("line", ["vlan show", "-j vlan show", "-j -p vlan show", "-j mdb show"])
def test_what_comes_later_is_as_empty(bridge, vswitch, line):
    assert vswitch(line) == bridge(line)


def test_pretty_is_pretty_in_the_same_way(bridge, vswitch):
    line = "-j -p fdb show br lab state static"

    assert vswitch(line) == bridge(line)
