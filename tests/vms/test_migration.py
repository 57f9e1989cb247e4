"""Linux moves from one QEMU to another, and from one vhost-user port to another.

Meanwhile QEMU copies the memory, again and again what was written since; what the switch wrote it
only knows from the log of written pages (vhost-user specification, "Migration"). The proof is that
both have the same memory in the end, before the other one goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from support.command import Running, running
from support.qmp import Qmp
from support.recipe import Recipe, recipe
from support.vm import Vm
from support.vm_files import (
    LONG_MIB,
    MIB,
    begin_to_fetch,
    end_of_fetch,
    give_addresses,
    make_file,
)
from support.wait import wait_for

NOBODY = os.geteuid() == 0  # or we are an ordinary user already
SLOW_MIB_S = 32  # for the guest writes more than that
FAST_MIB_S = 1024

# Before 8.2.2 and 9.0 an emulating QEMU loses pages its own CPU wrote, unless their number is no
# multiple of 64 (its "physmem: Fix migration dirty bitmap coherency with TCG memory access").
MEMORY = {"512": "524280K", "size=512M": "size=524280K"}


@dataclass(frozen=True, slots=True)
class Move:
    """*source* is to become *target*, which has waited for it; *sender* stays where it is."""

    switch: Running
    source: Vm
    sender: Vm
    target: Vm
    here: Qmp
    there: Qmp

    def set_speed(self, mib_s: int, *, downtime_ms: int) -> None:
        """At this speed it ends once so much is left as takes *downtime_ms*."""
        limits = {"max-bandwidth": mib_s * MIB, "downtime-limit": downtime_ms}
        self.here.ask("migrate-set-parameters", **limits)

    def begin(self, room: Path) -> None:
        self.here.ask("migrate", uri=f"unix:{room / 'moving'}")

    @property
    def rounds(self) -> int:
        """Of copying, done or under way."""
        return self.here.ask("query-migrate").get("ram", {}).get("dirty-sync-count", 0)

    def wait_until_there(self) -> None:
        wait_for(
            lambda: self.here.ask("query-migrate")["status"] == "completed", "it to be there",
            timeout_s=60,
        )  # fmt: skip

    def pages_that_differ(self) -> list[int]:
        same = (self.source.memory() == self.target.memory()).all(axis=1)
        return np.flatnonzero(~same).tolist()


def machine(wires: Recipe, number: int, room: Path, card: str) -> list[str]:
    """QEMU's words for VM *number*, of which the third takes over from the first."""
    words = wires.machine(number, card=card)
    for old, new in MEMORY.items():
        words = [new if word == old else word.replace(f",{old}", f",{new}") for word in words]
    words += ["-qmp", f"unix:{room / f'qmp{number}'},server=on,wait=off"]
    if number == 3:
        words = [word.replace("00:00:03", "00:00:01") for word in words]
        words += ["-incoming", f"unix:{room / 'moving'}", "-S"]
    return words


@pytest.fixture
def moving(boot: Callable[..., list[Vm]], room: Path) -> Callable[..., object]:
    """``with moving(card) as move``: three machines and their switch."""

    @contextmanager
    def make(card: str) -> Iterator[Move]:
        wires = recipe("vhost-user", room)
        third = wires.vswitch[-1].replace("lan2", "lan3")
        with running(*wires.vswitch, "--port", third, nobody=NOBODY) as switch:
            there, sender = boot(*(machine(wires, n, room, card) for n in (1, 2)), nobody=NOBODY)
            give_addresses([there, sender])
            (target,) = boot(machine(wires, 3, room, card), nobody=NOBODY, wait=False)
            wait_for((room / "moving").exists, "the other QEMU to listen")
            with Qmp(room / "qmp1") as a, Qmp(room / "qmp3") as b:
                yield Move(switch, there, sender, target, a, b)

    return make


def test_a_vm_moves_to_another_qemu_while_it_receives(moving, room):
    with moving("") as move:
        expected = make_file(move.sender, LONG_MIB)
        begin_to_fetch(move.source, "192.0.2.2")
        sums = move.switch.port
        wait_for(lambda: sums("lan1").counters["tx_bytes"] > MIB, "the file to flow")
        move.begin(room)
        move.wait_until_there()
        assert not move.pages_that_differ()

        move.there.ask("cont")

        assert end_of_fetch(move.target) == expected
        move.sender.run("ping -c1 -W5 192.0.2.1")
        assert sums("lan1").state == "down"


def test_pages_that_only_the_switch_writes_move_too(moving, room):
    """The guest closed its card, whose buffers fill, and looks at none of them. Of a packed ring
    the descriptors are such pages, too; of a split one QEMU marks by itself what was written."""
    with moving(",packed=on") as move:
        move.source.run("ip link set eth0 down")
        move.source.run(
            "(while :; do dd if=/dev/urandom of=/tmp/x bs=64k count=9; done) 2>/dev/null &"
        )
        move.set_speed(SLOW_MIB_S, downtime_ms=1)
        move.begin(room)
        wait_for(lambda: move.rounds > 2, "all that is written once only to be there")
        before = move.switch.port("lan1").counters["tx_frames"]
        move.sender.run("! ping -c3 -W1 192.0.2.1")  # asks all who has that address
        assert move.switch.port("lan1").counters["tx_frames"] > before

        move.set_speed(FAST_MIB_S, downtime_ms=300)
        move.wait_until_there()

        assert not move.pages_that_differ()
        move.there.ask("cont")
        move.target.run("ip link set eth0 up")
        move.sender.run("ping -c1 -W5 192.0.2.1")
