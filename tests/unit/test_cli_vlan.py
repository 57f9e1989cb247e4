"""``vswitch vlan``: bridge's words and lines, and the table of ports and VLANs."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.frames import BROADCAST, frame, mac
from support.served import served
from vswitch import MemoryPort, cli, vlanwords
from vswitch.cli import _vlans, monitor
from vswitch.control.schema import EventInfo, PortVlansInfo
from vswitch.control.told import vlans_info
from vswitch.vlans import PortVlans, VidSet

A, B = mac(1), mac(2)


@pytest.fixture
def net(lab):
    return lab("a", "b", "c")


@pytest.fixture
def vswitch(net, tmp_path, capsys):
    """A command line against a running switch with ports a, b and c."""
    with served(net.switch, tmp_path / "api.sock") as path:

        def run(line):
            words = line.split()
            status = cli.main([*words, "--api", str(path)])
            out, err = capsys.readouterr()
            return status, out, err

        yield run


def done(run, *lines):
    for line in lines:
        assert run(line) == (0, "", ""), line


def said_of(net, port):
    return vlanwords.text(net.switch.port_status(port).vlans)


# What "bridge vlan show" of iproute2 6.1 prints of the same, blanks included.
SHOWN = """\
port              vlan-id  
a                 10 PVID Egress Untagged
b                 1 PVID Egress Untagged
                  10
                  20
                  21
                  22
"""  # noqa: W291
COMPRESSED = SHOWN.replace("20\n                  21\n                  22", "20-22")


def test_vlans_are_shown_as_bridge_shows_them(vswitch):
    done(
        vswitch,
        "vlan add vid 10 dev a pvid untagged",
        "vlan add vid 1 dev b pvid untagged",
        "vlan add vid 10 dev b",
        "vlan add vid 20-22 dev b",
    )

    assert vswitch("vlan show") == (0, SHOWN, "")
    for compressed in ("vlan show -c", "-c vlan", "-compressvlans vlan show", "-com v s"):
        assert vswitch(compressed) == (0, COMPRESSED, "")
    assert json.loads(vswitch("-j -c vlan show")[1]) == [
        {"ifname": "a", "vlans": [{"vlan": 10, "flags": ["PVID", "Egress Untagged"]}]},
        {"ifname": "b", "vlans": [
            {"vlan": 1, "flags": ["PVID", "Egress Untagged"]},
            {"vlan": 10},
            {"vlan": 20, "vlanEnd": 22},
        ]},
    ]  # fmt: skip
    assert vswitch("vlan show dev a")[1] == "".join(SHOWN.splitlines(keepends=True)[:2])
    assert vswitch("vlan show vid 21")[1] == f"{_vlans.HEAD}\n{'b':<18}21\n"
    assert vswitch("vlan show dev nix")[::2] == (
        1, "vswitch: no port nix\nhint: ports are: a, b, c\n",
    )  # fmt: skip


def test_a_pvid_that_leaves_tagged_is_one_line(vswitch):
    done(vswitch, "vlan set dev a trunk 10,20 native 20 native-mode tagged")

    assert vswitch("vlan show")[1] == f"{_vlans.HEAD}\n{'a':<18}10\n{'':<18}20 PVID\n"


def test_stations_of_one_vlan_are_forgotten(vswitch, net):
    done(vswitch, "vlan set dev a trunk 10,20", "vlan set dev b trunk 10,20")
    for vid in (10, 20):
        tag = vid.to_bytes(2)
        net.send("a", frame(BROADCAST, A, tag + b"\x88\xb5", ethertype=0x8100))
        net.send("b", frame(BROADCAST, B, tag + b"\x88\xb5", ethertype=0x8100))

    assert vswitch("-s fdb flush vlan 10 dev a")[1] == "1 station forgotten\n"
    assert [(s.vid, s.port) for s in net.switch.stations()] == [(20, "a"), (10, "b"), (20, "b")]
    assert vswitch("-s fdb flush vlan 20")[1] == "2 stations forgotten\n"
    assert [(s.vid, s.port) for s in net.switch.stations()] == [(10, "b")]


def test_the_tree_of_open_vswitch_has_tags_and_trunks(vswitch):
    done(vswitch, "vlan set dev a access 10", "vlan set dev b trunk 10,20 native 1")

    tree = vswitch("show --format ovs")[1]

    assert "        Port a\n            tag: 10\n            Interface a\n" in tree
    assert "        Port b\n            tag: 1\n            trunks: [10, 20]\n" in tree
    assert "        Port c\n            Interface c\n" in tree


def test_what_was_counted_is_shown_as_bridge_shows_it(vswitch, net):
    done(vswitch, "vlan set dev a access 10", "vlan set dev b trunk 10,20")
    net.send("a", frame(BROADCAST, A))

    assert vswitch("-s vlan show")[1] == (
        "port              vlan-id\n"
        "a                 10 PVID Egress Untagged\n"
        "                    RX: 60 bytes 1 packets\n"
        "                    TX: 0 bytes 0 packets\n"
        "b                 10\n"
        "                    RX: 0 bytes 0 packets\n"
        "                    TX: 64 bytes 1 packets\n"
        "                  20\n"
        "                    RX: 0 bytes 0 packets\n"
        "                    TX: 0 bytes 0 packets\n"
    )
    assert json.loads(vswitch("-j -s vlan show vid 20")[1]) == [
        {"ifname": "b", "vlans": [
            {"vid": 20, "rx_bytes": 0, "rx_packets": 0, "tx_bytes": 0, "tx_packets": 0},
        ]},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["add vid 10 dev a"], "trunk=10"),
        (["add vid 10-12 dev a untagged"], "untagged=10-12"),
        (["add vid 10 dev a pvid untagged", "add vid 11 dev a pvid untagged"],
         "pvid=11,untagged=10-11"),
        (["add vid 10 dev a pvid untagged", "add vid 10 dev a"], "trunk=10"),
        (["add vid 10 dev a pvid", "add vid 20 dev a untagged"],
         "pvid=10,untagged=20,tagged=10"),
        (["set dev a access 10", "del vid 10 dev a"], "trunk=none"),
        (["set dev a access 10", "del vid 20 dev a"], "access=10"),
        (["set dev a trunk 1-9 native 5", "del vid 4-6 dev a"], "trunk=1-3,7-9"),
        (["del vid 10 dev a"], ""),
        (["set dev a access 10", "set dev a none"], ""),
        (["set dev a tag_type 802.1ad", "add vid 3 dev a"], "trunk=3,tag-type=802.1ad"),
        (["set dev a tag 7 translate 100:7"], "access=7,translate=100:7"),
    ],
)  # fmt: skip
def test_memberships_change_as_with_bridge(vswitch, net, lines, said):
    done(vswitch, *(f"vlan {line}" for line in lines))

    assert said_of(net, "a") == said


@pytest.mark.parametrize(
    ("before", "line", "error"),
    [
        ("trunk 10 translate 100:10", "del vid 10 dev a", "vlans: VLAN 10, which 100 becomes"),
        ("access 10 accept untagged", "del vid 10 dev a", "vlans: accept=untagged lets nothing"),
        ("trunk 10 translate 100:10", "add vid 100 dev a", "vlans: VLAN 100 of the wire becomes"),
    ],
)
def test_a_change_that_contradicts_what_is_set_is_refused(vswitch, net, before, line, error):
    done(vswitch, f"vlan set dev a {before}")
    was = said_of(net, "a")

    status, out, err = vswitch(f"vlan {line}")

    assert (status, out) == (2, "")
    assert err.startswith(f"vswitch: {error}")
    assert said_of(net, "a") == was


def test_frames_stay_in_the_vlans_that_were_said(vswitch, net):
    done(vswitch, "vlan set dev a access 10", "vlan set dev b access 20", "vlan set dev c trunk 10")

    assert set(net.send("a", frame(BROADCAST, A))) == {"c"}
    done(vswitch, "vlan add vid 10 dev b pvid untagged")
    assert set(net.send("a", frame(BROADCAST, A))) == {"b", "c"}


def test_a_table_has_ports_and_vlans(vswitch):
    done(
        vswitch,
        "vlan set dev a access 10",
        "vlan set dev b trunk 10,20-29 native 1",
    )

    for line in ("vlan show matrix", "vlan show --matrix"):
        assert vswitch(line)[1] == (
            "port  1   10  20-29\n"
            "a     .   UP  .\n"
            "b     UP  T   T\n"
            "\n"
            "U untagged, T tagged, P the VLAN of untagged frames that enter\n"
            "\n"
            "all VLANs, as they are tagged: c\n"
        )
    assert vswitch("vlan show matrix vid 10")[0] == 2


def test_monitor_says_who_is_put_in_vlans_and_taken_out(vswitch, net):
    done(
        vswitch,
        "vlan set dev a access 10",
        "vlan add vid 20-22 dev a",
        "vlan add vid 21 dev a pvid untagged",
        "vlan del vid 20-21 dev a",
        "link set dev a isolated on",
        "vlan set dev a none",
    )

    events = [e for e in net.switch.observer.events() if e.kind == "vlans_changed"]
    printed = [
        line
        for event in events
        for line in monitor.lines(EventInfo(event.kind, 0.0, event.port, vlans=event.vlans,
                                            old_vlans=event.old_vlans), "lab")
    ]  # fmt: skip
    assert printed == [
        "a                 10 PVID Egress Untagged",
        "a                 20-22",
        "a                 10 Egress Untagged",  # is the PVID no more
        "a                 21 PVID Egress Untagged",
        "Deleted a                 20",
        "Deleted a                 21 PVID Egress Untagged",
        "Deleted a                 10 Egress Untagged",
        "Deleted a                 22",
    ]
    assert [e.vlans for e in events][-1] == ""


def test_flags_of_bridge_are_set_and_shown(vswitch):
    done(
        vswitch,
        "link set dev a isolated on hairpin on flood off mcast_flood off bcast-flood off",
        "link set dev a locked on mab on",
        "link set dev a backup_port b",
        "link set dev b vlans trunk=10,20,native=1",
    )

    [keys] = json.loads(vswitch("-j -d link show dev a")[1])
    assert list(keys)[-15:] == [
        "hairpin", "guard", "root_block", "fastleave", "learning", "flood", "mcast_flood",
        "bcast_flood", "mcast_to_unicast", "neigh_suppress", "vlan_tunnel", "backup_port",
        "isolated", "locked", "mab",
    ]  # fmt: skip
    assert [key for key in keys if keys[key] is True] == [
        "hairpin", "learning", "isolated", "locked", "mab",
    ]  # fmt: skip
    assert (
        "vlan_tunnel off backup_port b isolated on locked on mab on\n"
        in (vswitch("-d link show dev a")[1])
    )
    done(vswitch, "link set dev a nobackup_port", "link set dev b vlans none")
    assert "backup_port" not in vswitch("-d link show dev a")[1]
    assert vswitch("link set dev a backup nix")[0] == 1


def test_stations_are_per_vlan(vswitch, net):
    done(vswitch, "vlan set dev a trunk 10,20", "vlan set dev b access 10")
    done(
        vswitch,
        "fdb add 02:00:00:00:00:07 dev a vlan 10",
        "fdb add 02:00:00:00:00:07 dev a vlan 20",
        "fdb add 02:00:00:00:00:08 dev b",
    )
    net.send("b", frame(BROADCAST, B))

    assert vswitch("fdb show vlan 10 state static")[1] == (
        "02:00:00:00:00:07 dev a vlan 10 master lab static\n"
        "02:00:00:00:00:08 dev b vlan 10 master lab static\n"
    )
    assert vswitch("fdb add 02:00:00:00:00:09 dev a")[::2] == (2, (
        "vswitch: vid is missing: frames without a tag are of no VLAN of port a\n"
        "hint: its VLANs are: 10,20\n"
    ))  # fmt: skip
    assert vswitch("fdb add 02:00:00:00:00:09 dev b vlan 20")[::2] == (2, (
        "vswitch: vid: VLAN 20 is not of port b\nhint: its VLANs are: 10\n"
    ))  # fmt: skip
    assert vswitch("fdb del 02:00:00:00:00:07 dev a")[::2] == (2, (
        "vswitch: station 02:00:00:00:00:07 is in several VLANs: say vlan 10, 20\n"
        "hint: see vswitch fdb del --help\n"
    ))  # fmt: skip
    assert vswitch("-s fdb flush dev a vlan 10")[1] == "0 stations forgotten\n"
    assert vswitch("-s fdb flush dev b vlan 10")[1] == "1 station forgotten\n"
    done(vswitch, "fdb del 02:00:00:00:00:07 dev a vlan 20")
    done(vswitch, "fdb del 02:00:00:00:00:07 dev a", "fdb del 02:00:00:00:00:08 dev b")
    assert vswitch("fdb show") == (0, "", "")


class Own(MemoryPort):
    station = mac(9)


def test_a_port_s_own_station_is_in_its_vlan(net, vswitch):
    net.switch.add_port(Own("own"))
    done(vswitch, "vlan set dev own access 10")

    assert "02:00:00:00:00:09 dev own vlan 10 master lab static" in vswitch("fdb show")[1]
    done(vswitch, "vlan add vid 20 dev own pvid untagged")
    assert "dev own vlan 20 " in vswitch("fdb show")[1]
    done(vswitch, "vlan del vid 20 dev own")
    assert vswitch("fdb show dev own")[1] == ""


some = st.sets(st.integers(1, 4094), max_size=60)


@given(st.lists(st.tuples(some, some), min_size=1, max_size=6))
def test_a_table_of_any_vlans_fits_and_is_complete(ports):
    told = []
    for i, (members, untagged) in enumerate(ports):
        vlans = PortVlans(None, VidSet.of(members), VidSet.of(members & untagged))
        told.append(PortVlansInfo(f"port-with-a-name-{i}", vlans_info(vlans), []))

    text = _vlans.matrix(told)

    assert max(map(len, text.splitlines()), default=0) <= 80
    cells = {}  # (line of a port, VLAN) -> what stands there
    for piece in text.split("\n\n"):
        head, *rows = piece.splitlines()
        for row in rows:
            for column, cell in zip(head.split()[1:], row.split()[1:], strict=True):
                for vid in VidSet.parse(column):
                    cells[rows.index(row), vid] = cell
    for i, (members, untagged) in enumerate(ports):
        assert f"~-name-{i}" in text
        assert {v for v in members | {0} if cells.get((i, v)) in ("T", "U")} == members
        assert {v for v in members if cells[i, v] == "U"} == members & untagged
