"""What the API says, as types: the server encodes them, the client decodes and checks them.

Every body is JSON. A failed request answers with `Error` and a status of 400 or above.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, defstruct

from vswitch.guardwords import MOVE_GUARD_MAX_S
from vswitch.options import Number, Option
from vswitch.portconfig import LIVE


class Health(Struct, frozen=True):
    """GET /healthz: every thread has just made a round; it fails with ``unhealthy`` if not."""

    name: str
    rounds: dict[str, int]  # since the start, by thread


class FdbInfo(Struct, frozen=True):
    """GET /v1/fdb/stats; those from `learned` on to `crowded` count events since the start.

    Nothing is ever evicted.
    """

    entries: int
    static: int  # of these
    limit: int
    learned: int
    moved: int
    expired: int
    refused: int  # not learned, because a limit was reached
    crowded: int  # not learned below the limit: the table found no place
    locked: int = 0  # of the entries: those that only knocked at a locked port


class NeighboursInfo(Struct, frozen=True):
    """Of GET /v1/switch; the last three count since the start"""

    entries: int
    limit: int
    refused: int  # not taken in, because the limit was reached
    answered: int  # questions, instead of their stations
    suppressed: int  # frames not sent to ports with neigh-suppress, the same included


class DropReason(Struct, frozen=True):
    """Why frames are dropped."""

    name: str
    where: str  # "rx": counted on the port it came from; "tx": on the one it was to leave by
    text: str


class SwitchInfo(Struct, frozen=True):
    """GET /v1/switch"""

    name: str
    version: str
    pid: int
    core: str
    pollers: int
    busy_poll_us: int
    ageing_s: int
    uptime_s: int
    forward: list[str]  # reserved addresses that are forwarded: names, or last bytes
    ports: int
    fdb: FdbInfo
    drop_reasons: list[DropReason]
    dhcp_guard: bool = False  # what DHCP servers say enters at trusted ports only
    ra_guard: bool = False  # the same of routers
    dhcp_snooping: bool = False  # and IPv4 addresses at others have to be leased
    dhcp6_snooping: bool = False  # the same of IPv6 addresses, but for link-local ones
    move_guard_s: int = 0  # a station heard so recently does not move; 0: it does
    loop_detect: str = "off"  # on, report or off
    loop_hold_s: int = 10  # silence that frees the port of a loop that came again
    neighbours: NeighboursInfo | None = None


class VlansInfo(Struct, frozen=True):
    """What a port does with VLANs; lists of them are as 10,20-29"""

    said: str  # as on the command line, the shortest way; "" if nothing was
    mode: str  # access, trunk, hybrid, or plain: of all, with its tags as they are
    pvid: int | None  # of frames without a tag: 0 no VLAN, None those do not enter
    tagged: str
    untagged: str
    accept: str  # all, tagged or untagged: what may enter
    ingress_filter: bool
    tag_type: str
    translate: list[tuple[int, int]]  # on the wire, and here


class PortInfo(Struct, frozen=True):
    """An element of GET /v1/ports"""

    name: str
    number: int
    kind: str
    end: str  # which end of the device the switch holds: "file", or "" if it has none
    driver: str  # of the device behind it: "tap", "veth", "e1000e"; "" if there is none
    address: str  # of a port over a socket or a file: its path, or HOST:PORT; else ""
    remote: str  # its peer's, if it is known
    ips: list[str]  # the host's, of its own port: as 10.0.0.1/24
    created: bool  # by this switch: the device goes when the switch does
    state: str  # forwarding, mirror (copies only), blocked (by command), looped, down or gone
    learning: bool  # as it was set
    forwarding: bool  # as it was set: where it is up, `state` says the same
    fdb_limit: int  # stations it may have; 0: no limit of its own
    limit_drop: bool  # at that limit frames of others are dropped, not only not learned from
    vlans: VlansInfo | None  # None: no option about them was given
    isolated: bool
    hairpin: bool
    flood: bool
    mcast_flood: bool
    bcast_flood: bool
    locked: bool
    mab: bool  # who may not enter as it is locked, gets an entry that is
    backup: str  # the port that gets what is for this one while its link is down; "" for none
    mtu: int
    queues: int
    queues_used: int  # by whoever is at the other end
    vnet_header: bool
    offloads: list[str]
    stations: int
    counters: dict[str, int]
    drops: dict[str, int]  # frames by name of `SwitchInfo.drop_reasons`
    allow_mac: list[str] = []  # sources that may speak there; none: any
    allow_ip: list[str] = []  # addresses that may be spoken for; none: any
    trusted: bool = False  # DHCP servers and routers are there
    police: str = ""  # the rate that may enter, as 10mbit or 1kpps; "" for any
    police_burst: int = 0  # bytes, or packets, that may enter at once; 0: by the rate
    storm_broadcast: str = ""  # the rate of what may enter and is flooded
    storm_multicast: str = ""
    storm_unknown: str = ""  # unicast for stations not known
    shape: str = ""  # the rate that leaves, behind which frames wait; "" for any
    shape_burst: int = 0  # bytes that leave at once; 0: by the rate
    shape_queue: int = 0  # bytes that may wait; 0: by the rate
    loop_detect: bool = True  # if the switch looks for loops
    neigh_suppress: bool = False  # questions that the switch answers are not sent there


class VlanCounters(Struct, frozen=True):
    """What a port counted in one VLAN; bytes are those on the wire, tags included"""

    vid: int
    rx_frames: int
    rx_bytes: int
    tx_frames: int
    tx_bytes: int


class PortVlansInfo(Struct, frozen=True):
    """An element of GET /v1/vlans[?port=NAME]"""

    port: str
    vlans: VlansInfo | None  # None: no port has an option about them, and tags are payload
    counters: list[VlanCounters]  # of VLANs with traffic


class NewMember(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/vlans: a port is of these VLANs, too"""

    port: str
    vid: str  # or several: 10,20-29
    pvid: bool = False  # untagged frames that enter are of it
    untagged: bool = False  # its frames leave without a tag


class ListenerInfo(Struct, frozen=True):
    """An element of GET /v1/listeners"""

    name: str  # what its ports are called after
    kind: str
    address: str  # its path, absolute, or HOST:PORT
    mtu: int
    ports: int  # connected now


class MirrorInfo(Struct, frozen=True, forbid_unknown_fields=True):
    """An element of GET /v1/mirrors, and POST /v1/mirrors"""

    name: str
    target: str  # the port that gets copies, and nothing else
    sources: list[str] = []  # ports, as "tap0", "tap1,in" or "tap2,out"; none: all
    vlans: str = ""  # only frames of these, as "10,20-29"; "": all

    @property
    def text(self) -> str:
        """As ``vswitch mirror add`` reads it."""
        words = ["from", ",".join(self.sources)] if self.sources else []
        words += ["vlan", self.vlans] if self.vlans else []
        return " ".join([self.name, *words, "to", self.target])


class NewNeighbour(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/neighbours adds a neighbour by hand, PUT also changes one"""

    ip: str
    lladdr: str
    vlan: int = 0  # 0: of no VLAN
    router: bool = False  # it says so when it is asked over IPv6


class NeighbourInfo(Struct, frozen=True, omit_defaults=True):
    """An element of GET /v1/neighbours[?vlan=VID]"""

    ip: str
    lladdr: str
    vlan: int = 0
    router: bool = False
    origin: str = "static"  # by hand; or dhcp: a lease; guard: what is set of a port


class NewPort(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/ports, and POST /v1/listeners: what ``--port``, or ``--listen``, is given."""

    port: str


def _of(option: Option) -> Any:
    """The type of an option's value in JSON, for msgspec."""
    kind = JSON_TYPES.get(option.returns, str)
    if isinstance(option.reader, Number):
        return Annotated[kind, Meta(ge=option.reader.low, le=option.reader.high)] | None
    return kind | None


# By `Option.returns`; everything else is text, as the command line has it.
JSON_TYPES: Mapping[str, Any] = {
    "bool": bool, "State": bool, "int": int, "tuple[str, ...]": list[str],
}  # fmt: skip
PortChange = defstruct(
    "PortChange",
    [
        (name, Annotated[_of(option), Meta(description=option.text)], None)
        for name, option in LIVE.items()
    ],
    namespace={"__doc__": "PATCH /v1/ports/{port}: what is given is changed."},
    module=__name__,
    frozen=True,
    forbid_unknown_fields=True,
)


class SwitchChange(Struct, frozen=True, forbid_unknown_fields=True):
    """PATCH /v1/switch: what is given is changed."""

    dhcp_guard: bool | None = None
    ra_guard: bool | None = None
    dhcp_snooping: bool | None = None
    dhcp6_snooping: bool | None = None
    move_guard_s: Annotated[int, Meta(ge=0, le=MOVE_GUARD_MAX_S)] | None = None
    ageing_s: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    forward: list[str] | None = None  # names, or last bytes, of reserved addresses
    loop_detect: Literal["on", "report", "off"] | None = None
    loop_hold_s: Annotated[int, Meta(ge=1, le=3600)] | None = None


class NewEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/fdb adds a static station, PUT /v1/fdb also moves one."""

    mac: str
    port: str
    vid: int = 0  # 0: that of untagged frames there
    sticky: bool = False  # it ages, as one that was just heard, and does not move


class FdbEntry(Struct, frozen=True, omit_defaults=True):
    """An element of GET /v1/fdb[?port=NAME][&mac=MAC][&vid=VID][&static=true]"""

    mac: str
    port: str
    vid: int = 0  # 0: of no VLAN
    static: bool = False
    sticky: bool = False  # it ages, and does not move
    locked: bool = False  # it only knocked at a locked port, and its frames are dropped
    age_s: int | None = None  # since last heard; None for a static one


class BindingInfo(Struct, frozen=True):
    """An element of GET /v1/guard/bindings: what DHCP gave to a station"""

    mac: str
    ip: str
    vid: int  # 0 while the switch is VLAN-unaware
    port: str
    seconds: int | None  # that are left; null: it has no end


class EventInfo(Struct, frozen=True, omit_defaults=True):
    """A message of GET /v1/events, and of GET /v1/events/history"""

    kind: str  # one of `vswitch.events.KINDS`, or "lost"
    time: float  # seconds since 1970
    port: str | None = None  # where it is now, or what it is about
    old_port: str | None = None  # where the station was before
    mac: str | None = None
    vid: int = 0
    static: bool = False
    was_static: bool = False
    locked: bool = False  # as `FdbEntry.locked`
    was_locked: bool = False
    sticky: bool = False  # as `FdbEntry.sticky`
    was_sticky: bool = False
    reason: str | None = None
    count: int | None = None  # stations, moves or frames; of "lost": events
    rate: float | None = None  # moves or frames a second
    listener: str | None = None  # the name of a place where VMs connect
    address: str | None = None  # its path, absolute, or HOST:PORT
    vlans: str | None = None  # what is set of the port about them, as on the command line
    old_vlans: str | None = None  # what was


class History(Struct, frozen=True):
    """GET /v1/events/history"""

    events: list[EventInfo]  # the newest that were asked for, the oldest of them first
    more: int  # older ones that are kept: ask with a higher limit


class FlushResult(Struct, frozen=True):
    """DELETE /v1/fdb[?port=NAME][&mac=MAC][&vid=VID], and DELETE /v1/neighbours[?vlan=VID]"""

    flushed: int


class ConfigInfo(Struct, frozen=True):
    """GET /v1/config: what the switch is now, as its configuration file would say it"""

    toml: str
    tables: dict[str, Any]  # the same, as JSON
    file: str | None  # absolute; None if it was started without one
    digest: str  # SHA-256 of the file as it was read, "" for a folder


class NewConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/config/check: what a file says; without it, what the switch's own file says now."""

    toml: str | None = None


class ConfigCheck(Struct, frozen=True):
    """What a reload would change"""

    changes: list[str]  # as a reload would report them
    before: str  # both as TOML, in one order
    after: str


class Reloaded(Struct, frozen=True):
    """POST /v1/reload"""

    changes: list[str]


class Error(Struct, frozen=True, omit_defaults=True):
    """Any failed request.

    ``code`` is ``bad-input`` (status 400), ``unauthorized`` (401: no token, over TCP),
    ``forbidden`` (403: another user's switch), ``not-found`` (404), ``bad-method`` (405),
    ``timeout`` (408: the request did not arrive in time), ``exists`` or ``refused`` (409: the host,
    or a limit of the switch, says no), ``too-large`` (413, 431), ``bad-type`` (415), ``internal``
    (500), ``busy`` (503: try again) or ``unhealthy`` (503: a thread makes no rounds).
    """

    error: str
    hint: str | None = None
    code: str = ""
