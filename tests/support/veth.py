"""Sides of a switch whose ports are the near ends of veths, in a namespace called the hub."""

from __future__ import annotations

from dataclasses import dataclass

from support.namespaces import Netns
from support.net import DEVICE, Net
from vswitch import NetdevPort


@dataclass
class VethNet(Net):
    """Side number i is behind the hub's device ``p<i>``, and the port of that name."""

    hub: Netns | None = None


def add_veth(net: VethNet, ns: Netns, **options: object) -> None:
    """Join *ns* as the next side: its eth0 is the far end of a new port."""
    name = f"p{len(net.sides)}"
    net.hub.ip("link", "add", name, "type", "veth", "peer", "name", DEVICE, "netns", ns.name)
    ns.ip("link", "set", DEVICE, "up")
    with net.hub.entered():
        port = NetdevPort(name, **options)
    net.ports.append(net.switch.add_port(port))
    net.sides.append(ns)
