"""A mirror of real traffic: each frame once, whole, and nobody waits for whoever looks on."""

from __future__ import annotations

import hashlib
import socket
import time
from contextlib import closing

import pytest

from support import transfer
from support.capture import capture, settled
from support.captures import read_back
from support.net import address
from support.stream_peer import StreamPeer
from support.wait import wait_for
from vswitch import PcapPort, QemuListener
from vswitch.mirrors import Mirror

pytestmark = pytest.mark.netns

MB = 1 << 20
COUNT = 300


def watch(net, sources: str, target: str) -> None:
    net.switch.mirrors.add(Mirror.parse("watch", sources=sources, target=target))


def say(net, count: int) -> list[bytes]:
    """UDP payloads from the first side to the second, all of them arrived."""
    sent = [n.to_bytes(4, "big") + b"mirror" + bytes(500) for n in range(count)]
    with (
        closing(transfer.open_socket(net.sides[1], socket.SOCK_DGRAM, address(1))) as receiver,
        closing(transfer.open_socket(net.sides[0], socket.SOCK_DGRAM, address(0))) as sender,
    ):
        for payload in sent:
            sender.sendto(payload, receiver.getsockname())
            assert receiver.recv(2000) == payload
    return sent


def digests(payloads) -> list[str]:
    return [hashlib.sha256(payload).hexdigest() for payload in payloads]


def test_a_capture_has_each_frame_once(joined, tmp_path):
    net = joined({}, {})
    out = tmp_path / "seen.pcap"
    net.switch.add_port(PcapPort("rec", None, out=out))
    watch(net, f"{net.ports[0].name},{net.ports[1].name}", "rec")

    sent = say(net, COUNT)
    net.switch.remove_port("rec")

    udp = [frame[42:] for _, frame in read_back(out) if frame[12:14] == b"\x08\x00"]
    assert digests(p for p in udp if p[4:10] == b"mirror") == digests(sent)


def test_who_looks_on_from_a_tap_sees_each_frame_once(joined, tmp_path):
    net = joined({}, {}, {"offloads": False})
    watch(net, f"{net.ports[0].name},{net.ports[1].name}", net.ports[2].name)
    seen = tmp_path / "seen.pcap"

    with capture(net.sides[2], seen, "udp"):
        sent = say(net, COUNT)
        settled(seen, sent[-1])

    found = [frame[42:] for _, frame in read_back(seen)]
    assert digests(p for p in found if p[4:10] == b"mirror") == digests(sent)


def test_tcp_with_offloads_is_seen_in_segments_by_who_has_none(joined, tmp_path):
    net = joined({}, {})
    out = tmp_path / "seen.pcap"
    net.switch.add_port(PcapPort("rec", None, out=out))
    watch(net, f"{net.ports[0].name},in", "rec")

    transfer.tcp(net.sides[0], net.sides[1], address(0), address(1), 2 * MB)
    net.switch.remove_port("rec")

    tcp = [f for _, f in read_back(out) if f[12:14] == b"\x08\x00" and f[23] == 6]
    carried = sum(int.from_bytes(f[16:18]) - 20 - (f[46] >> 4) * 4 for f in tcp)
    assert carried >= 2 * MB


def rate(net, n_bytes: int) -> float:
    """Bytes a second, the best of three."""
    took = []
    for _ in range(3):
        begin = time.monotonic()
        transfer.tcp(net.sides[0], net.sides[1], address(0), address(1), n_bytes)
        took.append(time.monotonic() - begin)
    return n_bytes / min(took)


def test_a_target_that_never_reads_slows_nobody(joined, tmp_path):
    net = joined({}, {})
    net.switch.listen(QemuListener(tmp_path / "vm.sock"))
    without = rate(net, 16 * MB)
    with closing(StreamPeer.connect(tmp_path / "vm.sock")):
        name = wait_for(
            lambda: next((n for n, p in net.switch.ports.items() if p.kind == "qemu"), None),
            "its port",
        )
        watch(net, ",".join(port.name for port in net.ports), name)

        stalled = rate(net, 16 * MB)

        drops = net.switch.port_status(name).drops
        assert drops["tx_full"] > 0, drops
    assert stalled > without / 4, (stalled, without)  # the machine is not ours alone
