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

What a switch is (IEEE 802.1Q-2018 clause 8):

- It *learns*: the source address of a frame tells behind which port that station is.
- It *forwards*: a frame for a station it knows leaves by that station's port only.
- It *floods*: a frame for a group, or for a station it does not know, leaves by every port but
  the one it came in by.
- It *forgets*: a station not heard for the ageing time is unknown again, as it may have gone.
- It may be *several*: with VLANs a frame is of one of them, and stays among its ports. Which one
  its tag says, or the port it came in by; `ReferenceSwitch.set_vlans` makes it look at either.

It also serves as the oracle of the tests, which hold it against the compiled datapath and against
the Linux bridge, and as the switch of ``vswitch --core python`` (by way of ``_slowpath.py``).
It handles finished frames only: checksums and segmentation are the business of devices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vswitch.meters import Shape
from vswitch.portsettings import PortSettings
from vswitch.reference_counts import COUNTERS, RX_DROPS, TX_DROPS
from vswitch.reference_fdb import AGEING_S, Fdb, Row, Station
from vswitch.reference_frame import Admitted, flood_kind, floods, is_group
from vswitch.reference_guard import admits, is_copied, sifted
from vswitch.reference_loop import Probes
from vswitch.reference_mab import lets_in
from vswitch.reference_mirror import Mirrors
from vswitch.reference_neigh import Neighbours
from vswitch.reference_port import ETH_LEN, TAG_LEN, Port
from vswitch.reference_shaper import Shaper
from vswitch.vlans import PortVlans

__all__ = ["COUNTERS", "RX_DROPS", "TX_DROPS", "Fdb", "Port", "ReferenceSwitch", "Row", "Station"]

# From specifications.
RESERVED = bytes.fromhex("0180c20000")  # and a byte below 16 (IEEE 802.1Q-2018 table 8-1)
PAUSE = 1  # 01-80-C2-00-00-01 (IEEE 802.3 annex 31B)

# Chosen by us.
NS_PER_S = 1_000_000_000
FRAME_MAX = 65_568  # a 65,535-byte IP packet behind an Ethernet header and two tags
MTU_EXTRA = ETH_LEN + TAG_LEN  # how much longer than its MTU a frame may be, as in Linux
PUNT_FRAMES = 512  # that may wait for the control plane
COPY = 0x8000  # in the number of the port a punted frame came from: it went on as well
Sent = dict[int, list[bytes]]  # by port


class ReferenceSwitch:
    """A switch: ports, a forwarding database, and what happens to reserved addresses."""

    def __init__(self, *, fdb_limit: int = 65_536, ageing_s: int = AGEING_S) -> None:
        self.fdb = Fdb(limit=fdb_limit, ageing_s=ageing_s)
        self.ports: dict[int, Port] = {}  # by number
        # By the last digit of 01-80-C2-00-00-0x: "forward", "drop" or "punt".  As the Linux
        # bridge with STP off: BPDUs (00) pass, so that others can see a loop through us.
        self.reserved = ["forward"] + ["drop"] * 15
        self.punted: list[tuple[int, bytes]] = []  # for the control plane: (ingress, frame)
        self.mirrors = Mirrors()
        self.probes = Probes()
        self.neighbours = Neighbours()
        self.now_ns = 0  # when something came in, or was due, at last

    # ------------------------------------------------------------ configuration

    def add_port(self, port: Port | None = None) -> int:
        """Connect a port; return its number, the lowest one free."""
        number = next(n for n in range(len(self.ports) + 1) if n not in self.ports)
        self.ports[number] = port or Port()
        self.ports = dict(sorted(self.ports.items()))  # flooding goes by number
        self.fdb.port_limit[number] = 0
        return number

    def remove_port(self, number: int) -> None:
        """Disconnect a port with what waits there, and forget its stations, static ones too."""
        self.set_shape(number, None)
        del self.ports[number]
        for port in self.ports.values():
            port.backup = None if port.backup == number else port.backup
        self.fdb.flush(number, with_static=True)

    def set_vlans(self, number: int, vlans: PortVlans | None) -> None:
        """What a port does with VLANs; None: it takes no notice of them, as do all others then."""
        self.ports[number].vlans = vlans

    def set_flags(self, number: int, flags: PortSettings, *, backup: int | None = None) -> None:
        """The flags of a port; *backup*: the port that gets what is for it, its link being down."""
        self.ports[number].flags = flags
        self.ports[number].backup = backup

    def set_shape(self, number: int, shape: Shape | None) -> None:
        """How what leaves a port waits; None: it does not, and what waited is dropped."""
        port, before = self.ports[number], self.ports[number].shaper
        if before is None or before.shape != shape:
            port.shaper = Shaper(shape, before) if shape else None
            waited = before.n_waiting if before else 0
            port.count("tx_full", port.shaper.lost if port.shaper else waited)

    # ------------------------------------------------------------ the way of a frame

    def receive(
        self, ingress: int, frames: Sequence[bytes], now_s: int, now_ns: int | None = None
    ) -> dict[int, list[bytes]]:
        """Take the *frames* that arrived on a port; return what each other port sent.

        The frames are a burst: all are admitted, then all are learned, and only then is any of
        them decided.  So a frame can profit from one behind it.

        Args:
            ingress: Number of the port they came in by.
            frames: From the destination address to the end of the payload, without FCS.
            now_s: The time, in seconds of any clock that does not go back.
            now_ns: The same of a finer one, for meters and shapers; by default *now_s* is it.
        """
        port = self.ports[ingress]
        self.now_ns = port.meters.now_ns = now_s * NS_PER_S if now_ns is None else now_ns
        sent: Sent = {}
        admitted = [a for frame in frames if (a := self._admit(ingress, frame))]
        for target, copies in self.mirrors.entering(ingress, admitted if port.forwarding else []):
            if self.ports[target].forwarding:
                self._transmit(target, copies, sent)
        admitted = self._let_in(ingress, admitted, now_s)
        if port.learning:
            for a in admitted:
                self.fdb.learn(a.vid, a.source, ingress, now_s)
        admitted = self._let_stay(ingress, admitted, now_s)
        outbox: dict[int, list[Admitted]] = {}
        self.neighbours.begin(len(admitted))
        for a in admitted:
            egresses = self._decide(ingress, a, now_s)
            for answer in self.neighbours.taken():
                outbox.setdefault(ingress, []).append(answer)
            for egress in egresses:
                outbox.setdefault(egress, []).append(a)
        for egress, queue in outbox.items():
            self._leave(egress, queue, sent)
        return sent

    def release(self, now_ns: int) -> Sent:
        """Send what has waited until now; return what each port with a shaper sent."""
        self.now_ns = now_ns
        sent: Sent = {}
        for number, port in self.ports.items():
            for frame in port.shaper.due(now_ns) if port.shaper else ():
                self._send(number, frame, sent)
        return sent

    def inject(self, egress: int, frame: bytes, *, vid: int = 0, priority: int = 0) -> Sent:
        """Send a frame of the control plane's, of a VLAN; return what each port sent."""
        return self._leave(egress, [Admitted(frame, frame, vid, priority)], {})

    def _admit(self, ingress: int, frame: bytes) -> Admitted | None:
        """Count an arrival, and judge whether the frame is one at all, and of which VLAN."""
        port = self.ports[ingress]
        port.count("rx_frames")
        port.count("rx_bytes", len(frame))
        if reason := self.judge(frame):
            port.count(reason)
            return None
        a = port.admitted(frame)
        if a is None and self._verdict(frame) == "punt":  # of the neighbour's, not of a VLAN
            self._punt(ingress, frame)
        elif a is None:
            port.count("vlan")
        return a

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

    def _let_in(self, ingress: int, admitted: list[Admitted], now_s: int) -> list[Admitted]:
        """Those of a burst that the rules of their port let in, before any of it is learned."""
        port = self.ports[ingress]
        if ingress in self.mirrors.targets:
            port.count("blocked", len(admitted))
            return []
        probes, too_many, others = self.probes.sorted_out(ingress, admitted, now_s)
        port.count("punt_full", len(too_many))
        strangers = self._strangers(ingress, others, now_s)
        for a in admitted:
            if any(a is one for one in (*probes, *strangers)):
                self._punt(ingress, a.frame)
        rest = [a for a in others if not any(a is one for one in strangers)]
        if port.flags.locked:
            rest = sifted(port, rest, lambda a: self._unlocks(ingress, a, now_s))
        if port.guard:
            rest = sifted(port, rest, lambda a: admits(port.guard, a.bare, a.vid))
            self._copy(ingress, [a.frame for a in rest if is_copied(port.guard, a.bare)], now_s)
        return [a for a in rest if not self._is_policed(port, a)]

    def _let_stay(self, ingress: int, learned: list[Admitted], now_s: int) -> list[Admitted]:
        """The same afterwards: what became of their stations counts as well."""
        port, held = self.ports[ingress], self.fdb.is_held_elsewhere
        if port.flags.limit_drop:
            learned = self._from_known(ingress, learned, now_s)
        if port.guard.holds:
            learned = sifted(port, learned, lambda a: not held(a.vid, a.source, ingress, now_s))
        return learned

    def _strangers(self, ingress: int, admitted: list[Admitted], now_s: int) -> list[Admitted]:
        """Those for the control plane from who is not known at a locked port: 802.1X."""
        if not self.ports[ingress].flags.locked:
            return []
        ours = [a for a in admitted if self._verdict(a.frame) == "punt"]
        return [a for a in ours if not lets_in(self.fdb, ingress, a, now_s, noted=False)]

    def _unlocks(self, ingress: int, a: Admitted, now_s: int) -> bool:
        """Whether a frame may enter by a locked port."""
        port = self.ports[ingress]
        noted = port.flags.mab and port.learning and self._verdict(a.frame) == "forward"
        return lets_in(self.fdb, ingress, a, now_s, noted=noted)

    def _from_known(self, ingress: int, admitted: list[Admitted], now_s: int) -> list[Admitted]:
        """Those whose source is known to be at the port they came in by."""
        lookup, port = self.fdb.lookup, self.ports[ingress]
        return sifted(port, admitted, lambda a: lookup(a.vid, a.source, now_s) == ingress)

    def _copy(self, ingress: int, frames: list[bytes], now_s: int) -> None:
        """Let the control plane hear what goes on as well."""
        port, room = self.ports[ingress], PUNT_FRAMES - len(self.punted)
        room = min(room, port.copies.allowed(port.guard, len(frames), now_s))
        self.punted += [(ingress | COPY, frame) for frame in frames[:room]]
        port.copies.missed += len(frames[room:])

    def _is_policed(self, port: Port, a: Admitted) -> bool:
        """Count a frame that is beyond the rate at which its port may receive."""
        dropped = port.meters.drops("police", len(a.frame))
        port.count("policed", dropped)
        return dropped

    def _verdict(self, frame: bytes) -> str:
        if frame[:5] == RESERVED and frame[5] < 16:
            return self.reserved[frame[5]]
        return "forward"

    def _decide(self, ingress: int, a: Admitted, now_s: int) -> list[int]:
        """The numbers of the ports a frame leaves by; none when it is dropped or punted."""
        port, verdict = self.ports[ingress], self._verdict(a.frame)
        if verdict == "drop":
            return self._drop(port, "reserved")
        if verdict == "punt":  # also from a blocked port: so spanning tree hears its neighbours
            return self._punt(ingress, a.frame)
        if not port.forwarding:
            return self._drop(port, "blocked")
        egress = None
        if not is_group(a.destination):
            egress = self.fdb.lookup(a.vid, a.destination, now_s)
        if egress is None:
            return self._flood(ingress, a, now_s)
        if (backup := self.ports[egress].backup) is not None:
            egress = backup
        if not self._may_leave(ingress, egress, a):
            # At the port it came from they hear each other without our help.
            return self._drop(port, "hairpin" if egress == ingress else "no_egress")
        port.count("forwarded")
        return [egress]

    def _may_leave(self, ingress: int, egress: int, a: Admitted) -> bool:
        """Whether a frame that came in by one port may leave by another, or the same."""
        source, target = self.ports[ingress], self.ports[egress]
        if not target.forwarding or egress in self.mirrors.targets:
            return False
        if ingress == egress and not source.flags.hairpin:
            return False
        if source.flags.isolated and target.flags.isolated:
            return False
        return target.vlans is None or a.vid in target.vlans.members

    def _flood(self, ingress: int, a: Admitted, now_s: int) -> list[int]:
        port, kind = self.ports[ingress], flood_kind(a.destination)
        if port.meters.drops(kind, len(a.frame)):  # a storm
            return self._drop(port, "policed")
        kept_back = self._is_kept_back(ingress, a, now_s)
        others = [
            number
            for number, other in self.ports.items()
            if floods(other.flags, kind)
            and not (kept_back and other.flags.neigh_suppress)
            and self._may_leave(ingress, number, a)
        ]
        if not others:
            return self._drop(port, "suppressed" if kept_back else "no_egress")
        port.count("forwarded")
        port.count(f"flooded_{kind}")
        return others

    def _is_kept_back(self, ingress: int, a: Admitted, now_s: int) -> bool:
        """Whether a frame to be flooded is not for ports with neigh_suppress; answer it, maybe."""
        port, targets = self.ports[ingress], self.mirrors.targets
        those = {n: p for n, p in self.ports.items() if p.flags.neigh_suppress}
        if ingress in those or not any(p.forwarding for n, p in those.items() if n not in targets):
            return False
        return self.neighbours.is_kept_back(
            a,
            lambda mac: self.fdb.lookup(a.vid, mac, now_s),
            those,
            may_answer=port.vlans is None or a.vid in port.vlans.members,
        )

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

    def _leave(self, egress: int, queue: Iterable[Admitted], sent: Sent) -> Sent:
        leaving = [self.ports[egress].formed(a) for a in queue]
        for target, copies in self.mirrors.leaving(egress, leaving):
            if self.ports[target].forwarding:
                self._transmit(target, copies, sent)
        self._transmit(egress, leaving, sent)
        return sent

    def _transmit(self, egress: int, queue: Iterable[Admitted], sent: Sent) -> None:
        """Send in order; add what went.  A copy lost here is lost for this port only.

        As in the Linux bridge, the tag that said the VLAN does not count against the MTU.
        """
        port = self.ports[egress]
        sent.setdefault(egress, [])
        for a in queue:
            reason = "too_long" if len(a.bare) > port.mtu + MTU_EXTRA else None
            if not reason and port.shaper:
                reason = port.shaper.take(a.frame, self.now_ns)
            if reason is None:
                self._send(egress, a.frame, sent)
            elif reason != "waits":
                port.count(reason)

    def _send(self, egress: int, frame: bytes, sent: Sent) -> None:
        port = self.ports[egress]
        if reason := port.send(frame):
            port.count(reason)
            return
        port.count("tx_frames")
        port.count("tx_bytes", len(frame))
        sent.setdefault(egress, []).append(frame)
