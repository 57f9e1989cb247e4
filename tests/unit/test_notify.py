"""What a service manager is told, by the protocol and by the real command; and the journal."""

from __future__ import annotations

import io
import logging
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.command import activated, environment, running
from support.manager import FakeManager, fake_manager
from vswitch import activation, daemon, logs
from vswitch.control.client import connect
from vswitch.errors import ConfigError
from vswitch.linux import descriptor
from vswitch.linux.notify import Manager


@pytest.fixture
def manager(tmp_path):
    with fake_manager(tmp_path) as made:
        yield made


def told(environment):
    return Manager.taken(environment)


# ---------------------------------------------------------------------- the protocol


def test_each_thing_is_a_message_of_lines(manager):
    ours = told({"NOTIFY_SOCKET": manager.address})

    ours.ready("two\nlines")
    ours.reloading(12.5)
    ours.status("busy")
    ours.alive()
    ours.stopping()
    ours.close()

    assert [manager.next() for _ in range(5)] == [
        {"READY": "1", "STATUS": "two lines"},
        {"RELOADING": "1", "MONOTONIC_USEC": "12500000"},
        {"STATUS": "busy"},
        {"WATCHDOG": "1"},
        {"STOPPING": "1", "STATUS": "stopping"},
    ]


def test_an_abstract_socket_begins_with_an_at():
    there = FakeManager(f"@vswitch-test-{os.getpid()}")
    ours = told({"NOTIFY_SOCKET": there.address})

    ours.alive()
    ours.close()

    assert there.next() == {"WATCHDOG": "1"}
    there.close()


def test_the_variables_are_taken_away(manager):
    given = {
        "NOTIFY_SOCKET": manager.address,
        "WATCHDOG_USEC": "3000000",
        "WATCHDOG_PID": str(os.getpid()),
        "HOME": "/",
    }

    ours = told(given)
    ours.close()

    assert (given, ours.watchdog_s) == ({"HOME": "/"}, 3.0)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "1000000", "NOTIFY_SOCKET": ""},
    ],
)
def test_no_watchdog_unless_it_is_ours(manager, variables):
    ours = told({"NOTIFY_SOCKET": manager.address, **variables})
    ours.close()

    assert ours.watchdog_s is None


@pytest.mark.parametrize("place", ["", "/nobody/there", "/" + "x" * 200, "vsock:2:1234", "@"])
def test_a_manager_that_cannot_be_told_is_no_error(place):
    ours = told({"NOTIFY_SOCKET": place})

    ours.ready("forwarding")
    ours.close()


# ---------------------------------------------------------------------- the real command


def test_ready_comes_when_frames_flow_and_stopping_before_they_do_not(manager, tmp_path):
    args = ("--listen", f"qemu:{tmp_path}/lan.sock")
    with running(*args, before=manager.before()) as switch:
        assert manager.next() == {"READY": "1", "STATUS": "forwarding between 0 ports"}
        assert "forwarding" in switch.out  # said before

        assert switch.end() == 0
        assert manager.next()["STOPPING"] == "1"


def test_the_watchdog_is_fed_twice_in_its_time(manager, tmp_path):
    args = ("--listen", f"qemu:{tmp_path}/lan.sock")
    with running(*args, before=manager.before(WATCHDOG_USEC=200_000)) as switch:
        manager.until("READY")
        for _ in range(3):
            assert manager.next() == {"WATCHDOG": "1"}

        assert switch.end() == 0
        assert "STOPPING" in manager.until("STOPPING")[-1]


def test_without_its_variable_the_watchdog_is_not_fed(manager, tmp_path):
    args = ("--listen", f"qemu:{tmp_path}/lan.sock")
    with running(*args, before=manager.before()) as switch:
        assert switch.end() == 0

    assert [*manager.next(), *manager.next()] == ["READY", "STATUS", "STOPPING", "STATUS"]


def test_a_reload_is_told_from_its_beginning_to_its_end(manager, tmp_path):
    file = tmp_path / "lab.toml"
    file.write_text(f'[[listen]]\nkind = "qemu"\naddress = "{tmp_path}/lan.sock"\n')
    with running("--config", str(file), before=manager.before()) as switch:
        manager.until("READY")
        switch.process.send_signal(signal.SIGHUP)

        began = manager.next()
        assert (began["RELOADING"], int(began["MONOTONIC_USEC"]) > 0) == ("1", True)
        assert manager.next() == {"READY": "1", "STATUS": "forwarding between 0 ports"}


def test_the_api_may_be_handed_in_and_stays_when_the_switch_ends(tmp_path):
    path = tmp_path / "api"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        process = subprocess.Popen(
            [
                *activated([listener.fileno()], ["api"]),
                *(sys.executable, "-m", "vswitch", "--name", "handed"),
                *("--listen", f"qemu:{tmp_path}/lan.sock"),
            ],
            pass_fds=[listener.fileno()],
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            with connect(path=path) as client:  # before it runs: systemd would start it now
                assert client.switch().name == "handed"
                assert client.listeners()[0].name == "lan"  # and the API's is none of them
                assert len(client.listeners()) == 1
        finally:
            process.terminate()
            out, _ = process.communicate(timeout=30)
        assert (process.returncode, f"api {path})" in out) == (0, True)
        assert path.exists()


# ---------------------------------------------------------------------- the API's socket


@pytest.fixture
def handed(monkeypatch):
    """Have these descriptors, with these names, be handed in."""

    def make(**sockets):
        given = {s.fileno(): name for name, s in sockets.items()}
        monkeypatch.setattr(descriptor, "activated", lambda _: given)

    return make


@pytest.fixture
def listening(tmp_path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "api"))
        made.listen()
        os.set_inheritable(made.fileno(), True)
        yield made


def test_a_socket_called_api_is_the_apis(handed, listening):
    handed(lan=listening)
    assert activation.api_descriptor(None, {}) is None

    handed(api=listening)
    assert activation.api_descriptor(None, {}) == listening.fileno()


def test_the_api_may_be_a_descriptor_by_number(listening):
    number = listening.fileno()

    assert activation.api_descriptor(Path(f"fd:{number}"), {}) == number
    assert not os.get_inheritable(number)


def test_a_socket_on_tcp_is_none_for_the_api(handed):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        handed(api=listener)

        with pytest.raises(ConfigError, match="needs a unix socket that listens"):
            activation.api_descriptor(None, {})


def test_a_descriptor_that_is_not_open_is_none_for_the_api(monkeypatch):
    monkeypatch.setattr(descriptor, "activated", lambda _: {987: "api"})

    with pytest.raises(ConfigError, match="descriptor 987: the API needs"):
        activation.api_descriptor(None, {})


def test_a_second_place_for_the_api_is_refused(handed, listening, tmp_path):
    handed(api=listening)

    with pytest.raises(ConfigError, match="was handed in as descriptor"):
        activation.api_descriptor(tmp_path / "other", {})


# ---------------------------------------------------------------------- the journal


def logged(form, *, journal):
    """What a warning and an error with a traceback look like."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logs._formatter(form, journal=journal))
    logger = logging.Logger("vswitch.test")
    logger.addHandler(handler)
    logger.warning("ports differ mtu=%d", 1500)
    try:
        raise ValueError("why")
    except ValueError:
        logger.exception("thread stops")
    return out.getvalue().splitlines()


def test_in_the_journal_a_line_has_a_priority_and_no_time():
    lines = logged("text", journal=True)

    assert lines[:2] == ["<4>warning: ports differ mtu=1500", "<3>error: thread stops"]
    assert lines[-1] == "<3>ValueError: why"
    assert all(line.startswith("<3>") for line in lines[1:])


def test_elsewhere_a_line_has_its_time():
    assert logged("text", journal=False)[0][0] == "2"


def test_json_in_the_journal_is_json_behind_the_priority():
    assert logged("json", journal=True)[0].startswith('<4>{"time": "')


def test_the_journal_is_known_by_its_device_and_inode(monkeypatch, tmp_path):
    with (tmp_path / "err").open("w") as err:
        found = os.fstat(err.fileno())
        monkeypatch.setattr(sys, "stderr", err)

        assert logs._is_journal({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        assert not logs._is_journal({"JOURNAL_STREAM": f"{found.st_dev}:1"})
        assert not logs._is_journal({})


def test_a_switch_with_one_port_does_not_forward_between_ports(lab):
    assert daemon._status(lab("a").switch) == "forwarding on 1 port"
    assert daemon._status(lab("a", "b").switch) == "forwarding between 2 ports"
