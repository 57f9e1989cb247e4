"""VLANs and the flags of ports against what the Linux bridge did, which is on record.

`support.vlan_cases` has the cases; `tests/vms/test_vlan_oracle.py` sees that the record is true.
"""

from __future__ import annotations

import pytest

from support.vlan_cases import CASES
from support.vlan_recorded import recorded
from support.vlan_replay import REPLAYS, Replay
from support.vlan_scenario import Scenario, differences

# Where we differ on purpose.
DIFFERENT = {
    "a static station that moves":
    "the kernel's moves, and keeps being static, unless it is sticky; ours is where it was put",
    "a frame that ends in or behind a tag, whatever the switch thinks of it":
    "the kernel takes tags of both types out of any frame, and drops what is too short for that;"
    " to us what is not a tag of the port is payload, which may have any length",
    "without VLANs, frames that end in a tag":
    "a switch without VLANs takes no notice of tags, whole or not",
    "without VLANs, tagged frames that are longer than may be":
    "the kernel has the tag beside the frame when it compares lengths; without VLANs it is payload"
    " here",
    "reserved addresses, service tags":
    "the kernel lets 0B, 0C, 0D and 0F pass when tags are service tags, as IEEE 802.1Q-2018 table"
    " 8-2 says of provider bridges; with us who wants that says so, whatever the tags",
}  # fmt: skip

replays = pytest.mark.parametrize("replay", REPLAYS, ids=lambda replay: replay.__name__)


def of_name(case: Scenario) -> str:
    return case.name


@replays
@pytest.mark.parametrize("case", [c for c in CASES if c.name not in DIFFERENT], ids=of_name)
def test_a_switch_does_what_the_linux_bridge_did(case: Scenario, replay: Replay):
    assert not list(differences(case, recorded(case), replay(case)))


@replays
@pytest.mark.parametrize("case", [c for c in CASES if c.name in DIFFERENT], ids=of_name)
def test_what_is_said_to_differ_differs(case: Scenario, replay: Replay):
    assert list(differences(case, recorded(case), replay(case)))


def test_every_case_has_a_name_of_its_own():
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.name for case in CASES} >= DIFFERENT.keys()
