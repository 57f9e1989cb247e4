"""Many stations behind one interface, and static ones."""

from __future__ import annotations

import socket

import pytest

from support.frames import BROADCAST, frame, mac
from support.net import DEVICE, Net
from support.tap import raw_socket
from support.wait import wait_for
from vswitch import MemoryPort

pytestmark = pytest.mark.netns

STATIONS = 4096
CHUNK = 400  # a TAP holds 1,000 frames


def send_all(net: Net, side: int, frames: list[bytes]) -> None:
    """Send from the interface of *side*, no faster than the switch receives."""
    start = net.counters(side)["rx_frames"]
    with net.sides[side].entered(), raw_socket(DEVICE) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        for i in range(0, len(frames), CHUNK):
            for f in frames[i : i + CHUNK]:
                sock.send(f)
            done = start + min(i + CHUNK, len(frames))
            wait_for(lambda n=done: net.counters(side)["rx_frames"] >= n, f"{done} received")


@pytest.mark.parametrize("pollers", [1, 2])
def test_four_thousand_stations_are_learned_and_none_is_flooded_afterwards(joined, pollers):
    net = joined({}, {}, pollers=pollers, addresses=False)
    send_all(net, 0, [frame(BROADCAST, mac(i)) for i in range(STATIONS)])
    wait_for(lambda: net.switch.port_status("s0").stations >= STATIONS, "all are learned")
    learned = {s.mac for s in net.switch.stations() if s.port == "s0"}
    probe = net.switch.add_port(MemoryPort("probe"))

    send_all(net, 1, [frame(mac(i), mac(5000)) for i in range(STATIONS)])

    assert {mac(i) for i in range(STATIONS)} <= learned
    heard = [f for f in probe.receive() if f[6:12] == mac(5000)]
    assert heard == []
    # Bytes of ours that came out at the other side, whatever the kernels said besides.
    assert net.counters(0)["tx_frames"] >= STATIONS
    assert net.lost(0) == {}


def test_a_forged_source_does_not_move_a_static_station(joined):
    net = joined({}, {}, addresses=False)
    probe = net.switch.add_port(MemoryPort("probe"))
    net.switch.pin(mac(1), "s0")

    send_all(net, 1, [frame(BROADCAST, mac(1))] * 10)
    probe.receive()
    probe.send([frame(mac(1), mac(2), b"for the real one")])
    wait_for(lambda: net.switch.port_status("probe").counters["forwarded"] == 1, "forwarded")

    assert [s.port for s in net.switch.stations() if s.mac == mac(1)] == ["s0"]
    assert net.switch.port_status("probe").counters["flooded_unicast"] == 0
