"""``vswitch top``: what it draws, in which sizes, and how it is left."""

import fcntl
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import termios
from contextlib import ExitStack, contextmanager, suppress

import pytest
from rich.console import Console

from support.fake_api import FakeApi, port
from support.served import served
from support.wait import wait_for
from vswitch import FakeClock, cli
from vswitch.cli.top import SORTS, Top, drawn, fitted_table
from vswitch.control import address, client
from vswitch.text import Rates

LONG = "a-name-that-is-much-longer-than-any-device-can-have"


@pytest.fixture
def api(monkeypatch, tmp_path):
    fake = FakeApi()
    monkeypatch.setattr(address, "running", lambda *_, **__: {"lab": tmp_path / "lab.sock"})
    monkeypatch.setattr(client, "_UnixConnection", lambda *_: fake)
    return fake


def counted(name, number, frames, drops=0):
    counters = dict.fromkeys(("rx_frames", "rx_bytes", "tx_frames", "tx_bytes"), frames)
    return port(name, number, counters=counters, drops={"runt": drops})


@pytest.fixture
def top(api):
    """Two seconds in which b received twice as much as a, and c, which came then, nothing."""
    api.ports = [counted("a", 0, 0), counted("b", 1, 0)]
    clock = FakeClock(100)
    with client.connect() as asking:
        made = Top(asking, clock)
        clock.advance(2)
        api.ports = [counted("a", 0, 1000), counted("b", 1, 2000, drops=4), counted(LONG, 2, 7)]
        made.ask()
        yield made


def text(top, width=80, height=24, **options):
    console = Console(width=width, height=height, force_terminal=False)
    with console.capture() as said:
        console.print(drawn(top, console, 1, paused=False), **options)
    return said.get().splitlines()


def test_rates_are_those_between_two_moments(top):
    assert [(r.name, r.rx_frames, r.drops) for r in top.rates] == [
        ("a", 500, 0), ("b", 1000, 2), (LONG, 0, 0),
    ]  # fmt: skip


def test_the_first_moment_has_no_rates(api):
    with client.connect() as asking:
        assert {r.rx_frames for r in Top(asking, FakeClock()).rates} == {0}


def test_ports_are_sorted_by_every_column_in_turn(top):
    orders = {}
    for _ in SORTS:
        orders[top.sort] = "".join(r.name[0] for r in top.sorted())
        top.next_sort()

    assert orders == {"port": "aba", "name": "aab", "rx": "baa", "tx": "baa", "drops": "baa"}
    assert top.sort == "port"


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
@pytest.mark.parametrize("height", [3, 6, 24])
def test_it_fits_the_terminal(top, width, height):
    lines = text(top, width, height)

    assert max(map(len, lines)) <= width
    assert len(lines) <= max(height, 5)
    assert any(line.startswith("a ") for line in lines)


def test_a_wide_terminal_shows_all(top):
    lines = text(top, 120)

    head = "port rx frames/s rx Mbit/s tx frames/s tx Mbit/s drops/s"
    assert " ".join(lines[1].split()) == head
    assert LONG in lines[4]
    assert lines[-1].startswith("q quit")


def test_what_is_dispensable_goes_first():
    rates = [Rates("port", 1, 1, 1, 1, 1)]

    heads = [fitted_table(rates, width)[0].split() for width in (66, 50, 40, 30)]

    assert ["drops/s" in head for head in heads] == [True, False, False, False]
    assert all("frames/s" in head for head in heads)


def test_a_low_terminal_says_how_many_are_not_shown(top):
    assert "and 1 more, for which the terminal is too low" in text(top, height=6)


def test_into_a_pipe_it_prints_tables(api, capsys):
    assert cli.main(["top", "-n", "2", "-d", "0.1", "--sort", "name"]) == 0

    out, err = capsys.readouterr()
    assert err == ""
    assert len(re.findall(r"^port +rx frames/s", out, re.MULTILINE)) == 2
    assert "\x1b" not in out


# ---------------------------------------------------------------------- on a terminal


@contextmanager
def terminal(*argv, **environ):
    """A command on a terminal of its own: (process, our end)."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(theirs)
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "vswitch", *argv],
        stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True,
        env=env | {"TERM": "xterm", "PYTHONPATH": ":".join(sys.path)} | environ,
    )  # fmt: skip
    try:
        with process:
            yield process, ours
            assert termios.tcgetattr(theirs) == before
    finally:
        process.kill()
        os.close(ours)
        os.close(theirs)


def reader(fd):
    """A function that says all that came so far."""
    os.set_blocking(fd, False)
    seen = []

    def read():
        with suppress(BlockingIOError):
            seen.append(os.read(fd, 65536).decode())
        return "".join(seen)

    return read


def test_keys_sort_pause_and_quit_and_the_terminal_is_as_before(lab, tmp_path):
    made = lab("left", "right")
    with (
        served(made.switch, tmp_path / "s"),
        terminal("top", "--api", str(tmp_path / "s"), "-d", "60") as (process, fd),
    ):
        read = reader(fd)
        wait_for(lambda: "s sort (port)" in read(), "the first picture")
        os.write(fd, b"ss")
        wait_for(lambda: "s sort (rx)" in read(), "the order is another")
        os.write(fd, b"p")
        wait_for(lambda: "p go on" in read(), "it is paused")
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
        wait_for(lambda: "drops/s" not in read().rsplit("switch lab", 1)[1], "it is narrower")
        os.write(fd, b"q")
        assert process.wait(30) == 0
        assert process.stderr.read() == ""
        assert "\x1b[?1049l" in read()  # the screen of before


def test_a_switch_that_ends_is_said_after_the_picture(lab, tmp_path):
    made, place = lab("left"), tmp_path / "s"
    with ExitStack() as stack:
        with served(made.switch, place):
            process, fd = stack.enter_context(
                terminal("top", "--api", str(place), "-d", "0.1", NO_COLOR="1")
            )
            read = reader(fd)
            wait_for(lambda: "left" in read(), "the first picture")
        status = wait_for(lambda: (read(), process.poll())[1], "it ends")

        assert status == 1
        assert process.stderr.read().startswith(f"vswitch: no switch answers at {place}\n")
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", read())


def test_a_connection_that_was_idle_for_too_long_is_made_again(lab, tmp_path):
    made = lab("left")
    with served(made.switch, tmp_path / "s"), client.connect(path=tmp_path / "s") as asking:
        asking.switch()
        asking._connection.sock.shutdown(socket.SHUT_RDWR)

        assert asking.switch().name == "lab"


def test_a_terminal_that_cannot_be_drawn_on_gets_lines(lab, tmp_path):
    made = lab("left")
    with (
        served(made.switch, tmp_path / "s"),
        terminal("top", "--api", str(tmp_path / "s"), "-n", "1", "-d", "0.1", TERM="dumb") as (
            process,
            fd,
        ),
    ):
        read = reader(fd)
        wait_for(lambda: "left" in read(), "a table")
        assert process.wait(30) == 0
        assert "\x1b" not in read()
