"""Sides of a switch: namespaces with an interface that is a TAP port of ours."""

from __future__ import annotations

from dataclasses import dataclass, field

from support.namespaces import Netns
from support.wait import PATIENCE_S, wait_for
from vswitch import DROP_REASONS, Switch, TapPort

DEVICE = "eth0"
PATIENT = f"-W{PATIENCE_S // 2}"  # of ping: an answer ends it, however late
TX_REASONS = tuple(name for name, where, _ in DROP_REASONS if where == "tx")


@dataclass
class Net:
    """A switch, and the namespaces on its ports; side number i has 192.0.2.i and 2001:db8::i."""

    switch: Switch
    sides: list[Netns] = field(default_factory=list)
    ports: list[TapPort] = field(default_factory=list)

    def mac(self, side: int) -> bytes:
        """The address of the device of side number *side* (from 0)."""
        text = self.sides[side].run("cat", f"/sys/class/net/{DEVICE}/address")
        return bytes.fromhex(text.strip().replace(":", ""))

    def counters(self, side: int) -> dict[str, int]:
        return self.switch.port_status(self.ports[side].name).counters

    def lost(self, side: int) -> dict[str, int]:
        """Frames that were to leave by the port of *side* and did not, by reason."""
        drops = self.switch.port_status(self.ports[side].name).drops
        return {reason: drops[reason] for reason in TX_REASONS if drops[reason]}

    def drops(self, side: int) -> dict[str, int]:
        """What the port of *side* dropped for a frame's own fault, by reason."""
        drops = self.switch.port_status(self.ports[side].name).drops
        return {reason: drops[reason] for reason in ("runt", "bad_offload") if drops[reason]}

    def state(self, side: int) -> str:
        return self.switch.port_status(self.ports[side].name).state

    def wait_for_state(self, side: int, state: str) -> None:
        wait_for(lambda: self.state(side) == state, f"side {side} is {state}")


def address(side: int, version: int = 4) -> str:
    return f"192.0.2.{side + 1}" if version == 4 else f"2001:db8::{side + 1}"


class NamedTap(TapPort):
    """A TAP called eth0 in each namespace, and by its own name in the switch."""

    def __init__(self, name: str, **options: object) -> None:
        super().__init__(DEVICE, **options)
        self.name = name


def configure(ns: Netns, side: int, device: str = DEVICE) -> None:
    ns.ip("addr", "add", f"{address(side)}/24", "dev", device)
    ns.ip("addr", "add", f"{address(side, 6)}/64", "dev", device, "nodad")
