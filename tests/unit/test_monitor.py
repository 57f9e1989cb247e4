"""Watching a switch: the WebSocket, `vswitch monitor`, and what is remembered."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from support.command import command, environment
from support.frames import BROADCAST, frame, mac
from support.served import served
from support.wait import PATIENCE_S, wait_for
from vswitch import QemuListener, VhostUserFolder, cli
from vswitch.cli._moment import moment
from vswitch.cli.monitor import as_bridge, line
from vswitch.control import client
from vswitch.control.handlers import events
from vswitch.control.schema import EventInfo
from vswitch.errors import ApiError, ConfigError
from vswitch.subscription import WAITING_MAX

UPGRADE = (
    b"GET /v1/events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
A, B = mac(1), mac(2)
MAC_A = A.hex(":")


@pytest.fixture
def net(lab):
    return lab("a", "b")


@pytest.fixture
def api(net, tmp_path):
    with served(net.switch, tmp_path / "lab.sock") as path:
        yield path


@pytest.fixture
def ask(api):
    with client.connect(path=api) as asking:
        yield asking


def hear(net, port, *macs):
    net.send(port, *(frame(BROADCAST, one) for one in macs))


def told(api, query, happen, count):
    """The first *count* messages to a WebSocket with *query*, while *happen* does something."""

    async def talk():
        connector = aiohttp.UnixConnector(path=str(api))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.ws_connect(f"http://localhost/v1/events?{query}") as ws,
        ):
            await asyncio.to_thread(happen)
            return [json.loads((await ws.receive(PATIENCE_S)).data) for _ in range(count)]

    return asyncio.run(talk())


def test_each_event_is_a_message(net, api):
    def happen():
        hear(net, "a", A)
        hear(net, "b", A)

    messages = told(api, "", happen, 2)

    assert messages == [
        {"kind": "learned", "time": 1000.0, "port": "a", "mac": MAC_A},
        {"kind": "moved", "time": 1000.0, "port": "b", "old_port": "a", "mac": MAC_A},
    ]


@pytest.mark.parametrize("query", ["", "kinds=port", "kinds=listener_added,listener_removed"])
def test_places_where_machines_connect_come_and_go(net, api, tmp_path, monkeypatch, query):
    monkeypatch.chdir(tmp_path)
    place = Path("lan.sock")

    def happen():
        net.switch.unlisten(net.switch.listen(QemuListener(place)))

    facts = {"time": 1000.0, "listener": "lan", "address": f"{tmp_path}/lan.sock"}
    assert told(api, query, happen, 2) == [
        {"kind": "listener_added", **facts},
        {"kind": "listener_removed", **facts},
    ]


def test_who_watches_a_port_hears_of_no_place(net, api, tmp_path):
    def happen():
        net.switch.unlisten(net.switch.listen(VhostUserFolder(tmp_path / "lan")))
        hear(net, "a", A)

    assert told(api, "port=a", happen, 1)[0]["kind"] == "learned"


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("kinds=moved", ("moved", MAC_A)),
        ("kinds=port,link", ("port_added", None)),
        (f"mac={B.hex('-')}", ("learned", B.hex(":"))),
        ("port=b", ("learned", B.hex(":"))),
    ],
)
def test_who_asks_for_less_is_told_less(net, api, query, first):
    def happen():
        hear(net, "a", A)
        hear(net, "b", B, A)
        net.add("c")

    (message,) = told(api, query, happen, 1)

    assert (message["kind"], message.get("mac")) == first


def test_who_reads_too_slowly_is_told_how_many_he_lost(net, api):
    too_many = 3

    def happen():
        observer = net.switch.observer
        (subscription,) = observer._subscriptions
        wake, subscription._wake = subscription._wake, lambda: None
        for n in range(WAITING_MAX + too_many):
            observer.tell("link_up", port=str(n))
        wake()

    messages = told(api, "kinds=link", happen, WAITING_MAX + 1)

    assert messages[WAITING_MAX - 1]["port"] == str(WAITING_MAX - 1)
    assert (messages[-1]["kind"], messages[-1]["count"]) == ("lost", too_many)


def test_who_never_reads_is_hung_up_on(net, api, monkeypatch):
    monkeypatch.setattr(events, "SEND_S", 0.1)
    observer = net.switch.observer

    def tell() -> bool:
        for _ in range(WAITING_MAX):
            observer.tell("link_up", port="a" * 64)
        return not observer._subscriptions

    with closing(socket.socket(socket.AF_UNIX)) as silent:
        silent.connect(str(api))
        silent.sendall(UPGRADE)
        assert silent.recv(12) == b"HTTP/1.1 101"

        wait_for(tell, "nobody watches")


def test_who_leaves_is_forgotten(net, api):
    told(api, "", lambda: hear(net, "a", A), 1)

    wait_for(lambda: not net.switch.observer._subscriptions, "nobody watches")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"kinds": "nonsense"}, "kinds: no kind of events 'nonsense'"),
        ({"mac": "1"}, "mac: not an Ethernet address: '1'"),
        ({"color": "red"}, "/v1/events has no parameter 'color'"),
        ({}, "/v1/events is a WebSocket"),
    ],
)
def test_what_cannot_be_watched_is_said_in_one_sentence(ask, query, sentence):
    with pytest.raises(ApiError, match=sentence):
        ask._ask("GET", "/v1/events", EventInfo, **query)


def test_history_is_what_happened(net, ask):
    hear(net, "a", A, B)
    hear(net, "b", A)

    found = ask.events(mac=MAC_A)
    assert [(e.kind, e.port) for e in found.events] == [("learned", "a"), ("moved", "b")]
    assert found.more == 0
    assert [e.kind for e in ask.events(kinds="port", port="b").events] == ["port_added"]


def test_history_is_the_newest_and_says_how_many_more_there_are(net, ask):
    for _ in range(600):
        net.clock.advance(1)
        hear(net, "a", A)
        net.switch.flush()

    for limit, kept in ((None, 1000), (1, 1), (1199, 1199), (1200, 1200), (5000, 1200)):
        found = ask.events(mac=MAC_A, limit=limit)

        assert (len(found.events), found.more) == (kept, 1200 - kept)
        assert (found.events[-1].kind, found.events[-1].time) == ("flushed", 1600.0)


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        (0, "limit must be at least 1"),
        (110_001, "limit must be at most 110000"),
        ("all", "limit must be a whole number"),
    ],
)
def test_a_limit_that_cannot_be_is_said_in_one_sentence(ask, limit, sentence):
    with pytest.raises(ApiError, match=sentence):
        ask.events(limit=limit)


def test_the_table_of_a_moment(net, ask):
    hear(net, "a", A)
    net.clock.advance(10)
    hear(net, "b", A)

    assert [(e.mac, e.port) for e in ask.fdb(at=1005)] == [(MAC_A, "a")]
    assert [(e.mac, e.port) for e in ask.fdb(at=1010)] == [(MAC_A, "b")]
    assert ask.fdb(at=1010, port="a") == []


@pytest.mark.parametrize(
    ("at", "sentence"),
    [(999.0, "the journal of stations begins 0.0 s ago"), (1001.0, "that is still to come"),
     (float("nan"), "that is still to come")],
)  # fmt: skip
def test_a_moment_nobody_knows_of(ask, at, sentence):
    with pytest.raises(ApiError, match=sentence):
        ask.fdb(at=at)


# ---------------------------------------------------------------------- the command line


def test_monitor_prints_lines_until_the_switch_ends(net, tmp_path):
    with served(net.switch, tmp_path / "lab.sock") as path:
        process = subprocess.Popen(
            command("monitor", "all", "--api", str(path)),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        )  # fmt: skip
        wait_for(lambda: net.switch.observer._subscriptions, "somebody watches")
        hear(net, "a", A)
        net.switch.flush()
        net.add("c")
        net.switch._upkeep.links.take_down(net.switch._members["c"], "its link is down", 10)
    out, err = process.communicate(timeout=PATIENCE_S)

    assert out == (
        f"[NEIGH]{MAC_A} dev a master lab \n"
        f"[NEIGH]Deleted {MAC_A} dev a master lab \n"
        "[PORT]c master lab \n"
        "[LINK]c master lab state disabled \n"
    )
    assert (err, process.returncode) == ("vswitch: switch lab has ended\n", 0)


def test_monitor_ends_with_ctrl_c(net, api):
    process = subprocess.Popen(
        command("monitor", "fdb", "-j", "--api", str(api)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    wait_for(lambda: net.switch.observer._subscriptions, "somebody watches")
    hear(net, "a", A)
    said = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)

    assert (said["mac"], said["ifname"], said["master"], said["kind"]) == (
        MAC_A, "a", "lab", "learned",
    )  # fmt: skip
    assert (err.strip(), process.returncode) == ("", cli.INTERRUPTED)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (EventInfo("expired", 0, old_port="a", mac="m"), "Deleted m dev a master br0 "),
        (EventInfo("pinned", 0, port="a", mac="m", vid=7, static=True),
         "m dev a vlan 7 master br0 static"),
        (EventInfo("flapping", 0, port="a", old_port="b", mac="m", rate=2.5),
         "m dev a master br0 flapping b a, 2.5 moves/s"),
        (EventInfo("limit_reached", 0, port="a", mac="m", count=9),
         "m dev a master br0 refused, 9 stations"),
        (EventInfo("port_removed", 0, port="a"), "Deleted a master br0 "),
        (EventInfo("listener_added", 0, listener="lan", address="/lan.sock"),
         "listener lan at /lan.sock master br0 "),
        (EventInfo("listener_removed", 0, listener="lan", address="/lan.sock"),
         "Deleted listener lan at /lan.sock master br0 "),
        (EventInfo("link_down", 0, port="a", reason="x"), "a master br0 state disabled "),
        (EventInfo("drop_storm", 0, port="a", reason="runt", rate=5e3),
         "a drop storm, runt: 5000 frames/s"),
        (EventInfo("drop_storm_ended", 0, port="a", reason="runt", count=9, rate=0.0),
         "a drop storm, runt: over, 9 frames"),
    ],
)  # fmt: skip
def test_lines_of_monitor(event, text):
    assert line(event, "br0") == text


def test_json_has_the_keys_of_bridge():
    event = EventInfo("expired", 1.5, old_port="a", mac="m", was_static=True)

    assert as_bridge(event, "br0") == {
        "deleted": True, "mac": "m", "ifname": "a", "flags": [], "master": "br0",
        "state": "static", "kind": "expired", "time": 1.5, "old_port": "a", "was_static": True,
    }  # fmt: skip


def test_time_stamps_are_those_of_bridge(monkeypatch):
    from vswitch.cli.monitor import long_stamp, short_stamp

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()

    assert short_stamp(1795431236.25) == "[2026-11-23T10:53:56.250000] "
    assert long_stamp(1795431236.25) == "Timestamp: Mon Nov 23 10:53:56 2026 250000 usec\n"


def test_history_and_the_past_on_the_command_line(net, api, capsys):
    hear(net, "a", A)
    net.clock.advance(10)
    net.switch.flush()

    assert cli.main(["fdb", "history", MAC_A, "--api", str(api)]) == 0
    out = capsys.readouterr().out
    assert re.fullmatch(rf"\[.*\] learned +{MAC_A} dev a master lab \n"
                        rf"\[.*\] flushed +Deleted {MAC_A} dev a master lab \n", out)  # fmt: skip
    assert cli.main(["fdb", "history", MAC_A, "--limit", "1", "--api", str(api)]) == 0
    said = capsys.readouterr()
    assert said.out == out.splitlines(keepends=True)[1]
    assert said.err == "vswitch: 1 older events are not shown: --limit 2\n"
    assert cli.main(["fdb", "show", "--at", "@1005", "--api", str(api)]) == 0
    assert capsys.readouterr().out == f"{MAC_A} dev a master lab \n"
    assert cli.main(["fdb", "show", "--at", "@1010", "--api", str(api)]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "ago_s"), [("-5m", 300), ("-2", 2), ("-1.5h", 5400), ("-1d", 86400)]
)
def test_a_moment_ago(text, ago_s):
    assert moment(text) == pytest.approx(time.time() - ago_s, abs=5)


def test_a_time_of_day_has_been():
    for text in ("0:00", "10:05", "23:59:59.5"):
        assert time.time() - 86401 <= moment(text) <= time.time()
    assert moment("2026-11-23T10:53:56+00:00") == 1795431236


@pytest.mark.parametrize("text", ["", "soon", "25:00", "-5y", "2026-13-01", "-", "10:5:"])
def test_what_is_no_time(text):
    with pytest.raises(ConfigError, match="not a time"):
        moment(text)
