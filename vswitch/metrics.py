"""What a switch counts, for Prometheus: names, labels and help texts.

    body, content_type = exposition(switch, accept="text/plain")

Labels have few values each: switch, port, direction, reason, kind, type, worker (the poller's
number), vlan (see vlanmetrics.py); none has a station's address. A port that is removed takes its
series with it, as a restarted one begins at 0 again, and the counters of the switch as a whole
never go back.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from vswitch import __version__, vlanmetrics, vlanwords
from vswitch._fastpath import DROP_REASONS
from vswitch.status import PortStatus, Pulse
from vswitch.switch import Switch
from vswitch.vlanmetrics import clean

OPENMETRICS = "application/openmetrics-text"
TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
DIRECTIONS = {"rx": "receive", "tx": "transmit"}
TIMED_FROM = 5  # 2 ** 5 ns: no frame takes less, so smaller ones need no series
FDB_EVENTS = {
    "learned": "Stations learned.",
    "expired": "Stations forgotten because they were not heard for the ageing time.",
    "moved": "Stations heard on another port than before.",
    "evicted": "Always 0: at the limit the newcomer is refused and nobody forgotten for him.",
    "refused": "Stations not learned: a limit was reached, or the table found no place.",
}
GUARD_EVENTS = {
    "missed": "DHCP messages that went on and were not read: the control plane had no room.",
    "refused": "Leases not taken over: their port had too many.",
}


NEIGHBOUR_EVENTS = {
    "answered": "Questions for neighbours that the switch answered.",
    "suppressed": "Frames not sent to ports with neigh-suppress, answered questions included.",
    "refused": "Neighbours not taken in: the limit was reached.",
}


def exposition(switch: Switch, accept: str = "") -> tuple[bytes, str]:
    """The metrics of *switch* and of its process as text, and the type of that text.

    *accept*: the header of who asks; OpenMetrics if it has that.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SwitchCollector(switch))
    ProcessCollector(registry=registry)
    if any(kind.partition(";")[0].strip() == OPENMETRICS for kind in accept.split(",")):
        text = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return text, openmetrics.CONTENT_TYPE_LATEST
    return generate_latest(registry), TEXT_TYPE


class SwitchCollector(Collector):
    """Reads a switch whenever it is asked."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    def collect(self) -> Iterator[Metric]:
        switch = self._switch
        yield InfoMetricFamily(
            "vswitch_build",
            "What runs.",
            {
                "version": __version__,
                "python": platform.python_version(),
                "core": switch.config.core,
            },
        )
        vlans = switch.vlan_statuses()
        modes = {status.port: vlanwords.mode(status.vlans) for status in vlans}
        yield from _ports(switch.name, switch.port_statuses(), modes)
        yield from vlanmetrics.families(switch.name, vlans)
        yield _looped(switch)
        yield from _fdb(switch)
        yield from _guards(switch)
        yield from _neighbours(switch)
        yield from _pollers(switch.name, switch.pulses(), timed=switch.config.core == "c")


def _ports(switch: str, ports: Iterable[PortStatus], modes: Mapping[str, str]) -> Iterator[Metric]:
    labels = ("switch", "port")
    traffic = {
        (word, unit): CounterMetricFamily(
            f"vswitch_port_{direction}_{name}", f"{what} {done}.", labels=labels
        )
        for word, direction, done in (("rx", "receive", "received"), ("tx", "transmit", "sent"))
        for unit, name, what in (
            ("bytes", "bytes", "Bytes of frames"),
            ("frames", "packets", "Frames"),
        )
    }
    drops = CounterMetricFamily(
        "vswitch_port_drops",
        "Frames received that went nowhere, and copies that could not be sent, by reason.",
        labels=(*labels, "direction", "reason"),
    )
    up = GaugeMetricFamily(
        "vswitch_port_up", "1 while frames may enter and leave, or copies leave.", labels=labels
    )
    mirror = GaugeMetricFamily(
        "vswitch_port_mirror",
        "1 while it gets the copies of a mirror, and nothing else.",
        labels=labels,
    )
    mtu = GaugeMetricFamily("vswitch_port_mtu_bytes", "MTU of the port.", labels=labels)
    info = InfoMetricFamily("vswitch_port", "What the port is.", labels=labels)
    for port in ports:
        its = (switch, clean(port.name))
        for (word, unit), family in traffic.items():
            family.add_metric(its, port.counters[f"{word}_{unit}"])
        for reason, where, _ in DROP_REASONS:
            drops.add_metric((*its, DIRECTIONS[where], reason), port.drops[reason])
        up.add_metric(its, port.state in ("forwarding", "mirror"))
        mirror.add_metric(its, port.state == "mirror")
        mtu.add_metric(its, port.mtu)
        info.add_metric(its, {"kind": port.kind, "vlan_mode": modes.get(port.name, "unaware")})
    yield from (*traffic.values(), drops, up, mirror, mtu, info)


def _looped(switch: Switch) -> Metric:
    family = GaugeMetricFamily(
        "vswitch_port_looped",
        "1 while the port hears what another sends: it is held, or only reported.",
        labels=("switch", "port"),
    )
    looped = switch.loops.looped
    for name in switch.ports:
        family.add_metric((switch.name, clean(name)), name in looped)
    return family


def _fdb(switch: Switch) -> Iterator[Metric]:
    flooded = CounterMetricFamily(
        "vswitch_flood_frames", "Frames sent to every port.", labels=("switch", "kind")
    )
    for kind, frames in switch.flooded().items():
        flooded.add_metric((switch.name, kind), frames)
    yield flooded
    counters = switch.fdb_counters()
    static, locked = counters["static"], counters["locked"]
    dynamic = max(0, counters["entries"] - static - locked)
    yield _gauge(
        "vswitch_fdb_entries",
        "Stations known.",
        switch.name,
        {"static": static, "dynamic": dynamic, "locked": locked},
    )
    yield _gauge(
        "vswitch_fdb_limit", "Stations it can know.", switch.name, {"total": counters["limit"]}
    )
    events = {**counters, "evicted": 0, "refused": counters["refused"] + counters["crowded"]}
    for event, text in FDB_EVENTS.items():
        family = CounterMetricFamily(f"vswitch_fdb_{event}", text, labels=("switch",))
        family.add_metric((switch.name,), events[event])
        yield family


def _guards(switch: Switch) -> Iterator[Metric]:
    counted = switch.guard_counters()
    leases = GaugeMetricFamily(
        "vswitch_guard_leases",
        "Addresses that DHCP gave to stations at ports that are not trusted.",
        labels=("switch",),
    )
    leases.add_metric((switch.name,), counted["leases"])
    yield leases
    for name, text in GUARD_EVENTS.items():
        family = CounterMetricFamily(f"vswitch_guard_{name}", text, labels=("switch",))
        family.add_metric((switch.name,), counted[name])
        yield family


def _neighbours(switch: Switch) -> Iterator[Metric]:
    counted = switch.neighbours.counters()
    entries = GaugeMetricFamily(
        "vswitch_neighbours", "Stations whose IP address is known.", labels=("switch",)
    )
    entries.add_metric((switch.name,), counted["entries"])
    yield entries
    for name, text in NEIGHBOUR_EVENTS.items():
        family = CounterMetricFamily(f"vswitch_neighbours_{name}", text, labels=("switch",))
        family.add_metric((switch.name,), counted[name])
        yield family


def _gauge(name: str, text: str, switch: str, by_type: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=("switch", "type"))
    for kind, value in by_type.items():
        family.add_metric((switch, kind), value)
    return family


def _pollers(switch: str, pulses: Iterable[Pulse], *, timed: bool) -> Iterator[Metric]:
    labels = ("switch", "worker")
    rounds = CounterMetricFamily("vswitch_loop_iterations", "Rounds of a poller.", labels=labels)
    sizes = HistogramMetricFamily(
        "vswitch_batch_frames", "Frames received in one burst.", labels=labels
    )
    times = HistogramMetricFamily(
        "vswitch_frame_seconds",
        "Time from before a burst is received until it is sent, divided by its frames; of one "
        "burst in 1024.",
        labels=labels,
    )
    for worker, pulse in enumerate(pulses):
        its = (switch, str(worker))
        rounds.add_metric(its, pulse.rounds)
        sizes.add_metric(its, _sizes(pulse.bursts), sum(n * b for n, b in enumerate(pulse.bursts)))
        times.add_metric(its, _times(pulse.timed), pulse.timed_ns / 1e9)
    yield from (rounds, sizes, *([times] if timed else []))


def _sizes(bursts: tuple[int, ...]) -> list[tuple[str, float]]:
    """Cumulated buckets by powers of two: 1, 2, 3 to 4, 5 to 8, ... frames."""
    so_far = list(accumulate(bursts))
    powers = (2**i for i in range((len(bursts) - 1).bit_length()))
    return [*((f"{n}.0", so_far[n]) for n in powers), ("+Inf", so_far[-1])]


def _times(timed: tuple[int, ...]) -> list[tuple[str, float]]:
    so_far = list(accumulate(timed))
    bounds = range(TIMED_FROM, len(timed) - 1)
    return [*((repr(2**i / 1e9), so_far[i]) for i in bounds), ("+Inf", so_far[-1])]
