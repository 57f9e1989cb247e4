"""Devices become ports and go again while frames flow between two others; nothing is left."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterator, Mapping

import pytest

from support.flow import Flow
from support.frames import mac
from support.namespaces import Netns
from support.wait import wait_for
from vswitch.config import StationConfig, SwitchConfig
from vswitch.errors import ConfigError, PortError, StationExistsError
from vswitch.portconfig import PortConfig
from vswitch.service import Service

pytestmark = pytest.mark.netns

ROUNDS = 25
A = mac(1)

Make = Callable[[Netns], str]


def _new_tap(_: Netns) -> str:
    return "tap:tap0,queues=2"


def _old_tap(ns: Netns) -> str:
    ns.ip("tuntap", "add", "dev", "tap0", "mode", "tap")
    return "tap:tap0,mtu=2000"


def _auto(_: Netns) -> str:
    return "tap0"


def _veth(ns: Netns) -> str:
    ns.ip("link", "add", "veth0", "type", "veth", "peer", "name", "far")
    ns.ip("link", "set", "far", "up")
    return "netdev:veth0,mtu=2000"


def _host(_: Netns) -> str:
    return "local:br0,ip=10.0.0.1/24"


KINDS: Mapping[str, Make] = {
    "tap": _new_tap, "old-tap": _old_tap, "auto": _auto, "netdev": _veth, "local": _host,
}  # fmt: skip


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service.made(SwitchConfig("lab", pollers=2))
    with service.switch:
        yield service


@pytest.fixture
def ns(netns: Callable[[str], Netns]) -> Netns:
    made = netns("plug")
    made.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")  # no chatter of the kernel's
    return made


def resources() -> tuple[int, int]:
    """How many descriptors and threads this process has."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def devices(ns: Netns) -> list[dict[str, object]]:
    """What ip(8) says of the devices there, as far as a switch could change it."""
    keys = ("ifname", "mtu", "address", "operstate")
    links = json.loads(ns.ip("-j", "link", "show"))
    return [{key: link[key] for key in keys} | {"up": "UP" in link["flags"]} for link in links]


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_that_comes_and_goes_costs_the_others_no_frame(service, ns, kind):
    port = PortConfig.parse(KINDS[kind](ns))
    flow = Flow(service.switch)
    with ns.entered():  # once before: then the switch listens for changes of links
        service.add_port(port)
        service.remove_port(port.name)
    found, before = devices(ns), resources()

    with flow.running():
        for _ in range(ROUNDS):
            with ns.entered():
                service.add_port(port)
                service.pin(StationConfig(A, port.name), move=False)
                service.remove_port(port.name)

    assert devices(ns) == found
    # The control thread may be looking at a link just now, through descriptors of the moment.
    wait_for(lambda: resources() == before, "the same descriptors and threads")
    assert A not in {station.mac for station in service.switch.stations()}
    assert service.config == SwitchConfig("lab", pollers=2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_mtu_of_a_device_is_changed_with_its_port(service, ns, kind):
    port = PortConfig.parse(KINDS[kind](ns))
    flow = Flow(service.switch)
    found = devices(ns)
    with ns.entered():
        service.add_port(port)
    with flow.running():
        service.set_port(port.name, mtu=1400)

    there = {link["ifname"]: link["mtu"] for link in devices(ns)}
    assert there[port.name] == service.switch.port_status(port.name).mtu == 1400
    assert service.config.ports[0].mtu == 1400
    with ns.entered():
        service.remove_port(port.name)
    assert devices(ns) == found


def test_an_mtu_that_the_kernel_refuses_changes_nothing(service, ns):
    ns.ip("link", "add", "veth0", "type", "veth", "peer", "name", "far")
    with ns.entered():
        service.add_port(PortConfig.parse("netdev:veth0"))
    ns.ip("link", "del", "far")
    wait_for(lambda: service.switch.port_status("veth0").state == "gone", "the device is gone")
    config = service.config

    with pytest.raises(PortError, match="veth0: cannot set its MTU to 9000"):
        service.set_port("veth0", mtu=9000, learning=False)

    assert service.config == config
    assert service.switch.port_status("veth0").learning


@pytest.mark.parametrize(
    "text", ["netdev:nix", "netdev:veth0,mtu=9000,queues=16", "tap:veth0", "local:veth0", "veth0"]
)
def test_a_device_that_cannot_be_a_port_is_as_it_was(service, ns, text):
    ns.ip("link", "add", "veth0", "mtu", "1600", "type", "veth", "peer", "name", "far")
    ns.ip("addr", "add", "10.0.0.1/24", "dev", "veth0")
    found, before = devices(ns), resources()

    with ns.entered(), pytest.raises((PortError, ConfigError)):
        service.add_port(PortConfig.parse(text))

    assert (devices(ns), service.config.ports) == (found, ())
    wait_for(lambda: resources() == before, "the same descriptors and threads")


def test_the_hosts_own_port_is_refused_where_its_address_is_static_elsewhere(service, ns):
    flow = Flow(service.switch)
    service.pin(StationConfig(A, "flow-a"), move=False)
    found = devices(ns)

    with flow.running(), ns.entered(), pytest.raises(StationExistsError, match="static already"):
        service.add_port(PortConfig.parse(f"local:br0,mac={A.hex(':')}"))

    assert devices(ns) == found
    assert "br0" not in service.switch.ports
