"""What the Linux bridge did with the cases of `support.vlan_cases`, for machines without QEMU.

``vlan_recorded.json`` has for each case a line for each step, as `sent_text` says it, and one for
each station. It is written anew by

    PYTHONPATH=.:tests .venv/bin/python -m support.vlan_recorded

and ``tests/vms/test_vlan_oracle.py`` holds it against the kernel.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from support.vlan_bridge import kernel_bridge
from support.vlan_cases import CASES
from support.vlan_scenario import Outcome, Place, Scenario, sent_of, sent_text

FILE = Path(__file__).with_suffix(".json")


def recorded(scenario: Scenario) -> Outcome:
    """What the kernel did; AssertionError if the case is not the one that was recorded."""
    entry = json.loads(FILE.read_text())[scenario.name]
    assert len(entry["sent"]) == len(scenario.steps), f"{scenario.name} has changed: record it anew"
    sent = tuple(
        sent_of(text, step, len(scenario.ports))
        for text, step in zip(entry["sent"], scenario.steps, strict=True)
    )
    return Outcome(sent, dict(map(station_of, entry["stations"])))


def station_of(text: str) -> tuple[tuple[int, bytes], Place]:
    vid, mac, port, *static = text.split()
    return (int(vid), bytes.fromhex(mac)), Place(int(port), bool(static))


def record(scenario: Scenario, outcome: Outcome) -> str:
    """An entry of the file."""
    sent = map(sent_text, scenario.steps, outcome.sent)
    stations = [
        f"{vid} {mac.hex()} {place.port}" + " static" * place.static
        for (vid, mac), place in sorted(outcome.stations.items())
    ]
    entry = f'  "sent": {json.dumps(list(sent))},\n  "stations": {json.dumps(stations)}'
    return f" {json.dumps(scenario.name)}: {{\n{entry}}}"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, kernel_bridge(Path(folder)) as bridge:
        entries = [record(case, bridge.play(case)) for case in CASES]
    FILE.write_text("{\n" + ",\n".join(entries) + "\n}\n")


if __name__ == "__main__":
    main()
