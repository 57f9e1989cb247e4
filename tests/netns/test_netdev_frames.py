"""Single frames across the interface end of a device: tags, headers, who hears what."""

from __future__ import annotations

import os
import struct

import pytest

from support.frames import BROADCAST, FINISHED, frame, mac, unfinished
from support.lab import check_balance
from support.net import DEVICE
from support.tap import raw_socket
from support.wait import wait_for
from vswitch import MemoryPort

pytestmark = pytest.mark.netns

TAG = bytes.fromhex("81006007")


def send(net, side, *records):
    with net.sides[side].entered(), raw_socket(DEVICE, vnet_hdr=True) as sock:
        for record in records:
            sock.send(record)


def heard(net, wanted):
    got = []
    wait_for(lambda: got.extend(net.probe.receive_with_header()) or any(wanted(f) for _, f in got),
             "the frame")  # fmt: skip
    return next((h, f) for h, f in got if wanted(f))


@pytest.fixture(params=["c", "python"])
def core(request):
    return request.param


@pytest.fixture
def probed(wired, core):
    """One side behind a veth, and a memory port `probe`."""
    net = wired({}, core=core)
    net.probe = net.switch.add_port(MemoryPort("probe"))
    return net


@pytest.mark.parametrize("tags", [TAG, bytes.fromhex("88a80009") + TAG, bytes.fromhex("81000000")])
@pytest.mark.parametrize("size", [46, 1490])
def test_tagged_frames_come_through_untouched(probed, tags, size):
    f = BROADCAST + mac(5) + tags + b"\x88\xb5" + os.urandom(size)
    before = probed.counters(0)["rx_bytes"]

    send(probed, 0, FINISHED + f)
    _, got = heard(probed, lambda x: x[6:12] == mac(5))

    assert got == f
    assert probed.counters(0)["rx_bytes"] - before >= len(f)


def test_tagged_frames_leave_untouched(probed):
    f = probed.mac(0) + mac(5) + TAG + b"\x88\xb5" + os.urandom(1496)
    with probed.sides[0].entered(), raw_socket(DEVICE) as sock:
        sock.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA
        probed.probe.send([f])

        def next_marked():
            data, extra, _, _ = sock.recvmsg(2000, 100)
            return (data, extra) if data[6:12] == mac(5) else None

        data, extra = wait_for(next_marked, "the frame")

    tci, tpid = struct.unpack_from("HH", extra[0][2], 16)
    assert data[:12] + struct.pack(">HH", tpid, tci) + data[12:] == f


@pytest.mark.parametrize("core", ["c"])  # the other finishes it
def test_an_unfinished_tagged_frame_keeps_a_header_that_fits(probed):
    """csum_start counts the tag that was put back."""
    header, f = unfinished(
        BROADCAST,
        mac(5),
        version=4,
        protocol="tcp",
        payload=os.urandom(5000),
        gso_size=1000,
        tags=1,
    )
    send(probed, 0, header + f)

    got_header, got = heard(probed, lambda x: x[6:12] == mac(5))

    assert got == f
    assert got_header[:2] + got_header[4:] == header[:2] + header[4:]


def test_frames_for_other_stations_are_heard_and_our_own_are_not(probed):
    f = frame(mac(77), mac(5), b"to somebody else")
    send(probed, 0, FINISHED + f)
    heard(probed, lambda x: x == f)
    before = probed.counters(0)["rx_frames"]
    ours = [frame(BROADCAST, mac(6), bytes([i])) for i in range(50)]

    probed.probe.send(ours)
    wait_for(lambda: probed.counters(0)["tx_frames"] >= 50, "frames to be sent")
    send(probed, 0, FINISHED + f)
    heard(probed, lambda x: x == f)

    assert probed.counters(0)["rx_frames"] - before < 50
    assert {s.mac: s.port for s in probed.switch.stations()}[mac(6)] == "probe"


SHORT = FINISHED + frame(BROADCAST, mac(5))
SUPER = b"".join(
    unfinished(BROADCAST, mac(5), version=4, protocol="tcp", payload=bytes(60000), gso_size=1448)
)


@pytest.mark.parametrize("core", ["c"])  # the other does not ask the kernel
@pytest.mark.parametrize(("record", "n"), [(SHORT, 4000), (SUPER, 600)], ids=["ring", "queue"])
def test_frames_that_the_kernel_had_no_room_for_are_counted(probed, record, n):
    with probed.switch.paused():
        send(probed, 0, *[record] * n)

    def all_counted():
        probed.probe.receive()
        return probed.counters(0)["rx_frames"] >= n

    wait_for(all_counted, "every frame is counted")
    status = probed.switch.port_status("p0")
    assert 0 < status.drops["rx_full"] < n
    check_balance(status)
    send(probed, 0, FINISHED + frame(BROADCAST, mac(6)))
    heard(probed, lambda f: f[6:12] == mac(6))
