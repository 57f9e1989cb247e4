"""Linux in QEMU on vhost-user ports: what is negotiated, and who may die and come back."""

from __future__ import annotations

import os

import pytest

from support.command import Running, running
from support.recipe import Recipe, recipe
from support.vm_files import (
    FILE_MIB,
    LONG_MIB,
    MIB,
    begin_to_fetch,
    digest,
    end_of_fetch,
    fetch,
    give_addresses,
    make_file,
)
from support.wait import wait_for

NOBODY = os.geteuid() == 0  # or we are an ordinary user already
MAX_FRAME_BYTES = 1514
RING_PACKED = 34  # virtio 1.2, 6

CARDS = pytest.mark.parametrize("card", ["", ",packed=on"], ids=["split", "packed"])


@pytest.fixture
def wires(room) -> Recipe:
    return recipe("vhost-user", room)


def is_up(switch: Running, *ports: str) -> bool:
    return all(switch.port(name).state == "forwarding" for name in ports)


def wait_until_under_way(switch: Running, port: str) -> None:
    """Until a quarter of a long file has been sent to *port*."""
    wait_for(
        lambda: switch.port(port).counters["tx_bytes"] > LONG_MIB * MIB / 4, "the file to flow",
        timeout_s=20,
    )  # fmt: skip


@CARDS
def test_guests_leave_work_undone_and_take_it(boot, wires, card):
    with running(*wires.vswitch, nobody=NOBODY) as switch:
        vms = boot(*(wires.machine(n, card=card) for n in (1, 2)), nobody=NOBODY)
        give_addresses(vms)
        for there, here in ((0, 1), (1, 0)):
            expected = make_file(vms[there])
            assert fetch(vms[here], f"192.0.2.{there + 1}") == expected

        for vm, port in zip(vms, map(switch.port, ("lan1", "lan2")), strict=True):
            features = vm.run("cat /sys/bus/virtio/devices/virtio0/features")
            assert features[RING_PACKED] == str(int(bool(card)))
            for way in ("rx", "tx"):
                sums = port.counters
                assert sums[f"{way}_bytes"] > MAX_FRAME_BYTES * sums[f"{way}_frames"]


def test_queue_pairs_are_used_from_both_sides(boot, wires):
    ports = [f"{word},queues=2" if "vhost-user:" in word else word for word in wires.vswitch]
    machines = [wires.machine(n, card=",mq=on", wire=",queues=2") for n in (1, 2)]
    with running(*ports, "--pollers", "2", nobody=NOBODY) as switch:
        vms = boot(*([*words, "-smp", "2"] for words in machines), nobody=NOBODY)
        give_addresses(vms)

        expected = make_file(vms[1])
        for cpu in (0, 1):  # each has a queue of its own to send by
            got = vms[0].run(f"taskset {cpu + 1} wget -qO- http://192.0.2.2/file | sha256sum")
            assert digest(got) == expected
        queues = vms[0].run("ls -d /sys/class/net/eth0/queues/tx-*").split()
        assert len(queues) == 2
        assert switch.port("lan1").drops["bad_offload"] == 0


def test_a_vm_that_reboots_keeps_its_port(boot, wires):
    with running(*wires.vswitch, nobody=NOBODY) as switch:
        machines = [[*wires.machine(n), "-action", "reboot=reset"] for n in (1, 2)]
        vms = boot(*machines, nobody=NOBODY)
        give_addresses(vms)
        vms[0].run("ping -c1 -W5 192.0.2.2")

        vms[0].reboot()

        give_addresses(vms[:1])
        expected = make_file(vms[1])
        assert fetch(vms[0], "192.0.2.2") == expected
        assert "warning" not in switch.err


def test_a_vm_that_is_killed_takes_its_link_down_until_it_is_back(boot, wires):
    with running(*wires.vswitch, nobody=NOBODY) as switch:
        vms = boot(wires.machine(1), wires.machine(2), nobody=NOBODY)
        give_addresses(vms)
        vms[1].close()
        wait_for(lambda: switch.port("lan2").state == "down", "its port to be down")
        vms[0].run("! ping -c1 -W1 192.0.2.2")

        (again,) = boot(wires.machine(2), nobody=NOBODY)

        again.run("ip addr add 192.0.2.2/24 dev eth0")
        expected = make_file(vms[0])
        assert fetch(again, "192.0.2.1") == expected


@CARDS
def test_a_transfer_goes_on_when_the_switch_was_killed(boot, wires, card):
    with running(*wires.vswitch, nobody=NOBODY) as first:
        vms = boot(*(wires.machine(n, card=card) for n in (1, 2)), nobody=NOBODY)
        give_addresses(vms)
        expected = make_file(vms[1], LONG_MIB)
        begin_to_fetch(vms[0], "192.0.2.2")
        wait_until_under_way(first, "lan1")
        first.process.kill()
        first.process.wait(10)
    vms[0].run("[ ! -e /tmp/done ]")

    with running(*wires.vswitch, nobody=NOBODY) as second:
        wait_for(lambda: is_up(second, "lan1", "lan2"), "links to be up")
        assert end_of_fetch(vms[0]) == expected
        vms[1].run("ping -c1 -W5 192.0.2.1")


@pytest.mark.netns
def test_a_vm_and_a_tap_exchange_files(boot, netns, wires, room):
    office = netns("office")
    with running(*wires.vswitch, "--port", "tap0", before=office.command()) as switch:
        office.ip("addr", "add", "192.0.2.9/24", "dev", "tap0")
        (vm,) = boot(wires.machine(1))
        give_addresses([vm])
        (room / "file").write_bytes(os.urandom(FILE_MIB * MIB))
        expected = digest(office.run("sha256sum", str(room / "file")))

        with office.background("busybox", "httpd", "-f", "-h", str(room)):
            wait_for(lambda: ":80 " in office.run("ss", "-ltn"), "httpd to listen")
            assert fetch(vm, "192.0.2.9") == expected
        expected = make_file(vm)
        office.run("busybox", "wget", "-qO", str(room / "got"), "http://192.0.2.1/file")
        assert digest(office.run("sha256sum", str(room / "got"))) == expected
        sums = switch.port("lan1").counters
        assert sums["rx_bytes"] > MAX_FRAME_BYTES * sums["rx_frames"]
