"""Questions about neighbours to us and to the Linux bridge of this machine: the same answers, byte
for byte, and the same ports that hear the questions.

Where we differ on purpose, the frames below do not go:

- There a tag is taken off before anybody looks, and the answer to a tagged question has none, while
  the bridge takes no notice of VLANs.
- What RFC 4861 7.1 says to discard is looked at there, as are options beyond the packet; and who
  asks may be a group.
- There 0.0.0.0 is an address of the bridge itself while that has none (br_chk_addr_ip()).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.budget import examples
from tests.model.kernel_bridge import N_PORTS, Bridge, entered, run
from tests.model.neighbours import IP4S, IP6S
from tests.model.traffic import BROADCAST, GROUPS, STATIONS
from vswitch._fastpath import Datapath
from vswitch._neigh import neighbour_counters, set_neighbour
from vswitch._ports import Wire, add_memory_port
from vswitch._rules import set_flags
from vswitch.neighbours import Neighbour
from vswitch.portsettings import PortSettings

pytestmark = pytest.mark.netns

FINISHED = bytes(10)
SUPPRESSED = (1, 2)
HEARD = {STATIONS[0]: 0, STATIONS[1]: 1, STATIONS[2]: 3}  # STATIONS[3] is not
UNKNOWN4, UNKNOWN6 = bytes([192, 0, 2, 99]), bytes.fromhex("20010db8") + bytes(11) + b"\x63"
# An address of each: of a station where questions are suppressed, of one elsewhere, of one that was
# not heard; and one that is not known.
KNOWN = dict(zip([*IP4S, *IP6S], [*STATIONS[1:4], *STATIONS[1:4]], strict=True))


class Both:
    """The bridge, and a datapath that was told the same."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge, self.datapath = bridge, Datapath()
        self.wires = []
        for number in range(N_PORTS):
            add_memory_port(self.datapath, fd=-1, offloads=0, mtu=1500, size=1 << 20)
            self.wires.append(Wire(self.datapath, number))
        for number in SUPPRESSED:
            bridge.bridge("link", "set", "dev", f"p{number}", "neigh_suppress", "on")
            set_flags(self.datapath, number, PortSettings(neigh_suppress=True))
        for ip, mac in KNOWN.items():
            one = Neighbour(ip, mac, router=ip == IP6S[0])
            assert set_neighbour(self.datapath, one)
            router = " router" if one.router else ""
            bridge.ip(
                f"neigh add {one.address} lladdr {mac.hex(':')} dev br0 nud permanent{router}"
            )
        for mac, number in HEARD.items():
            self.send(number, BROADCAST + mac + b"\x88\xb5" + bytes(46))

    def send(self, port: int, frame: bytes) -> tuple[list[list[bytes]], list[list[bytes]]]:
        """What each port of both gets because of a frame."""
        self.bridge.send(port, frame)
        assert self.wires[port].send(FINISHED + frame)
        self.datapath.poll(1000)
        theirs = self.bridge.receive()
        return theirs, [[frame for _, frame in wire.receive()] for wire in self.wires]


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    namespace = f"vsw-{os.getpid()}-neigh"
    run("ip", "netns", "add", namespace)
    try:
        bridge = Bridge(namespace)
        try:
            bridge.start_over(N_PORTS, 0)
            with entered(namespace):
                # With IPv6 it knows neighbours of it; without an address it says nothing.
                Path("/proc/sys/net/ipv6/conf/br0/addr_gen_mode").write_text("1")
                Path("/proc/sys/net/ipv6/conf/br0/disable_ipv6").write_text("0")
            yield Both(bridge)
        finally:
            bridge.close()
    finally:
        run("ip", "netns", "del", namespace)


ip4s = st.sampled_from(
    [*IP4S * 3, UNKNOWN4, bytes(4), bytes([127, 0, 0, 1]), bytes([224, 0, 0, 1])]
)
ip6s = st.sampled_from([*IP6S * 3, UNKNOWN6, bytes(16)])
askers = st.sampled_from(STATIONS)
receivers = st.sampled_from([BROADCAST, BROADCAST, *GROUPS, STATIONS[1], STATIONS[4]])


@st.composite
def arps(draw: st.DrawFn) -> bytes:
    head = draw(st.sampled_from([(1, 0x800, 6, 4)] * 9 + [(6, 0x800, 6, 4), (1, 0x806, 6, 4)]))
    operation = draw(st.sampled_from([1] * 9 + [2, 2, 3, 4, 8, 0]))
    packet = struct.pack("!HHBBH", *head, operation)
    packet += draw(askers) + draw(ip4s) + draw(askers | st.just(bytes(6)))
    packet += draw(ip4s.filter(any))
    frame = draw(receivers) + STATIONS[0] + b"\x08\x06" + packet
    return draw(st.sampled_from([frame, frame, frame + bytes(18), frame[:41]]))


options = st.lists(
    st.one_of(
        askers.map(lambda mac: b"\x01\x01" + mac),
        st.sampled_from([b"\x0e\x01" + bytes(6), b"\x02\x01" + bytes(6), b"\x0e\x02" + bytes(14)]),
    ),
    max_size=3,
).map(b"".join)


@st.composite
def nds(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from([135] * 9 + [136, 136, 133, 128]))
    code = draw(st.sampled_from([0] * 9 + [1]))
    flags = draw(st.sampled_from([0, 0, 0x40, 0x20, 0xE0]))
    message = bytes([kind, code, 1, 2, flags, 0, 0, 0]) + draw(ip6s) + draw(options)
    head = 6 << 28 | draw(st.sampled_from([0, 0xF << 24, 0xFF << 20 | 0xABCDE]))
    packet = struct.pack("!IHBB", head, len(message), draw(st.sampled_from([58] * 9 + [17])), 255)
    target = b"\xff\x02" + bytes(9) + b"\x01\xff\0\0\x01"
    packet += draw(ip6s) + draw(ip6s | st.just(target)) + message
    return draw(receivers) + STATIONS[0] + b"\x86\xdd" + packet


def test_the_bridge_answers_the_same(both):
    @settings(max_examples=examples(1500), deadline=None)
    @given(frame=arps() | nds(), port=st.sampled_from([0, 0, 0, 2]))
    def check(frame, port):
        theirs, ours = both.send(port, frame)
        assert ours == theirs

    check()
    answered, suppressed = neighbour_counters(both.datapath)
    assert answered > 30
    assert suppressed > answered + 30
