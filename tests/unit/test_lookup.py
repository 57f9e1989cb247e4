"""Names of hosts: a resolver that is silent keeps nobody who wants to end."""

import os
import signal
import socket
import subprocess
import threading

import pytest

from support.command import command, environment
from support.wait import PATIENCE_S, wait_for
from vswitch import cli
from vswitch.linux import lookup

SILENT = """
import pathlib, socket, time
found = socket.getaddrinfo
def getaddrinfo(host, *rest):
    if host == "silent.example" and len(rest) == 3:  # without flags: whoever asks for a name
        pathlib.Path({marker!r}).touch()
        time.sleep(60)
    return found(host, *rest)
socket.getaddrinfo = getaddrinfo
"""


@pytest.fixture
def held_back():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    yield
    while signal.sigtimedwait({signal.SIGINT}, 0):
        pass
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ask(host):
    return lookup.addresses(host, 7, socket.AF_UNSPEC, socket.SOCK_STREAM)


def counted():
    """Threads, as Python and as the kernel counts them."""
    return threading.active_count(), len(os.listdir("/proc/self/task"))


def test_what_is_found_is_what_the_resolver_says(held_back):
    before = counted()

    assert ask("localhost") == socket.getaddrinfo("localhost", 7, 0, socket.SOCK_STREAM)
    assert ask("192.0.2.1")[0][4] == ("192.0.2.1", 7)
    mine, kernels = counted()
    assert mine == before[0]
    assert kernels <= before[1]  # a worker's other threads may end meanwhile


@pytest.mark.parametrize(
    ("host", "error"), [("no..such", UnicodeError), ("nosuch.invalid", socket.gaierror)]
)
def test_what_the_resolver_raises_is_raised(held_back, monkeypatch, host, error):
    def refuse(name, *rest):
        if error is UnicodeError:
            raise UnicodeError("label empty")
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    with pytest.raises(error):
        ask(host)


def test_a_signal_that_is_held_back_ends_it(held_back, monkeypatch):
    released = threading.Event()

    def silent(host, port, family, kind, protocol=0, flags=0):
        if flags:
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        # To this thread: a worker of the suite has others, which hold nothing back.
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        released.wait(PATIENCE_S)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)

    with pytest.raises(KeyboardInterrupt, match="interrupted while silent"):
        ask("silent.example")
    released.set()
    wait_for(
        lambda: all(thread.name != "lookup" for thread in threading.enumerate()), "the thread's end"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_switch_that_looks_up_a_name_ends_at_once(tmp_path, number):
    marker = tmp_path / "asked"
    (tmp_path / "sitecustomize.py").write_text(SILENT.format(marker=str(marker)))
    given = environment()
    process = subprocess.Popen(
        command("run", "--port", f"record:{tmp_path}/r.pcap", "--port", "qemu:silent.example:7",
                "--api", str(tmp_path / "api.sock")),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=given | {"PYTHONPATH": f"{tmp_path}:{given['PYTHONPATH']}"},
    )  # fmt: skip
    wait_for(marker.exists, "the question")
    process.send_signal(number)
    try:
        out, err = process.communicate(timeout=PATIENCE_S)  # the resolver is silent for longer
    finally:
        process.kill()
        process.communicate()

    assert (process.returncode, out) == (cli.INTERRUPTED, "")
    assert err.lstrip("\n") == "vswitch: interrupted while silent.example was being looked up\n"
    assert not (tmp_path / "api.sock").exists()
