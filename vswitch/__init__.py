"""vswitch: a virtual Ethernet switch in user space for Linux.

from vswitch import MemoryPort, Switch, TapPort

with Switch() as switch:
    switch.add_port(TapPort("tap0"))
    switch.add_port(TapPort("tap1"))
"""

from vswitch._fastpath import DROP_REASONS
from vswitch.clock import Clock, FakeClock
from vswitch.errors import VswitchError
from vswitch.ports import MemoryPort, Port, TapPort
from vswitch.switch import PortStatus, Station, Switch

__version__ = "0.1.0"

__all__ = [
    "DROP_REASONS",
    "Clock",
    "FakeClock",
    "MemoryPort",
    "Port",
    "PortStatus",
    "Station",
    "Switch",
    "TapPort",
    "VswitchError",
    "__version__",
]
