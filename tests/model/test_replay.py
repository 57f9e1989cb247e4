"""Small captures through a switch: both cores against the switch in plain Python, to the byte."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from support.budget import examples
from support.captures import read_back, write_pcap
from tests.model.traffic import frames
from vswitch.config import SwitchConfig
from vswitch.playback import replay
from vswitch.reference import ReferenceSwitch

NS = 10**9
START_NS = 1_700_000_000 * NS + 999_999_999  # the next nanosecond is another second of the day
AGEING_S = 2
# The same moment often; and around the ageing time.
gaps = st.sampled_from([0, 0, 0, 1, NS - 1, NS, 2 * NS - 1, 2 * NS, 5 * NS])
lengths = st.sampled_from([14, 60, 1500])
capture = st.lists(st.tuples(gaps, frames(lengths)), max_size=12)


def timed(given: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """(gap, frame) as (time, frame)."""
    now_ns, found = START_NS, []
    for gap, frame in given:
        now_ns += gap
        found.append((now_ns, frame))
    return found


def expected(captures: list[list[tuple[int, bytes]]], fdb_limit: int, n_ports: int):
    """What leaves each port: every frame alone, in order of time and of captures."""
    switch = ReferenceSwitch(fdb_limit=fdb_limit, ageing_s=AGEING_S)
    for _ in range(n_ports):
        switch.add_port()
    entries = [(t, n, i, f) for n, c in enumerate(captures) for i, (t, f) in enumerate(c)]
    found: dict[int, list[tuple[int, bytes]]] = {n: [] for n in range(n_ports)}
    for time_ns, number, _, frame in sorted(entries):
        now_s = (time_ns - min(entries)[0]) // NS
        switch.fdb.expire(now_s)
        for egress, sent in switch.receive(number, [frame], now_s).items():
            found[egress] += [(time_ns, f) for f in sent]
    return list(found.values())


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(capture, min_size=1, max_size=3), st.sampled_from([1, 2, 100]))
def test_both_cores_do_what_the_reference_switch_does(given_captures, fdb_limit):
    captures = [timed(c) for c in given_captures]
    n_ports = len(captures) + 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = [f"{write_pcap(folder / str(i), c)}@p{i}" for i, c in enumerate(captures)]

        played = {
            core: replay(
                sources, folder / core, ports=["recorder"],
                config=SwitchConfig(core=core, ageing_s=AGEING_S, fdb_limit=fdb_limit),
            )
            for core in ("c", "python")
        }  # fmt: skip

        assert len(played["c"].files) == n_ports
        assert [read_back(p) for p in played["c"].files] == expected(captures, fdb_limit, n_ports)
        for c, python in zip(played["c"].files, played["python"].files, strict=True):
            assert c.read_bytes() == python.read_bytes()
    assert played["c"].stations == played["python"].stations
    assert [p.counters for p in played["c"].ports] == [p.counters for p in played["python"].ports]
