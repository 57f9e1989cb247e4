"""What a TCP flow gets through a switch."""

from __future__ import annotations

import json
import statistics

from support.namespaces import Netns
from support.wait import wait_for

PORT = 5201
SETTLE_S = 1  # left out: what a bucket was full of at the beginning
RUN_S = 3


def tcp_bps(sender: Netns, receiver: Netns, to: str) -> float:
    """Payload bits a second of one TCP flow to the address *to*, as received."""
    with receiver.background("iperf3", "-s", "-1", "-p", str(PORT)):
        wait_for(lambda: f":{PORT}" in receiver.run("ss", "-Htln"), "iperf3 listens")
        said = sender.run(
            "iperf3", "-J", "-c", to, "-p", str(PORT), "-O", str(SETTLE_S), "-t", str(RUN_S)
        )
    return float(json.loads(said)["end"]["sum_received"]["bits_per_second"])


def median_tcp_bps(sender: Netns, receiver: Netns, to: str, *, runs: int = 3) -> float:
    """The median of *runs* such flows."""
    return statistics.median(tcp_bps(sender, receiver, to) for _ in range(runs))
