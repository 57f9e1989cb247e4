"""What happens in a switch, told as facts: one `Event` each."""

from __future__ import annotations

from dataclasses import dataclass

# The kinds of events by the word that `vswitch monitor` has for them.
STATION_KINDS = ("learned", "moved", "expired", "flushed", "deleted", "pinned")
GROUPS = {
    "fdb": (*STATION_KINDS, "limit_reached", "move_refused", "flapping", "flapping_ended"),
    "link": ("link_up", "link_down"),
    "vlan": ("vlans_changed",),
    "port": (
        *("port_added", "port_removed", "listener_added", "listener_removed"),
        *("drop_storm", "drop_storm_ended", "loop_found", "loop_over"),
    ),
}
KINDS = tuple(kind for kinds in GROUPS.values() for kind in kinds)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; what does not apply to its kind is None or False.

    ================= =============================================================================
    learned, moved    a station was heard on *port*, before on *old_port*; *locked*: it only
                      knocked there, and waits to be let in
    expired           it was not heard for the ageing time; it was behind *old_port*
    flushed, deleted  it was forgotten by command, or because *old_port* went down or away
    pinned            it is static now
    limit_reached     *mac* was not learned on *port*; told once, and again after 10 s without one
    move_refused      *mac* was heard on *port* while it is held at *old_port*; told as that is
    flapping          it moves between *port* and *old_port*, *rate* times a second
    flapping_ended    not any more, after *count* moves
    link_up, _down    of *port*; *count* stations were flushed
    vlans_changed     what is set of *port* about VLANs is *vlans* now, and was *old_vlans*
    port_added, port_removed
    listener_added    *listener* is a place, at *address*, where VMs connect
    listener_removed  it is closed; the ports of those who are there stay
    drop_storm        *port* drops *rate* frames a second for *reason*
    drop_storm_ended  not any more, after *count* frames
    loop_found        *port* and *old_port* hear one another; *reason*: held, or reported only
    loop_over         not any more
    ================= =============================================================================
    """

    kind: str
    time_s: float  # of the monotonic clock
    wall_s: float  # since 1970
    port: str | None = None
    old_port: str | None = None
    mac: bytes | None = None
    vid: int = 0
    static: bool = False  # what it is now
    was_static: bool = False
    locked: bool = False
    was_locked: bool = False
    sticky: bool = False
    was_sticky: bool = False
    reason: str | None = None
    count: int | None = None
    rate: float | None = None  # per second
    listener: str | None = None  # its name
    address: str | None = None
    vlans: str | None = None  # as on the command line; "" for none
    old_vlans: str | None = None
