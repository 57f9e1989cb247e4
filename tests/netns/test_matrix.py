"""Every kind of port to every other, with and without offloads: all traffic arrives whole.

The matrix is made from `portconfig.KINDS`; `support/stations.py` says how a station joins by each.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from support import transfer
from support.dhcp import ask
from support.frames import FINISHED, asks_for_nothing, mac, unfinished
from support.judge import finished
from support.lan import Lan, Seat, Station, lan
from support.namespaces import Netns
from support.net import PATIENT, address
from support.stations import STATIONS, WITHOUT_STATION
from support.tagged import receive_whole, tagged_socket
from vswitch import MemoryPort
from vswitch.portconfig import KINDS

pytestmark = pytest.mark.netns

MB = 1 << 20
VERSIONS = (4, 6)
MTU = 1500
FRAGMENTED = 8000  # bytes: six frames
UDP, GUEST = socket.SOCK_DGRAM, 199  # a number that no station has
TAG, PRIORITY_TAG = bytes.fromhex("81006007"), bytes.fromhex("81000000")
# Tags and the payload behind them, bytes: little, and the most that a packet socket takes.
TAGGED = [(TAG, 46), (TAG, MTU), (PRIORITY_TAG, MTU), (bytes.fromhex("88a80009") + TAG, MTU - 8)]


class Pair(NamedTuple):
    src: Seat
    dst: Seat

    def __str__(self) -> str:
        return f"{self.src}->{self.dst}"


SEATS = [Seat(*seat) for seat in itertools.product(STATIONS, (True, False)) if seat[0] in KINDS]
PAIRS = [Pair(*pair) for pair in itertools.product(SEATS, repeat=2)]
every_pair = pytest.mark.parametrize("pair", PAIRS, ids=str)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    with lan(tmp_path_factory.mktemp("lan"), SEATS) as made:
        yield made


def test_every_kind_has_a_station_or_a_reason():
    missing = [kind for kind in KINDS if kind not in {**STATIONS, **WITHOUT_STATION}]

    assert not missing, (
        f"the matrix has no station for {', '.join(missing)}: in tests/support/stations.py write a "
        "function that puts the interface of a namespace behind a port of that kind, and enter it "
        "in STATIONS; or enter in WITHOUT_STATION why there can be none"
    )


@every_pair
def test_everything_arrives_whole(compiled, pair):
    exchange(compiled, compiled.left[pair.src], compiled.right[pair.dst])


def test_everything_arrives_whole_through_the_readable_core(tmp_path):
    """Which takes no unfinished frames."""
    seat = Seat("tap", offloads=False)

    with lan(tmp_path, [seat], core="python") as readable:
        exchange(readable, readable.left[seat], readable.right[seat])
        readable.check_balance()


def exchange(net: Lan, src: Station, dst: Station) -> None:
    for version in VERSIONS:
        ends = src.ns, dst.ns, src.address(version), dst.address(version)

        with net.expecting(src, dst, f"echo in fragments over IPv{version}"):
            echo(src.ns, dst.address(version))
        with net.expecting(src, dst, f"TCP over IPv{version}"):
            before = net.received(src)
            transfer.tcp(*ends, MB)
            cut = net.received(src) - before >= MB // MTU
            assert cut != net.has_offloads(src), "it sends super-frames if its port takes them"
        with net.expecting(src, dst, f"UDP super-frames over IPv{version}"):
            transfer.udp(*ends, MB // 4, per_send=40, window=0)
        with net.expecting(src, dst, f"UDP fragments over IPv{version}"):
            transfer.udp(*ends, MB // 8, datagram=FRAGMENTED, window=3)


def echo(ns: Netns, address: str) -> None:
    said = ns.run("ping", "-c1", PATIENT, f"-s{FRAGMENTED}", address)
    assert " 0% packet loss" in said


# A lease is a matter of checksums, at either end by itself: half of the pairs have all there is.
@pytest.mark.parametrize("pair", [p for p in PAIRS if p.src.offloads == p.dst.offloads], ids=str)
def test_an_address_is_leased(compiled, pair):
    client, server = compiled.left[pair.src], compiled.right[pair.dst]

    with compiled.expecting(client, server, "DHCP"):
        said = ask(client.ns, client.device, vendor=server.device)

        assert f"obtained from {server.address(4)}" in said


@contextmanager
def packet_sockets(src: Station, dst: Station) -> Iterator[tuple[socket.socket, socket.socket]]:
    with src.ns.entered():
        sender = tagged_socket(src.device)
    with sender, dst.ns.entered(), tagged_socket(dst.device) as receiver:
        yield sender, receiver


@every_pair
def test_tagged_frames_arrive_as_sent(compiled, pair):
    src, dst = compiled.left[pair.src], compiled.right[pair.dst]

    with packet_sockets(src, dst) as (sender, receiver):
        for tags, size in TAGGED:
            with compiled.expecting(src, dst, f"{size} bytes behind the tags {tags.hex()}"):
                frame = dst.mac + src.mac + tags + b"\x88\xb5" + os.urandom(size)
                sender.send(FINISHED + frame)

                assert next_of(receiver, src)[1] == frame


@every_pair
def test_super_frames_in_a_tag_arrive_whole(compiled, pair):
    src, dst = compiled.left[pair.src], compiled.right[pair.dst]

    with packet_sockets(src, dst) as (sender, receiver):
        for version, protocol in itertools.product(VERSIONS, ("tcp", "udp")):
            payload = os.urandom(9000)
            header, frame = super_frame(src, dst, version, protocol, payload)
            with compiled.expecting(src, dst, f"{protocol} over IPv{version} in a tag"):
                sender.send(header + frame)

                got, front = b"", len(frame) - len(payload)
                while len(got) < len(payload):
                    header, part = next_of(receiver, src)
                    check(part, header, unfinished_too=compiled.has_offloads(dst))
                    got += part[front:]
                assert digest(got) == digest(payload)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("seat", SEATS, ids=str)
def test_a_datagram_of_many_fragments_arrives_whole(compiled, seat, version):
    """As an old guest sends it: a Linux of today does not, whatever its device can do."""
    dst, payload = compiled.right[seat], os.urandom(60_000)
    guest = compiled.switch.add_port(MemoryPort("guest"))
    header, frame = unfinished(
        dst.mac, mac(1), version=version, protocol="udp", payload=payload, gso_size=1448,
        whole=True, ends=(address(GUEST, version), dst.address(version)),
    )  # fmt: skip

    try:
        with dst.ns.entered():
            receiver = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, UDP)
        with receiver, compiled.expecting(dst, dst, f"fragments over IPv{version}"):
            receiver.settimeout(10)
            receiver.bind((dst.address(version), 5001))
            guest.send([frame], vnet=header)

            assert digest(receiver.recv(1 << 16)) == digest(payload)
    finally:
        compiled.switch.remove_port("guest")


def check(frame: bytes, header: bytes, *, unfinished_too: bool) -> None:
    """The tag is there, and checksums and lengths are right unless they are left to the device."""
    assert frame[12:16] == TAG
    if asks_for_nothing(header):
        finished(frame)
    else:
        assert unfinished_too, "the switch was to finish it"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def super_frame(
    src: Station, dst: Station, version: int, protocol: str, payload: bytes
) -> tuple[bytes, bytes]:
    header, frame = unfinished(
        dst.mac, src.mac, version=version, protocol=protocol, payload=payload, gso_size=1400,
        tags=1,
    )  # fmt: skip
    return header, frame[:12] + TAG + frame[16:]


def next_of(receiver: socket.socket, src: Station) -> tuple[bytes, bytes]:
    """The next tagged frame from there, with its virtio-net header."""
    while True:
        header, frame = receive_whole(receiver)
        if frame[6:12] == src.mac and frame[12:14] in (b"\x81\x00", b"\x88\xa8"):
            return header, frame


def test_every_frame_is_accounted_for(compiled):
    compiled.check_balance()
