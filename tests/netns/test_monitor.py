"""`vswitch monitor fdb` beside `bridge monitor fdb`, on the same traffic."""

from __future__ import annotations

import pytest

from support.frames import BROADCAST, frame, mac
from support.tap import raw_socket
from support.wait import wait_for
from vswitch.cli.monitor import line
from vswitch.control.handlers.events import _info
from vswitch.events import STATION_KINDS

pytestmark = pytest.mark.netns

A, B, SENTINEL = mac(1), mac(2), mac(3)


def bridged(host) -> None:
    """A Linux bridge lab of p0 and p1; their other ends are x0 and x1."""
    host.ip("link", "add", "lab", "type", "bridge")
    host.ip("link", "set", "lab", "up")
    for n in "01":
        host.ip("link", "add", f"p{n}", "type", "veth", "peer", "name", f"x{n}")
        host.ip("link", "set", f"p{n}", "master", "lab")
        host.ip("link", "set", f"p{n}", "up")
        host.ip("link", "set", f"x{n}", "up")


def said_by_bridge(host, log) -> list[str]:
    """The lines about A and B, whose ends are the traffic of `said_by_us`."""

    def fdb(*words: str) -> None:
        host.run("bridge", "fdb", *words)

    def lines() -> list[str]:
        said = log.read_text().splitlines(keepends=True)
        return [text for text in said if A.hex(":") in text or B.hex(":") in text]

    def hear(interface: str, count: int) -> None:
        with host.entered(), raw_socket(interface) as sock:
            sock.send(frame(BROADCAST, A))
        wait_for(lambda: len(lines()) == count, f"{count} lines")

    def is_heard() -> bool:
        fdb("replace", SENTINEL.hex(":"), "dev", "p0", "master", "static")
        return SENTINEL.hex(":") in log.read_text()

    wait_for(is_heard, "bridge monitor listens")
    hear("x0", 1)
    hear("x1", 2)
    fdb("del", A.hex(":"), "dev", "p1", "master")
    fdb("add", B.hex(":"), "dev", "p0", "master", "static")
    fdb("del", B.hex(":"), "dev", "p0", "master")
    wait_for(lambda: len(lines()) == 5, "the last line")
    return lines()


def said_by_us(lab) -> list[str]:
    net = lab("p0", "p1")
    net.send("p0", frame(BROADCAST, A))
    net.send("p1", frame(BROADCAST, A))
    net.switch.unpin(A)
    net.switch.pin(B, "p0")
    net.switch.unpin(B)
    events = net.switch.observer.events()
    return [line(_info(e), "lab") + "\n" for e in events if e.kind in STATION_KINDS]


def test_lines_of_stations_are_those_of_bridge_monitor(netns, lab, tmp_path):
    host, log = netns("bridge"), tmp_path / "log"
    bridged(host)
    with host.background("sh", "-c", f"exec bridge monitor fdb >{log}"):
        wait_for(log.exists, "the log")
        theirs = said_by_bridge(host, log)

    assert said_by_us(lab) == theirs
