"""A capture into a real device, by the running command, as tcpdump sees it there."""

from __future__ import annotations

import logging
import time

import pytest
from scapy.utils import RawPcapReader

from support.capture import capture, settled
from support.captures import read_back, write_pcap
from support.command import device, ports, running
from support.frames import BROADCAST, frame, mac
from support.wait import wait_for
from vswitch import PcapPort

pytestmark = pytest.mark.netns

A = mac(1)
NS = 10**9
FRAMES = [frame(BROADCAST, A, b"capture %d" % n) for n in range(6)]
TIMES_NS = [0, 0, 50_000_000, 120_000_000, 120_000_000, 300_000_000]
SLACK_NS = 2_000_000  # between two clocks


def test_a_capture_enters_a_namespace_at_its_recorded_times(joined, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = write_pcap(tmp_path / "in.pcap", zip(TIMES_NS, FRAMES, strict=True))
    net = joined({})
    seen = tmp_path / "seen.pcap"

    with capture(net.sides[0], seen, "ether proto 0x88b5"):
        began = time.time_ns()
        net.switch.add_port(PcapPort("lab", path))
        wait_for(lambda: any("replay finished" in m for m in caplog.messages), "the end")
        settled(seen, b"capture 5")

    with RawPcapReader(str(seen)) as reader:
        found = [(m.sec * NS + m.usec * (1 if reader.nano else 1000), f) for f, m in reader]
    assert [f for _, f in found] == FRAMES
    for (at, _), due in zip(found, TIMES_NS, strict=True):  # late it may be, early never
        assert at - began >= due - SLACK_NS


def test_the_command_replays_and_records(tmp_path):
    path = write_pcap(tmp_path / "in.pcap", zip(TIMES_NS, FRAMES, strict=True))
    out, tap = tmp_path / "out.pcapng", device("p")
    with running(
        *ports(f"pcap:{path},speed=10,loop=2,name=lab", f"record:{out},name=rec", tap)
    ) as switch:
        assert "lab: pcap, 1 queue, mtu 1500, no offloads\n" in switch.out
        assert "rec: record, 1 queue, mtu 1500, no offloads\n" in switch.out
        wait_for(lambda: "replay finished frames=12 name=lab" in switch.err, "the end")

        facts = switch.ports()
        assert facts["lab"]["address"] == str(path)
        assert facts["lab"]["state"] == "forwarding"
        assert facts[tap]["counters"]["tx_frames"] == 12
        assert switch.end() == 0

    found = [f for _, f in read_back(out) if f[6:12] == A]
    assert found == FRAMES * 2
