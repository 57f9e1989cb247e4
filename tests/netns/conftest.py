"""Namespaces joined by a running switch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.command import device, devices
from support.net import NamedTap, Net, configure
from support.veth import VethNet, add_veth
from vswitch import Switch


@pytest.fixture
def joined(netns) -> Iterator[Callable[..., Net]]:
    """Factory: ``joined({}, {"offloads": False}, pollers=2)`` is two sides, with port options."""
    with ExitStack() as stack:

        def make(*sides: dict[str, object], addresses: bool = True, **options: object) -> Net:
            net = Net(stack.enter_context(Switch("test", **options)))
            for i, port_options in enumerate(sides):
                ns = netns(f"s{i}")
                with ns.entered():
                    port = NamedTap(f"s{i}", **port_options)
                net.ports.append(net.switch.add_port(port))
                net.sides.append(ns)
                if addresses:
                    configure(ns, i)
            return net

        yield make


@pytest.fixture
def wired(netns) -> Iterator[Callable[..., VethNet]]:
    """The same with veths, whose near ends are the ports: ``wired({}, {"queues": 2})``."""
    with ExitStack() as stack:

        def make(*sides: dict[str, object], addresses: bool = True, **options: object) -> VethNet:
            net = VethNet(stack.enter_context(Switch("test", **options)), hub=netns("hub"))
            for i, port_options in enumerate(sides):
                add_veth(net, netns(f"s{i}"), **port_options)
                if addresses:
                    configure(net.sides[i], i)
            for i in range(len(sides)):
                net.wait_for_state(i, "forwarding")
            return net

        yield make


@pytest.fixture
def nothing_left():
    """Whatever a test does, no device and no socket stays."""
    sockets = set(Path("/run/vswitch").glob("*"))
    yield
    assert devices() == set()
    assert set(Path("/run/vswitch").glob("*")) == sockets


@pytest.fixture
def two():
    return device("a"), device("b")
