"""Port kinds: each opens its device, says what it got, and puts it back at the end.

A kind is one file here and one C leaf, ``datapath/port_<kind>.c``; nothing in the frame path
asks which kind a port is.
"""

from __future__ import annotations

from vswitch.ports.base import Core, LinkState, Listener, Place, Port
from vswitch.ports.dgram import DgramPort
from vswitch.ports.memory import MemoryPort
from vswitch.ports.netdev import NetdevPort
from vswitch.ports.opening import open_listener, open_port
from vswitch.ports.pcap import PcapPort
from vswitch.ports.qemu import QemuListener, QemuPort
from vswitch.ports.tap import TapPort
from vswitch.ports.vhost_folder import VhostUserFolder
from vswitch.ports.vhost_user import VhostUserPort

__all__ = [
    "Core",
    "DgramPort",
    "LinkState",
    "Listener",
    "MemoryPort",
    "NetdevPort",
    "PcapPort",
    "Place",
    "Port",
    "QemuListener",
    "QemuPort",
    "TapPort",
    "VhostUserFolder",
    "VhostUserPort",
    "open_listener",
    "open_port",
]
