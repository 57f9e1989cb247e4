"""/healthz: yes while every thread makes its rounds, and which one does not; with real threads."""

from __future__ import annotations

import fcntl
import http.client
import json
import socket
import struct
import termios
import threading
from contextlib import closing, contextmanager

import pytest

from support.frames import FINISHED
from support.lab import SocketPort
from support.served import served
from support.wait import PATIENCE_S, wait_for
from vswitch import MemoryPort, Switch, health

BROADCAST = b"\xff" * 6 + bytes([2, 0, 0, 0, 0, 1]) + b"\x88\xb5" + bytes(46)


@pytest.fixture(params=["c", "python"])
def core(request):
    return request.param


@pytest.fixture
def patient(monkeypatch):
    """Where all threads are well: on a busy host one may wait for more than a second."""
    monkeypatch.setattr(health, "TRIES", int(PATIENCE_S / health.PAUSE_S))


def healthz(path):
    """(status, JSON) of /healthz."""
    connection = http.client.HTTPConnection("localhost")
    with closing(connection):
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(2 * PATIENCE_S)
        connection.sock.connect(str(path))
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def never(_):
    raise AssertionError("had to wait")


def unread(sock):
    """Bytes sent by *sock* that nobody has read yet."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]


@contextmanager
def stuck(switch):
    """Poller 1 stands in a read of a socket that blocks, as a device would that breaks its word."""
    switch.add_port(MemoryPort("a"))  # poller 0's
    port = switch.add_port(SocketPort("b"))  # poller 1's
    port.near.setblocking(True)
    port.far.send(FINISHED + BROADCAST)
    try:
        wait_for(lambda: not unread(port.far), "the poller to have read what there is")
        yield
    finally:
        port.near.setblocking(False)
        port.far.send(FINISHED + BROADCAST)  # ends the read that blocks


def test_an_idle_switch_is_well_for_its_pollers_are_woken(core, tmp_path, patient):
    with Switch("lab", core=core) as switch, served(switch, tmp_path / "lab.sock") as path:
        status, body = healthz(path)

        assert (status, body["name"], set(body["rounds"])) == (200, "lab", {"poller-0", "control"})
        again = healthz(path)[1]["rounds"]
        assert all(again[name] > rounds for name, rounds in body["rounds"].items())


def test_a_switch_without_threads_has_none_that_could_be_stuck(lab):
    assert health.late(lab("a").switch, never) == []


def test_a_poller_that_stands_in_a_read_is_named(tmp_path):
    with (
        Switch("lab", pollers=2) as switch,
        stuck(switch),
        served(switch, tmp_path / "lab.sock") as path,
    ):
        status, body = healthz(path)

    assert (status, body["code"]) == (503, "unhealthy")
    assert body["error"] == "poller-1 made no round within 1 s"


def test_it_is_well_again_when_the_read_ends(tmp_path, patient):
    with Switch("lab", pollers=2) as switch:
        with stuck(switch):
            pass
        with served(switch, tmp_path / "lab.sock") as path:
            assert healthz(path)[0] == 200


def test_a_poller_at_the_gate_makes_no_rounds(core, patient):
    with Switch("lab", core=core) as switch:
        with switch.paused():
            # The control thread waits for the lock that a pause holds.
            assert health.late(switch, lambda _: None) == ["poller-0", "control"]
        assert health.late(switch, threading.Event().wait) == []


def _thread(name):
    return next(thread for thread in threading.enumerate() if thread.name == name)


def test_a_control_thread_that_has_ended_is_named(monkeypatch):
    with Switch("lab") as switch:
        control = _thread("lab-control")  # asked for while it surely lives
        monkeypatch.setattr(switch._upkeep, "look", lambda: 1 / 0)
        switch.wake()
        control.join(PATIENCE_S)

        assert health.late(switch, threading.Event().wait) == ["control"]


def test_a_lock_that_is_held_is_no_reason_to_be_silent(tmp_path):
    with Switch("lab") as switch, served(switch, tmp_path / "lab.sock") as path, switch._lock:
        status, body = healthz(path)

    assert status == 503
    assert body["error"] == "control made no round within 1 s"
