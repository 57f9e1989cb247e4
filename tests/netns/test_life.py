"""A switch that is changed while frames flow, and one that has nothing to do."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.frames import BROADCAST, EXPERIMENTAL, frame, mac
from support.net import DEVICE, Net
from support.tap import raw_socket
from support.wait import PATIENCE_S, wait_for
from vswitch import MemoryPort, Switch, TapPort

pytestmark = pytest.mark.netns

SRC, DST = mac(1), mac(2)
WINDOW = 200  # frames on their way at once; a TAP holds 1,000


class Stream:
    """Numbered frames from side 0 to side 1, and which of them arrived."""

    def __init__(self, net: Net) -> None:
        with net.sides[0].entered():
            self._out = raw_socket(DEVICE)
        with net.sides[1].entered():
            self._in = raw_socket(DEVICE)
        self._in.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        # The receiver is known, so nothing is flooded.
        self._in.send(frame(BROADCAST, DST))
        wait_for(lambda: any(s.mac == DST for s in net.switch.stations()), "the receiver is known")
        self._stop, self._sender_is_done = threading.Event(), threading.Event()
        self.sent = 0
        self.got: list[int] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Frames flow while the block runs; at its end all have arrived, or it is an error."""
        sender, receiver = (threading.Thread(target=f) for f in (self._send, self._receive))
        with self._out, self._in:
            sender.start()
            receiver.start()
            try:
                wait_for(lambda: len(self.got) > 100, "frames flow")
                yield
            finally:
                self._stop.set()
                sender.join(2 * PATIENCE_S)
                receiver.join(2 * PATIENCE_S)

    def _send(self) -> None:
        while not self._stop.is_set():
            if self.sent - len(self.got) < WINDOW:
                self._out.send(frame(DST, SRC, self.sent.to_bytes(4, "big")))
                self.sent += 1
            else:
                time.sleep(0.0005)
        last = frame(DST, SRC, self.sent.to_bytes(4, "big"))
        self.sent += 1
        self._sender_is_done.set()
        self._out.send(last)  # so the receiver, whom it wakes, knows that it is the last

    def _receive(self) -> None:
        self._in.settimeout(PATIENCE_S)
        while not (self._sender_is_done.is_set() and len(self.got) == self.sent):
            try:
                data = self._in.recv(2000)
            except TimeoutError:
                return  # a frame was lost
            if data[6:14] == SRC + EXPERIMENTAL.to_bytes(2, "big"):
                self.got.append(int.from_bytes(data[14:18], "big"))

    def check(self) -> None:
        assert self.got == list(range(self.sent))


@pytest.mark.parametrize("pollers", [1, 2])
def test_parking_the_pollers_loses_and_reorders_nothing(joined, pollers):
    net = joined({}, {}, pollers=pollers, addresses=False)
    stream = Stream(net)

    with stream.running():
        for _ in range(300):
            with net.switch.paused():
                pass
            net.switch.set_port("s0", fdb_limit=0)

    stream.check()


@pytest.mark.parametrize("pollers", [1, 2])
def test_ports_that_come_and_go_cost_the_others_no_frame(joined, netns, pollers):
    net = joined({}, {}, pollers=pollers, addresses=False)
    stream, guests = Stream(net), netns("guests")

    with stream.running():
        for i in range(10):
            with guests.entered():
                port = TapPort(DEVICE)
            port.name = "guest"
            net.switch.add_port(port)
            memory = net.switch.add_port(MemoryPort("memory"))
            memory.send([frame(BROADCAST, mac(100 + i))])
            net.switch.remove_port("guest")
            net.switch.remove_port("memory")

    stream.check()


def test_a_port_can_be_removed_and_added_again_under_its_own_traffic(joined):
    net = joined({}, {}, addresses=False)
    with net.sides[0].entered(), raw_socket(DEVICE) as sock:
        stop = threading.Event()

        def send() -> None:
            while not stop.is_set():
                sock.send(frame(DST, SRC))

        sender = threading.Thread(target=send)
        sender.start()
        try:
            for _ in range(20):
                with net.sides[1].entered():
                    net.switch.remove_port("s1")
                    port = TapPort(DEVICE)
                port.name = "s1"
                net.switch.add_port(port)
                wait_for(lambda: net.counters(1)["tx_frames"], "frames to the new port")
        finally:
            stop.set()
            sender.join()

    assert net.state(0) == net.state(1) == "forwarding"


def test_a_hundred_ports_leave_no_descriptor_and_no_thread(netns):
    ns = netns("many")
    with Switch(pollers=2) as switch:
        with ns.entered():
            switch.add_port(TapPort("stays"))
        before = resources()
        for i in range(100):
            with ns.entered():
                port = TapPort(f"tap{i % 7}", queues=1 + i % 2)
            switch.add_port(port)
            switch.add_port(MemoryPort("m"))
            switch.remove_port(port.name)
            switch.remove_port("m")

        # The control thread may be looking at a link just now, through descriptors of the moment.
        wait_for(lambda: no_more_than(before), "the same descriptors and threads")
        assert "tap" not in ns.ip("-o", "link")


def test_a_closed_switch_leaves_nothing(netns):
    ns = netns("closed")
    before = resources()
    with ns.entered():
        port = TapPort("tap0", queues=4)

    with Switch(pollers=3) as switch:
        switch.add_port(port)
    del switch, port  # the pollers' descriptors go with the object

    # A thread that was joined is the kernel's for a moment.
    wait_for(lambda: no_more_than(before), "the same descriptors and threads")
    assert "tap0" not in ns.ip("-o", "link")


def resources() -> tuple[int, int]:
    """How many descriptors and threads this process has, earlier tests' garbage aside."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def no_more_than(before: tuple[int, int]) -> bool:
    """Whether there are no more now; of others' some may have gone."""
    return all(now <= was for now, was in zip(resources(), before, strict=True))


@pytest.mark.parametrize("pollers", [1, 2])
def test_an_idle_switch_sleeps(netns, pollers):
    """Not a measurement: a poller that spins would take a hundred percent."""
    ns = netns("idle")
    ns.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")  # no chatter of the kernel's
    with Switch(pollers=pollers) as switch:
        with ns.entered():
            for i in range(16):
                switch.add_port(TapPort(f"tap{i}"))

        # Not at once: the sixteen set-ups leave something to do.
        wait_for(lambda: busy_s_in_a_second() < 0.05, "an idle second")


def busy_s_in_a_second() -> float:
    before = time.process_time()
    threading.Event().wait(1)
    return time.process_time() - before
