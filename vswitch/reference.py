"""A learning Ethernet switch in plain Python, to be read.

This is the whole behaviour of vswitch without its speed: what the compiled datapath does to a
frame, said once in the order in which it happens.  Begin with `ReferenceSwitch.receive`.

    >>> from vswitch.reference import ReferenceSwitch
    >>> switch = ReferenceSwitch()
    >>> a, b, c = switch.add_port(), switch.add_port(), switch.add_port()
    >>> alice, bob = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
    >>> hello = bob + alice + bytes.fromhex("88b5") + b"hello"
    >>> sorted(switch.receive(a, [hello], now_s=0))  # nobody has heard bob: everyone gets it
    [1, 2]
    >>> answer = alice + bob + bytes.fromhex("88b5") + b"hello yourself"
    >>> sorted(switch.receive(c, [answer], now_s=1))  # but alice was heard, on port 0
    [0]

What a switch is (IEEE 802.1Q-2018 clause 8, without VLANs):

- It *learns*: the source address of a frame tells behind which port that station is.
- It *forwards*: a frame for a station it knows leaves by that station's port only.
- It *floods*: a frame for a group, or for a station it does not know, leaves by every port but
  the one it came in by.
- It *forgets*: a station not heard for the ageing time is unknown again, as it may have gone.

It also serves as the oracle of the tests, which hold it against the compiled datapath and against
the Linux bridge, and as the switch of ``vswitch --core python`` (by way of ``_slowpath.py``).
It handles finished frames only: checksums and segmentation are the business of devices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass

from vswitch.errors import FdbFullError

# From specifications.
ETH_LEN = 14  # destination, source, EtherType (IEEE 802.3 3.1.1)
TAG_LEN = 4  # one VLAN tag (IEEE 802.1Q 9.3)
BROADCAST = b"\xff" * 6
RESERVED = bytes.fromhex("0180c20000")  # and a byte below 16 (IEEE 802.1Q-2018 table 8-1)
PAUSE = 1  # 01-80-C2-00-00-01 (IEEE 802.3 annex 31B)
AGEING_S = 300  # IEEE 802.1Q-2018 table 8-6

# Chosen by us.
FRAME_MAX = 65_568  # a 65,535-byte IP packet behind an Ethernet header and two tags
MTU_EXTRA = ETH_LEN + TAG_LEN  # how much longer than its MTU a frame may be, as in Linux
PUNT_FRAMES = 512  # that may wait for the control plane

# Why a frame is not forwarded: counted where it came in, or where a copy of it was to leave.
RX_DROPS = (
    "runt",  # shorter than an Ethernet header, or longer than any frame
    "bad_source",  # the source is a group address or zero
    "bad_offload",  # (never here: its virtio-net header does not fit; see _slowpath.py)
    "reserved",  # sent to a link-local address
    "blocked",  # the port it came from is not forwarding
    "hairpin",  # its station is behind the port it came from
    "no_egress",  # no other port may send it
    "punt_full",  # the control plane did not keep up
    "rx_full",  # (never here: the kernel had no room for it before we read)
)
TX_DROPS = ("tx_full", "tx_error", "too_long", "tx_offload")

# What a port counts. Always rx_frames = forwarded + punted + the sum of RX_DROPS.
COUNTERS = (
    "rx_frames",
    "rx_bytes",
    "tx_frames",
    "tx_bytes",
    "forwarded",  # received frames handed to at least one other port
    "punted",  # received frames given to the control plane
    "flooded_unicast",
    "flooded_multicast",
    "flooded_broadcast",
    *RX_DROPS,
    *TX_DROPS,
)


def is_group(mac: bytes) -> bool:
    """Whether an address names several stations: multicast or broadcast (IEEE 802 8.2.2)."""
    return bool(mac[0] & 1)


# ---------------------------------------------------------------- the forwarding database


@dataclass(slots=True)
class Station:
    """Where a station was heard last, or was pinned."""

    port: int
    heard_s: int
    static: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One live station, as `Fdb.rows` reports it."""

    vid: int
    mac: bytes
    port: int
    static: bool
    age_s: int  # seconds since it was last heard; 0 for a static one


class Fdb:
    """The forwarding database: which port was this station last heard on?

    A station is an address within a VLAN; VLAN 0 as long as the switch takes no notice of them.

    A station that is not heard for *ageing_s* is dead to `lookup` at that moment, but keeps its
    place until `expire` is called, about once a second, or until it is heard again.  With
    *ageing_s* 0 stations stay for ever.

    There are at most *limit* stations, and at most ``port_limit[port]`` on a port that has such
    a limit.  Where no more may be learned those who are known stay, and the newcomer is
    `refused`: whoever fills the table with forged addresses displaces nobody.
    """

    def __init__(self, *, limit: int = 65_536, ageing_s: int = AGEING_S) -> None:
        self.limit = limit
        self.ageing_s = ageing_s
        self.port_limit: dict[int, int] = {}  # no entry, or 0: only the table's limit
        self.port_entries: Counter[int] = Counter()
        self.learned = 0
        self.moved = 0  # heard on another port than before
        self.expired = 0
        self.refused = 0
        self._stations: dict[tuple[int, bytes], Station] = {}

    def __len__(self) -> int:
        return len(self._stations)

    def learn(self, vid: int, mac: bytes, port: int, now_s: int) -> None:
        """Record that a station was heard on *port*."""
        station = self._stations.get((vid, mac))
        if station is None:
            if self._has_room(port):
                self._add(vid, mac, Station(port, now_s))
                self.learned += 1
        elif not station.static:
            self._hear_again(station, port, now_s)

    def _hear_again(self, station: Station, port: int, now_s: int) -> None:
        if station.port != port and self._port_is_full(port):
            self.refused += 1  # and it keeps its old place
            return
        if self._is_dead(station, now_s):
            self.expired += 1
            self.learned += 1
        elif station.port != port:
            self.moved += 1
        self._move(station, port)
        station.heard_s = now_s

    def lookup(self, vid: int, mac: bytes, now_s: int) -> int | None:
        """The port of a station, or None when it is unknown or dead."""
        station = self._stations.get((vid, mac))
        if station is None or self._is_dead(station, now_s):
            return None
        return station.port

    def pin(self, vid: int, mac: bytes, port: int) -> None:
        """Make a station static: it neither moves nor ages.

        Raises:
            FdbFullError: A limit is reached; the station is where it was.
        """
        station = self._stations.get((vid, mac))
        if station is None:
            if not self._has_room(port):
                raise FdbFullError(vid, mac)
            self._add(vid, mac, Station(port, 0, static=True))
        elif station.port != port and self._port_is_full(port):
            self.refused += 1
            raise FdbFullError(vid, mac)
        else:
            self._move(station, port)
            station.static = True

    def delete(self, vid: int, mac: bytes) -> bool:
        """Forget a station, static or not; whether it was there."""
        station = self._stations.pop((vid, mac), None)
        if station is None:
            return False
        self.port_entries[station.port] -= 1
        return True

    def flush(self, port: int | None = None, *, with_static: bool = False) -> int:
        """Forget the stations of one port or of all; how many there were."""
        return self._delete_all(
            key
            for key, station in self._stations.items()
            if port in (None, station.port) and (with_static or not station.static)
        )

    def expire(self, now_s: int) -> int:
        """Free the places of dead stations; how many there were."""
        n = self._delete_all(k for k, s in self._stations.items() if self._is_dead(s, now_s))
        self.expired += n
        return n

    def rows(self, now_s: int) -> Iterator[Row]:
        """The live stations, in no particular order."""
        for (vid, mac), s in self._stations.items():
            if not self._is_dead(s, now_s):
                age_s = 0 if s.static else max(now_s - s.heard_s, 0)
                yield Row(vid, mac, s.port, s.static, age_s)

    def _is_dead(self, station: Station, now_s: int) -> bool:
        if station.static or not self.ageing_s:
            return False
        return now_s - station.heard_s >= self.ageing_s

    def _port_is_full(self, port: int) -> bool:
        limit = self.port_limit.get(port, 0)
        return bool(limit) and self.port_entries[port] >= limit

    def _has_room(self, port: int) -> bool:
        if len(self._stations) < self.limit and not self._port_is_full(port):
            return True
        self.refused += 1
        return False

    def _add(self, vid: int, mac: bytes, station: Station) -> None:
        self._stations[vid, mac] = station
        self.port_entries[station.port] += 1

    def _move(self, station: Station, port: int) -> None:
        self.port_entries[station.port] -= 1
        self.port_entries[port] += 1
        station.port = port

    def _delete_all(self, keys: Iterable[tuple[int, bytes]]) -> int:
        return sum(self.delete(*key) for key in list(keys))


# ---------------------------------------------------------------- ports and the switch


class Port:
    """One port of the switch.

    Subclass it to put frames on a real wire: `send` is the only thing to replace.
    """

    def __init__(self, *, mtu: int = 1500) -> None:
        self.mtu = mtu
        self.learning = True  # the two flags of a port's state (IEEE 802.1Q-2018 8.4):
        self.forwarding = True  # a blocked port does neither, or only the first
        self.counters: MutableMapping[str, int] = dict.fromkeys(COUNTERS, 0)

    def send(self, frame: bytes) -> str | None:
        """Put a frame on the wire; None, or the name in TX_DROPS of what prevented it."""
        return None

    def count(self, name: str, n: int = 1) -> None:
        self.counters[name] += n


class ReferenceSwitch:
    """A switch: ports, a forwarding database, and what happens to reserved addresses."""

    def __init__(self, *, fdb_limit: int = 65_536, ageing_s: int = AGEING_S) -> None:
        self.fdb = Fdb(limit=fdb_limit, ageing_s=ageing_s)
        self.ports: dict[int, Port] = {}  # by number
        # By the last digit of 01-80-C2-00-00-0x: "forward", "drop" or "punt".  As the Linux
        # bridge with STP off: BPDUs (00) pass, so that others can see a loop through us.
        self.reserved = ["forward"] + ["drop"] * 15
        self.punted: list[tuple[int, bytes]] = []  # for the control plane: (ingress, frame)

    # ------------------------------------------------------------ configuration

    def add_port(self, port: Port | None = None) -> int:
        """Connect a port; return its number, the lowest one free."""
        number = next(n for n in range(len(self.ports) + 1) if n not in self.ports)
        self.ports[number] = port or Port()
        self.ports = dict(sorted(self.ports.items()))  # flooding goes by number
        self.fdb.port_limit[number] = 0
        return number

    def remove_port(self, number: int) -> None:
        """Disconnect a port and forget its stations, static ones too."""
        del self.ports[number]
        self.fdb.flush(number, with_static=True)

    # ------------------------------------------------------------ the way of a frame

    def receive(self, ingress: int, frames: Sequence[bytes], now_s: int) -> dict[int, list[bytes]]:
        """Take the *frames* that arrived on a port; return what each other port sent.

        The frames are a burst: all are admitted, then all are learned, and only then is any of
        them decided.  So a frame can profit from one behind it.

        Args:
            ingress: Number of the port they came in by.
            frames: From the destination address to the end of the payload, without FCS.
            now_s: The time, in seconds of any clock that does not go back.
        """
        port = self.ports[ingress]
        admitted = [frame for frame in frames if self._admit(port, frame)]
        if port.learning:
            for frame in admitted:
                self.fdb.learn(0, frame[6:12], ingress, now_s)
        outbox: dict[int, list[bytes]] = {}
        for frame in admitted:
            for egress in self._decide(ingress, frame, now_s):
                outbox.setdefault(egress, []).append(frame)
        return {egress: self._transmit(egress, queue) for egress, queue in outbox.items()}

    def _admit(self, port: Port, frame: bytes) -> bool:
        """Count an arrival, and judge whether the frame is one at all."""
        port.count("rx_frames")
        port.count("rx_bytes", len(frame))
        reason = self.judge(frame)
        if reason:
            port.count(reason)
        return reason is None

    def judge(self, frame: bytes) -> str | None:
        """Why a frame is not even learned from: a name in RX_DROPS, or None when it is."""
        if not ETH_LEN <= len(frame) <= FRAME_MAX:
            return "runt"
        source = frame[6:12]
        if is_group(source) or source == bytes(6):
            return "bad_source"
        # Pause frames are for the device that received them; a bridge learns nothing there.
        if frame[:6] == RESERVED + bytes([PAUSE]) and self._verdict(frame) == "drop":
            return "reserved"
        return None

    def _verdict(self, frame: bytes) -> str:
        if frame[:5] == RESERVED and frame[5] < 16:
            return self.reserved[frame[5]]
        return "forward"

    def _decide(self, ingress: int, frame: bytes, now_s: int) -> list[int]:
        """The numbers of the ports a frame leaves by; none when it is dropped or punted."""
        port, verdict = self.ports[ingress], self._verdict(frame)
        if verdict == "drop":
            return self._drop(port, "reserved")
        if verdict == "punt":  # also from a blocked port: so spanning tree hears its neighbours
            return self._punt(ingress, frame)
        if not port.forwarding:
            return self._drop(port, "blocked")
        destination = frame[:6]
        egress = None if is_group(destination) else self.fdb.lookup(0, destination, now_s)
        if egress is None:
            return self._flood(ingress, destination)
        if egress == ingress:  # they hear each other without our help
            return self._drop(port, "hairpin")
        if not self.ports[egress].forwarding:
            return self._drop(port, "no_egress")
        port.count("forwarded")
        return [egress]

    def _flood(self, ingress: int, destination: bytes) -> list[int]:
        port = self.ports[ingress]
        others = [n for n, p in self.ports.items() if p.forwarding and n != ingress]
        if not others:
            return self._drop(port, "no_egress")
        port.count("forwarded")
        if not is_group(destination):
            port.count("flooded_unicast")
        elif destination == BROADCAST:
            port.count("flooded_broadcast")
        else:
            port.count("flooded_multicast")
        return others

    def _punt(self, ingress: int, frame: bytes) -> list[int]:
        """Give a frame to the control plane, which empties `punted` now and then."""
        port = self.ports[ingress]
        if len(self.punted) >= PUNT_FRAMES:
            return self._drop(port, "punt_full")
        self.punted.append((ingress, frame))
        port.count("punted")
        return []

    @staticmethod
    def _drop(port: Port, reason: str) -> list[int]:
        port.count(reason)
        return []

    def _transmit(self, egress: int, frames: Iterable[bytes]) -> list[bytes]:
        """Send in order; return what went.  A copy lost here is lost for this port only."""
        port = self.ports[egress]
        sent = []
        for frame in frames:
            reason = "too_long" if len(frame) > port.mtu + MTU_EXTRA else port.send(frame)
            if reason:
                port.count(reason)
                continue
            port.count("tx_frames")
            port.count("tx_bytes", len(frame))
            sent.append(frame)
        return sent
