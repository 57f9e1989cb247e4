"""Who watches a switch: what the datapath and the control plane tell goes into the journal, to
those who subscribed, and to the log.

    rings of the pollers --look--> journal.py, subscription.py, log
                                   flapping.py: stations that move to and fro
    counters of the ports -------> storms.py:   many drops for one reason

While events come the rings are emptied every REST_S and no poller rings the bell; when none came
for so long, the next one rings it (``datapath/event.h``).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from vswitch import vlanwords
from vswitch.clock import Clock, FakeClock
from vswitch.core import Core
from vswitch.events import Event
from vswitch.flapping import Flap, Flapping
from vswitch.journal import (
    HELD,
    MOVED,
    RECORD,
    REFUSED,
    STAYED,
    Chunk,
    Journal,
    State,
    kinds_of,
    merged,
    of_kind,
)
from vswitch.members import Member
from vswitch.status import LOCKED, ROW, STICKY, Place
from vswitch.storms import Storm, Storms
from vswitch.subscription import Subscription
from vswitch.vlans import PortVlans

log = logging.getLogger(__name__)

REST_S = 0.02
READ_MAX = 2000  # of those that came together: for subscribers, and moves to be judged
LOGGED_MAX = 100
QUIET_S = 10  # without a refusal, until the next one is reported
HELD_MAX = 4096  # stations that others speak as, to be reported once


class Observer:
    """The observer of one switch.

    Args:
        core: Its datapath.
        members: Its ports by name.
        lock: The switch's; held by the callers of methods marked *locked*, taken by the others.
        clock: Its clock.
        paused: Holds the pollers.
    """

    def __init__(
        self,
        core: Core,
        members: Mapping[str, Member],
        lock: threading.RLock,
        *,
        clock: Clock,
        paused: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._core = core
        self._members = members
        self._lock = lock
        self._clock = clock
        self._by_hand = isinstance(clock, FakeClock)  # no threads: every look is a whole one
        self._paused = paused
        self._names: dict[int, str] = {}
        self._flapping = Flapping()
        self._storms = Storms()
        self._refused_s: dict[str, float] = {}  # by port: the last refusal
        self._held_s: dict[tuple[int, bytes | None, str], float] = {}  # by station and port: same
        self.on_flap: Callable[[Event], None] | None = None  # hears of it at once
        self._subscriptions: list[Subscription] = []
        self._rings_due_s: float | None = None  # None: the bell will be rung
        self.journal = Journal(clock.precise_s())

    # ------------------------------------------------------------ what happens

    def port_added(self, name: str, number: int) -> None:
        """*Locked.*"""
        self._names = {**self._names, number: name}
        self.tell("port_added", port=name)

    def port_removed(self, name: str, number: int) -> None:
        """*Locked*, and before its number can be another port's."""
        self.take()
        self._names = {n: its for n, its in self._names.items() if n != number}
        self._storms.forget(name)
        self._refused_s.pop(name, None)
        self.tell("port_removed", port=name)

    def vlans_changed(self, port: str, was: PortVlans | None, now: PortVlans | None) -> None:
        """What is set of *port* about VLANs is another.  *Locked.*"""
        said, before = vlanwords.text(now), vlanwords.text(was)
        self.tell("vlans_changed", port=port, vlans=said, old_vlans=before)

    def tell(self, kind: str, **facts: Any) -> None:
        """Something happened now that the datapath does not tell of.  *Locked.*"""
        event = Event(kind, self._clock.precise_s(), self._clock.wall_s(), **facts)
        self.journal.add(event)
        self._publish([event])

    def look(self) -> None:
        """Take what the datapath tells, if it is time.  *Locked.*"""
        now_s = self._clock.precise_s()
        if self._by_hand or self._rings_due_s is None or now_s >= self._rings_due_s:
            self._look_at_rings(now_s)
        for flap in self._flapping.look(now_s):
            self._tell_flap(flap)

    def _look_at_rings(self, now_s: float) -> None:
        if self.take():
            self._rings_due_s = now_s + REST_S
        else:
            self._rings_due_s = None if self._core.fdb.events_rest() else now_s

    def look_at_drops(self) -> None:
        """About once a second.  *Locked.*"""
        now_s = self._clock.precise_s()
        for name, member in self._members.items():
            _, drops = self._core.counters(member.number)
            for storm in self._storms.look(name, drops, now_s):
                self._tell_storm(storm)

    def due_in_s(self, now_s: float, longest_s: float) -> float:
        """When `look` has something to do without being told, *longest_s* at most.  *Locked.*"""
        due = [due_s for due_s in (self._rings_due_s, self._flapping.due_s) if due_s is not None]
        return max(0.0, min([longest_s, *(due_s - now_s for due_s in due)]))

    # ------------------------------------------------------------ what the datapath tells

    def take(self) -> bool:
        """Take all that the datapath tells; whether there was anything.  *Locked.*"""
        taken = self._core.fdb.events()
        lost = self._core.fdb.events_lost()
        now_s = self._clock.precise_s()
        newly_lost = lost - self.journal.lost
        self.journal.note_lost(lost, now_s)
        if taken:
            self._take(self._chunk(merged(taken)), newly_lost)
        return bool(taken)

    def _chunk(self, records: bytearray) -> Chunk:
        wall_s = self._clock.wall_s() - self._clock.precise_s()
        return Chunk(records, self._names, wall_s, self._clock.now_s() if self._by_hand else None)

    def _take(self, chunk: Chunk, lost: int) -> None:
        self.journal.record(chunk)
        flaps = [self._flapping.moved(move) for move in self._some(chunk, MOVED)]
        if self._subscriptions or log.isEnabledFor(logging.DEBUG):
            self._show(chunk, lost)
        for flap in filter(None, flaps):
            self._tell_flap(flap)
        for refusal in self._some(chunk, REFUSED):
            self._judge_refusal(refusal)
        for attempt in self._some(chunk, HELD):
            self._judge_attempt(attempt)

    def _some(self, chunk: Chunk, kind: int) -> list[Event]:
        if kind not in kinds_of(chunk.records):
            return []
        some = replace(chunk, records=of_kind(chunk.records, kind, READ_MAX))
        return [event for _, event in some.events()]

    def _show(self, chunk: Chunk, lost: int) -> None:
        some = replace(chunk, records=chunk.records[: READ_MAX * RECORD.size])
        more = (len(chunk.records) - len(some.records)) // RECORD.size + lost
        events = [
            event
            for _, event in some.events()
            if event.kind not in STAYED and not self._flapping.hides(event)
        ]
        self._publish(events, lost=more)
        for event in events[:LOGGED_MAX] if log.isEnabledFor(logging.DEBUG) else ():
            log.debug("station %s mac=%s port=%s was=%s", event.kind, _mac(event), event.port,
                      event.old_port)  # fmt: skip

    def _judge_refusal(self, refusal: Event) -> None:
        assert refusal.port
        last_s = self._refused_s.get(refusal.port)
        self._refused_s[refusal.port] = refusal.time_s
        if last_s is not None and refusal.time_s - last_s < QUIET_S:
            return
        stations = self._core.fdb.counters()["entries"]
        log.warning("limit of stations reached port=%s mac=%s", refusal.port, _mac(refusal))
        self.tell(
            "limit_reached", port=refusal.port, mac=refusal.mac, vid=refusal.vid, count=stations
        )

    def _judge_attempt(self, attempt: Event) -> None:
        assert attempt.port
        key = attempt.vid, attempt.mac, attempt.port
        last_s = self._held_s.pop(key, None)
        self._held_s[key] = attempt.time_s  # the newest are the last
        if len(self._held_s) > HELD_MAX:
            del self._held_s[next(iter(self._held_s))]
        if last_s is not None and attempt.time_s - last_s < QUIET_S:
            return
        log.warning("station held mac=%s port=%s heard_at=%s", _mac(attempt), attempt.old_port,
                    attempt.port)  # fmt: skip
        facts = {"port": attempt.port, "old_port": attempt.old_port}
        self.tell("move_refused", **facts, mac=attempt.mac, vid=attempt.vid)

    def _tell_flap(self, flap: Flap) -> None:
        move = flap.move
        if self.on_flap and not flap.ended:
            self.on_flap(move)
        ports = ",".join(sorted(filter(None, (move.port, move.old_port))))
        facts = {"port": move.port, "old_port": move.old_port, "mac": move.mac, "vid": move.vid}
        if flap.ended:
            log.warning("station settled mac=%s ports=%s moves=%d", _mac(move), ports, flap.moves)
            self.tell("flapping_ended", **facts, count=flap.moves)
        else:
            log.warning("station flapping mac=%s ports=%s rate=%.1f", _mac(move), ports, flap.rate)
            self.tell("flapping", **facts, count=flap.moves, rate=flap.rate)

    def _tell_storm(self, storm: Storm) -> None:
        facts = {"port": storm.port, "reason": storm.reason, "rate": storm.rate}
        if storm.ended:
            log.warning(
                "drop storm over port=%s reason=%s frames=%d",
                storm.port,
                storm.reason,
                storm.frames,
            )
            self.tell("drop_storm_ended", **facts, count=storm.frames)
        else:
            log.warning(
                "drop storm port=%s reason=%s rate=%.0f", storm.port, storm.reason, storm.rate
            )
            self.tell("drop_storm", **facts, count=storm.frames)

    def _publish(self, events: list[Event], *, lost: int = 0) -> None:
        for subscription in self._subscriptions:
            subscription.offer(events, lost=lost)

    # ------------------------------------------------------------ who asks

    def subscribe(self, subscription: Subscription) -> None:
        """Offer it every event from now on."""
        with self._lock:
            self.take()  # what happened before
            self._subscriptions.append(subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions.remove(subscription)

    def events(self, *, mac: bytes | None = None) -> list[Event]:
        """What the journal has, the oldest first; of one address, if given."""
        with self._lock:
            self.take()
            journal = self.journal.copy()  # to read it takes a while
        return journal.events(mac=mac)

    def stations_at(self, time_s: float) -> list[Place]:
        """Where the stations were at a moment of the monotonic clock, in order of address.

        Right from `Journal.complete_since_s` on; before, what is known.
        """
        with self._lock:
            now_s = self._clock.now_s()
            self._core.fdb.expire(now_s)  # those whose time is over have an event, too
            self.take()  # most of it, so that the pollers are held for the rest only
            with self._paused():
                self.take()
                rows = self._core.fdb.rows(now_s)
            names, journal = self._names, self.journal.copy()
        present: dict[tuple[int, bytes], State] = {
            (vid, mac): State(names[port], bool(static), bool(flags & LOCKED), bool(flags & STICKY))
            for mac, vid, port, static, flags, _ in ROW.iter_unpack(rows)
            if port in names
        }
        past = journal.rewound(present, time_s)
        found = [Place(mac, vid, *state) for (vid, mac), state in past.items()]
        return sorted(found, key=lambda place: (place.mac, place.vid))


def _mac(event: Event) -> str:
    return event.mac.hex(":") if event.mac else ""
