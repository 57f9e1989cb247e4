"""Interfaces that go down, come back, are deleted, or lose their namespace."""

from __future__ import annotations

import itertools
import logging

import pytest

from support.frames import BROADCAST, frame, mac
from support.net import DEVICE, PATIENT, Net, address
from support.tap import raw_socket
from support.wait import wait_for
from vswitch import MemoryPort, TapPort

pytestmark = pytest.mark.netns


@pytest.fixture
def net(joined) -> Net:
    """Two sides that have spoken, and a memory port `probe` that hears what is flooded."""
    net = joined({}, {})
    net.probe = net.switch.add_port(MemoryPort("probe"))
    reachable(net)
    return net


def reachable(net: Net) -> None:
    out = net.sides[0].run("ping", "-c1", PATIENT, address(1))

    assert " 0% packet loss" in out


def stations(net: Net) -> dict[bytes, str]:
    return {s.mac: s.port for s in net.switch.stations()}


def flooded(net: Net, dst: bytes) -> bool:
    """Whether a frame from side 0 to *dst* reaches the probe; a broadcast behind it always does."""
    one, last = frame(dst, net.mac(0), b"one"), frame(BROADCAST, net.mac(0), b"last")
    with net.sides[0].entered(), raw_socket(DEVICE) as sock:
        sock.send(one)
        sock.send(last)
    got: list[bytes] = []
    wait_for(lambda: got.extend(net.probe.receive()) or last in got, "the last frame")
    return one in got


def test_a_link_that_goes_down_takes_its_stations_along(net):
    right = net.mac(1)
    known_before = stations(net)[right], flooded(net, right)

    net.sides[1].ip("link", "set", DEVICE, "down")
    net.wait_for_state(1, "down")

    assert known_before == ("s1", False)
    assert right not in stations(net)
    assert flooded(net, right)


def test_a_link_that_comes_back_forwards_again(net):
    net.sides[1].ip("link", "set", DEVICE, "down")
    net.wait_for_state(1, "down")

    net.sides[1].ip("link", "set", DEVICE, "up")
    net.wait_for_state(1, "forwarding")

    reachable(net)
    assert not flooded(net, net.mac(1))


def test_frames_for_a_port_whose_link_is_down_are_offered_and_counted(net):
    """Not held back: the news of "up" takes a moment, and the first frame must not wait for it."""
    net.sides[1].ip("link", "set", DEVICE, "down")
    net.wait_for_state(1, "down")
    before = net.counters(1)["tx_frames"]

    flooded(net, mac(99))

    assert net.counters(1)["tx_frames"] == before
    assert net.lost(1)["tx_error"] >= 2


def test_a_state_that_was_set_survives_the_link(net):
    net.switch.set_port("s1", forwarding=False)
    net.sides[1].ip("link", "set", DEVICE, "down")
    net.wait_for_state(1, "down")

    net.sides[1].ip("link", "set", DEVICE, "up")
    net.wait_for_state(1, "blocked")

    out = net.sides[0].run("ping", "-c1", "-W1", address(1), check=False)
    assert "100% packet loss" in out


def test_a_port_whose_link_is_down_from_the_start_is_down(joined):
    net = joined({})
    ns = net.sides[0]
    with ns.entered():
        port = TapPort("late")
    ns.ip("link", "set", "late", "down")

    net.switch.add_port(port)

    wait_for(lambda: net.switch.port_status("late").state == "down", "seen without an event")
    ns.ip("link", "set", "late", "up")
    wait_for(lambda: net.switch.port_status("late").state == "forwarding", "it came up")


def test_a_deleted_device_ends_its_port_once_and_the_others_go_on(joined, caplog):
    net = joined({}, {}, {})
    net.sides[0].run("ping", "-c1", PATIENT, address(2))
    lost = net.mac(2)

    net.sides[2].ip("link", "del", DEVICE)
    net.wait_for_state(2, "gone")

    reachable(net)
    assert lost not in stations(net)
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 1, warnings
    assert "name=s2" in warnings[0]
    net.switch.remove_port("s2")
    assert "s2" not in net.switch.ports


def test_a_deleted_namespace_ends_the_port_that_was_moved_there(joined, netns, caplog):
    net = joined({}, {})
    home, away = netns("home"), netns("away")
    with home.entered():
        net.switch.add_port(TapPort("moving", queues=2))
    home.ip("link", "set", "moving", "netns", away.name, "name", DEVICE)
    away.ip("link", "set", DEVICE, "up")
    away.ip("addr", "add", f"{address(2)}/24", "dev", DEVICE)
    wait_for(lambda: net.switch.port_status("moving").state == "forwarding", "up again")
    net.sides[0].run("ping", "-c1", PATIENT, address(2))

    away.delete()
    wait_for(lambda: net.switch.port_status("moving").state == "gone", "the port is gone")

    reachable(net)
    gone = [r.getMessage() for r in caplog.records if "gone" in r.getMessage()]
    assert len(gone) <= 1, gone
    assert net.switch.port_status("moving").stations == 0


def test_a_device_that_is_renamed_again_and_again_is_not_taken_for_gone(net, tmp_path):
    names = [DEVICE, *(f"name{i}" for i in range(300)), DEVICE]
    batch = tmp_path / "batch"
    batch.write_text("".join(f"link set {a} name {b}\n" for a, b in itertools.pairwise(names)))

    net.sides[1].ip("-batch", str(batch))
    net.sides[1].ip("link", "set", DEVICE, "mtu", "1400")
    wait_for(lambda: net.switch.port_status("s1").mtu == 1400, "the last event")

    assert net.state(1) == "forwarding"
    reachable(net)
