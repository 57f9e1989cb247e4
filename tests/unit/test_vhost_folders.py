"""A folder with a socket for each virtual machine: `--listen vhost-user:FOLDER/`."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from support.frames import BROADCAST, frame, mac
from support.lab import Lab
from support.plugged import PluggedVm
from vswitch import ListenerStatus, VhostUserFolder
from vswitch.errors import PortError
from vswitch.portsettings import PortSettings

A = mac(1)
DOWN = frame(BROADCAST, A, b"down")

Plug = Callable[[str], PluggedVm]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lan"


@pytest.fixture
def plug(net: Lab, folder: Path) -> Iterator[Plug]:
    """Factory of machines at a socket of the folder."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(
            closing(PluggedVm(folder / name, net.switch.poll))
        ).boot()


def sockets(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_there_is_always_one_socket_that_is_free(net, folder, plug):
    net.switch.listen(VhostUserFolder(folder))
    vms = []
    for i in range(1, 6):
        assert sockets(folder) == [f"lan-{n}.sock" for n in range(1, i + 1)]
        vms.append(plug(f"lan-{i}.sock"))

    net.send("a", DOWN)

    assert [vm.receive() for vm in vms] == [[DOWN]] * 5
    assert [*net.switch.ports] == ["a", *(f"lan-{i}" for i in range(1, 7))]


def test_a_socket_whose_machine_left_waits_for_the_next_one(net, folder, plug):
    net.switch.listen(VhostUserFolder(folder))
    first, second = plug("lan-1.sock"), plug("lan-2.sock")
    first.close()
    net.switch.poll()

    again = plug("lan-1.sock")
    net.send("a", DOWN)

    assert again.receive() == second.receive() == [DOWN]
    assert sockets(folder) == ["lan-1.sock", "lan-2.sock", "lan-3.sock"]


def test_what_is_said_of_a_folder(net, folder, plug):
    place = VhostUserFolder(folder, mtu=9000, settings=PortSettings(fdb_limit=5))
    net.switch.listen(place)
    net.switch.listen(VhostUserFolder(folder.parent / "other", name="more"))
    plug("lan-1.sock")

    assert net.switch.listener_status() == [
        ListenerStatus("lan", "vhost-user", f"{folder}/", mtu=9000, ports=1),
        ListenerStatus("more", "vhost-user", f"{folder.parent}/other/", mtu=1500, ports=0),
    ]
    assert net.status("lan-1").mtu == 9000


def test_a_relative_folder_is_said_in_full(net, folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    net.switch.listen(VhostUserFolder(Path("lan")))

    assert net.switch.listener_status()[0].address == f"{folder}/"


@pytest.mark.parametrize("ours", [True, False])
def test_a_folder_goes_if_it_was_made_here(folder, ours):
    if not ours:
        folder.mkdir()
    net = Lab()
    net.switch.listen(VhostUserFolder(folder))
    net.switch.close()

    assert folder.exists() is not ours
    assert ours or sockets(folder) == []


def test_a_folder_that_others_use_stays(folder):
    net = Lab()
    net.switch.listen(VhostUserFolder(folder))
    (folder / "notes").touch()
    net.switch.close()

    assert sockets(folder) == ["notes"]


def test_a_name_that_is_taken_is_left_out(net, folder, plug, caplog):
    net.add("lan-1")
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(f"{folder}/lan-2.sock")
        other.listen()
        net.switch.listen(VhostUserFolder(folder))
        plug("lan-3.sock")

    assert [*net.switch.ports] == ["a", "lan-1", "lan-3", "lan-4"]
    assert caplog.messages == []


def test_a_free_port_that_was_removed_is_made_again(net, folder):
    net.switch.listen(VhostUserFolder(folder))
    net.switch.remove_port("lan-1")
    assert sockets(folder) == []

    net.switch.poll()

    assert sockets(folder) == ["lan-1.sock"]


def test_when_there_can_be_no_further_socket_it_is_said_once_and_tried_again(
    net, folder, plug, caplog
):
    net.switch.listen(VhostUserFolder(folder))
    (folder / "lan-2.sock").touch()  # no socket, so nothing we may remove
    plug("lan-1.sock")
    for _ in range(5):
        net.clock.advance(1)
        net.switch.poll()
    assert caplog.messages == [
        "no further socket for virtual machines "
        f"error={folder}/lan-2.sock exists and is not a socket"
    ]

    (folder / "lan-2.sock").unlink()
    net.clock.advance(1)
    net.switch.poll()

    assert "lan-2" in net.switch.ports


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("file", "cannot make the folder .*/file: File exists"),
        ("none/lan", "cannot make the folder .*/none/lan: No such file or directory"),
        ("x" * 100, "the path of a socket has at most 107 bytes"),
    ],
)
def test_a_folder_that_cannot_be_is_refused(net, tmp_path, where, sentence):
    (tmp_path / "file").touch()

    with pytest.raises(PortError, match=sentence):
        net.switch.listen(VhostUserFolder(tmp_path / where))

    assert sockets(tmp_path) == ["file"]
    assert net.switch.listener_status() == []


def test_a_folder_nobody_may_write_to_is_refused(net):
    with pytest.raises(PortError, match="cannot make the socket /proc/self/"):
        net.switch.listen(VhostUserFolder(Path("/proc/self")))
