"""What tcpdump sees at either end of the switch, with and without offloads."""

from __future__ import annotations

import socket

import pytest

from support import transfer
from support.capture import capture, settled
from support.judge import finished
from support.net import Net, address

pytestmark = pytest.mark.netns

MARKER = b"this is the last frame of the test"


def send_marker(net: Net, src: int, dst: int) -> None:
    with transfer.open_socket(net.sides[src], socket.SOCK_DGRAM, address(src)) as sock:
        sock.sendto(MARKER, (address(dst), 9))


def sent_by(net: Net, side: int) -> str:
    return f"ether src {net.mac(side).hex(':')}"


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_towards_a_port_without_offloads_frames_are_cut_and_summed(
    joined, tmp_path, version, protocol
):
    net = joined({}, {"offloads": False})
    left, right = net.sides
    ends = left, right, address(0, version), address(1, version)
    what = f"{'ip6' if version == 6 else 'ip'} and {protocol}"
    path = tmp_path / "right.pcap"

    with capture(right, path, f"({what} or udp port 9) and {sent_by(net, 0)}", snap=2000) as seen:
        if protocol == "tcp":
            transfer.tcp(*ends, 1 << 20)
        else:
            transfer.udp(*ends, 1 << 19, per_send=40)
        send_marker(net, 0, 1)
        settled(path, MARKER)

    assert net.counters(0)["forwarded"] < len(seen.frames), "super-frames came in"
    assert max(len(f) for f in seen.frames) <= 1514
    for f in seen.frames:
        finished(f)
    assert net.lost(1) == {}


def test_with_offloads_super_frames_cross_whole_and_identical(joined, tmp_path):
    """What leaves one namespace is what enters the other, in order, byte for byte."""
    net = joined({}, {})
    left, right = net.sides
    ours = f"(icmp or tcp or udp) and {sent_by(net, 0)}"
    paths = tmp_path / "left.pcap", tmp_path / "right.pcap"

    with (
        capture(left, paths[0], ours) as sent,
        capture(right, paths[1], ours) as got,
    ):
        left.run("ping", "-c1", address(1))
        for version in (4, 6):
            ends = left, right, address(0, version), address(1, version)
            transfer.tcp(*ends, 1 << 20)
            transfer.udp(*ends, 1 << 19, per_send=40)
        send_marker(net, 0, 1)
        for path in paths:
            settled(path, MARKER)

    assert got.frames == sent.frames
    assert max(len(f) for f in got.frames) > 10_000


def test_a_station_without_offloads_sends_what_it_wants_received(joined, tmp_path):
    net = joined({"offloads": False}, {})
    left, right = net.sides
    ours = f"(icmp or tcp or udp) and {sent_by(net, 0)}"
    paths = tmp_path / "left.pcap", tmp_path / "right.pcap"

    with (
        capture(left, paths[0], ours, snap=2000) as sent,
        capture(right, paths[1], ours, snap=2000) as got,
    ):
        transfer.tcp(left, right, address(0), address(1), 1 << 19)
        send_marker(net, 0, 1)
        for path in paths:
            settled(path, MARKER)

    assert got.frames == sent.frames
    assert max(len(f) for f in got.frames) <= 1514
