"""Scenarios for VLAN-aware switches as data: ports, static stations, what happens; and what comes
of it.

The ports of a scenario are numbered from 0, as those of `ReferenceSwitch` are, and named p0, p1
and so on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

from vswitch.portsettings import PortSettings
from vswitch.vlans import C_TAG

SENT = re.compile(r"(\d+)(?:-(\d+))?(?:\+([0-9a-f]+))?")


@dataclass(frozen=True, slots=True)
class Pinned:
    """A static station; *moves*: it does, when it is heard elsewhere."""

    mac: bytes
    port: int
    vid: int = 0
    moves: bool = False


@dataclass(frozen=True, slots=True)
class Arrival:
    """A frame is received by a port."""

    port: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Plug:
    """The link of a port goes up or down."""

    port: int
    up: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A port is given other settings."""

    port: int
    settings: PortSettings


Step = Arrival | Plug | Change


@dataclass(frozen=True, slots=True)
class Scenario:
    """A switch, and what happens to it.

    Attributes:
        ports: Their VLANs are None, or no port's are; a backup is named as ``p1``.
        tag_type: EtherType of the VLAN tags, of all ports.
    """

    name: str
    ports: tuple[PortSettings, ...]
    steps: tuple[Step, ...]
    pinned: tuple[Pinned, ...] = ()
    tag_type: int = C_TAG

    @property
    def aware(self) -> bool:
        """Whether the switch takes notice of VLAN tags."""
        return any(port.vlans for port in self.ports)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a station is known, and whether it is static."""

    port: int
    static: bool = False


Sent = tuple[tuple[bytes, ...], ...]  # the frames that port 0, 1, ... sends


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a switch did: the frames sent at each step, and the stations known at the end."""

    sent: tuple[Sent, ...]
    stations: Mapping[tuple[int, bytes], Place] = field(default_factory=dict)  # by VLAN, address


def differences(scenario: Scenario, expected: Outcome, got: Outcome) -> Iterator[str]:
    """A sentence for each thing in which two outcomes differ."""
    for number, (step, should, did) in enumerate(
        zip(scenario.steps, expected.sent, got.sent, strict=True)
    ):
        if should != did:
            texts = (sent_text(step, sent) or "nothing" for sent in (should, did))
            yield f"step {number}, {step_text(step)}: {' expected, '.join(texts)} sent"
    for vid, mac in sorted(expected.stations.keys() | got.stations.keys()):
        should, did = (o.stations.get((vid, mac)) for o in (expected, got))
        if should != did:
            yield f"station {mac.hex(':')} of VLAN {vid}: {should} expected, {did} known"


def scenario_text(scenario: Scenario) -> str:
    """A line for each port, static station and step."""
    lines = [f"tags are {scenario.tag_type:#06x}"]
    lines += (f"p{n}: {settings_text(settings)}" for n, settings in enumerate(scenario.ports))
    lines += map(str, scenario.pinned)
    lines += (f"{n}: {step_text(step)}" for n, step in enumerate(scenario.steps))
    return "\n".join(lines)


def settings_text(settings: PortSettings) -> str:
    """What differs from a port of which nothing is set."""
    words = [
        f"{f.name}={getattr(settings, f.name)}"
        for f in fields(settings)
        if f.name != "vlans" and getattr(settings, f.name) != f.default
    ]
    if vlans := settings.vlans:
        sets = f"members={vlans.members.text()} untagged={vlans.untagged.text()}"
        words.insert(0, f"pvid={vlans.pvid} {sets}")
    return " ".join(words)


def step_text(step: Step) -> str:
    """A step for the eyes."""
    if isinstance(step, Arrival):
        frame = step.frame
        rest = frame[12:].rstrip(b"\0").hex()
        return f"p{step.port} receives {frame[:6].hex()} {frame[6:12].hex()} {rest} ({len(frame)})"
    if isinstance(step, Change):
        return f"p{step.port} becomes {settings_text(step.settings)}"
    return f"p{step.port} goes {'up' if step.up else 'down'}"


def sent_text(step: Step, sent: Sent) -> str:
    """The frames that were sent because of *step*, as ``0 2+8100000a 3-4``.

    That is: port 0 sends it as it was received, port 2 with four bytes inserted behind the
    addresses, port 3 with four bytes less there.
    """
    return " ".join(
        f"{port}{change_text(step.frame, frame)}"
        for port, frames in enumerate(sent)
        for frame in frames
    )


def change_text(received: bytes, sent: bytes) -> str:
    assert received[:12] == sent[:12], f"addresses have changed: {sent.hex()}"
    old, new = received[12:], sent[12:]
    if old == new:
        return ""
    most = min(len(old), len(new))
    same = next(n for n in range(most, -1, -1) if old[len(old) - n :] == new[len(new) - n :])
    less, more = len(old) - same, new[: len(new) - same].hex()
    return (f"-{less}" if less else "") + (f"+{more}" if more else "")


def sent_of(text: str, step: Step, n_ports: int) -> Sent:
    """What `sent_text` says, as frames."""
    frames: list[list[bytes]] = [[] for _ in range(n_ports)]
    for word in text.split():
        port, less, more = SENT.fullmatch(word).groups()
        rest = step.frame[12 + int(less or 0) :]
        frames[int(port)].append(step.frame[:12] + bytes.fromhex(more or "") + rest)
    return tuple(map(tuple, frames))
