"""What a port may do, and is told while frames flow.

A setting is written down here, with its default and its type, and in `portconfig.OPTIONS`, which
says how it is spelled, what can be, and what it does. The rest follows from these: ports and
listeners of every kind take it, on the command line and in a configuration file; it is changed by
``vswitch link set``, by ``PATCH /v1/ports/{port}`` and by a reload; `PortStatus` tells it. What
remains is ``set_port`` of the datapath, which does it, and `control.schema.PortInfo`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypedDict

from vswitch.errors import ConfigError
from vswitch.vlans import PortVlans

# Sizes, and the rates that they are of.
_OF_RATES = (("police_burst", "police"), ("shape_burst", "shape"), ("shape_queue", "shape"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSettings:
    """What is set of a port; its state in IEEE 802.1Q-2018 8.4 is the first two."""

    learning: bool = True  # from what enters here
    forwarding: bool = True  # or blocked: nothing enters or leaves
    fdb_limit: int = 0  # stations; 0: only the switch's limit counts
    limit_drop: bool = False  # drop frames of stations beyond that, instead of not learning them
    vlans: PortVlans | None = None  # None: no option about VLANs was given
    # Flags of bridge(8).
    isolated: bool = False  # nothing passes between two such ports
    hairpin: bool = False  # frames may leave where they came in
    flood: bool = True  # unknown unicast leaves here
    mcast_flood: bool = True  # multicast
    bcast_flood: bool = True  # broadcast
    locked: bool = False  # only sources may enter whose entry is here
    mab: bool = False  # and who may not, gets an entry that says so; locked, and learning
    # Who may speak there, see guardwords.py.
    allow_mac: tuple[str, ...] = ()  # Ethernet sources; none: any
    allow_ip: tuple[str, ...] = ()  # addresses to be spoken for; none: any
    trusted: bool = False  # DHCP servers and routers are there
    backup: str = ""  # the port that gets what is for this one while its link is down
    # Rates as `rates.rate` has them; nothing: no limit.
    police: str = ""  # of all that enters
    police_burst: int = (
        0  # what passes at once: bytes, of a rate in packets packets; 0: see meters.py
    )
    storm_broadcast: str = ""  # of what enters and is flooded
    storm_multicast: str = ""
    storm_unknown: str = ""  # unicast for stations not known
    shape: str = ""  # of all that leaves, which waits for its turn
    shape_burst: int = 0  # bytes that leave at once; 0: see meters.py
    shape_queue: int = 0  # bytes that may wait; 0: the same
    loop_detect: bool = True  # if the switch does
    neigh_suppress: bool = False  # no questions that the switch answers are sent there

    @property
    def settings(self) -> PortSettings:
        """Of something that has more than settings, only these."""
        return PortSettings(**{f.name: getattr(self, f.name) for f in fields(PortSettings)})

    def check(self, what: str) -> None:
        """Raise ConfigError, which begins with *what*, when one contradicts another."""
        if self.mab and not (self.locked and self.learning):  # as br_setport() in Linux
            error = ConfigError(
                f"{what}: mab is for a port that is locked and learns",
                hint="locked=on and learning=on with it, or mab=off",
            )
            error.key = "mab"
            raise error
        for size, rate in _OF_RATES:
            if getattr(self, size) and not getattr(self, rate):
                key = size.replace("_", "-")
                error = ConfigError(
                    f"{what}: {key} does nothing without {rate}",
                    hint=f"{rate}=RATE with it, or {key}=0",
                )
                error.key = key
                raise error


class PortChange(TypedDict, total=False):
    """Those of a port's settings, and of what else is changed while it is open, that are given."""

    learning: bool
    forwarding: bool
    fdb_limit: int
    limit_drop: bool
    vlans: PortVlans | None
    isolated: bool
    hairpin: bool
    flood: bool
    mcast_flood: bool
    bcast_flood: bool
    locked: bool
    mab: bool
    allow_mac: tuple[str, ...]
    allow_ip: tuple[str, ...]
    trusted: bool
    backup: str
    police: str
    police_burst: int
    storm_broadcast: str
    storm_multicast: str
    storm_unknown: str
    shape: str
    shape_burst: int
    shape_queue: int
    loop_detect: bool
    neigh_suppress: bool
    mtu: int  # bytes


def whole(change: Mapping[str, Any]) -> dict[str, Any]:
    """A change of settings with what follows from it: a rate that goes takes along its sizes,
    unless they are given."""
    gone = {size: 0 for size, rate in _OF_RATES if change.get(rate) == ""}
    return {**gone, **change}


DEFAULT = PortSettings()
