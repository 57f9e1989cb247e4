"""Linux in QEMU, plugged in by the very lines of README.md: DHCP, ping, files both ways."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence

import pytest

from support.command import Running, running
from support.dhcp import dnsmasq
from support.recipe import recipe
from support.vm import Vm
from support.wait import wait_for

NOBODY = os.geteuid() == 0  # or we are an ordinary user already
FILE_MIB = 4
MAX_FRAME_BYTES = 1514
ASK = "udhcpc -i eth0 -n -q -f -t 20 -T 1"
SERVE = (
    "ip addr add 192.0.2.1/24 dev eth0 && touch /tmp/leases && "
    "printf 'start 192.0.2.100\\nend 192.0.2.150\\ninterface eth0\\noption subnet 255.255.255.0\\n"
    "lease_file /tmp/leases\\npidfile /tmp/pid\\n' >/tmp/conf && udhcpd -a 100 /tmp/conf"
)

Boot = Callable[..., list[Vm]]


def lease(vm: Vm) -> str:
    """Have the VM ask for an address; the one it was given."""
    vm.run(ASK)
    return address(vm)


def address(vm: Vm) -> str:
    found = re.search(r"inet (192\.0\.2\.\d+)/24", vm.run("ip addr show dev eth0"))
    assert found
    return found[1]


def prove_that_they_talk(vms: Sequence[Vm], addresses: Sequence[str]) -> None:
    """Ping, and a file each way, over IPv4 and over IPv6."""
    hosts = [*addresses, "2001:db8::1", "2001:db8::2"]
    for number, vm in enumerate(vms, 1):
        vm.run(f"ip addr add 2001:db8::{number}/64 dev eth0")
        vm.run(f"dd if=/dev/urandom of=/srv/file bs=1M count={FILE_MIB} 2>/dev/null")
    for i, host in enumerate(hosts):
        reader, writer = vms[1 - i % 2], vms[i % 2]
        reader.run(f"ping -c1 -W5 {host}")
        url = f"http://[{host}]/file" if ":" in host else f"http://{host}/file"
        got = reader.run(f"wget -qO- {url} | sha256sum")
        assert re.match(r"[0-9a-f]{64} ", got)
        assert got == writer.run("sha256sum </srv/file")


def counters(switch: Running, port: str) -> dict[str, int]:
    return switch.ports()[port]["counters"]


@pytest.mark.netns
def test_vms_on_taps_are_switched_with_their_offloads(boot, netns, tmp_path):
    hub, office = netns("hub"), netns("office")
    taps = recipe("tap")
    vms = boot(taps.machine(1), taps.machine(2), before=hub.command())

    with running(*taps.vswitch, "--port", "tap0", before=hub.command()) as switch:
        assert switch.out.count("interface end") == 2
        hub.ip("link", "set", "tap0", "netns", office.name)
        office.ip("addr", "add", "192.0.2.1/24", "dev", "tap0")
        office.ip("link", "set", "tap0", "up")
        with dnsmasq(office, "tap0", tmp_path):
            addresses = [lease(vm) for vm in vms]

        assert len(set(addresses)) == 2
        prove_that_they_talk(vms, addresses)
        for port in ("tap1", "tap2"):
            sums = counters(switch, port)
            assert sums["rx_bytes"] > MAX_FRAME_BYTES * sums["rx_frames"]  # super-frames


@pytest.mark.netns
def test_a_tap_made_beforehand_stays_while_its_vms_come_and_go(boot, netns):
    hub, office = netns("hub"), netns("office")
    hub.ip("tuntap", "add", "dev", "tap1", "mode", "tap")

    with running("--port", "netdev:tap1", "--port", "tap0", before=hub.command()) as switch:
        hub.ip("link", "set", "tap0", "netns", office.name)
        office.ip("addr", "add", "192.0.2.1/24", "dev", "tap0")
        office.ip("link", "set", "tap0", "up")
        for _ in range(2):
            wait_for(lambda: switch.ports()["tap1"]["state"] == "down", "the port to be down")
            (vm,) = boot(recipe("tap").machine(1), before=hub.command())
            vm.run("ip addr add 192.0.2.2/24 dev eth0")
            wait_for(lambda: switch.ports()["tap1"]["state"] == "forwarding", "the port to be up")

            vm.run("ping -c1 -W5 192.0.2.1")
            vm.close()


@pytest.mark.parametrize("kind", ["stream", "dgram", "vhost-user"])
def test_vms_on_sockets_need_no_root(boot, room, kind):
    wires = recipe(kind, room)
    with running(*wires.vswitch, nobody=NOBODY) as switch:
        vms = boot(wires.machine(1), wires.machine(2), nobody=NOBODY)
        vms[0].run(SERVE)
        leased = lease(vms[1])

        prove_that_they_talk(vms, ["192.0.2.1", leased])
        assert len(switch.ports()) == 2


def test_vms_with_datagrams_do_not_notice_that_the_switch_is_another_one(boot, room):
    wires = recipe("dgram", room)
    vms = boot(wires.machine(1), wires.machine(2), nobody=NOBODY)
    for number, vm in enumerate(vms, 1):
        vm.run(f"ip addr add 192.0.2.{number}/24 dev eth0")
    for _ in range(2):
        with running(*wires.vswitch, nobody=NOBODY) as switch:
            vms[0].run("ping -c1 -W5 192.0.2.2")
            vms[1].run("ping -c1 -W5 192.0.2.1")
            assert switch.end() == 0
        vms[0].run("! ping -c1 -W1 192.0.2.2")


def test_a_vm_that_is_started_again_gets_its_port_and_its_address_again(boot, room):
    stream = recipe("stream", room)
    with running(*stream.vswitch, nobody=NOBODY) as switch:
        vms = boot(stream.machine(1), stream.machine(2), nobody=NOBODY)
        vms[0].run(SERVE)
        leased = lease(vms[1])
        vms[1].close()
        wait_for(lambda: len(switch.ports()) == 1, "its port to go")

        (again,) = boot(stream.machine(2), nobody=NOBODY)

        assert lease(again) == leased
        again.run("ping -c1 -W5 192.0.2.1")
        assert set(switch.ports()) == {"lan-1", "lan-2"}
