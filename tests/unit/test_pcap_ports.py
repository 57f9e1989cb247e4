"""Ports over captures: by the clock of a switch polled by hand, and by the kernel's."""

from __future__ import annotations

import itertools
import logging
import math
import os
import resource
import select
import signal
import struct
import time
from contextlib import suppress
from pathlib import Path

import pytest

from support.captures import classic_header, classic_record, read_back, write_pcap
from support.frames import BROADCAST, frame, mac, unfinished
from support.wait import wait_for
from vswitch import FakeClock, MemoryPort, PcapPort, Switch
from vswitch._fastpath import Datapath
from vswitch._ports import add_pcap_port
from vswitch.errors import CaptureError, ConfigError, DeviceError, PortError
from vswitch.wire import capture, pcap, pcapng

A, B = mac(1), mac(2)
NS = 10**9
FOREVER = 0


def numbered(count: int) -> list[bytes]:
    return [frame(BROADCAST, B, n.to_bytes(4, "big")) for n in range(count)]


def recorded(tmp_path: Path, *times_s: float) -> tuple[Path, list[bytes]]:
    """A capture of a frame at each of *times_s*."""
    frames = numbered(len(times_s))
    timed = [(round(t * NS), f) for t, f in zip(times_s, frames, strict=True)]
    return write_pcap(tmp_path / "in.pcap", timed), frames


# ---------------------------------------------------------------- by hand


def test_frames_enter_when_they_are_due(lab, tmp_path):
    path, frames = recorded(tmp_path, 100, 100, 101.5, 104)
    net = lab("a")
    net.switch.add_port(PcapPort("in", path))

    got = []
    for _ in range(6):
        got.append(net.send("a").get("a", []))
        net.clock.advance(1)

    assert got == [frames[:2], [], frames[2:3], [], frames[3:], []]
    assert net.status("in").kind == "pcap"


def test_a_nanosecond_early_is_too_early(lab, tmp_path):
    frames = numbered(3)
    path = write_pcap(tmp_path / "in.pcap", zip((7, NS + 7, NS + 8), frames, strict=True))
    net = lab("a")
    net.switch.add_port(PcapPort("in", path))

    got = []
    for _ in range(3):
        got.append(net.send("a").get("a", []))
        net.clock.advance(1)

    assert got == [[f] for f in frames]


@pytest.mark.parametrize(("speed", "due_s"), [(1, 8), (2, 4), (0.5, 16), (math.inf, 0)])
def test_speed_divides_the_times(lab, tmp_path, speed, due_s):
    path, frames = recorded(tmp_path, 0, 8)
    net = lab("a")
    net.switch.add_port(PcapPort("in", path, speed=speed))

    got = net.send("a").get("a", [])
    if due_s:
        net.clock.advance(due_s - 1)
        assert net.send("a") == {}
        net.clock.advance(1)
        got += net.send("a")["a"]

    assert got == frames


def test_a_capture_enters_again_after_the_mean_distance_of_its_frames(lab, tmp_path):
    path, frames = recorded(tmp_path, 0, 1, 4)
    net = lab("a")
    net.switch.add_port(PcapPort("in", path, loop=2))

    got = []
    for second in range(12):
        got += [(second, f) for f in net.send("a").get("a", [])]
        net.clock.advance(1)

    times = [0, 1, 4, 6, 7, 10]
    assert got == list(zip(times, frames + frames, strict=True))


def test_a_single_frame_enters_once_a_second_without_end(lab, tmp_path):
    path, frames = recorded(tmp_path, 5)
    net = lab("a")
    net.switch.add_port(PcapPort("in", path, loop=FOREVER))

    for _ in range(5):
        assert net.send("a") == {"a": frames}
        assert net.send("a") == {}
        net.clock.advance(1)


def test_a_capture_out_of_order_enters_in_order_of_time(lab, tmp_path):
    first, second = numbered(2)
    path = write_pcap(tmp_path / "in.pcap", [(2 * NS, second), (NS, first)])
    net = lab("a")
    net.switch.add_port(PcapPort("in", path, speed=math.inf))

    assert net.send("a") == {"a": [first, second]}


def test_many_frames_enter_in_bursts_and_in_order(lab, tmp_path):
    path, frames = recorded(tmp_path, *[0] * 1000)
    net = lab("a")
    net.switch.add_port(PcapPort("in", path, loop=2, speed=math.inf))

    assert net.send("a") == {"a": frames * 2}


@pytest.mark.parametrize("size", [0, 13, 14, 60, 3000, 65_568])
def test_frames_of_any_length_enter(lab, tmp_path, size):
    path = write_pcap(tmp_path / "in.pcap", [(0, numbered(1)[0].ljust(size, b".")[:size])])
    net = lab()
    net.add("a", mtu=65_521)
    net.switch.add_port(PcapPort("in", path))
    net.switch.poll()

    drops = net.drops("in")

    assert net.status("in").counters["rx_bytes"] == size
    assert drops == ({"runt": 1} if size < 14 else {})


def test_the_end_is_logged_once_and_the_port_goes_on_recording(lab, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path, _ = recorded(tmp_path, 0, 0)
    out = tmp_path / "out.pcap"
    net = lab("a")
    net.switch.add_port(PcapPort("in", path, out=out))

    for _ in range(3):
        net.send("a", frame(BROADCAST, A))
        net.clock.advance(1)

    assert caplog.messages == ["replay finished frames=2 name=in"]
    assert net.status("in").state == "forwarding"
    assert len(read_back(out)) == 3


@pytest.mark.parametrize(("ending", "wire"), [("pcap", pcap), ("pcapng", pcapng)])
def test_what_leaves_is_recorded_as_our_writer_writes_it(lab, tmp_path, ending, wire):
    out = tmp_path / f"out.{ending}"
    net = lab("a")
    net.switch.add_port(PcapPort("tap9", out=out))
    frames = [frame(BROADCAST, A, pad_to=60 + i) for i in range(40)]

    net.send("a", *frames[:35])
    net.clock.advance(5)
    net.send("a", *frames[35:])

    times = [1000 * NS] * 35 + [1005 * NS] * 5
    records = b"".join(map(wire.record, times, frames))
    assert out.read_bytes() == wire.file_header("tap9") + records
    assert net.status("tap9").counters["tx_frames"] == 40


def test_super_frames_are_finished_before_they_are_recorded(lab, tmp_path):
    out = tmp_path / "out.pcap"
    net = lab("a")
    net.switch.add_port(PcapPort("vm", out=out))
    header, big = unfinished(B, A, version=4, protocol="tcp", payload=bytes(4000), gso_size=1000)

    net.send("a", big, frame(B, A, pad_to=2000), vnet=header)

    assert [len(f) for _, f in read_back(out)] == [1054] * 4


def test_a_frame_that_was_cut_enters_as_it_is_with_a_warning(lab, tmp_path, caplog):
    path = tmp_path / "in.pcap"
    cut = classic_record(1, 0, numbered(1)[0][:40], wire_len=1514)
    path.write_bytes(classic_header(snaplen=40) + cut * 3)
    net = lab("a")
    net.switch.add_port(PcapPort("in", path, speed=math.inf))

    assert [len(f) for f in net.send("a")["a"]] == [40] * 3
    assert [m for m in caplog.messages if "cut" in m] == [
        "frames were cut when they were captured, and enter as they are there "
        f"frames=3 of=3 file={path}"
    ]


# ---------------------------------------------------------------- full disks, and pipes


def test_a_full_disk_leaves_no_half_record(lab, tmp_path):
    out = tmp_path / "out.pcap"
    net = lab("a")
    net.switch.add_port(PcapPort("vm", out=out))
    frames = [frame(BROADCAST, A, bytes([i]), pad_to=100) for i in range(20)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        # Room for ten records and some of the next: a stand-in for a disk that is full.
        resource.setrlimit(resource.RLIMIT_FSIZE, (24 + 116 * 10 + 50, before[1]))
        net.send("a", *frames)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)

    assert [f for _, f in read_back(out)] == frames[:10]
    assert net.drops("vm") == {"tx_full": 10}
    net.send("a", frames[0])
    assert [f for _, f in read_back(out)] == [*frames[:10], frames[0]]


def test_a_pipe_gets_whole_records_until_it_is_full(lab, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    net = lab("a")
    net.switch.add_port(PcapPort("vm", out=fifo))
    frames = [frame(BROADCAST, A, i.to_bytes(4, "big"), pad_to=1400) for i in range(100)]

    net.send("a", *frames)

    status = net.status("vm")
    taken = status.counters["tx_frames"]
    assert 30 < taken < 60
    assert net.drops("vm") == {"tx_full": 100 - taken}
    copy = tmp_path / "copy.pcap"
    copy.write_bytes(os.read(reader, 1 << 20))
    assert [f for _, f in read_back(copy)] == frames[:taken]
    os.close(reader)
    net.send("a", frames[0])
    assert net.drops("vm")["tx_error"] == 1


def test_a_pipe_without_a_reader_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(PortError, match="vm: cannot record to") as caught:
        PcapPort("vm", out=tmp_path / "fifo")

    assert caught.value.hint == "it is a pipe: start first who reads it"


def test_a_pipe_takes_no_long_frames(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)

    with pytest.raises(PortError, match=r"is a pipe, .*up to 4096 bytes as a whole"):
        PcapPort("vm", out=fifo, mtu=4044)
    PcapPort("vm", out=fifo, mtu=4043).close()

    os.close(reader)


# ---------------------------------------------------------------- by the kernel's clock


def test_nothing_enters_before_it_is_due(tmp_path):
    path, frames = recorded(tmp_path, 0, 0.05, 0.05, 0.2)
    arrived = []
    with Switch() as switch:
        a = switch.add_port(MemoryPort("a"))
        start = time.monotonic()
        switch.add_port(PcapPort("in", path))
        while len(arrived) < 4:
            arrived += [(time.monotonic() - start, f) for f in a.receive()]
            assert time.monotonic() < start + 10

    assert [f for _, f in arrived] == frames
    for (at, _), due in zip(arrived, (0, 0.05, 0.05, 0.2), strict=True):
        assert at >= due


def test_nobody_is_woken_before_the_next_frame_is_due(tmp_path):
    path, _ = recorded(tmp_path, 0, 3600)
    with Switch() as switch:
        a = switch.add_port(MemoryPort("a"))
        timer = switch.add_port(PcapPort("in", path))._timer
        wait_for(a.receive, "the first frame")

        wait_for(lambda: not select.select([timer], [], [], 0)[0], "the timer to be set")


def test_a_port_waits_for_the_switch_to_start(tmp_path):
    path, frames = recorded(tmp_path, 0, 0)
    switch = Switch()
    a = switch.add_port(MemoryPort("a"))
    switch.add_port(PcapPort("in", path))

    switch.start()

    assert wait_for(a.receive, "the capture")[0] == frames[0]
    switch.close()


def test_the_end_is_logged_by_the_control_thread(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path, frames = recorded(tmp_path, 0, 0.001, 0.002)
    with Switch() as switch:
        a = switch.add_port(MemoryPort("a"))
        switch.add_port(PcapPort("in", path, loop=3))
        wait_for(lambda: caplog.messages, "the end")

        assert caplog.messages == ["replay finished frames=9 name=in"]
        assert a.receive() == frames * 3
        assert switch.port_status("in").state == "forwarding"


def test_several_pollers_record_whole_records_in_order_of_time(tmp_path):
    out, count = tmp_path / "out.pcapng", 5_000
    frames = {
        n: [frame(BROADCAST, mac(n), i.to_bytes(4, "big")) for i in range(count)] for n in (1, 2)
    }
    before = time.time_ns()
    switch = Switch(pollers=2)
    for n, waiting in frames.items():
        assert switch.add_port(MemoryPort(str(n))).send(waiting) == count
    switch.add_port(PcapPort("rec", out=out))

    with switch:  # both pollers have frames from the first moment on
        wait_for(
            lambda: switch.port_status("rec").counters["tx_frames"] == 2 * count,
            "all to be recorded",
        )

    found = [(r.time_ns, r.frame) for r in capture.read(out.read_bytes(), "out")]
    times = [t for t, _ in found]
    assert times == sorted(times)
    assert before <= times[0] <= times[-1] <= time.time_ns()
    for n in frames:
        assert [f for _, f in found if f[6:12] == mac(n)] == frames[n]


def test_a_port_can_be_removed_while_it_replays(tmp_path):
    path, _ = recorded(tmp_path, *[0] * 50)
    with Switch() as switch:
        a = switch.add_port(MemoryPort("a"))
        for i in range(20):
            switch.add_port(PcapPort("in", path, loop=FOREVER, speed=math.inf))
            wait_for(a.receive, f"frames of port number {i}")
            switch.remove_port("in")
        assert list(switch.ports) == ["a"]


# ---------------------------------------------------------------- refusals


def test_a_missing_capture_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the capture: No such file"):
        PcapPort("in", tmp_path / "none.pcap")


def test_a_capture_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(ConfigError, match="pipe: a port replays a file"):
        PcapPort("p", tmp_path / "pipe")


def test_a_capture_that_is_none_touches_no_recording(tmp_path):
    bad, out = tmp_path / "in.pcap", tmp_path / "out.pcap"
    bad.write_bytes(b"no capture")
    out.write_bytes(b"precious")

    with pytest.raises(CaptureError, match=r"in.pcap: offset 0: not a capture"):
        PcapPort("in", bad, out=out)

    assert out.read_bytes() == b"precious"


def test_a_capture_is_not_its_own_recording(tmp_path):
    path, frames = recorded(tmp_path, 0)
    (tmp_path / "link").symlink_to(path)

    with pytest.raises(ConfigError, match="cannot be its own recording"):
        PcapPort("in", path, out=tmp_path / "link")

    assert len(read_back(path)) == len(frames)


def test_a_folder_is_no_recording(tmp_path):
    with pytest.raises(PortError, match=f"in: cannot record to {tmp_path}: Is a directory"):
        PcapPort("in", out=tmp_path)


def test_the_readable_core_refuses(tmp_path):
    path, _ = recorded(tmp_path, 0)
    with Switch(core="python", clock=FakeClock()) as switch:
        port = PcapPort("in", path)
        with pytest.raises(PortError, match="the readable core has no pcap ports"):
            switch.add_port(port)
        port.close()


def test_a_port_that_was_closed_is_refused(lab, tmp_path):
    path, _ = recorded(tmp_path, 0)
    port = PcapPort("in", path)
    port.close()

    with pytest.raises(PortError, match="was closed"):
        lab().switch.add_port(port)


@pytest.mark.parametrize("ends", [(9,), (20, 29), (20, 19), (20, 41)])
def test_an_index_that_does_not_fit_its_frames_is_refused(ends):
    index = b"".join(struct.pack("QQ", 0, end) for end in ends)

    with pytest.raises(ValueError, match="do not fit"):
        add_pcap_port(
            Datapath(), -1, frames=bytes(40), index=index, times=(0, 1),
            out=(-1, 0, False, False), mtu=1500,
        )  # fmt: skip


def test_no_descriptor_stays_open(tmp_path):
    path, _ = recorded(tmp_path, 0)
    before = os.listdir("/proc/self/fd")

    for entering, out in itertools.product((path, None), (tmp_path / "o", tmp_path, None)):
        with suppress(DeviceError):  # a folder is no recording
            PcapPort("in", entering, out=out).close()

    assert os.listdir("/proc/self/fd") == before
