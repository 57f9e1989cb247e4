"""VMs that connect to a place with VLANs are in these."""

from __future__ import annotations

from contextlib import closing

import pytest

from support.frames import BROADCAST, frame, mac
from support.lab import Lab
from support.stream_peer import StreamPeer
from vswitch.portconfig import PortConfig
from vswitch.service import Service
from vswitch.vlanwords import parse

A, VM = mac(1), mac(100)
TAG = bytes.fromhex("8100000a")


@pytest.fixture(params=["c", "python"])
def core_of_labs(request) -> str:
    return request.param


@pytest.fixture
def net(lab) -> Lab:
    return lab("trunk", "other")


def listen(net, text):
    service = Service(net.switch, net.switch.config)
    service.listen(PortConfig.parse_listener(text))
    for name, said in (("trunk", "trunk=10,20"), ("other", "access=20")):
        net.switch.set_port(name, vlans=parse("vlans", said))
    return service


def test_a_vm_is_in_the_vlan_of_the_place(net, tmp_path):
    service = listen(net, f"qemu:{tmp_path}/lan.sock,access=10,isolated=on")
    vms = [StreamPeer.connect(tmp_path / "lan.sock") for _ in range(2)]
    net.switch.poll()
    said = frame(BROADCAST, VM)

    vms[0].send(said)
    net.switch.poll()

    assert net.receive() == {"trunk": [said[:12] + TAG + said[12:]]}
    assert vms[1].frames() == []  # both are isolated
    ours = frame(BROADCAST, A)
    net.send("trunk", ours[:12] + TAG + ours[12:])
    assert [vm.frames() for vm in vms] == [[ours], [ours]]
    net.send("other", ours)
    assert [vm.frames() for vm in vms] == [[], []]
    assert [(s.mac, s.vid, s.port) for s in net.switch.stations() if s.mac == VM] == [
        (VM, 10, "lan-1")
    ]
    assert service.config.listeners[0].vlans == parse("vlans", "access=10")
    for vm in vms:
        vm.close()


def test_a_vm_on_a_trunk_has_tags(net, tmp_path):
    listen(net, f"qemu:{tmp_path}/lan.sock,trunk=10,20")
    with closing(StreamPeer.connect(tmp_path / "lan.sock")) as vm:
        net.switch.poll()
        said = frame(BROADCAST, VM)
        tagged = said[:12] + bytes.fromhex("81000014") + said[12:]

        vm.send(tagged)
        net.switch.poll()
        assert net.receive() == {"trunk": [tagged], "other": [said]}

        net.send("other", said)
        assert vm.frames() == [tagged]


@pytest.mark.parametrize("place", ["qemu:/lan.sock", "vhost-user:/folder/", "fd:3"])
def test_every_place_takes_vlans_and_flags(place):
    made = PortConfig.parse_listener(f"{place},trunk=10,20,native=1,isolated=on,mcast-flood=off")

    assert made.vlans == parse("vlans", "trunk=10,20,native=1")
    assert (made.isolated, made.mcast_flood) == (True, False)


def test_a_place_with_vlans_is_reason_enough_to_take_notice(lab, tmp_path):
    net = lab("a", "b")
    service = Service(net.switch, net.switch.config)
    status = service.listen(PortConfig.parse_listener(f"qemu:{tmp_path}/lan.sock,access=10"))
    net.send("a", frame(BROADCAST, A))

    with closing(StreamPeer.connect(tmp_path / "lan.sock")):
        net.switch.poll()
        assert A in net.stations()  # nobody was forgotten because a VM came
    net.switch.poll()
    assert A in net.stations()
    service.unlisten(status.name)

    tagged = frame(BROADCAST, A)[:12] + bytes.fromhex("8100e000") + frame(BROADCAST, A)[12:]
    assert net.send("a", tagged) == {"b": [tagged]}
