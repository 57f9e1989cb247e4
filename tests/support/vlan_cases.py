"""Scenarios that teach one thing each about VLANs and the flags of ports.

Every case is a switch of a few ports and a conversation. What the switch has to do is not said
here: it is what the Linux bridge does (``tests/support/vlan_recorded.json``).
"""

from __future__ import annotations

from dataclasses import replace

from support.flag_cases import FLAGS
from support.frames import BROADCAST, mac
from support.vlan_scenario import Change, Pinned
from support.vlan_talk import (
    DROP_ELIGIBLE,
    GROUP,
    OLD_TAG,
    PLAIN_PORT,
    PRIORITY,
    RESERVED,
    A,
    B,
    C,
    D,
    access,
    case,
    cut,
    every_pair,
    greetings,
    native,
    says,
    trunk,
    vlans,
)
from vswitch.vlans import C_TAG, S_TAG

S_BOTH = [(S_TAG, 10), (S_TAG, 20)]

TAGGING = [
    case(
        "access ports of two VLANs hear their own",
        [access(10), access(10), access(20), access(20)],
        greetings(4), every_pair(4),
    ),
    case(
        "a trunk carries the VLANs of access ports with tags",
        [access(10), access(20), trunk("10,20")],
        greetings(2), says(2, A, C, 10), says(2, B, C, 20), says(2, BROADCAST, C, 10),
        says(2, BROADCAST, C, 20), says(0, C, A), says(1, C, B),
    ),
    case(
        "a trunk of all VLANs",
        [trunk("all"), trunk("all"), access(4094), access(1)],
        says(0, BROADCAST, A, 1), says(0, BROADCAST, A, 4094), says(0, BROADCAST, A, 4095),
        says(0, BROADCAST, A, 2048), says(1, A, B, 2048), says(1, A, B, 4094), says(2, A, C),
        says(0, BROADCAST, D, 0), says(0, BROADCAST, D),
    ),
    case(
        "a trunk lets in its own VLANs only",
        [trunk("10,20-29"), access(10), access(30), trunk("all")],
        [says(0, BROADCAST, A, vid) for vid in (9, 10, 11, 19, 20, 29, 30, 0, 4095)],
        says(1, A, B), says(2, A, C),
    ),
    case(
        "an access port takes frames with its own tag and with no other",
        [access(10), access(10), access(20), trunk("10,20")],
        says(0, BROADCAST, A, 10), says(0, BROADCAST, B, 20), says(0, BROADCAST, C, 0),
        says(0, BROADCAST, D, 4095), says(1, A, mac(7)), says(1, B, mac(7)), says(1, C, mac(7)),
    ),
    case(
        "native untagged",
        [native(10, "10,20"), access(10), access(20), trunk("10,20")],
        says(0, BROADCAST, A), says(0, BROADCAST, A, 10), says(0, BROADCAST, A, 20),
        says(1, A, B), says(2, A, C), says(3, A, D, 10), says(3, A, D, 20),
    ),
    case(
        "native tagged",
        [native(10, "10,20", tagged=True), access(10), access(20), trunk("10,20")],
        says(0, BROADCAST, A), says(0, BROADCAST, A, 10), says(0, BROADCAST, A, 20),
        says(1, A, B), says(2, A, C), says(3, A, D, 10), says(3, A, D, 20),
    ),
    case(
        "hybrid: three VLANs leave without a tag, two with",
        [vlans(10, "10,20,30,40,50", "10,20,30"), *map(access, (10, 20, 30, 40)), trunk("50")],
        [says(n, BROADCAST, mac(n + 1)) for n in range(1, 5)], says(5, BROADCAST, mac(6), 50),
        [says(0, BROADCAST, A, vid) for vid in (10, 20, 30, 40, 50)], says(0, BROADCAST, A),
    ),
    case(
        "what leaves untagged need not be where untagged frames go",
        [vlans(20, "10,20", "10"), access(10), access(20)],
        says(0, BROADCAST, A), says(1, BROADCAST, B), says(2, BROADCAST, C),
        says(1, A, B), says(2, A, C),
    ),
    case(
        "untagged frames are dropped and teach nothing where there is no VLAN for them",
        [trunk("10"), access(10), vlans(None, "10", "10")],
        says(0, BROADCAST, A), says(2, BROADCAST, C), says(1, A, B), says(1, C, B),
        says(2, BROADCAST, C, 10), says(0, BROADCAST, A, 0), says(0, C, A, 10),
    ),
    case(
        "a port of no VLAN is silent",
        [vlans(None, ""), access(10), trunk("all")],
        says(0, BROADCAST, A), says(0, BROADCAST, A, 10), says(0, BROADCAST, A, 0),
        says(1, BROADCAST, B), says(2, A, C, 10),
    ),
    case(
        "a tag without a VLAN keeps its priority in the VLAN of untagged frames",
        [native(10, "10,20"), native(10, "10,20", tagged=True), access(10), trunk("10")],
        says(0, BROADCAST, A, PRIORITY), says(0, BROADCAST, A, PRIORITY | DROP_ELIGIBLE),
        says(1, BROADCAST, B, 0), says(2, BROADCAST, C, PRIORITY | DROP_ELIGIBLE),
        says(3, BROADCAST, D, PRIORITY),
    ),
    case(
        "the priority in a tag stays with it",
        [trunk("10,20"), trunk("10"), access(10)],
        says(0, BROADCAST, A, PRIORITY | 10), says(0, BROADCAST, A, DROP_ELIGIBLE | 10),
        says(0, BROADCAST, A, 7 << 13 | DROP_ELIGIBLE | 10), says(1, A, B, PRIORITY | 10),
        says(2, A, C),
    ),
    case(
        "of two tags the outer one counts, and one goes",
        [trunk("10,20"), access(10), access(20), native(20, "10,20")],
        says(0, BROADCAST, A, 10, 20), says(0, BROADCAST, A, 20, 10),
        says(0, BROADCAST, A, 10, 10, 10), says(1, BROADCAST, B, 10, 20),
        says(3, BROADCAST, D, 20, 10), says(3, BROADCAST, D, 0, 10), says(0, D, A, 20, 10),
    ),
    case(
        "a service tag is none to a switch of customer tags",
        [access(10), access(10), trunk("10,20"), native(20, "10,20", tagged=True)],
        says(0, BROADCAST, A, (S_TAG, 10)), says(0, BROADCAST, A, (S_TAG, 20)),
        says(2, BROADCAST, C, (S_TAG, 10)), says(2, BROADCAST, C, 10, (S_TAG, 20)),
        says(3, BROADCAST, D, (S_TAG, 10), 10), says(3, BROADCAST, D, (S_TAG, 0)),
        says(1, A, B), says(1, A, B, (S_TAG, 30)),
    ),
    case(
        "an old service tag is no tag",
        [access(10), trunk("10")],
        says(0, BROADCAST, A, (OLD_TAG, 20)), says(1, A, B, 10, (OLD_TAG, 10)),
        says(1, A, B, (OLD_TAG, 10)),
    ),
    case(
        "a station is another one in another VLAN",
        [access(10), access(20), trunk("10,20"), trunk("10,20")],
        says(0, BROADCAST, A), says(1, BROADCAST, A), says(2, A, B, 10), says(2, A, B, 20),
        says(3, BROADCAST, B, 20), says(0, B, A), says(1, B, A), says(3, BROADCAST, A, 10),
        says(2, A, C, 10), says(2, A, C, 20),
    ),
    case(
        "a known station is unknown in another VLAN, and flooded for there",
        [access(10), access(20), access(20), trunk("10,20")],
        says(0, BROADCAST, A), says(1, A, B), says(3, A, D, 20), says(3, A, D, 10),
    ),
    case(
        "long and short frames",
        [access(10), trunk("10"), access(10)],
        [says(0, BROADCAST, A, length=n) for n in (14, 15, 17, 18, 20, 59, 61, 64, 1000, 1514)],
        [says(1, BROADCAST, B, 10, length=n) for n in (20, 60, 64, 1000, 1514, 1518)],
        [says(1, BROADCAST, C, 0, length=n) for n in (20, 60)],
    ),
    case(
        "the tag of its VLAN does not make a frame too long",
        [access(10), trunk("10"), trunk("10"), access(10)],
        [says(0, BROADCAST, A, length=n) for n in (1514, 1515, 1518, 1519, 1522)],
        [says(1, BROADCAST, B, 10, length=n) for n in (1518, 1519, 1522, 1523, 1526)],
        [says(1, BROADCAST, B, 10, 20, length=n) for n in (1518, 1519, 1522, 1523, 1526)],
        [says(0, BROADCAST, C, (S_TAG, 20), length=n) for n in (1514, 1518, 1519, 1522, 1523)],
        [says(0, BROADCAST, C, 0, length=n) for n in (1518, 1519, 1522, 1523)],
    ),
    case(
        "a station moves, in one VLAN and not in the other",
        [trunk("10,20"), trunk("10,20"), access(10), access(20)],
        says(0, BROADCAST, A, 10), says(0, BROADCAST, A, 20), says(2, A, C), says(3, A, D),
        says(1, C, A, 10), says(2, A, C), says(3, A, D), says(2, D, A), says(0, A, B, 10),
        says(1, A, B, 10), says(1, A, B, 20),
    ),
    case(
        "nobody is a group, or nobody",
        [access(10), access(10), trunk("10")],
        says(0, BROADCAST, GROUP), says(0, B, BROADCAST), says(2, BROADCAST, bytes(6), 10),
        says(0, bytes(6), A), says(1, A, B), says(1, A, GROUP), says(0, A, A),
    ),
    case(
        "a frame that ends in its tag, and one with nothing but an EtherType behind it",
        [access(10), trunk("10"), trunk("10")],
        [cut(says(1, BROADCAST, A, 10), n) for n in (14, 15, 16, 17, 20)],
        [cut(says(0, BROADCAST, B, 0), n) for n in (14, 15, 16, 17, 20)],
    ),
    case(
        "a frame that ends in or behind a tag, whatever the switch thinks of it",
        [access(10), trunk("10"), trunk("10")],
        [cut(says(1, BROADCAST, A, 10), n) for n in (18, 19)],
        [cut(says(0, BROADCAST, B, (S_TAG, 10)), n) for n in (14, 16, 18, 19, 20)],
    ),
]  # fmt: skip

SERVICE = [
    case(
        "customers' tags pass a switch of service tags untouched",
        [access(10), access(10), access(20), trunk("10,20")],
        says(0, BROADCAST, A), says(0, BROADCAST, A, 7), says(0, BROADCAST, A, 10, 20),
        says(1, A, B, 20), says(2, A, C, 10), says(3, A, D, (S_TAG, 10), 20),
        says(3, A, D, (S_TAG, 20), 20), says(0, D, A, PRIORITY | 9),
        tag_type=S_TAG,
    ),
    case(
        "a switch of service tags and frames that have some",
        [access(10), trunk("10,20"), native(20, "10,20"), native(10, "10,20", tagged=True)],
        says(0, BROADCAST, A, (S_TAG, 10)), says(0, BROADCAST, A, (S_TAG, 20)),
        says(0, BROADCAST, A, (S_TAG, PRIORITY)), says(1, BROADCAST, B, *S_BOTH),
        says(1, BROADCAST, B, 10), says(1, BROADCAST, B), says(2, BROADCAST, C, 10),
        says(2, BROADCAST, C, (S_TAG, 0), 10), says(3, BROADCAST, D, 10, (S_TAG, 20)),
        says(3, B, D, (S_TAG, 20)), says(1, D, B, (S_TAG, 20), (S_TAG, 10), 30),
        tag_type=S_TAG,
    ),
]  # fmt: skip

PINNED = [
    case(
        "a static station does not move, in its own VLAN",
        [access(10), access(10), trunk("10,20"), access(20)],
        says(1, BROADCAST, A), says(2, A, C, 10), says(2, BROADCAST, A, 20), says(3, A, D),
        says(1, A, B), says(3, BROADCAST, A), says(2, A, C, 20),
        pinned=[Pinned(A, 0, 10)],
    ),
    case(
        "a static station that moves",
        [access(10), access(10), access(10)],
        says(2, A, C), says(1, BROADCAST, A), says(2, A, C),
        pinned=[Pinned(A, 0, 10, moves=True)],
    ),
    case(
        "static stations of a switch without VLANs",
        [PLAIN_PORT] * 3,
        says(1, BROADCAST, A), says(2, A, C), says(1, A, B, 10), says(0, A, D), says(0, C, A),
        pinned=[Pinned(A, 0), Pinned(D, 2)],
    ),
]  # fmt: skip

UNAWARE = [
    case(
        "without VLANs tags are part of the frame, and stations are known once",
        [PLAIN_PORT] * 3,
        says(0, BROADCAST, A, 10), says(1, A, B, 20), says(2, B, C), says(1, C, A, 4095, 0),
        says(2, A, C, (S_TAG, 7), 8), says(0, A, B), says(0, BROADCAST, A, 0),
    ),
    case(
        "without VLANs, frames as long as may be",
        [PLAIN_PORT] * 2,
        [says(0, BROADCAST, A, length=n) for n in (1514, 1515, 1518, 1519, 1522)],
        [says(0, BROADCAST, A, 10, length=n) for n in (1514, 1518)],
    ),
    case(
        "without VLANs, tagged frames that are longer than may be",
        [PLAIN_PORT] * 2,
        [says(0, BROADCAST, A, 10, length=n) for n in (1519, 1522, 1523)],
    ),
    case(
        "without VLANs, frames that end in a tag",
        [PLAIN_PORT] * 2,
        [cut(says(0, BROADCAST, A, 10), n) for n in (14, 16, 18, 19, 20)],
    ),
]  # fmt: skip

CHANGES = [
    case(
        "a locked port and a static station of another VLAN",
        [replace(trunk("10,20"), locked=True), trunk("10,20")],
        says(0, BROADCAST, A, 10), says(0, BROADCAST, A, 20), says(1, A, B, 20), says(0, B, A, 20),
        says(1, A, B, 10), says(0, B, A, 10),
        pinned=[Pinned(A, 0, 20)],
    ),
    case(
        "a port comes to a VLAN and leaves it",
        [trunk("10,20"), access(10), access(20)],
        says(0, BROADCAST, A, 10), says(0, BROADCAST, A, 20), Change(0, trunk("20")),
        says(1, A, B), says(2, A, C), says(0, BROADCAST, A, 10), Change(0, trunk("10")),
        says(1, A, B), says(2, A, C), says(0, BROADCAST, A, 10), says(1, A, B),
    ),
    case(
        "an access port goes to another VLAN",
        [access(10), access(10), access(20), trunk("10,20")],
        greetings(3), Change(0, access(20)), says(1, A, B), says(2, A, C), says(0, C, A),
        says(2, A, C), says(3, A, D, 10), says(3, A, D, 20),
    ),
    case(
        "a native VLAN is tagged from now on, and no more",
        [native(10, "10,20"), access(10), trunk("10,20")],
        says(0, BROADCAST, A), says(1, A, B), Change(0, native(10, "10,20", tagged=True)),
        says(1, A, B), says(0, B, A), Change(0, native(20, "10,20")), says(1, A, B),
        says(0, BROADCAST, A), says(2, A, C, 20), Change(0, trunk("10,20")), says(0, C, A),
        says(0, C, A, 20), says(2, A, C, 10),
    ),
    case(
        "a static station of a VLAN that its port leaves",
        [trunk("10,20"), access(10), access(20)],
        says(1, A, B), Change(0, trunk("20")), says(1, A, B), says(2, A, C),
        pinned=[Pinned(A, 0, 10), Pinned(A, 0, 20)],
    ),
]  # fmt: skip

LOCAL = [
    case(
        f"reserved addresses, {kind}",
        ports,
        *(says(0, address, mac(16 + n), *tags) for n, address in enumerate(RESERVED)),
        *(says(1, mac(16 + n), B, *tags) for n in range(16)),
        tag_type=tag_type,
    )
    for kind, ports, tag_type, tags in (
        ("without VLANs", [PLAIN_PORT] * 2, C_TAG, ()),
        ("customer tags", [native(10, "10"), native(10, "10")], C_TAG, ()),
        ("customer tags at a trunk", [trunk("10"), trunk("10")], C_TAG, (10,)),
        ("service tags", [native(10, "10"), native(10, "10")], S_TAG, ()),
    )
]

CASES = (*TAGGING, *SERVICE, *PINNED, *UNAWARE, *FLAGS, *CHANGES, *LOCAL)
