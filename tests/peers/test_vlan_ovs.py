"""VLANs against Open vSwitch's datapath in user space, where the two mean the same.

Its access, trunk, native-tagged, native-untagged and dot1q-tunnel ports, and protected ones, which
are isolated here. It differs, and the comparison leaves out:

- an access port there takes no tag at all, not even its own; a priority alone is welcome to both;
- tags of both types count there at any port, up to two; here a port has tags of one type, and all
  else is payload. So a frame has one tag of the switch's type and one customer's tag at most;
- the drop eligible bit of a tag is lost there, and a customer's tag without a VLAN;
- a frame of a group or of nobody is forwarded there; frames longer than 1,514 bytes are not;
- without VLANs tags count there, too.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from support.frames import BROADCAST
from support.vlan_ovs import lacking, open_vswitch
from support.vlan_replay import by_reference, by_switch
from support.vlan_scenario import Arrival, Scenario, differences, scenario_text
from support.vlan_strategies import STATIONS, VIDS, pinned, seldom
from support.vlan_talk import GROUP, Tag, access, native, says, trunk
from vswitch.portsettings import PortSettings
from vswitch.vlans import C_TAG, S_TAG, PortVlans

STEPS_MOST = 25
NO_PORTS = 30  # a VLAN
vids = st.sampled_from(VIDS)
priorities = st.sampled_from([0, 0, 1 << 13, 7 << 13])


@pytest.fixture(scope="module")
def ovs(tmp_path_factory):
    if reason := lacking():
        pytest.skip(reason)
    with open_vswitch(tmp_path_factory.mktemp("ovs")) as made:
        yield made


@st.composite
def ports(draw: st.DrawFn, tag_type: int) -> PortSettings:
    members = draw(st.lists(vids, min_size=1, unique=True))
    own, text = members[0], ",".join(map(str, members))
    kinds = [access(own), access(own), trunk(text)]
    if tag_type == C_TAG:
        kinds += [native(own, text), native(own, text, tagged=True)]
    isolated = draw(seldom(True, False, in_n=4))
    return replace(draw(st.sampled_from(kinds)), isolated=isolated)


@st.composite
def tags(draw: st.DrawFn, vlans: PortVlans, tag_type: int) -> list[Tag]:
    """What a frame at such a port may have, for both to think alike of it."""
    outer: list[Tag] = [
        (tag_type, draw(priorities) | draw(st.sampled_from([*VIDS * 3, NO_PORTS, 0])))
    ]
    if vlans.pvid is not None:
        outer = draw(st.sampled_from([[], outer]))
    if tag_type == C_TAG:
        is_access = vlans.members == vlans.untagged
        return [(C_TAG, tci & ~0xFFF) for _, tci in outer] if is_access else outer
    inner = draw(st.lists(st.tuples(st.just(C_TAG), st.sampled_from(VIDS)), max_size=1))
    return inner if vlans.pvid is not None else outer + inner


@st.composite
def arrivals(draw: st.DrawFn, settings: list[PortSettings], tag_type: int) -> Arrival:
    number = draw(st.sampled_from(range(len(settings))))
    destination = draw(st.sampled_from([*STATIONS * 3, BROADCAST, BROADCAST, GROUP]))
    source = draw(st.sampled_from(STATIONS))
    return says(number, destination, source, *draw(tags(settings[number].vlans, tag_type)))


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    tag_type = draw(st.sampled_from([C_TAG, C_TAG, S_TAG]))
    settings = draw(st.lists(ports(tag_type), min_size=2, max_size=5))
    steps = draw(st.lists(arrivals(settings, tag_type), min_size=1, max_size=STEPS_MOST))
    return Scenario("any", tuple(settings), tuple(steps), draw(pinned(settings)), tag_type)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(scenario=scenarios())
def test_vlans_are_those_of_open_vswitch(ovs, scenario: Scenario):
    note(scenario_text(scenario))
    expected = ovs.play(scenario)
    for replay in (by_reference, by_switch):
        assert not list(differences(scenario, expected, replay(scenario))), replay.__name__
