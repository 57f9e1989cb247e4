"""Questions about neighbours, as they are, or nearly."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

from tests.model.traffic import BROADCAST, GROUPS, STATIONS
from vswitch.neighbours import Neighbour

IP4S = [bytes([192, 0, 2, n]) for n in (1, 2, 3)]
IP6S = [bytes.fromhex("20010db8") + bytes(11) + bytes([n]) for n in (1, 2, 3)]
STRANGE4 = [bytes(4), bytes([127, 0, 0, 1]), bytes([224, 0, 0, 1]), b"\xff" * 4]
STRANGE6 = [bytes(16), b"\xff\x02" + bytes(14)]
VIDS = [0, 0, 7, 8]

stations = st.sampled_from(STATIONS[:3])
hardware = st.sampled_from([*STATIONS[:3] * 4, bytes(6), BROADCAST, GROUPS[0]])
ip4s = st.sampled_from([*IP4S * 5, *STRANGE4])
ip6s = st.sampled_from([*IP6S * 5, *STRANGE6])
neighbours = st.builds(
    Neighbour,
    ip=st.sampled_from(IP4S + IP6S),
    mac=stations,
    vid=st.sampled_from(VIDS),
    router=st.booleans(),
)


@st.composite
def arps(draw: st.DrawFn) -> bytes:
    head = draw(st.sampled_from([(1, 0x800, 6, 4)] * 9 + [(6, 0x800, 6, 4), (1, 0x806, 6, 4)]))
    operation = draw(st.sampled_from([1] * 9 + [2, 2, 3, 4, 8, 0]))
    addresses = draw(hardware) + draw(ip4s) + draw(hardware) + draw(ip4s)
    return struct.pack("!HHBBH", *head, operation) + addresses


options = st.lists(
    st.one_of(
        hardware.map(lambda mac: b"\x01\x01" + mac),
        hardware.map(lambda mac: b"\x01\x01" + mac),
        hardware.map(lambda mac: b"\x02\x01" + mac),
        st.sampled_from([b"\x0e\x01" + bytes(6), b"\x0e\x02" + bytes(14), b"\x01\x02" + bytes(14)]),
        st.sampled_from([bytes(8), b"\x01\x09" + bytes(6), b"\x01\x01\x02"]),
    ),
    max_size=3,
).map(b"".join)


@st.composite
def solicitations(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from([135] * 9 + [136, 136, 133, 128]))
    code = draw(st.sampled_from([0] * 9 + [1]))
    flags = draw(st.sampled_from([0, 0, 0x40, 0x20, 0x80]))
    message = bytes([kind, code, 1, 2, flags, 0, 0, 0]) + draw(ip6s)
    message += draw(options) * draw(st.sampled_from([1] * 9 + [6]))
    head = 6 << 28 | draw(st.sampled_from([0, 0xF << 24, 0xFF << 20 | 0xABCDE]))
    length = len(message) - draw(st.sampled_from([0] * 9 + [1, 8, -1]))
    proto, hops = draw(st.sampled_from([(58, 255)] * 9 + [(58, 254), (17, 255), (0, 255)]))
    return (
        struct.pack("!IHBB", head, max(length, 0), proto, hops) + draw(ip6s) + draw(ip6s) + message
    )


@st.composite
def questions(draw: st.DrawFn) -> bytes:
    """Frames that ask, or say, who has an address; and some that only look so."""
    kind, packet = draw(
        st.one_of(
            st.tuples(st.just(0x0806), arps()),
            st.tuples(st.just(0x86DD), solicitations()),
            st.tuples(st.sampled_from([0x0806, 0x86DD]), st.binary(max_size=90)),
        )
    )
    tag = draw(st.sampled_from([b""] * 5 + [b"\x81\0\xe0\7", b"\x81\0\0\x08", b"\x81\0\0\7" * 2]))
    destination = draw(st.sampled_from([BROADCAST] * 4 + [GROUPS[1], STATIONS[0], STATIONS[4]]))
    frame = destination + draw(stations) + tag + kind.to_bytes(2) + packet
    frame += bytes(draw(st.sampled_from([0, 0, 0, 18])))
    frame = frame[: max(14, len(frame) - draw(st.sampled_from([0] * 9 + [1, 9, 30])))]
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(12, len(frame) - 1))
        frame = frame[:at] + draw(st.binary(min_size=1, max_size=1)) + frame[at + 1 :]
    return frame
