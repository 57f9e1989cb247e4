"""VLANs and the flags of ports, as Linux has them: a bridge in a virtual machine.

What it does with the cases of `support.vlan_cases` is recorded, so that the switches are held
against it everywhere (`tests/model/test_vlan_recorded.py`, which also says where we differ on
purpose); here it is seen that the record is true. And any other scenario is played by all of them:

- one frame at a time, as we learn a whole burst before any of it is decided;
- what the bridge has no words for (acceptable frame types, no ingress filtering, translation,
  ports of different tag types, limits of stations) is left to `test_against_reference.py`;
- Linux 6.1, which Debian's virtual machines boot, has neither MAC authentication bypass (6.2) nor
  a limit of learned stations (6.8).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings

from support.vlan_bridge import INITRD, KernelBridge, kernel_bridge
from support.vlan_cases import CASES
from support.vlan_recorded import recorded
from support.vlan_replay import REPLAYS
from support.vlan_scenario import Scenario, differences, scenario_text
from support.vlan_strategies import scenarios
from support.vm import lacking


@pytest.fixture(scope="module")
def bridge(tmp_path_factory) -> Iterator[KernelBridge]:
    """One virtual machine for all of them: each has a new bridge in it."""
    if reason := lacking(INITRD):
        pytest.skip(reason)
    folder: Path = tmp_path_factory.mktemp("vm")
    with kernel_bridge(folder) as made:
        yield made


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_bridge_does_what_is_recorded(bridge, case: Scenario):
    assert not list(differences(case, recorded(case), bridge.play(case)))


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(scenario=scenarios())
def test_all_switches_do_what_the_bridge_does(bridge, scenario: Scenario):
    note(scenario_text(scenario))
    expected = bridge.play(scenario)
    for replay in REPLAYS:
        assert not list(differences(scenario, expected, replay(scenario))), replay.__name__
