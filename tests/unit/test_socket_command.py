"""The command with ports over sockets, as an ordinary user: nothing of it needs root."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import command, environment, running, vswitch
from support.frames import BROADCAST, frame, mac
from support.stream_peer import StreamListener, StreamPeer
from support.wait import PATIENCE_S, wait_for
from vswitch.wire import pcap
from vswitch.wire.pcap import FILE_HEADER_LEN

A, B, C = mac(1), mac(2), mac(3)
NOBODY = os.geteuid() == 0  # or we are an ordinary user already


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder in which every user may do everything: not below that of pytest, which every other
    session of it closes to others when it starts."""
    with tempfile.TemporaryDirectory(prefix="vsw") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


@pytest.fixture
def there(room: Path) -> Iterator[socket.socket]:
    """What a datagram port sends to, at "there"."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(room / "there"))
        (room / "there").chmod(0o666)
        made.settimeout(PATIENCE_S)
        yield made


def test_a_switch_may_begin_without_ports_and_get_them_later(tmp_path):
    with running("--name", "lab") as switch:
        assert "lab: forwarding between 0 ports (core c, pid" in switch.out
        assert switch.err.endswith(
            " info: no ports yet, and each that is added takes part hint='vswitch port add PORT'\n"
        )
        for name in "ab":
            switch.ask("port", "add", f"qemu:127.0.0.1:1,name={name}")
        switch.ask("port", "add", "--listen", f"qemu:{tmp_path}/lan.sock")
        assert set(switch.ports()) == {"a", "b"}
        for name in "ab":
            switch.ask("port", "del", name)
        assert switch.ports() == {}
        assert switch.end() == 0


def test_vms_talk_over_every_kind_of_socket(room, there):
    folder = room
    with running(
        "--listen", f"qemu:{folder}/lan.sock,mode=0666",
        "--port", f"dgram:{folder}/here,remote={folder}/there,name=vm0",
        nobody=NOBODY,
    ) as switch:  # fmt: skip
        assert "lan.sock: listening" in switch.out
        vms = [StreamPeer.connect(folder / "lan.sock") for _ in range(2)]
        wait_for(lambda: len(switch.ports()) == 3, "two ports more")
        sent = frame(BROADCAST, A)

        vms[0].send(sent)

        assert wait_for(vms[1].frames, "the broadcast") == [sent]
        assert there.recv(2000) == sent
        facts = switch.ports()
        assert {facts[name]["kind"] for name in ("lan-1", "lan-2")} == {"qemu"}
        vms[0].close()
        wait_for(lambda: "lan-1" not in switch.ports(), "the port to go")
        assert switch.end() == 0
        assert "port left name=lan-1" in switch.err
    assert not (folder / "lan.sock").exists()
    assert not (folder / "here").exists()
    vms[1].close()


def test_a_port_whose_peer_is_not_there_waits_and_comes_up(tmp_path):
    place = tmp_path / "vm.sock"
    with running("--port", f"qemu:{place}") as switch:
        assert f"vm: qemu, 1 queue, mtu 1500, no offloads, waiting for {place}" in switch.out
        shown = " ".join(switch.ask("show").split())  # in lines, as long as the path
        assert f"port vm: down, waiting for {place}, 0 stations" in shown

        peer = StreamListener(place)
        wait_for(lambda: switch.ports()["vm"]["state"] == "forwarding", "the port to come up")

        assert "port up name=vm" in switch.err
        peer.close()
        assert switch.end() == 0


@pytest.mark.parametrize(
    ("port", "sentence"),
    [
        ("qemu:{folder}/none,retry=off", "none: cannot connect to {folder}/none: No such file"),
        ("qemu:{folder}/file", "file: cannot connect to {folder}/file: Socket operation on non-"),
        ("qemu:{folder}/file/x", "x: cannot connect to {folder}/file/x: Not a directory"),
        ("qemu:no.such.invalid:1", "tcp1: cannot connect to no.such.invalid:1: "),
    ],
)
def test_where_nobody_can_be_reached_the_command_ends_with_a_sentence(tmp_path, port, sentence):
    (tmp_path / "file").touch()

    status, _, err = vswitch(
        "run", "--port", port.format(folder=tmp_path), "--api", f"{tmp_path}/api"
    )

    assert status == 2
    assert sentence.format(folder=tmp_path) in err
    assert "Traceback" not in err


def test_a_recording_on_standard_output_is_all_that_is_there():
    line = command("--port", "record:/dev/stdout", "--name", f"vsw{os.getpid()}", "--stats", "0.1")
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    assert process.stdout is not None
    head = process.stdout.read(FILE_HEADER_LEN)
    process.terminate()
    rest, said = process.communicate(timeout=PATIENCE_S)

    assert (head, rest) == (pcap.file_header("stdout"), b"")
    assert b"forwarding on 1 port" in said
    assert b"rx frames" in said
