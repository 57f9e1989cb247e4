"""What is changed over the API: a request for each, and what a refusal is called."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from support.lab import Lab
from support.served import served
from support.stream_peer import StreamPeer
from vswitch.control import client
from vswitch.control.schema import FdbEntry, ListenerInfo, SwitchChange
from vswitch.errors import ApiError

A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"


@pytest.fixture
def small(lab) -> Lab:
    return lab("a", "b")


@pytest.fixture
def api(small: Lab, tmp_path: Path) -> Iterator[Path]:
    with served(small.switch, tmp_path / "api.sock") as path:
        yield path


@pytest.fixture
def ask(api: Path) -> Iterator[client.Client]:
    with client.connect(path=api) as asking:
        yield asking


def said(api: Path, method: str, target: str, body: object = None) -> tuple[int, dict[str, str]]:
    """(status, JSON) of a request, as curl would make it."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(5)
    connection.sock.connect(str(api))
    connection.request(method, target, None if body is None else json.dumps(body))
    with closing(connection):
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_a_port_is_added_changed_and_removed(ask, tmp_path):
    added = ask.add_port(f"record:{tmp_path}/c.pcap,learning=off")
    changed = ask.change_port("c", forwarding=False, fdb_limit=9, mtu=9000)
    ask.remove_port("c")

    assert (added.name, added.learning, added.state) == ("c", False, "forwarding")
    assert (changed.learning, changed.state, changed.fdb_limit, changed.mtu) == (
        False, "blocked", 9, 9000,
    )  # fmt: skip
    assert [port.name for port in ask.ports()] == ["a", "b"]


def test_a_client_says_paths_as_they_are_seen_from_its_folder(ask, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    ask.add_port("record:c.pcap")
    place = ask.listen("qemu:./lan.sock")

    assert ask.port("c").address == f"{tmp_path}/c.pcap"
    assert place.address == f"{tmp_path}/lan.sock"


def test_a_listener_is_added_and_removed(ask, small, tmp_path):
    place = ask.listen(f"qemu:{tmp_path}/lan.sock,mtu=9000")
    with closing(StreamPeer.connect(tmp_path / "lan.sock")):
        small.switch.poll()
        ask.unlisten("lan", address=place.address)

        assert ask.listeners() == []
        assert len(ask.ports()) == 3
    assert place == ListenerInfo("lan", "qemu", f"{tmp_path}/lan.sock", mtu=9000, ports=0)


def test_a_station_is_added_replaced_and_deleted(ask):
    added = ask.add_station(A.upper(), "a")
    moved = ask.replace_station(A, "b")
    stats = ask.fdb_stats()
    ask.delete_station(A)

    assert added == FdbEntry(mac=A, port="a", static=True)
    assert moved == FdbEntry(mac=A, port="b", static=True)
    assert (stats.entries, stats.static, stats.limit) == (1, 1, 65536)
    assert ask.fdb() == []


def test_the_switch_is_changed(ask):
    changed = ask.change_switch(SwitchChange(ageing_s=0, forward=["lldp", "05"]))

    assert (changed.ageing_s, changed.forward) == (0, ["05", "lldp"])


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "error"),
    [
        ("POST", "/v1/ports", {"port": "record:/x,name=a"}, 409, "port a is there already"),
        ("POST", "/v1/ports", {"port": "record:x"}, 400, "x is relative, and the switch is in"),
        ("POST", "/v1/ports", {"port": "fd:3"}, 409, "fd:3: a descriptor is handed to a process"),
        ("POST", "/v1/ports", {"port": "nix:x"}, 400, "port 'nix:x': unknown kind 'nix'"),
        ("POST", "/v1/ports", {"port": "record:/none/x"}, 409, "x: cannot record to /none/x"),
        ("POST", "/v1/ports", {}, 400, "field 'port' is missing"),
        ("PATCH", "/v1/ports/a", {"fdb_limit": -1}, 400, "fdb_limit must be at least 0"),
        ("PATCH", "/v1/ports/a", {"mtu": 10**30}, 400, ""),
        ("PATCH", "/v1/ports/a", {"mtu": 1}, 400, "mtu must be at least 68"),
        ("PATCH", "/v1/ports/nix", {}, 404, "no port nix"),
        ("DELETE", "/v1/ports/nix", None, 404, "no port nix"),
        ("POST", "/v1/listeners", {"port": "tap0"}, 400, "--listen 'tap0': not a place to listen"),
        ("POST", "/v1/listeners", {"port": "qemu:./x"}, 400, "./x is relative, and the switch"),
        ("POST", "/v1/listeners", {"port": "fd:3"}, 409, "fd:3: a descriptor is handed to"),
        ("DELETE", "/v1/listeners/nix", None, 404, "no listener nix"),
        ("DELETE", "/v1/listeners/nix?x=1", None, 400, "/v1/listeners/nix has no parameter 'x'"),
        ("POST", "/v1/fdb", {"mac": B, "port": "b"}, 409, f"station {B} is static already"),
        ("POST", "/v1/fdb", {"mac": A, "port": "nix"}, 404, "no port nix"),
        ("POST", "/v1/fdb", {"mac": "x", "port": "a"}, 400, "mac: not an Ethernet address: 'x'"),
        ("PUT", "/v1/fdb", {"mac": "ff" + A[2:], "port": "a"}, 400, "mac: a station's address"),
        ("PUT", "/v1/fdb", {"mac": A, "port": "a", "vid": 7}, 400, "vid: no port has VLANs yet"),
        ("DELETE", f"/v1/fdb/{A}", None, 404, f"no station {A}"),
        ("DELETE", f"/v1/fdb/{B}?vid=7", None, 404, f"no station {B}"),
        ("DELETE", f"/v1/fdb/{B}?vid=4095", None, 400, "vid must be in 0..4094, not 4095"),
        ("PATCH", "/v1/ports/a", {"vlans": "access=10,trunk=1"}, 400, "vlans: access and trunk"),
        ("PATCH", "/v1/ports/a", {"backup": "a"}, 400, "backup: port a cannot be its own backup"),
        ("POST", "/v1/vlans", {"port": "a", "vid": "none"}, 400, "vid: no VLAN is named"),
        ("POST", "/v1/vlans", {"port": "a", "vid": "1-2", "pvid": True}, 400, "vid 1-2: a pvid is"),
        ("POST", "/v1/vlans", {"port": "nix", "vid": "1"}, 404, "no port nix"),
        ("DELETE", "/v1/vlans?port=a", None, 400, ""),
        ("DELETE", "/v1/vlans?port=nix&vid=1", None, 404, "no port nix"),
        ("GET", "/v1/vlans?port=nix", None, 404, "no port nix"),
        ("DELETE", f"/v1/fdb/{B}?vid=x", None, 400, "vid must be a whole number"),
        ("DELETE", "/v1/fdb/x", None, 400, "mac: not an Ethernet address: 'x'"),
        ("PATCH", "/v1/switch", {"forward": ["nix"]}, 400, "--forward: unknown reserved address"),
        ("PATCH", "/v1/switch", {"ageing_s": -1}, 400, "ageing_s must be at least 0"),
    ],
)
def test_a_change_that_cannot_be_is_refused(ask, api, method, target, body, status, error):
    ask.add_station(B, "b")
    before = ask.switch().fdb, [(p.name, p.mtu, p.fdb_limit) for p in ask.ports()]

    answered, answer = said(api, method, target, body)

    assert (answered, answer["error"][: len(error)]) == (status, error)
    assert (ask.switch().fdb, [(p.name, p.mtu, p.fdb_limit) for p in ask.ports()]) == before


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"mac": B, "port": "a"}, "exists"),
        ({"mac": B, "port": "b"}, "exists"),
        ({"mac": A, "port": "x"}, "not-found"),
    ],
)
def test_codes_tell_programs_what_was_wrong(ask, api, body, code):
    ask.add_station(B, "b")

    assert said(api, "POST", "/v1/fdb", body)[1]["code"] == code


def test_a_port_that_hangs_keeps_no_other_client_waiting_nor_the_end(small, tmp_path, monkeypatch):
    begun, go, gone = threading.Event(), threading.Event(), threading.Event()

    def hang(_: object) -> None:
        begun.set()
        go.wait(30)
        gone.set()
        raise OSError("nobody is there to be told")

    monkeypatch.setattr("vswitch.service.open_port", hang)
    with (
        served(small.switch, tmp_path / "api.sock") as api,
        client.connect(path=api) as other,
        socket.socket(socket.AF_UNIX) as waiting,
    ):
        waiting.connect(os.fspath(api))
        body = b'{"port": "qemu:/slow,name=slow"}'
        waiting.sendall(b"POST /v1/ports HTTP/1.1\r\nHost: x\r\n")
        waiting.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        assert begun.wait(30)

        with pytest.raises(ApiError, match="slow is being opened by somebody else"):
            other.add_port("qemu:/slow,name=slow")
        assert other.change_port("a", learning=False).learning is False
    # The API has ended, and the port hangs still.
    assert not gone.is_set()
    go.set()
    assert gone.wait(30)
