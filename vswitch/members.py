"""The ports of a switch: what it knows of each, and tells."""

from __future__ import annotations

from dataclasses import dataclass, fields

from vswitch.core import Core
from vswitch.ports import Port
from vswitch.portsettings import DEFAULT, PortSettings
from vswitch.status import PortStatus


@dataclass(slots=True)
class Member:
    """A port of a switch."""

    port: Port
    number: int
    settings: PortSettings = DEFAULT  # as they were set, whatever the port's state makes of them
    up: bool = True
    aside: bool = False  # the target of a mirror
    held: bool = False  # because of a loop
    gone: bool = False  # its device was deleted; it stays listed until it is removed
    finished: bool = False  # nothing more will enter there
    unseen: str = ""  # why its link cannot be looked at, "" if it can

    @property
    def state(self) -> str:
        """``forwarding``, ``mirror`` (the target of one), ``blocked`` (by command), ``looped``
        (held for a loop), ``down`` (no link) or ``gone``."""
        if self.gone:
            return "gone"
        if not self.up:
            return "down"
        if not self.settings.forwarding:
            return "blocked"
        if self.held:
            return "looped"
        return "mirror" if self.aside else "forwarding"

    def status(self, core: Core) -> PortStatus:
        """What there is to know about it now; *core* is where it is a number."""
        port = self.port
        counters, drops = core.counters(self.number)
        return PortStatus(
            name=port.name,
            number=self.number,
            kind=port.kind,
            end=port.end,
            driver=port.driver,
            address=port.address,
            remote=port.remote,
            ips=tuple(port.ips),
            created=port.created,
            state=self.state,
            mtu=port.mtu,
            queues=port.queues,
            queues_used=port.queues_used,
            vnet_header=port.vnet_header,
            offloads=port.offloads,
            stations=core.fdb.port_entries(self.number),
            counters=counters,
            drops=drops,
            **{f.name: getattr(self.settings, f.name) for f in fields(PortSettings)},
        )
