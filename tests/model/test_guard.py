"""The compiled guard against the one in plain Python: any headers, cut, stacked and disguised."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st

from vswitch import _fastpath, _guarding, _ports, _rules, reference_guard
from vswitch.guarding import Lease, PortGuard
from vswitch.vlans import PLAIN

FINISHED = bytes(10)
MACS = [bytes([2, 0, 0, 0, 0, n]) for n in (1, 2)]
IP4S = [ip_address(text).packed for text in ("10.0.0.5", "10.0.0.6", "0.0.0.0")]
IP6S = [ip_address(text).packed for text in ("fd00::5", "fd00::6", "::", "fe80::5", "febf::5")]
PORTS = [67, 68, 546, 547, 53]

macs, ip4s, ip6s = st.sampled_from(MACS), st.sampled_from(IP4S), st.sampled_from(IP6S)
any_bytes = st.binary(max_size=40)
numbers = st.sampled_from(PORTS)

guards = st.builds(
    PortGuard,
    macs=st.sampled_from([frozenset(), frozenset(MACS[:1]), frozenset(MACS)]),
    ips=st.sets(st.sampled_from([*IP4S[:2], *IP6S[:2]])).map(frozenset),
    leases=st.sets(
        st.builds(Lease, vid=st.sampled_from([0, 7]), mac=macs, ip=ip4s | ip6s), max_size=5
    ).map(frozenset),
    check_ip4=st.booleans(),
    check_ip6=st.booleans(),
    servers=st.booleans(),
    routers=st.booleans(),
    copies=st.booleans(),
    link_locals=st.booleans(),
)


@st.composite
def arps(draw):
    head = draw(st.sampled_from([bytes.fromhex("000108000604")] * 5 + [bytes(6)]))
    return head + draw(st.binary(min_size=2, max_size=2)) + draw(macs) + draw(ip4s) + bytes(10)


@st.composite
def nd_messages(draw):
    kind = draw(st.sampled_from([131, 133, 134, 135, 135, 136, 136, 137, 143, 128]))
    body = {133: 4, 134: 12, 137: 36}.get(kind, 20)
    rest = draw(ip6s).rjust(body, b"\0")[:body] if body == 20 else bytes(body)
    options = b"".join(
        draw(
            st.lists(
                st.one_of(
                    macs.map(lambda mac: b"\x01\x01" + mac),
                    macs.map(lambda mac: b"\x02\x01" + mac),
                    st.sampled_from([b"\x05\x01" + bytes(6), b"\x03\x02" + bytes(14)]),
                    st.just(b"\x02\x02" + MACS[0] + bytes(8)),
                    st.sampled_from([bytes(8), b"\x01\x09" + bytes(6), b"\1\1\2"]),
                ),
                max_size=4,
            )
        )
    )
    return bytes([kind, 0, 0, 0]) + rest + options * draw(st.sampled_from([1, 1, 1, 9]))


@st.composite
def udps(draw):
    return struct.pack("!HHHH", draw(numbers), draw(numbers), 0, 0) + draw(any_bytes)


uppers = st.one_of(
    st.tuples(st.just(58), nd_messages()),
    st.tuples(st.just(17), udps()),
    st.tuples(st.sampled_from([2, 6, 59]), any_bytes),
)


@st.composite
def ip4_packets(draw):
    proto, message = draw(uppers)
    head = draw(st.sampled_from([20, 20, 20, 24, 16]))
    total = draw(st.sampled_from([head + len(message)] * 4 + [0, 10, head, head + 8, 1500]))
    where = draw(st.sampled_from([0, 0, 0, 0x4000, 0x2000, 0x2001, 0x0001, 0x8000]))
    packet = struct.pack(
        "!BBHHHBBH4s4s", 0x40 | head // 4, 0, total, 1, where, 64, proto, 0, draw(ip4s), b"\xff" * 4
    )
    return packet.ljust(head, b"\1") + message


@st.composite
def ip6_packets(draw):
    proto, rest = draw(uppers)
    for kind in draw(st.lists(st.sampled_from([0, 43, 44, 44, 51, 60, 135]), max_size=3)) * draw(
        st.sampled_from([1, 1, 1, 3])
    ):
        length = draw(st.sampled_from([0, 0, 0, 1]))
        where = draw(st.sampled_from([0, 1, 8, 0xFFF8])) if kind == 44 else 0
        size = 8 if kind == 44 else (length + 2) * 4 if kind == 51 else (length + 1) * 8
        rest = struct.pack("!BBH", proto, length, where).ljust(size, b"\0") + rest
        proto = kind
    length = draw(st.sampled_from([len(rest)] * 4 + [0, 8, 24, 60000]))
    head = struct.pack("!IHBB", 6 << 28, length, proto, 255)
    return head + draw(ip6s) + b"\xff" * 16 + rest


payloads = st.one_of(
    st.tuples(st.sampled_from([0x0806, 0x8035]), arps()),
    st.tuples(st.just(0x0800), ip4_packets()),
    st.tuples(st.just(0x86DD), ip6_packets()),
    st.tuples(st.just(0x86DD), ip6_packets()),
    st.tuples(st.sampled_from([0x0800, 0x86DD, 0x0806, 0x88B5, 20, 0]), any_bytes),
)


@st.composite
def frames(draw):
    kind, rest = draw(payloads)
    for cover in draw(st.lists(st.sampled_from(["tag", "provider", "snap"]), max_size=2)) * draw(
        st.sampled_from([0, 0, 1, 3])
    ):
        if cover == "snap":
            organization = draw(st.sampled_from([b"\0\0\0", b"\0\0\xf8", b"\0\0\1"]))
            rest = b"\xaa\xaa\x03" + organization + struct.pack("!H", kind) + rest
            kind = draw(st.sampled_from([len(rest), 0x5FF, 1]))
        else:
            rest = struct.pack("!HH", 7, kind) + rest
            kind = 0x8100 if cover == "tag" else 0x88A8
    frame = b"\xff" * 6 + draw(macs) + struct.pack("!H", kind) + rest
    if draw(st.booleans()):
        frame += bytes(draw(st.integers(0, 46)))  # padding
    cut = draw(st.sampled_from([0, 0, 0, 1, 5, 9, 30]))
    frame = frame[: max(14, len(frame) - cut)]
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(12, len(frame) - 1))
        frame = frame[:at] + draw(st.binary(min_size=1, max_size=1)) + frame[at + 1 :]
    return frame


@st.composite
def nd_frames(draw):
    """Neighbor Discovery as it is, or nearly."""
    rest, proto = draw(nd_messages()), 58
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 7, 8, 9]))):
        rest, proto = bytes([proto]).ljust(8, b"\0") + rest, 60
    if draw(st.integers(0, 5)) == 0:
        where = draw(st.sampled_from([0, 1, 8]))
        rest, proto = struct.pack("!BBHI", proto, 0, where, 1) + rest, 44
    length = len(rest) - draw(st.sampled_from([0, 0, 0, 0, 1, 8]))
    head = struct.pack("!IHBB", 6 << 28, max(length, 0), proto, 255)
    return b"\xff" * 6 + MACS[0] + b"\x86\xdd" + head + draw(ip6s) + b"\xff" * 16 + rest


class Compiled:
    """A datapath of two memory ports, the first of which is guarded."""

    def __init__(self) -> None:
        self.datapath = _fastpath.Datapath()
        self.now_s = 0  # only so many are copied in one second
        for _ in range(2):
            _ports.add_memory_port(self.datapath, fd=-1, offloads=0, mtu=65521, size=1 << 22)
        self.wires = [_ports.Wire(self.datapath, n) for n in range(2)]

    def judge(self, guard, frame, *, aware):
        """Whether *frame* gets through, and what the control plane hears of it."""
        for n in range(2):
            _rules.set_vlans(self.datapath, n, PLAIN if aware else None)
        _guarding.set_guard(self.datapath, 0, guard)
        assert self.wires[0].send(FINISHED + frame)
        self.now_s += 1
        self.datapath.poll(self.now_s)
        out = [frame for _, frame in self.wires[1].receive()]
        copies = [(n, frame) for n, _, frame in _ports.punted(self.datapath)]
        assert out in ([], [frame])
        return bool(out), copies


compiled = Compiled()


def vlan_of(frame):
    """The VLAN of a frame at a port without options among others that have some."""
    vid = int.from_bytes(frame[14:16]) & 0xFFF if frame[12:14] == b"\x81\x00" else 0
    if frame[12:14] != b"\x81\x00":
        return frame, 0
    if len(frame) < 18 or vid == 4095:
        return None, 0
    return frame[:12] + frame[16:], vid


@settings(max_examples=3000, deadline=None)
@given(guard=guards, frame=frames(), aware=st.booleans())
def test_both_guards_judge_alike(guard, frame, aware):
    bare, vid = vlan_of(frame) if aware else (frame, 0)
    admitted = bare is not None and reference_guard.admits(guard, bare, vid)
    copied = admitted and reference_guard.is_copied(guard, bare)

    judged = compiled.judge(guard, frame, aware=aware)

    assert judged == (admitted, [(_guarding.COPY, frame)] if copied else [])


@settings(max_examples=2000, deadline=None)
@given(
    frame=nd_frames(),
    ips=st.sets(ip6s, max_size=2).map(frozenset),
    leases=st.sets(st.builds(Lease, vid=st.sampled_from([0, 7]), mac=macs, ip=ip6s)).map(frozenset),
    routers=st.booleans(),
    link_locals=st.booleans(),
)
def test_both_guards_judge_neighbors_alike(frame, ips, leases, routers, link_locals):
    guard = PortGuard(
        ips=ips, leases=leases, check_ip6=True, routers=routers, link_locals=link_locals
    )

    admitted, _ = compiled.judge(guard, frame, aware=False)

    assert admitted == reference_guard.admits(guard, frame, 0)


@settings(max_examples=300, deadline=None)
@given(frame=st.binary(min_size=14, max_size=200), guard=guards)
def test_both_guards_judge_any_bytes_alike(frame, guard):
    frame = frame[:6] + MACS[0] + frame[12:]
    frame = bytes([2]) + frame[1:]  # no reserved address

    admitted, _ = compiled.judge(guard, frame, aware=False)

    assert admitted == reference_guard.admits(guard, frame, 0)
