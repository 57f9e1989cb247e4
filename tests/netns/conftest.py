"""Namespaces joined by a running switch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.command import device, devices, ip, tun_node
from support.net import NamedTap, Net, configure
from support.veth import VethNet, add_veth
from vswitch import Switch
from vswitch.control import address


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
    """Whatever a test does, no device and no socket stays; those of others, as of the tests that
    another worker runs, may."""
    found = _dead_sockets()
    yield
    assert devices() == set()
    assert _dead_sockets() <= found


def _dead_sockets() -> set[Path]:
    """The files of this process's switches that are no more."""
    return {
        path
        for path in address.ROOT_DIR.glob(f"vsw{os.getpid()}*")
        if address.holder(path) is None and path.exists()
    }


@pytest.fixture
def two():
    return device("a"), device("b")


@pytest.fixture
def tun_for_all(tmp_path):
    """A node to be /dev/net/tun that every user may open."""
    return tun_node(tmp_path, 0o666)


@pytest.fixture
def made():
    """Factory of devices by what ip(8) calls their type; all gone after the test."""
    names = []

    def make(kind, *options):
        names.append(device("d"))
        link = options[:2] if "link" in options else ()  # ip(8) wants it in front
        ip("link", "add", *link, names[-1], "type", kind, *options[len(link) :])
        return names[-1]

    yield make
    for name in names:
        ip("link", "del", name, check=False)
