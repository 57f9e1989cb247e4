"""vhost-user ports with poller threads: who sleeps, who kicks whom, and nothing is slept on."""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from support.frames import frame, mac
from support.plugged import PluggedVm
from support.wait import PATIENCE_S, wait_for
from vswitch import MemoryPort, Switch, VhostUserPort
from vswitch.wire.vhost_user import Feature

A, VM, OTHER = mac(1), mac(100), mac(101)
UP, DOWN = frame(A, VM, b"up"), frame(VM, A, b"down")
KINDS = [0, Feature.EVENT_IDX, Feature.RING_PACKED, Feature.RING_PACKED | Feature.EVENT_IDX]
IDS = ["split", "split event", "packed", "packed event"]
STRESS_FRAMES = 2000
FLAGS = re.MULTILINE | re.DOTALL

Plug = Callable[..., PluggedVm]


@pytest.fixture
def plug() -> Iterator[Plug]:
    with ExitStack() as stack:
        yield lambda where, **options: stack.enter_context(closing(PluggedVm(where, **options)))


def up(switch: Switch, port: str = "vm") -> None:
    wait_for(lambda: switch.port_status(port).state == "forwarding", f"{port} to be up")


def pollers() -> list[tuple[str, int]]:
    """Of each poller its state, S if it sleeps, and how often it has gone to sleep so far."""
    tids = [t.native_id for t in threading.enumerate() if "-poller-" in t.name]
    said = [Path(f"/proc/self/task/{tid}/status").read_text() for tid in tids]
    found = [
        re.search(r"^State:\s+(\w).*^voluntary_ctxt_switches:\s+(\d+)", s, FLAGS) for s in said
    ]
    return [(match[1], int(match[2])) for match in found]


def sleep_for(seconds: float) -> bool:
    """Whether all pollers stay asleep for the next *seconds*."""
    before = pollers()
    assert before
    time.sleep(seconds)
    return pollers() == before and all(state == "S" for state, _ in before)


@pytest.mark.parametrize("features", KINDS, ids=IDS)
def test_frames_flow_both_ways(place, plug, features):
    with Switch() as switch:
        a = switch.add_port(MemoryPort("a"))
        switch.add_port(VhostUserPort("vm", place))
        vm = plug(place, features=features).boot()
        up(switch)
        for _ in range(40):
            vm.send(UP)
            assert wait_for(a.receive, "a frame of the VM") == [UP]
            a.send([DOWN])
            assert wait_for(vm.receive, "the answer") == [DOWN]


@pytest.mark.parametrize("features", KINDS, ids=IDS)
def test_an_idle_guest_costs_nothing(place, plug, features):
    with Switch() as switch:
        a = switch.add_port(MemoryPort("a"))
        switch.add_port(VhostUserPort("vm", place))
        vm = plug(place, features=features).boot()
        up(switch)
        vm.send(UP)
        wait_for(a.receive, "the frame")

        wait_for(lambda: sleep_for(1), "a second without a wake-up")

        assert vm.send(UP), "who sleeps asks to be kicked"
        assert wait_for(a.receive, "the frame") == [UP]


@pytest.mark.parametrize("features", KINDS, ids=IDS)
def test_kicks_are_asked_for_by_who_sleeps_only(place, plug, features):
    # A poller that spins for a tenth of a second has the guest's ring in sight all that time.
    with Switch(busy_poll_us=100_000) as switch:
        a = switch.add_port(MemoryPort("a"))
        switch.add_port(VhostUserPort("vm", place))
        vm = plug(place, features=features).boot()
        up(switch)
        wait_for(lambda: sleep_for(0.1), "the poller sleeps")
        assert vm.send(UP)
        wait_for(a.receive, "the frame")

        [(_, slept)] = pollers()
        kicks = 0
        for _ in range(50):
            kicks += vm.send(UP)
            receive_soon(a)

        # On a busy machine it falls asleep although it spins: the guest has lost the processor.
        [(_, sleeps)] = pollers()
        assert kicks <= sleeps - slept + 1


@pytest.mark.parametrize("features", KINDS, ids=IDS)
def test_no_frame_is_slept_on(place, plug, features):
    """One frame at a time, some just as the poller falls asleep: all are forwarded at once."""
    dice = random.Random(features)
    with Switch(busy_poll_us=50) as switch:
        a = switch.add_port(MemoryPort("a"))
        switch.add_port(VhostUserPort("vm", place))
        vm = plug(place, features=features).boot()
        up(switch)
        for i in range(STRESS_FRAMES):
            sent = frame(A, VM, i.to_bytes(4, "big"))
            vm.send(sent)
            assert receive_soon(a) == [sent], i
            pause_until = time.perf_counter() + dice.choice((0, 20e-6, 50e-6, 100e-6, 200e-6))
            while time.perf_counter() < pause_until:
                pass


def receive_soon(port: MemoryPort) -> list[bytes]:
    """The next frames, looked for without sleeping; AssertionError after seconds."""
    deadline = time.monotonic() + PATIENCE_S
    while not (got := port.receive()):
        assert time.monotonic() < deadline, "the frame was slept on"
    return got


def test_pairs_are_spread_over_pollers(place, plug):
    with Switch(pollers=2) as switch:
        a = switch.add_port(MemoryPort("a"))
        switch.add_port(VhostUserPort("vm", place, queues=4))
        vm = plug(place, pairs=4, memory_bytes=16 << 20, features=Feature.MQ).boot()
        up(switch)
        for i in range(200):
            wait_for(lambda i=i: vm.room(i % 4), "room")
            vm.send(frame(A, VM, bytes([i])), pair=i % 4)
        found = []
        wait_for(lambda: found.extend(a.receive()) or len(found) == 200, "all frames")

        used = switch.counters["rx_frames"][:, switch.port_status("vm").number]
        assert used.tolist() == [100, 100]
        assert switch.port_status("vm").queues_used == 4
        for _ in range(50):
            a.send([DOWN])
            assert wait_for(vm.receive, "a frame for the VM") == [DOWN]


def test_a_machine_that_comes_and_goes_while_frames_are_offered(place, plug):
    with Switch(pollers=2) as switch:
        a = switch.add_port(MemoryPort("a"))
        switch.add_port(VhostUserPort("vm", place, queues=2))
        for _ in range(10):
            vm = plug(place, pairs=2, memory_bytes=8 << 20).boot()
            got = wait_for(lambda v=vm: a.send([DOWN] * 8) and v.receive(), "frames")
            assert set(got) == {DOWN}
            vm.close()
        wait_for(lambda: switch.port_status("vm").state == "down", "the end to be seen")
        assert a.send([DOWN])
        wait_for(lambda: switch.port_status("vm").drops["tx_error"], "a frame for nobody")


def test_removing_a_port_while_frames_flow(place, plug):
    with Switch(pollers=2) as switch:
        a = switch.add_port(MemoryPort("a"))
        for _ in range(10):
            switch.add_port(VhostUserPort("vm", place))
            vm = plug(place).boot()
            up(switch)
            for _ in range(8):
                vm.send(UP)
                a.send([DOWN] * 8)
            switch.remove_port("vm")
            assert not place.exists()
            wait_for(vm.front.hung_up, "the end", timeout_s=0.5)
            a.receive()


def test_closing_a_switch_with_machines(tmp_path, plug):
    with Switch(pollers=2) as switch:
        for i in range(4):
            switch.add_port(VhostUserPort(f"vm{i}", tmp_path / f"vm{i}"))
        vms = [plug(tmp_path / f"vm{i}").boot() for i in range(4)]
        for vm in vms:
            vm.send(UP)

    assert all(vm.front.hung_up() for vm in vms)
    assert list(tmp_path.iterdir()) == []


def test_a_machine_that_does_not_want_to_be_called_any_more_keeps_nobody(tmp_path, plug):
    """The counters are full and nobody reads them: a write(2) would wait for ever."""
    with Switch(pollers=2) as switch:
        a = switch.add_port(MemoryPort("a"))
        for name in ("bad", "good"):
            switch.add_port(VhostUserPort(name, tmp_path / name))
        bad, good = (plug(tmp_path / name).boot() for name in ("bad", "good"))
        up(switch, "bad")
        up(switch, "good")
        for fd in bad.calls:
            os.set_blocking(fd, True)
            os.eventfd_write(fd, 2**64 - 2)
        for i in range(20):
            bad.send(frame(b"\xff" * 6, OTHER, bytes([i])))
            assert wait_for(good.receive, "a frame of the bad one")
            wait_for(a.receive, "the same")
            a.send([frame(b"\xff" * 6, A, bytes([i]))])
            assert wait_for(good.receive, "a frame for both")
            assert wait_for(bad.receive, "the same")


def test_who_shrinks_its_memory_is_lost_and_nobody_else_is(tmp_path, plug):
    with Switch() as switch:
        for name in ("bad", "good"):
            switch.add_port(VhostUserPort(name, tmp_path / name))
        bad, good = (plug(tmp_path / name).boot() for name in ("bad", "good"))
        up(switch, "bad")
        up(switch, "good")
        os.ftruncate(bad.memory.pieces[0].fd, 0)
        good.send(frame(b"\xff" * 6, VM))

        wait_for(bad.front.hung_up, "the end")
        a = switch.add_port(MemoryPort("a"))
        good.send(frame(b"\xff" * 6, VM, b"still here"))
        assert wait_for(a.receive, "a frame of the other one")
