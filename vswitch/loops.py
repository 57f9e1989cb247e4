"""The loop detector of a switch: its probes go out of every port, and what comes back is judged.

    off:    nothing is sent, and nobody wakes for it
    report: a loop is told, and goes on
    on:     one of its two ports is held down: nothing is learned there, nothing enters or leaves

What follows from a probe that comes back is decided by `loopguard.LoopGuard`; how a probe looks is
said in ``wire/loop.py``; the datapath tells ours from others (``datapath/loop.h``).
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import lru_cache

from vswitch.clock import Clock
from vswitch.core import Core
from vswitch.errors import WireError
from vswitch.events import Event
from vswitch.loopguard import PROBE_S, Action, Found, Loop, LoopGuard
from vswitch.loopsweep import Sweep
from vswitch.members import Member
from vswitch.portrules import PortRules
from vswitch.vlans import PortVlans
from vswitch.wire.loop import Probe, packed, parsed

log = logging.getLogger(__name__)

# Chosen by us.
MODES = ("off", "report", "on")
HOLD_S = 10
NUMBERS_FRESH = 8  # a probe of an earlier round than that was kept by somebody
AT_ONCE = 64  # probes sent while the pollers stand still: 15 us into memory, 100 us into devices
SILENT_KINDS = ("pcap", "record")  # files, which answer nobody


class Loops:
    """The loop detector of one switch, whose lock its callers hold, but those of `configure`.

    Args:
        core: Where the ports are numbers.
        members: Its ports by name.
        rules: What they do with VLANs.
        paused: Holds the pollers.
        tell: Hears what happened, as `vswitch.observer.Observer.tell`.
        clock: Its clock.
        lock: Its lock.
        bell: Eventfd that wakes who calls `look`.
    """

    def __init__(
        self,
        core: Core,
        members: Mapping[str, Member],
        rules: PortRules,
        *,
        paused: Callable[[], AbstractContextManager[None]],
        tell: Callable[..., None],
        clock: Clock,
        lock: threading.RLock,
        bell: int,
    ) -> None:
        self._core = core
        self._members = members
        self._rules = rules
        self._paused = paused
        self._tell = tell
        self._clock = clock
        self._lock = lock
        self._bell = bell
        self._id, self._key = os.urandom(8), os.urandom(32)
        self._number = 0  # of the round of probes
        self._due_s: float | None = None  # the next one; None: the detector is off
        self._urgent: set[tuple[str, int]] = set()  # ports and VLANs where stations flap
        self._told: frozenset[int] = frozenset()  # ports where the datapath looks for probes
        self._guard = LoopGuard(HOLD_S)
        self._sweep = Sweep()
        self.mode = "off"

    def configure(
        self, mode: str, hold_s: int, *, chance: Callable[[], float] = random.random
    ) -> None:
        """Be *mode*, one of MODES; for *hold_s* and *chance* see `loopguard.LoopGuard`.

        Raises:
            ValueError: it is none, or no time.
        """
        if mode not in MODES or hold_s < 1:
            raise ValueError(f"modes are {', '.join(MODES)}, for 1 s or more, not {mode}, {hold_s}")
        with self._lock:
            self._do(self._guard.end())
            self.mode = mode
            self._guard = LoopGuard(hold_s if mode == "on" else 0, chance=chance)
            self._due_s = None if mode == "off" else self._clock.precise_s()
            self._listen(self._watched() if mode != "off" else [])
            os.eventfd_write(self._bell, 1)

    # ------------------------------------------------------------ what is said

    def due_in_s(self, now_s: float, longest_s: float) -> float:
        """When `look` has something to do without being told, *longest_s* at most."""
        return longest_s if self._due_s is None else max(0.0, min(longest_s, self._due_s - now_s))

    def look(self, now_s: float) -> None:
        """Send probes if it is time, and free ports that have heard none for long."""
        if self._due_s is None:
            return
        watched = self._watched()
        self._listen(watched)
        if now_s >= self._due_s:
            self._do(self._guard.turn(now_s))
            self._number += 1
            self._due_s = now_s + PROBE_S
            self._say(self._round(watched))
        elif self._urgent:
            self._say([(m, vid) for m in watched for vid in self._flapping_vids(m)])
        self._urgent.clear()

    def flapping(self, event: Event) -> None:
        """A station moves to and fro between two ports: there may be a loop, so ask at once."""
        if self._due_s is not None:
            self._urgent |= {(p, event.vid) for p in (event.port, event.old_port) if p}

    def _watched(self) -> list[Member]:
        return [
            member
            for member in self._members.values()
            if member.settings.loop_detect
            and member.settings.forwarding  # or it breaks the loop that it is in
            and member.up
            and not (member.gone or member.aside)
            and member.port.kind not in SILENT_KINDS
        ]

    def _listen(self, watched: list[Member]) -> None:
        ports = frozenset(member.number for member in watched)
        if ports == self._told:
            return
        for number in self._told - ports:
            self._do(self._guard.forget(number))
        self._told = ports
        with self._paused():
            self._core.set_probed(ports, self._id if ports else None)

    def _round(self, watched: list[Member]) -> list[tuple[Member, int]]:
        """Which ports are asked in which VLANs in this round: that of untagged frames always."""
        first, others = {}, {}
        for member in watched:
            first[member.number], others[member.number] = self._vids(member)
        swept = self._sweep.turn(others)
        return [
            (member, vid)
            for member in watched
            for vid in dict.fromkeys([*first[member.number], *swept.get(member.number, [])])
        ]

    def _vids(self, member: Member) -> tuple[list[int], list[int]]:
        vlans = self._rules.vlans_of(member)
        if vlans is None:
            return [0], []
        first, others = _vids_of(vlans)
        # Of a port that is held, or would be, it is of interest only whether it has to be.
        swept = [] if member.number in self._guard.looped else others
        return [*first, *self._guard.vids(member.number)], swept

    def _flapping_vids(self, member: Member) -> list[int]:
        vlans = self._rules.vlans_of(member)
        return [
            vid
            for port, vid in self._urgent
            if port == member.port.name and (vlans is None or vid in vlans.members)
        ]

    def _say(self, where: list[tuple[Member, int]]) -> None:
        # Probes are made before the pollers are held, which is for some of them at a time.
        for at in range(0, len(where), AT_ONCE):
            probes = [
                (m.number, vid, packed(Probe(self._id, m.number, vid, self._number), self._key))
                for m, vid in where[at : at + AT_ONCE]
            ]
            with self._paused():
                for number, vid, frame in probes:
                    self._core.inject(number, frame, vid=vid)

    # ------------------------------------------------------------ what comes back

    def takes(self, number: int, frame: bytes) -> bool:
        """Whether *frame*, which was punted at port *number*, is a probe; then it is judged."""
        try:
            probe = parsed(frame, self._key)
        except WireError:
            return self._id in frame[:64] and self._due_s is not None
        is_ours = probe.switch_id == self._id and self._told.issuperset((probe.port, number))
        if is_ours and self._number - probe.number < NUMBERS_FRESH:
            now_s = self._clock.precise_s()
            self._do(self._guard.heard(probe.port, number, probe.vid, now_s))
        return True

    def port_leaves(self, number: int) -> None:
        """A port is about to be removed."""
        self._do(self._guard.forget(number))
        self._told -= {number}
        self._number += NUMBERS_FRESH  # what is still on its way names a port that may be another

    @property
    def looped(self) -> list[str]:
        """The ports that are held, or would be if it did more than to report."""
        with self._lock:
            looped = self._guard.looped
            return [name for name, m in self._members.items() if m.number in looped]

    # ------------------------------------------------------------ what follows

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            loop = action.loop
            if isinstance(action, Found):
                self._hold(loop, action.quiet_s)
            else:
                self._free(loop)

    def _hold(self, loop: Loop, quiet_s: float | None) -> None:
        member, names = self._member(loop.port), self._names(loop)
        flushed = 0
        if member and quiet_s is not None:
            member.held = True
            self._apply(member)
            flushed = self._core.fdb.flush(member.number)
        log.warning(
            "loop found port=%s other=%s vlan=%d quiet_s=%.0f stations_flushed=%d",
            *names,
            loop.vid,
            quiet_s or 0,
            flushed,
        )
        reason = "reported" if quiet_s is None else "held"
        self._tell("loop_found", port=names[0], old_port=names[1], vid=loop.vid, reason=reason)

    def _free(self, loop: Loop) -> None:
        member, names = self._member(loop.port), self._names(loop)
        if member and member.held:
            member.held = False
            self._apply(member)
        log.warning("loop over port=%s other=%s vlan=%d", *names, loop.vid)
        self._tell("loop_over", port=names[0], old_port=names[1], vid=loop.vid, reason="over")

    def _apply(self, member: Member) -> None:
        """Have the datapath do what a port's settings say, unless it is held or gone."""
        may = not (member.held or member.gone)
        with self._paused():
            self._core.datapath.set_port(
                member.number,
                learning=may and member.settings.learning,
                forwarding=may and member.settings.forwarding,
            )

    def _member(self, number: int) -> Member | None:
        return next((m for m in self._members.values() if m.number == number), None)

    def _names(self, loop: Loop) -> tuple[str, str]:
        port, other = self._member(loop.port), self._member(loop.other)
        return (
            port.port.name if port else f"#{loop.port}",
            other.port.name if other else f"#{loop.other}",
        )


@lru_cache(maxsize=256)
def _vids_of(vlans: PortVlans) -> tuple[list[int], list[int]]:
    """The VLAN of a port's untagged frames, if it is of it, and its others."""
    first = [vlans.pvid] if vlans.pvid is not None and vlans.pvid in vlans.members else []
    return first, [vid for vid in vlans.members if vid not in first]
