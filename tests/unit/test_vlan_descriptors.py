"""A super-frame of a port over a descriptor: tags in every segment, offsets that moved."""

from __future__ import annotations

import struct

import pytest
from scapy.layers.l2 import Dot1Q, Ether

from support.frames import mac, unfinished
from support.judge import finished
from support.lab import SocketPort
from vswitch.vlanwords import parse

A, B = mac(1), mac(2)
PAYLOAD = bytes(i * 7 % 251 for i in range(9001))
MSS, SEGMENTS = 1400, 7
TAG = bytes.fromhex("8100000a")


def super_frame(version, protocol, tags=0):
    header, f = unfinished(
        B, A, version=version, protocol=protocol, payload=PAYLOAD, gso_size=MSS, tags=tags
    )
    return header, f.replace(bytes.fromhex("81000005"), TAG)


def offsets(header):
    """hdr_len and csum_start of a virtio-net header."""
    return struct.unpack_from("<H2xH", header, 2)


def have(net, **vlans):
    for port, said in vlans.items():
        net.switch.set_port(port, vlans=parse("vlans", said))


def parts_of(frames):
    """What scapy finds in *frames*, which are segments, all right."""
    parts = [finished(f) for f in frames]
    assert b"".join(bytes(p.payload) for p in parts) == PAYLOAD
    assert len(parts) == SEGMENTS
    return parts


@pytest.mark.parametrize("version", [4, 6])
def test_ports_over_descriptors_do_the_same(lab, version):
    """The leaf of TAPs reads into memory of its own, and has to leave room for a tag there."""
    net = lab("plain")
    source, trunk = SocketPort("s"), SocketPort("t")
    for port in (source, trunk):
        net.switch.add_port(port)
    net.add("bare", offloads=())
    have(net, s="access=10", t="trunk=10", bare="trunk=10", plain="access=20")
    header, f = super_frame(version, "tcp")

    source.far.send(header + f)
    net.switch.poll()

    record = trunk.far.recv(70_000)
    assert record[10:] == f[:12] + TAG + f[12:]
    assert offsets(record[:10])[1] == offsets(header)[1] + 4
    got = net.ports["bare"].receive_with_header()
    assert [Ether(f)[Dot1Q].vlan for _, f in got] == [10] * SEGMENTS
    parts_of(f for _, f in got)
    assert net.ports["plain"].receive_with_header() == []
