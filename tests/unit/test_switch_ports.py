"""Ports come and go, counters stay readable, threads deliver."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from support.frames import BROADCAST, frame, mac
from support.lab import SocketPort, check_balance
from support.wait import wait_for
from vswitch import MemoryPort, Switch
from vswitch._fastpath import PORTS_MAX
from vswitch.errors import PortError, PortLimitError

A, B = mac(1), mac(2)


def test_a_removed_port_takes_its_stations_along_static_ones_too(lab):
    net = lab("a", "b", "c")
    net.send("b", frame(BROADCAST, B))
    net.switch.pin(mac(9), "b")

    net.switch.remove_port("b")

    assert net.stations() == {}
    assert net.send("a", frame(B, A)).keys() == {"c"}


def test_a_number_is_used_again_and_its_counters_start_at_zero(lab):
    net = lab("a", "b")
    net.send("b", frame(A, B))
    number = net.status("b").number
    net.switch.set_port("b", fdb_limit=1)
    net.switch.remove_port("b")

    net.add("new")

    assert net.status("new").number == number
    assert set(net.status("new").counters.values()) == {0}
    assert net.drops("new") == {}
    net.send("new", frame(A, B), frame(A, mac(3)))
    assert net.status("new").stations == 2, "the old port's limit must be gone"


def test_frames_waiting_in_a_removed_port_are_gone(lab):
    net = lab("a", "b")
    net.ports["a"].send([frame(B, A)])
    net.switch.remove_port("a")

    net.switch.poll()

    assert net.ports["b"].receive() == []


def test_what_a_removed_port_received_can_still_be_taken(lab):
    net = lab("a", "b")
    f = frame(B, A)
    net.ports["a"].send([f])
    net.switch.poll()

    net.switch.remove_port("b")

    assert net.ports["b"].receive() == [f]


def test_a_removed_port_refuses_to_send(lab):
    """Its eventfd is closed; the number may belong to somebody else's file by now."""
    net = lab("a", "b")
    net.switch.remove_port("a")
    stranger = os.eventfd(0, os.EFD_NONBLOCK)

    try:
        with pytest.raises(PortError, match="a is not connected"):
            net.ports["a"].send([frame(B, A)])
        with pytest.raises(BlockingIOError):
            os.eventfd_read(stranger)
    finally:
        os.close(stranger)


def test_a_port_without_a_switch_says_so():
    port = MemoryPort("alone")

    with pytest.raises(PortError, match="alone is not connected"):
        port.send([frame(B, A)])
    with pytest.raises(PortError, match="alone is not connected"):
        port.receive()
    port.close()


def test_a_name_is_connected_once(lab):
    net = lab("a")
    twin = MemoryPort("a")

    with pytest.raises(PortError, match="a is connected already"):
        net.switch.add_port(twin)
    twin.close()


def test_one_port_more_than_fits_is_refused_and_nothing_is_lost():
    with Switch() as switch:
        for i in range(PORTS_MAX):
            switch.add_port(MemoryPort(f"p{i}", size_bytes=1 << 18))
        extra = MemoryPort("extra")

        with pytest.raises(PortLimitError, match=str(PORTS_MAX)):
            switch.add_port(extra)

        extra.close()
        switch.remove_port("p7")
        last = switch.add_port(MemoryPort("last"))
        assert switch.port_status("last").number == 7
        last.send([frame(BROADCAST, A)])
        wait_for(lambda: switch.port_status("last").counters["forwarded"] == 1, "flooded")


@pytest.mark.parametrize("core", ["c", "python"])
def test_who_is_not_pinned_is_dropped_where_nothing_is_learned_and_the_limit_drops(lab, core):
    net = lab("a", "b", core=core)
    net.switch.set_port("a", learning=False, limit_drop=True)
    net.switch.pin(A, "a")

    got = net.send("a", frame(BROADCAST, A), frame(BROADCAST, B))

    assert got == {"b": [frame(BROADCAST, A)]}


def test_the_state_of_a_port_is_per_direction_and_can_be_set_back(lab):
    net = lab("a", "b")
    net.switch.set_port("a", forwarding=False, learning=True)
    blocked = net.send("a", frame(B, A)), net.send("b", frame(A, B))
    net.switch.set_port("a", forwarding=True)

    assert blocked == ({}, {})
    assert A in net.stations(), "learning goes on while blocked"
    assert net.send("b", frame(A, B)).keys() == {"a"}


def test_a_port_that_does_not_learn_forwards_all_the_same(lab):
    net = lab("a", "b")
    net.switch.set_port("a", learning=False)

    assert net.send("a", frame(B, A)).keys() == {"b"}
    assert net.stations() == {}


def test_counters_are_a_view_that_outlives_the_switch(lab):
    net = lab("a", "b")
    counters = net.switch.counters
    before = int(counters["rx_frames"][0, 0])

    net.send("a", frame(B, A), frame(B, A)[:5])

    assert (before, int(counters["rx_frames"][0, 0])) == (0, 2)
    assert int(counters["drops"]["runt"][0, 0]) == 1
    assert counters.shape == (1, PORTS_MAX)
    assert not counters.flags.writeable
    net.switch.close()
    assert int(counters["forwarded"][0, 0]) == 1


def test_paused_nests():
    with Switch(pollers=2) as switch:
        a, b = (switch.add_port(MemoryPort(n)) for n in "ab")
        with switch.paused():
            with switch.paused():
                a.send([frame(B, A)])
            assert switch.port_status("a").counters["rx_frames"] == 0
            assert b.receive() == []
        wait_for(b.receive, "the frame sent while paused")


def test_a_switch_of_threads_is_not_polled_by_hand():
    with Switch() as switch, pytest.raises(RuntimeError, match="by hand"):
        switch.poll()


def test_closing_twice_is_closing_once():
    switch = Switch()
    switch.add_port(MemoryPort("a"))
    switch.start()
    switch.close()

    switch.close()

    assert switch.ports == {}


def test_closing_while_paused_by_nobody_ends_every_thread():
    before = set(threading.enumerate())
    with Switch(pollers=4) as switch:
        switch.add_port(MemoryPort("a"))
        assert len(set(threading.enumerate()) - before) == 5

    assert set(threading.enumerate()) <= before  # of which some may have ended by themselves


@pytest.mark.parametrize("pollers", [1, 2, 3])
def test_pollers_deliver_every_frame_in_the_order_of_its_port(pollers):
    names = "abcd"
    with Switch(pollers=pollers) as switch:
        ports = {n: switch.add_port(MemoryPort(n)) for n in names}
        for i, n in enumerate(names):  # everybody is known before the numbered frames
            ports[n].send([frame(BROADCAST, mac(i))])
        wait_for(lambda: len(switch.stations()) == 4, "all stations learned")
        for i, n in enumerate(names):
            to = mac((i + 1) % 4)
            ports[n].send(frame(to, mac(i), k.to_bytes(4, "big")) for k in range(2000))
        got: dict[str, list[bytes]] = {n: [] for n in names}

        def complete() -> bool:
            for n in names:
                got[n] += [f for f in ports[n].receive() if f[:6] != BROADCAST]
            return all(len(got[n]) >= 2000 for n in names)

        wait_for(complete, "2,000 frames at each port")

        numbers = [list(range(2000))] * 4
        assert [[int.from_bytes(f[14:18], "big") for f in got[n]] for n in names] == numbers
        for n in names:
            check_balance(switch.port_status(n))


def test_a_queue_that_cannot_be_read_ends_its_port_once_and_the_rest_goes_on(lab, caplog):
    class Unreadable(SocketPort):
        def attach(self, core):
            self.near.close()
            self.read_end, write_end = os.pipe2(os.O_NONBLOCK)
            self.near = os.fdopen(write_end, "wb", buffering=0)
            return super().attach(core)

        def close(self):
            super().close()
            os.close(self.read_end)

    net = lab("a", "b")
    net.switch.add_port(Unreadable("broken"))
    net.switch.pin(B, "broken")

    for _ in range(3):
        got = net.send("a", frame(BROADCAST, A))

    assert got.keys() == {"b"}
    assert net.status("broken").state == "gone"
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "name=broken" in caplog.text
    assert net.send("a", frame(B, A)) == {}, "a static entry stays, as on a link that is down"


def test_a_punt_handler_is_called_from_the_control_thread():
    seen: list[tuple[str, str]] = []
    with Switch("lab") as switch:
        a = switch.add_port(MemoryPort("a"))
        switch.on_punt = lambda port, _: seen.append((port, threading.current_thread().name))
        switch.set_reserved(["lldp"], "punt")

        a.send([frame(bytes.fromhex("0180c200000e"), A)])

        wait_for(lambda: seen, "the handler")
    assert seen == [("a", "lab-control")]


def test_ports_may_come_and_go_while_others_read():
    stop = threading.Event()
    errors: list[RuntimeError] = []

    def read(switch: Switch) -> None:
        while not stop.is_set():
            try:
                switch.stations()
                assert len(switch.ports) <= 21
            except RuntimeError as e:  # dictionary changed size during iteration
                errors.append(e)
                return

    with Switch() as switch:
        for i in range(20):
            switch.add_port(MemoryPort(f"p{i}", size_bytes=1 << 18))
        reader = threading.Thread(target=read, args=(switch,))
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            reader.start()
            for _ in range(300):
                switch.add_port(MemoryPort("guest", size_bytes=1 << 18))
                switch.remove_port("guest")
        finally:
            stop.set()
            reader.join()
            sys.setswitchinterval(before)

    assert errors == []
