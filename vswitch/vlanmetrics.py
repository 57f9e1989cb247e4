"""What ports count in each VLAN, for Prometheus: for VLANs that were said, and not too many.

There can be 4,094 VLANs on each of 1,024 ports, and a series for each would be what a label must
not do. So ports with few VLANs come first, and those that would pass the limit are left out and
counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from vswitch import vlanwords
from vswitch.status import VlanStatus
from vswitch.vlans import NO_VLAN, VidSet

# Chosen by us: with four counters each, as many series as 100 ports have for all else.
PAIRS_MAX = 512
COUNTS = (
    ("receive_packets", "Frames received"),
    ("receive_bytes", "Bytes of frames received"),
    ("transmit_packets", "Frames sent"),
    ("transmit_bytes", "Bytes of frames sent"),
)


def families(switch: str, ports: Sequence[VlanStatus]) -> Iterator[Metric]:
    """The families of *switch*; none while it takes no notice of VLANs."""
    if not any(status.vlans for status in ports):
        return
    labels = ("switch", "port", "vlan")
    counters = [
        CounterMetricFamily(f"vswitch_vlan_{name}", f"{what} in a VLAN.", labels=labels)
        for name, what in COUNTS
    ]
    chosen = [*_chosen(ports)]
    for status, vids in chosen:
        for vid in vids:
            its = (switch, clean(status.port), str(vid))
            counted = status.counters.get(vid, (0, 0, 0, 0))
            for family, value in zip(counters, counted, strict=True):
                family.add_metric(its, value)
    left_out = GaugeMetricFamily(
        "vswitch_vlan_ports_left_out",
        f"Ports whose VLANs have no series here: together they would have more than {PAIRS_MAX}.",
        labels=("switch",),
    )
    named = sum(bool(_vids(status)) for status in ports)
    left_out.add_metric((switch,), named - len(chosen))
    yield from (*counters, left_out)


def _chosen(ports: Iterable[VlanStatus]) -> Iterator[tuple[VlanStatus, VidSet]]:
    """Ports with their VLANs, those with few first, until there are too many."""
    left = PAIRS_MAX
    for status in sorted(ports, key=lambda status: len(_vids(status))):
        vids = _vids(status)
        left -= len(vids)
        if left < 0:
            return
        if vids:
            yield status, vids


def _vids(status: VlanStatus) -> VidSet:
    """The VLANs that were said of a port."""
    vlans = status.vlans
    if vlans is None or vlanwords.mode(vlans) == "plain":
        return VidSet()
    return vlans.members - VidSet.of([NO_VLAN])


def clean(name: str) -> str:
    """A name that can be encoded; a device's may have any bytes."""
    return name.encode(errors="backslashreplace").decode()
