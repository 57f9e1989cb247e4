"""The API over a real unix socket: what it says, what it refuses, who may sit there."""

import http.client
import json
import os
import socket
import stat
import threading
from contextlib import ExitStack, closing

import pytest

from support.served import served
from support.stream_peer import StreamPeer
from vswitch import QemuListener
from vswitch.config import RESERVED
from vswitch.control import address, client
from vswitch.control.schema import FdbEntry, ListenerInfo
from vswitch.errors import ApiError, ConfigError

A, B = (bytes([2, 0, 0, 0, 0, i]) for i in (1, 2))


@pytest.fixture
def small(lab):
    """A switch called lab with ports a and b, and a station behind a."""
    made = lab("a", "b")
    made.send("a", B + A + b"\x08\x00" + bytes(46))
    made.switch.pin(B, "b")
    return made


@pytest.fixture
def api(small, tmp_path):
    with served(small.switch, tmp_path / "lab.sock") as path:
        yield path


@pytest.fixture
def ask(api):
    with client.connect(path=api) as asking:
        yield asking


def raw(path, method, target):
    """(status, JSON) of a request, as curl would make it."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(5)
    connection.sock.connect(str(path))
    connection.request(method, target)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, json.loads(body)


def test_switch_says_what_it_is(ask, small):
    small.clock.advance(61)

    info = ask.switch()

    assert (info.name, info.core, info.pollers, info.ports) == ("lab", "c", 1, 2)
    assert (info.pid, info.uptime_s, info.ageing_s) == (os.getpid(), 61, 300)
    assert (info.fdb.entries, info.fdb.learned, info.fdb.limit) == (2, 1, 65536)
    assert info.forward == ["stp"]


def test_forwarded_reserved_addresses_are_named(ask, small):
    small.switch.set_reserved([RESERVED["lldp"], 0x5], "forward")

    assert ask.switch().forward == ["stp", "05", "lldp"]


def test_every_drop_is_explained(ask):
    reasons = {reason.name for reason in ask.switch().drop_reasons}

    assert all(set(port.drops) == reasons for port in ask.ports())


def test_ports_say_what_they_negotiated_and_counted(ask):
    a, b = ask.ports()

    assert (a.name, a.kind, a.end, a.created, a.state) == ("a", "memory", "", False, "forwarding")
    assert (a.mtu, a.queues, a.vnet_header, a.offloads[0]) == (1500, 1, True, "csum")
    assert (a.stations, a.counters["rx_frames"], b.counters["tx_frames"]) == (1, 1, 1)


def test_listeners_say_where_vms_connect_and_how_many_did(ask, small, tmp_path):
    small.switch.listen(QemuListener(tmp_path / "lan.sock", mtu=9000))
    small.ports["a"].address = f"{tmp_path}/lan.sock"  # is no VM's, whatever it is called
    small.switch.listen(QemuListener(tmp_path / "other.sock", name="more"))
    with closing(StreamPeer.connect(tmp_path / "lan.sock")):
        small.switch.poll()

        assert ask.listeners() == [
            ListenerInfo("lan", "qemu", f"{tmp_path}/lan.sock", mtu=9000, ports=1),
            ListenerInfo("more", "qemu", f"{tmp_path}/other.sock", mtu=1500, ports=0),
        ]


def test_fdb_is_in_order_of_address(ask, small):
    small.clock.advance(5)

    assert ask.fdb() == [
        FdbEntry(mac="02:00:00:00:00:01", port="a", age_s=5),
        FdbEntry(mac="02:00:00:00:00:02", port="b", static=True),
    ]


def test_fdb_of_one_port(ask):
    assert [e.mac for e in ask.fdb(port="b")] == ["02:00:00:00:00:02"]


@pytest.mark.parametrize(
    ("query", "flushed"),
    [
        ({}, 1),
        ({"port": "a"}, 1),
        ({"port": "b"}, 0),
        ({"mac": "02:00:00:00:00:01"}, 1),
        ({"mac": "02-00-00-00-00-01", "port": "a"}, 1),
        ({"mac": "02:00:00:00:00:01", "port": "b"}, 0),
        ({"mac": "02:00:00:00:00:02"}, 0),
    ],
)
def test_flush_takes_what_was_learned_and_leaves_what_was_pinned(ask, small, query, flushed):
    assert ask.flush(**query) == flushed
    assert small.stations().get(B) == "b"
    assert (A in small.stations()) == (not flushed)


@pytest.mark.parametrize(
    ("method", "target", "status", "error"),
    [
        ("GET", "/v1/nix", 404, "nothing at /v1/nix"),
        ("GET", "/", 404, "nothing at /"),
        ("PUT", "/v1/ports", 405, "PUT does not apply to /v1/ports"),
        ("GET", "/v1/fdb?port=nix", 404, "no port nix"),
        ("DELETE", "/v1/fdb?port=nix", 404, "no port nix"),
        ("DELETE", "/v1/fdb?mac=xx", 400, "mac: not an Ethernet address: 'xx'"),
        ("DELETE", "/v1/fdb?vlan=1", 400, "/v1/fdb has no parameter 'vlan'"),
        ("DELETE", "/v1/fdb?port=a&port=b", 400, "parameter 'port' is given twice"),
        ("GET", "/v1/listeners?x=1", 400, "/v1/listeners has no parameter 'x'"),
        ("GET", "/v1/ports?x=1", 400, "/v1/ports has no parameter 'x'"),
    ],
)
def test_a_refusal_is_json_with_a_status(api, method, target, status, error):
    answered, body = raw(api, method, target)

    assert (answered, body["error"]) == (status, error)


def test_an_answer_ends_in_a_line_feed(api):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(str(api))
        s.sendall(b"GET /v1/fdb HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: s.recv(4096), b""))

    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"Content-Type: application/json" in answer
    assert answer.endswith(b"]\n")


def test_client_passes_on_the_hint(ask):
    with pytest.raises(ApiError, match="no port nix") as caught:
        ask.fdb(port="nix")

    assert caught.value.hint == "ports are: a, b"


def test_client_says_that_nobody_answers(tmp_path):
    with client.connect(path=tmp_path / "x.sock") as nobody, pytest.raises(ApiError) as caught:
        nobody.switch()

    assert str(caught.value) == f"no switch answers at {tmp_path}/x.sock"


def test_client_says_that_this_is_no_switch(tmp_path):
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(tmp_path / "x.sock"))
        stranger.listen()
        with client.connect(path=tmp_path / "x.sock") as asking:
            asking._connection.connect()
            other, _ = stranger.accept()
            other.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            with other, pytest.raises(ApiError, match="does not speak the API of vswitch"):
                asking.switch()


# ---------------------------------------------------------------------- the place of the socket


def test_socket_is_for_its_owner_only(api):
    assert stat.S_IMODE(api.stat().st_mode) == 0o600


def test_socket_is_gone_afterwards(small, tmp_path):
    with served(small.switch, tmp_path / "s.sock"):
        pass

    assert list(tmp_path.iterdir()) == []


def test_a_living_switch_keeps_its_place(api):
    with pytest.raises(ConfigError) as caught, address.listening(api, "lab"):
        pass

    assert str(caught.value) == (
        f"a switch called lab is running already (pid {os.getpid()}, {api})"
    )
    assert api.exists()


def test_a_dead_socket_is_replaced(tmp_path):
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    with address.listening(path, "lab"):
        assert address.holder(path) == os.getpid()

    assert not path.exists()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")

    with pytest.raises(ConfigError, match="exists and is not a socket"):
        address.listening(path, "lab").__enter__()

    assert path.read_text() == "data"


def test_the_place_of_a_successor_is_left_alone(tmp_path):
    path = tmp_path / "s.sock"
    with address.listening(path, "first"):
        path.unlink()
        path.write_text("not ours")

    assert path.read_text() == "not ours"


def test_a_path_too_long_for_a_socket_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="at most 107 bytes"):
        address.listening(tmp_path / ("x" * 100), "lab").__enter__()


def test_the_folder_of_an_ordinary_user(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1234")
    assert str(address.path_of("lab")) == "/run/user/1234/vswitch/lab.sock"

    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert str(address.path_of("lab")) == "/tmp/vswitch-1234/lab.sock"


def test_the_folder_is_made_private_and_must_be_our_own(monkeypatch, tmp_path):
    monkeypatch.setattr(address, "directory", lambda: tmp_path / "run")
    with address.listening(address.path_of("lab"), "lab"):
        assert stat.S_ISDIR((tmp_path / "run").stat().st_mode)
    (tmp_path / "run").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ConfigError, match="belongs to another user"):
        address.listening(address.path_of("lab"), "lab").__enter__()


def test_the_only_switch_needs_no_name(small, monkeypatch, tmp_path):
    monkeypatch.setattr(address, "directory", lambda: tmp_path)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    with served(small.switch, tmp_path / "lab.sock"), client.connect() as asking:
        assert asking.switch().name == "lab"


def test_of_several_switches_one_is_named(small, monkeypatch, tmp_path):
    monkeypatch.setattr(address, "directory", lambda: tmp_path)
    with (
        served(small.switch, tmp_path / "one.sock"),
        served(small.switch, tmp_path / "two.sock"),
        pytest.raises(ApiError, match="2 switches are running: one, two") as caught,
    ):
        client.connect()

    assert caught.value.hint == "name one: -S one"


@pytest.fixture
def crowded(tmp_path):
    """(path, socket that listens there) with a queue so full that nobody can connect at once."""
    path = tmp_path / "crowded.sock"
    with ExitStack() as open_:
        listener = open_.enter_context(closing(socket.socket(socket.AF_UNIX)))
        listener.bind(str(path))
        listener.listen(0)
        listener.settimeout(5)
        while True:
            waiting = open_.enter_context(closing(socket.socket(socket.AF_UNIX)))
            waiting.setblocking(False)
            try:
                waiting.connect(str(path))
            except BlockingIOError:
                break
        yield path, listener


def test_who_asks_waits_for_a_queue_that_is_full_for_a_moment(crowded):
    path, listener = crowded
    connection = client._UnixConnection(path, 5)
    later = threading.Timer(0.1, lambda: listener.accept()[0].close())
    later.start()

    connection.connect()

    later.join()
    assert connection.sock.getpeername() == str(path)
    connection.close()


def test_a_queue_that_stays_full_is_no_answer_in_time(crowded):
    path, _ = crowded
    with client.connect(path=path, timeout_s=0.05) as asking, pytest.raises(ApiError) as refused:
        asking.switch()

    assert str(refused.value) == f"the switch at {path} did not answer in time"
