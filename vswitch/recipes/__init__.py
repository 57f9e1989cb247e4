"""How something is plugged into a port, as text: QEMU's options, libvirt's XML, containers.

    qemu_args(Plug("lan", "qemu", address="/tmp/lan.sock"), version=(9, 2), mac=...).text

Pure functions from facts to text; who asks a switch, or QEMU for its version, is the command line.
"""

from __future__ import annotations

from vswitch.recipes.containers import ENGINES, container_args
from vswitch.recipes.facts import ETHERNET_MTU, Plug, Recipe, inet, station_address
from vswitch.recipes.libvirt import libvirt_xml
from vswitch.recipes.qemu import STREAM_SINCE, Version, qemu_args

__all__ = [
    "ENGINES",
    "ETHERNET_MTU",
    "STREAM_SINCE",
    "Plug",
    "Recipe",
    "Version",
    "container_args",
    "inet",
    "libvirt_xml",
    "qemu_args",
    "station_address",
]
