"""What a port cannot do itself is done for it: checksums and segments, judged by scapy."""

from __future__ import annotations

import pytest

from support.frames import BROADCAST, DATA_VALID, FINISHED, frame, mac, unfinished, vnet
from support.judge import finished, reassembled

A, B = mac(1), mac(2)
KINDS = pytest.mark.parametrize(
    ("version", "protocol"), [(4, "tcp"), (4, "udp"), (6, "tcp"), (6, "udp")]
)
TAGS = pytest.mark.parametrize("tags", [0, 1, 2])
PAYLOAD = bytes(i * 7 % 251 for i in range(9001))


@KINDS
@TAGS
@pytest.mark.parametrize("length", [0, 1, 100, 1001])
def test_a_checksum_is_completed_for_a_port_without_offloads(lab, version, protocol, tags, length):
    net = lab("a")
    plain = net.add("plain", offloads=())
    header, f = unfinished(
        B, A, version=version, protocol=protocol, payload=PAYLOAD[:length], tags=tags
    )

    net.ports["a"].send([f], vnet=header)
    net.switch.poll()

    [(got_header, got)] = plain.receive_with_header()
    assert got_header == FINISHED
    assert bytes(finished(got).payload) == PAYLOAD[:length]


@KINDS
@TAGS
def test_a_super_frame_is_cut_for_a_port_without_offloads(lab, version, protocol, tags):
    net = lab("a")
    plain = net.add("plain", offloads=())
    header, f = unfinished(
        B, A, version=version, protocol=protocol, payload=PAYLOAD, gso_size=1400, tags=tags
    )

    net.ports["a"].send([f], vnet=header)
    net.switch.poll()

    got = plain.receive_with_header()
    assert [h for h, _ in got] == [FINISHED] * 7
    parts = [finished(data) for _, data in got]
    assert b"".join(bytes(p.payload) for p in parts) == PAYLOAD
    if protocol == "tcp":
        assert [p.seq for p in parts] == [1000 + 1400 * i for i in range(7)]
        assert [str(p.flags) for p in parts] == ["A"] * 6 + ["PA"]
    assert net.status("a").counters["forwarded"] == 1
    assert net.status("plain").counters["tx_frames"] == 7


@TAGS
@pytest.mark.parametrize("version", [4, 6])
def test_a_datagram_is_fragmented_for_a_port_that_cannot(lab, version, tags):
    net = lab("a")
    segments_only = net.add("segments", offloads=("csum", "tso4", "tso6", "ecn", "uso"))
    header, f = unfinished(
        B, A, version=version, protocol="udp", payload=PAYLOAD, gso_size=1448, tags=tags, whole=True
    )

    net.ports["a"].send([f], vnet=header)
    net.switch.poll()

    got = segments_only.receive_with_header()
    assert [h for h, _ in got] == [FINISHED] * 7
    assert bytes(reassembled([data for _, data in got]).payload) == PAYLOAD
    assert net.status("segments").counters["tx_frames"] == 7


@pytest.mark.parametrize("version", [4, 6])
def test_a_datagram_stays_whole_for_a_port_that_can(lab, version):
    net = lab("a", "b")
    header, f = unfinished(
        B, A, version=version, protocol="udp", payload=PAYLOAD, gso_size=1448, whole=True
    )

    net.ports["a"].send([f], vnet=header)
    net.switch.poll()

    assert net.ports["b"].receive_with_header() == [(header, f)]


@pytest.mark.parametrize(("version", "too_long"), [(4, 1488), (6, 1464)])
def test_fragments_longer_than_the_mtu_are_dropped(lab, version, too_long):
    net = lab("a")
    small = net.add("small", offloads=(), mtu=1500)  # and room for a tag: 1504
    for gso_size in (too_long - 8, too_long):
        header, f = unfinished(
            B, A, version=version, protocol="udp", payload=PAYLOAD, gso_size=gso_size, whole=True
        )
        net.ports["a"].send([f], vnet=header)
    net.switch.poll()

    assert net.drops("small") == {"too_long": 1}
    assert bytes(reassembled(small.receive()).payload) == PAYLOAD


@KINDS
def test_a_port_with_offloads_gets_the_frame_untouched(lab, version, protocol):
    net = lab("a", "b")
    header, f = unfinished(B, A, version=version, protocol=protocol, payload=PAYLOAD, gso_size=1400)

    net.ports["a"].send([f], vnet=header)
    net.switch.poll()

    assert net.ports["b"].receive_with_header() == [(header, f)]


def test_a_port_that_takes_checksums_only_gets_finished_segments(lab):
    net = lab("a")
    csum = net.add("csum", offloads=("csum",))
    header, f = unfinished(B, A, version=4, protocol="tcp", payload=PAYLOAD, gso_size=1400)
    small_header, small = unfinished(B, A, version=4, protocol="tcp", payload=b"x")

    net.ports["a"].send([f], vnet=header)
    net.ports["a"].send([small], vnet=small_header)
    net.switch.poll()

    *segments, last = csum.receive_with_header()
    assert len(segments) == 7
    assert all(h == FINISHED and finished(data) for h, data in segments)
    assert last == (small_header, small)


def test_a_port_that_takes_tso_only_gets_no_unfinished_super_frame(lab):
    """Segmentation without checksums is not in virtio (5.1.3.1): it is done for the port."""
    net = lab("a")
    odd = net.add("odd", offloads=("tso4",))
    header, f = unfinished(B, A, version=4, protocol="tcp", payload=PAYLOAD, gso_size=1400)

    net.ports["a"].send([f], vnet=header)
    net.switch.poll()

    got = odd.receive_with_header()
    assert [h for h, _ in got] == [FINISHED] * 7
    assert all(finished(data) for _, data in got)


def test_finished_and_unfinished_frames_of_a_burst_keep_their_order(lab):
    net = lab("a")
    plain = net.add("plain", offloads=())
    header, cut = unfinished(B, A, version=4, protocol="udp", payload=PAYLOAD[:300], gso_size=100)
    sum_header, summed = unfinished(B, A, version=6, protocol="tcp", payload=b"y")
    whole = frame(B, A, b"whole")
    for h, f in [(FINISHED, whole), (header, cut), (FINISHED, whole), (sum_header, summed)] * 8:
        net.ports["a"].send([f], vnet=h)

    net.switch.poll()

    lengths = [len(f) for f in plain.receive()]
    assert lengths == [60, 142, 142, 142, 60, len(summed)] * 8


def test_a_flooded_super_frame_is_cut_only_where_it_must_be(lab):
    net = lab("a", "b")
    plain = net.add("plain", offloads=())
    header, f = unfinished(BROADCAST, A, version=4, protocol="udp", payload=PAYLOAD, gso_size=1400)

    net.ports["a"].send([f], vnet=header)
    net.switch.poll()

    assert net.ports["b"].receive_with_header() == [(header, f)]
    assert len(plain.receive()) == 7


def test_segments_longer_than_the_mtu_are_dropped(lab):
    net = lab("a")
    net.add("small", offloads=(), mtu=1000)
    header, f = unfinished(B, A, version=4, protocol="tcp", payload=PAYLOAD, gso_size=1400)

    net.send("a", f, vnet=header)

    assert net.drops("small") == {"too_long": 1}


def test_a_remark_in_the_header_of_a_finished_frame_is_no_work(lab):
    net = lab("a")
    plain = net.add("plain", offloads=())

    net.ports["a"].send([frame(B, A)], vnet=vnet(DATA_VALID))
    net.switch.poll()

    assert plain.receive() == [frame(B, A)]
