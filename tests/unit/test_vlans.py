"""Sets of VLANs, and how the VLANs of a port are said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.errors import ConfigError
from vswitch.vlans import ALL, PLAIN, PortVlans, VidSet
from vswitch.vlanwords import parse, text

A = VidSet.of


@given(st.sets(st.integers(1, 4094)))
def test_a_set_is_what_it_was_made_of(vids):
    some = VidSet.of(vids)

    assert list(some) == sorted(vids)
    assert len(some) == len(vids)
    assert not vids or VidSet.parse(some.text()) == some
    assert some.bitmap() == bytes(
        sum(1 << bit for bit in range(8) if 8 * at + bit in vids) for at in range(512)
    )


@given(st.sets(st.integers(1, 60)), st.sets(st.integers(1, 60)))
def test_sets_combine_as_sets_do(a, b):
    assert (A(a) | A(b), A(a) & A(b), A(a) - A(b)) == (A(a | b), A(a & b), A(a - b))


def test_all_has_a_name():
    assert (VidSet.parse("all"), ALL.text(), len(ALL)) == (ALL, "all", 4094)


@pytest.mark.parametrize(
    ("said", "vlans"),
    [
        ("access=10", PortVlans(10, A([10]), A([10]))),
        ("tag=10", PortVlans(10, A([10]), A([10]))),
        ("trunk=10,20-22", PortVlans(None, A([10, 20, 21, 22]), A([]))),
        ("trunks=10,20", PortVlans(None, A([10, 20]), A([]))),
        ("trunk=10,native=1", PortVlans(1, A([1, 10]), A([1]))),
        ("tagged_vlans=10,native_vlan=1", PortVlans(1, A([1, 10]), A([1]))),
        ("trunk=10,native=1,native-mode=tagged", PortVlans(1, A([1, 10]), A([]))),
        ("pvid=1,untagged=1,30,tagged=10,11", PortVlans(1, A([1, 10, 11, 30]), A([1, 30]))),
        ("untagged=30", PortVlans(None, A([30]), A([30]))),
        ("access=100,tag-type=802.1ad", PortVlans(100, A([100]), A([100]), tag_type=0x88A8)),
        ("trunk=7,tag-type=0x9100", PortVlans(None, A([7]), A([]), tag_type=0x9100)),
        ("trunk=10,translate=100:10", PortVlans(None, A([10]), A([]), translate=((100, 10),))),
        (
            "trunk=10,100,translate=100:10,10:100",
            PortVlans(None, A([10, 100]), A([]), translate=((10, 100), (100, 10))),
        ),
        ("trunk=all,ingress-filter=off", PortVlans(None, ALL, A([]), ingress_filter=False)),
        ("accept=untagged", PortVlans(accept="untagged")),
        ("tag-type=802.1Q", PLAIN),
        ("", None),
    ],
)
def test_what_is_said_is_meant(said, vlans):
    assert parse("vlans", said) == vlans
    assert parse("vlans", text(vlans)) == vlans


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("access=0", "vlans: access: a VLAN is a number in 1..4094, not '0'"),
        ("access=4095", "vlans: access: a VLAN is a number in 1..4094, not '4095'"),
        ("trunk=20-10", "vlans: trunk: a range goes upwards, 20-10 does not"),
        ("access=10,trunk=20", "vlans: access and trunk exclude one another"),
        ("access=10,untagged=10", "vlans: access and untagged exclude one another"),
        ("trunk=10,pvid=10", "vlans: a trunk has no pvid"),
        ("trunk=10,tagged=20", "vlans: trunk and tagged exclude one another"),
        ("native=10", "vlans: native is of a trunk, and there is none"),
        ("trunk=1,native-mode=tagged", "vlans: native-mode without native"),
        ("pvid=10,tagged=20", "vlans: pvid 10 is no VLAN of the port"),
        ("tagged=10-20,untagged=20", "vlans: VLAN 20 is both in tagged and in untagged"),
        ("trunk=10,accept=untagged", "vlans: accept=untagged lets nothing in"),
        ("access=10,accept=tagged", "vlans: accept=tagged lets nothing in"),
        ("trunk=10,accept=some", "vlans: accept is all, tagged or untagged, not 'some'"),
        (
            "trunk=10,tag-type=0x86DD",
            "vlans: tag-type: 0x86DD is the EtherType of IPv6, and of no tag",
        ),
        ("trunk=10,tag-type=0x0100", "vlans: tag-type: not the EtherType of a tag: '0x0100'"),
        ("trunk=10,translate=100", "vlans: translate: not WIRE:VLAN: '100'"),
        ("trunk=10,translate=100:11", "vlans: VLAN 11, which 100 becomes, is not of the port"),
        ("trunk=10,100,translate=100:10", "vlans: VLAN 100 of the wire becomes 10"),
        ("trunk=10,translate=5:10,6:10", "vlans: VLAN 10 here is translated twice"),
        ("trunk=10,trunk=20", "vlans: trunk is given twice"),
        ("trunk=10,colour=red", "vlans: unknown option 'colour'"),
    ],
)
def test_what_cannot_be_is_refused_in_words(said, sentence):
    with pytest.raises(ConfigError, match="^" + sentence.replace("(", r"\(")):
        parse("vlans", said)


vids = st.integers(1, 4094)
some = st.sets(st.integers(1, 40), min_size=1, max_size=8)


@given(
    members=some,
    untagged=some,
    pvid=st.none() | st.integers(1, 40),
    accept=st.sampled_from(["all", "tagged", "untagged"]),
    filter_=st.booleans(),
    tag_type=st.sampled_from([0x8100, 0x88A8, 0x9100]),
)
def test_whatever_can_be_is_said_so_that_it_is_understood(
    members, untagged, pvid, accept, filter_, tag_type
):
    members |= {pvid} - {None}
    vlans = PortVlans(
        pvid,
        A(members),
        A(members & untagged),
        accept=accept,
        ingress_filter=filter_,
        tag_type=tag_type,
    )
    try:
        again = parse("vlans", text(vlans))
    except ConfigError as e:
        assert "lets nothing in" in str(e)  # noqa: PT017
    else:
        assert again == vlans
