"""Where VMs connect is changed while the switch runs, and its paths are those of who asks."""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from support.frames import BROADCAST, frame, mac
from support.plugged import PluggedVm
from support.services import qemu, unchanged
from support.stream_peer import StreamPeer
from vswitch import MemoryPort, paths
from vswitch.errors import (
    ConfigError,
    PortError,
    PortExistsError,
    PortNotFoundError,
)
from vswitch.portconfig import PortConfig
from vswitch.ports import QemuPort
from vswitch.portsettings import PortSettings

A, B = mac(1), mac(2)
LEARNED = frame(BROADCAST, A)


def test_a_listener_comes_and_goes_with_the_configuration(service, tmp_path):
    place = qemu(tmp_path / "lan.sock", "mtu=9000")

    status = service.listen(place)

    assert (status.name, status.address, status.mtu) == ("lan", f"{tmp_path}/lan.sock", 9000)
    assert service.config.listeners == (place,)
    service.unlisten("lan")
    assert service.config.listeners == ()
    assert list(tmp_path.iterdir()) == []
    assert service.listen(place) == status


def test_what_comes_and_goes_by_command_is_a_log_line(service, out, tmp_path, caplog):
    caplog.set_level("INFO")
    service.listen(qemu(tmp_path / "lan.sock"))
    service.unlisten("lan")
    service.add_port(out("a"))
    service.remove_port("a")

    place = f"name=lan address={tmp_path}/lan.sock"
    assert caplog.messages == [
        f"listener added {place}",
        f"listener removed {place}",
        "port added name=a",
        "port removed name=a",
    ]


def test_vms_stay_when_their_listener_goes(service, tmp_path):
    service.listen(qemu(tmp_path / "lan.sock"))
    a = service.switch.add_port(MemoryPort("a"))
    with closing(StreamPeer.connect(tmp_path / "lan.sock")) as vm:
        service.switch.poll()

        service.unlisten("lan")
        vm.send(LEARNED)
        service.switch.poll()

        assert a.receive() == [LEARNED]
    service.switch.poll()
    assert [*service.switch.ports] == ["a"]


def test_who_knocked_and_was_not_let_in_yet_is_hung_up_on(service, tmp_path):
    service.listen(qemu(tmp_path / "lan.sock"))
    with closing(StreamPeer.connect(tmp_path / "lan.sock")) as vm:
        service.unlisten("lan")
        service.switch.poll()

        assert vm.hung_up()
    assert service.switch.ports == {}


def test_a_vm_whose_port_is_removed_is_hung_up_on_and_may_come_again(service, tmp_path):
    service.listen(qemu(tmp_path / "lan.sock", "name=lan"))
    for _ in range(3):
        with closing(StreamPeer.connect(tmp_path / "lan.sock")) as vm:
            service.switch.poll()
            (name,) = service.switch.ports

            service.remove_port(name)

            assert vm.hung_up()
    assert service.config.ports == ()


def test_a_folder_keeps_its_vms_and_goes_with_the_last(service, tmp_path):
    folder = tmp_path / "lan"
    service.listen(PortConfig.parse_listener(f"vhost-user:{folder}/"))
    with closing(PluggedVm(folder / "lan-1.sock", service.switch.poll)) as vm:
        vm.boot()
        service.unlisten("lan")

        assert [*service.switch.ports] == ["lan-1"]
        assert os.listdir(folder) == ["lan-1.sock"]
    service.switch.poll()

    assert service.switch.ports == {}
    assert not folder.exists()


def test_a_port_beside_the_sockets_of_a_folder_is_not_the_folders(service, tmp_path):
    service.listen(PortConfig.parse_listener(f"vhost-user:{tmp_path}/lan/"))
    service.add_port(PortConfig.parse(f"vhost-user:{tmp_path}/lan/own.sock"))

    service.unlisten("lan")

    assert [*service.switch.ports] == ["own"]
    assert os.listdir(tmp_path / "lan") == ["own.sock"]


def test_of_listeners_with_one_name_one_is_named_by_its_address(service, tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        service.listen(qemu(tmp_path / folder / "lan.sock"))
    before = unchanged(service)

    with pytest.raises(PortError, match="2 listeners are called lan") as caught:
        service.unlisten("lan")

    assert f"{tmp_path}/x/lan.sock, {tmp_path}/y/lan.sock" in caught.value.hint
    assert unchanged(service) == before
    service.unlisten("lan", address=f"{tmp_path}/x/lan.sock")
    assert service.config.listeners == (qemu(tmp_path / "y" / "lan.sock"),)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("qemu:{0}/lan.sock", PortExistsError, "listener qemu:.*lan.sock is there already"),
        ("qemu:{0}/none/x.sock", PortError, "cannot make the socket"),
        ("vhost-user:{0}/none/x/", PortError, "cannot make the folder"),
        ("fd:3", PortError, "a descriptor is handed to a process when that starts"),
    ],
)
def test_a_listener_that_cannot_be_changes_nothing(service, tmp_path, text, error, said):
    service.listen(qemu(tmp_path / "lan.sock"))
    before = unchanged(service)

    with pytest.raises(error, match=said):
        service.listen(PortConfig.parse_listener(text.format(tmp_path)))

    assert unchanged(service) == before


def test_a_listener_that_is_not_there_cannot_be_closed(service, tmp_path):
    service.listen(qemu(tmp_path / "lan.sock"))

    with pytest.raises(PortNotFoundError, match="no listener wan") as caught:
        service.unlisten("wan")

    assert caught.value.hint == "listeners are: lan"


# ---------------------------------------------------------------------- paths


@pytest.mark.parametrize(
    ("text", "absolute"),
    [
        ("tap0", "tap0"),
        ("qemu:./vm.sock,mtu=9000", "qemu:/here/vm.sock,mtu=9000"),
        ("qemu:localhost:1234", "qemu:localhost:1234"),
        ("udp:127.0.0.1:1,remote=127.0.0.1:2", "udp:127.0.0.1:1,remote=127.0.0.1:2"),
        ("vhost-user:lan/", "vhost-user:/here/lan/"),
        ("vhost-user:/tmp/vm.sock,client", "vhost-user:/tmp/vm.sock,client"),
        ("dgram:a,remote=../b,name=x", "dgram:/here/a,remote=/b,name=x"),
        ("pcap:in.pcap,out=out.pcapng", "pcap:/here/in.pcap,out=/here/out.pcapng"),
        ("nix:x", "nix:x"),
        ("record:", "record:"),
    ],
)
def test_paths_are_seen_from_the_folder_of_who_asks(text, absolute):
    assert paths.absolute(text, "/here") == absolute


@pytest.mark.parametrize(
    "text", ["qemu:./vm.sock", "record:a.pcap", "pcap:/a,out=b", "dgram:/a,remote=b"]
)
def test_a_relative_path_is_told_from_an_absolute_one(text):
    with pytest.raises(ConfigError, match="is relative"):
        paths.check_absolute(PortConfig.parse(text))
    paths.check_absolute(PortConfig.parse(paths.absolute(text, "/here")))


def test_a_listeners_port_has_what_it_says_of_itself(service, tmp_path):
    service.listen(qemu(tmp_path / "lan.sock", "fdb-limit=3", "learning=off"))
    with closing(StreamPeer.connect(tmp_path / "lan.sock")):
        service.switch.poll()
        (port,) = service.switch.ports.values()

        assert isinstance(port, QemuPort)
        settings = service.switch.port_status(port.name).settings
        assert settings == PortSettings(fdb_limit=3, learning=False)
