"""vswitch: a virtual Ethernet switch in user space for Linux.

    from vswitch import MemoryPort, Switch, TapPort

    with Switch() as switch:
        switch.add_port(TapPort("tap0"))
        switch.add_port(TapPort("tap1"))

The names below are loaded when they are first asked for: `vswitch --help`, and the commands that
ask a running switch, need neither the compiled datapath nor the time to load it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vswitch._fastpath import DROP_REASONS
    from vswitch.clock import Clock, FakeClock
    from vswitch.errors import VswitchError
    from vswitch.playback import replay
    from vswitch.ports import (
        DgramPort,
        MemoryPort,
        NetdevPort,
        PcapPort,
        Port,
        QemuListener,
        QemuPort,
        TapPort,
        VhostUserFolder,
        VhostUserPort,
    )
    from vswitch.ports.local import LocalPort
    from vswitch.portsettings import PortSettings
    from vswitch.status import ListenerStatus, PortStatus, Station
    from vswitch.switch import Switch

__version__ = "0.1.0"

__all__ = [
    "DROP_REASONS",
    "Clock",
    "DgramPort",
    "FakeClock",
    "ListenerStatus",
    "LocalPort",
    "MemoryPort",
    "NetdevPort",
    "PcapPort",
    "Port",
    "PortSettings",
    "PortStatus",
    "QemuListener",
    "QemuPort",
    "Station",
    "Switch",
    "TapPort",
    "VhostUserFolder",
    "VhostUserPort",
    "VswitchError",
    "__version__",
    "replay",
]

_HOME = {
    "DROP_REASONS": "vswitch._fastpath",
    "Clock": "vswitch.clock",
    "DgramPort": "vswitch.ports",
    "FakeClock": "vswitch.clock",
    "ListenerStatus": "vswitch.status",
    "LocalPort": "vswitch.ports.local",
    "MemoryPort": "vswitch.ports",
    "NetdevPort": "vswitch.ports",
    "PcapPort": "vswitch.ports",
    "Port": "vswitch.ports",
    "PortSettings": "vswitch.portsettings",
    "PortStatus": "vswitch.status",
    "QemuListener": "vswitch.ports",
    "QemuPort": "vswitch.ports",
    "Station": "vswitch.status",
    "Switch": "vswitch.switch",
    "TapPort": "vswitch.ports",
    "VhostUserFolder": "vswitch.ports",
    "VhostUserPort": "vswitch.ports",
    "VswitchError": "vswitch.errors",
    "replay": "vswitch.playback",
}


def __getattr__(name: str) -> Any:  # PEP 562
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
