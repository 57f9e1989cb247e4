"""What must not bring a switch down: handlers that raise, threads that close, full tables of
descriptors, ports that fail half-way."""

from __future__ import annotations

import os
import resource
import threading

import pytest

from support.frames import BROADCAST, frame, mac
from support.wait import PATIENCE_S, wait_for
from vswitch import FakeClock, MemoryPort, Switch
from vswitch.errors import ConfigError, PortError
from vswitch.links import Links

LLDP = bytes.fromhex("0180c200000e")


@pytest.fixture
def running():
    with Switch("robust") as switch:
        yield switch


def test_a_punt_handler_that_raises_is_called_again(running, caplog):
    heard = []

    def handler(port, data):
        heard.append(port)
        raise RuntimeError("a mistake of its own")

    port = running.add_port(MemoryPort("a"))
    running.set_reserved(["lldp"], "punt")
    running.on_punt = handler

    port.send([frame(LLDP, mac(1))])
    wait_for(lambda: len(heard) == 1, "the first punt")
    port.send([frame(LLDP, mac(1))])

    wait_for(lambda: len(heard) == 2, "the second punt")
    assert "punt handler failed port=a" in caplog.text


def test_a_punt_handler_may_close_the_switch():
    switch = Switch("closing")
    closed = threading.Event()

    def handler(port, data):
        switch.close()
        closed.set()

    port = switch.add_port(MemoryPort("a"))
    switch.set_reserved(["lldp"], "punt")
    switch.on_punt = handler
    switch.start()

    port.send([frame(LLDP, mac(1))])

    assert closed.wait(PATIENCE_S)
    assert switch.ports == {}


def test_who_is_told_of_a_removed_port_s_punts_may_ask_from_anywhere():
    found = []
    with Switch("lab", clock=FakeClock()) as switch:

        def handler(port, data):
            asking = threading.Thread(
                target=lambda: found.append([s.name for s in switch.port_statuses()])
            )
            asking.start()
            asking.join(5)

        switch.on_punt = handler
        switch.set_reserved(["lldp"], "punt")
        port = switch.add_port(MemoryPort("old"))
        switch.add_port(MemoryPort("b"))
        port.send([frame(LLDP, mac(1))])
        assert switch.poll_once() == 1

        switch.remove_port("old")

        assert found == [["b"]]


def test_punts_of_a_removed_port_are_told_under_its_own_name():
    heard = []
    with Switch("lab", clock=FakeClock()) as switch:
        switch.on_punt = lambda port, data: heard.append(port)
        switch.set_reserved(["lldp"], "punt")
        port = switch.add_port(MemoryPort("old"))
        port.send([frame(LLDP, mac(1))])
        switch._core.datapath.poll(0)

        switch.remove_port("old")
        switch.add_port(MemoryPort("new"))
        switch.poll()

    assert heard == ["old"]


def test_a_wire_that_sends_while_its_port_goes_writes_into_no_other_file(tmp_path):
    with Switch("lab", clock=FakeClock()) as switch:
        port = switch.add_port(MemoryPort("a"))
        wire = port._wire
        switch.remove_port("a")
        with (tmp_path / "victim").open("wb", buffering=0) as victim:
            taken = [os.dup(victim.fileno()) for _ in range(8)]  # the port's number among them
            wire.send(bytes(10) + frame(BROADCAST, mac(1)))

            assert os.fstat(victim.fileno()).st_size == 0
            for fd in taken:
                os.close(fd)


def test_descriptors_above_1023_are_no_obstacle():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    taken = [os.dup(0) for _ in range(1100)]
    try:
        with Switch("high") as switch:
            a, b = switch.add_port(MemoryPort("a")), switch.add_port(MemoryPort("b"))
            switch.set_reserved(["lldp"], "punt")
            heard = []
            switch.on_punt = lambda port, data: heard.append(port)

            a.send([frame(BROADCAST, mac(1)), frame(LLDP, mac(1))])

            wait_for(b.receive, "the broadcast")
            wait_for(lambda: heard == ["a"], "the punt")
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_port_that_cannot_be_followed_is_not_connected(monkeypatch):
    def refuse(self, member):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Links, "watch", refuse)
    monkeypatch.setattr(MemoryPort, "has_link", True)
    port = MemoryPort("a")

    with Switch("lab") as switch:
        with pytest.raises(OSError, match="Too many"):
            switch.add_port(port)

        assert switch.ports == {}
        monkeypatch.setattr(MemoryPort, "has_link", False)
        switch.add_port(MemoryPort("a"))
    port.close()


def test_a_closed_switch_takes_no_port():
    switch = Switch("lab", clock=FakeClock())
    switch.close()
    port = MemoryPort("a")

    with pytest.raises(PortError, match="closed"):
        switch.add_port(port)
    port.close()


def test_a_closed_port_is_not_taken():
    with Switch("lab", clock=FakeClock()) as switch:
        port = switch.add_port(MemoryPort("a"))
        switch.remove_port("a")

        with pytest.raises(PortError, match="closed"):
            switch.add_port(port)


def test_a_switch_that_cannot_be_made_leaves_no_descriptor():
    before = set(os.listdir("/proc/self/fd"))

    with pytest.raises(ValueError, match="salt"):
        Switch(salt=b"short")

    assert set(os.listdir("/proc/self/fd")) <= before


def test_a_gone_port_stays_shut_whatever_is_set(monkeypatch):
    with Switch("lab", clock=FakeClock()) as switch:
        ports = [switch.add_port(MemoryPort(name)) for name in "ab"]
        member = switch._members["b"]
        switch._upkeep.links._lose(member, "its device was deleted")

        switch.set_port("b", forwarding=True)
        ports[0].send([frame(BROADCAST, mac(1))])
        switch.poll()

        assert ports[1].receive() == []
        assert switch.port_status("b").state == "gone"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda s: MemoryPort("x", offloads=["foo"]), "offloads are"),
        (lambda s: MemoryPort("x", mtu=-5), "mtu must be"),
        (lambda s: s.set_reserved(["foo"], "drop"), "reserved addresses are"),
        (lambda s: s.set_reserved(["lldp"], "eat"), "a verdict is one of"),
        (lambda s: s.pin(b"\xff" * 6, "a"), "unicast"),
        (lambda s: s.pin(bytes(6), "a"), "unicast"),
    ],
)
def test_wrong_arguments_are_named(make, says):
    with Switch("lab", clock=FakeClock()) as switch:
        switch.add_port(MemoryPort("a"))

        with pytest.raises(ValueError, match=says):
            make(switch)


def test_ageing_is_checked_and_shown():
    with Switch("lab", clock=FakeClock()) as switch:
        switch.set_ageing(10)

        assert switch.config.ageing_s == 10
        with pytest.raises(ConfigError):
            switch.set_ageing(-1)


def test_ports_that_come_and_go_are_listed_as_they_are_at_one_moment():
    with Switch() as switch:
        done = threading.Event()

        def come_and_go():
            while not done.is_set():
                switch.add_port(MemoryPort("vm"))
                switch.remove_port("vm")

        thread = threading.Thread(target=come_and_go)
        thread.start()
        try:
            for _ in range(200):
                assert [port.name for port in switch.port_statuses()] in ([], ["vm"])
        finally:
            done.set()
            thread.join()
