"""Any bytes, behind any virtio-net header, into every port of a switch; `make fuzz`.

    python tests/fuzz/fuzz_poll.py --frames 10000000 --seed 1

Rounds are repeatable from their seed, those with poller threads as far as threads are. Worth
most with the sanitizers (``VSWITCH_BUILD=asan``); the invariants hold in any build:

  - for every port, received = forwarded + dropped + punted, and all that was sent was received
  - what a port was sent, it counted; nothing it gets asks for work it cannot do
  - nothing is longer than its MTU allows, but what it is to cut itself
  - where nothing was damaged on purpose and the port does no work itself, scapy finds every
    length and checksum right
"""

# ruff: noqa: E402  (a script: it says itself where its modules are)
from __future__ import annotations

import argparse
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import policies
from traffic import VALID_PREFIX, VNET_LEN, block, ip

from support.frames import (
    GSO_ECN,
    GSO_NONE,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP,
    GSO_UDP_L4,
    NEEDS_CSUM,
    mac,
)
from support.judge import finished, is_fragment
from support.lab import check_balance
from support.wait import wait_for
from vswitch import Clock, FakeClock, MemoryPort, Switch
from vswitch._fastpath import MTU_EXTRA, OFFLOADS
from vswitch.errors import ConfigError, FdbFullError
from vswitch.guarding import SwitchGuards
from vswitch.neighbours import Neighbour
from vswitch.portsettings import PortSettings

KINDS = {
    "all": {"offloads": tuple(OFFLOADS)},
    "none": {"offloads": ()},
    "csum": {"offloads": ("csum",), "size_bytes": 1 << 18},  # fills up
    "tso": {"offloads": ("csum", "tso4", "tso6"), "mtu": 9000},
    "small": {"offloads": (), "mtu": 576},
    "jumbo": {"offloads": (), "mtu": 65521},
}
RING_BYTES = 1 << 22
TAG_LEN = 4  # of the switch's own tag, which is not counted against the MTU
BURST_FRAMES = 400  # per port and block
BLOCKS = 40  # per round
JUDGED = 4  # frames per block that scapy looks at
GSO_BITS = np.zeros(256, np.uint8)  # what a port must be able to do, by gso_type
GSO_BITS[:] = 0x80
GSO_BITS[GSO_NONE] = 0
for _type, _name in (
    (GSO_TCPV4, "tso4"), (GSO_TCPV6, "tso6"), (GSO_UDP_L4, "uso"), (GSO_UDP, "ufo")
):  # fmt: skip
    GSO_BITS[_type] = OFFLOADS[_name]
    GSO_BITS[_type | GSO_ECN] = OFFLOADS[_name] | OFFLOADS["ecn"]


class Round:
    """One switch under fire."""

    def __init__(self, seed: int, number: int) -> None:
        self.rng = np.random.default_rng([seed, number])
        self.number = number
        self.pollers = number % 3  # 0: polled by hand
        self.clock = Clock() if self.pollers else FakeClock(1000)
        self.switch = Switch(
            "fuzz", pollers=self.pollers or 1, clock=self.clock, fdb_limit=200,
            ageing_s=int(self.rng.integers(0, 4)),
        )  # fmt: skip
        self.sent: dict[str, int] = {}
        self.got: dict[str, int] = {}
        self.delivered = self.judged = 0
        self.records = np.empty(2 * RING_BYTES, np.uint8)
        self.ends = np.empty(RING_BYTES // 16, np.uint32)
        self.switch.set_reserved(self.rng.integers(0, 16, 4).tolist(), "punt")
        self.punts = 0
        self.switch.on_punt = self.count_punt
        for name in KINDS:
            self.add(name)

    def count_punt(self, port: str, frame: bytes) -> None:
        self.punts += 1

    def run(self, frames: int) -> int:
        """Send about *frames* frames; returns how many it were."""
        total = 0
        with self.switch:
            for _ in range(BLOCKS):
                total += sum(self.send(name) for name in list(self.sent))
                self.meddle()
                self.settle()
                for name in self.sent:
                    self.check(name)
                if total >= frames:
                    break
        return total

    def add(self, name: str) -> None:
        port = MemoryPort(name, **{"size_bytes": RING_BYTES, **KINDS[name]})
        self.switch.add_port(port, PortSettings(fdb_limit=int(self.rng.integers(0, 60))))
        self.sent[name] = self.got[name] = 0

    def send(self, name: str) -> int:
        records, ends = block(self.rng, BURST_FRAMES)
        n = self.wire(name).send_many(records, ends)
        self.sent[name] += n
        return n

    def wire(self, name: str):
        return self.switch.ports[name]._wire

    def settle(self) -> None:
        """Until every frame sent was received."""

        def idle() -> bool:
            return all(self.counter(name, "rx_frames") == n for name, n in self.sent.items())

        if self.pollers:
            wait_for(idle, "all frames received", timeout_s=60)
            with self.switch.paused():  # the last burst is sent, too
                pass
        else:
            self.switch.poll()
            assert idle()

    def counter(self, name: str, what: str) -> int:
        return self.switch.port_status(name).counters[what]

    def meddle(self) -> None:
        """Change something, while frames flow if there are threads."""
        name = str(self.rng.choice(list(self.sent)))
        number = int(self.rng.integers(0, 16))
        match int(self.rng.integers(0, 14)):
            case 0 | 1:
                self.switch.set_port(name, forwarding=number < 8, learning=number % 4 > 0)
            case 2:
                self.switch.set_reserved([number], ("forward", "drop", "punt")[number % 3])
            case 3:
                self.switch.flush(name if number & 1 else None)
            case 4 | 5:
                self.switch.remove_port(name)
                self.add(name)
            case 6:
                self.switch.set_ageing(number % 4)
            case 7:
                self.switch.unpin(mac(number))
                with suppress(ConfigError, FdbFullError):  # the port is not of no VLAN; no room
                    self.switch.pin(mac(number), name)
            case 8:
                self.switch.unpin(mac(number))
                self.switch.set_port(name, neigh_suppress=number < 12)
                one = Neighbour(ip(4 if number & 1 else 6, 1), mac(number), router=number > 7)
                self.switch.neighbours.add(one, replace=True)
            case 9:
                self.switch.set_port(name, fdb_limit=number)
            case 12:
                only = tuple(mac(n).hex(":") for n in range(number))
                self.switch.set_port(name, allow_mac=only, allow_ip=("10.0.0.1",) if only else ())
            case 13:
                bits = (bool(number & bit) for bit in (1, 2, 4, 8))
                names = ("dhcp_guard", "ra_guard", "dhcp_snooping", "dhcp6_snooping")
                guards = SwitchGuards(
                    **dict(zip(names, bits, strict=True)), move_guard_s=number & 8
                )
                self.switch.set_guards(guards)
            case 10 | 11:
                for each in self.sent:
                    self.switch.set_port(each, forwarding=True, learning=True)
        if isinstance(self.clock, FakeClock):
            self.clock.advance(number % 2)
        if self.rng.integers(0, 4) == 0:
            self.limit(name)
        if self.number % 2:  # others see what it is like without
            # What leaves by itself could not be compared with what was counted a moment before.
            policies.change(self.switch, self.rng, probes=not self.pollers)

    def limit(self, name: str) -> None:
        """Give a port other limits, or none."""

        def some(*rates: str) -> str:
            return str(self.rng.choice(["", *rates]))

        # What leaves by itself could not be compared with what was counted a moment before.
        shape = "" if self.pollers else some("8kbit", "8mbit", "100gbit")
        self.switch.set_port(
            name,
            police=some("1bit", "10mbit", "100pps", "400gbit"),
            storm_broadcast=some("1pps", "10gbit"),
            storm_multicast=some("1mbit"),
            storm_unknown=some("100kpps"),
            shape=shape,
            shape_queue=int(self.rng.choice([0, 65_568, 1 << 20])) if shape else 0,
        )

    def check(self, name: str) -> None:
        status = self.switch.port_status(name)
        check_balance(status)
        while n := self.wire(name).receive_many(self.records, self.ends):
            self.check_records(name, n)
            self.got[name] += n
            self.delivered += n
        # Frames cut for a port that was removed before they were taken are nobody's.
        assert self.got[name] == status.counters["tx_frames"], (name, status)

    def check_records(self, name: str, n: int) -> None:
        port = self.switch.ports[name]
        ends = self.ends[:n].astype(np.int64)
        start = np.concatenate([[0], ends[:-1]])
        length = ends - start - VNET_LEN
        flags, gso_type = self.records[start], self.records[start + 1]
        needs = GSO_BITS[gso_type] | (flags & NEEDS_CSUM)  # VSW_CSUM is bit 0 as well
        beyond = needs & ~np.uint8(port.offload_bits)
        assert not beyond.any(), f"{name} got work it cannot do: {self.dump(beyond, start, ends)}"
        longest = port.mtu + MTU_EXTRA + (TAG_LEN if self.number % 2 else 0)
        too_long = (length > longest) & (gso_type == GSO_NONE)
        assert not too_long.any(), f"{name} got too long: {self.dump(too_long, start, ends)}"
        runt = length < 14
        assert not runt.any(), f"{name} got a runt: {self.dump(runt, start, ends)}"
        if not port.offloads:
            self.judge(start, ends)

    def judge(self, start: np.ndarray, ends: np.ndarray) -> None:
        source = start[:, None] + np.arange(VNET_LEN + 6, VNET_LEN + 10)
        valid = np.flatnonzero(
            (self.records[source] == np.frombuffer(VALID_PREFIX, np.uint8)).all(axis=1)
            & np.isin(self.records[start + VNET_LEN + 12], (0x08, 0x86, 0x81))
            & (ends - start > VNET_LEN + 40)
        )
        for i in self.rng.permutation(valid)[:JUDGED]:
            data = self.records[start[i] + VNET_LEN : ends[i]].tobytes()
            at = 12
            while data[at : at + 2] == b"\x81\x00":
                at += 4
            if data[at : at + 2] not in (b"\x08\x00", b"\x86\xdd"):
                continue  # behind the tag of another port, or ARP
            if data[at : at + 2] == b"\x86\xdd" and data[at + 8] == 58:
                continue  # a question about a neighbour
            if not is_fragment(data):
                finished(data)
            self.judged += 1

    def dump(self, which: np.ndarray, start: np.ndarray, ends: np.ndarray) -> str:
        i = int(np.flatnonzero(which)[0])
        return self.records[start[i] : ends[i]].tobytes()[:200].hex()


def fuzz(frames: int, seed: int, *, first_round: int = 0) -> str:
    """Run; returns the line to print. AssertionError names the round to repeat."""
    began = shown = time.monotonic()
    total = delivered = judged = answered = 0
    number = first_round
    while total < frames:
        this = Round(seed, number)
        try:
            total += this.run(frames - total)
        except AssertionError as e:
            e.add_note(f"repeat with --seed {seed} --first-round {number}")
            raise
        delivered += this.delivered
        answered += this.switch.neighbours.counters()["answered"]
        judged += this.judged
        number += 1
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            print(f"{total:,} of {frames:,} frames, {shown - began:.0f} s", file=sys.stderr)
    return (
        f"fuzz_poll: {total} frames in, {delivered} out, {judged} judged by scapy, "
        f"{answered} questions answered, "
        f"{number - first_round} switches, seed {seed}, {time.monotonic() - began:.1f} s: "
        "no violation"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first-round", type=int, default=0)
    options = parser.parse_args()
    print(fuzz(options.frames, options.seed, first_round=options.first_round))


if __name__ == "__main__":
    main()
