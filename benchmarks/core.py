#!/usr/bin/env python3
"""The datapath alone, over memory ports: frames per second of one poller, no system calls.

    station ──memory port── switch ──memory port── station
                            (2..64 ports, 2..1,000,000 stations)

Frames lie in the memory of the receiving ports and are read again and again where they lie;
what is sent is counted and forgotten. So the figure holds what the switch itself does for a
frame (admit, learn, look up, hand over) and nothing of a device.

``cached``: the frames of one port fit into the first-level cache's neighbourhood (1,000 of
them); otherwise there are as many as need four times the second-level cache. Stations take
their turns in random order.

``copied``: each frame is copied before the switch receives it, as it has to be with VLANs, where
its tag may be changed; those two rows tell what VLANs cost.

    python benchmarks/core.py [--seconds 1] [--rounds 5] [--json FILE] [--png FILE]
    python benchmarks/core.py --against FOLDER  # another tree, built: the ratio to it
    python benchmarks/core.py --vlan            # the ratio of with VLANs to without

Ratios are of pairs: each round is a process of its own, of one side and then of the other.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from operator import truediv

from vswitch.core import Core

ROUNDS_PER_CALL = 1 << 30
VLAN = 10
CACHED, COLD = 1_000, 200_000  # frames per receiving port; 80 bytes each in memory
MUST = {(1_000, True): 25.0, (65_536, False): 10.0, (1_000_000, False): 5.0}  # Mframe/s


@dataclass(frozen=True)
class Case:
    """One thing to measure."""

    stations: int
    ports: int
    kind: str  # known, unknown or broadcast
    cached: bool
    pollers: int = 1
    copied: bool = False
    vlan: bool = False  # all ports are access ports of VLAN 10

    @property
    def label(self) -> str:
        where = "in cache" if self.cached else "not in cache"
        return (
            f"{self.kind:9} {self.stations:>9,} stations {self.ports:>2} ports"
            f" {self.pollers} poller{'s' if self.pollers > 1 else ' '} {where}"
            f"{', copied' if self.copied else ''}{', VLAN' if self.vlan else ''}"
        )


def cases(*, pollers: int) -> Iterator[Case]:
    for stations in (2, 1_000, 65_536, 1_000_000):
        yield Case(stations, 2, "known", cached=True)
        yield Case(stations, 2, "known", cached=False)
    for ports in (8, 64):
        yield Case(1_000, ports, "known", cached=True)
    for kind in ("unknown", "broadcast"):
        for ports in (2, 8, 64):
            yield Case(1_000, ports, kind, cached=True)
    for vlan in (False, True):
        yield Case(1_000, 2, "known", cached=True, copied=True, vlan=vlan)
    for n in range(2, pollers + 1):
        yield Case(1_000, 2 * n, "known", cached=True, pollers=n)


def build(case: Case) -> Core:
    """A switch that knows its stations, with frames waiting on every port."""
    chance = random.Random(1)
    core = Core(
        "c", pollers=case.pollers, fdb_limit=max(65_536, case.stations), ageing_s=0,
        busy_poll_us=0, notify_fd=-1,
    )  # fmt: skip
    frames = (CACHED if case.cached else COLD) // case.ports
    size = 1 << max(18, (frames * 96).bit_length())
    for _ in range(case.ports):
        core.add_memory_port(fd=os.eventfd(0, os.EFD_NONBLOCK), offloads=0, mtu=1500, size=size)
    homes: list[list[bytes]] = [[] for _ in range(case.ports)]
    for i in range(case.stations):
        mac = b"\x02" + chance.randbytes(5)
        core.fdb.learn(VLAN if case.vlan else 0, mac, i % case.ports, 0)
        homes[i % case.ports].append(mac)
    for port in range(case.ports):
        if case.vlan:
            from vswitch.vlans import PortVlans, VidSet  # not there in trees before VLANs

            only = VidSet.of([VLAN])
            core.set_vlans(port, PortVlans(VLAN, only, only, "untagged"))
        wire = core.wire(port)
        for _ in range(frames):
            wire.send(bytes(10) + _frame(case.kind, port, homes, chance))
        # The word is left out where it says nothing: other trees may not know it.
        wire.replay(ROUNDS_PER_CALL, discard=True, **({"copied": True} if case.copied else {}))
    return core


def _frame(kind: str, port: int, homes: list[list[bytes]], chance: random.Random) -> bytes:
    source = chance.choice(homes[port])
    if kind == "known":
        other = (port + chance.randrange(1, len(homes))) % len(homes)
        target = chance.choice(homes[other])
    else:
        target = b"\xff" * 6 if kind == "broadcast" else b"\x06" + chance.randbytes(5)
    return target + source + b"\x88\xb5" + bytes(46)


def measure(core: Core, case: Case, seconds: float, rounds: int) -> list[float]:
    """Received frames per second, in millions, of each round; by poller threads as always."""
    threads = [threading.Thread(target=core.datapath.run, args=(i,)) for i in range(case.pollers)]
    for t in threads:
        t.start()
    time.sleep(seconds / 4)  # every page touched, every station fresh
    rates = [rate(core, case, seconds) for _ in range(rounds)]
    core.datapath.stop()
    for t in threads:
        t.join()
    return rates


def rate(core: Core, case: Case, seconds: float) -> float:
    before, start = received(core, case), time.perf_counter()
    time.sleep(seconds)
    return (received(core, case) - before) / (time.perf_counter() - start) / 1e6


def received(core: Core, case: Case) -> int:
    return sum(core.counters(p)[0]["rx_frames"] for p in range(case.ports))


def compare(folder: str | None, seconds: float, rounds: int) -> None:
    """Print ratios in pairs: this tree to that in *folder*, or None: with VLANs to without."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    all_cases = list(cases(pollers=1))
    for number, case in enumerate(all_cases):
        if folder and not case.copied:
            other = (folder, number)
        elif not folder and case.vlan:
            other = (here, all_cases.index(replace(case, vlan=False)))
        else:
            continue
        pair = ((here, number), other)
        ratios = [truediv(*(_one(*side, seconds) for side in pair)) for _ in range(rounds)]
        print(
            f"{case.label}  {statistics.median(ratios):.2f} [{min(ratios):.2f}..{max(ratios):.2f}]",
            flush=True,
        )


def _one(tree: str, number: int, seconds: float) -> float:
    command = [sys.executable, __file__, "--case", str(number), "--seconds", str(seconds)]
    out = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": tree},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(out.stdout)


def draw(results: list[dict[str, object]], path: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fig, ax = plt.subplots(figsize=(9, 0.35 * len(results) + 1.5))
    labels = [str(r["label"]) for r in results]
    ax.barh(labels, [r["mfps"] for r in results])
    ax.invert_yaxis()
    ax.set_xlabel("million frames per second, all pollers")
    ax.set_title("the datapath alone, 60-byte frames over memory ports")
    ax.tick_params(axis="y", labelfamily="monospace", labelsize=8)
    fig.tight_layout()
    fig.savefig(path, dpi=110)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="of one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pollers", type=int, default=2, help="measure up to so many")
    parser.add_argument("--against", metavar="FOLDER", help="print ratios to another tree")
    parser.add_argument(
        "--vlan", action="store_true", help="print the ratio of with VLANs to without"
    )
    parser.add_argument("--case", type=int, help="print the rate of this one only, from 0")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--png", metavar="FILE")
    args = parser.parse_args()
    if args.case is not None:
        case = list(cases(pollers=args.pollers))[args.case]
        print(*measure(build(case), case, args.seconds, rounds=1))
        return 0
    if args.against or args.vlan:
        compare(args.against, args.seconds, args.rounds)
        return 0
    results: list[dict[str, object]] = []
    for case in cases(pollers=args.pollers):
        print(f"{case.label} ...", end="\r", file=sys.stderr)
        rates = measure(build(case), case, args.seconds, args.rounds)
        must = MUST.get((case.stations, case.cached)) if case.kind == "known" else None
        must = None if case.copied else must
        wanted = f"  (must {must:g})" if must and case.ports == 2 else ""
        print(
            f"{case.label}  {statistics.median(rates):6.1f} Mframe/s"
            f" [{min(rates):.1f}..{max(rates):.1f}]{wanted}",
            flush=True,
        )
        results.append(
            {"label": case.label, "mfps": statistics.median(rates), "rounds": rates, **asdict(case)}
        )
    if args.json:
        with open(args.json, "w") as out:
            json.dump({"date": time.strftime("%Y-%m-%d"), "results": results}, out, indent=1)
    if args.png:
        draw(results, args.png)
    return 0


if __name__ == "__main__":
    sys.exit(main())
