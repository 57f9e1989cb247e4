"""Clients that mean no good: silent, endless, deaf or many. The others notice nothing."""

import gc
import select
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from support.raw_http import ask, ask_json, connected, is_closed, read_answer, request
from support.served import served
from support.wait import PATIENCE_S, wait_for
from vswitch import MemoryPort, Switch
from vswitch.control.connection import Limits
from vswitch.service import Service

SOON = Limits(request_s=0.2, write_s=0.2, linger_s=0.2)
ASKED = request("GET", "/v1/switch")
JSON = {"Content_Type": "application/json"}
# After each of these the connection can go on.
POLITE = [
    request("GET", "/v1/ports/" + "%2e%2e%2f" * 100),
    request("GET", "/v1/fdb?" + "&".join(f"x{i}=" for i in range(300))),
    request("GET", "/v1/fdb?mac=" + "ff:" * 1000),
    request("POST", "/v1/ports", b"{" * 60000, **JSON),
    request("POST", "/v1/ports", b'{"port":"' + b"x" * 60000 + b'"}', **JSON),
    request("POST", "/v1/ports", b'{"port":"qemu:\\u0000"}', **JSON),
    request("PATCH", "/v1/switch", b'{"ageing_s":-1,"forward":["","","nix"]}', **JSON),
    request("PATCH", "/v1/ports/a", b'{"fdb_limit":1e999}', **JSON),
    request("DELETE", "/v1/ports/" + "x" * 2000),
    request("DELETE", "/v1/fdb?mac=" + "%00" * 500),
]
# With each of these it ends.
RUDE = [
    b"\x00\xff\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /" + b"A" * 5000,
    request("POST", "/v1/ports", b"\x1f\x8b" + b"\xff" * 99, Content_Encoding="gzip", **JSON),
    request("POST", "/v1/ports", b"x" * 70000, **JSON),
    request("POST", "/v1/ports", b"cut off", **JSON)[:-3],
    request("POST", "/v1/ports", Transfer_Encoding="chunked") + b"fffffffff\r\nx",
    request("GET", "/v1/ports", Connection="upgrade", Upgrade="websocket") + b"\x81\xff" * 999,
    POLITE[0][:-2],
    b"",
]
EACH = sum(range(1, len(RUDE) + 1))  # requests of one round, in which each is the last once


def closed_by_peer(connection):
    """Whether the switch has closed, without a look at what it said."""
    poll = select.poll()
    poll.register(connection, select.POLLHUP)
    return bool(poll.poll(0))


def send_for_ever(connection, part):
    """Send *part* again and again; the bytes that were taken before the switch had enough."""
    taken = 0
    with suppress(ConnectionError):
        while True:
            connection.sendall(part)
            taken += len(part)
    return taken


@pytest.fixture
def small(lab):
    return lab("a", "b")


@pytest.fixture
def crowded(lab):
    """A switch whose stations are an answer of four megabytes."""
    made = lab("a", fdb_limit=1 << 17)
    for number in range(60_000):
        made.switch.pin(bytes([2, 0, 0]) + number.to_bytes(3), "a")
    return made


# ---------------------------------------------------------------------- silent ones


def test_a_hundred_silent_clients_keep_nobody_out(small, tmp_path):
    limits = Limits(connections=20)
    with served(small.switch, tmp_path / "s", limits=limits) as path, ExitStack() as stack:
        silent = [stack.enter_context(connected(path)) for _ in range(100)]
        status, _ = ask_json(path, ASKED)

        assert status == 200
        assert is_closed(silent[0])
        wait_for(lambda: sum(map(closed_by_peer, silent)) == 81, "those that came first are gone")
        assert not closed_by_peer(silent[-1])


@pytest.mark.parametrize(
    "part",
    [b"GET /v1", ASKED[:-2], request("POST", "/v1/ports", b"{}", **JSON)[:-1]],
    ids=["line", "head", "body"],
)
def test_a_request_that_does_not_arrive_is_answered_with_408(small, tmp_path, part):
    with (
        served(small.switch, tmp_path / "s", limits=SOON) as path,
        connected(path) as slow,
    ):
        slow.sendall(part)
        status, _, body = read_answer(slow)

        assert (status, body) == (
            408,
            b'{"error":"the request did not arrive in time","code":"timeout"}\n',
        )
        assert is_closed(slow)


def test_a_request_that_drips_has_no_more_time(small, tmp_path):
    with (
        served(small.switch, tmp_path / "s", limits=SOON) as path,
        connected(path) as slow,
    ):
        slow.sendall(b"GET /v1/switch HTTP/1.1\r\nX: ")

        assert send_for_ever(slow, b"x") < 1 << 20


def test_a_client_that_was_answered_and_is_silent_is_sent_away(small, tmp_path):
    with (
        served(small.switch, tmp_path / "s", limits=SOON) as path,
        connected(path) as silent,
    ):
        silent.sendall(ASKED)
        status, _, _ = read_answer(silent)

        assert status == 200
        assert is_closed(silent)


# ---------------------------------------------------------------------- endless ones


@pytest.mark.parametrize(
    ("start", "part", "status"),
    [
        (b"GET /", b"x" * 4096, 431),
        (ASKED[:-2] + b"X: ", b"x" * 4096, 431),
        (ASKED[:-2], b"X: y\r\n" * 512, 400),
        (request("POST", "/v1/ports", Transfer_Encoding="chunked"), b"1000\r\n" + b"x" * 4098, 408),
        (
            request("POST", "/v1/ports", Transfer_Encoding="chunked", **JSON),
            b"1000\r\n" + b"x" * 4096 + b"\r\n",
            413,
        ),
        (request("POST", "/v1/ports", Content_Length="9" * 18, **JSON), b"x" * 4096, 413),
        (request("GET", "/v1/ports", Content_Length="9" * 18), b"x" * 4096, 400),
    ],
    ids=["line", "field", "fields", "bad chunks", "chunks", "body", "body of a GET"],
)
def test_who_sends_for_ever_is_answered_and_sent_away(small, tmp_path, start, part, status):
    with (
        served(small.switch, tmp_path / "s", limits=SOON) as path,
        connected(path) as endless,
    ):
        sender = threading.Thread(target=send_for_ever, args=(endless, part))
        endless.sendall(start)
        sender.start()
        answered, _, _ = read_answer(endless)
        sender.join(PATIENCE_S)

        # aiohttp tells of bad chunks if they come with the head; else they never end.
        assert answered == status or (answered, status) == (400, 408)
        assert not sender.is_alive()


def test_requests_without_a_pause_are_answered_in_order_and_others_between_them(small, tmp_path):
    count = 2000
    with served(small.switch, tmp_path / "s") as path, connected(path) as flooding:
        sender = threading.Thread(
            target=flooding.sendall,
            args=(b"".join(request("GET", f"/v1/ports/{i}") for i in range(count)),),
        )
        sender.start()
        other, _ = ask_json(path, ASKED)
        answers = [read_answer(flooding) for _ in range(count)]
        sender.join(PATIENCE_S)

    assert other == 200
    assert [body.split(b'"')[3] for _, _, body in answers] == [
        b"no port %d" % i for i in range(count)
    ]


# ---------------------------------------------------------------------- deaf ones


def test_a_long_answer_is_in_parts_of_one_list(crowded, tmp_path):
    with served(crowded.switch, tmp_path / "s") as path:
        status, headers, body = ask(path, request("GET", "/v1/fdb"))

    assert (status, headers["transfer-encoding"]) == (200, "chunked")
    assert body.startswith(b'[{"mac":"02:00:00:00:00:00","port":"a","static":true},')
    assert body.endswith(b'"02:00:00:00:ea:5f","port":"a","static":true}]\n')
    assert body.count(b"mac") == 60_000


def test_head_of_a_long_answer_has_no_body(crowded, tmp_path):
    with served(crowded.switch, tmp_path / "s") as path, connected(path) as connection:
        connection.sendall(request("HEAD", "/v1/fdb") + ASKED)
        status, headers, _ = read_answer(connection, head_only=True)
        following, _, _ = read_answer(connection)

    assert (status, headers["content-type"], following) == (200, "application/json", 200)


def test_who_never_reads_is_sent_away_and_keeps_nobody_waiting(crowded, tmp_path):
    with (
        served(crowded.switch, tmp_path / "s", limits=SOON) as path,
        ExitStack() as stack,
    ):
        deaf = [stack.enter_context(connected(path)) for _ in range(5)]
        for connection in deaf:
            connection.sendall(request("GET", "/v1/fdb") * 3)
        other, _ = ask_json(path, ASKED)
        listed, _, _ = ask(path, request("GET", "/v1/fdb"))

        assert (other, listed) == (200, 200)
        wait_for(lambda: all(map(closed_by_peer, deaf)), "the deaf ones are sent away")


# ---------------------------------------------------------------------- many at once


def test_ports_that_open_slowly_are_opened_a_few_at_a_time(small, tmp_path):
    goes_on, opening = threading.Event(), []

    def opener(config):
        opening.append(config.name)
        assert goes_on.wait(PATIENCE_S)
        return MemoryPort(config.name)

    service = Service(small.switch, small.switch.config, opener=opener)
    with served(service, tmp_path / "s") as path, ExitStack() as stack:
        slow = [stack.enter_context(connected(path)) for _ in range(17)]
        for number, connection in enumerate(slow):
            connection.sendall(request("POST", "/v1/ports", b'{"port":"p%d"}' % number, **JSON))
        refused = wait_for(lambda: select.select(slow, [], [], 1)[0], "one too many is told")
        status, headers, _ = read_answer(refused[0])
        meanwhile, _ = ask_json(path, ASKED)
        goes_on.set()
        others = [read_answer(c)[0] for c in slow if c is not refused[0]]

    assert (status, headers["retry-after"], meanwhile) == (503, "1", 200)
    assert others == [201] * 16
    assert len(opening) == 16


def test_where_all_are_being_answered_one_more_is_told(small, tmp_path):
    goes_on, opening = threading.Event(), threading.Event()

    def opener(config):
        opening.set()
        assert goes_on.wait(PATIENCE_S)
        return MemoryPort(config.name)

    service = Service(small.switch, small.switch.config, opener=opener)
    limits = Limits(connections=1)
    with served(service, tmp_path / "s", limits=limits) as path, connected(path) as slow:
        slow.sendall(request("POST", "/v1/ports", b'{"port":"c"}', **JSON))
        assert opening.wait(PATIENCE_S)
        status, said = ask_json(path, ASKED)
        goes_on.set()

        assert (status, said["code"]) == (503, "busy")
        assert read_answer(slow)[0] == 201


def test_ten_thousand_hostile_requests_leave_memory_flat_and_all_frames_arrive(tmp_path, caplog):
    frame = b"\x02\0\0\0\0\2" + b"\x02\0\0\0\0\1" + b"\x08\x00" + bytes(46)
    rounds = 10_000 // EACH + 1
    held, arrived = [], 0
    with Switch("hostile") as switch:
        a, b = switch.add_port(MemoryPort("a")), switch.add_port(MemoryPort("b"))
        with served(switch, tmp_path / "s") as path:
            for turn in range(rounds):
                for number, rude in enumerate(RUDE):
                    _ask_and_go(path, POLITE[:number], rude)
                assert a.send([frame] * 100) == 100
                arrived += len(b.receive())
                if turn in (rounds // 5, rounds - 1):
                    held.append(_held(path))
        wait_for(lambda: switch.port_status("b").counters["tx_frames"] == rounds * 100, "all")
        arrived += len(b.receive())

    assert arrived == rounds * 100
    (objects, pages), (objects_after, pages_after) = held
    assert objects_after - objects < 1000
    assert pages_after - pages < 2048  # 8 MiB: what is freed is not always given back
    assert not caplog.records


def _ask_and_go(path, polite, rude):
    with connected(path) as connection:
        connection.sendall(b"".join(polite))
        for _ in polite:
            status, _, _ = read_answer(connection)
            assert 400 <= status < 500
        connection.sendall(rude)


def _held(path):
    """How many objects and pages of memory there are when nobody asks any more."""
    ask_json(path, ASKED)
    gc.collect()
    return len(gc.get_objects()), int(Path("/proc/self/statm").read_text().split()[1])
